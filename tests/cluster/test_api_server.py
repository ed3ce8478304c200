"""The API server restarts under a release. `make test-faults` runs this last, alone: the cluster is away meanwhile."""

import os
import subprocess
import threading
import time
from typing import Any

import pytest
from cluster.conftest import Release
from cluster.faults import one, only_pod, traffic, until
from cluster.needs import kubectl
from pytest_helm_charts.clusters import Cluster

RESTART = os.environ.get("LLM_SERVING_RESTART_API_SERVER", "")


def started() -> float:
    """When the API server's process began, as it says itself; 0 while it does not answer."""
    told = kubectl("get", "--raw", "/metrics", "--request-timeout=5s", seconds=20).stdout.splitlines()
    return next((float(line.split()[1]) for line in told if line.startswith("process_start_time_seconds ")), 0.0)


@pytest.mark.faults
@pytest.mark.skipif(
    not RESTART,
    reason="LLM_SERVING_RESTART_API_SERVER is not set: a shell command that restarts the API server, such as "
    "`docker exec kind-control-plane sh -c 'crictl stop $(crictl ps --name kube-apiserver -q)'` on kind",
)
def test_the_api_server_restarts(kube_cluster: Cluster, namespace: str, helm: str, mistral: dict[str, Any]) -> None:
    """Callers notice nothing, and a pod that is deleted afterwards is replaced as ever."""
    release = Release(helm, "mistral", namespace)
    release.apply(mistral, one())
    with traffic(kube_cluster, namespace, "mistral") as callers:
        callers.until_served()
        before = started()
        away: list[float] = []
        over = threading.Event()

        def watch() -> None:
            while not over.is_set():
                if kubectl("get", "--raw", "/readyz", "--request-timeout=1s", seconds=20).returncode:
                    away.append(time.time())
                over.wait(0.2)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            subprocess.run(RESTART, shell=True, check=True, timeout=120)
            until("a new API server answers", lambda: started() > before, 120)
        finally:
            over.set()
            watcher.join()
        assert away, "the API server was never away: does the command restart it?"
        callers.until_served()
        meanwhile = [line for line in callers.lines() if away[0] <= line["end"] <= away[-1]]
        assert {line["verdict"] for line in meanwhile} == {"right"}
        callers.checked("any", f"API server away for {away[-1] - away[0]:.0f} s", lost=False)
        pod = only_pod(kube_cluster, namespace)
        pod.delete()
        callers.until_broken()
        callers.until_served(after_error=True)
    release.uninstall(wait=False)
