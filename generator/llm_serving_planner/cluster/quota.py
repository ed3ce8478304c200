"""ResourceQuotas of a namespace against what a release adds to what it already holds. Pure.

Dry runs are checked one at a time and charged to nobody, so that two pods which fit alone may still not fit together.
What counts is as in kubernetes pkg/quota/v1/evaluator/core (pods.go, persistent_volume_claims.go, services.go) and
plugin/pkg/admission/resourcequota of 1.35 (from memory; the files were not opened).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llm_serving_planner.base.units import GIB, quantity
from llm_serving_planner.cluster.workloads import Amounts, Json, Pods, effective, hooks

# Where a quota counts these, every container must state them.
_MUST = ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
_STANDARD = {"cpu", "memory", "ephemeral-storage"}
_CLASS = ".storageclass.storage.k8s.io/"
# Group of the kinds that quotas name as count/<resource>.<group>, where the plural is not the kind and an s.
_PLURALS = {"NetworkPolicy": "networkpolicies", "Ingress": "ingresses", "BackendTLSPolicy": "backendtlspolicies"}
# Objects that controllers make of one of ours.
_MADE = {"Deployment": {"count/replicasets.apps": 1}, "LeaderWorkerSet": {"count/statefulsets.apps": 1}}


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim that is asked for: how many, their bytes and their class (empty for the default one)."""

    count: int
    size: float
    storage_class: str


@dataclass(frozen=True, slots=True)
class Demand:
    """What a release wants of its namespace.

    Attributes:
        groups: its pods, with the specs that the API server would store.
        held: specs of its pods that run now, which go before the new ones come.
        objects: rendered objects that are not there yet.
        claims: claims that are not there yet; of one that grows its growth, as no claim.
    """

    groups: list[Pods]
    held: list[Json]
    objects: list[Json]
    claims: list[Claim]


def problems(quotas: list[Json], demand: Demand) -> list[tuple[str, str]]:
    """(what stands against the release, the way out) for each quota and resource."""
    return [problem for quota in quotas for problem in _of_quota(quota, demand)]


def _of_quota(quota: Json, demand: Demand) -> Iterator[tuple[str, str]]:
    name = f"ResourceQuota {quota['metadata']['name']}"
    hard, used = ({key: quantity(value) for key, value in ((quota.get("status") or {}).get(part) or {}).items()}
                  for part in ("hard", "used"))  # fmt: skip
    hard = hard or {key: quantity(value) for key, value in ((quota.get("spec") or {}).get("hard") or {}).items()}
    groups = [group for group in demand.groups if counts(quota, group.spec)]
    unstated = sorted(
        {f"{key} of container {container}" for group in groups for key, container in _unstated(hard, group)}
    )
    if unstated:
        yield (f"{name} counts what must then be stated: {', '.join(unstated)} is missing",
               "set it (cpu.limit, memory.host.limit), or a LimitRange with defaults")  # fmt: skip
    added = _added(quota, demand, groups)
    for key in sorted(set(hard) & set(added)):
        left = hard[key] - used.get(key, 0)
        if added[key] > left + 1e-9:
            yield (f"{name}: {key} has {show(key, hard[key])}, {show(key, used.get(key, 0))} in use; the release adds "
                   f"{show(key, added[key])}", "raise the quota, or ask for less")  # fmt: skip


def counts(quota: Json, spec: Json) -> bool:
    """Whether a quota counts a pod: all of its scopes must match."""
    rules = quota.get("spec") or {}
    scopes = [{"scopeName": name, "operator": "Exists"} for name in rules.get("scopes") or []]
    return all(
        _in_scope(scope, spec)
        for scope in scopes + list((rules.get("scopeSelector") or {}).get("matchExpressions") or [])
    )


def _in_scope(scope: Json, spec: Json) -> bool:
    name = scope.get("scopeName")
    bounded = spec.get("activeDeadlineSeconds") is not None
    whole = effective(spec, "requests") | effective(spec, "limits")
    best_effort = not any(whole.get(resource) for resource in ("cpu", "memory"))
    if name == "PriorityClass":
        own, values = str(spec.get("priorityClassName") or ""), scope.get("values") or []
        answers = {"In": own in values, "NotIn": own not in values, "Exists": bool(own), "DoesNotExist": not own}
        return answers.get(str(scope.get("operator")), False)
    if name == "CrossNamespacePodAffinity":
        return any("namespaceSelector" in term or term.get("namespaces") for term in _affinity_terms(spec))
    known = {"Terminating": bounded, "NotTerminating": not bounded, "BestEffort": best_effort,
             "NotBestEffort": not best_effort}  # fmt: skip
    return known.get(str(name), False)  # others, such as VolumeAttributesClass, count no pods


