"""Reads the JSON tables that the package ships in data/."""

import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]

_FOLDER = Path(__file__).parent.parent / "data"  # importlib.resources would load archives and temporary files


def load_data(name: str) -> Json:
    """A table of the package by file name."""
    data: Json = json.loads((_FOLDER / name).read_text(encoding="utf-8"))
    return data
