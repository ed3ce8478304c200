"""Reads the JSON tables that the package ships in data/."""

import json
import os.path
from typing import Any

Json = dict[str, Any]

# Neither pathlib nor importlib.resources: what they import takes longer than a plan.
_FOLDER = os.path.join(os.path.dirname(os.path.dirname(__file__)), "data")


def read_data(name: str) -> str:
    """The text of a table of the package by file name."""
    with open(os.path.join(_FOLDER, name), encoding="utf-8") as file:
        return file.read()


def load_data(name: str) -> Json:
    """A table of the package by file name."""
    data: Json = json.loads(read_data(name))
    return data
