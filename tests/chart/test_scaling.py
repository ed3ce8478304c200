"""Autoscalers, budgets of drains, queues and claims of devices."""

import json
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
from support.helm import ROOT, Renderer, engine, find, merge, templates
from support.releases import BASE, ENGINES, HPA, KEDA, LWS, RAY, STATEFULSET, TGI, TGIS

QUEUES = {"vllm": "vllm:num_requests_waiting", "tgi": "tgi_queue_size", "tgis": "tgi_queue_size"}
SCALED_OBJECT = json.loads((ROOT / "tests" / "data" / "schemas" / "ScaledObject.json").read_text())
TARGETS = {
    "deployment": ({}, {"apiVersion": "apps/v1", "kind": "Deployment", "name": "mistral-llm-serving"}),
    "leaderworkerset": (
        LWS,
        {
            "apiVersion": "leaderworkerset.x-k8s.io/v1",
            "kind": "LeaderWorkerSet",
            "name": "mistral-llm-serving-lws",
        },
    ),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("way", "kind"), [(HPA, "HorizontalPodAutoscaler"), (KEDA, "ScaledObject")])
def test_an_autoscaler_owns_the_replicas(render: Renderer, target: str, way: dict[str, Any], kind: str) -> None:
    changes, reference = TARGETS[target]
    manifests = render(merge(merge(BASE, changes), way))
    assert find(manifests, kind)["spec"]["scaleTargetRef"] == reference
    workload = find(manifests, reference["kind"])
    assert workload["metadata"]["name"] == reference["name"]
    assert "replicas" not in workload["spec"]
    assert find(render(merge(BASE, changes)), reference["kind"])["spec"]["replicas"] == 1


@pytest.mark.parametrize("name", ENGINES)
def test_an_hpa_asks_for_names_without_colons(render: Renderer, name: str) -> None:
    scaler = find(render(merge(merge(BASE, ENGINES[name]), HPA)), "HorizontalPodAutoscaler")
    (metric,) = scaler["spec"]["metrics"]
    wanted = QUEUES[name].replace(":", "_")
    assert metric == {
        "type": "Pods",
        "pods": {"metric": {"name": wanted}, "target": {"type": "AverageValue", "averageValue": "5"}},
    }
    external = merge(HPA, {"scaling": {"hpa": {"metrics": "external"}}})
    scaler = find(render(merge(merge(BASE, ENGINES[name]), external)), "HorizontalPodAutoscaler")
    assert scaler["spec"]["metrics"][0]["external"]["metric"] == {
        "name": wanted,
        "selector": {"matchLabels": {"namespace": "llm", "app_kubernetes_io_instance": "mistral"}},
    }
    for version in kubernetes_validate.latest_version(), "1.28":
        kubernetes_validate.validate(scaler, version, strict=True)


@pytest.mark.parametrize(
    ("version", "cache"), [("0.9.1", "vllm:gpu_cache_usage_perc"), ("0.33.0", "vllm:kv_cache_usage_perc")]
)
def test_the_cache_is_named_as_the_version_names_it(render: Renderer, version: str, cache: str) -> None:
    changes = merge(KEDA, {"scaling": {"kvCacheUsage": 0.8}, "engine": {"version": version}})
    scaler = find(render(merge(BASE, changes)), "ScaledObject")
    jsonschema.validate(scaler, SCALED_OBJECT)
    queue, usage = scaler["spec"]["triggers"]
    selector = '{app_kubernetes_io_instance="mistral",namespace="llm"}'
    assert queue["metadata"]["query"] == f"sum(vllm:num_requests_waiting{selector})"
    assert (usage["metricType"], usage["metadata"]["threshold"]) == ("Value", "0.8")
    assert usage["metadata"]["query"] == f"avg({cache}{selector})"


def test_no_engine_goes_before_a_start_has_paid_off(render: Renderer) -> None:
    changes = merge(KEDA, {"startup": {"budgetSeconds": 3000, "imagePullSeconds": 1000}})
    spec = find(render(merge(BASE, changes)), "ScaledObject")["spec"]
    assert spec["cooldownPeriod"] == 4000
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 3600  # the most that autoscaling/v2 takes
    assert behavior["scaleUp"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 1800}]


def test_zero_engines_only_with_a_look_at_what_is_in_front_of_them(render: Renderer) -> None:
    assert find(render(merge(BASE, KEDA)), "ScaledObject")["spec"]["minReplicaCount"] == 1
    zero = {"enabled": True, "query": "sum(rate(gateway_requests_total[2m]))", "threshold": 0.5}
    changes = merge(KEDA, {"scaling": {"keda": {"scaleToZero": zero, "authentication": "auth"}}})
    scaler = find(render(merge(BASE, changes)), "ScaledObject")
    jsonschema.validate(scaler, SCALED_OBJECT)
    assert scaler["spec"]["minReplicaCount"] == 0
    load = scaler["spec"]["triggers"][-1]
    assert load["metadata"]["query"] == zero["query"]
    assert (load["metadata"]["threshold"], load["metadata"]["activationThreshold"]) == ("0.5", "0")
    assert load["authenticationRef"] == {"name": "auth"}


