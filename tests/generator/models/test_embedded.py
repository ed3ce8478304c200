"""The embedded catalogue, read row by row or whole."""

import pytest
from llm_serving_planner.base.tables import load_data
from llm_serving_planner.models import embedded
from llm_serving_planner.models.spec import spec_from_dict


def test_each_model_is_what_its_row_says_however_it_is_spelt() -> None:
    models = load_data("catalogue.json")["models"]
    assert len(models) > 200
    for name, row in models.items():
        assert embedded.find(name) == spec_from_dict(row)
    for name in list(models)[::20]:
        assert embedded.find(name.upper()) == spec_from_dict(models[name])


def test_a_known_model_is_found_without_reading_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_data", None)
    for name in load_data("catalogue.json")["models"]:
        assert embedded.find(name) is not None


def test_what_is_not_a_model_is_none() -> None:
    assert [embedded.find(name) for name in ("", "org/none", "models", "date", 'a": {"b')] == [None] * 5
    assert all(embedded.find(name) is None for name in load_data("catalogue.json")["refused"])
