"""What the cluster tests ask of a release: does it serve, which pods are its members, how do its processes end."""

import subprocess
import time
from typing import Any

import yaml
from pykube import Pod
from pytest_helm_charts.clusters import Cluster
from support.helm import ROOT

TWO_NODES: dict[str, Any] = {
    # the test cluster may have one node only; that members are spread is tested on simulated nodes
    "parallelism": {"tensor": 1, "pipeline": 2, "nodes": 2, "gpusPerNode": 1, "shareNodes": True},
    "engine": {"hasRay": True},
    "storage": {"type": "emptyDir"},
    "startup": {"budgetSeconds": 300, "imagePullSeconds": 240},
    "drain": {"preStopSeconds": 1, "shutdownTimeoutSeconds": 5},
    # Ray's own processes need more than the stand-in
    "memory": {"sharedMemory": "256Mi", "host": {"request": "64Mi", "limit": "2Gi"}},
}


def committed(name: str) -> dict[str, Any]:
    """A committed values file."""
    values: dict[str, Any] = yaml.safe_load((ROOT / "values" / f"{name}.yaml").read_text())
    return values


def engine_pods(cluster: Cluster, namespace: str, release: str) -> list[Pod]:
    """Members that are not on their way out, the leader first."""
    selector = {"app.kubernetes.io/instance": release, "app.kubernetes.io/component": "engine"}
    pods = Pod.objects(cluster.kube_client).filter(namespace=namespace, selector=selector)
    living = [pod for pod in pods if "deletionTimestamp" not in pod.metadata]
    return sorted(living, key=lambda pod: (not _leads(pod), pod.name))


def _leads(pod: Pod) -> bool:
    labels = pod.labels
    marks = ("apps.kubernetes.io/pod-index", "leaderworkerset.sigs.k8s.io/worker-index", "llm-serving/rank")
    rank = next((labels[mark] for mark in reversed(marks) if mark in labels), "0")
    return bool(rank == "0")


def fullname(release: str) -> str:
    """Name of the release's Service, as the chart makes it."""
    return (release if "llm-serving" in release else f"{release}-llm-serving")[:53].rstrip("-")


def ask(cluster: Cluster, namespace: str, release: str, path: str, scheme: str = "") -> Any:
    """GET through the API server's proxy to the http port (scheme "https:" for TLS); None where nothing answers."""
    service = f"services/{scheme}{fullname(release)}:http/proxy/{path}"
    answer = cluster.kube_client.get(version="v1", namespace=namespace, url=service)
    return answer.json() if answer.status_code == 200 else None


def serves(cluster: Cluster, namespace: str, release: str, scheme: str = "") -> bool:
    """Whether the model is on offer."""
    return ask(cluster, namespace, release, "v1/models", scheme) is not None


def wait_until_serves(cluster: Cluster, namespace: str, release: str, seconds: float, scheme: str = "") -> None:
    """Poll until it serves; a failure prints what the pods last said."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if serves(cluster, namespace, release, scheme):
            return
        time.sleep(0.3)
    told = [
        f"{pod.name}: {pod.obj['status'].get('phase')}\n{logs(pod)[-2000:]}"
        for pod in engine_pods(cluster, namespace, release)
    ]
    raise AssertionError(f"{release} does not serve after {seconds:.0f} s\n" + "\n".join(told))


def serves_again(cluster: Cluster, namespace: str, release: str, seconds: float) -> float:
    """Seconds until a release that was just broken serves anew; it has 30 s to notice."""
    broken = time.monotonic()
    while serves(cluster, namespace, release) and time.monotonic() < broken + 30:
        time.sleep(0.2)
    wait_until_serves(cluster, namespace, release, seconds)
    return time.monotonic() - broken


def wait_until_gone(cluster: Cluster, namespace: str, release: str) -> None:
    """Helm does not wait for the pods of what it removed: they have a minute.

    Raises:
        AssertionError: some are still there.
    """
    deadline = time.monotonic() + 60
    while engine_pods(cluster, namespace, release) and time.monotonic() < deadline:
        time.sleep(1)
    assert not engine_pods(cluster, namespace, release)


def logs(pod: Pod, *, previous: bool = False) -> str:
    """The engine container's log so far; empty where there is none yet."""
    import requests

    try:
        return str(pod.logs(container="engine", previous=previous or None))
    except (requests.HTTPError, OSError):
        return ""


def last_words(pod: Pod) -> str:
    """Why the engine's container ended the last time, as Kubernetes shows it; empty where it did not."""
    states = pod.obj["status"].get("containerStatuses", [])
    ended = [
        state[when]["terminated"] for state in states for when in ("state", "lastState") if "terminated" in state[when]
    ]
    return str(ended[0].get("message", "")) if ended else ""


def run(pod: Pod, script: str) -> str:
    """Run Python inside the engine's container (pytest-helm-charts puts its options behind the command's `--`)."""
    command = ["kubectl", "exec", pod.name, "--namespace", pod.namespace, "-c", "engine", "--", "python3", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def engine_processes(pod: Pod) -> list[int]:
    """Process ids of the engine (the stand-in, or `ray start` on a worker) but the supervisor."""
    script = (
        "import os; "
        "cmd=lambda p: open(f'/proc/{p}/cmdline').read().split(chr(0)); "
        "print(*[p for p in os.listdir('/proc') if p.isdigit() and int(p) > 1 and int(p) != os.getpid() "
        "and ('/app/engine.py' in cmd(p) or 'raylet' in cmd(p)[0]) and 'group.py' not in ' '.join(cmd(p))])"
    )
    return [int(word) for word in run(pod, script).split()]


def kill(pod: Pod, processes: list[int]) -> None:
    """SIGKILL, as the kernel does when memory runs out."""
    assert processes, f"no engine runs in {pod.name}"
    run(pod, f"import os; [os.kill(p, 9) for p in {processes}]")
