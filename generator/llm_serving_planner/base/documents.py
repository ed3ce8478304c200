"""YAML documents in which every key stands once."""

from pathlib import Path
from typing import Any

import yaml

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.files import read_text
from llm_serving_planner.base.tables import Json


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
