"""Monitors, alerts and dashboards: the leaders are found, and every metric exists in the engine's version."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from derived.chart_data import exported
from support.helm import ROOT, Renderer, find, merge, templates
from support.releases import BASE, ENGINES, HPA, LWS, RAY, STATEFULSET

METRICS = json.loads((ROOT / "generator" / "llm_serving_planner" / "data" / "metrics.json").read_text())
LAYOUTS: dict[str, dict[str, Any]] = {"one": {}, "lws": LWS, "statefulset": STATEFULSET, "ray": RAY}
WATCHED = {
    "monitoring": {
        "prometheusRule": {"enabled": True, "interTokenLatencySeconds": 0.1},
        "dashboard": {"enabled": True, "dcgm": True},
    }
}
OUTSIDE = {"up", "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_GPU_TEMP"}
VERSIONS = [(engine, version) for engine, facts in METRICS.items() for version in facts["versions"]]


def dashboard(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    (text,) = [value for m in manifests for key, value in m.get("data", {}).items() if key.endswith("-board.json")]
    board: dict[str, Any] = json.loads(text)
    return board


def expressions(manifests: list[dict[str, Any]]) -> Iterator[str]:
    for group in find(manifests, "PrometheusRule")["spec"]["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    for panel in dashboard(manifests)["panels"]:
        yield from (target["expr"] for target in panel["targets"])


@pytest.mark.parametrize(("engine", "version"), VERSIONS)
def test_every_metric_is_one_that_the_version_exports(render: Renderer, engine: str, version: str) -> None:
    changes = merge(ENGINES[engine], {"engine": {"version": version}})
    if engine == "vllm":
        changes = merge(changes, {"monitoring": {"prometheusRule": {"timeToFirstTokenSeconds": 2}}})
    found = list(expressions(render(merge(merge(BASE, changes), WATCHED))))
    assert len(found) > 15
    used = {name for expr in found for name in re.findall(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{", expr)}
    assert used - OUTSIDE, "no metric was found in the queries"
    assert used <= exported(METRICS[engine], version) | OUTSIDE
    assert not [expr for expr in found if "@" in expr]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("engine", ENGINES)
def test_monitors_find_leaders_only(render: Renderer, layout: str, engine: str) -> None:
    if engine != "vllm" and layout != "one":
        return  # refused: these shard inside one node
    changes = merge(merge(BASE, LAYOUTS[layout]), ENGINES[engine])
    by_service = render(merge(changes, {"monitoring": {"serviceMonitor": {"enabled": True, "labels": {"a": "b"}}}}))
    monitor = find(by_service, "ServiceMonitor")
    chosen = [m for m in by_service if m["kind"] == "Service"
              and monitor["spec"]["selector"]["matchLabels"].items() <= m["metadata"]["labels"].items()]  # fmt: skip
    (service,) = chosen
    assert monitor["metadata"]["labels"]["a"] == "b"
    port = monitor["spec"]["endpoints"][0]["port"]
    assert port in {entry["name"] for entry in service["spec"]["ports"]}
    by_pod = render(merge(changes, {"monitoring": {"podMonitor": {"enabled": True, "interval": "1m"}}}))
    pods = find(by_pod, "PodMonitor")
    assert pods["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    (endpoint,) = pods["spec"]["podMetricsEndpoints"]
    assert endpoint == {"port": "http", "path": "/metrics", "interval": "1m"}
    assert "http" in {entry["name"] for entry in templates(by_pod)[0]["spec"]["containers"][0]["ports"]}
    for manifest in (monitor, pods):
        schema = json.loads((ROOT / "tests" / "data" / "schemas" / f"{manifest['kind']}.json").read_text())
        jsonschema.validate(manifest, schema)
        assert manifest["spec"]["podTargetLabels"] == ["app.kubernetes.io/instance"]


def test_series_are_found_by_the_labels_that_the_monitors_set_or_by_given_ones(render: Renderer) -> None:
    own = list(expressions(render(merge(BASE, WATCHED))))
    assert 'up{app_kubernetes_io_instance="mistral",namespace="llm"}' in own[0]
    given = render(merge(merge(BASE, WATCHED), {"monitoring": {"seriesLabels": {"job": 'a"b'}}}))
    assert 'up{job="a\\"b"}' in next(expressions(given))
    assert 'sum(up{job="a\\"b"})' in dashboard(given)["panels"][0]["targets"][0]["expr"]


@pytest.mark.parametrize(
    ("changes", "absent"),
    [
        ({}, True),
        ({"replicas": 0}, False),
        (merge(HPA, {"replicas": 0}), True),
        (
            {"scaling": {"keda": {"enabled": True, "serverAddress": "http://p",
                                  "scaleToZero": {"enabled": True, "query": "x"}}}},
            False,
        ),
    ],
)  # fmt: skip
def test_no_engine_is_an_alert_only_where_one_is_wanted(
    render: Renderer, changes: dict[str, Any], absent: bool
) -> None:
    rules = find(render(merge(merge(BASE, WATCHED), changes)), "PrometheusRule")["spec"]["groups"][0]["rules"]
    assert ("LlmEngineAbsent" in {rule["alert"] for rule in rules}) is absent


def test_times_of_alerts_follow_the_budget(render: Renderer) -> None:
    changes = merge(WATCHED, {"startup": {"budgetSeconds": 1234, "imagePullSeconds": 100}})
    rules = find(render(merge(BASE, changes)), "PrometheusRule")["spec"]["groups"][0]["rules"]
    times = {rule["alert"]: rule["for"] for rule in rules}
    assert times["LlmStartOverBudget"] == "1234s"
    assert times["LlmEngineAbsent"] == "1334s"


def test_each_release_has_a_dashboard_of_its_own(render: Renderer) -> None:
    first, second = (dashboard(render(merge(BASE, WATCHED), name=name)) for name in ("a", "b"))
    assert first["uid"] != second["uid"]
    assert len(first["uid"]) <= 40  # Grafana's limit
    assert first["title"] == "llm/a"
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in first["panels"]]
    assert len(places) == len(set(places))
    assert [panel["title"] for panel in first["panels"]].count("GPU power") == 1
    bare = merge(WATCHED, {"monitoring": {"dashboard": {"dcgm": False}}})
    assert "GPU power" not in [panel["title"] for panel in dashboard(render(merge(BASE, bare)))["panels"]]


def test_nothing_is_watched_unless_asked(render: Renderer) -> None:
    kinds = {manifest["kind"] for manifest in render(BASE, apis=())}
    assert kinds == {"Deployment", "Service", "ServiceAccount", "ConfigMap", "Pod"}
