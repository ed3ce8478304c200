"""Changes that go wrong or come at a bad time: no free GPU, a missing image, a drain, a neighbour."""

from collections.abc import Iterator
from typing import Any

import pytest
from cluster.conftest import Release
from cluster.faults import evict, one, only_pod, ready, traffic, unschedulable, until, waiting
from cluster.own_node import OwnLabel, own_gpus
from cluster.serving import engine_pods, logs
from pytest_helm_charts.clusters import Cluster
from support.helm import merge

pytestmark = pytest.mark.faults
LAYOUT = "deployment"
OTHER = {"engine": {"args": {"max-model-len": 4096}}}


@pytest.fixture
def release(namespace: str, helm: str) -> Iterator[Release]:
    release = Release(helm, "mistral", namespace)
    yield release
    release.uninstall(wait=False)


@pytest.mark.parametrize("mode", ["recreate", "replaceOneByOne", "surge"])
def test_an_upgrade_when_every_gpu_is_taken(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any], mode: str
) -> None:
    """Two modes free the GPU first; surge waits for one beside the old engine, which serves until someone decides."""
    with own_gpus(1) as resource:
        values = one({"gpu": {"resourceName": resource}, "rollout": {"mode": mode}})
        release.apply(mistral, values)
        with traffic(kube_cluster, namespace, "mistral") as callers:
            callers.until_served()
            release.apply(mistral, merge(values, OTHER), wait=mode != "surge")
            if mode == "surge":
                said = until("the new pod waits", lambda: unschedulable(kube_cluster, namespace))
                assert f"Insufficient {resource}" in said
                callers.until_served()
                release.rollback(1)
                until("the new pod is gone", lambda: len(engine_pods(kube_cluster, namespace, "mistral")) == 1)
                callers.checked(LAYOUT, f"upgrade without a free GPU, {mode}", lost=False, heals="rollback")
            else:
                callers.until_served(after_error=True)
                callers.checked(LAYOUT, f"upgrade without a free GPU, {mode}")
                assert "max_model_len 4096" in logs(only_pod(kube_cluster, namespace))


@pytest.mark.parametrize("mode", ["recreate", "surge"])
def test_an_upgrade_to_an_image_that_is_missing(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any], mode: str
) -> None:
    values = one({"rollout": {"mode": mode}})
    release.apply(mistral, values)
    with traffic(kube_cluster, namespace, "mistral") as callers:
        callers.until_served()
        release.apply(mistral, merge(values, {"engine": {"image": {"tag": "nowhere"}}}), wait=False)
        said = until("a reason", lambda: waiting(kube_cluster, namespace))
        assert said.startswith("ErrImageNeverPull")
        release.rollback(1)
        callers.until_served(after_error=mode == "recreate")
        callers.checked(LAYOUT, f"upgrade to a missing image, {mode}", lost=mode != "surge", heals="rollback")
    assert release.history() == ["superseded", "superseded", "deployed"]


def test_a_node_is_cordoned_and_drained(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any]
) -> None:
    """Two engines behind a budget: one goes, the other must stay (429) until the first is back."""
    label = OwnLabel()
    label.uncordon()
    pods = {"replicas": 2, "rollout": {"mode": "replaceOneByOne"}, "podDisruptionBudget": {"enabled": True}}
    try:
        release.apply(mistral, one({**pods, "nodeSelector": {label.name: "yes"}}))
        first, second = engine_pods(kube_cluster, namespace, "mistral")
        with traffic(kube_cluster, namespace, "mistral") as callers:
            callers.until_served()
            label.cordon()
            allowed, said = evict(first)
            assert allowed, said
            until("the replacement waits", lambda: unschedulable(kube_cluster, namespace))
            allowed, said = evict(second)
            assert not allowed
            assert "429" in said
            assert "disruption budget" in said
            label.uncordon()
            until("both engines are ready", lambda: ready(kube_cluster, namespace) == 2, 90)
            allowed, said = evict(second)
            assert allowed, said
            until("both engines are ready", lambda: not second.exists() and ready(kube_cluster, namespace) == 2, 90)
            callers.until_served()
            callers.checked(LAYOUT, "node cordoned and drained, 2 engines, budget", lost=False, heals="uncordon")
    finally:
        label.cordon()


def test_two_releases_in_one_namespace(
    kube_cluster: Cluster, namespace: str, release: Release, helm: str, mistral: dict[str, Any]
) -> None:
    """Each answers under its own name, and one does not notice that the other comes and goes."""
    other = Release(helm, "other", namespace)
    release.apply(mistral, one())
    with traffic(kube_cluster, namespace, "mistral") as callers:
        callers.until_served()
        other.apply(mistral, one({"model": {"servedName": "other"}}))
        with traffic(kube_cluster, namespace, "other", "other") as others:
            others.until_served()
            assert "models: ['other']" in other.test()
            assert "models: ['mistral-7b-instruct-v0.2']" in release.test()
            others.checked(LAYOUT, "a second release in the namespace: its callers", lost=False)
        other.uninstall()
        callers.until_served()
        callers.checked(LAYOUT, "a second release in the namespace comes and goes", lost=False)
