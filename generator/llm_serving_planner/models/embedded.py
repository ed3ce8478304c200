"""The embedded catalogue: derived facts of public models, so that planning works without any network."""

import json
from functools import cache
from typing import Any

from llm_serving_planner.base.tables import load_data, read_data
from llm_serving_planner.models.spec import ModelSpec, spec_from_dict


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = load_data("catalogue.json")
    return data


@cache
def _text() -> str:
    return read_data("catalogue.json")


def model_ids() -> list[str]:
    """Ids of the models that can be planned offline."""
    return list(_data()["models"])


def date() -> str:
    """Day on which the facts were read."""
    return str(_data()["date"])


def find(model_id: str) -> ModelSpec | None:
    """The model of that id, letter case aside; None when the catalogue has none."""
    entry = _row(model_id)
    if entry is None:
        models = _data()["models"]
        by_lower = {name.lower(): name for name in models}
        entry = models.get(by_lower.get(model_id.lower(), ""))
    return spec_from_dict(entry) if entry is not None else None


def _row(model_id: str) -> dict[str, Any] | None:
    """The row of a model that is spelt as in the file: read by itself, since each has a line of its own."""
    text, key = _text(), f"\n    {json.dumps(model_id)}: {{"
    start = text.find(key)
    if start < 0:
        return None
    row: dict[str, Any] = json.JSONDecoder().raw_decode(text, start + len(key) - 1)[0]
    return row


def refusal(model_id: str) -> str | None:
    """Why a model that is known by name cannot be planned; None when it is not such a model."""
    refused = {name.lower(): reason for name, reason in _data()["refused"].items()}
    reason = refused.get(model_id.lower())
    return None if reason is None else str(reason)
