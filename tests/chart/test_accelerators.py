"""AMD GPUs and Intel Gaudi in the chart: what a pod asks for, what is refused and its passing neighbour."""

from typing import Any

import pytest
from support.helm import engine, in_process, merge, templates
from support.refusals import Refusal, refusal_tests

BASE: dict[str, Any] = {"model": {"id": "org/model"}}
AMD: dict[str, Any] = {
    "gpu": {"vendor": "amd", "resourceName": "amd.com/gpu"},
    "engine": {"image": {"repository": "vllm/vllm-openai-rocm"}},
}
GAUDI: dict[str, Any] = {
    "gpu": {"vendor": "gaudi", "resourceName": "habana.ai/gaudi"},
    "engine": {"image": {"registry": "vault.habana.ai", "repository": "gaudi-docker/x", "tag": "latest"}},
}
WIDE = {"parallelism": {"tensor": 1, "pipeline": 2, "nodes": 2, "controller": "statefulset"}}
EMPTY = {"storage": {"type": "emptyDir"}}
DEVICES = "gpu (the device plugin says which devices a pod has)"
CASES: dict[str, Refusal] = {
    "resource of another vendor": (
        merge(AMD, {"gpu": {"resourceName": "nvidia.com/gpu"}}),
        "gpu.vendor is amd, but gpu.resourceName is nvidia.com/gpu. Set gpu.resourceName to one that begins with "
        "amd.com/, or gpu.vendor=nvidia.",
        merge(AMD, {"gpu": {"resourceName": "amd.com/cpx_nps4"}}),
    ),
    "Gaudi's resource": (
        merge(GAUDI, {"gpu": {"resourceName": "amd.com/gpu"}}),
        "gpu.vendor is gaudi, but gpu.resourceName is amd.com/gpu. Set gpu.resourceName to one that begins with "
        "habana.ai/, or gpu.vendor=nvidia.",
        GAUDI,
    ),
    "image for NVIDIA": (
        {"gpu": AMD["gpu"]},
        "gpu.vendor is amd, but engine.image.repository (vllm/vllm-openai) holds code for NVIDIA GPUs. Set it to "
        "vllm/vllm-openai-rocm.",
        AMD,
    ),
    "image for NVIDIA on Gaudi": (
        {"gpu": GAUDI["gpu"]},
        "gpu.vendor is gaudi, but engine.image.repository (vllm/vllm-openai) holds code for NVIDIA GPUs. Set it to "
        "that of a Gaudi image, such as gaudi-docker/1.24.1/ubuntu24.04/habanalabs/vllm-0.26.0-ptupstream-2.11.0 of "
        "vault.habana.ai.",
        GAUDI,
    ),
    "TGIS": (
        merge(AMD, {"engine": {"type": "tgis", "version": "1db8cf0"}}),
        "gpu.vendor is amd, but engine.type tgis runs on NVIDIA GPUs only. Set engine.type=vllm, or gpu.vendor=nvidia.",
        AMD,
    ),
    "NVIDIA's exporter": (
        merge(AMD, {"monitoring": {"dashboard": {"enabled": True, "dcgm": True}}}),
        "monitoring.dashboard.dcgm is true, but gpu.vendor is amd: dcgm-exporter knows NVIDIA GPUs only. Set it to "
        "false.",
        merge(AMD, {"monitoring": {"dashboard": {"enabled": True}}}),
    ),
    "Gaudi over nodes": (
        merge(merge(GAUDI, WIDE), EMPTY),
        "gpu.vendor is gaudi, but parallelism.nodes is 2 and parallelism.pipeline 2: engines for Gaudi serve inside "
        "one node, without pipeline stages. Set both to 1.",
        merge(merge(AMD, WIDE), EMPTY),
    ),
    "experts on Gaudi": (
        merge(GAUDI, {"parallelism": {"tensor": 2, "gpusPerNode": 2, "expert": True}}),
        "gpu.vendor is gaudi, but parallelism.expert is true, which vllm-gaudi does not list among its features. Set "
        "parallelism.expert=false.",
        merge(GAUDI, {"parallelism": {"data": 2, "gpusPerNode": 2}}),
    ),
    "huge pages twice": (
        merge(merge(WIDE, EMPTY), {
            "gpu": {"hugepages": "2Gi"},
            "network": {"rdma": {"enabled": True, "resourceName": "vpc.amazonaws.com/efa", "hugepages": "5120Mi"}},
        }),
        "gpu.hugepages (2Gi) and network.rdma.hugepages (5120Mi) ask for the same resource. Give the sum to one of "
        "them and clear the other.",
        {"gpu": {"hugepages": "2Gi"}},
    ),
    "devices by variable": (
        merge(AMD, {"engine": {"env": {"HIP_VISIBLE_DEVICES": "0"}}}),
        f"engine.env or engine.extraEnv sets HIP_VISIBLE_DEVICES. Use {DEVICES}.",
        merge(AMD, {"engine": {"env": {"VLLM_ROCM_USE_AITER": "1"}}}),
    ),
    "Gaudi devices by variable": (
        merge(GAUDI, {"engine": {"extraEnv": [{"name": "HABANA_VISIBLE_DEVICES", "value": "all"}]}}),
        f"engine.env or engine.extraEnv sets HABANA_VISIBLE_DEVICES. Use {DEVICES}.",
        merge(GAUDI, {"engine": {"env": {"PT_HPU_LAZY_MODE": "1"}}}),
    ),
    "the tag that moves": (
        merge(AMD, {"engine": {"image": {"tag": "latest"}}}),
        "engine.image.tag is latest, which changes under a running release. Name a version, or a digest.",
        GAUDI,  # its images have no other tag, their version is in the repository's name
    ),
}  # fmt: skip


