"""preflight and profiles --from-cluster against a recorded cluster: kubectl on PATH answers from files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from llm_serving_planner.cluster.capacity import Node, engines_that_fit, untolerated
from llm_serving_planner.cluster.workloads import effective
from llm_serving_planner.hardware.profiles import parse_profile
from support.helm import merge
from support.recorded import SMALL, Recorded

GROUP = {"parallelism": {"tensor": 2, "pipeline": 2, "nodes": 2, "gpusPerNode": 2, "controller": "leaderworkerset"}}


@pytest.fixture
def cluster(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path)


def label(name: str, value: str) -> Callable[[list[Any]], None]:
    return lambda items: items[0]["metadata"]["labels"].update({name: value})


def test_nothing_stands_against_a_release_that_fits(cluster: Recorded) -> None:
    cluster.change("nodes", label("nvidia.com/cuda.driver-version.major", "580"))
    code, found = cluster.preflight()
    assert code == 0
    assert {finding["status"] for rows in found.values() for finding in rows} == {"ok"}
    assert "node-1: 4 x nvidia.com/gpu, 2 CPU, 23.4 GiB" in found["gpu nodes"][0]["found"]
    asked = (cluster.folder / "asked").read_text().splitlines()
    assert not [line for line in asked if line.split()[0] not in {"api-versions", "version", "get", "apply", "create"}]
    changing = [line for line in asked if line.split()[0] in {"apply", "create"}]
    assert changing
    assert all("--dry-run=server" in line for line in changing)


def pod(name: str, gpus: int, **more: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "default", "labels": more.pop("labels", {})}
    containers = [{"name": "c", "resources": {"requests": {"nvidia.com/gpu": str(gpus)}}}]
    spec = {"nodeName": "node-1", "containers": containers}
    return {"metadata": meta, "spec": spec, "status": {"phase": "Running"}, **more}


OWN = {"app.kubernetes.io/instance": "m", "app.kubernetes.io/component": "engine"}


@pytest.mark.parametrize(
    ("pods", "changes", "status"),
    [
        ([pod("a", 2)], {}, "ok"),
        ([pod("a", 3)], {}, "fail"),
        ([pod("a", 3, status={"phase": "Succeeded"})], {}, "ok"),
        ([pod("a", 4, labels=OWN)], {}, "ok"),  # its own old pod goes first
        ([pod("a", 4, labels=OWN)], {"rollout": {"mode": "surge"}, "storage": {"type": "emptyDir"}}, "fail"),
        ([], {"replicas": 2, "storage": {"type": "emptyDir"}}, "ok"),
        ([pod("a", 1)], {"replicas": 2, "storage": {"type": "emptyDir"}}, "fail"),
    ],
)
def test_gpus_that_are_free_now(cluster: Recorded, pods: list[Any], changes: dict[str, Any], status: str) -> None:
    cluster.change("pods", lambda items: items.extend(pods))
    code, found = cluster.preflight(changes)
    assert found["free now"][0]["status"] == status
    assert code == (status == "fail")


def served(cluster: Recorded, *apis: str) -> None:
    """More APIs than were recorded."""
    with (cluster.folder / "api-versions.txt").open("a") as file:
        file.write("\n".join(("", *apis, "")))


# Written after the words of Kubernetes 1.35's API server; 1.35.4 was classified alike on 2026-11-29, not recorded.
SAYS = {
    "pod security": 'Error from server (Forbidden): error when creating "STDIN": pods "preflight-zx5wq" is forbidden: '
    'violates PodSecurity "baseline:latest": hostPath volumes (volume "models")',
}
Edit = Callable[[Recorded], Any]
FAILURES: dict[str, tuple[Edit, dict[str, Any], str, str, str]] = {
    "no GPU": (
        lambda c: c.change("nodes", lambda items: items[0]["status"]["allocatable"].pop("nvidia.com/gpu")),
        {}, "gpu nodes", "no ready node offers nvidia.com/gpu", "add GPU nodes (llm-serving machineset)",
    ),
    "not ready": (
        lambda c: c.change("nodes", lambda items: items[0]["status"].update(conditions=[])),
        {}, "gpu nodes", "no node is ready and takes pods", "add nodes, or uncordon them",
    ),
    "cordoned": (
        lambda c: c.change("nodes", lambda items: items[0]["spec"].update(unschedulable=True)),
        {}, "gpu nodes", "no node is ready and takes pods", "add nodes, or uncordon them",
    ),
    "other GPU": (
        lambda c: c.change("nodes", label("nvidia.com/gpu.product", "NVIDIA-L4")),
        {}, "gpu nodes", "node-1 lack nvidia.com/gpu.product=Tesla-T4 (they have NVIDIA-L4)", "set gpu.nodeSelector",
    ),
    "taint": (
        lambda c: c.change("nodes", lambda items: items[0]["spec"].update(
            taints=[{"key": "team", "value": "a", "effect": "NoSchedule"}])),
        {}, "taints", "node-1: team=a:NoSchedule is not tolerated", "add it to gpu.tolerations",
    ),
    "too many GPUs": (
        lambda c: None, {"parallelism": {"tensor": 8, "gpusPerNode": 8}}, "capacity",
        "1 pod(s) of 8 x nvidia.com/gpu, 0.5 CPU, 4 GiB do not fit on node-1, even when these are empty "
        "(4 x nvidia.com/gpu, 2 CPU, 23.4 GiB)", "larger or more nodes",
    ),
    "too few nodes": (
        lambda c: served(c, "leaderworkerset.x-k8s.io/v1"), merge(GROUP, {"storage": {"type": "emptyDir"}}), "capacity",
        "2 pod(s) of 2 x nvidia.com/gpu, 0.5 CPU, 4 GiB, 50 GiB of ephemeral storage do not fit on node-1",
        "larger or more nodes",
    ),
    "driver": (
        lambda c: c.change("nodes", label("nvidia.com/cuda.driver.major", "570")),
        {}, "driver", "vLLM 0.33.0 holds CUDA 13.0: driver 580 or newer; node-1 has 570", "a newer driver",
    ),
    "operator": (
        lambda c: None, {"kueue": {"queue": "q"}}, "values",
        "kueue.queue is set, but the cluster does not serve kueue.x-k8s.io/v1beta2. Install Kueue, clear", "",
    ),
    "adapter": (
        lambda c: None, {"scaling": {"hpa": {"enabled": True}}, "storage": {"type": "emptyDir"}}, "api",
        "custom.metrics.k8s.io is not served, but a HorizontalPodAutoscaler asks for its metrics", "install an adapter",
    ),
    "OpenShift": (
        lambda c: served(c, "security.openshift.io/v1"),
        {}, "platform",
        "the pods have a fixed user id and the cluster is OpenShift: restricted-v2 refuses it",
        "set platform=openshift",
    ),
    "no secret": (
        lambda c: None, {"auth": {"hfToken": {"existingSecret": "hf"}}}, "secret",
        "Secret hf does not exist in default", "kubectl create secret generic hf -n default --from-file=token=FILE",
    ),
    "no key": (
        lambda c: (c.folder / "secrets.json").write_text('{"hf": ["other"]}'),
        {"auth": {"hfToken": {"existingSecret": "hf"}}}, "secret",
        "Secret hf has no key token (it has other)", "name the key in the values, or add it",
    ),
    "pod security": (
        lambda c: c.admission({"object": "Pod/preflight-", "with": "hostPath", "says": SAYS["pod security"]}),
        {"storage": {"type": "hostPath", "hostPath": "/m"}}, "pod security",
        'a pod of Deployment/m-llm-serving: pods "preflight-zx5wq" is forbidden: violates PodSecurity "baseline:',
        "docs/security.md; kubectl label namespace default --overwrite",
    ),
    "quota": (
        lambda c: c.change("resourcequotas", lambda items: items.append({
            "metadata": {"name": "gpus"},
            "status": {"hard": {"requests.nvidia.com/gpu": "4"}, "used": {"requests.nvidia.com/gpu": "3"}}})),
        {}, "quota", "ResourceQuota gpus: requests.nvidia.com/gpu has 4, 3 in use; the release adds 2",
        "raise the quota",
    ),
    "name": (
        lambda c: c.change(
            "services",
            lambda items: items.append({"kind": "Service", "metadata": {"name": "m-llm-serving"}})),
        {}, "names", "Service/m-llm-serving exist and are not of release m", "another release name",
    ),
    "no class": (
        lambda c: None, {"storage": {"storageClass": "fast"}}, "storage",
        "StorageClass fast does not exist (PersistentVolumeClaim/m-llm-serving-models needs it)",
        "create it, or name another",
    ),
    "no default class": (
        lambda c: c.change("storageclasses.storage.k8s.io", lambda items: items[0]["metadata"].pop("annotations")),
        {}, "storage", "a claim names no class and the cluster has no default one",
        "set storage.storageClass to one of standard",
    ),
    "no claim": (
        lambda c: None, {"storage": {"type": "existingClaim", "existingClaim": "models"}}, "storage",
        "PersistentVolumeClaim models does not exist in default (Deployment/m-llm-serving needs it)", "create it",
    ),
    "claim of one node": (
        lambda c: c.change("persistentvolumeclaims", lambda items: items.append(
            {"metadata": {"name": "models"}, "spec": {"accessModes": ["ReadWriteOnce"]}})),
        {"replicas": 2, "storage": {"type": "existingClaim", "existingClaim": "models"}}, "storage",
        "claim models is ReadWriteOnce, but 2 pods may need it on several nodes", "a claim with ReadWriteMany",
    ),
    "priority": (
        lambda c: None, {"priorityClassName": "high"}, "references",
        "PriorityClass high does not exist (Deployment/m-llm-serving needs it)", "create it",
    ),
    "queue": (
        lambda c: served(c, "kueue.x-k8s.io/v1beta1"),
        {"kueue": {"queue": "q"}}, "references",
        "LocalQueue q does not exist in default (Deployment/m-llm-serving needs it)", "create it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_what_would_fail_is_named_with_the_way_out(cluster: Recorded, case: str) -> None:
    edit, changes, check, text, way_out = FAILURES[case]
    edit(cluster)
    code, found = cluster.preflight(changes)
    assert code == 1
    failed = [finding for finding in found[check] if finding["status"] == "fail"]
    assert len(failed) == 1
    assert failed[0]["found"].startswith(text)
    assert failed[0]["way_out"].startswith(way_out)
    others = [f for rows in found.values() for f in rows if f["status"] == "fail" and f["check"] != check]
    assert not others


def test_the_table_is_for_people(cluster: Recorded) -> None:
    (cluster.folder / "values.yaml").write_text(yaml.safe_dump(merge(SMALL, {"storage": {"storageClass": "fast"}})))
    done = cluster.run("preflight", "-f", "values.yaml", "--namespace", "new")
    assert done.returncode == 1
    assert "warn    namespace" in done.stdout
    assert (
        "fail    storage    StorageClass fast does not exist (PersistentVolumeClaim/values-llm-serving-models"
        in done.stdout
    )
    assert "-> create it, or name another" in done.stdout
    assert "1 of 7 checks would fail" in done.stderr


@pytest.mark.parametrize("kind", ["pods", "nodes", "namespaces", "secret", "storageclasses.storage.k8s.io"])
def test_what_may_not_be_read_is_unknown_and_no_failure(cluster: Recorded, kind: str) -> None:
    cluster.forbid(kind)
    code, found = cluster.preflight({"auth": {"hfToken": {"existingSecret": "hf"}}} if kind == "secret" else {})
    assert code == 0
    assert [f for rows in found.values() for f in rows if f["status"] == "unknown" and "may not read" in f["found"]]


def test_several_files_lie_over_each_other_as_helm_lays_them(cluster: Recorded) -> None:
    (cluster.folder / "more.yaml").write_text("storage: {storageClass: fast}\ngpu: {nodeSelector: null}\n")
    (cluster.folder / "more.yaml").write_text("storage: {storageClass: fast}\n")
    code, found = cluster.preflight({}, "-f", "more.yaml")
    assert code == 1
    assert found["storage"][0]["found"].startswith("StorageClass fast does not exist")


def test_no_client_no_answer_and_no_json_are_one_line(cluster: Recorded) -> None:
    (cluster.folder / "values.yaml").write_text(yaml.safe_dump(SMALL))
    (cluster.folder / "nodes.json").write_text("no json")
    broken = cluster.run("preflight", "-f", "values.yaml")
    assert (broken.returncode, broken.stderr) == (
        1,
        "error: kubectl get nodes is not valid JSON (line 1: Expecting value)\n",
    )
    (cluster.folder / "kubectl").write_text("#!/bin/sh\necho 'Unable to connect to the server' >&2\nexit 1\n")
    lost = cluster.run("preflight", "-f", "values.yaml")
    assert lost.stderr.startswith("error: kubectl api-versions failed with exit code 1: Unable to connect")
    (cluster.folder / "kubectl").unlink()
    none = cluster.run("preflight", "-f", "values.yaml")
    assert none.stderr.startswith("error: neither oc nor kubectl is on PATH\nhint: ")
    bad = cluster.run("preflight", "-f", "values.yaml", "--release", "Upper")
    assert "--release 'Upper' is no name of a Helm release" in bad.stderr


def test_taints_and_rooms() -> None:
    taints = [{"key": "a", "value": "b", "effect": "NoSchedule"}, {"key": "c", "effect": "PreferNoSchedule"}]
    node = Node("n", {}, taints, {}, {})
    assert untolerated(node, []) == ["a=b:NoSchedule"]
    for toleration, kept_out in (
        ({"operator": "Exists"}, False),
        ({"key": "a", "operator": "Exists"}, False),
        ({"key": "a", "value": "b"}, False),
        ({"key": "a", "value": "c"}, True),
        ({"key": "a", "operator": "Exists", "effect": "NoExecute"}, True),
    ):
        assert bool(untolerated(node, [toleration])) is kept_out
    cases = ([4], [1, 1], [2, 2], [3, 1], [1, 1, 1, 1], [5, 1, 1])
    assert [engines_that_fit(rooms, 2, apart=True) for rooms in cases] == [0, 1, 2, 1, 2, 2]
    assert engines_that_fit([4], 2, apart=False) == 2


def test_what_the_scheduler_counts_for_a_pod() -> None:
    """Containers together, each init container with the sidecars before it, and the runtime class's overhead."""

    def one(cpu: str, **more: Any) -> dict[str, Any]:
        return {"name": "c", "resources": {"requests": {"cpu": cpu}}, **more}

    pair = [one("1"), one("500m")]
    sidecar = one("300m", restartPolicy="Always")
    for spec, cpu in (
        ({"containers": pair}, 1.5),
        ({"containers": pair, "initContainers": [one("2")]}, 2.0),
        ({"containers": pair, "initContainers": [sidecar]}, 1.8),
        ({"containers": pair, "initContainers": [sidecar, one("2")]}, 2.3),
        ({"containers": pair, "initContainers": [one("2"), sidecar]}, 2.0),
        ({"containers": pair, "overhead": {"cpu": "250m"}}, 1.75),
        ({"containers": [{"name": "c", "resources": {"limits": {"cpu": "3"}}}]}, 3.0),
    ):
        assert effective(spec, "requests")["cpu"] == pytest.approx(cpu), spec


