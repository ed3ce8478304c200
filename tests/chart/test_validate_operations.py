"""Every refusal of _validate_operations.tpl: its exact text, and a neighbour that passes."""

from typing import Any

import pytest
from support.helm import Renderer, merge
from support.refusals import Refusal, refusal, refusal_tests
from support.releases import BASE, HPA, KEDA, LWS, RAY, STATEFULSET, TGI, TGIS

ZERO = {"scaling": {"keda": {"scaleToZero": {"enabled": True, "query": "x"}}}}
GROUPED = (
    "scaling is enabled, but parallelism.controller is {}: the replicas of such an object are the members of one "
    "engine, and every engine is an object of its own. Set parallelism.controller=leaderworkerset, whose replicas are "
    "whole engines, or set replicas."
)
CASES: dict[str, Refusal] = {
    "two autoscalers": (
        merge(HPA, KEDA),
        "scaling.hpa.enabled and scaling.keda.enabled are both true: two autoscalers would fight over one workload. "
        "Keep one.",
        KEDA,
    ),
    "scaled statefulset": (merge(STATEFULSET, HPA), GROUPED.format("statefulset"), merge(LWS, HPA)),
    "scaled raycluster": (merge(RAY, KEDA), GROUPED.format("raycluster"), merge(LWS, KEDA)),
    "fewest above most": (
        merge(HPA, {"scaling": {"minReplicas": 3}}),
        "scaling.minReplicas (3) is above scaling.maxReplicas (2). Raise maxReplicas.",
        merge(HPA, {"scaling": {"minReplicas": 2}}),
    ),
    "claim of one node": (
        merge(HPA, {"storage": {"type": "pvc"}}),
        "scaling.maxReplicas is 2, but storage.accessMode (ReadWriteOnce) lets one node mount the claim. Set "
        "storage.accessMode=ReadWriteMany, or storage.type=emptyDir.",
        merge(HPA, {"storage": {"type": "pvc", "accessMode": "ReadWriteMany"}}),
    ),
    "cache of TGI": (
        merge(merge(TGI, KEDA), {"scaling": {"kvCacheUsage": 0.8}}),
        "scaling.kvCacheUsage is set, but tgi tells nothing of its KV cache. Set it to 0.",
        merge(TGI, KEDA),
    ),
    "no Prometheus": (
        {"scaling": {"keda": {"enabled": True}}},
        "scaling.keda.enabled is true, but scaling.keda.serverAddress is empty. Give the URL of Prometheus, such as "
        "http://prometheus-operated.monitoring:9090.",
        KEDA,
    ),
    "short cooldown": (
        merge(KEDA, {"scaling": {"keda": {"cooldownSeconds": 1799}}}),
        "scaling.keda.cooldownSeconds (1799) is shorter than a start may take (1800 s): engines would go before they "
        "have served. Set it to 1800 or more, or to 0.",
        merge(KEDA, {"scaling": {"keda": {"cooldownSeconds": 1800}}}),
    ),
    "zero without KEDA": (
        ZERO,
        "scaling.keda.scaleToZero.enabled is true, but scaling.keda.enabled is false: only KEDA scales to zero. Set "
        "scaling.keda.enabled=true.",
        merge(KEDA, ZERO),
    ),
    "zero without query": (
        merge(KEDA, {"scaling": {"keda": {"scaleToZero": {"enabled": True}}}}),
        "scaling.keda.scaleToZero.enabled is true, but scaling.keda.scaleToZero.query is empty: without engines no "
        "queue is seen, and none would ever start. Give a query of the gateway's requests.",
        merge(KEDA, ZERO),
    ),
    "priority without queue": (
        {"kueue": {"priorityClass": "high"}},
        "kueue.priorityClass (high) is set, but kueue.queue is empty: nothing waits in a queue. Set kueue.queue.",
        {"kueue": {"priorityClass": "high", "queue": "q"}},
    ),
    "selectors without class": (
        {"gpu": {"dra": {"selectors": ["true"]}}},
        "gpu.dra.selectors is set, but gpu.dra.deviceClassName is empty. Name the DeviceClass, such as gpu.nvidia.com.",
        {"gpu": {"dra": {"selectors": ["true"], "deviceClassName": "gpu.nvidia.com"}}},
    ),
    "devices for CPUs": (
        {"gpu": {"resourceName": "", "dra": {"deviceClassName": "gpu.nvidia.com"}}},
        "gpu.dra.deviceClassName (gpu.nvidia.com) is set, but gpu.resourceName is empty, which stands for an engine on "
        "CPUs. Clear one of both changes.",
        {"gpu": {"resourceName": ""}},
    ),
    "blocked without budget": (
        {"podDisruptionBudget": {"blockDrain": True}},
        "podDisruptionBudget.blockDrain is true, but podDisruptionBudget.enabled is false. Set both, or neither.",
        {"podDisruptionBudget": {"blockDrain": True, "enabled": True}},
    ),
    "two monitors": (
        {"monitoring": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}},
        "monitoring.serviceMonitor.enabled and monitoring.podMonitor.enabled are both true: every engine would be "
        "scraped twice and counted twice. Keep one.",
        {"monitoring": {"podMonitor": {"enabled": True}}},
    ),
    "first token of TGI": (
        merge(TGI, {"monitoring": {"prometheusRule": {"enabled": True, "timeToFirstTokenSeconds": 1}}}),
        "monitoring.prometheusRule.timeToFirstTokenSeconds is set, but tgi does not tell the time to the first token. "
        "Set it to 0.",
        merge(TGIS, {"monitoring": {"prometheusRule": {"enabled": True, "interTokenLatencySeconds": 1}}}),
    ),
    "GPUs without dashboard": (
        {"monitoring": {"dashboard": {"dcgm": True}}},
        "monitoring.dashboard.dcgm is true, but monitoring.dashboard.enabled is false. Set both, or neither.",
        {"monitoring": {"dashboard": {"dcgm": True, "enabled": True}}},
    ),
    "token in a value": (
        {"podAnnotations": {"note": "hf_" + "a" * 34}},
        "a value holds what looks like a Hugging Face token (hf_...), and would show it to everyone who may read the "
        "release. Put it into a Secret, name that in auth.hfToken.existingSecret, and revoke the token.",
        {"podAnnotations": {"note": "hf_transfer is on"}},
    ),
    "key among the arguments": (
        {"engine": {"extraArgs": ["--api-key=s3cret"]}},
        "engine.extraArgs gives --api-key, which everyone who may read pods would see. Use auth.apiKey.existingSecret "
        "or auth.hfToken.existingSecret.",
        {"engine": {"extraArgs": ["--api-keyless", "2"]}},
    ),
    "no way to the hub": (
        {"networkPolicy": {"enabled": True, "hub": {"to": []}}},
        "networkPolicy.enabled is true and model.path is empty, so the model is downloaded, but networkPolicy.hub.to "
        "is empty. Name the hub's addresses or your proxy, or set model.path.",
        {"networkPolicy": {"enabled": True, "hub": {"to": []}}, "model": {"path": "/opt/model"}},
    ),
}
APIS: dict[str, tuple[dict[str, Any], str, str]] = {
    "scaling.keda.enabled": (KEDA, "keda.sh/v1alpha1", "KEDA 2"),
    "kueue.queue": ({"kueue": {"queue": "q"}}, "kueue.x-k8s.io/v1beta2", "Kueue"),
    "monitoring.podMonitor.enabled": (
        {"monitoring": {"podMonitor": {"enabled": True}}}, "monitoring.coreos.com/v1", "the Prometheus operator",
    ),
    "monitoring.prometheusRule.enabled": (
        {"monitoring": {"prometheusRule": {"enabled": True}}}, "monitoring.coreos.com/v1", "the Prometheus operator",
    ),
    "monitoring.serviceMonitor.enabled": (
        {"monitoring": {"serviceMonitor": {"enabled": True}}}, "monitoring.coreos.com/v1", "the Prometheus operator",
    ),
}  # fmt: skip