test_refused_with_the_exact_text, test_the_neighbour_passes = refusal_tests(BASE, CASES)


def environment(changes: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in engine(in_process(merge(BASE, changes)))["env"]}


def test_amd_pods_get_the_groups_of_their_devices_and_stay_restricted() -> None:
    manifests = in_process(merge(BASE, merge(AMD, {"gpu": {"supplementalGroups": [44, 109]}})))
    spec = templates(manifests)[0]["spec"]
    assert spec["securityContext"]["supplementalGroups"] == [44, 109]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert engine(manifests)["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert engine(manifests)["resources"]["limits"]["amd.com/gpu"] == "1"
    assert environment(AMD)["MIOPEN_USER_DB_PATH"] == "/llm/home/.miopen"


@pytest.mark.parametrize("platform", ["kubernetes", "openshift"])
def test_groups_are_there_on_both_platforms(platform: str) -> None:
    changes = merge(AMD, {"gpu": {"supplementalGroups": [44]}, "platform": platform})
    context = templates(in_process(merge(BASE, changes)))[0]["spec"]["securityContext"]
    assert context["supplementalGroups"] == [44]
    assert ("runAsUser" in context) == (platform == "kubernetes")


def test_gaudi_pods_get_huge_pages_and_writable_logs() -> None:
    resources = engine(in_process(merge(BASE, merge(GAUDI, {"gpu": {"hugepages": "1188Mi"}}))))["resources"]
    for kind in ("requests", "limits"):
        assert (resources[kind]["habana.ai/gaudi"], resources[kind]["hugepages-2Mi"]) == ("1", "1188Mi")
    found = environment(GAUDI)
    assert found["HABANA_LOGS"].startswith("/llm/home/")
    assert found["PT_HPU_ENABLE_LAZY_COLLECTIVES"] == "true"
    assert environment(merge(GAUDI, {"engine": {"env": {"HABANA_LOGS": "/tmp/x"}}}))["HABANA_LOGS"] == "/tmp/x"


def test_nothing_of_it_is_there_for_nvidia() -> None:
    manifests = in_process(BASE)
    assert "supplementalGroups" not in templates(manifests)[0]["spec"]["securityContext"]
    assert "hugepages-2Mi" not in engine(manifests)["resources"]["limits"]
    assert not [name for name in environment({}) if name.startswith(("HABANA", "MIOPEN", "PT_HPU", "OMPI"))]
