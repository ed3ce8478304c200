"""Engine versions as text and as comparable tuples."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from llm_serving_planner.base.errors import InputError

Version = tuple[int, ...]


@cache
def parse_version(text: str) -> Version:
    """`0.33.0`, `v0.33.0` or `0.8.5.post1` as a comparable tuple.

    Raises:
        InputError: not such a version.
    """
    parts = text.removeprefix("v").replace(".post", ".").split(".")
    if not 2 <= len(parts) <= 4 or not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(f"engine version {text!r} is not of the form 0.33.0")
    return tuple(int(part) for part in parts)


def entry_for(entries: Iterable[dict[str, Any]], version: str) -> dict[str, Any] | None:
    """Last entry whose `from` is not after `version`; None when all are. Entries ascend."""
    wanted, chosen = parse_version(version), None
    for entry in entries:
        if wanted >= parse_version(entry["from"]):
            chosen = entry
    return chosen


def not_after(version: str, last: str) -> bool:
    """True up to and including version `last`."""
    return parse_version(version) <= parse_version(last)
