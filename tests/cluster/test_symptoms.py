"""docs/troubleshooting.md, Kubernetes: what the page quotes is what a real cluster says."""

import time
from typing import Any

import pytest
from cluster.conftest import STANDIN
from pykube import Event, PersistentVolumeClaim, Pod, ResourceQuota
from pykube.exceptions import HTTPError
from pytest_helm_charts.clusters import Cluster
from support.helm import ROOT
from support.tables import pattern, quoted, rows

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
KUBERNETES = PAGE.split("\n## Kubernetes\n")[1].split("\n## ")[0]
IMAGE = STANDIN["test"]["image"]
SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 2000,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(namespace: str, **changes: Any) -> dict[str, Any]:
    """A pod that Pod Security restricted admits and that would run, but for the changes."""
    container = {
        "name": "engine",
        "image": f"{IMAGE['registry']}/{IMAGE['repository']}:{IMAGE['tag']}",
        "imagePullPolicy": "Never",
        "command": ["sleep", "60"],
        "securityContext": SECURITY,
        **changes.pop("container", {}),
    }
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container], **changes}
    return {"metadata": {"name": "symptom", "namespace": namespace}, "spec": spec}


CASES: dict[str, dict[str, Any]] = {
    "Insufficient nvidia.com/gpu": {"container": {"resources": {"limits": {"nvidia.com/gpu": "99"}}}},
    "Insufficient memory": {"container": {"resources": {"limits": {"memory": "900Ti"}}}},
    "node(s) didn't match Pod's node affinity/selector": {"nodeSelector": {"nvidia.com/gpu.product": "none"}},
    "pod has unbound immediate PersistentVolumeClaims": {
        "volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": "symptom"}}]
    },
    'secret "…" not found': {
        "container": {
            "env": [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf-token", "key": "token"}}}]
        }
    },
    "ErrImagePull": {"container": {"image": "127.0.0.1:1/none:1", "imagePullPolicy": "IfNotPresent"}},
}


def told(cluster: Cluster, namespace: str) -> str:
    """Conditions, container states and events: what `kubectl describe pod` shows."""
    client = cluster.kube_client
    found = Pod.objects(client).filter(namespace=namespace).get_by_name("symptom").obj
    events = [event.obj.get("message", "") for event in Event.objects(client).filter(namespace=namespace)]
    return "\n".join([str(found["status"]).replace("\\'", "'").replace("\\\\", "\\"), *events])


@pytest.mark.parametrize("quote", CASES)
def test_a_pod_that_does_not_start_says_what_the_page_says(kube_cluster: Cluster, namespace: str, quote: str) -> None:
    assert any(quote in text for cells in rows(KUBERNETES) for text in quoted(cells[0])), "the page quotes it"
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "none",
    }
    metadata = {"name": "symptom", "namespace": namespace}
    PersistentVolumeClaim(kube_cluster.kube_client, {"metadata": metadata, "spec": claim}).create()
    Pod(kube_cluster.kube_client, pod(namespace, **CASES[quote])).create()
    known = pattern(quote)
    deadline = time.monotonic() + 60
    while not known.search(text := told(kube_cluster, namespace)) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert known.search(text), text


def test_what_admission_says(kube_cluster: Cluster, namespace: str) -> None:
    """Pod Security and quotas answer at once."""
    client = kube_cluster.kube_client
    with pytest.raises(HTTPError) as refused:
        Pod(client, pod(namespace, container={"securityContext": {}})).create()
    assert pattern('violates PodSecurity "restricted…"').search(str(refused.value))
    metadata = {"name": "none", "namespace": namespace}
    quota = ResourceQuota(client, {"metadata": metadata, "spec": {"hard": {"pods": "0"}}})
    quota.create()
    deadline = time.monotonic() + 30
    while "hard" not in quota.obj.get("status", {}) and time.monotonic() < deadline:
        time.sleep(0.5)
        quota.reload()
    with pytest.raises(HTTPError) as full:
        Pod(client, pod(namespace)).create()
    assert pattern("exceeded quota: …").search(str(full.value))
    for quote in ('violates PodSecurity "restricted…"', "exceeded quota: …"):
        assert f"`{quote}`" in KUBERNETES
