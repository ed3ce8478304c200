"""jsonschema (the generator) and Helm accept and refuse the same documents.

Each line of tests/data/documents.yaml is one document, laid over a minimal one that is accepted. Documents are whole
for jsonschema too: it sees them merged with the chart's defaults, as Helm does.
"""

from typing import Any

import pytest
import yaml
from llm_serving_planner.base.errors import SchemaError
from llm_serving_planner.output.schema import validate
from support.helm import CHART, ROOT, RefusedError, Renderer, merge

DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
DOCUMENTS = yaml.safe_load((ROOT / "tests" / "data" / "documents.yaml").read_text())
MODEL = {"model": {"id": "org/model"}}


def label(document: Any) -> str:
    return yaml.safe_dump(document, default_flow_style=True).strip()[:60]


@pytest.mark.parametrize("document", DOCUMENTS["accepted"], ids=label)
def test_both_accept(render: Renderer, document: dict[str, Any]) -> None:
    validate(merge(DEFAULTS, document), "document")
    validate(document, "document")
    render(merge(MODEL, document))


@pytest.mark.parametrize("document", DOCUMENTS["refused"], ids=label)
def test_both_refuse(render: Renderer, document: dict[str, Any]) -> None:
    with pytest.raises(SchemaError):
        validate(merge(DEFAULTS, document), "document")
    with pytest.raises(RefusedError, match="values don't meet the specifications of the schema"):
        render(merge(MODEL, document))


def test_there_are_enough_documents() -> None:
    assert len(DOCUMENTS["accepted"]) + len(DOCUMENTS["refused"]) >= 60


def test_an_unknown_key_gets_a_suggestion() -> None:
    with pytest.raises(SchemaError, match="/parallelism/tensr: unknown key; did you mean tensor"):
        validate({"parallelism": {"tensr": 2}}, "file")


def test_all_problems_are_named() -> None:
    with pytest.raises(SchemaError) as refused:
        validate({"replicas": -1, "platform": "vms", "x": 1}, "file")
    assert [path for path, _ in refused.value.problems] == ["/platform", "/replicas", "/x"]
