"""Changes of a live release: those that work in every direction, those that are refused first, and waiting."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from cluster.conftest import Release
from cluster.faults import one, until
from cluster.needs import kubectl
from cluster.serving import TWO_NODES, engine_pods, wait_until_gone, wait_until_serves
from pytest_helm_charts.clusters import Cluster
from support.helm import CHART, ROOT, merge

SMALL: dict[str, Any] = {
    "gpu": {"resourceName": ""}, "cpu": {"request": "50m"}, "drain": {"preStopSeconds": 0, "shutdownTimeoutSeconds": 1},
}  # fmt: skip
GROUP = merge(TWO_NODES, SMALL)
CLAIMS = {"storage": {"type": "perReplica", "size": "64Mi"}}


@pytest.fixture
def release(kube_cluster: Cluster, namespace: str, helm: str) -> Iterator[Release]:
    release = Release(helm, "mistral", namespace)
    yield release
    if release.history():
        release.uninstall(wait=False)


def group(controller: str, **more: Any) -> dict[str, Any]:
    """Values of one group of two under a controller."""
    ray = {"executor": "ray"} if controller == "raycluster" else {}
    return one(merge(GROUP, {"parallelism": {"controller": controller, **ray}, **more}))


def helm(release: Release, *words: str, values: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """Helm as a user calls it, with what it prints."""
    command = [
        "helm",
        words[0],
        release.name,
        *([str(CHART)] if words[0] in {"install", "upgrade"} else []),
        *words[1:],
    ]
    command += ["--namespace", release.namespace, *(["--values", "-"] if values is not None else [])]
    return subprocess.run(command, input=yaml.safe_dump(values or {}), capture_output=True, text=True, check=False)


def upgrade(release: Release, *values: dict[str, Any], words: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """An upgrade that may fail."""
    merged: dict[str, Any] = {}
    for entry in values:
        merged = merge(merged, entry)
    return helm(release, "upgrade", *words, "--timeout", "5m", values=merged)


def objects(namespace: str, *kinds: str) -> list[dict[str, Any]]:
    """Objects of the release's namespace."""
    found: list[dict[str, Any]] = json.loads(kubectl("get", ",".join(kinds), "-n", namespace, "-o", "json").stdout)[
        "items"
    ]
    return found


def marks(namespace: str, *kinds: str) -> dict[str, tuple[str, int]]:
    """Uid and generation by name: what changes when anything is touched."""
    return {
        f"{item['kind']}/{item['metadata']['name']}": (item["metadata"]["uid"], item["metadata"].get("generation", 0))
        for item in objects(namespace, *kinds)
    }


def workloads(namespace: str) -> set[str]:
    """Kinds and names of what makes pods and is nobody's own."""
    kinds = ("deployments", "statefulsets", "leaderworkersets", "rayclusters")
    return {f"{item['kind']}/{item['metadata']['name']}" for item in objects(namespace, *kinds)
            if not item["metadata"].get("ownerReferences")}  # fmt: skip


NAMES = {
    "statefulset": "StatefulSet/mistral-llm-serving-0",
    "leaderworkerset": "LeaderWorkerSet/mistral-llm-serving-lws",
    "raycluster": "RayCluster/mistral-llm-serving-0",
    "deployment": "Deployment/mistral-llm-serving",
}


def until_only(namespace: str, controller: str) -> None:
    """Until the workload of this controller is there, and no other."""
    until(f"{controller} alone", lambda: workloads(namespace) == {NAMES[controller]}, 60)


@pytest.mark.parametrize(
    "way",
    [
        ("leaderworkerset", "statefulset", "raycluster", "leaderworkerset"),
        ("statefulset", "leaderworkerset", "raycluster", "statefulset"),
    ],
    ids=" ".join,
)
def test_a_group_changes_its_controller_in_every_direction(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any], way: tuple[str, ...]
) -> None:
    for controller in way:
        release.apply(mistral, group(controller), wait=False)
        until_only(namespace, controller)
        wait_until_serves(kube_cluster, namespace, "mistral", 180)
        until("two members", lambda: len(engine_pods(kube_cluster, namespace, "mistral")) == 2, 90)
    for revision in range(len(way) - 1, 0, -1):
        release.rollback(revision, wait=False)
        until_only(namespace, way[revision - 1])
        until("two members", lambda: len(engine_pods(kube_cluster, namespace, "mistral")) == 2, 90)
        wait_until_serves(kube_cluster, namespace, "mistral", 180)
    release.uninstall(wait=False)
    wait_until_gone(kube_cluster, namespace, "mistral")
    assert workloads(namespace) == set()


