"""Every refusal of _validate.tpl: its exact text, and a neighbour that passes."""

from typing import Any

import pytest
from chart.helm import RefusedError, Renderer, merge

BASE: dict[str, Any] = {"model": {"id": "org/model"}}
CASES: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "parallel sizes": (
        {"parallelism": {"tensor": 8, "gpusPerNode": 4}},
        "parallelism.tensor (8) x parallelism.pipeline (1) needs 8 GPUs, but nodes (1) x gpusPerNode (4) gives 4. "
        "Make both products equal.",
        {"parallelism": {"tensor": 4, "gpusPerNode": 4}},
    ),
    "several nodes": (
        {"parallelism": {"tensor": 2, "nodes": 2}},
        "parallelism.nodes (2) is above 1, but controller deployment runs one engine on one node. Set "
        "parallelism.nodes=1 and a tensor size that one node can hold.",
        {"parallelism": {"tensor": 2, "gpusPerNode": 2}},
    ),
    "no model": (
        {"model": {"id": ""}},
        "model.id is empty, and model.path too: nothing to serve. Set model.id, or use a generated values file.",
        {"model": {"id": "a/b"}},
    ),
    "gated": (
        {"model": {"gated": True}},
        "model.gated is true, but auth.hfToken.existingSecret is empty: org/model needs a Hugging Face token. "
        "Create a Secret with the key token and name it there.",
        {"model": {"gated": True}, "auth": {"hfToken": {"existingSecret": "hf"}}},
    ),
    "path on emptyDir": (
        {"model": {"path": "/llm/models/x"}, "storage": {"type": "emptyDir"}},
        "model.path (/llm/models/x) lies on an emptyDir, which is empty at every start. Set storage.type to "
        "existingClaim or hostPath, or leave model.path away.",
        {"model": {"path": "/llm/models/x"}, "storage": {"type": "hostPath", "hostPath": "/m"}},
    ),
    "shared memory": (
        {"memory": {"sharedMemory": "24Gi"}},
        "memory.host.limit (24Gi) is not above memory.sharedMemory (24Gi), which counts against it. Raise "
        "memory.host.limit.",
        {"memory": {"sharedMemory": "23.5Gi"}},
    ),
    "request above limit": (
        {"memory": {"host": {"request": "25Gi"}}},
        "memory.host.request (25Gi) is above memory.host.limit (24Gi). Lower the request or raise the limit.",
        {"memory": {"host": {"request": "24576Mi"}}},
    ),
    "one node's claim": (
        {"replicas": 2},
        "storage.accessMode (ReadWriteOnce) lets one node mount the claim, but replicas (2) and rollout.mode "
        "(recreate) may need it on several. Set storage.accessMode=ReadWriteMany, or storage.type=emptyDir.",
        {"replicas": 2, "storage": {"accessMode": "ReadWriteMany"}},
    ),
    "surge on one node's claim": (
        {"rollout": {"mode": "surge"}},
        "storage.accessMode (ReadWriteOnce) lets one node mount the claim, but replicas (1) and rollout.mode "
        "(surge) may need it on several. Set storage.accessMode=ReadWriteMany, or storage.type=emptyDir.",
        {"rollout": {"mode": "surge"}, "storage": {"type": "emptyDir"}},
    ),
    "claim without name": (
        {"storage": {"type": "existingClaim"}},
        "storage.type is existingClaim, but storage.existingClaim is empty. Name the claim.",
        {"storage": {"type": "existingClaim", "existingClaim": "c"}},
    ),
    "name without claim": (
        {"storage": {"existingClaim": "c"}},
        "storage.existingClaim (c) is set, but storage.type is pvc. Set storage.type=existingClaim.",
        {"storage": {"type": "existingClaim", "existingClaim": "c"}},
    ),
    "host path without path": (
        {"storage": {"type": "hostPath"}},
        "storage.type is hostPath, but storage.hostPath is empty. Give the folder of the node.",
        {"storage": {"type": "hostPath", "hostPath": "/m"}},
    ),
    "reserved flag": (
        {"engine": {"args": {"tensor-parallel-size": 2}}},
        "engine.args.tensor-parallel-size is set by the chart. Use parallelism.tensor.",
        {"parallelism": {"tensor": 2, "gpusPerNode": 2}},
    ),
    "reserved flag negated": (
        {"engine": {"args": {"no-trust-remote-code": True}}},
        "engine.args.no-trust-remote-code is set by the chart. Use model.trustRemoteCode.",
        {"model": {"trustRemoteCode": True}},
    ),
    "token in env": (
        {"engine": {"env": {"HF_TOKEN": "x"}}},
        "engine.env or engine.extraEnv sets HF_TOKEN. Use auth.hfToken.existingSecret.",
        {"auth": {"hfToken": {"existingSecret": "hf"}}},
    ),
    "VLLM_PORT": (
        {"engine": {"extraEnv": [{"name": "VLLM_PORT", "value": "1"}]}},
        "engine.env or engine.extraEnv sets VLLM_PORT. Use service.port (the variable is an internal port of the "
        "engine).",
        {"service": {"port": 1}},
    ),
    "variable twice": (
        {"engine": {"extraEnv": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}},
        "engine.extraEnv names a variable twice (A, A). Keep one.",
        {"engine": {"extraEnv": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}},
    ),
    "tag latest": (
        {"engine": {"image": {"tag": "latest"}}},
        "engine.image.tag is latest, which changes under a running release. Name a version, or a digest.",
        {"engine": {"image": {"tag": "v0.33.0"}}},
    ),
    "service that begins with a digit": (
        {"fullnameOverride": "7b"},
        "the Service would be named 7b, which does not begin with a letter. Choose another release name or "
        "fullnameOverride.",
        {"fullnameOverride": "m7b"},
    ),
    "service named vllm": (
        {"fullnameOverride": "vllm"},
        "the Service would be named vllm, from which other pods get VLLM_PORT, and vLLM does not start with that. "
        "Choose another release name or fullnameOverride.",
        {"fullnameOverride": "vllm-1"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_refused_with_the_exact_text(render: Renderer, case: str) -> None:
    changes, text, _ = CASES[case]
    with pytest.raises(RefusedError) as refused:
        render(merge(BASE, changes))
    assert f"llm-serving: 1 problem with the values:\n  1. {text}" in str(refused.value)


@pytest.mark.parametrize("case", CASES)
def test_the_neighbour_passes(render: Renderer, case: str) -> None:
    assert render(merge(BASE, CASES[case][2]))


def test_all_problems_come_at_once(render: Renderer) -> None:
    changes = {"parallelism": {"tensor": 8}, "model": {"gated": True}, "storage": {"type": "hostPath"}}
    with pytest.raises(RefusedError, match=r"llm-serving: 3 problems(.|\n)*  1\. (.|\n)*  2\. (.|\n)*  3\. "):
        render(merge(BASE, changes))
