"""An engine that breaks while callers wait: who heals it, how fast, and that nobody is told a lie."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cluster.conftest import Release
from cluster.faults import bring, one, only_pod, ready, traffic, until
from cluster.needs import kubectl
from cluster.serving import TWO_NODES, engine_pods, wait_until_serves
from pykube import Pod
from pytest_helm_charts.clusters import Cluster
from support.helm import merge

pytestmark = pytest.mark.faults
LAYOUT = "deployment"


@pytest.fixture
def release(namespace: str, helm: str) -> Iterator[Release]:
    release = Release(helm, "mistral", namespace)
    yield release
    release.uninstall(wait=False)


def restarts(pod: Pod) -> int:
    pod.reload()
    return int(pod.obj["status"]["containerStatuses"][0]["restartCount"])


def ended(pod: Pod) -> dict[str, Any]:
    """How the container ended the last time."""
    pod.reload()
    last: dict[str, Any] = pod.obj["status"]["containerStatuses"][0].get("lastState", {}).get("terminated", {})
    return last


def killed(pod: Pod) -> None:
    last = ended(pod)
    assert (last["exitCode"], restarts(pod)) == (1, 1)


def hung(pod: Pod) -> None:
    """The liveness probe ended it, by SIGKILL since it was deaf."""
    last = ended(pod)
    assert (last["exitCode"], restarts(pod)) == (137, 1)


def out_of_memory(pod: Pod) -> None:
    last = ended(pod)
    assert (last["reason"], restarts(pod)) == ("OOMKilled", 1)


# The stand-in under the name of the real one: with a command of the user's own nothing is judged.
JUDGED: dict[str, Any] = {
    "gpu": {"resourceName": "nvidia.com/gpu"}, "engine": {"command": []}, "liveness": {"stalledSeconds": 10},
    "memory": {"host": {"request": "64Mi", "limit": "512Mi"}},
}  # fmt: skip


def told_why(pod: Pod) -> str:
    """What the probe said."""
    events = kubectl("get", "events", "-n", pod.namespace, "--field-selector", f"involvedObject.name={pod.name}", "-o",
                     "jsonpath={.items[*].message}")  # fmt: skip
    return events.stdout


@pytest.mark.parametrize("layout", ["deployment", "leaderworkerset"])
def test_a_stalled_engine_is_started_anew(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any], layout: str
) -> None:
    """A worker hangs: /health answers 200, and no completion ever does."""
    group = merge(TWO_NODES, {"parallelism": {"controller": layout}}) if layout == "leaderworkerset" else {}
    release.apply(mistral, one(merge(JUDGED, group)), wait=layout == "deployment")
    wait_until_serves(kube_cluster, namespace, "mistral", 120)
    pod = engine_pods(kube_cluster, namespace, "mistral")[0]
    with traffic(kube_cluster, namespace, "mistral") as callers:
        callers.until_served()
        bring(pod, "stall")
        # 60 s idle in the engine's own figures, 10 s without an answer, 6 probes, the grace of 22 s, the start
        callers.until_served(300, after_error=True)
        callers.checked(layout, "a worker hangs, /health answers")
    assert "the engine stands still" in told_why(pod)


@pytest.mark.parametrize(
    ("fault", "name", "proof", "seconds"),
    [
        ("exit", "engine process ends", killed, 60),
        # 6 probes of 10 s, the grace of 22 s, the start
        ("hang", "engine hangs: accepts and never answers", hung, 180),
        ("allocate", "out of memory (OOM kill)", out_of_memory, 90),
    ],
)
def test_a_broken_engine_is_started_again(
    kube_cluster: Cluster,
    namespace: str,
    release: Release,
    mistral: dict[str, Any],
    fault: str,
    name: str,
    proof: Callable[[Pod], None],
    seconds: float,
) -> None:
    release.apply(mistral, one({"memory": {"sharedMemory": "80Mi", "host": {"request": "64Mi", "limit": "160Mi"}}}))
    pod = only_pod(kube_cluster, namespace)
    with traffic(kube_cluster, namespace, "mistral") as callers:
        callers.until_served()
        bring(pod, fault)
        callers.until_broken()
        callers.until_served(seconds, after_error=True)
        proof(pod)
        callers.checked(LAYOUT, name)


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_deleted_pod_is_replaced(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any], replicas: int
) -> None:
    """Of two engines the other one goes on; running answers of the deleted one end whole."""
    release.apply(mistral, one({"replicas": replicas, "rollout": {"mode": "replaceOneByOne"}}))
    pod = engine_pods(kube_cluster, namespace, "mistral")[0]
    with traffic(kube_cluster, namespace, "mistral") as callers:
        callers.until_served()
        pod.delete()
        if replicas == 1:
            callers.until_broken()
            callers.until_served(after_error=True)
        else:
            until("the pod is gone", lambda: not pod.exists())
            until("two engines are ready", lambda: ready(kube_cluster, namespace) == 2, 90)
            callers.until_served()
        callers.checked(LAYOUT, f"pod deleted, {replicas} engine{'s' * (replicas - 1)}", lost=replicas == 1)
        assert not [line for line in callers.lines() if "cut" in line.get("why", "")]


def test_a_running_stream_ends_whole_when_its_engine_stops(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any]
) -> None:
    """SIGTERM in streams of 6 s: each one that had begun brings all its words and [DONE]."""
    slow = {"engine": {"env": {"STANDIN_TOKEN_SECONDS": "0.06", "STANDIN_LOAD_SECONDS": "2"}}}
    release.apply(mistral, one(slow))
    pod = only_pod(kube_cluster, namespace)
    with traffic(kube_cluster, namespace, "mistral", words=100) as callers:
        callers.until_served()
        pod.delete()
        stopped = time.time()
        callers.until_broken()
        callers.until_served(after_error=True)
        over = [line for line in callers.lines() if line["start"] < stopped < line["end"]]
        assert over, "no stream was running"
        assert {line["verdict"] for line in over} == {"right"}
        callers.checked(LAYOUT, "SIGTERM during streams")
