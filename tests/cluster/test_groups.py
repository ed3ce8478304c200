"""Several pods that serve one model: every controller and executor forms, serves, and comes back from each loss."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from cluster.conftest import Release
from cluster.report import fault_log
from cluster.serving import (
    TWO_NODES,
    engine_pods,
    engine_processes,
    kill,
    last_words,
    logs,
    serves_again,
    wait_until_gone,
    wait_until_serves,
)
from pykube import Pod, ResourceQuota
from pytest_helm_charts.clusters import Cluster
from support.helm import merge

pytestmark = pytest.mark.faults
LAYOUTS = {
    "statefulset-mp": {"controller": "statefulset", "executor": "mp"},
    "statefulset-ray": {"controller": "statefulset", "executor": "ray"},
    "leaderworkerset-mp": {"controller": "leaderworkerset", "executor": "mp"},
    "leaderworkerset-ray": {"controller": "leaderworkerset", "executor": "ray"},
    "raycluster-ray": {"controller": "raycluster", "executor": "ray"},
}
SMOKE = "statefulset-mp"  # no operator has a part in it
APIS = {"leaderworkerset": "leaderworkersets.leaderworkerset.x-k8s.io", "raycluster": "rayclusters.ray.io"}


@pytest.fixture
def release(kube_cluster: Cluster, namespace: str, helm: str) -> Iterator[Release]:
    release = Release(helm, "mistral", namespace)
    yield release
    release.uninstall()
    wait_until_gone(kube_cluster, namespace, "mistral")


def require(cluster: Cluster, controller: str) -> None:
    """The operator, or a failure that says how to get it: a skipped controller would look proved."""
    if controller in APIS:
        known = cluster.kubectl("get crd", output_format="name")
        names = known if isinstance(known, str) else str(known)
        assert APIS[controller] in names, f"install the operator that serves {APIS[controller]}"


@pytest.mark.parametrize(
    "layout", [pytest.param(name, marks=[pytest.mark.smoke] * (name == SMOKE)) for name in LAYOUTS]
)
def test_a_group_serves_and_survives(
    kube_cluster: Cluster,
    namespace: str,
    release: Release,
    mistral: dict[str, Any],
    standin: dict[str, Any],
    layout: str,
) -> None:
    require(kube_cluster, LAYOUTS[layout]["controller"])
    changes = merge(TWO_NODES, {"parallelism": LAYOUTS[layout]})
    started = time.monotonic()
    release.apply(mistral, standin, changes, wait=False)
    wait_until_serves(kube_cluster, namespace, "mistral", 300)
    fault_log(layout, "install", time.monotonic() - started)
    assert "chunks, then [DONE]" in release.test()
    leader, worker = engine_pods(kube_cluster, namespace, "mistral")
    if LAYOUTS[layout]["executor"] == "ray":
        assert "placement group of 2 bundles over 2 nodes" in logs(leader)
    else:
        assert "1 other node(s) joined" in logs(leader)

    def again(fault: str) -> tuple[Pod, Pod]:
        fault_log(layout, fault, serves_again(kube_cluster, namespace, "mistral", 300))
        first, second = engine_pods(kube_cluster, namespace, "mistral")
        return first, second

    worker.delete()
    leader, worker = again("worker pod deleted")
    leader.delete()
    leader, worker = again("leader pod deleted")
    kill(leader, engine_processes(leader))
    leader, worker = again("engine process of the leader killed")
    kill(worker, engine_processes(worker))
    again("engine process of the worker killed")


def test_an_idle_engine_that_notices_nothing_is_ended_by_its_group(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any], standin: dict[str, Any]
) -> None:
    """The real engine may watch a dead peer for minutes: the supervisor must not."""
    blind = {"engine": {"env": {"STANDIN_BLIND": "1"}}, "parallelism": LAYOUTS["statefulset-mp"]}
    release.apply(mistral, standin, merge(TWO_NODES, blind), wait=False)
    wait_until_serves(kube_cluster, namespace, "mistral", 300)
    leader, worker = engine_pods(kube_cluster, namespace, "mistral")
    kill(worker, engine_processes(worker))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and "forms anew" not in logs(leader, previous=True):
        time.sleep(0.5)
    said = logs(leader, previous=True)
    assert f"{worker.name}: its engine ended with code -9; the group ends and forms anew" in said
    wait_until_serves(kube_cluster, namespace, "mistral", 300)


def test_a_worker_that_never_comes_is_a_clear_failure(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any], standin: dict[str, Any]
) -> None:
    """Only one pod is let in: the leader gives up in time and says how many are missing."""
    quota = {"metadata": {"name": "one-pod", "namespace": namespace}, "spec": {"hard": {"pods": "1"}}}
    ResourceQuota(kube_cluster.kube_client, quota).create()
    started = time.monotonic()
    short = {"parallelism": LAYOUTS["statefulset-mp"], "startup": {"imagePullSeconds": 60}}
    release.apply(mistral, standin, merge(TWO_NODES, short), wait=False)
    said, deadline = "", started + 60 + 30
    while "gave up" not in said and time.monotonic() < deadline:
        time.sleep(1)
        said = next((last_words(pod) for pod in engine_pods(kube_cluster, namespace, "mistral")), "")
    fault_log("statefulset-mp", "a worker never comes: the leader gives up", time.monotonic() - started)
    assert "gave up after 60 s: 0 of 1 worker(s) joined" in said
