"""Random values documents that the schema admits.

A document is a valid one that is committed (a ci file, a generated values file, or one laid over another) with several
keys set anew, each to whatever the schema admits there: the KEYS_OF_A_HAND keys of one hand, into which all keys of the
schema are dealt out so that none is left out by chance, and up to MOST_OTHERS more.
"""

from collections.abc import Iterator
from typing import Any

import yaml
from fuzz.kubernetes import PASSED_THROUGH, containers
from fuzz.strategies import SCHEMA, Schema, from_schema, resolve
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from support.helm import CHART, ROOT, merge

KEYS_OF_A_HAND = 3
MOST_OTHERS = 4
Values = dict[str, Any]


def drawing(documents: int, tests: int, ordinary: int) -> settings:
    """How each of so many tests draws its part of the documents.

    Up to `ordinary` of them are the same each time, so that a run judges the change and not the dice.
    """
    return settings(
        max_examples=-(-documents // tests), derandomize=documents <= ordinary,
        suppress_health_check=list(HealthCheck), phases=set(Phase) - {Phase.explain},
    )  # fmt: skip


def _leaves(node: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    for key, child in node.get("properties", {}).items():
        inner = resolve(child)
        if inner.get("deprecated"):
            continue  # a removed key: tests/chart/test_removed.py has them all
        if "properties" in inner:
            yield from _leaves(inner, f"{path}{key}.")
        else:
            yield f"{path}{key}", inner


LEAVES = dict(_leaves(SCHEMA))


def _strategy(path: str, node: Schema) -> st.SearchStrategy[Any]:
    last = path.rsplit(".", 1)[-1]
    if last in {"initContainers", "sidecars"}:
        return containers(from_schema(node))
    passed = last in PASSED_THROUGH and node.get("type") in {"array", "object"}
    return PASSED_THROUGH[last] if passed else from_schema(node)


STRATEGIES = {path: _strategy(path, node) for path, node in LEAVES.items()}
FILES = [
    *sorted((CHART / "ci").glob("*-values.yaml")),
    *sorted(path for path in (ROOT / "values").glob("*.yaml") if path.name != "catalog.yaml"),
]
BASES: list[Values] = [yaml.safe_load(path.read_text()) or {} for path in FILES]


def at(values: Any, path: str) -> Any:
    """What stands at a dotted key; None where nothing does."""
    for part in path.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def put(values: Values, path: str, value: Any) -> Values:
    """The document with one key set to a value, in place of all that stood there."""
    first, _, rest = path.partition(".")
    return {**values, first: put(values.get(first, {}), rest, value) if rest else value}


def hands() -> list[tuple[str, ...]]:
    """All keys, dealt out so that neighbours in the schema come into different hands."""
    keys = list(LEAVES)
    count = -(-len(keys) // KEYS_OF_A_HAND)
    return [tuple(keys[start::count]) for start in range(count)]


def _neighbours(path: str) -> list[Values]:
    """Committed documents that use what the key belongs to: there it matters most."""
    parent = path.rpartition(".")[0]
    found = [base for base in BASES if isinstance(at(base, parent), dict)] if parent else []
    return found or BASES


@st.composite
def documents(draw: st.DrawFn, hand: tuple[str, ...]) -> tuple[Values, Values]:
    """A document, and which keys of it were set anew, to what."""
    keys = {*hand, *draw(st.lists(st.sampled_from(list(LEAVES)), max_size=MOST_OTHERS))}
    near = st.sampled_from(hand).flatmap(lambda key: st.sampled_from(_neighbours(key)))
    base = draw(st.one_of(near, st.sampled_from(BASES)))
    if draw(st.integers(0, 3)) == 0:
        base = merge(base, draw(st.sampled_from(BASES)))
    changes = {key: draw(STRATEGIES[key], label=key) for key in sorted(keys)}
    for key, value in changes.items():
        base = put(base, key, value)
    return base, changes
