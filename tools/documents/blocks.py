"""Commands of a Markdown page: fenced blocks `sh` (every line) and `console` (lines after `$ `), with their markers.

A marker is an HTML comment on the lines right above the fence:

    <!-- not run: needs a cluster -->   the block is not run, for this reason
    <!-- exit: 1 -->                    the last command ends with this code (default 0)
    <!-- output: 1-4,9 -->              `make generate` writes these lines of the output below the command; no
                                        numbers: all of them; what is left out becomes a line `...`
"""

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^(?P<indent> *)```(?P<kind>sh|console)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_MARKER = re.compile(r"<!-- (?P<name>not run|exit|output)(?:: (?P<value>[^\n]*?))? -->")
_ANY = re.compile(r"<!--(?P<text>.*?)-->")
LEFT_OUT = "..."


class MarkerError(Exception):
    """A marker that says nothing, or that the convention does not know."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block that holds commands."""

    page: Path
    line: int
    kind: str
    commands: tuple[str, ...]
    shown: str  # what stands below the last command; empty for `sh`
    reason: str | None  # why it is not run
    exit_code: int
    output: str | None  # the lines to inject ("" for all), None for a block that is written by hand
    span: tuple[int, int]  # of the whole fence in the page

    @property
    def where(self) -> str:
        """Folder, name and line of the page."""
        return f"{self.page.parent.name}/{self.page.name}:{self.line}".removeprefix("/")


def blocks(page: Path, text: str | None = None) -> list[Block]:
    """The blocks of a page, in order.

    Raises:
        MarkerError: a marker is unknown, has no reason, or does not suit its block.
    """
    text = page.read_text(encoding="utf-8") if text is None else text
    return [_block(page, text, match) for match in _FENCE.finditer(text)]


def _block(page: Path, text: str, match: re.Match[str]) -> Block:
    line = text.count("\n", 0, match.start()) + 1
    markers = _markers(f"{page.name}:{line}", text[: match.start()])
    commands, shown = _commands(match["kind"], match["body"], match["indent"])
    if "output" in markers and len(commands) != 1:
        raise MarkerError(f"{page.name}:{line}: output is written below one command, here are {len(commands)}")
    return Block(page, line, match["kind"], commands, shown, markers.get("not run"), int(markers.get("exit", "0")),
                 markers.get("output"), match.span())  # fmt: skip


def _markers(where: str, before: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in reversed(before.rstrip("\n").split("\n")):
        comment = _ANY.fullmatch(line.strip())
        if comment is None:
            break
        marker = _MARKER.fullmatch(line.strip())
        if marker is None:
            raise MarkerError(f"{where}: {line.strip()} is no marker (not run: REASON, exit: CODE, output: LINES)")
        value = (marker["value"] or "").strip()
        if marker["name"] == "not run" and not value:
            raise MarkerError(f"{where}: not run, but why? <!-- not run: REASON -->")
        found[marker["name"]] = value
    return found


def _commands(kind: str, body: str, indent: str) -> tuple[tuple[str, ...], str]:
    """Logical lines (a backslash goes on), and what is shown below the last of them."""
    lines = [line.removeprefix(indent) for line in body.splitlines()]
    commands: list[str] = []
    shown: list[str] = []
    going_on = False
    for line in lines:
        if going_on:
            commands[-1] += f"\n{line}"
        elif kind == "console" and line.startswith("$ "):
            commands.append(line.removeprefix("$ "))
            shown.clear()
        elif kind == "console":
            shown.append(line)
        elif line.strip() and not line.startswith("#"):
            commands.append(line)
        else:
            continue
        going_on = (going_on or bool(commands)) and not shown and line.endswith("\\")
    return tuple(commands), "\n".join(shown).strip("\n")


def parts(shown: str) -> list[str]:
    """The shown output in pieces, split where lines were left out."""
    pieces = re.split(rf"^ *{re.escape(LEFT_OUT)}$\n?", shown, flags=re.MULTILINE)
    return [piece.strip("\n") for piece in pieces if piece.strip()]


def missing(shown: str, printed: str) -> str | None:
    """The first piece that was not printed, or not in this order; None where everything was."""
    position = 0
    for piece in parts(shown):
        found = printed.find(piece, position)
        if found < 0:
            return piece
        position = found + len(piece)
    return None


def selected(printed: str, wanted: str) -> str:
    """The wanted lines ("1-4,9", counted from 1, "-1" the last; "" for all), `...` for what is left out between."""
    lines = printed.rstrip("\n").split("\n")
    if not wanted:
        return "\n".join(lines)
    numbers: list[int] = []
    for item in wanted.split(","):
        first, _, last = item.strip().partition("-") if not item.strip().startswith("-") else (item.strip(), "", "")
        start = int(first) if int(first) > 0 else len(lines) + 1 + int(first)
        numbers += range(start, int(last or start) + 1)
    chosen: list[str] = []
    before = 0
    for number in [number for number in numbers if number <= len(lines)]:
        if number != before + 1:
            chosen.append(LEFT_OUT)
        chosen.append(lines[number - 1])
        before = number
    if before < len(lines):
        chosen.append(LEFT_OUT)
    return "\n".join(chosen)