def test_one_engine_changes_its_controller(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any]
) -> None:
    for controller in ("deployment", "statefulset", "leaderworkerset", "deployment"):
        release.apply(mistral, one(merge(SMALL, {"parallelism": {"controller": controller}})), wait=False)
        until_only(namespace, controller)
        wait_until_serves(kube_cluster, namespace, "mistral", 120)
    release.rollback(2, wait=False)
    until_only(namespace, "statefulset")


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a claim that shrinks": (
        one(merge(SMALL, {"storage": {"type": "pvc", "size": "64Mi"}})), {"storage": {"size": "32Mi"}},
        "storage.size is 32Mi, but the claim mistral-llm-serving-models has 64Mi, and a claim only grows. Set "
        "storage.size=64Mi",
    ),
    "a claim of another access mode": (
        one(merge(SMALL, {"storage": {"type": "pvc", "size": "64Mi"}})), {"storage": {"accessMode": "ReadWriteMany"}},
        "storage.accessMode is ReadWriteMany, but the claim mistral-llm-serving-models has ReadWriteOnce",
    ),
    "claims for a StatefulSet's pods": (
        group("statefulset"), CLAIMS,
        "StatefulSet mistral-llm-serving-0 has no claim for its pods, and is to have a claim of 64Mi",
    ),
    "claims for a LeaderWorkerSet's pods": (
        group("leaderworkerset"), CLAIMS,
        "LeaderWorkerSet mistral-llm-serving-lws has no claim for its pods, and is to have a claim of 64Mi",
    ),
    "larger claims for a LeaderWorkerSet's pods": (
        group("leaderworkerset", **CLAIMS), {"storage": {"size": "96Mi"}},
        "LeaderWorkerSet mistral-llm-serving-lws has a claim of 64Mi for its pods, and is to have a claim of 96Mi",
    ),
    "an autoscaler over three engines": (
        one(merge(SMALL, {"replicas": 3})), {"scaling": {"hpa": {"enabled": True}, "minReplicas": 1}},
        "scaling is switched on, but Helm owns the 3 replicas of Deployment mistral-llm-serving: 2 of them would end",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_break_is_refused_before_anything_is_touched(
    namespace: str, release: Release, mistral: dict[str, Any], case: str
) -> None:
    """By the guard, with the way out in what Helm prints; preflight says no as well."""
    values, change, text = REFUSED[case]
    release.apply(mistral, values, wait=False)
    kinds = ("deployments", "statefulsets", "leaderworkersets", "services", "configmaps", "persistentvolumeclaims")
    time.sleep(3)  # until controllers have written what they write once
    before = marks(namespace, *kinds)
    done = upgrade(release, mistral, values, change, words=("--set", "model.servedName=other"))
    assert done.returncode != 0
    told = done.stdout + done.stderr + kubectl("logs", "job/mistral-llm-serving-guard", "-n", namespace).stdout
    assert text in told, told
    assert "Nothing was changed: the release serves on." in told
    own = {name: mark for name, mark in marks(namespace, *kinds).items() if "guard" not in name}
    assert own == before
    assert release.history()[-1] == "failed"
    again = upgrade(release, mistral, values)
    assert again.returncode == 0, again.stderr


def test_the_guards_way_out_keeps_every_engine(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any]
) -> None:
    """The command that it prints is run as it is printed."""
    values = one(merge(SMALL, {"replicas": 3}))
    release.apply(mistral, values)
    pods = {pod.name for pod in engine_pods(kube_cluster, namespace, "mistral")}
    scaling = {"scaling": {"hpa": {"enabled": True}, "maxReplicas": 4}}
    assert upgrade(release, mistral, values, scaling).returncode != 0
    told = kubectl("logs", "job/mistral-llm-serving-guard", "-n", namespace).stdout
    (command,) = re.findall(r"First: (.*)  Then upgrade", told)
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    done = upgrade(release, mistral, values, scaling, words=("--server-side=true",))
    assert done.returncode == 0, done.stderr
    time.sleep(5)
    assert {pod.name for pod in engine_pods(kube_cluster, namespace, "mistral")} == pods


def documented(namespace: str) -> list[str]:
    """The commands of docs/operations.md, Changing storage, but for the upgrade."""
    page = (ROOT / "docs" / "operations.md").read_text().partition("### Changing storage")[2]
    block = re.search(r"```sh\n(.*?)```", page, re.DOTALL)
    assert block
    lines = block[1].replace("NS", namespace).replace("RELEASE", "mistral").splitlines()
    assert lines[-1].startswith("helm upgrade ")
    return lines[:-1]