test_refused_with_the_exact_text, test_the_neighbour_passes = refusal_tests(BASE, CASES)


def test_devices_need_a_kubernetes_that_claims_them(render: Renderer) -> None:
    claimed = merge(BASE, {"gpu": {"dra": {"deviceClassName": "gpu.nvidia.com"}}})
    text = (
        "gpu.dra.deviceClassName (gpu.nvidia.com) is set, but the cluster (Kubernetes v1.33.2) does not serve "
        "resource.k8s.io/v1, which begins with 1.34. Use gpu.resourceName, or set skipApiCheck=true to render without "
        "a cluster."
    )
    assert f"llm-serving: 1 problem with the values:\n  1. {text}" in refusal(render, claimed, kube="v1.33.2")
    assert render(claimed, kube="v1.34.0")
    assert render({**claimed, "skipApiCheck": True}, kube="v1.33.2")


@pytest.mark.parametrize("key", APIS)
def test_an_api_that_the_cluster_lacks_is_named(render: Renderer, key: str) -> None:
    changes, api, provider = APIS[key]
    text = (
        f"{key} is set, but the cluster does not serve {api}. Install {provider}, clear the key, or set "
        "skipApiCheck=true to render without a cluster."
    )
    assert f"llm-serving: 1 problem with the values:\n  1. {text}" in refusal(render, merge(BASE, changes), apis=())
    assert render(merge(BASE, {**changes, "skipApiCheck": True}), apis=())
