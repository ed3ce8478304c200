"""The pods that rendered objects give rise to, and what each needs. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llm_serving_planner.base.units import quantity

Json = dict[str, Any]
Amounts = dict[str, float]
HOOK = "helm.sh/hook"
_HOSTNAME = "kubernetes.io/hostname"
_COMPONENT = "app.kubernetes.io/component"


@dataclass(frozen=True, slots=True)
class Pods:
    """Pods of one controller: `sets` engines of `members` pods each, by one template.

    Attributes:
        owner: the rendered object, as `Deployment/NAME`.
        hook: phases of Helm that make it, empty for an object of the release itself.
        ends: the pods end by themselves.
        apart: members of one engine share no node.
        surge: one engine more runs while an upgrade goes on.
        meta: labels and annotations of the template.
        spec: of the template, or of the pod that the API server would store.
        claims: claim templates of each pod.
    """

    owner: str
    sets: int
    members: int
    hook: tuple[str, ...]
    ends: bool
    apart: bool
    surge: bool
    meta: Json
    spec: Json
    claims: tuple[Json, ...] = ()

    @property
    def count(self) -> int:
        """All pods."""
        return self.sets * self.members

    @property
    def engine(self) -> bool:
        """Whether these are the engine's pods."""
        return bool((self.meta.get("labels") or {}).get(_COMPONENT) == "engine")


def named(one: Json) -> str:
    """`Deployment/NAME`."""
    return f"{one.get('kind')}/{one['metadata'].get('name', '')}"


def hooks(one: Json) -> tuple[str, ...]:
    """Helm's phases in which an object is made; empty where it is the release's own."""
    text = (one["metadata"].get("annotations") or {}).get(HOOK, "")
    return tuple(part.strip() for part in text.split(",") if part.strip())


def pods(objects: list[Json]) -> list[Pods]:
    """Every kind of pod of the rendered objects, the engine's first."""
    floor = dict(_autoscaled(objects))
    found = [entry for one in objects for entry in _of(one, floor)]
    return sorted(found, key=lambda entry: (not entry.engine, bool(entry.hook)))


def _autoscaled(objects: list[Json]) -> Iterator[tuple[str, int]]:
    """Least number of engines, by the object that an autoscaler acts on."""
    for one in objects:
        spec = one.get("spec") or {}
        target = spec.get("scaleTargetRef") or {}
        if target:
            yield (f"{target.get('kind')}/{target.get('name')}",
                   int(spec.get("minReplicas", spec.get("minReplicaCount", 1))))  # fmt: skip


def _of(one: Json, floor: dict[str, int]) -> Iterator[Pods]:
    spec, kind = one.get("spec") or {}, one.get("kind")
    sets = floor.get(named(one), int(spec.get("replicas", 1) or 0)) if kind != "RayCluster" else 1
    if kind in {"Deployment", "StatefulSet"}:
        together = kind == "StatefulSet" and bool((spec["template"]["metadata"].get("labels") or {})
                                                  .get("llm-serving/group"))  # fmt: skip
        shape = (1, sets) if together else (sets, 1)
        surge = str(((spec.get("strategy") or {}).get("rollingUpdate") or {}).get("maxSurge", 0)) not in {"0", "0%"}
        yield _entry(one, spec["template"], shape, surge=surge, claims=spec.get("volumeClaimTemplates"))
    elif kind == "LeaderWorkerSet":
        inner, rollout = spec["leaderWorkerTemplate"], (spec.get("rolloutStrategy") or {})
        surge = str((rollout.get("rollingUpdateConfiguration") or {}).get("maxSurge", 0)) not in {"0", "0%"}
        yield _entry(one, inner["workerTemplate"], (sets, int(inner.get("size", 1))), surge=surge,
                     claims=inner.get("volumeClaimTemplates"))  # fmt: skip
    elif kind == "RayCluster":
        workers = sum(int(group.get("replicas", 0)) for group in spec.get("workerGroupSpecs") or [])
        yield _entry(one, spec["headGroupSpec"]["template"], (1, 1 + workers), surge=False)
    elif kind == "Job":
        yield _entry(one, spec["template"], (int(spec.get("parallelism", 1)), 1), surge=False, ends=True)
    elif kind == "Pod":
        yield _entry(one, {"metadata": one["metadata"], "spec": spec}, (1, 1), surge=False, ends=True)


def _entry(
    one: Json, template: Json, shape: tuple[int, int], *, surge: bool, claims: Any = None, ends: bool = False
) -> Pods:
    meta = {key: (template.get("metadata") or {}).get(key) or {} for key in ("labels", "annotations")}
    spec = template["spec"]
    rules = ((spec.get("affinity") or {}).get("podAntiAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution") or []  # fmt: skip
    apart = any(rule.get("topologyKey") == _HOSTNAME for rule in rules)
    return Pods(named(one), *shape, hooks(one), ends, apart, surge, meta, spec, tuple(claims or ()))


def effective(spec: Json, kind: str) -> Amounts:
    """What counts for a pod by resource: CPU in cores, bytes, or a count.

    The larger of what runs together (containers and sidecars) and of each init container with the sidecars that began
    before it, and the runtime class's overhead (kubernetes component-helpers resource/helpers.go, 1.35).

    Args:
        spec: of a pod.
        kind: requests or limits.
    """
    sidecars: Amounts = {}
    most: Amounts = {}
    for container in spec.get("initContainers") or []:
        amounts = asked(container, kind)
        if container.get("restartPolicy") == "Always":
            _add(sidecars, amounts)
            amounts = dict(sidecars)
        else:
            amounts = _sum(amounts, sidecars)
        most = {name: max(most.get(name, 0), amounts.get(name, 0)) for name in {*most, *amounts}}
    together = dict(sidecars)
    for container in spec.get("containers") or []:
        _add(together, asked(container, kind))
    found = {name: max(most.get(name, 0), together.get(name, 0)) for name in {*most, *together}}
    if kind == "requests" or spec.get("overhead"):
        _add(found, {name: quantity(value) for name, value in (spec.get("overhead") or {}).items()})
    return found


def asked(container: Json, kind: str) -> Amounts:
    """One container's requests or limits; a limit without a request is a request too, as the API server stores it."""
    resources = container.get("resources") or {}
    limits = {name: quantity(value) for name, value in (resources.get("limits") or {}).items()}
    if kind == "limits":
        return limits
    return {**limits, **{name: quantity(value) for name, value in (resources.get("requests") or {}).items()}}


def _sum(first: Amounts, second: Amounts) -> Amounts:
    found = dict(first)
    _add(found, second)
    return found


def _add(total: Amounts, amounts: Amounts) -> None:
    for name, amount in amounts.items():
        total[name] = total.get(name, 0) + amount
