"""Scaling, drains, isolation and preflight where a real Kubernetes can act on them; no GPU is asked for."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.conftest import Release
from cluster.serving import TWO_NODES, engine_pods, serves, wait_until_serves
from pykube import Pod
from pytest_helm_charts.clusters import Cluster
from support.helm import merge
from testbed.node_resources import nodes

NO_GPU: dict[str, Any] = {
    "gpu": {"resourceName": ""},
    "storage": {"type": "emptyDir"},
    "startup": {"budgetSeconds": 300, "imagePullSeconds": 240},
    "cpu": {"request": "50m"},
}
GROUPS = merge(TWO_NODES, merge(NO_GPU, {"drain": {"preStopSeconds": 0, "shutdownTimeoutSeconds": 1}}))
LWS = merge(GROUPS, {"parallelism": {"controller": "leaderworkerset"}})
STATEFULSET = merge(GROUPS, {"parallelism": {"controller": "statefulset"}})
HPA = {"scaling": {"maxReplicas": 3, "hpa": {"enabled": True}}}
BUDGET = {"podDisruptionBudget": {"enabled": True}}


@pytest.fixture
def release(kube_cluster: Cluster, namespace: str, helm: str) -> Iterator[Release]:
    release = Release(helm, "mistral", namespace)
    yield release
    release.uninstall()


def kubectl(*words: str, check: bool = True, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["kubectl", *words], capture_output=True, text=True, check=check, input=given)


def get(namespace: str, *words: str) -> Any:
    return json.loads(kubectl("get", *words, "-n", namespace, "-o", "json").stdout)


def until(what: str, holds: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.5)
    raise AssertionError(f"{what}: not within {seconds:.0f} s")


@pytest.mark.parametrize(
    ("changes", "workload"),
    [(NO_GPU, "deployment/mistral-llm-serving"), (LWS, "leaderworkerset/mistral-llm-serving-lws")],
    ids=["deployment", "leaderworkerset"],
)
def test_an_upgrade_leaves_the_autoscalers_count_alone(
    kube_cluster: Cluster,
    namespace: str,
    release: Release,
    mistral: dict[str, Any],
    standin: dict[str, Any],
    changes: dict[str, Any],
    workload: str,
) -> None:
    release.apply(mistral, standin, changes, HPA, wait=False)
    members = changes.get("parallelism", {}).get("nodes", 1)
    until("one engine", lambda: len(engine_pods(kube_cluster, namespace, "mistral")) == members)

    def conditions() -> dict[str, Any]:
        status = get(namespace, "hpa", "mistral-llm-serving").get("status", {})
        return {entry["type"]: entry for entry in status.get("conditions", [])}

    # the controller finds the target's scale; without a metrics adapter it can go no further
    able = until("the autoscaler", lambda: conditions().get("AbleToScale"))
    assert (able["status"], able["reason"]) == ("True", "SucceededGetScale")
    kubectl("scale", workload, "--replicas", "2", "-n", namespace)
    until("two engines", lambda: len(engine_pods(kube_cluster, namespace, "mistral")) == 2 * members)
    release.apply(mistral, standin, changes, HPA, {"podAnnotations": {"a": "b"}}, wait=False)
    assert get(namespace, workload)["spec"]["replicas"] == 2


def evict(pod: Pod) -> tuple[bool, str]:
    """Whether the API server lets the pod go, as `kubectl drain` asks it; and what it says."""
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod.name, "namespace": pod.namespace},
    }
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/eviction"
    done = kubectl("create", "--raw", path, "-f", "-", check=False, given=json.dumps(body))
    return done.returncode == 0, done.stdout + done.stderr


def group_of(pod: Pod) -> str:
    return str(pod.labels["llm-serving/group"])


def budget(namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = get(namespace, "pdb", "mistral-llm-serving").get("status", {})
    return found


def test_a_drain_takes_one_group_at_a_time(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any], standin: dict[str, Any]
) -> None:
    release.apply(mistral, standin, STATEFULSET, BUDGET, {"replicas": 2}, wait=False)
    wait_until_serves(kube_cluster, namespace, "mistral", 300)
    until("both groups", lambda: budget(namespace).get("disruptionsAllowed") == 1, 300)
    pods = engine_pods(kube_cluster, namespace, "mistral")
    assert len(pods) == 4
    first = next(pod for pod in pods if pod.name.endswith("-0-1"))
    other = next(pod for pod in pods if group_of(pod) != group_of(first))
    allowed, said = evict(first)
    assert allowed, said
    until("the budget is used up", lambda: budget(namespace).get("disruptionsAllowed") == 0)
    allowed, said = evict(other)
    assert not allowed
    assert "disruption budget" in said
    until("the group is whole again", lambda: budget(namespace).get("disruptionsAllowed") == 1, 300)
    allowed, said = evict(other)
    assert allowed, said


@pytest.mark.parametrize("block", [False, True])
def test_a_lone_group_holds_up_a_drain_only_where_that_is_chosen(
    kube_cluster: Cluster,
    namespace: str,
    release: Release,
    mistral: dict[str, Any],
    standin: dict[str, Any],
    block: bool,
) -> None:
    chosen = {"podDisruptionBudget": {"blockDrain": block}}
    release.apply(mistral, standin, STATEFULSET, BUDGET, chosen, wait=False)
    wait_until_serves(kube_cluster, namespace, "mistral", 300)
    until("the budget", lambda: budget(namespace).get("currentHealthy") == 2)
    answers = [evict(pod) for pod in engine_pods(kube_cluster, namespace, "mistral")]
    assert [allowed for allowed, _ in answers] == [not block] * 2, answers


def test_a_raycluster_can_be_drained(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any], standin: dict[str, Any]
) -> None:
    """Kubernetes cannot count its pods by their owner, and a wrong budget would never let one go."""
    ray = merge(GROUPS, {"parallelism": {"controller": "raycluster", "executor": "ray"}})
    release.apply(mistral, standin, ray, BUDGET, wait=False)
    wait_until_serves(kube_cluster, namespace, "mistral", 300)
    assert until("the budget", lambda: budget(namespace).get("currentHealthy") == 2)
    leader, worker = engine_pods(kube_cluster, namespace, "mistral")
    for pod in (worker, leader):
        allowed, said = evict(pod)
        assert allowed, said


def test_devices_are_claimed_for_each_pod(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any], standin: dict[str, Any]
) -> None:
    """The API server takes the template and makes a claim; no driver is there to fill it, so the pod waits."""
    dra = {"gpu": {"resourceName": "nvidia.com/gpu", "dra": {"deviceClassName": "gpu.example.com"}}}
    release.apply(mistral, standin, merge(NO_GPU, dra), wait=False)
    (claim,) = until("the claim", lambda: get(namespace, "resourceclaims")["items"])
    (request,) = claim["spec"]["devices"]["requests"]
    assert request["exactly"]["deviceClassName"] == "gpu.example.com"
    assert request["exactly"]["count"] == 2
    (pod,) = engine_pods(kube_cluster, namespace, "mistral")
    assert pod.obj["status"]["phase"] == "Pending"
    assert "nvidia.com/gpu" not in pod.obj["spec"]["containers"][0]["resources"].get("limits", {})


@pytest.mark.parametrize("changes", [NO_GPU, STATEFULSET], ids=["one", "group"])
def test_an_isolated_release_serves_where_restricted_is_enforced(
    kube_cluster: Cluster,
    namespace: str,
    release: Release,
    mistral: dict[str, Any],
    standin: dict[str, Any],
    changes: dict[str, Any],
) -> None:
    watched = {"networkPolicy": {"enabled": True}, "monitoring": {"dashboard": {"enabled": True, "dcgm": True}}}
    spread = [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}]
    release.apply(mistral, standin, changes, BUDGET, watched, {"topologySpreadConstraints": spread}, wait=False)
    wait_until_serves(kube_cluster, namespace, "mistral", 300)
    assert serves(kube_cluster, namespace, "mistral")
    release.test()
    names = {item["metadata"]["name"] for item in get(namespace, "networkpolicies")["items"]}
    assert "mistral-llm-serving-api" in names
    assert len(names) == 1 + ("parallelism" in changes)
    (board,) = get(namespace, "configmaps", "-l", "grafana_dashboard=1")["items"]
    assert json.loads(next(iter(board["data"].values())))["title"] == f"{namespace}/mistral"
    for pod in engine_pods(kube_cluster, namespace, "mistral"):
        mounted = [v for v in pod.obj["spec"]["volumes"] if "projected" in v]
        assert not mounted, "a token of the service account is mounted"


def test_a_profile_of_this_cluster(tmp_path: Path) -> None:
    words = ["profiles", "--from-cluster", "--product", "Tesla-T4", "-o", "mine.yaml"]
    done = subprocess.run(
        [sys.executable, "-m", "llm_serving_planner", *words], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    profile = yaml.safe_load((tmp_path / "mine.yaml").read_text())
    offered = [int(node["status"]["allocatable"].get("nvidia.com/gpu", 0)) for node in nodes()]
    assert (profile["gpu"], profile["gpusPerNode"]) == ("t4", max(offered))
