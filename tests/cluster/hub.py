"""A hub inside the cluster, for pods that download: tests/generator/fake_hub.py behind a Service named `hub`."""

import time
from typing import Any

from chart.helm import ROOT
from cluster.conftest import STANDIN
from pykube import ConfigMap, HTTPClient, Pod, Secret, Service

_MAIN = """
import threading
from fake_hub import FakeHub, FakeModel
hub = FakeHub("0.0.0.0", 8080, "http://hub:8080")
for name, files in {models!r}.items():
    hub.models[name] = FakeModel(files, token="hf_good")
threading.Event().wait()
"""


def start_hub(client: HTTPClient, namespace: str, models: dict[str, dict[str, bytes]]) -> None:
    """Serve the repositories to holders of the token in the Secret `hf`; returns when the hub is ready.

    Args:
        client: of the cluster.
        namespace: where; Pod Security restricted may be enforced there.
        models: files by repository.
    """
    script = (ROOT / "tests" / "generator" / "fake_hub.py").read_text()
    labels = {"metadata": {"name": "hub", "namespace": namespace, "labels": {"app": "hub"}}}
    ConfigMap(client, {**labels, "data": {"fake_hub.py": script, "main.py": _MAIN.format(models=models)}}).create()
    image = STANDIN["test"]["image"]
    container: dict[str, Any] = {
        "name": "hub",
        "image": f"{image['registry']}/{image['repository']}:{image['tag']}",
        "imagePullPolicy": image["pullPolicy"],
        "command": ["python3", "/hub/main.py"],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
        "volumeMounts": [{"name": "hub", "mountPath": "/hub"}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "containers": [container],
        "volumes": [{"name": "hub", "configMap": {"name": "hub"}}],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 2000, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    pod = Pod(client, {**labels, "spec": spec})
    pod.create()
    Service(client, {**labels, "spec": {"selector": {"app": "hub"}, "ports": [{"port": 8080}]}}).create()
    token = {"metadata": {"name": "hf", "namespace": namespace}, "stringData": {"token": "hf_good"}}
    Secret(client, token).create()
    deadline = time.monotonic() + 60
    while not pod.ready and time.monotonic() < deadline:
        time.sleep(0.5)
        pod.reload()
    assert pod.ready
