"""Data parallel engines behind one API: in one pod, and over two pods that come and go together."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from cluster.conftest import Release
from cluster.report import fault_log
from cluster.serving import (
    engine_pods,
    engine_processes,
    kill,
    logs,
    run,
    serves,
    serves_again,
    wait_until_gone,
    wait_until_serves,
)
from pykube import Pod
from pytest_helm_charts.clusters import Cluster
from support.helm import merge

SMALL: dict[str, Any] = {
    "storage": {"type": "emptyDir"},
    "startup": {"budgetSeconds": 120, "imagePullSeconds": 60},
    "drain": {"preStopSeconds": 1, "shutdownTimeoutSeconds": 5},
}
ONE_POD = {"parallelism": {"tensor": 1, "data": 2, "expert": True, "apiServers": 2, "gpusPerNode": 2}}
# the test cluster may have one node only; that members are spread is tested on simulated nodes
TWO_PODS = {"parallelism": {"tensor": 1, "data": 4, "expert": True, "nodes": 2, "gpusPerNode": 2, "shareNodes": True}}


@pytest.fixture
def release(kube_cluster: Cluster, namespace: str, helm: str) -> Iterator[Release]:
    release = Release(helm, "mixtral", namespace)
    yield release
    release.uninstall()
    wait_until_gone(kube_cluster, namespace, "mixtral")


def scraped(pod: Pod) -> str:
    """The engine's metrics, as Prometheus would read them from the leader."""
    return run(pod, "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/metrics').read().decode())")


def test_one_pod_serves_several_engines(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any], standin: dict[str, Any]
) -> None:
    release.apply(mistral, standin, merge(SMALL, ONE_POD))
    assert serves(kube_cluster, namespace, "mixtral")
    assert "chunks, then [DONE]" in release.test()
    (pod,) = engine_pods(kube_cluster, namespace, "mixtral")
    assert "data parallel engines [0, 1] of 2 are here" in logs(pod)
    found = scraped(pod)
    assert 'engine="0"' in found
    assert 'engine="1"' in found


@pytest.mark.parametrize("controller", ["statefulset", "leaderworkerset"])
def test_two_pods_form_one_group_and_form_it_again(
    kube_cluster: Cluster,
    namespace: str,
    release: Release,
    mistral: dict[str, Any],
    standin: dict[str, Any],
    controller: str,
) -> None:
    changes = merge(merge(SMALL, TWO_PODS), {"parallelism": {"controller": controller}})
    started = time.monotonic()
    release.apply(mistral, standin, changes, wait=False)
    wait_until_serves(kube_cluster, namespace, "mixtral", 120)
    fault_log(f"{controller}-data", "install", time.monotonic() - started)
    assert "chunks, then [DONE]" in release.test()

    def members() -> tuple[Pod, Pod]:
        leader, worker = engine_pods(kube_cluster, namespace, "mixtral")
        assert "data parallel engines [0, 1] of 4 are here" in logs(leader)
        assert "data parallel engines [2, 3] joined" in logs(leader)
        assert "data parallel engines [2, 3] of 4 serve" in logs(worker)
        return leader, worker

    def again(fault: str) -> tuple[Pod, Pod]:
        fault_log(f"{controller}-data", fault, serves_again(kube_cluster, namespace, "mixtral", 150))
        return members()

    leader, worker = members()
    assert "--headless" in logs(worker)
    worker.delete()
    leader, worker = again("worker pod deleted")
    kill(leader, engine_processes(leader))
    leader, worker = again("engine process of the leader killed")
    kill(worker, engine_processes(worker))
    again("engine process of the worker killed")


def test_an_idle_group_ends_with_the_engines_of_one_pod(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any], standin: dict[str, Any]
) -> None:
    """The real engine's headless members outlive their leader (vLLM issue 32136): the supervisor must not let them."""
    changes = {"parallelism": {"controller": "statefulset"}, "engine": {"env": {"STANDIN_BLIND": "1"}}}
    release.apply(mistral, standin, merge(merge(SMALL, TWO_PODS), changes), wait=False)
    wait_until_serves(kube_cluster, namespace, "mixtral", 120)
    leader, worker = engine_pods(kube_cluster, namespace, "mixtral")
    kill(leader, engine_processes(leader))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and "lost the leader" not in logs(worker, previous=True):
        time.sleep(0.5)
    assert "lost the leader; the group ends and forms anew" in logs(worker, previous=True)
    wait_until_serves(kube_cluster, namespace, "mixtral", 120)
