"""preflight before a real API server: what it says, and that it is so."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.conftest import Release
from cluster.faults import one
from cluster.needs import kubectl
from cluster.serving import engine_pods
from pytest_helm_charts.clusters import Cluster
from support.helm import CHART, merge

SMALL: dict[str, Any] = {"gpu": {"resourceName": ""}, "cpu": {"request": "50m"}}
VALUES = merge(one(SMALL), {"model": {"id": "org/model"}})


def preflight(folder: Path, namespace: str, *changes: dict[str, Any]) -> tuple[int, list[dict[str, str]]]:
    """Exit code and findings for values of the stand-in."""
    values = VALUES
    for change in changes:
        values = merge(values, change)
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    words = ["preflight", "-f", "values.yaml", "--release", "m", "-n", namespace, "--format", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "llm_serving_planner", *words], capture_output=True, text=True, check=False, cwd=folder,
        env={**os.environ, "LLM_SERVING_CHART": str(CHART)},
    )  # fmt: skip
    assert done.returncode in {0, 1}, done.stderr
    found: list[dict[str, str]] = json.loads(done.stdout)["checks"]
    return done.returncode, found


def failed(found: list[dict[str, str]]) -> dict[str, str]:
    """What would fail, by check."""
    return {one["check"]: one["found"] for one in found if one["status"] == "fail"}


def quota(namespace: str, hard: dict[str, str], **spec: Any) -> None:
    """A quota, once the controller has counted what is there."""
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team", "namespace": namespace},
            "spec": {"hard": hard, **spec}}  # fmt: skip
    assert kubectl("create", "-f", "-", given=json.dumps(body)).returncode == 0
    kubectl("wait", "resourcequota/team", "-n", namespace, "--for=jsonpath={.status.hard}", "--timeout=20s")


def limits(namespace: str, **rule: Any) -> None:
    """A LimitRange."""
    body = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "team", "namespace": namespace},
            "spec": {"limits": [rule]}}  # fmt: skip
    assert kubectl("create", "-f", "-", given=json.dumps(body)).returncode == 0


def test_nothing_stands_against_what_then_installs(
    tmp_path: Path, kube_cluster: Cluster, namespace: str, helm: str
) -> None:
    code, found = preflight(tmp_path, namespace)
    assert (code, failed(found)) == (0, {})
    names = [item["metadata"]["name"] for item in json.loads(
        kubectl("get", "all,configmaps,serviceaccounts", "-n", namespace, "-o", "json").stdout)["items"]]  # fmt: skip
    assert set(names) <= {"default", "kube-root-ca.crt"}, "a dry run stores nothing"
    release = Release(helm, "m", namespace)
    release.apply(VALUES)
    assert engine_pods(kube_cluster, namespace, "m")
    code, found = preflight(tmp_path, namespace, {"replicas": 2})
    assert (code, failed(found)) == (0, {})
    release.uninstall(wait=False)


CASES: dict[str, tuple[Any, dict[str, Any], str, str]] = {
    "limits.cpu": (
        lambda n: quota(n, {"limits.cpu": "8"}), {}, "quota", "must specify limits.cpu for: engine",
    ),
    "claims": (
        lambda n: quota(n, {"persistentvolumeclaims": "0"}), {"storage": {"type": "pvc"}}, "quota",
        "persistentvolumeclaims has 0, 0 in use; the release adds 1",
    ),
    "class": (
        lambda n: quota(n, {"standard.storageclass.storage.k8s.io/requests.storage": "1Mi"}),
        {"storage": {"type": "pvc"}}, "quota", "standard.storageclass.storage.k8s.io/requests.storage",
    ),
    "deployments": (lambda n: quota(n, {"count/deployments.apps": "0"}), {}, "quota", "count/deployments.apps"),
    "two fit one at a time": (
        lambda n: quota(n, {"pods": "2"}), {"replicas": 3}, "quota", "pods has 2, 0 in use; the release adds",
    ),
    "certificate": (
        lambda n: None, {"tls": {"existingSecret": "cert"}}, "secret", "Secret cert does not exist",
    ),
    "object store": (
        lambda n: None, {"model": {"source": {"type": "s3", "uri": "s3://b/m", "existingSecret": "keys"}}}, "secret",
        "Secret keys does not exist",
    ),
    "claim of the model": (
        lambda n: None, {"model": {"source": {"type": "pvc", "claim": "weights"}}}, "storage",
        "PersistentVolumeClaim weights does not exist",
    ),
    "account": (
        lambda n: None, {"serviceAccount": {"create": False, "name": "team"}}, "references", "team",
    ),
    "variable": (
        lambda n: None,
        {"engine": {"extraEnv": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "own", "key": "k"}}}]}}, "secret",
        "Secret own does not exist",
    ),
    "folder of the node": (
        lambda n: None, {"model": {"source": {"type": "hostPath", "path": "/m"}}}, "pod security",
        'violates PodSecurity "restricted:latest"',
    ),
    "ephemeral storage": (
        lambda n: None, {"storage": {"ephemeral": {"request": "90Ti"}}}, "capacity", "of ephemeral storage do not fit",
    ),
    "init container": (
        lambda n: None,
        {"initContainers": [{"name": "i", "image": "i", "resources": {"requests": {"example.com/nic": "1"},
                                                                      "limits": {"example.com/nic": "1"}}}]},
        "gpu nodes", "no ready node offers example.com/nic",
    ),
    "sidecar": (
        lambda n: None, {"sidecars": [{"name": "s", "image": "i", "resources": {"requests": {"cpu": "900"}}}]},
        "capacity", "900.05 CPU",
    ),
    "another's script": (
        lambda n: kubectl("create", "configmap", "m-llm-serving-download", "-n", n),
        {"model": {"download": {"mode": "init"}}}, "names", "ConfigMap/m-llm-serving-download exist",
    ),
    "priority class": (lambda n: None, {"priorityClassName": "none"}, "references", "none"),
    "runtime class": (lambda n: None, {"runtimeClassName": "none"}, "references", "none"),
    "largest container": (
        lambda n: limits(n, type="Container", max={"memory": "16Mi"}), {}, "limits",
        "maximum memory usage per Container is 16Mi",
    ),
    "largest claim": (
        lambda n: limits(n, type="PersistentVolumeClaim", max={"storage": "1Mi"}), {"storage": {"type": "pvc"}},
        "limits", "maximum storage usage per PersistentVolumeClaim is 1Mi",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_would_fail(tmp_path: Path, namespace: str, case: str) -> None:
    edit, changes, check, text = CASES[case]
    edit(namespace)
    code, found = preflight(tmp_path, namespace, changes)
    told = [finding["found"] for finding in found if finding["check"] == check and finding["status"] == "fail"]
    assert any(text in line for line in told), found
    assert code == 1


def test_a_quota_of_others_and_the_releases_own_share(
    tmp_path: Path, namespace: str, helm: str, kube_cluster: Cluster
) -> None:
    scope = {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["system-node-critical"]}]}
    quota(namespace, {"pods": "0"}, scopeSelector=scope)
    assert failed(preflight(tmp_path, namespace)[1]) == {}
    kubectl("delete", "resourcequota", "team", "-n", namespace)
    release = Release(helm, "m", namespace)
    release.apply(VALUES)
    quota(namespace, {"pods": "2", "count/deployments.apps": "1"})
    assert failed(preflight(tmp_path, namespace)[1]) == {}
    assert "pods" in failed(preflight(tmp_path, namespace, {"replicas": 3})[1])["quota"]
    release.uninstall(wait=False)


def test_what_an_upgrade_cannot_change(tmp_path: Path, namespace: str, helm: str) -> None:
    claim = {"storage": {"type": "pvc", "size": "64Mi"}}
    release = Release(helm, "m", namespace)
    release.apply(merge(VALUES, claim), wait=False)
    code, found = preflight(tmp_path, namespace, claim, {"storage": {"size": "32Mi"}})
    assert code == 1
    assert "PersistentVolumeClaim/m-llm-serving-models" in failed(found)["change"]
    assert failed(preflight(tmp_path, namespace, claim)[1]) == {}
    kubectl("scale", "deployment/m-llm-serving", "--replicas=0", "-n", namespace)
    _, found = preflight(tmp_path, namespace, claim)
    (warned,) = [finding["found"] for finding in found if finding["check"] == "change"]
    assert "kubectl owns .spec.replicas that the release sets: Helm 4 refuses the upgrade" in warned
    release.uninstall(wait=False)


def test_who_may_only_look_is_told_so(tmp_path: Path, namespace: str) -> None:
    """A user without the right to install."""
    kubectl("create", "serviceaccount", "viewer", "-n", namespace)
    kubectl(
        "create", "rolebinding", "viewer", "-n", namespace, "--clusterrole=view", f"--serviceaccount={namespace}:viewer"
    )
    token = kubectl("create", "token", "viewer", "-n", namespace).stdout.strip()
    config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    config["users"] = [{"name": entry["name"], "user": {"token": token}} for entry in config["users"]]
    (tmp_path / "viewer.yaml").write_text(yaml.safe_dump(config))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(tmp_path / "viewer.yaml"))
        code, found = preflight(tmp_path, namespace)
    assert (code, failed(found)) == (0, {})
    assert {"admission", "nodes"} <= {one["check"] for one in found if one["status"] == "unknown"}
