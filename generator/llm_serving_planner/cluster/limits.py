"""LimitRange of a namespace against what the release's pods and claims ask for. Pure.

The rules are those of the admission plugin LimitRanger: defaults are put on containers that set nothing themselves,
then minimum, maximum and ratio are judged for each container, for each pod's sum and for claims
(kubernetes docs/concepts/policy/limit-range, plugin/pkg/admission/limitranger; read 2026-11-25).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from llm_serving_planner.base.units import GIB, MIB, quantity
from llm_serving_planner.engines import registry
from llm_serving_planner.output import chart
from llm_serving_planner.output.chart import pick, quantity_at

Amounts = dict[str, float]
RESOURCES = ("cpu", "memory", "ephemeral-storage")
_KEYS = {"cpu": ("cpu.request", "cpu.limit"), "memory": ("memory.host.request", "memory.host.limit"),
         "ephemeral-storage": ("storage.ephemeral.request", "storage.ephemeral.limit")}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Container:
    """What one container asks for, by resource: CPU in cores, the rest in bytes."""

    name: str
    requests: Amounts
    limits: Amounts

    def changed(self, rule: dict[str, Any]) -> "Container":
        """The same with the defaults of a rule; a limit without request is a request too, before any default."""
        default = _amounts(rule, "default")
        requests = {**default, **_amounts(rule, "defaultRequest"), **self.limits, **self.requests}
        return Container(self.name, requests, {**default, **self.limits})


@dataclass(frozen=True, slots=True)
class Pod:
    """One kind of pod of the release; `first` run one after the other before `together`."""

    name: str
    together: list[Container]
    first: list[Container] = field(default_factory=list)

    def all(self) -> list[Container]:
        """Every container."""
        return [*self.first, *self.together]

    def changed(self, rule: dict[str, Any]) -> "Pod":
        """The same with the defaults of a rule."""
        together, first = ([one.changed(rule) for one in part] for part in (self.together, self.first))
        return Pod(self.name, together, first)

    def sums(self, kind: Literal["requests", "limits"]) -> Amounts:
        """What counts for the pod: the sum, or the largest container that runs before."""
        found: Amounts = {}
        for one in self.together:
            for resource, amount in getattr(one, kind).items():
                found[resource] = found.get(resource, 0) + amount
        for one in self.first:
            for resource, amount in getattr(one, kind).items():
                found[resource] = max(found.get(resource, 0), amount)
        return found


@dataclass(frozen=True, slots=True)
class Problem:
    """What a LimitRange does to the release: refuse it, or change how it runs."""

    status: Literal["fail", "warn"]
    text: str
    way_out: str


def pods(values: dict[str, Any]) -> list[Pod]:
    """Every kind of pod that the values give rise to."""
    mode = pick(values, "model.download.mode")
    first = []
    if mode in {"init", "job"}:  # beside a Job it waits for what the Job writes
        first.append(_helper("download", "fetch-model" if mode == "init" else "wait-model", values))
    from_hub = not pick(values, "model.path") and pick(values, "model.source.type") == "hub"
    if from_hub and not registry.engine_of(pick(values, "engine.type")).fetches_model:
        first.append(_helper("download", "download", values))
    beside = [_given(entry) for entry in pick(values, "sidecars")]
    first += [_given(entry) for entry in pick(values, "initContainers")]
    found = [Pod("engine", [_engine(values), *beside], first)]
    if pick(values, "test.enabled"):
        found.append(Pod("test", [_helper("test", "test", values)]))
    if mode in {"job", "hook"}:
        found.append(Pod("download", [_helper("download", "fetch-model", values)]))
    if pick(values, "prePull.enabled"):
        found.append(Pod("pre-pull", [_helper("pre-pull", "pull", values)]))
    return found


def _helper(shown: str, container: str, values: dict[str, Any]) -> Container:
    """A helper container of the chart under the name that messages have for it."""
    found = chart.helper(container, values)
    return Container(shown, found.requests, found.limits)


def _given(entry: dict[str, Any]) -> Container:
    resources = entry.get("resources") or {}
    amounts = [
        {name: quantity(value) for name, value in (resources.get(kind) or {}).items() if name in RESOURCES}
        for kind in ("requests", "limits")
    ]
    return Container(str(entry.get("name", "container")), *amounts)


def _engine(values: dict[str, Any]) -> Container:
    scratch = quantity_at(values, "storage.size") if pick(values, "storage.type") == "emptyDir" else 0
    asked = {
        name: (quantity_at(values, request), quantity_at(values, limit)) for name, (request, limit) in _KEYS.items()
    }
    request, limit = asked["ephemeral-storage"]
    asked["ephemeral-storage"] = (request or scratch, limit)
    return Container(
        "engine",
        {name: pair[0] for name, pair in asked.items() if pair[0]},
        {name: pair[1] for name, pair in asked.items() if pair[1]},
    )


def problems(ranges: list[dict[str, Any]], asked: list[Pod], claim_bytes: float | None) -> list[Problem]:
    """What stands against pods and claims, and what would be put on them.

    Args:
        ranges: LimitRange objects of the namespace.
        asked: from `pods`.
        claim_bytes: size of a claim that the release makes, None where it makes none.
    """
    rules = [
        (f"LimitRange {item['metadata']['name']}", rule)
        for item in ranges for rule in item.get("spec", {}).get("limits", [])
    ]  # fmt: skip
    found: list[Problem] = []
    judged = asked
    for name, rule in rules:
        if rule.get("type") == "Container":
            found += [problem for pod in judged for one in pod.all() for problem in _defaults(name, rule, one)]
            judged = [pod.changed(rule) for pod in judged]
    for name, rule in rules:
        if rule.get("type") == "Container":
            every = [one for pod in judged for one in pod.all()]
            found += [
                problem for one in every
                for problem in _judge(name, rule, f"container {one.name}", one.name, one.requests, one.limits)
            ]  # fmt: skip
        elif rule.get("type") == "Pod":
            for pod in judged:
                sums = pod.sums("requests"), pod.sums("limits")
                found += _judge(name, rule, f"the {pod.name} pod", pod.name, *sums)
        elif rule.get("type") == "PersistentVolumeClaim" and claim_bytes is not None:
            found += _judge_claim(name, rule, claim_bytes)
    return list(dict.fromkeys(found))


def _amounts(rule: dict[str, Any], kind: str) -> Amounts:
    return {name: quantity(value) for name, value in (rule.get(kind) or {}).items()}


def _defaults(name: str, rule: dict[str, Any], one: Container) -> Iterator[Problem]:
    """Limits that the LimitRange puts on a container."""
    changed = one.changed(rule)
    for resource in RESOURCES:
        if resource in one.limits or resource not in changed.limits:
            continue
        limit, request = changed.limits[resource], changed.requests.get(resource, 0)
        if request > limit:
            yield Problem(
                "fail",
                f"{name} puts the {resource} limit {_show(resource, limit)} on container {one.name}, below its request "
                f"of {_show(resource, request)}",
                _way(one.name, resource, 1),
            )
        else:
            yield Problem("warn", f"{name} limits container {one.name} to {_show(resource, limit)} of {resource}: "
                          f"{_effect(resource)}", _way(one.name, resource, 1))  # fmt: skip


def _effect(resource: str) -> str:
    return {
        "cpu": "it is throttled there",
        "memory": "it is killed there",
        "ephemeral-storage": "its pod is evicted where home and temporary files grow beyond",
    }[resource]


def _judge(
    name: str, rule: dict[str, Any], what: str, owner: str, requests: Amounts, limits: Amounts
) -> Iterator[Problem]:
    """Minimum, maximum and ratio of one container or pod."""
    for resource, most in _amounts(rule, "max").items():
        limit = limits.get(resource)
        if resource in RESOURCES and limit is None:
            yield Problem("fail", f"{name} demands a {resource} limit of {what}, at most {_show(resource, most)}; "
                          "there is none", _way(owner, resource, 1))  # fmt: skip
        elif limit is not None and limit > most:
            yield Problem("fail", f"{name} allows {_show(resource, most)} of {resource}; the limit of {what} is "
                          f"{_show(resource, limit)}", _way(owner, resource, 1))  # fmt: skip
    for resource, least in _amounts(rule, "min").items():
        request = requests.get(resource)
        if resource in RESOURCES and (request is None or request < least):
            asked = "no request" if request is None else f"a request of {_show(resource, request)}"
            yield Problem("fail", f"{name} demands at least {_show(resource, least)} of {resource}; {what} has {asked}",
                          _way(owner, resource, 0))  # fmt: skip
    for resource, ratio in _amounts(rule, "maxLimitRequestRatio").items():
        request, limit = requests.get(resource), limits.get(resource)
        if resource in RESOURCES and (not request or limit is None):
            yield Problem("fail", f"{name} allows {resource} limits of {ratio:g} times the request; {what} lacks one "
                          "of them", _way(owner, resource, 1))  # fmt: skip
        elif request and limit is not None and limit / request > ratio:
            yield Problem("fail", f"{name} allows {resource} limits of {ratio:g} times the request; {what} has "
                          f"{_show(resource, limit)} for {_show(resource, request)}",
                          _way(owner, resource, 1))  # fmt: skip


def _judge_claim(name: str, rule: dict[str, Any], size: float) -> Iterator[Problem]:
    for kind, sign, word in (("max", 1, "most"), ("min", -1, "least")):
        bound = _amounts(rule, kind).get("storage")
        if bound is not None and sign * (size - bound) > 0:
            yield Problem("fail", f"{name} allows claims of at {word} {_show('storage', bound)}; storage.size is "
                          f"{_show('storage', size)}", "another storage.size or storage.type, or a LimitRange that "
                          "fits the model")  # fmt: skip


def _show(resource: str, value: float) -> str:
    if resource == "cpu":
        return f"{value:g}"
    unit, name = (GIB, "Gi") if value >= GIB else (MIB, "Mi")
    return f"{round(value / unit, 2):g}{name}"


def _way(owner: str, resource: str, which: int) -> str:
    if owner == "engine" and resource in _KEYS:
        return f"set {_KEYS[resource][which]}, or another LimitRange"
    if owner == "test":
        return "set test.enabled=false, or another LimitRange"
    return "another LimitRange, or another namespace"
