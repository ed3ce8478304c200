"""Nodes: which could hold a pod, and how much of each is free now. Pure."""

from dataclasses import dataclass
from typing import Any

from llm_serving_planner.base.units import quantity
from llm_serving_planner.cluster.workloads import effective

# Labels of GPU feature discovery, the newer name first (NVIDIA/k8s-device-plugin docs/gpu-feature-discovery, 2026-11).
DRIVER_LABELS = ("nvidia.com/cuda.driver-version.major", "nvidia.com/cuda.driver.major")
HUGE_PAGES = "hugepages-2Mi"
_STANDARD = {"cpu", "memory", "ephemeral-storage", "pods"}
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


def read_nodes(
    nodes: list[dict[str, Any]], pods: list[dict[str, Any]] | None, given_back: tuple[str, str] | None = None
) -> list[Node]:
    """Nodes that take pods, with what running pods leave free.

    Args:
        nodes: Node objects.
        pods: Pods of all namespaces; None where they may not be read, so that everything counts as free.
        given_back: namespace and name of the release whose own engines go before the new ones come; None where
            none goes.
    """
    taken: dict[str, dict[str, float]] = {}
    for pod in pods or []:
        place = pod["spec"].get("nodeName")
        if place is None or ended(pod) or (given_back and of_release(pod, *given_back)):
            continue
        own = taken.setdefault(place, {"pods": 0})
        own["pods"] += 1
        for name, amount in effective(pod["spec"], "requests").items():
            own[name] = own.get(name, 0) + amount
    found = []
    for node in nodes:
        if node["spec"].get("unschedulable") or not _ready(node):
            continue
        name = node["metadata"]["name"]
        allocatable = {key: quantity(value) for key, value in node["status"].get("allocatable", {}).items()}
        free = {key: amount - taken.get(name, {}).get(key, 0) for key, amount in allocatable.items()}
        labels = node["metadata"].get("labels", {})
        found.append(Node(name, labels, node["spec"].get("taints") or [], allocatable, free))
    return found


def ended(pod: dict[str, Any]) -> bool:
    """Whether a pod holds nothing any more."""
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def of_release(pod: dict[str, Any], namespace: str, release: str) -> bool:
    """Whether a pod is one of the release's engines."""
    labels = pod["metadata"].get("labels") or {}
    return (
        pod["metadata"].get("namespace") == namespace
        and labels.get("app.kubernetes.io/instance") == release
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


def selected(node: Node, spec: dict[str, Any]) -> bool:
    """Whether the node has every label that the pod demands, by selector and by required node affinity."""
    if not (spec.get("nodeSelector") or {}).items() <= node.labels.items():
        return False
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    terms = (required or {}).get("nodeSelectorTerms") or []
    return not terms or any(_meets(node, term) for term in terms)


def _meets(node: Node, term: dict[str, Any]) -> bool:
    rules = term.get("matchExpressions") or []
    fields = term.get("matchFields") or []
    if not rules and not fields:
        return False  # as the scheduler reads an empty term
    labels = {**node.labels, "metadata.name": node.name}
    return all(_answers(labels.get(rule["key"]), rule) for rule in [*rules, *fields])


def _answers(value: str | None, rule: dict[str, Any]) -> bool:
    operator, values = rule.get("operator"), rule.get("values") or []
    if operator in {"Gt", "Lt"}:
        if value is None or not value.lstrip("-").isdigit() or len(values) != 1:
            return False
        return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])
    answers = {"In": value in values, "NotIn": value not in values, "Exists": value is not None,
               "DoesNotExist": value is None}  # fmt: skip
    return answers.get(str(operator), False)


def needs(spec: dict[str, Any]) -> dict[str, float]:
    """What a node must have for a pod, one place among its pods included."""
    return {**{name: amount for name, amount in effective(spec, "requests").items() if amount}, "pods": 1}


def lacking(node: Node, wanted: dict[str, float]) -> list[str]:
    """Resources that the node does not offer at all: its kubelet always tells the standard ones."""
    return [name for name in wanted if name not in _STANDARD and not node.allocatable.get(name)]


def room(wanted: dict[str, float], amounts: dict[str, float]) -> int:
    """Pods that these amounts of a node hold; a standard resource that it does not tell bounds nothing."""
    counted = {name: need for name, need in wanted.items() if name not in _STANDARD or name in amounts}
    return max(0, min((int((amounts.get(name, 0) + 1e-9) // need) for name, need in counted.items()), default=0))


def engines_that_fit(rooms: list[int], members: int, *, apart: bool) -> int:
    """Engines that fit into nodes with that much room.

    Args:
        rooms: pods that each node holds.
        members: pods of one engine.
        apart: members of one engine share no node.
    """
    if members == 1 or not apart:
        return sum(rooms) // members
    count = 0
    # n engines fit if and only if the rooms, each cut at n, hold n times the members
    while sum(min(space, count + 1) for space in rooms) >= (count + 1) * members:
        count += 1
    return count
