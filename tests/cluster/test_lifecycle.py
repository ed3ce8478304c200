"""The life of a release for every engine and controller: install, test, three kinds of upgrade, rollback, uninstall."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from cluster.conftest import NEXT, STANDIN, TAG, Release
from cluster.faults import ONE, until
from cluster.needs import kubectl
from cluster.own_node import own_gpus
from cluster.serving import TWO_NODES, engine_pods, logs, serves
from pykube import Pod
from pytest_helm_charts.clusters import Cluster
from support.helm import ROOT, merge

LONG = "a-release-name-of-53-characters-the-longest-helm-allo"  # Helm takes no longer one
GROUP = merge(
    TWO_NODES, {"gpu": {"resourceName": ""}, "cpu": {"request": "50m"}, "drain": {"shutdownTimeoutSeconds": 2}}
)


def length(flag: str) -> dict[str, Any]:
    """A change of one argument that can be seen from outside."""
    return {"engine": {"args": {flag: 2048}}}


@dataclass(frozen=True)
class Life:
    """One engine under one controller. `gpus` of a made-up resource, where the engine runs on nothing else."""

    values: str
    changes: dict[str, Any]
    arguments: dict[str, Any]
    members: int = 1
    gpus: int = 0
    root: bool = False
    name: str = LONG
    most: int = 2  # replicas; 1 for TGIS, whose download asks for a whole CPU: two do not fit a node of 2 CPUs
    merged: bool = False  # arguments and image in one upgrade: an engine over Ray takes long to start
    seen: Callable[[Pod], bool] = field(default=lambda pod: "max_model_len 2048" in logs(pod))


def group(controller: str, executor: str = "mp") -> dict[str, Any]:
    return merge(GROUP, {"parallelism": {"controller": controller, "executor": executor}})


SHARDED: dict[str, Any] = {
    "engine": {"command": []}, "storage": {"type": "emptyDir"}, "cpu": {"request": "50m"},
    "gpu": {"nodeSelector": {"nvidia.com/gpu.product": "Tesla-T4"}},
    "drain": {"preStopSeconds": 1, "shutdownTimeoutSeconds": 2},
}  # fmt: skip
TGI_ARGS = {"engine": {"args": {"max-total-tokens": 2048, "max-input-tokens": 2000, "max-batch-prefill-tokens": 2048}}}
LIVES = {
    "vllm deployment": Life("mistral-2xt4", ONE, length("max-model-len")),
    "vllm statefulset mp": Life("mistral-2xt4", group("statefulset"), length("max-model-len"), 2),
    "vllm statefulset ray": Life(
        "mistral-2xt4", group("statefulset", "ray"), length("max-model-len"), 2, merged=True, name="r"
    ),
    "vllm leaderworkerset mp": Life("mistral-2xt4", group("leaderworkerset"), length("max-model-len"), 2),
    "vllm raycluster ray": Life("mistral-2xt4", group("raycluster", "ray"), length("max-model-len"), 2, merged=True),
    "tgi deployment": Life("mistral-tgi-2xa10g", SHARDED, TGI_ARGS, gpus=4, root=True),
    "tgis deployment": Life(
        "granite-7b-tgis-2xa10g", SHARDED, {"engine": {"args": {"max-sequence-length": 2048}}}, gpus=4, most=1,
        seen=lambda pod: "max_sequence_length 2048" in logs(pod) or variable(pod, "MAX_SEQUENCE_LENGTH") == "2048",
    ),
}  # fmt: skip


def variable(pod: Pod, name: str) -> str:
    """A variable of the engine, as its pod asks for it."""
    env = pod.obj["spec"]["containers"][0]["env"]
    return next((str(entry.get("value")) for entry in env if entry["name"] == name), "")


def image(pod: Pod) -> str:
    return str(pod.obj["spec"]["containers"][0]["image"]).rsplit(":", 1)[1]


def everything(namespace: str) -> set[str]:
    """All objects of a namespace but events and what Kubernetes itself puts there."""
    listed = kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").stdout.split()
    kinds = [kind for kind in listed if kind.split(".")[0] not in {"events", "bindings"} and "metrics" not in kind]
    found = kubectl("get", ",".join(kinds), "-n", namespace, "-o", "name", "--ignore-not-found")
    assert found.returncode == 0, found.stderr
    return set(found.stdout.split()) - {"configmap/kube-root-ca.crt", "serviceaccount/default"}


class Watched:
    """A release that tells whether all its pods are as the last change wants them."""

    def __init__(self, cluster: Cluster, release: Release, life: Life) -> None:
        self.cluster, self.release, self.life = cluster, release, life

    def pods(self) -> list[Pod]:
        return engine_pods(self.cluster, self.release.namespace, self.release.name)

    def settled(self, replicas: int, *, changed: bool, tag: str) -> bool:
        pods = self.pods()
        leaders = [pod for pod in pods if self.leads(pod)]
        return (
            len(pods) == replicas * self.life.members
            and all(pod.ready and image(pod) == tag for pod in pods)
            and len(leaders) == replicas
            and all(self.life.seen(pod) == changed for pod in leaders)
        )

    def leads(self, pod: Pod) -> bool:
        """With --headless, or under Ray, workers print no settings."""
        return self.life.members == 1 or "serving " in logs(pod)

    def reaches(self, what: str, replicas: int, *, changed: bool, tag: str) -> None:
        until(what, lambda: self.settled(replicas, changed=changed, tag=tag), 400)
        if self.life.values.startswith("mistral"):  # TGIS speaks gRPC, which helm test does
            until(f"{what}, serving", lambda: serves(self.cluster, self.release.namespace, self.release.name))


@pytest.mark.parametrize("case", LIVES)
def test_the_life_of_a_release(kube_cluster: Cluster, request: pytest.FixtureRequest, helm: str, case: str) -> None:
    life = LIVES[case]
    namespace = request.getfixturevalue("baseline_namespace" if life.root else "namespace")
    values = yaml.safe_load((ROOT / "values" / f"{life.values}.yaml").read_text())
    with ExitStack() as stack:
        changes = merge(STANDIN, life.changes)
        if life.gpus:
            changes = merge(changes, {"gpu": {"resourceName": stack.enter_context(own_gpus(life.gpus))}})
        release = Release(helm, life.name, namespace)
        watched = Watched(kube_cluster, release, life)
        before = everything(namespace)

        release.apply(values, changes, wait=False)
        watched.reaches("installed", 1, changed=False, tag=TAG)
        assert release.test().rstrip().endswith("OK")

        steps: list[tuple[str, dict[str, Any], int, str]] = [
            ("arguments", life.arguments, 1, TAG),
            ("image", NEXT, 1, f"{TAG}-next"),
            ("replicas", {"replicas": 2}, 2, f"{TAG}-next"),
        ]
        for name, step, replicas, tag in steps:
            changes = merge(changes, step if replicas <= life.most else {})
            if (name == "arguments" and life.merged) or replicas > life.most:
                continue
            release.apply(values, changes, wait=False)
            watched.reaches(f"upgraded: {name}", replicas, changed=True, tag=tag)
        assert release.test().rstrip().endswith("OK")

        release.rollback(1, wait=False)
        watched.reaches("rolled back", 1, changed=False, tag=TAG)
        assert release.test().rstrip().endswith("OK")
        upgrades = 3 - life.merged - (life.most < 2)
        assert release.history() == ["superseded"] * (1 + upgrades) + ["deployed"]

        release.uninstall()
        until("all pods are gone", lambda: not everything(namespace) - before, 90)
        assert release.history() == []
