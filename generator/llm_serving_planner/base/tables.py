"""Reads the JSON tables that the package ships in data/."""

import json
from importlib.resources import files
from typing import Any


def load_data(name: str) -> dict[str, Any]:
    """A table of the package by file name."""
    data: dict[str, Any] = json.loads(files("llm_serving_planner").joinpath("data", name).read_text(encoding="utf-8"))
    return data
