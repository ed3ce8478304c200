"""The reference of the chart's values, from the schema's YAML source and the chart's defaults."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from derived.schema_files import leaves, resolve_node, type_text
from llm_serving_planner.base.documents import load_values
from markupsafe import Markup, escape

TOP = "Top level"  # group of the keys that lie below no other


@dataclass(frozen=True, slots=True)
class Key:
    """One key that takes a value."""

    path: str
    type: str
    default: str
    text: str

    @property
    def html(self) -> Markup:
        """The description."""
        return inline(self.text)


@dataclass(frozen=True, slots=True)
class Group:
    """The keys below one key of the first level."""

    name: str
    about: str
    keys: tuple[Key, ...]

    @property
    def html(self) -> Markup:
        """What the group is about."""
        return inline(self.about)


def groups(root: Path) -> list[Group]:
    """Every key, in the order of the schema."""
    schema = yaml.safe_load((root / "schema" / "values.schema.yaml").read_text(encoding="utf-8"))
    defaults = load_values(root / "charts" / "llm-serving" / "values.yaml")
    found: dict[str, list[Key]] = {}
    for path, node, text in leaves(schema):
        value: Any = defaults
        for part in path:
            value = value[part]
        key = Key(".".join(path), type_text(schema, node).replace("`", ""), json.dumps(value), " ".join(text.split()))
        found.setdefault(path[0] if len(path) > 1 else TOP, []).append(key)
    return [Group(name, _about(schema, name), tuple(keys)) for name, keys in found.items()]


def _about(schema: dict[str, Any], name: str) -> str:
    return "" if name == TOP else str(resolve_node(schema, schema["properties"][name]).get("description", ""))


def inline(text: str) -> Markup:
    """Escaped, with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
