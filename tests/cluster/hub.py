"""A hub inside the cluster, for pods that download: tests/support/fake_hub.py behind a Service named `hub`."""

import time
from typing import Any

from cluster.conftest import STANDIN
from pykube import ConfigMap, HTTPClient, Pod, Secret, Service
from support.helm import ROOT

_MAIN = """
import threading
from fake_hub import FakeHub, FakeModel
hub = FakeHub("0.0.0.0", 8080, "http://hub:8080")
for name, files in {models!r}.items():
    hub.models[name] = FakeModel(files, token="hf_good")
threading.Event().wait()
"""


def hub_source() -> str:
    """The hub as one file, for a pod that has the standard library alone."""
    support = ROOT / "tests" / "support"
    server, hub = ((support / name).read_text() for name in ("local_server.py", "fake_hub.py"))
    return server + hub.replace("from support.local_server import LocalServer\n", "")


def start_hub(client: HTTPClient, namespace: str, models: dict[str, dict[str, bytes]]) -> None:
    """Serve the repositories to holders of the token in the Secret `hf`; returns when the hub is ready.

    Args:
        client: of the cluster.
        namespace: where; Pod Security restricted may be enforced there.
        models: files by repository.
    """
    labels = {"metadata": {"name": "hub", "namespace": namespace, "labels": {"app": "hub"}}}
    scripts = {"fake_hub.py": hub_source(), "main.py": _MAIN.format(models=models)}
    ConfigMap(client, {**labels, "data": scripts}).create()
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
