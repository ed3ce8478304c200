"""Defects as data, and what their tests say of them."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from defects.tree import Copy

DATA = Path(__file__).parent / "defects.yaml"
_SECONDS = 300.0
_LONGEST_READING = 160


@dataclass(frozen=True, slots=True)
class Defect:
    """One change that must not go unnoticed.

    Attributes:
        name: unique, for the command line.
        file: path in the tree.
        old: text that stands there exactly once.
        new: what stands there with the defect.
        what: the defect in words.
        test: node of pytest that must fail.
    """

    name: str
    file: str
    old: str
    new: str
    what: str
    test: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a defect: `caught` when its test failed, and how that reads."""

    defect: Defect
    caught: bool
    reading: str


class DefectError(Exception):
    """The data do not fit the tree."""


def load(path: Path = DATA) -> list[Defect]:
    """Defects of the data file, in its order.

    Raises:
        DefectError: a name stands twice.
    """
    found = [Defect(**entry) for entry in yaml.safe_load(path.read_text(encoding="utf-8"))]
    names = [defect.name for defect in found]
    doubles = {name for name in names if names.count(name) > 1}
    if doubles:
        raise DefectError(f"{path.name}: twice: {', '.join(sorted(doubles))}")
    return found


def planted(root: Path, defect: Defect) -> str:
    """The file's text with the defect.

    Raises:
        DefectError: the old text is not there exactly once, or nothing would change.
    """
    text = (root / defect.file).read_text(encoding="utf-8")
    if text.count(defect.old) != 1:
        raise DefectError(f"{defect.name}: {defect.old!r} stands {text.count(defect.old)} times in {defect.file}")
    if defect.old == defect.new:
        raise DefectError(f"{defect.name}: old and new text are the same")
    return text.replace(defect.old, defect.new)


def check_sound(copy: Copy, defects: Sequence[Defect]) -> None:
    """Every defect can be planted, and without one every named test passes.

    Raises:
        DefectError: one cannot, or does not.
    """
    for defect in defects:
        planted(copy.root, defect)
    code, printed = copy.pytest(list(dict.fromkeys(defect.test for defect in defects)), 4 * _SECONDS)
    if code:
        raise DefectError(f"without any defect the tests end with code {code}:\n{printed[-3000:]}")


def plant(copy: Copy, defect: Defect) -> Outcome:
    """Plant one defect, run its test, take it back."""
    before = (copy.root / defect.file).read_text(encoding="utf-8")
    copy.write(defect.file, planted(copy.root, defect))
    try:
        code, printed = copy.pytest([defect.test], _SECONDS)
    finally:
        copy.write(defect.file, before)
    return Outcome(defect, code == 1, reading(printed, copy.root) if code == 1 else f"code {code}: {printed[-300:]}")


def plant_all(copy: Copy, defects: Iterable[Defect], tell: Callable[[str], None]) -> list[Outcome]:
    """Plant each in turn."""
    outcomes = []
    for defect in defects:
        outcome = plant(copy, defect)
        tell(f"{'caught' if outcome.caught else 'NOT CAUGHT'}: {defect.name}: {outcome.reading}")
        outcomes.append(outcome)
    return outcomes


def reading(printed: str, root: Path) -> str:
    """The failure in one line, without what differs from run to run."""
    summary = re.findall(r"^(?:FAILED|ERROR) \S+?(?:\[.*?\])? - (.*)$", printed, re.MULTILINE)
    errors = re.findall(r"^E +(.*\S)", printed, re.MULTILINE)
    text = summary[0] if summary else errors[0] if errors else "fails"
    if text.startswith("AssertionError: ") or text == "AssertionError":
        text = text.removeprefix("AssertionError").removeprefix(": ") or (errors[0] if errors else "")
    text = text.replace(str(root), "").replace(str(root.parent), "")
    text = re.sub(r"/tmp/\S*?pytest-\S*?/", "/tmp/", text)
    text = re.sub(r" at 0x[0-9a-f]+", "", text)
    return text if len(text) <= _LONGEST_READING else text[: _LONGEST_READING - 3].rstrip() + "..."
