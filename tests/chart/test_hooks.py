"""Jobs of Helm's hooks that look at the live release: when they are rendered, what they may, what they are told."""

import json
from typing import Any

import pytest
from support.helm import Renderer, merge

BASE: dict[str, Any] = {"model": {"id": "org/model"}}
GROUP: dict[str, Any] = {"parallelism": {"pipeline": 2, "nodes": 2}, "storage": {"accessMode": "ReadWriteMany"}}
RAY = {**GROUP, "parallelism": {**GROUP["parallelism"], "controller": "raycluster", "executor": "ray"},
       "engine": {"hasRay": True}}  # fmt: skip
WAIT = {"hooks": {"wait": {"enabled": True}}}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "50Gi"}}}


def hook(manifests: list[dict[str, Any]], name: str) -> dict[str, dict[str, Any]]:
    """Objects of one hook by kind."""
    return {one["kind"]: one for one in manifests if one["metadata"]["name"].endswith(f"-{name}")}


def told(manifests: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """What its Job is told."""
    (container,) = hook(manifests, name)["Job"]["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["python3", "/release/release.py", name]
    values = {entry["name"]: entry["value"] for entry in container["env"]}
    found: list[dict[str, Any]] = json.loads(values["EXPECTED"])
    return found


def controller(name: str, **more: Any) -> dict[str, Any]:
    return merge(BASE, merge(GROUP, {"parallelism": {"controller": name}, **more}))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (BASE, [{"kind": "PersistentVolumeClaim", "name": "mistral-llm-serving-models", "claim": CLAIM,
                 "path": "/api/v1/namespaces/llm/persistentvolumeclaims/mistral-llm-serving-models"}]),
        (controller("leaderworkerset", storage={"type": "emptyDir"}), [
            {"kind": "LeaderWorkerSet", "name": "mistral-llm-serving-lws", "claims": [], "path":
             "/apis/leaderworkerset.x-k8s.io/v1/namespaces/llm/leaderworkersets/mistral-llm-serving-lws"}]),
        (controller("statefulset", replicas=2, storage={"type": "perReplica", "accessMode": "ReadWriteOnce"}), [
            {"kind": "StatefulSet", "name": f"mistral-llm-serving-{number}",
             "claims": [{"metadata": {"name": "models"}, "spec": CLAIM}],
             "path": f"/apis/apps/v1/namespaces/llm/statefulsets/mistral-llm-serving-{number}"} for number in (0, 1)]),
        (merge(BASE, {"scaling": {"hpa": {"enabled": True}}, "storage": {"type": "emptyDir"}}), [
            {"kind": "Deployment", "name": "mistral-llm-serving", "autoscaled": True,
             "path": "/apis/apps/v1/namespaces/llm/deployments/mistral-llm-serving"}]),
    ],
)  # fmt: skip
def test_what_the_guard_compares(render: Renderer, values: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    manifests = render(values)
    assert told(manifests, "guard") == expected
    objects = hook(manifests, "guard")
    assert set(objects) == {"ServiceAccount", "Role", "RoleBinding", "ConfigMap", "Job"}
    named = [(rule["resources"], rule["resourceNames"], rule["verbs"]) for rule in objects["Role"]["rules"]]
    assert named == [([one["path"].rsplit("/", 2)[1]], [one["name"]], ["get"]) for one in expected]
    for one in objects.values():
        marks = one["metadata"]["annotations"]
        assert marks["helm.sh/hook"] == "pre-upgrade,pre-rollback"
        assert marks["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
        assert int(marks["helm.sh/hook-weight"]) == (-8 if one["kind"] == "Job" else -9)
    assert objects["Job"]["metadata"]["annotations"]["helm.sh/hook-output-log-policy"] == "hook-failed"
    assert objects["Job"]["spec"]["backoffLimit"] == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"hooks": {"guard": {"enabled": False}}},
        {"storage": {"type": "emptyDir"}},
        merge(RAY, {"storage": {"type": "emptyDir"}}),
    ],
)
def test_no_guard_where_it_is_off_or_nothing_can_break(render: Renderer, changes: dict[str, Any]) -> None:
    assert not hook(render(merge(BASE, changes)), "guard")


@pytest.mark.parametrize(
    ("values", "paths"),
    [
        (BASE, ["apis/apps/v1/namespaces/llm/deployments/mistral-llm-serving"]),
        (controller("statefulset", replicas=2), [
            f"apis/apps/v1/namespaces/llm/statefulsets/mistral-llm-serving-{number}" for number in (0, 1)]),
        (controller("leaderworkerset"), [
            "apis/leaderworkerset.x-k8s.io/v1/namespaces/llm/leaderworkersets/mistral-llm-serving-lws"]),
        (merge(BASE, RAY), ["apis/ray.io/v1/namespaces/llm/rayclusters/mistral-llm-serving-0"]),
    ],
)  # fmt: skip
def test_waiting_asks_for_every_workload(render: Renderer, values: dict[str, Any], paths: list[str]) -> None:
    assert not hook(render(values), "wait")
    manifests = render(merge(values, WAIT))
    found = told(manifests, "wait")
    assert [one["path"] for one in found] == [f"/{path}" for path in paths]
    rendered = {(one["kind"], one["metadata"]["name"]) for one in manifests}
    assert {(one["kind"], one["name"]) for one in found} <= rendered
    job = hook(manifests, "wait")["Job"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "post-install,post-upgrade,post-rollback"
    assert job["spec"]["activeDeadlineSeconds"] > 900


def test_names_that_no_controller_shares(render: Renderer) -> None:
    """The operator of a LeaderWorkerSet makes a Service of its name, which no other controller's manifests may hold."""
    names = {
        kind: {(one["kind"], one["metadata"]["name"]) for one in render(controller(kind)) if one["kind"] != "Job"}
        for kind in ("statefulset", "leaderworkerset")
    }
    names["raycluster"] = {(one["kind"], one["metadata"]["name"]) for one in render(merge(BASE, RAY))}
    (made,) = [name for kind, name in names["leaderworkerset"] if kind == "LeaderWorkerSet"]
    for found in names.values():
        assert ("Service", made) not in found
        assert ("StatefulSet", made) not in found
