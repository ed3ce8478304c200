"""Removed keys: no key was removed yet, so each test injects some and runs the whole way."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from derived import schema_files
from llm_serving_planner.base.errors import InputError, SchemaError
from llm_serving_planner.output import removed, schema
from support.helm import CHART, ROOT, RefusedError, in_process, merge

GONE = [
    {"key": "engine.maxLen", "since": "0.2.0", "use": "engine.args.max-model-len"},
    {"key": "old.deep.key", "since": "0.2.0", "way": "Nothing reads it. Leave it away."},
]
GOOD = yaml.safe_load((CHART / "ci" / "default-values.yaml").read_text())


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """The chart of a version that removed two keys."""
    folder = tmp_path / "llm-serving"
    shutil.copytree(CHART, folder)
    (folder / "files" / "removed.json").write_text(json.dumps(GONE))
    source = (ROOT / "schema" / "values.schema.yaml").read_text()
    (folder / "values.schema.json").write_text(schema_files.schema_json(source, GONE))
    return folder


def refusal(chart: Path, values: dict[str, Any]) -> str | None:
    from helm_python import Chart, HelmError

    try:
        Chart.load(str(chart)).render(values, name="mistral")
    except HelmError as error:
        return str(error)
    return None


def test_values_without_them_render(chart: Path) -> None:
    assert refusal(chart, GOOD) is None


@pytest.mark.parametrize("value", [4096, "4096", False, {"a": 1}, []])
def test_the_chart_names_the_new_key(chart: Path, value: object) -> None:
    text = refusal(chart, merge(GOOD, {"engine": {"maxLen": value}}))
    assert text is not None
    assert "engine.maxLen is set, which was renamed in 0.2.0. Use engine.args.max-model-len." in text


def test_all_are_named_at_once_beside_other_problems(chart: Path) -> None:
    text = refusal(chart, merge(GOOD, {"old": {"deep": {"key": 1}}, "engine": {"maxLen": 1}, "model": {"id": ""}}))
    assert text is not None
    assert "llm-serving: 3 problems with the values:" in text
    assert "2. old.deep.key is set, which was removed in 0.2.0. Nothing reads it. Leave it away." in text


def test_what_was_never_a_key_is_still_the_schemas_affair(chart: Path) -> None:
    for stray in ({"old": {"deep": {"kye": 1}}}, {"engine": {"maxLenn": 1}}):
        text = refusal(chart, merge(GOOD, stray))
        assert text is not None
        assert "additional properties" in text


def test_without_its_place_in_the_schema_the_refusal_could_not_speak(chart: Path) -> None:
    """The reason for the mechanism: see it fail."""
    shutil.copy(CHART / "values.schema.json", chart / "values.schema.json")
    text = refusal(chart, merge(GOOD, {"engine": {"maxLen": 1}}))
    assert text is not None
    assert "max-model-len" not in text


def test_the_generator_names_the_new_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removed, "load", lambda: tuple(GONE))
    with pytest.raises(SchemaError) as caught:
        schema.validate(merge(GOOD, {"engine": {"maxLen": 1}, "old": {"deep": {"key": 1}}}), "my.yaml")
    assert str(caught.value) == (
        "my.yaml: /engine/maxLen: was renamed in 0.2.0; use engine.args.max-model-len; "
        "/old/deep/key: was removed in 0.2.0; Nothing reads it. Leave it away."
    )
    schema.validate(GOOD, "my.yaml")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"key": "engine.version", "since": "1.0.0", "use": "x"}, r"engine\.version is a key of the schema still"),
        ({"key": "replicas.min", "since": "1.0.0", "use": "x"}, r"replicas is no plain object of the schema"),
    ],
)
def test_the_table_must_fit_the_schema(entry: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        schema_files.schema_json((ROOT / "schema" / "values.schema.yaml").read_text(), [entry])


@pytest.mark.parametrize(
    "table", [{}, [3], [{"key": "a"}], [{"key": "a b", "since": "1.0.0", "use": "c"}],
              [{"key": "a", "since": "1.0.0", "use": "b", "way": "c"}]]
)  # fmt: skip
def test_the_table_keeps_its_form(table: object) -> None:
    with pytest.raises(InputError, match=r"schema/removed\.yaml: "):
        removed.check_table(table)


def test_the_committed_table_is_refused_by_the_committed_chart() -> None:
    """One rendered refusal per entry of the real table, so that none is forgotten."""
    for entry in removed.load():
        node: Any = 1
        for part in reversed(entry["key"].split(".")):
            node = {part: node}
        with pytest.raises(RefusedError, match=entry["key"]):
            in_process(merge(GOOD, node))