def _affinity_terms(spec: Json) -> Iterator[Json]:
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = (spec.get("affinity") or {}).get(kind) or {}
        yield from rules.get("requiredDuringSchedulingIgnoredDuringExecution") or []
        for weighted in rules.get("preferredDuringSchedulingIgnoredDuringExecution") or []:
            yield weighted.get("podAffinityTerm") or {}


def _unstated(hard: Amounts, group: Pods) -> Iterator[tuple[str, str]]:
    for container in [*(group.spec.get("initContainers") or []), *(group.spec.get("containers") or [])]:
        resources = container.get("resources") or {}
        limits = resources.get("limits") or {}
        requests = {**limits, **(resources.get("requests") or {})}
        for key in _MUST:
            kind, _, resource = key.rpartition(".")
            if key in hard and resource not in (limits if kind == "limits" else requests):
                yield key, str(container.get("name"))


def charged(spec: Json) -> Amounts:
    """What one pod counts, by the quota's names of resources."""
    found: Amounts = {"pods": 1, "count/pods": 1}
    for resource, amount in effective(spec, "requests").items():
        found[f"requests.{resource}"] = amount
        if resource in _STANDARD or resource.startswith("hugepages-"):
            found[resource] = amount
    for resource, amount in effective(spec, "limits").items():
        if resource in _STANDARD:
            found[f"limits.{resource}"] = amount
    return found


def _added(quota: Json, demand: Demand, groups: list[Pods]) -> Amounts:
    """The largest that the release adds at any time: with one engine more while it surges, or with a hook's pods."""
    own: Amounts = {}
    largest: Amounts = {}
    for group in groups:
        one = charged(group.spec)
        if group.hook:
            for key, amount in one.items():
                largest[key] = max(largest.get(key, 0), amount * group.count)
            continue
        surging = group.members if group.surge and demand.held else 0
        for key, amount in one.items():
            own[key] = own.get(key, 0) + amount * (group.count + surging)
    for spec in demand.held:
        if counts(quota, spec):
            for key, amount in charged(spec).items():
                own[key] = own.get(key, 0) - amount
    found = {key: max(own.get(key, 0), 0) + largest.get(key, 0) for key in {*own, *largest}}
    rules = quota.get("spec") or {}
    if not rules.get("scopes") and not rules.get("scopeSelector"):
        for key, amount in [*_of_objects(demand.objects), *_of_claims(demand.claims)]:
            found[key] = found.get(key, 0) + amount
    return found


def _of_objects(objects: list[Json]) -> Iterator[tuple[str, float]]:
    yield "secrets", 1  # Helm keeps each revision in one
    yield "count/secrets", 1
    for one in objects:
        if "test" in hooks(one):
            continue
        kind, version = str(one.get("kind")), str(one.get("apiVersion"))
        plural = _PLURALS.get(kind, f"{kind.lower()}s")
        group = version.rpartition("/")[0]
        if kind not in {"Pod", "PersistentVolumeClaim"}:
            yield (f"count/{plural}.{group}" if group else f"count/{plural}"), 1
        if kind in {"Service", "ConfigMap", "Secret"}:
            yield plural, 1
        yield from _MADE.get(kind, {}).items()
        exposed = (one.get("spec") or {}).get("type")
        if kind == "Service" and exposed in {"LoadBalancer", "NodePort"}:
            ports = len((one.get("spec") or {}).get("ports") or [])
            yield "services.nodeports", ports
            yield "services.loadbalancers", 1 if exposed == "LoadBalancer" else 0


def _of_claims(claims: list[Claim]) -> Iterator[tuple[str, float]]:
    for claim in claims:
        size = claim.size * max(1, claim.count)
        for prefix in ("", *((f"{claim.storage_class}{_CLASS}",) if claim.storage_class else ())):
            yield f"{prefix}requests.storage", size
            yield f"{prefix}persistentvolumeclaims", claim.count
        yield "count/persistentvolumeclaims", claim.count


def show(key: str, value: float) -> str:
    """A figure as people write it: bytes in GiB."""
    in_bytes = any(part in key for part in ("memory", "storage", "hugepages")) and "count" not in key
    if in_bytes and not key.endswith("persistentvolumeclaims"):
        return f"{round(value / GIB, 2):g}Gi"
    return f"{value:g}"


def claim_of(spec: dict[str, Any], count: int) -> Claim:
    """A claim by its spec."""
    size = quantity(((spec.get("resources") or {}).get("requests") or {}).get("storage", 0))
    return Claim(count, size, str(spec.get("storageClassName") or ""))
