"""Releases that cannot start: Kubernetes or the engine says why, and what mends it."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from cluster.conftest import Release
from cluster.faults import hub_pod, one, only_pod, until, waiting
from cluster.needs import kubectl
from cluster.report import fault_log
from cluster.serving import engine_pods, last_words, wait_until_serves
from pykube import Secret
from pytest_helm_charts.clusters import Cluster
from support.helm import merge

pytestmark = pytest.mark.faults
LAYOUT = "deployment"
HUB: dict[str, Any] = {
    "model": {"id": "org/tiny", "revision": ""},
    "engine": {"env": {"HF_ENDPOINT": "http://hub:8080"}},
}
TOKEN = {"auth": {"hfToken": {"existingSecret": "hf"}}}


@pytest.fixture
def release(namespace: str, helm: str) -> Iterator[Release]:
    release = Release(helm, "mistral", namespace)
    yield release
    release.uninstall(wait=False)


def serves_again(cluster: Cluster, namespace: str, fault: str, since: float, heals: str, seconds: float = 90) -> None:
    """It serves, and the test that users run says so."""
    wait_until_serves(cluster, namespace, "mistral", 2 * seconds)
    fault_log(LAYOUT, fault, time.monotonic() - since, heals=heals)


def test_an_image_that_is_missing(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any]
) -> None:
    release.apply(mistral, one({"engine": {"image": {"tag": "nowhere"}}}), wait=False)
    said = until("a reason", lambda: waiting(kube_cluster, namespace))
    assert said.startswith("ErrImageNeverPull: ")
    assert "stand-in-engine:nowhere" in said
    mended = time.monotonic()
    release.apply(mistral, one())
    serves_again(kube_cluster, namespace, "image missing", mended, "upgrade with the right tag")
    assert "OK" in release.test()


@pytest.mark.parametrize(
    ("there", "reason", "fault"),
    [
        ({}, 'secret "hf" not found', "secret missing"),
        ({"wrong": "x"}, "couldn't find key token in Secret", "secret with a wrong key"),
    ],
    ids=["missing", "wrong key"],
)
def test_a_secret_that_does_not_hold_the_token(
    kube_cluster: Cluster,
    namespace: str,
    release: Release,
    mistral: dict[str, Any],
    there: dict[str, str],
    reason: str,
    fault: str,
) -> None:
    secret = {"metadata": {"name": "hf", "namespace": namespace}, "stringData": there}
    if there:
        Secret(kube_cluster.kube_client, secret).create()
    release.apply(mistral, one(TOKEN), wait=False)
    said = until("a reason", lambda: waiting(kube_cluster, namespace))
    assert said.startswith("CreateContainerConfigError: ")
    assert reason in said
    mended = time.monotonic()
    whole = Secret(kube_cluster.kube_client, merge(secret, {"stringData": {"token": "hf_good"}}))
    whole.patch({"stringData": {"token": "hf_good"}}) if there else whole.create()
    serves_again(kube_cluster, namespace, fault, mended, "the Secret, put right")
    assert release.revision() == 1


def test_a_model_that_the_hub_does_not_know(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any]
) -> None:
    hub_pod(kube_cluster, namespace, 0)
    release.apply(mistral, one(merge(HUB, {"model": {"id": "org/tyni"}})), wait=False)
    said = until("last words", lambda: last_words(only_pod(kube_cluster, namespace)), 90)
    assert "RepositoryNotFoundError" in said
    assert "org/tyni" in said
    mended = time.monotonic()
    release.apply(mistral, one(HUB))
    serves_again(kube_cluster, namespace, "wrong model id", mended, "upgrade with the right id")


def test_a_volume_that_is_full(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any]
) -> None:
    """A file system of 4 MiB under the cache: provisioners of hostPath volumes enforce no size, memory does."""
    hub_pod(kube_cluster, namespace, 0)
    small: dict[str, Any] = {
        "extraVolumes": [{"name": "small", "emptyDir": {"medium": "Memory", "sizeLimit": "4Mi"}}],
        "extraVolumeMounts": [{"name": "small", "mountPath": "/llm/models/huggingface"}],
    }
    release.apply(mistral, one(merge(HUB, small)), wait=False)
    said = until("last words", lambda: last_words(only_pod(kube_cluster, namespace)), 90)
    assert "No space left on device" in said
    mended = time.monotonic()
    small["extraVolumes"][0]["emptyDir"]["sizeLimit"] = "64Mi"
    release.apply(mistral, one(merge(HUB, small)))
    serves_again(kube_cluster, namespace, "volume full", mended, "upgrade with a larger volume")


def test_a_slow_download_within_the_budget(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any]
) -> None:
    hub_pod(kube_cluster, namespace, 30)
    began = time.monotonic()
    release.apply(mistral, one(HUB))
    serves_again(kube_cluster, namespace, "download of 30 s, budget of 60 s", began, "itself")
    assert restarts(kube_cluster, namespace) == 0


def test_a_slow_download_beyond_the_budget(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any]
) -> None:
    """The startup probe ends it, and the hub's client begins anew each time: only a larger budget helps."""
    hub_pod(kube_cluster, namespace, 75)
    release.apply(mistral, one(merge(HUB, {"drain": {"shutdownTimeoutSeconds": 0}})), wait=False)
    until("it is started again", lambda: restarts(kube_cluster, namespace) == 1, 150)
    words = ("get", "events", "-n", namespace, "--field-selector", "reason=Killing", "-o", "jsonpath={..message}")
    assert "failed startup probe" in kubectl(*words).stdout
    mended = time.monotonic()
    release.apply(mistral, one(merge(HUB, {"startup": {"budgetSeconds": 120}})), wait=False)
    serves_again(
        kube_cluster, namespace, "download of 75 s, budget of 60 s", mended, "upgrade with a larger budget", 150
    )
    assert restarts(kube_cluster, namespace) == 0


def restarts(cluster: Cluster, namespace: str) -> int:
    states = [
        entry
        for pod in engine_pods(cluster, namespace, "mistral")
        for entry in pod.obj["status"].get("containerStatuses", [])
    ]
    return sum(int(entry["restartCount"]) for entry in states)
