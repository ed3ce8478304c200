"""Every refusal of _validate.tpl: its exact text, and a neighbour that passes."""

from typing import Any

import pytest
from support.helm import RefusedError, Renderer, merge
from support.refusals import Refusal, refusal, refusal_tests

BASE: dict[str, Any] = {"model": {"id": "org/model"}}
EMPTY = {"type": "emptyDir"}
CASES: dict[str, Refusal] = {
    "parallel sizes": (
        {"parallelism": {"tensor": 8, "gpusPerNode": 4}},
        "parallelism.tensor (8) x parallelism.pipeline (1) needs 8 GPUs, but nodes (1) x gpusPerNode (4) gives 4. "
        "Make both products equal.",
        {"parallelism": {"tensor": 4, "gpusPerNode": 4}},
    ),
    "several nodes": (
        {"parallelism": {"tensor": 2, "nodes": 2}, "storage": {"type": "emptyDir"}},
        "parallelism.nodes (2) is above 1, but controller deployment runs one engine on one node. Set "
        "parallelism.controller to statefulset (no operator needed), leaderworkerset or raycluster, or "
        "parallelism.nodes=1.",
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
        "storage.accessMode (ReadWriteOnce) lets one node mount the claim, but replicas (2), parallelism.nodes (1) "
        "and rollout.mode (replaceOneByOne) may need it on several. Set storage.accessMode=ReadWriteMany, "
        "storage.type=perReplica (controller statefulset or leaderworkerset), or storage.type=emptyDir.",
        {"replicas": 2, "storage": {"accessMode": "ReadWriteMany"}},
    ),
    "surge on one node's claim": (
        {"rollout": {"mode": "surge"}},
        "storage.accessMode (ReadWriteOnce) lets one node mount the claim, but replicas (1), parallelism.nodes (1) "
        "and rollout.mode (surge) may need it on several. Set storage.accessMode=ReadWriteMany, "
        "storage.type=perReplica (controller statefulset or leaderworkerset), or storage.type=emptyDir.",
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


NODES: dict[str, Any] = {"parallelism": {"tensor": 2, "nodes": 2, "controller": "statefulset"}, "storage": EMPTY}
RAY: dict[str, Any] = {
    "parallelism": {"tensor": 2, "nodes": 2, "controller": "raycluster", "executor": "ray"},
    "engine": {"hasRay": True},
    "storage": EMPTY,
}
TGI: dict[str, Any] = {"engine": {"type": "tgi", "version": "3.3.7"}, "security": {"allowRoot": True}}
TGIS: dict[str, Any] = {"engine": {"type": "tgis", "version": "1db8cf0"}}
RDMA = {"enabled": True, "resourceName": "rdma/a", "hca": "mlx5"}
CASES |= {
    "one claim for two nodes": (
        merge(NODES, {"storage": {"type": "pvc"}}),
        "storage.accessMode (ReadWriteOnce) lets one node mount the claim, but replicas (1), parallelism.nodes (2) "
        "and rollout.mode (recreate) may need it on several. Set storage.accessMode=ReadWriteMany, "
        "storage.type=perReplica (controller statefulset or leaderworkerset), or storage.type=emptyDir.",
        merge(NODES, {"storage": {"type": "perReplica"}}),
    ),
    "claims per pod of a deployment": (
        {"storage": {"type": "perReplica"}},
        "storage.type is perReplica, but controller deployment makes no claim per pod. Set parallelism.controller to "
        "statefulset or leaderworkerset, or another storage.type.",
        {"storage": {"type": "perReplica"}, "parallelism": {"controller": "statefulset"}},
    ),
    "raycluster without ray": (
        merge(RAY, {"parallelism": {"executor": "mp"}}),
        "parallelism.controller is raycluster, but parallelism.executor is mp. Set parallelism.executor=ray, or "
        "parallelism.controller=statefulset.",
        RAY,
    ),
    "ray on one node": (
        {"parallelism": {"executor": "ray"}, "engine": {"hasRay": True}},
        "parallelism.executor is ray, but parallelism.nodes is 1: one node needs no Ray. Set parallelism.executor=mp.",
        {"parallelism": {"executor": "mp"}, "engine": {"hasRay": True}},
    ),
    "image without ray": (
        merge(RAY, {"engine": {"hasRay": False}}),
        "parallelism.executor is ray, but engine.hasRay is false: stock images have no Ray since vLLM 0.18.0 (this is "
        "0.33.0). Set parallelism.executor=mp, or name an image that holds Ray and set engine.hasRay=true.",
        merge(RAY, {"parallelism": {"controller": "statefulset"}}),
    ),
    "surge of a statefulset": (
        merge(NODES, {"rollout": {"mode": "surge"}}),
        "rollout.mode is surge, but controller statefulset replaces its pods in place. Set rollout.mode=recreate, or "
        "use deployment or leaderworkerset.",
        merge(NODES, {"rollout": {"mode": "surge"}, "parallelism": {"controller": "leaderworkerset"}}),
    ),
    "rdma that is off but set": (
        merge(NODES, {"network": {"rdma": {"hca": "mlx5"}}}),
        "network.rdma has settings, but network.rdma.enabled is false. Set it to true, or clear resourceName, "
        "hugepages, hca and gidIndex.",
        merge(NODES, {"network": {"rdma": RDMA}}),
    ),
    "rdma without resource": (
        merge(NODES, {"network": {"rdma": {"enabled": True, "hca": "mlx5"}}}),
        "network.rdma.enabled is true, but network.rdma.resourceName is empty. Name the device plugin's resource, such "
        "as rdma/hca_shared_devices_a or vpc.amazonaws.com/efa.",
        merge(NODES, {"network": {"rdma": RDMA}}),
    ),
    "rdma without adapter": (
        merge(NODES, {"network": {"rdma": {"enabled": True, "resourceName": "rdma/a"}}}),
        "network.rdma.enabled is true, but network.rdma.hca is empty: NCCL would fall back to TCP without a word. Set "
        "it, such as mlx5.",
        merge(NODES, {"network": {"rdma": RDMA}}),
    ),
    "EFA without huge pages": (
        merge(NODES, {"network": {"rdma": {"enabled": True, "resourceName": "vpc.amazonaws.com/efa"}}}),
        "network.rdma.resourceName is vpc.amazonaws.com/efa, but network.rdma.hugepages is empty: EFA needs huge pages "
        "of 2 MiB. Set it, such as 5120Mi.",
        merge(
            NODES,
            {"network": {"rdma": {"enabled": True, "resourceName": "vpc.amazonaws.com/efa", "hugepages": "5120Mi"}}},
        ),
    ),
    "rdma on one node": (
        {"network": {"rdma": RDMA}},
        "network.rdma.enabled is true, but parallelism.nodes is 1: nothing crosses the network. Set "
        "network.rdma.enabled=false.",
        merge(NODES, {"network": {"rdma": RDMA}}),
    ),
    "TGI over two nodes": (
        merge(merge(NODES, TGI), {"parallelism": {"tensor": 1, "pipeline": 2}}),
        "engine.type tgi shards inside one node, but parallelism.nodes is 2 and parallelism.pipeline 2. Set both to 1, "
        "or engine.type=vllm.",
        merge(TGI, {"parallelism": {"tensor": 4, "gpusPerNode": 4}}),
    ),
    "TGI without root": (
        {"engine": TGI["engine"]},
        "engine.type is tgi, whose images 3.1.1 to 3.3.7 keep Python below /root and start as root only (this is "
        "3.3.7). Set security.allowRoot=true (the namespace must admit Pod Security baseline, OpenShift needs the SCC "
        "anyuid), or name a rebuilt image and set engine.rootless=true.",
        {"engine": {**TGI["engine"], "rootless": True}},
    ),
    "root for vLLM": (
        {"security": {"allowRoot": True}},
        "security.allowRoot is true, but engine.type vllm needs no root. Set security.allowRoot=false.",
        TGI,
    ),
    "root for a rebuilt TGI": (
        merge(TGI, {"engine": {"rootless": True}}),
        "security.allowRoot is true, but engine.type tgi needs no root with engine.rootless. Set "
        "security.allowRoot=false.",
        TGI,
    ),
    "served name of TGI": (
        merge(TGI, {"model": {"servedName": "m"}}),
        "model.servedName (m) is set, but tgi answers under its model's id. Clear it.",
        merge(TGI, {"model": {"servedName": ""}}),
    ),
    "API key of TGIS": (
        merge(TGIS, {"auth": {"apiKey": {"existingSecret": "s"}}}),
        "auth.apiKey.existingSecret is set, but tgis knows no API key. Clear it, and guard the Service by other means.",
        merge(TGI, {"auth": {"apiKey": {"existingSecret": "s"}}}),
    ),
    "TGIS without GPU": (
        merge(TGIS, {"gpu": {"resourceName": ""}}),
        "gpu.resourceName is empty (no GPU), but engine.type tgis runs on GPUs only. Set gpu.resourceName, or "
        "engine.type=vllm.",
        {"gpu": {"resourceName": ""}},
    ),
    "reserved flag of TGI": (
        merge(TGI, {"engine": {"args": {"num-shard": 2}}}),
        "engine.args.num-shard is set by the chart. Use parallelism.tensor.",
        merge(TGI, {"engine": {"args": {"max-total-tokens": 2}}}),
    ),
    "reserved variable of TGIS": (
        merge(TGIS, {"engine": {"env": {"TRANSFORMERS_CACHE": "/x"}}}),
        "engine.env or engine.extraEnv sets TRANSFORMERS_CACHE. Use storage (one cache variable only).",
        merge(TGIS, {"engine": {"args": {"max-batch-size": 2}}}),
    ),
}
API_CASES = {
    "leaderworkerset": (
        merge(NODES, {"parallelism": {"controller": "leaderworkerset"}}),
        "parallelism.controller is leaderworkerset, but the cluster does not serve leaderworkerset.x-k8s.io/v1. "
        "Install the LeaderWorkerSet operator 0.9 or newer, set parallelism.controller=statefulset (with executor mp), "
        "or skipApiCheck=true to render without a cluster.",
    ),
    "raycluster": (
        RAY,
        "parallelism.controller is raycluster, but the cluster does not serve ray.io/v1. Install the KubeRay operator "
        "1.6 or newer, set parallelism.controller=statefulset (with executor mp), or skipApiCheck=true to render "
        "without a cluster.",
    ),
}


@pytest.mark.parametrize("case", API_CASES)
def test_an_operator_that_the_cluster_lacks_is_named(render: Renderer, case: str) -> None:
    changes, text = API_CASES[case]
    assert f"llm-serving: 1 problem with the values:\n  1. {text}" in refusal(render, merge(BASE, changes), apis=())
    assert render(merge(BASE, {**changes, "skipApiCheck": True}), apis=())


test_refused_with_the_exact_text, test_the_neighbour_passes = refusal_tests(BASE, CASES)


def test_all_problems_come_at_once(render: Renderer) -> None:
    changes = {"parallelism": {"tensor": 8}, "model": {"gated": True}, "storage": {"type": "hostPath"}}
    with pytest.raises(RefusedError, match=r"llm-serving: 3 problems(.|\n)*  1\. (.|\n)*  2\. (.|\n)*  3\. "):
        render(merge(BASE, changes))
