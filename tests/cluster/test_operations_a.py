"""Operation on a real Kubernetes: TLS, downloads, pre-pull, sidecars, and every object before its API server."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.conftest import STANDIN, Release, open_claim
from cluster.hub import hub_source
from cluster.serving import engine_pods, wait_until_serves
from pykube import ConfigMap, Job, Pod, Secret, Service
from pytest_helm_charts.clusters import Cluster
from support.certificates import certificate
from support.helm import CHART, in_process, merge

SMALL: dict[str, Any] = {
    "storage": {"type": "emptyDir"},
    "gpu": {"resourceName": ""},
    "parallelism": {"tensor": 1, "gpusPerNode": 1},
    "startup": {"budgetSeconds": 120, "imagePullSeconds": 60},
    "drain": {"preStopSeconds": 1, "shutdownTimeoutSeconds": 5},
}
HUB = """
import threading
from fake_hub import FakeHub, FakeModel
hub = FakeHub("0.0.0.0", 8080, "http://hub:8080")
hub.models["org/tiny"] = FakeModel({"config.json": b"{}", "tokenizer.json": b"[]"}, token="hf_good")
threading.Event().wait()
"""


@pytest.fixture
def release(namespace: str, helm: str) -> Iterator[Release]:
    release = Release(helm, "mistral", namespace)
    yield release
    release.uninstall()


def secured(spec: dict[str, Any]) -> dict[str, Any]:
    """A pod's spec that Pod Security restricted admits."""
    bounds = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    for container in spec["containers"]:
        container["securityContext"] = bounds
    user = {"runAsNonRoot": True, "runAsUser": 2000, "seccompProfile": {"type": "RuntimeDefault"}}
    return {**spec, "securityContext": user}


@pytest.mark.parametrize("nodes", [1, 2])
def test_an_engine_that_speaks_tls_is_probed_and_tested(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any], tmp_path: Path, nodes: int
) -> None:
    data = certificate(tmp_path, f"mistral-llm-serving.{namespace}.svc")
    metadata = {"name": "engine-tls", "namespace": namespace}
    Secret(kube_cluster.kube_client, {"metadata": metadata, "type": "kubernetes.io/tls", "data": data}).create()
    layout: dict[str, Any] = {"tls": {"existingSecret": "engine-tls"}}
    if nodes > 1:
        layout["parallelism"] = {"nodes": 2, "pipeline": 2, "controller": "statefulset", "shareNodes": True}
    release.apply(mistral, STANDIN, merge(SMALL, layout), wait=nodes == 1)
    wait_until_serves(kube_cluster, namespace, "mistral", 120, scheme="https:")
    printed = release.test()
    assert "chunks, then [DONE]" in printed
    leader = engine_pods(kube_cluster, namespace, "mistral")[0]
    assert leader.ready


@pytest.mark.parametrize("mode", ["init", "hook"])
def test_a_model_is_downloaded_before_its_engine(
    kube_cluster: Cluster, namespace: str, release: Release, mistral: dict[str, Any], mode: str
) -> None:
    client = kube_cluster.kube_client
    labels = {"metadata": {"name": "hub", "namespace": namespace, "labels": {"app": "hub"}}}
    ConfigMap(client, {**labels, "data": {"fake_hub.py": hub_source(), "main.py": HUB}}).create()
    image = STANDIN["test"]["image"]
    container: dict[str, Any] = {
        "name": "hub",
        "image": f"{image['registry']}/{image['repository']}:{image['tag']}",
        "imagePullPolicy": image["pullPolicy"],
        "command": ["python3", "/hub/main.py"],
        "volumeMounts": [{"name": "hub", "mountPath": "/hub"}],
    }
    pod = {"containers": [container], "volumes": [{"name": "hub", "configMap": {"name": "hub"}}]}
    Pod(client, {**labels, "spec": secured(pod)}).create()
    Service(client, {**labels, "spec": {"selector": {"app": "hub"}, "ports": [{"port": 8080}]}}).create()
    token = {"metadata": {"name": "hf", "namespace": namespace}, "stringData": {"token": "hf_good"}}
    Secret(client, token).create()
    changes: dict[str, Any] = {
        "model": {"id": "org/tiny", "revision": "", "download": {"mode": mode}},
        "auth": {"hfToken": {"existingSecret": "hf"}},
        "engine": {"env": {"HF_ENDPOINT": "http://hub:8080"}},
        "prePull": {"enabled": True},
        "sidecars": [{"name": "beside", "image": container["image"], "command": ["sleep", "999"]}],
    }
    if mode == "hook":
        open_claim(kube_cluster, namespace, "mistral")
        changes["storage"] = {"type": "existingClaim", "existingClaim": "mistral-llm-serving-models"}
    release.apply(mistral, STANDIN, merge(SMALL, changes))
    (engine,) = engine_pods(kube_cluster, namespace, "mistral")
    assert engine.ready
    if mode == "init":
        said = str(engine.logs(container="fetch-model"))
        assert "complete and verified" in said
    assert list(Job.objects(client).filter(namespace=namespace)) == []  # hooks leave nothing behind


@pytest.mark.parametrize("path", sorted((CHART / "ci").glob("*-values.yaml")), ids=lambda path: path.stem)
def test_the_api_server_admits_every_object(namespace: str, path: Path) -> None:
    """Admission and CEL rules, which schemas do not know. Routes are judged where their CRDs are installed."""
    served = subprocess.run(["kubectl", "api-versions"], capture_output=True, text=True, check=True).stdout.split()
    manifests = in_process(yaml.safe_load(path.read_text()), namespace=namespace, kube="v1.35.0")
    known = [entry for entry in manifests if entry["apiVersion"] in served]
    assert len(known) >= 5
    command = ["kubectl", "apply", "--server-side", "--dry-run=server", "--namespace", namespace, "--filename", "-"]
    text = yaml.safe_dump_all(known)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("serverside-applied") == len(known)
