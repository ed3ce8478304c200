"""Files that follow from schema/: the schemas of chart and package, the removed keys, docs/values.md.

The chart's schema demands every key that has a default; the package's copy judges a user's few keys and demands none.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from llm_serving_planner.base.documents import load_values
from llm_serving_planner.base.tables import Json
from llm_serving_planner.output import removed

_MARK = "GENERATED from schema/values.schema.yaml by `make generate`"


def schema_json(source: str, gone: Sequence[removed.Entry] = ()) -> str:
    """The JSON form of the YAML source: without descriptions, with a place for removed keys, marked as generated."""
    schema = removed.let_through(_without_descriptions(yaml.safe_load(source)), gone)
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


def demanding(schema: Json, defaults: Json) -> Json:
    """The schema for a document with its defaults, as Helm judges it: every key that has a default must be there.

    An override of null takes a default away, and no template expects that. A user's own document holds few keys, so
    the package's copy demands none.

    Args:
        schema: the schema for a user's document.
        defaults: the chart's values.yaml.
    """
    return {**schema, **_demanded(schema, schema, defaults)}


def _demanded(schema: Json, node: Json, defaults: Json) -> Json:
    listed = resolve_node(schema, node).get("properties", {})
    found = {**node, "required": [key for key in listed if key in defaults]}
    if "properties" in node:
        found["properties"] = {
            key: _demanded(schema, child, defaults[key])
            if defaults.get(key) and isinstance(defaults[key], dict) and key != "global"  # which a parent shares
            else child
            for key, child in listed.items()
        }
    return found


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


def generated_files(root: Path) -> dict[Path, str]:
    """Every file that follows from the schema, as path and text."""
    source = (root / "schema" / "values.schema.yaml").read_text(encoding="utf-8")
    gone = removed.check_table(yaml.safe_load((root / "schema" / "removed.yaml").read_text(encoding="utf-8")))
    text = schema_json(source, gone)
    table = json.dumps(gone, indent=2) + "\n"
    chart = root / "charts" / "llm-serving"
    package = root / "generator" / "llm_serving_planner" / "data"
    defaults = load_values(chart / "values.yaml")
    return {
        chart / "values.schema.json": json.dumps(demanding(json.loads(text), defaults), indent=2) + "\n",
        package / "values.schema.json": text,
        chart / "files" / "removed.json": table,
        package / "removed.json": table,
        package / "gpu-profile.schema.json": (root / "schema" / "gpu-profile.schema.json").read_text(encoding="utf-8"),
        root / "docs" / "values.md": reference_markdown(yaml.safe_load(source), defaults),
    }
