"""A Hypothesis strategy for any node of the values schema.

hypothesis-jsonschema stops at draft-07, where keywords beside `$ref` do not count, and draws objects whose keys are all
optional as mostly empty ones; so the schema's own vocabulary, which is small, is read here.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from llm_serving_planner.output.schema import load_schema

Schema = dict[str, Any]
SCHEMA: Schema = load_schema()  # that of a user's document; Helm's demands the defaults too
# What breaks templates that forget to quote: YAML's own words and signs, Go templates, PromQL, text of several lines.
NASTY = (
    "", " ", "on", "no", "null", "~", "1e3", "0x1f", "1_000", "0123", "1048576", "2026-11-25", "a: b", "- a", "a # b",
    "'", '"', "\\", "\\d", "{{ .Values.x }}", "{{", "%", "@a", "*a", "&a", "!tag", "[", "{a: b}", "|", ">", "a\nb: c",
    "---\na: b", "a\tb", "\u00e9\u00df\u4e2d", "\U0001f999", "\u2028", "$(HOME)", "${HOME}", "`id`", "--flag", "a,b=c",
)  # fmt: skip
READABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Co", "Cn"]), max_size=12)
TEXT = st.one_of(st.sampled_from(NASTY), READABLE, ANY_TEXT)
LEAF: st.SearchStrategy[Any] = st.one_of(
    TEXT, st.booleans(), st.none(), st.integers(-(2**31), 2**40), st.floats(-1e6, 1e6, allow_nan=False)
)
JSON = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(READABLE, inner, max_size=3), max_leaves=5
)
WIDEST = 10**6  # of numbers that the schema leaves open above


def resolve(node: Schema) -> Schema:
    """The node with what it refers to; keywords beside a reference count, as from draft 2019-09 on."""
    if "$ref" not in node:
        return node
    beside = {key: value for key, value in node.items() if key != "$ref"}
    return {**resolve(SCHEMA["$defs"][node["$ref"].rsplit("/", 1)[-1]]), **beside}


def from_schema(given: Schema) -> st.SearchStrategy[Any]:
    """Values that a node admits, the unlikely ones too; KeyError for a keyword that is not read here."""
    node = resolve(given)
    if "const" in node:
        return st.just(node["const"])
    if "not" in node:  # of patterns only
        rest = {key: value for key, value in node.items() if key != "not"}
        wrong = re.compile(node["not"]["pattern"])
        return from_schema(rest).filter(lambda text: not wrong.search(text))
    if "enum" in node:
        return st.sampled_from(node["enum"])
    if "anyOf" in node:
        return st.one_of([from_schema(option) for option in node["anyOf"]])
    kinds = node["type"] if isinstance(node["type"], list) else [node["type"]]
    return st.one_of([_BY_TYPE[kind](node) for kind in kinds])


def _string(node: Schema) -> st.SearchStrategy[Any]:
    def fits(text: str) -> bool:
        return bool(node.get("minLength", 0) <= len(text) <= node.get("maxLength", 1000))

    if "pattern" not in node:
        return TEXT.filter(fits)
    # an anchor `$` of Python lets a line break follow, one of Go does not; `\\s` is wider here than there
    pattern = re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", node["pattern"]))
    ascii_only = st.characters(min_codepoint=32, max_codepoint=126)
    found = st.from_regex(pattern, fullmatch=True, alphabet=ascii_only).filter(fits)
    nasty = [text for text in NASTY if pattern.fullmatch(text) and fits(text)]
    return st.one_of(found, found, st.sampled_from(nasty)) if nasty else found


def _whole(node: Schema) -> st.SearchStrategy[Any]:
    low, high = node.get("minimum", -WIDEST), node.get("maximum", WIDEST)
    near = st.integers(low, min(high, low + 4))  # where products of sizes are equal now and then
    return st.one_of(near, near, st.sampled_from(sorted({low, high})), st.integers(low, high))


def _number(node: Schema) -> st.SearchStrategy[Any]:
    low: int = node["minimum"] if "minimum" in node else node.get("exclusiveMinimum", -WIDEST)
    high: int = node.get("maximum", WIDEST)
    floats = st.floats(low, high, allow_nan=False, exclude_min="exclusiveMinimum" in node)
    return st.one_of(
        st.sampled_from([low + (high - low) / 2, high, int(high)]), floats, st.integers(low + 1, int(high))
    )


def _array(node: Schema) -> st.SearchStrategy[Any]:
    items = from_schema(node["items"]) if "items" in node else JSON
    return st.lists(items, min_size=node.get("minItems", 0), max_size=3, unique_by=_unique(node))


def _unique(node: Schema) -> Any:
    return json.dumps if node.get("uniqueItems") else None


def _object(node: Schema) -> st.SearchStrategy[Any]:
    listed, needed = node.get("properties", {}), set(node.get("required", []))
    named = st.fixed_dictionaries(
        {key: from_schema(child) for key, child in listed.items() if key in needed},
        optional={key: from_schema(child) for key, child in listed.items() if key not in needed},
    )
    free = node.get("additionalProperties", True)
    patterns = {name.strip("^$"): from_schema(child) for name, child in node.get("patternProperties", {}).items()}
    if patterns and node.get("maxProperties") == 1:
        return st.one_of(st.just({}), *[st.fixed_dictionaries({name: value}) for name, value in patterns.items()])
    if free is False:
        return named
    names = from_schema(node["propertyNames"] | {"type": "string"}) if "propertyNames" in node else READABLE
    values = JSON if free is True else from_schema(free)
    own = st.builds(lambda first, second: {**first, **second}, named, st.fixed_dictionaries({}, optional=patterns))
    return st.builds(lambda more, found: {**more, **found}, st.dictionaries(names, values, max_size=3), own)


_BY_TYPE: dict[str, Callable[[Schema], st.SearchStrategy[Any]]] = {
    "string": _string,
    "integer": _whole,
    "number": _number,
    "boolean": lambda _: st.booleans(),
    "array": _array,
    "object": _object,
    "null": lambda _: st.none(),
}
