"""Keys that values files once had: one table (schema/removed.yaml) for the schema, the chart and the generator."""

import copy
import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from llm_serving_planner.base.errors import InputError

Entry = dict[str, str]


@cache
def load() -> tuple[Entry, ...]:
    """The table, from the package's own copy."""
    text = files("llm_serving_planner").joinpath("data", "removed.json").read_text(encoding="utf-8")
    return tuple(json.loads(text))


def check_table(entries: Any) -> list[Entry]:
    """The table as read from YAML, checked.

    Raises:
        InputError: an entry has another form.
    """
    if not isinstance(entries, list):
        raise InputError("schema/removed.yaml: a list is expected")
    for entry in entries:
        keys = set(entry) if isinstance(entry, dict) else set()
        if keys not in ({"key", "since", "use"}, {"key", "since", "way"}) or not re.fullmatch(
            r"[\w-]+(\.[\w-]+)*", str(entry["key"])
        ):
            raise InputError(f"schema/removed.yaml: {entry!r} needs key, since, and use or way")
    return entries


def let_through(schema: dict[str, Any], entries: Sequence[Entry]) -> dict[str, Any]:
    """The schema with a place for each removed key.

    `additionalProperties: false` would refuse it first, with Helm's words and without the new name. A removed key may
    hold anything here, because the chart refuses it in any case.

    Raises:
        InputError: a removed key is in the schema still, or lies below a scalar.
    """
    schema = copy.deepcopy(schema)
    for entry in entries:
        node = schema
        *parents, last = entry["key"].split(".")
        for part in parents:
            node = node.setdefault("properties", {}).setdefault(
                part, {"type": "object", "additionalProperties": False, "deprecated": True}
            )
            if "$ref" in node or node.get("type") != "object":
                raise InputError(f"schema/removed.yaml: {entry['key']}: {part} is no plain object of the schema")
        if last in node.setdefault("properties", {}):
            raise InputError(f"schema/removed.yaml: {entry['key']} is a key of the schema still")
        node["properties"][last] = {"deprecated": True}
    return schema


def problems(values: dict[str, Any], entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    """Removed keys of a values document: JSON pointer, and what to do."""
    for entry in entries:
        if at(values, entry["key"]):
            done, way = ("renamed", f"use {entry['use']}") if "use" in entry else ("removed", entry["way"])
            yield "/" + entry["key"].replace(".", "/"), f"was {done} in {entry['since']}; {way}"


def at(values: Any, key: str) -> bool:
    """Whether a document has a dotted key, whatever it holds."""
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            return False
        values = values[part]
    return True
