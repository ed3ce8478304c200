"""CHANGELOG.md in the form of Keep a Changelog 1.1.0: read, checked, and turned for a release."""

import re
from dataclasses import dataclass, field

from llm_serving_planner.base.errors import InputError

UNRELEASED = "Unreleased"
# The same six in Keep a Changelog 1.1.0 and in Artifact Hub's annotations (both read 2026-11).
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?")
_HEADING = re.compile(rf"## \[(?P<version>{UNRELEASED}|{SEMVER.pattern})\](?: - (?P<date>\d{{4}}-\d\d-\d\d))?")


@dataclass(slots=True)
class Section:
    """One version: its date (none for what is not released), and its entries by kind."""

    version: str
    date: str | None
    entries: dict[str, list[str]] = field(default_factory=dict)


def parse(text: str) -> list[Section]:
    """Sections, newest first.

    Raises:
        InputError: the form is broken, with the line.
    """
    sections: list[Section] = []
    kind: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        where = f"CHANGELOG.md: line {number}"
        if line.startswith("## "):
            sections.append(_section(line, sections, where))
            kind = None
        elif line.startswith("### "):
            kind = line.removeprefix("### ")
            if kind not in KINDS or not sections or kind in sections[-1].entries:
                raise InputError(f"{where}: {kind!r} must be one of {', '.join(KINDS)}, once per version")
            sections[-1].entries[kind] = []
        elif sections and line.strip():
            _entry(line, sections[-1], kind, where)
    if not sections or sections[0].version != UNRELEASED:
        raise InputError(f"CHANGELOG.md: the first section must be [{UNRELEASED}]")
    return sections


def _section(line: str, before: list[Section], where: str) -> Section:
    found = _HEADING.fullmatch(line)
    if found is None or (found["date"] is None) != (found["version"] == UNRELEASED):
        raise InputError(f"{where}: {line!r} must be `## [x.y.z] - YYYY-MM-DD` or `## [{UNRELEASED}]`")
    released = [section for section in before if section.date]
    if found["version"] == UNRELEASED and before:
        raise InputError(f"{where}: [{UNRELEASED}] must stand first, once")
    if released and order(found["version"]) >= order(released[-1].version):
        raise InputError(f"{where}: {found['version']} must be older than {released[-1].version} above it")
    return Section(found["version"], found["date"])


def _entry(line: str, section: Section, kind: str | None, where: str) -> None:
    if re.match(r"\[[^\]]+\]: ", line):
        return  # a link's target
    if kind is None:
        raise InputError(f"{where}: stands under no kind ({', '.join(KINDS)})")
    if line.startswith("- "):
        section.entries[kind].append(line.removeprefix("- "))
    elif line.startswith("  ") and section.entries[kind]:
        section.entries[kind][-1] += f" {line.strip()}"
    else:
        raise InputError(f"{where}: entries begin with `- ` and go on with two blanks")


def order(version: str) -> tuple[tuple[int, int, int], bool, list[tuple[bool, int, str]]]:
    """Sort key of a version by the rules of SemVer 2.0.0, section 11.

    Raises:
        InputError: it is no SemVer version.
    """
    found = SEMVER.fullmatch(version)
    if found is None:
        raise InputError(
            f"VERSION {version!r} is not x.y.z", hint="SemVer without a v in front, such as 0.2.0 or 1.0.0-rc.1"
        )
    parts = (found[4] or "").removeprefix("-").split(".") if found[4] else []
    key = [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]
    return (int(found[1]), int(found[2]), int(found[3])), not parts, key


def current(sections: list[Section], version: str) -> Section:
    """The section of a version; what is not released yet stands for a version that has none."""
    return next((section for section in sections if section.version == version), sections[0])


def release(text: str, version: str, date: str) -> str:
    """The changelog after a release: [Unreleased] becomes the version, a new empty one stands above.

    Raises:
        InputError: nothing to release, or the version is not newer than all others.
    """
    sections = parse(text)
    if not any(sections[0].entries.values()):
        raise InputError(f"CHANGELOG.md: [{UNRELEASED}] is empty: there is nothing to release")
    newest = sections[1].version if len(sections) > 1 else "0.0.0-0"
    if order(version) <= order(newest):
        raise InputError(f"VERSION {version} is not newer than {newest} in CHANGELOG.md")
    return text.replace(f"## [{UNRELEASED}]\n", f"## [{UNRELEASED}]\n\n## [{version}] - {date}\n", 1)
