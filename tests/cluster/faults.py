"""How to break a release and watch what its callers see.

The callers run in a pod of their own (traffic_client.py) and reach the release through its Service, so that they also
see what happens while the API server is away.
"""

import itertools
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster.conftest import STANDIN
from cluster.hub import hub_source
from cluster.needs import kubectl
from cluster.report import Outcome, fault_log
from cluster.serving import engine_pods, fullname
from pykube import ConfigMap, Pod, Service
from pytest_helm_charts.clusters import Cluster
from support.helm import merge

CLIENT = Path(__file__).parent / "traffic_client.py"
IMAGE = "{registry}/{repository}:{tag}".format(**STANDIN["test"]["image"])
# One engine that asks for no GPU, starts fast and ends fast.
ONE: dict[str, Any] = {
    "gpu": {"resourceName": ""},
    "parallelism": {"tensor": 1, "gpusPerNode": 1},
    "storage": {"type": "emptyDir"},
    "startup": {"budgetSeconds": 60, "imagePullSeconds": 60},
    "drain": {"preStopSeconds": 2, "shutdownTimeoutSeconds": 10},
    "cpu": {"request": "50m"},
    "engine": {"env": {"STANDIN_LOAD_SECONDS": "2"}},
}
STEADY = 6  # right answers in a row after which callers are served again


def secured(spec: dict[str, Any]) -> dict[str, Any]:
    """A pod's spec that Pod Security restricted admits."""
    bounds = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    containers = [{**container, "securityContext": bounds} for container in spec["containers"]]
    user = {"runAsNonRoot": True, "runAsUser": 2000, "seccompProfile": {"type": "RuntimeDefault"}}
    return {**spec, "containers": containers, "securityContext": user}


def until(what: str, holds: Callable[[], Any], seconds: float = 120) -> Any:
    """Poll until it holds, and give what it found."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.3)
    raise AssertionError(f"{what}: not within {seconds:.0f} s")


def script_pod(cluster: Cluster, namespace: str, name: str, files: dict[str, str], *words: str, port: int = 0) -> Pod:
    """A pod that runs main.py of some Python files with the stand-in image; ready once it listens on the port."""
    client = cluster.kube_client
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name}}
    ConfigMap(client, {"metadata": metadata, "data": files}).create()
    container: dict[str, Any] = {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["python3", "/script/main.py", *words],
        "volumeMounts": [{"name": "script", "mountPath": "/script"}],
    }
    if port:
        container["readinessProbe"] = {"tcpSocket": {"port": port}, "periodSeconds": 1}
    spec = {"containers": [container], "volumes": [{"name": "script", "configMap": {"name": name}}]}
    pod = Pod(client, {"metadata": metadata, "spec": {**secured(spec), "terminationGracePeriodSeconds": 0}})
    pod.create()
    return pod


HUB = """
import sys, threading, time
import fake_hub

class Slow(fake_hub._Handler):
    def _send(self, status, body, headers):
        if len(body) < 2**20 or self.command == "HEAD":
            super()._send(status, body, headers)
            return
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        for first in range(0, len(body), 2**16):
            self.wfile.write(body[first:first + 2**16])
            time.sleep(float(sys.argv[1]) * 2**16 / 2**23)

