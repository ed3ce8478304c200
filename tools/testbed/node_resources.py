"""Made-up resources of nodes, for clusters without GPUs: written into a node's status, as a device plugin would."""

import json
import subprocess
from typing import Any

from llm_serving_planner.base.errors import InputError

KUBECTL = "kubectl"
ENVIRONMENT: dict[str, str] | None = None  # that of this process


def kubectl(*words: str) -> str:
    """What a kubectl command prints.

    Raises:
        InputError: It failed.
    """
    done = subprocess.run([KUBECTL, *words], capture_output=True, text=True, check=False, env=ENVIRONMENT)
    if done.returncode:
        raise InputError(f"kubectl {' '.join(words[:3])}: {done.stderr.strip()[-500:]}")
    return done.stdout


def nodes() -> list[dict[str, Any]]:
    """All nodes."""
    found: list[dict[str, Any]] = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    return found


def real_nodes() -> list[str]:
    """Names of nodes that run pods for real: ready, neither simulated nor cordoned, open to ordinary pods."""
    names = []
    for node in nodes():
        conditions = {entry["type"]: entry["status"] for entry in node["status"].get("conditions", [])}
        simulated = "kwok.x-k8s.io/node" in node["metadata"].get("annotations", {})
        closed = node["spec"].get("unschedulable") or node["spec"].get("taints")
        if conditions.get("Ready") == "True" and not simulated and not closed:
            names.append(str(node["metadata"]["name"]))
    return names


def patch_status(node: str, operation: str, resource: str, count: int = 0) -> None:
    """`add` or `remove` a resource of a node.

    `allocatable` is written too, so that nobody waits for the kubelet to copy it (Kubernetes, "Advertise Extended
    Resources for a Node", 2026-11-25: the kubelet keeps what it finds in its node's capacity).
    """
    key = resource.replace("/", "~1")
    value = {"value": str(count)} if operation == "add" else {}
    patch = [{"op": operation, "path": f"/status/{part}/{key}", **value} for part in ("capacity", "allocatable")]
    kubectl("patch", "node", node, "--subresource=status", "--type=json", "-p", json.dumps(patch))
