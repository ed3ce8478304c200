"""Names that other charts give to what this chart has under another one: schema/idioms.yaml."""

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.output.removed import Entry, at


@cache
def load() -> tuple[Entry, ...]:
    """The table, from the package's own copy."""
    text = files("llm_serving_planner").joinpath("data", "idioms.json").read_text(encoding="utf-8")
    return tuple(json.loads(text))


def check_table(entries: Any) -> list[Entry]:
    """The table as read from YAML, checked.

    Raises:
        InputError: an entry has another form, or stands twice.
    """
    if not isinstance(entries, list) or any(not isinstance(one, dict) or set(one) != {"key", "use"} for one in entries):
        raise InputError("schema/idioms.yaml: a list of {key, use} is expected")
    keys = [entry["key"] for entry in entries]
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise InputError(f"schema/idioms.yaml: {', '.join(sorted(twice))} stands twice")
    return entries


def problems(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Such keys of a values document: JSON pointer, and the chart's own name."""
    for entry in load():
        if at(values, entry["key"]):
            yield "/" + entry["key"].replace(".", "/"), f"no key of this chart; use {entry['use']}"
