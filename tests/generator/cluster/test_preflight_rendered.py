"""What only the rendered release and the API server tell, against a recorded cluster: references, quotas, admission."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from llm_serving_planner.cluster import quota
from llm_serving_planner.cluster.workloads import Pods
from support.helm import merge
from support.recorded import SMALL, Recorded

EMPTY = {"storage": {"type": "emptyDir", "size": "9Gi"}}
OWN = {"app.kubernetes.io/instance": "m", "app.kubernetes.io/component": "engine"}
MINE = {"meta.helm.sh/release-name": "m", "meta.helm.sh/release-namespace": "default"}
# Written after the words of Kubernetes 1.35's API server; 1.35.4 was classified alike on 2026-11-29, not recorded.
SAYS_LIMIT = (
    'Error from server (Forbidden): pods "preflight-abcde" is forbidden: [maximum memory usage per Container is 6Gi, '
    "but limit is 8Gi, maximum cpu usage per Pod is 2.  No limit is specified]"
)


@pytest.fixture
def cluster(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path)


def quotas(cluster: Recorded, hard: dict[str, str], used: dict[str, str] | None = None, **spec: Any) -> Recorded:
    one = {"metadata": {"name": "team"}, "spec": {"hard": hard, **spec}, "status": {"hard": hard, "used": used or {}}}
    return cluster.change("resourcequotas", lambda items: items.append(one))


GROUP = merge(EMPTY, {"parallelism": {"tensor": 1, "pipeline": 2, "nodes": 2, "gpusPerNode": 1, "shareNodes": True,
                                      "controller": "leaderworkerset"}})  # fmt: skip


def served(cluster: Recorded, *apis: str) -> None:
    """More APIs than were recorded."""
    with (cluster.folder / "api-versions.txt").open("a") as file:
        file.write("\n".join(("", *apis, "")))


Edit = Callable[[Recorded], Any]
MISSED: dict[str, tuple[Edit, dict[str, Any], str, str]] = {
    "quota on limits.cpu, which nothing states": (
        lambda c: quotas(c, {"limits.cpu": "8"}), {}, "quota",
        "ResourceQuota team counts what must then be stated: limits.cpu of container engine, limits.cpu of container "
        "test is missing",
    ),
    "quota on limits.cpu, too small": (
        lambda c: quotas(c, {"limits.cpu": "3"}), {"cpu": {"limit": "4"}, "test": {"enabled": False}}, "quota",
        "ResourceQuota team: limits.cpu has 3, 0 in use; the release adds 4",
    ),
    "quota on claims": (
        lambda c: quotas(c, {"persistentvolumeclaims": "2"}, {"persistentvolumeclaims": "2"}), {}, "quota",
        "ResourceQuota team: persistentvolumeclaims has 2, 2 in use; the release adds 1",
    ),
    "quota on a storage class": (
        lambda c: quotas(c, {"standard.storageclass.storage.k8s.io/requests.storage": "20Gi"}),
        {"storage": {"storageClass": "standard"}}, "quota",
        "ResourceQuota team: standard.storageclass.storage.k8s.io/requests.storage has 20Gi, 0Gi in use; the release "
        "adds 50Gi",
    ),
    "quota on the default storage class": (
        lambda c: quotas(c, {"standard.storageclass.storage.k8s.io/requests.storage": "20Gi"}), {}, "quota",
        "ResourceQuota team: standard.storageclass.storage.k8s.io/requests.storage has 20Gi",
    ),
    "quota on Deployments": (
        lambda c: quotas(c, {"count/deployments.apps": "1"}, {"count/deployments.apps": "1"}), {}, "quota",
        "ResourceQuota team: count/deployments.apps has 1, 1 in use; the release adds 1",
    ),
    "quota on Secrets, of which Helm makes one": (
        lambda c: quotas(c, {"secrets": "1"}, {"secrets": "1"}), {}, "quota",
        "ResourceQuota team: secrets has 1, 1 in use; the release adds 1",
    ),
    "certificate": (
        lambda c: None, {"tls": {"existingSecret": "cert"}}, "secret",
        "Secret cert does not exist in default (Deployment/m-llm-serving needs it)",
    ),
    "credentials of an object store": (
        lambda c: None, {"model": {"source": {"type": "s3", "uri": "s3://b/m", "existingSecret": "keys"}}}, "secret",
        "Secret keys does not exist in default",
    ),
    "claim with the model": (
        lambda c: None, {"model": {"source": {"type": "pvc", "claim": "weights"}}}, "storage",
        "PersistentVolumeClaim weights does not exist in default",
    ),
    "service account": (
        lambda c: None, {"serviceAccount": {"create": False, "name": "team"}}, "references",
        "ServiceAccount team does not exist in default",
    ),
    "Secret of a variable": (
        lambda c: None,
        {"engine": {"extraEnv": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "own", "key": "k"}}}]}},
        "secret", "Secret own does not exist in default",
    ),
    "ConfigMap of a variable": (
        lambda c: None,
        {"engine": {"extraEnv": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "own", "key": "k"}}}]}},
        "references", "ConfigMap own does not exist in default",
    ),
    "pull secret": (
        lambda c: None, {"imagePullSecrets": [{"name": "pull"}]}, "secret", "Secret pull does not exist in default",
    ),
    "volume of the user's": (
        lambda c: None, {"extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}]}, "references",
        "ConfigMap ca does not exist in default",
    ),
    "runtime class": (
        lambda c: None, {"runtimeClassName": "nvidia"}, "references", "RuntimeClass nvidia does not exist",
    ),
    "model of the node's folder": (
        lambda c: c.admission({"object": "Pod/preflight-", "with": "hostPath", "says": (
            'Error from server (Forbidden): pods "preflight-x" is forbidden: violates PodSecurity "baseline:latest": '
            'hostPath volumes (volume "source")')}),
        {"model": {"source": {"type": "hostPath", "path": "/m"}}}, "pod security",
        'a pod of Deployment/m-llm-serving: pods "preflight-x" is forbidden: violates PodSecurity',
    ),
    "ephemeral storage": (
        lambda c: None, {"storage": {"ephemeral": {"request": "400Gi"}}}, "capacity",
        "1 pod(s) of 2 x nvidia.com/gpu, 0.5 CPU, 4 GiB, 400 GiB of ephemeral storage do not fit on node-1",
    ),
    "RDMA": (
        lambda c: served(c, "leaderworkerset.x-k8s.io/v1"),
        merge(GROUP, {"network": {"rdma": {"enabled": True, "resourceName": "rdma/ib", "hca": "mlx5"}}}), "gpu nodes",
        "no ready node offers rdma/ib",
    ),
    "init container": (
        lambda c: None,
        {"initContainers": [{"name": "i", "image": "i", "resources": {"requests": {"memory": "90Gi"}}}]}, "capacity",
        "1 pod(s) of 2 x nvidia.com/gpu, 0.5 CPU, 90 GiB do not fit on node-1",
    ),
    "sidecar": (
        lambda c: None,
        {"sidecars": [{"name": "s", "image": "i", "resources": {"requests": {"cpu": "8"}}}]}, "capacity",
        "1 pod(s) of 2 x nvidia.com/gpu, 8.5 CPU, 4 GiB do not fit on node-1",
    ),
    "node affinity": (
        lambda c: None,
        {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]}}}}, "gpu nodes",
        "node-1 lack",
    ),
    "script of another": (
        lambda c: c.change("configmaps", lambda items: items.append(
            {"kind": "ConfigMap", "metadata": {"name": "m-llm-serving-download"}})),
        {"model": {"download": {"mode": "init"}}}, "names",
        "ConfigMap/m-llm-serving-download exist and are not of release m",
    ),
    "limits of the namespace": (
        lambda c: c.admission({"object": "Pod/preflight-", "with": "engine", "says": SAYS_LIMIT}),
        {"test": {"enabled": False}}, "limits",
        'a pod of Deployment/m-llm-serving: pods "preflight-abcde" is forbidden: [maximum memory usage per Container',
    ),
    "a claim that shrinks": (
        lambda c: c.admission({"object": "PersistentVolumeClaim/*", "says": (
            'The PersistentVolumeClaim "m-llm-serving-models" is invalid: spec.resources.requests.storage: Forbidden: '
            "field can not be less than status.capacity")}),
        {"storage": {"size": "10Gi"}}, "change",
        'PersistentVolumeClaim/m-llm-serving-models: The PersistentVolumeClaim "m-llm-serving-models" is invalid: '
        "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity",
    ),
    "another plugin": (
        lambda c: c.admission({"object": "Service/*", "says": (
            'Error from server (Forbidden): admission webhook "team.example.com" denied the request: no owner label')}),
        {}, "admission",
        'Service/m-llm-serving: admission webhook "team.example.com" denied the request: no owner label',
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MISSED)
def test_what_rendered_objects_and_the_api_server_tell(cluster: Recorded, case: str) -> None:
    edit, changes, check, text = MISSED[case]
    edit(cluster)
    code, found = cluster.preflight(changes)
    assert code == 1
    failed = [one["found"] for rows in found.values() for one in rows if one["status"] == "fail"]
    assert len(failed) == 1, failed
    assert failed[0].startswith(text)
    assert failed[0] in [one["found"] for one in found[check]]


def running(gpus: str = "2", **spec: Any) -> dict[str, Any]:
    containers = [{"name": "engine", "resources": {"requests": {"nvidia.com/gpu": gpus, "cpu": "500m", "memory": "4Gi"},
                                                   "limits": {"nvidia.com/gpu": gpus, "memory": "8Gi"}}}]  # fmt: skip
    meta = {"name": "m-llm-serving-1", "namespace": "default", "labels": OWN}
    return {
        "metadata": meta,
        "spec": {"nodeName": "node-1", "containers": containers, **spec},
        "status": {"phase": "Running"},
    }


ALLOWED: dict[str, tuple[Edit, dict[str, Any]]] = {
    "a quota of another priority class": (
        lambda c: quotas(c, {"pods": "0", "requests.nvidia.com/gpu": "0"}, scopeSelector={"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": "In", "values": ["other"]}]}), {},
    ),
    "a quota of pods that end": (
        lambda c: quotas(c, {"pods": "0"}, scopes=["Terminating"]), {"test": {"enabled": False}},
    ),
    "a quota of pods without requests": (lambda c: quotas(c, {"pods": "0"}, scopes=["BestEffort"]), {}),
    "the release's own share": (
        lambda c: (
            c.change("pods", lambda items: items.append(running())),
            quotas(c, {"requests.nvidia.com/gpu": "2"}, {"requests.nvidia.com/gpu": "2"}),
        ), EMPTY,
    ),
    "the release's own Deployment": (
        lambda c: (
            c.change("deployments", lambda items: items.append({
                "kind": "Deployment", "apiVersion": "apps/v1", "spec": {"replicas": 1},
                "metadata": {"name": "m-llm-serving", "annotations": MINE}})),
            quotas(c, {"count/deployments.apps": "1"}, {"count/deployments.apps": "1"}),
        ), EMPTY,
    ),
    "a limit that the LimitRange puts in": (
        lambda c: (
            c.admission({"object": "Pod/preflight-", "limits": {"cpu": "2"}}),
            quotas(c, {"limits.cpu": "4"}),
        ), EMPTY,
    ),
    "an optional Secret": (
        lambda c: None,
        {"engine": {"extraEnv": [
            {"name": "A", "valueFrom": {"secretKeyRef": {"name": "own", "key": "k", "optional": True}}}]}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ALLOWED)
def test_what_works_is_not_refused(cluster: Recorded, case: str) -> None:
    edit, changes = ALLOWED[case]
    edit(cluster)
    code, found = cluster.preflight(changes)
    assert [one for rows in found.values() for one in rows if one["status"] == "fail"] == []
    assert code == 0


def test_surging_needs_a_share_more(cluster: Recorded) -> None:
    cluster.change("pods", lambda items: items.append(running("2")))
    quotas(cluster, {"requests.nvidia.com/gpu": "3"}, {"requests.nvidia.com/gpu": "2"})
    code, found = cluster.preflight(merge(EMPTY, {"rollout": {"mode": "surge"}}))
    assert code == 1
    assert found["quota"][0]["found"] == (
        "ResourceQuota team: requests.nvidia.com/gpu has 3, 2 in use; the release adds 2"
    )


def test_the_engine_is_named_with_the_version_that_the_chart_takes(cluster: Recorded) -> None:
    """A file without engine.version gets the chart's."""
    small = {key: value for key, value in SMALL.items() if key != "engine"}
    (cluster.folder / "less.yaml").write_text(yaml.safe_dump(small))
    done = cluster.run("preflight", "-f", "less.yaml", "--format", "json")
    found = {one["check"]: [one] for one in json.loads(done.stdout)["checks"]}
    assert found["driver"][0]["found"].startswith("vLLM 0.33.0 holds CUDA 13.0: driver 580 or newer")