def test_a_profile_is_read_off_the_labels(cluster: Recorded) -> None:
    done = cluster.run("profiles", "--from-cluster", "-o", "mine.yaml")
    assert done.returncode == 0, done.stderr
    profile = parse_profile(str(cluster.folder / "mine.yaml"))
    assert (profile.gpu.id, profile.gpus_per_node, profile.nodes) == ("t4", 4, 1)
    assert (profile.node_cpu_m, profile.node_memory_mib) == (2000, 24002)
    assert "1 such node(s) in the cluster" in done.stderr


def test_an_unknown_gpu_is_described_by_its_labels(cluster: Recorded) -> None:
    for name, value in (("gpu.product", "NVIDIA-X9"), ("gpu.memory", "49152"), ("gpu.compute.major", "9"),
                        ("gpu.compute.minor", "1")):  # fmt: skip
        cluster.change("nodes", label(f"nvidia.com/{name}", value))
    done = cluster.run("profiles", "--from-cluster")
    (cluster.folder / "mine.yaml").write_text(done.stdout)
    profile = parse_profile(str(cluster.folder / "mine.yaml"))
    assert (profile.gpu.device_name, profile.gpu.memory_usable_gib) == ("NVIDIA X9", 47.1)
    assert (profile.gpu.compute_capability, profile.gpu.gfd_product_labels) == ("9.1", ("NVIDIA-X9",))
    assert "usable memory taken as 47.1 GiB (label less 0.9, an assumption)" in done.stderr


