"""What the engines are called, and what is known of those with one release: data/engine_types.json, with sources."""

from functools import cache
from typing import Any

from llm_serving_planner.base import tables


@cache
def _data() -> dict[str, Any]:
    return tables.load_data("engine_types.json")


def facts(name: str) -> dict[str, Any]:
    """The entry of an engine."""
    found: dict[str, Any] = _data()[name]
    return found


def label(name: str) -> str:
    """The engine's name as people write it."""
    return str(facts(name)["label"])
