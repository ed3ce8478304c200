"""Writes the output of marked commands below them, as the command prints it now."""

import contextlib
import io
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from llm_serving_planner.cli import main

from documents import scratch
from documents.blocks import Block, blocks, selected


def pages(root: Path) -> list[Path]:
    """Every document that may hold commands."""
    found = [root / "README.md", root / "CONTRIBUTING.md", root / "charts" / "llm-serving" / "README.md"]
    return [*found, *sorted((root / "docs").rglob("*.md"))]


class Runner:
    """Runs commands: those of the generator in this process, others in a copy of the tree that is made on demand."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def run(self, command: str) -> scratch.Done:
        """The command's exit code and what it printed."""
        if command.startswith("llm-serving ") and not re.search(r"[|<>;&$`]| -o | --output ", command):
            return _in_process(shlex.split(command.replace("\\\n", " "))[1:], self._root)
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="documents-")
            scratch.copy_tree(self._root, Path(self._folder.name, "tree"))
            scratch.programs(Path(self._folder.name, "bin"))
        folder = Path(self._folder.name)
        return scratch.run(command, folder / "tree", folder / "bin")


def _in_process(words: list[str], root: Path) -> scratch.Done:
    printed = io.StringIO()
    both = contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed)
    with contextlib.chdir(root), _environment(), both[0], both[1]:
        try:
            code = main.main(words)
        except SystemExit as stopped:  # argparse: usage, --help
            code = int(stopped.code or 0)
    return scratch.Done(code, printed.getvalue())


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update({"HF_HUB_OFFLINE": "1", "NO_COLOR": "1", "COLUMNS": "120"})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class StaleCommandError(Exception):
    """A marked command ends otherwise than its page says."""


def injected(page: Path, text: str, runner: Runner) -> str:
    """The page with the output of its marked commands.

    Raises:
        StaleCommandError: a command ends with another code than the page says.
    """
    for block in reversed(blocks(page, text)):
        if block.output is None or block.reason is not None:
            continue
        done = runner.run(block.commands[0])
        if done.code != block.exit_code:
            raise StaleCommandError(
                f"{block.where}: {block.commands[0]} ends with {done.code}, not {block.exit_code}:\n{done.printed}"
            )
        start, end = block.span
        text = text[:start] + _fence(block, selected(done.printed, block.output)) + text[end:]
    return text


def _fence(block: Block, output: str) -> str:
    return f"```{block.kind}\n$ {block.commands[0]}\n{output}\n```"


def injected_pages(root: Path, made: dict[Path, str]) -> dict[Path, str]:
    """Every page that has marked commands; pages that are made otherwise are taken from `made`."""
    found = {}
    with Runner(root) as runner:
        for page in pages(root):
            text = made.get(page) or page.read_text(encoding="utf-8")
            if "<!-- output" in text:
                found[page] = injected(page, text, runner)
    return found
