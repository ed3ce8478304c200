"""Every committed values file on simulated nodes of exactly its profile, and on one node too few.

A simulated node is a Node object without a kubelet: the real scheduler binds pods to it. Where KWOK runs for nodes with
its annotation, the pods even become ready; nothing here depends on it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml
from chart.helm import ROOT, merge
from cluster.conftest import Release
from cluster.serving import engine_pods
from llm_serving.catalog import Entry, load_catalog
from llm_serving.profiles import GpuProfile, parse_profile
from pykube import HTTPClient, Node, Pod
from pytest_helm_charts.clusters import Cluster

CATALOG = load_catalog(ROOT / "values" / "catalog.yaml")
MARK = "llm-serving-test"  # label that keeps the pods away from real nodes


def node_object(name: str, profile: GpuProfile, run: str) -> dict[str, Any]:
    """A node of the profile, as the device plugin and GPU feature discovery would show it."""
    labels = {MARK: run, "kubernetes.io/hostname": name, "type": "kwok"}
    capacity = {"cpu": "96", "memory": "512Gi", "ephemeral-storage": "900Gi", "pods": "20"}
    taints = []
    if profile.gpu.vendor != "cpu":
        labels["nvidia.com/gpu.product"] = profile.gpu.gfd_product_labels[0]
        capacity["nvidia.com/gpu"] = str(profile.gpus_per_node)
        taints.append({"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"})
    return {
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "spec": {"taints": taints},
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [{"type": "Ready", "status": "True", "reason": "Simulated", "message": "no kubelet"}],
        },
    }


@contextmanager
def simulated_nodes(client: HTTPClient, profile: GpuProfile, count: int, run: str) -> Iterator[None]:
    """Nodes that are there for one test."""
    names = [f"{run}-{index}" for index in range(count)]
    try:
        for name in names:
            Node(client, node_object(name, profile, run)).create()
        yield
    finally:
        for name in names:
            Node(client, {"metadata": {"name": name}}).delete()


def overlay(entry: Entry, run: str) -> dict[str, Any]:
    """What differs from the committed file: where the pods may go, and no claims on nodes that do not exist."""
    changes: dict[str, Any] = {
        "nodeSelector": {MARK: run},
        "storage": {"type": "emptyDir"},
        "test": {"enabled": False},
        "drain": {"preStopSeconds": 0, "shutdownTimeoutSeconds": 1},
    }
    return merge(changes, {"auth": {"hfToken": {"existingSecret": ""}}, "model": {"gated": False}} if entry else {})


def settled(cluster: Cluster, namespace: str, members: int) -> list[Pod]:
    """The pods, once each is either bound or said to be unschedulable."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        pods = engine_pods(cluster, namespace, "m")
        if len(pods) == members and all(node_of(pod) or why_pending(pod) for pod in pods):
            return pods
        time.sleep(0.3)
    raise AssertionError(f"{len(pods)} of {members} pods: {[(pod.name, node_of(pod)) for pod in pods]}")


def node_of(pod: Pod) -> str:
    return str(pod.obj["spec"].get("nodeName", ""))


def why_pending(pod: Pod) -> str:
    """The scheduler's own words."""
    conditions = pod.obj["status"].get("conditions", [])
    return next(
        (c.get("message", "") for c in conditions if c["type"] == "PodScheduled" and c["status"] == "False"), ""
    )


def clear(cluster: Cluster, namespace: str) -> None:
    """Pods of nodes without a kubelet go only by force."""
    cluster.kubectl("delete pods --all --force --grace-period=0", namespace=namespace, output_format="name")


@pytest.mark.parametrize("entry", CATALOG, ids=lambda entry: f"{entry.name}-{entry.profile}")
def test_a_values_file_lands_on_its_profile_and_waits_on_one_node_too_few(
    kube_cluster: Cluster, baseline_namespace: str, helm: str, entry: Entry
) -> None:
    profile = parse_profile(entry.profile)
    file = ROOT / "values" / f"{entry.name}-{entry.profile}.yaml"
    values: dict[str, Any] = yaml.safe_load(file.read_text())
    members = values["parallelism"]["nodes"]
    run = f"sim-{time.time_ns() % 10**9}"
    release = Release(helm, "m", baseline_namespace)
    client = kube_cluster.kube_client
    try:
        with simulated_nodes(client, profile, profile.nodes, run):
            release.apply(values, overlay(entry, run), wait=False)
            pods = settled(kube_cluster, baseline_namespace, members)
            assert {node_of(pod) for pod in pods} == {f"{run}-{index}" for index in range(profile.nodes)}
            release.uninstall(wait=False)
            clear(kube_cluster, baseline_namespace)
        with simulated_nodes(client, profile, profile.nodes - 1, run):
            release.apply(values, overlay(entry, run), wait=False)
            pods = settled(kube_cluster, baseline_namespace, members)
            waiting = [why_pending(pod) for pod in pods if not node_of(pod)]
            assert len(waiting) == 1 if profile.nodes > 1 else len(waiting) == members
            assert all("nodes are available" in message for message in waiting)
    finally:
        release.uninstall(wait=False)
        clear(kube_cluster, baseline_namespace)
