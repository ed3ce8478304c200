"""Files that follow from schema/: schemas of chart and package, removed keys and other charts' names, docs/values.md.

The chart's schema names the known keys where it refuses one; the package's copy leaves that to `validate`.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from llm_serving_planner.base.documents import load_values
from llm_serving_planner.base.tables import Json
from llm_serving_planner.output import idioms, removed

_MARK = "GENERATED from schema/values.schema.yaml by `make generate`"


def schema_json(source: str, gone: Sequence[removed.Entry] = ()) -> str:
    """The JSON form of the YAML source, marked as generated.

    It has no descriptions, a place for each key of the tables (removed keys, other charts' names), and lets keys
    through that begin with `x-`.
    """
    schema = removed.let_through(with_free_keys(_without_descriptions(yaml.safe_load(source))), gone)
    schema = {"$schema": schema.pop("$schema"), "$comment": _MARK, **schema}
    return json.dumps(schema, indent=2) + "\n"


def _without_descriptions(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: _without_descriptions(value)
            for key, value in node.items()
            if not (key == "description" and isinstance(value, str))
        }
    if isinstance(node, list):
        return [_without_descriptions(item) for item in node]
    return node


def naming(schema: Json) -> Json:
    """The schema for Helm, which names the known keys of a place where it refuses one.

    Helm's own words for an unknown key leave the reader to look up what there is; an enum of names says it. No default
    is demanded: an override of null takes one away, and the chart puts what is empty in its place.
    """
    return {**_naming(schema), "$defs": {name: _naming(node) for name, node in schema["$defs"].items()}}


def _naming(node: Json) -> Json:
    if "properties" not in node:
        return node
    found = {**node, "properties": {key: _naming(child) for key, child in node["properties"].items()}}
    if node.get("additionalProperties") is False and "^x-" in node.get("patternProperties", {}):
        known = sorted(key for key, child in node["properties"].items() if not child.get("deprecated"))
        # `deprecated` marks removed keys and other charts' names, which pass here and are refused by the chart
        gone = sorted(key for key, child in node["properties"].items() if child.get("deprecated"))
        pattern = "^x-" if not gone else f"^(x-.*|{'|'.join(gone)})$"
        found["propertyNames"] = {"if": {"not": {"pattern": pattern}}, "then": {"enum": known}}
    return found


def with_free_keys(schema: Json) -> Json:
    """The schema with keys that begin with `x-` let through wherever keys are known, for YAML anchors and notes."""
    sections = {name: node for name, node in schema["$defs"].items() if name in _SECTIONS}
    return {
        **_with_free_keys(schema),
        "$defs": {**schema["$defs"], **{k: _with_free_keys(v) for k, v in sections.items()}},
    }


_SECTIONS = ("image", "secret", "monitor", "probe")  # parts of the schema that are sections of the values


def _with_free_keys(node: Json) -> Json:
    if "properties" not in node:
        return node
    found = {**node, "properties": {key: _with_free_keys(child) for key, child in node["properties"].items()}}
    if node.get("additionalProperties") is False:
        found["patternProperties"] = {**node.get("patternProperties", {}), "^x-": {}}
    return found


def emptied(schema: Json, defaults: Json) -> Json:
    """What stands in place of each default that null takes away: nothing of its kind.

    Text, lists and maps become empty and switches false. A number or a choice has no empty value, so there the chart's
    own default stays.
    """
    return _emptied(schema, schema, defaults)


def _emptied(schema: Json, node: Json, defaults: Json) -> Json:
    found: Json = {}
    for key, child in resolve_node(schema, node)["properties"].items():
        if key not in defaults:
            continue  # a removed key
        inner = resolve_node(schema, child)
        found[key] = _emptied(schema, inner, defaults[key]) if "properties" in inner else _empty(inner, defaults[key])
    return found


def _empty(node: Json, default: Any) -> Any:
    if isinstance(default, bool):
        return False
    kinds: Sequence[Any] = ({}, [], "")
    of_kind = next((kind for kind in kinds if isinstance(default, type(kind))), None)
    if of_kind is None or "$ref" in json.dumps(node):
        return of_kind if isinstance(default, (dict, list)) else default
    return of_kind if jsonschema.Draft202012Validator(node).is_valid(of_kind) else default


def reference_markdown(schema: Json, defaults: Json) -> str:
    """docs/values.md: every key with type, default and description.

    Args:
        schema: the YAML source, descriptions included.
        defaults: the chart's values.yaml.
    """
    lines = [
        f"<!-- {_MARK} -->",
        "# Values of the chart",
        "",
        "| Key | Type | Default | What it does |",
        "|---|---|---|---|",
    ]
    for path, node, text in leaves(schema):
        default: Any = defaults
        for part in path:
            default = default[part]
        shown = json.dumps(default).replace("|", "\\|")
        lines.append(f"| `{'.'.join(path)}` | {type_text(schema, node)} | `{shown}` | {' '.join(text.split())} |")
    return "\n".join(lines) + "\n"


def resolve_node(schema: Json, node: Json) -> Json:
    """A node with its `$ref` followed; what stands beside the reference wins."""
    if "$ref" in node:
        name = node["$ref"].removeprefix("#/$defs/")
        return {**schema["$defs"][name], **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def leaves(schema: Json) -> Iterable[tuple[tuple[str, ...], Json, str]]:
    """(path, node, description) of every key that takes a value, in the order of the schema."""
    return _leaves(schema, schema, ())


def _leaves(schema: Json, node: Json, path: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], Json, str]]:
    for key, child in node.get("properties", {}).items():
        resolved = resolve_node(schema, child)
        if resolved.get("properties"):
            yield from _leaves(schema, resolved, (*path, key))
        else:
            yield (*path, key), resolved, resolved.get("description", "")


def type_text(schema: Json, node: Json) -> str:
    """The type as Markdown says it."""
    if "enum" in node:
        return "one of " + ", ".join(f"`{value}`" for value in node["enum"])
    if "anyOf" in node:
        return " or ".join(type_text(schema, resolve_node(schema, option)) for option in node["anyOf"])
    if "const" in node:
        return "empty" if node["const"] == "" else f"`{node['const']}`"
    return str(node.get("type", "any"))


def _values_json(schema: Json, defaults: Json) -> str:
    """files/values.json: what the templates must know of the values that they are not given."""
    made = {"_generated": _MARK, "defaults": defaults, "empty": emptied(schema, defaults)}
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def generated_files(root: Path) -> dict[Path, str]:
    """Every file that follows from the schema, as path and text."""
    source = (root / "schema" / "values.schema.yaml").read_text(encoding="utf-8")
    gone = removed.check_table(yaml.safe_load((root / "schema" / "removed.yaml").read_text(encoding="utf-8")))
    foreign = idioms.check_table(yaml.safe_load((root / "schema" / "idioms.yaml").read_text(encoding="utf-8")))
    text = schema_json(source, [*gone, *foreign])
    table, names = (json.dumps(entries, indent=2) + "\n" for entries in (gone, foreign))
    chart = root / "charts" / "llm-serving"
    package = root / "generator" / "llm_serving_planner" / "data"
    defaults = load_values(chart / "values.yaml")
    return {
        chart / "values.schema.json": json.dumps(naming(json.loads(text)), indent=2) + "\n",
        chart / "files" / "values.json": _values_json(yaml.safe_load(source), defaults),
        chart / "files" / "idioms.json": names,
        package / "idioms.json": names,
        package / "values.schema.json": text,
        chart / "files" / "removed.json": table,
        package / "removed.json": table,
        package / "gpu-profile.schema.json": (root / "schema" / "gpu-profile.schema.json").read_text(encoding="utf-8"),
        root / "docs" / "values.md": reference_markdown(yaml.safe_load(source), defaults),
    }
