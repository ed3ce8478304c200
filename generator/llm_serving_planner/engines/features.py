"""What each version of vLLM serves, as read from its packages (data/vllm_support.json)."""

from functools import cache
from typing import Any

from llm_serving_planner.base import tables
from llm_serving_planner.engines import versions


@cache
def _versions() -> dict[str, Any]:
    data: dict[str, Any] = tables.load_data("vllm_support.json")["versions"]
    return data


def known(version: str) -> tuple[str, dict[str, Any]]:
    """(version that was read, its entry): the newest that is not after `version`, else the oldest."""
    chosen = next(iter(_versions()))
    for read in _versions():
        if versions.not_after(read, version):
            chosen = read
    return chosen, _versions()[chosen]


def was_read(version: str) -> bool:
    """Whether that very version was read, so that its lists are facts and not a neighbour's."""
    return version in _versions()


def serves(version: str, what: str, name: str) -> bool:
    """Whether the list `what` (lora, eagle3, tool_parsers ...) of that version names `name`."""
    return name in known(version)[1][what]


def names(version: str, what: str) -> tuple[str, ...]:
    """A list of that version."""
    return tuple(known(version)[1][what])
