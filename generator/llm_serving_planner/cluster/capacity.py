"""Nodes: which could hold a pod, and how much of each is free now. Pure."""

from dataclasses import dataclass
from typing import Any

from llm_serving_planner.base.units import quantity
from llm_serving_planner.cluster.wanted import Wanted

# Labels of GPU feature discovery, the newer name first (NVIDIA/k8s-device-plugin docs/gpu-feature-discovery, 2026-11).
DRIVER_LABELS = ("nvidia.com/cuda.driver-version.major", "nvidia.com/cuda.driver.major")
HUGE_PAGES = "hugepages-2Mi"
_BLOCKING = {"NoSchedule", "NoExecute"}


@dataclass(frozen=True, slots=True)
class Node:
    """One node: free resources by name (CPU in cores, memory in bytes) and what its API object says."""

    name: str
    labels: dict[str, str]
    taints: list[dict[str, Any]]
    allocatable: dict[str, float]
    free: dict[str, float]

    @property
    def driver(self) -> int | None:
        """Major version of the NVIDIA driver, where the label tells."""
        for label in DRIVER_LABELS:
            if self.labels.get(label, "").isdigit():
                return int(self.labels[label])
        return None


def read_nodes(nodes: list[dict[str, Any]], pods: list[dict[str, Any]] | None, given_back: Wanted) -> list[Node]:
    """Nodes that take pods, with what running pods leave free.

    Args:
        nodes: Node objects.
        pods: Pods of all namespaces; None where they may not be read, so that everything counts as free.
        given_back: the release whose own pods go before the new ones come (unless it surges).
    """
    taken: dict[str, dict[str, float]] = {}
    for pod in pods or []:
        place = pod["spec"].get("nodeName")
        if place is None or pod.get("status", {}).get("phase") in {"Succeeded", "Failed"} or _own(pod, given_back):
            continue
        own = taken.setdefault(place, {})
        for name, amount in requests(pod["spec"]).items():
            own[name] = own.get(name, 0) + amount
    found = []
    for node in nodes:
        if node["spec"].get("unschedulable") or not _ready(node):
            continue
        name = node["metadata"]["name"]
        allocatable = {key: quantity(value) for key, value in node["status"].get("allocatable", {}).items()}
        free = {key: amount - taken.get(name, {}).get(key, 0) for key, amount in allocatable.items()}
        labels = node["metadata"].get("labels", {})
        found.append(Node(name, labels, node["spec"].get("taints", []), allocatable, free))
    return found


def requests(spec: dict[str, Any]) -> dict[str, float]:
    """What the scheduler counts for a pod: the containers' sum, or the largest init container."""
    total: dict[str, float] = {}
    for container in spec.get("containers", []):
        for name, amount in container.get("resources", {}).get("requests", {}).items():
            total[name] = total.get(name, 0) + quantity(amount)
    for container in spec.get("initContainers", []):
        for name, amount in container.get("resources", {}).get("requests", {}).items():
            total[name] = max(total.get(name, 0), quantity(amount))
    return total


def _own(pod: dict[str, Any], release: Wanted) -> bool:
    labels = pod["metadata"].get("labels", {})
    return (
        not release.surge
        and pod["metadata"].get("namespace") == release.namespace
        and labels.get("app.kubernetes.io/instance") == release.release
        and labels.get("app.kubernetes.io/component") == "engine"
    )


def _ready(node: dict[str, Any]) -> bool:
    conditions = node["status"].get("conditions", [])
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def untolerated(node: Node, tolerations: list[dict[str, Any]]) -> list[str]:
    """Taints that keep the pod away."""
    return [
        f"{taint['key']}={taint.get('value', '')}:{taint['effect']}"
        for taint in node.taints
        if taint["effect"] in _BLOCKING and not any(_tolerates(entry, taint) for entry in tolerations)
    ]


def _tolerates(toleration: dict[str, Any], taint: dict[str, Any]) -> bool:
    if toleration.get("effect") not in {None, "", taint["effect"]}:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return toleration.get("key") in {None, "", taint["key"]}
    return bool(toleration.get("key") == taint["key"] and toleration.get("value", "") == taint.get("value", ""))


def selected(node: Node, selector: dict[str, str]) -> bool:
    """Whether the node has every demanded label."""
    return selector.items() <= node.labels.items()


def room(release: Wanted, amounts: dict[str, float]) -> int:
    """Pods that these amounts of a node hold."""
    needs = {"cpu": release.cpu_m / 1000, "memory": float(release.memory)}
    if release.resource:
        needs[release.resource] = float(release.gpus)
    if release.hugepages:
        needs[HUGE_PAGES] = float(release.hugepages)
    return max(0, min(int((amounts.get(name, 0) + 1e-9) // need) for name, need in needs.items() if need))


def engines_that_fit(rooms: list[int], release: Wanted) -> int:
    """Engines that fit into nodes with that much room; members of one engine share no node unless they may."""
    if release.nodes == 1 or release.share_nodes:
        return sum(rooms) // release.nodes
    count = 0
    # n engines fit if and only if the rooms, each cut at n, hold n times the members
    while sum(min(space, count + 1) for space in rooms) >= (count + 1) * release.nodes:
        count += 1
    return count