@pytest.mark.parametrize(
    ("values", "change"),
    [
        (one(merge(SMALL, {"storage": {"type": "pvc", "size": "64Mi"}})), {"storage": {"size": "32Mi"}}),
        (group("statefulset"), CLAIMS),
        (group("statefulset", **CLAIMS), {"storage": {"size": "96Mi"}}),
        (group("statefulset", **CLAIMS), {"storage": {"type": "emptyDir"}}),
        (group("leaderworkerset"), CLAIMS),
        (group("leaderworkerset", **CLAIMS), {"storage": {"size": "96Mi"}}),
    ],
    ids=["smaller", "statefulset to", "statefulset size", "statefulset from", "group to", "group size"],
)
def test_storage_changes_the_documented_way_from_start_to_end(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any], values: dict[str, Any],
    change: dict[str, Any],
) -> None:  # fmt: skip
    """Claims of this cluster are folders of root: what is looked at is that objects and claims are the new ones."""
    release.apply(mistral, values, wait=False)
    count = 2 if "nodes" in values["parallelism"] else 1
    until("pods", lambda: len(engine_pods(kube_cluster, namespace, "mistral")) == count)
    old = {pod.metadata["uid"] for pod in engine_pods(kube_cluster, namespace, "mistral")}
    for line in documented(namespace):
        subprocess.run(["sh", "-c", line], check=True, capture_output=True, timeout=120)
    done = upgrade(release, mistral, values, change)
    assert done.returncode == 0, done.stderr
    wanted = merge(values, change)["storage"]

    def renewed() -> bool:
        pods = engine_pods(kube_cluster, namespace, "mistral")
        new = {pod.metadata["uid"] for pod in pods}
        claims = objects(namespace, "persistentvolumeclaims")
        sizes = {item["spec"]["resources"]["requests"]["storage"] for item in claims}
        kept = {"pvc": 1, "perReplica": count, "emptyDir": 0}[wanted["type"]]
        return len(new) == count and not new & old and len(claims) == kept and sizes <= {wanted["size"]}

    until("pods and claims are new", renewed, 120)
    if wanted["type"] == "perReplica":  # and goes on: a later change rolls out
        later = upgrade(release, mistral, values, change, {"podAnnotations": {"later": "1"}})
        assert later.returncode == 0, later.stderr

        def rolled_out() -> bool:
            pods = engine_pods(kube_cluster, namespace, "mistral")
            return all(pod.annotations.get("later") == "1" for pod in pods)

        until("later changes roll out", rolled_out, 150)


WAIT = {"hooks": {"wait": {"enabled": True}}, "startup": {"budgetSeconds": 60, "imagePullSeconds": 60}}


@pytest.mark.parametrize("controller", ["leaderworkerset", "statefulset", "raycluster"])
def test_waiting_is_true(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any], controller: str
) -> None:
    """Helm returns when the group serves, and fails, and rolls back, where it never does."""
    values = merge(group(controller), WAIT)
    done = helm(release, "install", "--timeout", "6m", values=merge(mistral, values))
    assert done.returncode == 0, done.stderr
    members = engine_pods(kube_cluster, namespace, "mistral")
    assert [pod.ready for pod in members] == [True, True]
    missing = {"engine": {"image": {"tag": "missing"}}}
    flag = "--rollback-on-failure" if "rollback-on-failure" in helm(release, "upgrade", "--help").stdout else "--atomic"
    done = upgrade(release, mistral, values, missing, words=(flag,))
    assert done.returncode != 0
    assert "wait" in done.stderr
    wait_until_serves(kube_cluster, namespace, "mistral", 180)
    assert {pod.obj["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in
            engine_pods(kube_cluster, namespace, "mistral")} == {"1"}  # fmt: skip


@pytest.mark.parametrize("controller", ["deployment", "leaderworkerset", "statefulset", "raycluster"])
def test_the_commands_that_notes_print_wait(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any], controller: str
) -> None:
    values = one(SMALL) if controller == "deployment" else group(controller)
    done = helm(release, "install", values=merge(mistral, values))
    assert done.returncode == 0, done.stderr
    told = done.stdout.partition("Wait until it serves")[2].partition("Call it:")[0]
    commands = re.findall(r"^  (kubectl .*)$", told, re.MULTILINE)
    assert commands
    for command in commands:
        subprocess.run(["sh", "-c", command], check=True, capture_output=True, timeout=300)
    assert all(pod.ready for pod in engine_pods(kube_cluster, namespace, "mistral"))
