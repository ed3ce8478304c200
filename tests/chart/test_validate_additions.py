"""What the API server would refuse or drop, refused before: exact texts, and neighbours that pass."""

from typing import Any

import pytest
from support.helm import RefusedError, Renderer, merge
from support.refusals import Refusal, refusal_tests

BASE: dict[str, Any] = {"model": {"id": "org/model"}}
TGI: dict[str, Any] = {"engine": {"type": "tgis", "version": "0fc6f09"}}
RDMA = {"enabled": True, "resourceName": "nvidia.com/gpu", "hca": "mlx5"}
TWO = {"tensor": 1, "pipeline": 2, "nodes": 2, "controller": "statefulset"}
VOLUME = {"name": "scripts", "configMap": {"name": "scripts"}}
MOUNT = {"name": "scripts", "mountPath": "/scripts"}
CASES: dict[str, Refusal] = {
    "a volume of the chart's": (
        {"extraVolumes": [{"name": "tmp", "emptyDir": {}}]},
        "extraVolumes name a volume tmp, which is the chart's own name or stands twice. Choose another name.",
        {"extraVolumes": [VOLUME]},
    ),
    "a volume twice": (
        {"extraVolumes": [VOLUME, VOLUME]},
        "extraVolumes name a volume scripts, which is the chart's own name or stands twice. Choose another name.",
        {"extraVolumes": [VOLUME, {**VOLUME, "name": "more"}]},
    ),
    "a mount without volume": (
        {"extraVolumeMounts": [MOUNT]},
        "extraVolumeMounts mount a volume scripts, which extraVolumes does not name. Add it there.",
        {"extraVolumes": [VOLUME], "extraVolumeMounts": [MOUNT]},
    ),
    "a mount of a volume that comes with a feature": (
        {"extraVolumeMounts": [{"name": "tls", "mountPath": "/certificates"}]},
        "extraVolumeMounts mount a volume tls, which extraVolumes does not name. Add it there.",
        {"extraVolumeMounts": [{"name": "models", "mountPath": "/certificates"}]},
    ),
    "a mount over the chart's": (
        {"extraVolumes": [VOLUME], "extraVolumeMounts": [{**MOUNT, "mountPath": "/dev/shm/"}]},
        "extraVolumeMounts mount scripts at /dev/shm/, where another volume is mounted. Choose another mountPath.",
        {"extraVolumes": [VOLUME], "extraVolumeMounts": [{**MOUNT, "mountPath": "/dev/shm/inner"}]},
    ),
    "a place twice": (
        {"extraVolumes": [VOLUME], "extraVolumeMounts": [MOUNT, MOUNT]},
        "extraVolumeMounts mount scripts at /scripts, where another volume is mounted. Choose another mountPath.",
        {"extraVolumes": [VOLUME], "extraVolumeMounts": [MOUNT, {**MOUNT, "mountPath": "/more"}]},
    ),
    "more CPUs asked for than allowed": (
        {"cpu": {"request": "4", "limit": "3999m"}},
        "cpu.request (4) is above cpu.limit (3999m). Lower the request or raise the limit.",
        {"cpu": {"request": "4", "limit": "4000m"}},
    ),
    "one port for both": (
        {**TGI, "service": {"port": 8033}},
        "service.port and service.grpcPort are both 8033. Choose another number for one of them.",
        {"service": {"port": 8033}},  # vllm has no gRPC port
    ),
    "one resource for both": (
        {"parallelism": TWO, "storage": {"type": "emptyDir"}, "network": {"rdma": RDMA}},
        "network.rdma.resourceName and gpu.resourceName are both nvidia.com/gpu. Name the RDMA device plugin's own "
        "resource.",
        {
            "parallelism": TWO,
            "storage": {"type": "emptyDir"},
            "network": {"rdma": {**RDMA, "resourceName": "rdma/hca_shared_devices_a"}},
        },
    ),
    "the address of the pod": (
        {"engine": {"env": {"VLLM_HOST_IP": "10.1.2.3"}}},
        "engine.env or engine.extraEnv sets VLLM_HOST_IP. Use parallelism (the chart takes the pod's own address).",
        {"engine": {"env": {"VLLM_LOGGING_LEVEL": "DEBUG"}}},
    ),
    "a flag that has a key": (
        {"engine": {"extraArgs": ["--tensor_parallel_size=2"]}},
        "engine.extraArgs gives --tensor-parallel-size, which is set by the chart. Use parallelism.tensor.",
        {"engine": {"extraArgs": ["--max-model-len", "--tensor"]}},
    ),
}


test_refused_with_the_exact_text, test_the_neighbour_passes = refusal_tests(BASE, CASES)


def test_members_that_an_old_kubernetes_would_not_keep_apart(render: Renderer) -> None:
    group = {"parallelism": {**TWO, "controller": "leaderworkerset"}, "storage": {"type": "emptyDir"}}
    with pytest.raises(RefusedError) as refused:
        render(merge(BASE, group), kube="v1.30.4")
    assert (
        "parallelism.controller is leaderworkerset and parallelism.shareNodes is false, but the cluster is Kubernetes "
        "v1.30.4, and what keeps a group's members apart (matchLabelKeys) came with 1.31. Upgrade, set "
        "parallelism.shareNodes=true, or parallelism.controller=statefulset."
    ) in str(refused.value)
    assert render(merge(BASE, group), kube="v1.31.0")
    assert render(merge(BASE, merge(group, {"parallelism": {"shareNodes": True}})), kube="v1.30.4")
    assert render(merge(BASE, merge(group, {"parallelism": {"controller": "statefulset"}})), kube="v1.30.4")
