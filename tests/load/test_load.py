"""200 streams at once through one release's Service while it is upgraded, in every rollout mode.

What each mode promises is in docs/operations.md. Latencies are those that the stand-in plays: the first token after
a second, then one each 250 ms. build/load.jsonl keeps a line per mode, which docs/testing.md shows as a table.
"""

import json
import os
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.conftest import Release
from cluster.serving import engine_pods, run, wait_until_serves
from load.tally import tally
from pykube import ConfigMap, Pod
from pytest_helm_charts.clusters import Cluster
from support.helm import ROOT, merge

STREAMS = int(os.environ.get("LOAD_STREAMS", "200"))
SECONDS = float(os.environ.get("LOAD_SECONDS", "60"))
TOKENS = 40
FIRST_TOKEN_SECONDS, TOKEN_SECONDS = 1.0, 0.25  # a busy small GPU: 200 streams are 730 tokens per second
RESULTS = ROOT / "build" / "load.jsonl"
SCRIPTS = {"client.py": Path(__file__).parent / "client.py", "engine.py": ROOT / "tests/cluster/engine/engine.py"}

ONE_NODE: dict[str, Any] = {}
GROUP = {
    "parallelism": {"tensor": 2, "nodes": 2, "gpusPerNode": 1, "controller": "leaderworkerset", "shareNodes": True}
}
ENGINES = {"app.kubernetes.io/instance": "qwen", "app.kubernetes.io/component": "engine"}
# Layout, replicas, and whether the mode promises to serve all the time.
MODES = {
    "deployment-surge": (ONE_NODE, 1, "surge", True),
    "deployment-replaceOneByOne": (ONE_NODE, 2, "replaceOneByOne", True),
    "leaderworkerset-surge": (GROUP, 1, "surge", True),
    "leaderworkerset-replaceOneByOne": (GROUP, 2, "replaceOneByOne", True),
    "deployment-recreate": (ONE_NODE, 1, "recreate", False),
}


def overlay(standin: dict[str, Any], layout: dict[str, Any], replicas: int, mode: str) -> dict[str, Any]:
    """The committed drain stays; the engine's script is the tree's, so that a stale image is never measured."""
    latencies = {
        "STANDIN_FIRST_TOKEN_SECONDS": str(FIRST_TOKEN_SECONDS),
        "STANDIN_TOKEN_SECONDS": str(TOKEN_SECONDS),
    }
    mine = {
        "replicas": replicas,
        "rollout": {"mode": mode},
        "engine": {"env": latencies},
        "storage": {"type": "emptyDir"},
        "extraVolumes": [{"name": "scripts", "configMap": {"name": "scripts"}}],
        "extraVolumeMounts": [{"name": "scripts", "mountPath": "/app/engine.py", "subPath": "engine.py"}],
    }
    base = {key: value for key, value in standin.items() if key != "drain"}
    return merge(merge(base, mine), layout)


def start_client(cluster: Cluster, namespace: str, image: dict[str, Any]) -> Pod:
    """A pod inside the cluster's network that asks through the Service's name."""
    closed = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    command = ["python3", "/load/client.py", "qwen-llm-serving:8000", "qwen3-0.6b"]
    command += ["--streams", str(STREAMS), "--seconds", "600", "--tokens", str(TOKENS)]
    container = {
        "name": "engine",
        "image": f"{image['registry']}/{image['repository']}:{image['tag']}",
        "imagePullPolicy": image["pullPolicy"],
        "command": command,
        "resources": {"requests": {"cpu": "200m"}},  # its share on a busy node: a client that waits measures itself
        "securityContext": closed,
        "volumeMounts": [{"name": "scripts", "mountPath": "/load"}],
    }
    spec = {
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "scripts", "configMap": {"name": "scripts"}}],
    }
    pod = Pod(cluster.kube_client, {"metadata": {"name": "client", "namespace": namespace}, "spec": spec})
    pod.create()
    wait_for_phase(pod, "Running", 60)
    return pod