fake_hub._Handler = Slow
hub = fake_hub.FakeHub("0.0.0.0", 8080, f"http://{sys.argv[2]}:8080")  # as on the real hub, files lie on another host
hub.models["org/tiny"] = fake_hub.FakeModel({"config.json": b"{}", "model.safetensors": bytes(2**23)})
threading.Event().wait()
"""


def hub_pod(cluster: Cluster, namespace: str, seconds: float) -> Pod:
    """A hub with the model org/tiny, whose 8 MiB take so many seconds."""
    scripts = {"fake_hub.py": hub_source(), "main.py": HUB}
    pod = script_pod(cluster, namespace, "hub", scripts, str(seconds), f"hub.{namespace}", port=8080)
    labels = {"metadata": {"name": "hub", "namespace": namespace}}
    ports = [{"port": 8080}]
    Service(cluster.kube_client, {**labels, "spec": {"selector": {"app": "hub"}, "ports": ports}}).create()
    until("the hub listens", lambda: Pod.objects(cluster.kube_client).filter(namespace=namespace).get(name="hub").ready)
    return pod


class Traffic:
    """Callers of a release, and what they have seen so far."""

    def __init__(self, pod: Pod) -> None:
        self.pod = pod

    def lines(self) -> list[dict[str, Any]]:
        """Every request that is over, in the order of their ends.

        An error before the first right answer does not count: a Service's rules reach the node a moment after the pod
        is ready, and Helm waits for the pod alone.
        """
        told = kubectl("logs", self.pod.name, "-n", self.pod.namespace).stdout.splitlines()
        found = [json.loads(line) for line in told if line.startswith("{") and line.endswith("}")]
        found.sort(key=lambda line: float(line["end"]))
        served = next((line["end"] for line in found if line["verdict"] == "right"), math.inf)
        return [line for line in found if line["verdict"] != "error" or line["start"] >= served]

    def until_served(self, seconds: float = 180, *, after_error: bool = False) -> None:
        """Wait for a few right answers in a row, after an error where one must come first."""

        def steady() -> bool:
            verdicts = [line["verdict"] for line in self.lines()]
            broken = not after_error or set(verdicts) - {"right"}
            return bool(broken) and verdicts[-STEADY:] == ["right"] * STEADY

        until(f"callers are served{' again' if after_error else ''}", steady, seconds)

    def until_broken(self, seconds: float = 60) -> None:
        """Wait for the first request that is not answered."""
        until("a caller sees the fault", lambda: {line["verdict"] for line in self.lines()} - {"right"}, seconds)

    @staticmethod
    def _outcome(lines: list[dict[str, Any]]) -> Outcome:
        """Count; the silence is between two right answers that follow each other."""
        verdicts = [line["verdict"] for line in lines]
        ends = [float(line["end"]) for line in lines if line["verdict"] == "right"]
        silence = max((after - before for before, after in itertools.pairwise(ends)), default=0.0)
        right, errors, wrong = (verdicts.count(verdict) for verdict in ("right", "error", "wrong"))
        return Outcome(right, errors, wrong, round(silence, 1))

    @staticmethod
    def _errors(lines: list[dict[str, Any]]) -> list[str]:
        """Each request that its caller saw fail: seconds since the first request began, and the reason."""
        zero = min((line["start"] for line in lines), default=0.0)
        failed = [line for line in lines if line["verdict"] == "error"]
        return [f"{line['start'] - zero:.1f} to {line['end'] - zero:.1f} s: {line['why']}" for line in failed]

    def checked(
        self,
        layout: str,
        fault: str,
        *,
        lost: bool | None = None,
        seconds: float | None = None,
        heals: str = "itself",
    ) -> None:
        """Nobody got a wrong answer; report it. Without an error nobody waited.

        `lost` is whether requests must, or must not, have failed; None where both may be.
        """
        lines = self.lines()
        outcome = self._outcome(lines)
        wrong = [line["why"] for line in lines if line["verdict"] == "wrong"]
        assert not wrong, wrong[:5]
        assert outcome.right, "nobody was ever answered"
        waited = outcome.silence if outcome.errors else 0.0
        fault_log(layout, fault, waited if seconds is None else seconds, outcome, heals)
        if lost is not None:
            assert bool(outcome.errors) == lost, f"{outcome}: {self._errors(lines)[:9] or 'no request failed'}"


@contextmanager
def traffic(
    cluster: Cluster, namespace: str, release: str, model: str = "mistral-7b-instruct-v0.2", words: int = 20
) -> Iterator[Traffic]:
    """Callers of a release, from now on."""
    address = f"http://{fullname(release)}.{namespace}:8000"
    files = {"main.py": CLIENT.read_text()}
    pod = script_pod(cluster, namespace, f"callers-{release}"[:60], files, address, model, "3", str(words))
    try:
        yield Traffic(pod)
    finally:
        kubectl("delete", "pod", pod.name, "-n", namespace, "--wait=false", "--grace-period=0")
        kubectl("delete", "configmap", pod.name, "-n", namespace)


def evict(pod: Pod) -> tuple[bool, str]:
    """Whether the API server lets the pod go, as `kubectl drain` asks it; and what it says."""
    metadata = {"name": pod.name, "namespace": pod.namespace}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/eviction"
    done = kubectl("create", "--raw", path, "-f", "-", "-v=6", given=json.dumps(body))
    return done.returncode == 0, done.stdout + done.stderr


def bring(pod: Pod, fault: str) -> None:
    """Tell the stand-in to break; it does not answer that."""
    script = (
        "import http.client, json, time; c = http.client.HTTPConnection('127.0.0.1', 8000); "
        f"c.request('POST', '/standin', json.dumps({{'do': {fault!r}}})); time.sleep(0.3)"
    )
    words = ("exec", pod.name, "-n", pod.namespace, "-c", "engine", "--", "python3", "-c", script)
    kubectl(*words)  # its code tells nothing: the container may end before the script does


def only_pod(cluster: Cluster, namespace: str, release: str = "mistral") -> Pod:
    """The one engine."""
    (pod,) = engine_pods(cluster, namespace, release)
    return pod


def ready(cluster: Cluster, namespace: str, release: str = "mistral") -> int:
    """Engines, or members of engines, that are ready."""
    return sum(bool(pod.ready) for pod in engine_pods(cluster, namespace, release))


def waiting(cluster: Cluster, namespace: str, release: str = "mistral") -> str:
    """Reason and message of the first container that cannot start, init containers included; empty where none waits."""
    for pod in engine_pods(cluster, namespace, release):
        status = pod.obj["status"]
        for entry in status.get("initContainerStatuses", []) + status.get("containerStatuses", []):
            state = entry["state"].get("waiting", {})
            if state.get("reason") not in {None, "PodInitializing", "ContainerCreating"}:
                return f"{state['reason']}: {state.get('message', '')}"
    return ""


def unschedulable(cluster: Cluster, namespace: str, release: str = "mistral") -> str:
    """What the scheduler says of a pod that finds no place; empty where all have one."""
    for pod in engine_pods(cluster, namespace, release):
        for condition in pod.obj["status"].get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return str(condition.get("message", ""))
    return ""


def one(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """Values of one small engine, with changes."""
    return merge(merge(STANDIN, ONE), changes or {})