def another(items: list[Any]) -> None:
    copy = json.loads(json.dumps(items[0]))
    copy["metadata"]["name"] = "node-2"
    copy["metadata"]["labels"]["nvidia.com/gpu.product"] = "NVIDIA-L4"
    items.append(copy)


@pytest.mark.parametrize(
    ("edit", "words", "text"),
    [
        (another, [], "nodes of several kinds: NVIDIA-L4 (4 per node, 1 node(s)), Tesla-T4 (4 per node, 1 node(s))"),
        (another, ["--product", "H100"], "no node has H100; there are NVIDIA-L4"),
        (label("nvidia.com/gpu.product", "Tesla-T4-SHARED"), [], "node-1: Tesla-T4-SHARED is a shared or partitioned"),
        (label("nvidia.com/gpu.product", "NVIDIA-X9"), [], "node-1: NVIDIA-X9 is no GPU that is known here"),
        (label("nvidia.com/gpu.product", ""), [], "no ready node has nvidia.com/gpu and the label"),
    ],
)
def test_profiles_that_cannot_be_made_say_why(
    cluster: Recorded, edit: Callable[[list[Any]], None], words: list[str], text: str
) -> None:
    cluster.change("nodes", edit)
    done = cluster.run("profiles", "--from-cluster", *words)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {text}")
    assert done.stdout == ""


def test_one_of_several_kinds_is_chosen(cluster: Recorded) -> None:
    cluster.change("nodes", another)
    done = cluster.run("profiles", "--from-cluster", "--product", "NVIDIA-L4", "--format", "json")
    assert json.loads(done.stdout)["gpu"] == "l4"
    idle = cluster.run("profiles", "--product", "NVIDIA-L4")
    assert idle.stderr == "error: --product has no use without --from-cluster\n"
