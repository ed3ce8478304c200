"""What every command of the command line shares: exit codes, how it speaks to people, registration."""

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from llm_serving_planner.base.errors import LlmServingError
from llm_serving_planner.cli.exits import Exit

__all__ = ["Add", "Exit", "add_format", "complain", "say", "tell", "waiting"]

_PATIENCE_SECONDS = 1.0


class Add(Protocol):
    """Adds a command: its name, what runs it (arguments to exit code), its one line of help."""

    def __call__(self, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        """The command's own parser."""


def say(text: str) -> None:
    """One line for people, on stderr: stdout carries only the product."""
    print(text, file=sys.stderr)


def tell(text: str) -> None:
    """A remark."""
    say(f"note: {text}")


def complain(error: LlmServingError) -> None:
    """What was wrong, and the way out where there is one."""
    say(f"error: {error}")
    if error.hint:
        say(f"hint: {error.hint}")


def add_format(command: argparse.ArgumentParser) -> None:
    """The option --format."""
    command.add_argument("--format", choices=("text", "json"), default="text", help="form of the answer")


@contextmanager
def waiting(what: str) -> Iterator[Callable[[str], None]]:
    """Progress on stderr, silent during the first second."""
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
