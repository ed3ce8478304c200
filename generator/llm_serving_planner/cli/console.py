"""What every command of the command line shares: exit codes, how it speaks to people, registration."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from llm_serving_planner.base.errors import LlmServingError
from llm_serving_planner.base.printable import harmless, one_line
from llm_serving_planner.cli.exits import Exit

__all__ = [
    "Add", "Exit", "Formatter", "add_format", "complain", "say", "show", "tell", "waiting",
]  # fmt: skip

_PATIENCE_SECONDS = 1.0
_LONGEST_ERROR = 8000
_LONGEST_SECONDS = 86_400


class Formatter(argparse.HelpFormatter):
    """argparse's, told the width of the terminal: it would load shutil and three kinds of archives to find it."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    """As shutil.get_terminal_size."""
    try:
        columns = int(os.environ.get("COLUMNS", ""))
    except ValueError:
        columns = 0
    if columns <= 0:
        try:
            columns = os.get_terminal_size(sys.__stdout__.fileno()).columns  # type: ignore[union-attr]
        except (AttributeError, ValueError, OSError):
            columns = 0
    return columns or 80


class Add(Protocol):
    """Adds a command: its name, what runs it (arguments to exit code), its one line of help."""

    def __call__(self, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        """The command's own parser."""


def say(text: str) -> None:
    """Lines for people, on stderr: stdout carries only the product. Controls of others' texts are spelled out."""
    print(harmless(text), file=sys.stderr, flush=True)


def show(text: str) -> None:
    """A text for people, on stdout, as it stands but for controls of others' texts."""
    sys.stdout.write(harmless(text))


def tell(text: str) -> None:
    """A remark."""
    say(f"note: {one_line(text)}")


def complain(error: LlmServingError) -> None:
    """What was wrong, and the way out where there is one."""
    say(f"error: {one_line(str(error), _LONGEST_ERROR)}")
    if error.hint:
        hint, *example = error.hint.split("\n")
        say("\n".join((f"hint: {one_line(hint)}", *(one_line(line) for line in example))))


def seconds(text: str) -> float:
    """A number of seconds above 0, for options."""
    number = float(text)
    if not 0 < number <= _LONGEST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text} must be above 0 and at most {_LONGEST_SECONDS:,} seconds")
    return number


def add_format(command: argparse.ArgumentParser) -> None:
    """The option --format."""
    command.add_argument("--format", choices=("text", "json"), default="text", help="form of the answer")


@contextmanager
def waiting(what: str) -> Iterator[Callable[[str], None]]:
    """Progress on stderr, silent during the first second."""
    import threading

    started = time.monotonic()
    timer = threading.Timer(_PATIENCE_SECONDS, say, (f"{what} ...",))
    timer.daemon = True
    timer.start()

    def progress(text: str) -> None:
        if time.monotonic() - started >= _PATIENCE_SECONDS:
            say(text)

    try:
        yield progress
    finally:
        timer.cancel()
