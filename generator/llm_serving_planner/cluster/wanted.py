"""What a values file asks of a cluster. Pure."""

from dataclasses import dataclass
from typing import Any

from llm_serving_planner.output import chart
from llm_serving_planner.output.chart import Made, pick, quantity_at

_RDMA_PAGES = "network.rdma.hugepages"
_STORAGE = ("type", "size", "accessMode", "storageClass", "existingClaim")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One release: names, pods and what each pod needs. CPU in thousandths, memory in bytes.

    `made` are the objects that the chart makes, `hugepages` bytes in pages of 2 MiB, `values` the whole document.
    `secrets` are (name, key) pairs, `needs` the Pod Security level with the reason, `apis` (alternatives, key) pairs.
    """

    release: str
    namespace: str
    fullname: str
    made: list[Made]
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
    auto = pick(values, "scaling.hpa.enabled") or pick(values, "scaling.keda.enabled")
    secrets = [
        (pick(values, f"auth.{name}.existingSecret"), pick(values, f"auth.{name}.key"))
        for name in ("hfToken", "apiKey")
    ]
    rdma = bool(pick(values, "network.rdma.enabled"))
    return Wanted(
        release=release,
        namespace=namespace,
        fullname=chart.full_name(values, release),
        made=chart.made(values, release),
        engine=pick(values, "engine.type"),
        version=str(pick(values, "engine.version")),
        replicas=int(pick(values, "scaling.minReplicas" if auto else "replicas")),
        nodes=int(pick(values, "parallelism.nodes")),
        gpus=int(pick(values, "parallelism.gpusPerNode")),
        resource="" if pick(values, "gpu.dra.deviceClassName") else pick(values, "gpu.resourceName"),
        share_nodes=bool(pick(values, "parallelism.shareNodes")),
        surge=pick(values, "rollout.mode") == "surge",
        cpu_m=round(quantity_at(values, "cpu.request") * 1000),
        memory=int(quantity_at(values, "memory.host.request")),
        memory_limit=int(quantity_at(values, "memory.host.limit")),
        selector={**pick(values, "gpu.nodeSelector"), **pick(values, "nodeSelector")},
        tolerations=[*pick(values, "gpu.tolerations"), *pick(values, "tolerations")],
        storage={key: pick(values, f"storage.{key}") for key in _STORAGE},
        secrets=[(name, key) for name, key in secrets if name],
        level=_level(values),
        openshift=pick(values, "platform") == "openshift",
        apis=_apis(values),
        queue=pick(values, "kueue.queue"),
        priority_class=pick(values, "priorityClassName"),
        runtime_class=pick(values, "runtimeClassName"),
        hugepages=int(quantity_at(values, "gpu.hugepages") + (quantity_at(values, _RDMA_PAGES) if rdma else 0)),
        values=values,
    )


def _level(values: dict[str, Any]) -> tuple[str, str]:
    """Strictest level of Pod Security that admits the pods, and what keeps them from a stricter one."""
    if pick(values, "storage.type") == "hostPath":
        return "privileged", "storage.type hostPath"
    if pick(values, "network.rdma.enabled"):
        return "privileged", "network.rdma (capability IPC_LOCK)"
    if pick(values, "security.allowRoot"):
        return "baseline", "security.allowRoot"
    return "restricted", ""


def _apis(values: dict[str, Any]) -> list[tuple[tuple[str, ...], str]]:
    controller = pick(values, "parallelism.controller")
    monitors = [name for name in ("serviceMonitor", "podMonitor", "prometheusRule")
                if pick(values, f"monitoring.{name}.enabled")]  # fmt: skip
    found: list[tuple[bool, tuple[str, ...], str]] = [
        (controller == "leaderworkerset", (chart.api("LeaderWorkerSet"),), "parallelism.controller"),
        (controller == "raycluster", (chart.api("RayCluster"),), "parallelism.controller"),
        (pick(values, "scaling.keda.enabled"), (chart.api("ScaledObject"),), "scaling.keda.enabled"),
        (bool(pick(values, "kueue.queue")), ("kueue.x-k8s.io/v1beta2", "kueue.x-k8s.io/v1beta1"), "kueue.queue"),
        (bool(pick(values, "gpu.dra.deviceClassName")), (chart.api("ResourceClaimTemplate"),),
         "gpu.dra.deviceClassName"),
        (bool(monitors), (chart.api("ServiceMonitor"),), ", ".join(f"monitoring.{name}" for name in monitors)),
    ]  # fmt: skip
    kinds = {"pods": "custom.metrics.k8s.io", "external": "external.metrics.k8s.io"}
    if pick(values, "scaling.hpa.enabled"):
        group = kinds[pick(values, "scaling.hpa.metrics")]
        versions = tuple(f"{group}/{version}" for version in ("v1beta2", "v1beta1"))
        found.append((True, versions, "scaling.hpa.metrics"))
    return [(versions, key) for needed, versions, key in found if needed]