BUDGETS: list[tuple[dict[str, Any], dict[str, int]]] = [
    ({}, {"maxUnavailable": 1}),
    ({"replicas": 3}, {"maxUnavailable": 1}),
    (merge(STATEFULSET, {"parallelism": {"tensor": 3, "nodes": 3}}), {"maxUnavailable": 3}),
    (merge(STATEFULSET, {"replicas": 2}), {"maxUnavailable": 1}),
    (LWS, {"maxUnavailable": 2}),
    (merge(LWS, HPA), {"maxUnavailable": 1}),
    (RAY, {"minAvailable": 0}),
    (merge(RAY, {"replicas": 2}), {"minAvailable": 3}),
    ({"podDisruptionBudget": {"blockDrain": True}}, {"maxUnavailable": 0}),
    (merge(RAY, {"podDisruptionBudget": {"blockDrain": True}}), {"minAvailable": 2}),
]


@pytest.mark.parametrize(("changes", "limit"), BUDGETS, ids=str)
def test_a_drain_takes_one_engine_at_a_time(render: Renderer, changes: dict[str, Any], limit: dict[str, int]) -> None:
    manifests = render(merge(merge(BASE, changes), {"podDisruptionBudget": {"enabled": True}}))
    spec = find(manifests, "PodDisruptionBudget")["spec"]
    assert {key: spec[key] for key in ("maxUnavailable", "minAvailable") if key in spec} == limit
    assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    for template in templates(manifests):
        assert spec["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


@pytest.mark.parametrize("changes", [{}, LWS, STATEFULSET, RAY], ids=["one", "lws", "statefulset", "ray"])
def test_kueue_admits_every_kind_of_workload(render: Renderer, changes: dict[str, Any]) -> None:
    facts = json.loads((ROOT / "tests" / "data" / "schemas" / "kueue.json").read_text())
    labels = dict(zip(facts["labels"], ("gpus", "high"), strict=True))
    manifests = render(merge(merge(BASE, changes), {"kueue": {"queue": "gpus", "priorityClass": "high"}}))
    (workload,) = [m for m in manifests if templates([m])]
    assert workload["kind"].lower() in facts["frameworks"]
    assert labels.items() <= workload["metadata"]["labels"].items()
    bare = next(m for m in render(merge(BASE, changes)) if templates([m]))
    assert not [label for label in bare["metadata"]["labels"] if "kueue" in label]


@pytest.mark.parametrize("changes", [{}, LWS, STATEFULSET, RAY, TGI, TGIS], ids=str)
def test_devices_are_claimed_in_place_of_the_extended_resource(render: Renderer, changes: dict[str, Any]) -> None:
    dra = {"gpu": {"dra": {"deviceClassName": "gpu.nvidia.com", "selectors": ["device.driver == 'x'"]}}}
    manifests = render(merge(merge(BASE, changes), dra))
    template = find(manifests, "ResourceClaimTemplate")
    (request,) = template["spec"]["spec"]["devices"]["requests"]
    assert request["exactly"] == {
        "deviceClassName": "gpu.nvidia.com",
        "allocationMode": "ExactCount",
        "count": 1,
        "selectors": [{"cel": {"expression": "device.driver == 'x'"}}],
    }
    for pod in templates(manifests):
        claim = {"name": "gpus", "resourceClaimTemplateName": template["metadata"]["name"]}
        assert pod["spec"]["resourceClaims"] == [claim]
        resources = pod["spec"]["containers"][0]["resources"]
        assert resources["claims"] == [{"name": "gpus"}]
        assert "nvidia.com/gpu" not in resources["limits"] | resources["requests"]
    assert "claims" not in engine(render(merge(BASE, changes)))["resources"]


def test_spread_counts_the_releases_own_pods(render: Renderer) -> None:
    given = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    own = {**given, "labelSelector": {"matchLabels": {"a": "b"}}}
    manifests = render(merge(BASE, {"topologySpreadConstraints": [given, own]}))
    filled, kept = templates(manifests)[0]["spec"]["topologySpreadConstraints"]
    assert filled["labelSelector"]["matchLabels"] == find(manifests, "Service")["spec"]["selector"]
    assert kept["labelSelector"]["matchLabels"]["a"] == "b"
