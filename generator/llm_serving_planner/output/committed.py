"""values/catalog.yaml: which values files are generated, under which name and with which options."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llm_serving_planner.base.documents import load_values
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.planner.options import Options, options_of, table

_KEYS = frozenset({"name", "model", "profile", "options", "about"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One values file: `values/<name>-<profile>.yaml`."""

    name: str
    model: str
    profile: str
    options: Options


def load_catalog(path: Path) -> list[Entry]:
    """Entries in file order.

    Raises:
        InputError: unreadable, not of the expected form, or two entries of one name and profile.
    """
    document = load_values(path)
    entries = document.get("values")
    if not isinstance(entries, list):
        raise InputError(f"{path}: a list under the key 'values' is expected")
    found = [_entry(path, index, data) for index, data in enumerate(entries)]
    names = [(entry.name, entry.profile) for entry in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{path}: {name[0]} on {name[1]} is listed twice")
    return found


def _entry(path: Path, index: int, data: Any) -> Entry:
    where = f"{path}: entry {index + 1}"
    if not isinstance(data, dict):
        raise InputError(f"{where}: a mapping with name, model and profile is expected")
    unknown = set(data) - _KEYS
    missing = {"name", "model", "profile"} - set(data)
    if unknown or missing:
        raise InputError(f"{where}: unknown keys {sorted(unknown)}, missing keys {sorted(missing)}")
    options = data.get("options") or {}
    known = {row.name for row in table()}
    if not isinstance(options, dict) or set(options) - known:
        raise InputError(f"{where}: options may be {', '.join(sorted(known))}")
    return Entry(
        name=str(data["name"]),
        model=str(data["model"]),
        profile=str(data["profile"]),
        options=replace(options_of(options | {"name": str(data["name"])}), about=data.get("about")),
    )
