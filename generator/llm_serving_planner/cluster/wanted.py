"""What a values file asks of a cluster. Pure."""

from dataclasses import dataclass
from typing import Any

from llm_serving_planner.base.units import quantity
from llm_serving_planner.engines import registry

CHART = "llm-serving"
# Longest name before a suffix, as in the chart's _names.tpl.
_LONGEST_NAME = 53


def pick(values: dict[str, Any], path: str, default: Any) -> Any:
    """The value at a dotted path; the chart's default where it is not given."""
    node: Any = values
    for part in path.split("."):
        if not isinstance(node, dict) or node.get(part) is None:
            return default
        node = node[part]
    return node


@dataclass(frozen=True, slots=True)
class Wanted:
    """One release: names, pods and what each pod needs. CPU in thousandths, memory in bytes.

    `hugepages` are bytes in pages of 2 MiB, `values` the whole document.
    `secrets` are (name, key) pairs, `needs` the Pod Security level with the reason, `apis` (alternatives, key) pairs.
    """

    release: str
    namespace: str
    fullname: str
    engine: str
    version: str
    replicas: int
    nodes: int
    gpus: int
    resource: str
    share_nodes: bool
    surge: bool
    cpu_m: int
    memory: int
    memory_limit: int
    selector: dict[str, str]
    tolerations: list[dict[str, Any]]
    storage: dict[str, Any]
    secrets: list[tuple[str, str]]
    level: tuple[str, str]
    openshift: bool
    apis: list[tuple[tuple[str, ...], str]]
    queue: str
    priority_class: str
    runtime_class: str
    hugepages: int
    values: dict[str, Any]

    @property
    def pods(self) -> int:
        """Pods of all replicas."""
        return self.replicas * self.nodes


def wanted(values: dict[str, Any], release: str, namespace: str) -> Wanted:
    """Read a values document, whose shape the schema has checked."""
    dra = pick(values, "gpu.dra.deviceClassName", "")
    auto = pick(values, "scaling.hpa.enabled", False) or pick(values, "scaling.keda.enabled", False)
    secrets = [
        (pick(values, f"auth.{name}.existingSecret", ""), pick(values, f"auth.{name}.key", key))
        for name, key in (("hfToken", "token"), ("apiKey", "api-key"))
    ]
    return Wanted(
        release=release,
        namespace=namespace,
        fullname=_fullname(values, release),
        engine=pick(values, "engine.type", registry.DEFAULT),
        version=str(pick(values, "engine.version", "")),
        replicas=int(pick(values, "scaling.minReplicas", 1) if auto else pick(values, "replicas", 1)),
        nodes=int(pick(values, "parallelism.nodes", 1)),
        gpus=int(pick(values, "parallelism.gpusPerNode", 1)),
        resource="" if dra else pick(values, "gpu.resourceName", "nvidia.com/gpu"),
        share_nodes=bool(pick(values, "parallelism.shareNodes", False)),
        surge=pick(values, "rollout.mode", "recreate") == "surge",
        cpu_m=round(quantity(pick(values, "cpu.request", "4")) * 1000),
        memory=int(quantity(pick(values, "memory.host.request", "12Gi"))),
        memory_limit=int(quantity(pick(values, "memory.host.limit", "24Gi"))),
        selector={**pick(values, "gpu.nodeSelector", {}), **pick(values, "nodeSelector", {})},
        tolerations=[*pick(values, "gpu.tolerations", []), *pick(values, "tolerations", [])],
        storage=_storage(values),
        secrets=[(name, key) for name, key in secrets if name],
        level=_level(values),
        openshift=pick(values, "platform", "kubernetes") == "openshift",
        apis=_apis(values),
        queue=pick(values, "kueue.queue", ""),
        priority_class=pick(values, "priorityClassName", ""),
        runtime_class=pick(values, "runtimeClassName", ""),
        hugepages=int(quantity(pick(values, "gpu.hugepages", ""))) + _rdma_pages(values),
        values=values,
    )


def _rdma_pages(values: dict[str, Any]) -> int:
    used = pick(values, "network.rdma.enabled", False)
    return int(quantity(pick(values, "network.rdma.hugepages", ""))) if used else 0


def _fullname(values: dict[str, Any], release: str) -> str:
    """As llm-serving.fullname of the chart."""
    part = (pick(values, "nameOverride", "") or CHART)[:50].rstrip("-")
    name = release if part in release else f"{release}-{part}"
    return str((pick(values, "fullnameOverride", "") or name).replace(".", "-")[:_LONGEST_NAME].rstrip("-"))


def _storage(values: dict[str, Any]) -> dict[str, Any]:
    keys = {"type": "pvc", "size": "50Gi", "accessMode": "ReadWriteOnce", "storageClass": "", "existingClaim": ""}
    return {key: pick(values, f"storage.{key}", default) for key, default in keys.items()}


def _level(values: dict[str, Any]) -> tuple[str, str]:
    """Strictest level of Pod Security that admits the pods, and what keeps them from a stricter one."""
    if pick(values, "storage.type", "pvc") == "hostPath":
        return "privileged", "storage.type hostPath"
    if pick(values, "network.rdma.enabled", False):
        return "privileged", "network.rdma (capability IPC_LOCK)"
    if pick(values, "security.allowRoot", False):
        return "baseline", "security.allowRoot"
    return "restricted", ""


def _apis(values: dict[str, Any]) -> list[tuple[tuple[str, ...], str]]:
    controller = pick(values, "parallelism.controller", "deployment")
    monitors = [name for name in ("serviceMonitor", "podMonitor", "prometheusRule")
                if pick(values, f"monitoring.{name}.enabled", False)]  # fmt: skip
    found: list[tuple[bool, tuple[str, ...], str]] = [
        (controller == "leaderworkerset", ("leaderworkerset.x-k8s.io/v1",), "parallelism.controller"),
        (controller == "raycluster", ("ray.io/v1",), "parallelism.controller"),
        (pick(values, "scaling.keda.enabled", False), ("keda.sh/v1alpha1",), "scaling.keda.enabled"),
        (bool(pick(values, "kueue.queue", "")), ("kueue.x-k8s.io/v1beta2", "kueue.x-k8s.io/v1beta1"), "kueue.queue"),
        (bool(pick(values, "gpu.dra.deviceClassName", "")), ("resource.k8s.io/v1",), "gpu.dra.deviceClassName"),
        (bool(monitors), ("monitoring.coreos.com/v1",), ", ".join(f"monitoring.{name}" for name in monitors)),
    ]
    kinds = {"pods": "custom.metrics.k8s.io", "external": "external.metrics.k8s.io"}
    if pick(values, "scaling.hpa.enabled", False):
        group = kinds[pick(values, "scaling.hpa.metrics", "pods")]
        versions = tuple(f"{group}/{version}" for version in ("v1beta2", "v1beta1"))
        found.append((True, versions, "scaling.hpa.metrics"))
    return [(versions, key) for needed, versions, key in found if needed]