def test_a_default_that_changes_how_it_runs_is_a_warning(cluster: Recorded) -> None:
    cluster.admission(
        {"object": "Pod/preflight-", "with": "engine", "limits": {"cpu": "2", "ephemeral-storage": "5Gi"}}
    )
    code, found = cluster.preflight({"test": {"enabled": False}})
    assert code == 0
    assert [(one["status"], one["found"]) for one in found["limits"]] == [
        ("warn", "a LimitRange limits container engine of Deployment/m-llm-serving to 2 of cpu: it is throttled there"),
        ("warn", "a LimitRange limits container engine of Deployment/m-llm-serving to 5Gi of ephemeral-storage: its "
                 "pod is evicted where home and temporary files grow beyond"),
    ]  # fmt: skip


def test_who_may_not_make_pods_is_told_what_is_then_unknown(cluster: Recorded) -> None:
    cluster.admission({"object": "*", "says": (
        'Error from server (Forbidden): pods is forbidden: User "me" cannot create resource "pods" in API group "" in '
        'the namespace "default"')})  # fmt: skip
    code, found = cluster.preflight()
    assert code == 0
    assert {one["status"] for one in found["admission"]} == {"unknown"}
    assert "you may not make Pod here: a dry run needs the same right" in [one["found"] for one in found["admission"]]


