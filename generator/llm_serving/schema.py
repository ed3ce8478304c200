"""The values schema: read, turned into what Helm and readers need, and applied to documents."""

import difflib
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from llm_serving import removed
from llm_serving.errors import InputError, SchemaError

Json = dict[str, Any]
_MARK = "GENERATED from schema/values.schema.yaml by `make generate`"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML in which a key may stand only once per mapping."""


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        try:
            duplicate = key in found
        except TypeError as error:
            raise yaml.constructor.ConstructorError(
                None, None, "a key must be a scalar", key_node.start_mark
            ) from error
        if duplicate:
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load_values(path: Path) -> Json:
    """A YAML file as a mapping.

    Raises:
        InputError: unreadable, not YAML, a key twice (with its line), empty, or no mapping.
    """
    documents = parse_documents(read_text(path), str(path))
    if len(documents) > 1:
        raise InputError(f"{path}: holds {len(documents)} YAML documents; one is expected")
    data = documents[0] if documents else None
    if not isinstance(data, dict):
        what = "is empty" if data is None else f"holds a {type(data).__name__}"
        raise InputError(f"{path}: {what}; a mapping is expected")
    return data


def read_text(path: Path) -> str:
    """The text of a user's file.

    Raises:
        InputError: unreadable or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start})") from error


def parse_documents(text: str, where: str) -> list[Any]:
    """Every YAML document of a text (JSON is YAML too); a key may stand only once per mapping.

    Raises:
        InputError: not YAML, or a key twice, with the line.
    """
    try:
        return list(yaml.load_all(text, _Loader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise InputError(f"{where}: line {line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{where}: is not YAML ({str(error).splitlines()[0]})") from error


@cache
def load_schema() -> Json:
    """The schema as Helm sees it, from the package's own copy."""
    schema: Json = json.loads(files("llm_serving").joinpath("data", "values.schema.json").read_text(encoding="utf-8"))
    return schema


def validate(values: Json, where: str) -> None:
    """Check a values document.

    Raises:
        SchemaError: all problems, each with its path and the way out.
    """
    gone = list(removed.problems(values, removed.load()))
    if gone:
        raise SchemaError(where, gone)
    validate_with(load_schema(), values, where)


def validate_with(schema: Json, document: Json, where: str) -> None:
    """Check a document against any schema of this project.

    Raises:
        SchemaError: all problems.
    """
    import jsonschema

    found = jsonschema.Draft202012Validator(schema).iter_errors(document)
    problems = sorted({problem for error in found for problem in _explain(error)})
    if problems:
        raise SchemaError(where, problems)


def _explain(error: Any) -> Iterator[tuple[str, str]]:
    path = "/" + "/".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.schema.get("properties"), dict):
        known = error.schema["properties"]
        for key in sorted(str(key) for key in error.instance if key not in known):
            near = difflib.get_close_matches(key, known, n=1)
            way = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
            yield f"{path.rstrip('/')}/{key}", f"unknown key; {way}"
    elif error.validator in {"anyOf", "oneOf"} and error.context:
        texts = sorted({text for inner in error.context for _, text in _explain(inner)})
        yield path, " or ".join(texts)
    elif error.validator == "enum":
        yield path, f"{error.instance!r} is not one of {', '.join(str(value) for value in error.validator_value)}"
    elif error.validator == "pattern":
        yield path, f"{error.instance!r} does not match {error.validator_value}"
    else:
        yield path, str(error.message)


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
    package = root / "generator" / "llm_serving" / "data"
    defaults = load_values(chart / "values.yaml")
    return {
        chart / "values.schema.json": json.dumps(demanding(json.loads(text), defaults), indent=2) + "\n",
        package / "values.schema.json": text,
        chart / "files" / "removed.json": table,
        package / "removed.json": table,
        package / "gpu-profile.schema.json": (root / "schema" / "gpu-profile.schema.json").read_text(encoding="utf-8"),
        root / "docs" / "values.md": reference_markdown(yaml.safe_load(source), defaults),
    }
