"""files/engines.json of the chart: made from schema/engines.yaml, which must agree with the engines' own parsers."""

import json
from typing import Any

import pytest
from derived.chart_data import ChartDataError, by_name, chart_data, engine, first_versions, metrics
from support.helm import CHART, ROOT

FACTS: dict[str, Any] = {
    "command": ["serve"], "python": ["python3"], "apiKeyVariable": "", "ports": [], "source": "x", "date": "2026-11-29",
    "reservedFlags": {"model.id": ["model", "model-tag"], "service.port": ["port"]}, "unlisted": ["model-tag"],
}  # fmt: skip
KNOWN = ("model", "port", "dtype")


def test_flags_are_turned_round_and_sources_stay_behind() -> None:
    made = engine("vllm", FACTS, KNOWN)
    assert made["reservedFlags"] == {"model": "model.id", "model-tag": "model.id", "port": "service.port"}
    assert set(made) == {"command", "python", "apiKeyVariable", "ports", "reservedFlags"}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"reservedFlags": {"a": ["model"], "b": ["model-tag", "prt"]}}, "vllm has no flag prt"),
        ({"unlisted": ["model-tag", "port"]}, "port must not be called unlisted"),
        ({"unlisted": ["model-tag", "host"]}, "host must not be called unlisted"),
        ({"reservedFlags": {"a": ["model", "model-tag"], "b": ["port", "model"]}}, "model stands under a and b"),
    ],
)
def test_what_contradicts_a_parser_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ChartDataError, match=text):
        engine("vllm", {**FACTS, **changes}, KNOWN)


def test_first_versions_are_those_of_the_parsers() -> None:
    flags = {"new": {"from": "0.8.5.post1"}, "old": {"from": None}}
    assert first_versions(["new"], flags) == {"new": "0.8.5"}
    for name in ("old", "unknown"):
        with pytest.raises(ChartDataError, match=f"no first version of --{name}"):
            first_versions([name], flags)


SERIES: dict[str, Any] = {
    "also": {"requests": "counter"},
    "versions": {"0.8.0": {"wait": "histogram"}, "0.9.1": {"queue_time": "histogram"}},
}
NAMES = [{"from": "0.0.0", "name": "wait_bucket"}, {"from": "0.9.0", "name": "queue_time_bucket"}]


def test_names_of_metrics_are_those_that_each_version_exports() -> None:
    roles = {"requests": [{"from": "0.0.0", "name": "requests"}], "queueTime": NAMES}
    assert metrics("vllm", roles, SERIES) == roles


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (NAMES[:1], r"vllm 0.9.1 has no metric wait_bucket \(queueTime\)"),
        ([{"from": "0.0.0", "name": "wait"}], "vllm 0.8.0 has no metric wait "),
        (NAMES[1:], "the names of queueTime must begin with 0.0.0 and go up"),
        ([*NAMES, NAMES[0]], "the names of queueTime must begin with 0.0.0 and go up"),
    ],
)
def test_a_metric_that_a_version_lacks_is_refused(names: list[dict[str, str]], text: str) -> None:
    with pytest.raises(ChartDataError, match=text):
        metrics("vllm", {"queueTime": names}, SERIES)


def test_the_committed_file_is_current_and_names_each_engine() -> None:
    made = chart_data(ROOT)
    assert all(path.read_text() == text for path, text in made.items())
    assert set(json.loads(made[CHART / "files" / "engines.json"])["engines"]) == {"vllm", "tgi", "tgis"}
    assert by_name({"a": ["y", "x"]}) == {"x": "a", "y": "a"}