def test_another_owner_of_a_field_is_a_warning(cluster: Recorded) -> None:
    cluster.admission({"object": "Deployment/*", "says": (
        'error: Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1: '
        ".spec.replicas\nPlease review the fields above--they have other managers.\n* See docs")})  # fmt: skip
    code, found = cluster.preflight()
    assert code == 0
    assert found["change"][0]["found"] == (
        "Deployment/m-llm-serving: kubectl owns .spec.replicas that the release sets: Helm 4 refuses the upgrade, Helm "
        "3 sets them"
    )


def live(kind: str, api: str, spec: dict[str, Any], name: str = "m-llm-serving", **meta: Any) -> dict[str, Any]:
    return {"kind": kind, "apiVersion": api, "spec": spec,
            "metadata": {"name": name, "namespace": "default", "annotations": MINE, **meta}}  # fmt: skip


def owner(manager: str) -> dict[str, Any]:
    return {"manager": manager, "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}


SCALING = merge(EMPTY, {"scaling": {"hpa": {"enabled": True}}, "rollout": {"mode": "recreate"}})


@pytest.mark.parametrize(
    ("replicas", "owners", "refused"),
    [
        (3, ["helm"], True),
        (1, ["helm"], False),
        (3, ["helm", "autoscaling"], False),
        (3, ["kube-controller-manager"], False),
    ],
)
def test_an_autoscaler_switched_on_must_end_no_engine(
    cluster: Recorded, replicas: int, owners: list[str], *, refused: bool
) -> None:
    fields = [owner(name) for name in owners]
    one = live("Deployment", "apps/v1", {"replicas": replicas}, managedFields=fields)
    cluster.change("deployments", lambda items: items.append(one))
    served(cluster, "custom.metrics.k8s.io/v1beta2")
    code, found = cluster.preflight(SCALING)
    texts = [finding["found"] for finding in found.get("change", [])]
    assert texts == ["Deployment/m-llm-serving has 3 replicas, which Helm owns: an autoscaler is switched on, and 2 "
                     "engine(s) end before it acts"] * refused  # fmt: skip
    assert code == refused


def template(size: str) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return {"metadata": {"name": "models"}, "spec": spec}


@pytest.mark.parametrize(
    ("now", "then", "text"),
    [
        ([], "perReplica", "none to models 50Gi"),
        ([template("20Gi")], "perReplica", "models 20Gi to models 50Gi"),
        ([template("50Gi")], "emptyDir", "models 50Gi to none"),
        ([template("51200Mi")], "perReplica", ""),
        ([], "emptyDir", ""),
    ],
)
def test_claims_of_a_leaderworkerset_never_change(cluster: Recorded, now: list[Any], then: str, text: str) -> None:
    """The API server takes it, and its operator fails for ever."""
    name = "m-llm-serving-lws"
    one = live("LeaderWorkerSet", "leaderworkerset.x-k8s.io/v1", {
        "replicas": 1, "leaderWorkerTemplate": {"size": 2, "volumeClaimTemplates": now}}, name)  # fmt: skip
    cluster.change("leaderworkersets", lambda items: items.append(one))
    served(cluster, "leaderworkerset.x-k8s.io/v1")
    _, found = cluster.preflight(merge(GROUP, {"storage": {"type": then, "size": "50Gi"}}))
    texts = [finding["found"] for finding in found.get("change", [])]
    assert texts == [f"LeaderWorkerSet/{name}: the claims of its pods cannot change ({text}), and its operator would "
                     "fail for ever"] * bool(text)  # fmt: skip


@pytest.mark.parametrize(
    ("scope", "spec", "counted"),
    [
        ({"scopeName": "PriorityClass", "operator": "In", "values": ["a"]}, {"priorityClassName": "a"}, True),
        ({"scopeName": "PriorityClass", "operator": "NotIn", "values": ["a"]}, {"priorityClassName": "a"}, False),
        ({"scopeName": "PriorityClass", "operator": "Exists"}, {"priorityClassName": "a"}, True),
        ({"scopeName": "PriorityClass", "operator": "DoesNotExist"}, {}, True),
        ({"scopeName": "Terminating", "operator": "Exists"}, {"activeDeadlineSeconds": 5}, True),
        ({"scopeName": "NotTerminating", "operator": "Exists"}, {"activeDeadlineSeconds": 5}, False),
        ({"scopeName": "BestEffort", "operator": "Exists"}, {}, True),
        ({"scopeName": "NotBestEffort", "operator": "Exists"}, {}, False),
        ({"scopeName": "CrossNamespacePodAffinity", "operator": "Exists"}, {}, False),
        ({"scopeName": "VolumeAttributesClass", "operator": "Exists"}, {}, False),
    ],
)  # fmt: skip
def test_scopes(scope: dict[str, Any], spec: dict[str, Any], *, counted: bool) -> None:
    one = {"metadata": {"name": "q"}, "spec": {"scopeSelector": {"matchExpressions": [scope]}}}
    assert quota.counts(one, spec) is counted


def test_a_hooks_pod_counts_beside_the_release() -> None:
    def group(hook: tuple[str, ...], cpu: str) -> Pods:
        spec = {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}
        return Pods("Job/j", 1, 1, hook, ends=True, apart=False, surge=False, meta={}, spec=spec)

    one = {"metadata": {"name": "q"}, "status": {"hard": {"cpu": "3"}, "used": {}}}
    groups = [group((), "2"), group(("pre-install",), "1"), group(("test",), "1500m")]
    told = quota.problems([one], quota.Demand(groups, [], [], []))
    assert told == [("ResourceQuota q: cpu has 3, 0 in use; the release adds 3.5", "raise the quota, or ask for less")]