def wait_for_phase(pod: Pod, phase: str, seconds: float) -> None:
    """Poll the pod."""
    deadline = time.monotonic() + seconds
    while pod.obj["status"].get("phase") != phase:
        assert time.monotonic() < deadline, f"{pod.name} is {pod.obj['status'].get('phase')}, not {phase}"
        time.sleep(0.5)
        pod.reload()


def wait_until_rolled_out(cluster: Cluster, namespace: str, members: int, seconds: float) -> None:
    """Until only new pods are there, all of them ready: Helm does not wait for the groups of a LeaderWorkerSet."""
    deadline = time.monotonic() + seconds
    while True:
        pods = list(Pod.objects(cluster.kube_client).filter(namespace=namespace, selector=ENGINES))
        new = [pod for pod in pods if "128" in pod.obj["spec"]["containers"][0]["args"] and pod.ready]
        if len(new) == len(pods) == members:
            return
        told = [(pod.name, pod.ready, pod.metadata.get("deletionTimestamp")) for pod in pods]
        assert time.monotonic() < deadline, f"the upgrade is not through after {seconds:.0f} s: {told}"
        time.sleep(1)


def listener(pod: Pod, port: int) -> str:
    """Command line of the process that listens on a port of the pod."""
    script = (
        "import os; "
        "rows=[l.split() for f in ('tcp','tcp6') for l in open('/proc/net/'+f).read().splitlines()[1:]]; "
        f"inodes={{'socket:['+r[9]+']' for r in rows if r[3]=='0A' and int(r[1].split(':')[1],16)=={port}}}; "
        "mine=[p for p in os.listdir('/proc') if p.isdigit() and any("
        "os.readlink(f'/proc/{p}/fd/{f}') in inodes for f in os.listdir(f'/proc/{p}/fd') "
        "if os.path.islink(f'/proc/{p}/fd/{f}'))]; "
        "print([open(f'/proc/{p}/cmdline').read().replace(chr(0),' ') for p in mine])"
    )
    return run(pod, script)


@pytest.mark.parametrize("mode", MODES)
def test_streams_end_whole_while_the_release_is_upgraded(
    kube_cluster: Cluster, namespace: str, helm: str, standin: dict[str, Any], mode: str
) -> None:
    layout, replicas, rollout_mode, promises = MODES[mode]
    values = yaml.safe_load((ROOT / "values" / "qwen3-0-6b-cpu.yaml").read_text())
    scripts = {name: path.read_text() for name, path in SCRIPTS.items()}
    metadata = {"name": "scripts", "namespace": namespace}
    ConfigMap(kube_cluster.kube_client, {"metadata": metadata, "data": scripts}).create()
    release = Release(helm, "qwen", namespace)
    changes = overlay(standin, layout, replicas, rollout_mode)
    release.apply(values, changes)
    wait_until_serves(kube_cluster, namespace, "qwen", 120)
    try:
        pod = start_client(kube_cluster, namespace, standin["engine"]["image"])
        started = time.monotonic()
        time.sleep(SECONDS / 2)
        release.apply(values, merge(changes, {"engine": {"args": {"max-num-seqs": 128}}}))
        nodes = layout.get("parallelism", {}).get("nodes", 1)
        wait_until_rolled_out(kube_cluster, namespace, replicas * nodes, 240)
        rollout = time.monotonic() - started - SECONDS / 2
        time.sleep(max(SECONDS / 2 - rollout, 15))
        subprocess.run(["kubectl", "exec", "-n", namespace, "client", "--", "kill", "-TERM", "1"], check=True)
        wait_for_phase(pod, "Succeeded", 180)
        result = tally(mode, json.loads(str(pod.logs()).splitlines()[-1]), rollout)
        RESULTS.parent.mkdir(exist_ok=True)
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result)) + "\n")
        print(result)
        leader = engine_pods(kube_cluster, namespace, "qwen")[0]
        assert "--max-num-seqs 128" in listener(leader, 8000), "the upgrade did not arrive"
        assert "group.py" not in listener(leader, 8000), "a part of ours is in the data path"
        assert (result.broken, result.cut) == (0, 0), result
        assert result.refused == 0 or not promises, result
        assert result.slow <= result.whole * 0.1, result
    finally:
        release.uninstall()
