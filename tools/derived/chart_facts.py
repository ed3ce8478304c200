"""The chart's facts as data for the Python package: defaults, names of objects, requests of helper containers, ports.

Everything but the defaults is read from rendered objects, not from the templates' text: one rendering for each key that
adds or takes away an object. What a key does is then written as a rule, and the rules are held against every rendering
again.
"""

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from helm_python import Chart, _native
from llm_serving_planner.base.documents import load_values
from llm_serving_planner.output.chart import Condition, holds

Json = dict[str, Any]
_MARK = "GENERATED from charts/llm-serving by `make generate`"
_LONG = "f" * 45  # longer than what groups take over as it is, shorter than what is cut
# Limits and requests that no template writes by itself, so that a container which repeats one shows whose it is.
_SENTINELS = {
    "memory.host.request": "7683Mi", "memory.host.limit": "7793Mi", "cpu.request": "7883m", "cpu.limit": "7901m",
}  # fmt: skip
_APIS = (
    "leaderworkerset.x-k8s.io/v1", "ray.io/v1", "keda.sh/v1alpha1", "kueue.x-k8s.io/v1beta1", "route.openshift.io/v1",
    "monitoring.coreos.com/v1", "gateway.networking.k8s.io/v1", "inference.networking.k8s.io/v1",
)  # fmt: skip
_SHARED = {"storage.accessMode": "ReadWriteMany"}
_NODES = {"parallelism.nodes": 2}
_GROUP = {"parallelism.pipeline": 2, "replicas": 2, **_SHARED}
_STATEFULSET = {"parallelism.controller": "statefulset"}
_LEADER = {"parallelism.controller": "leaderworkerset"}
_RAY = {"parallelism.controller": "raycluster"}
_RAY_IMAGE = {"parallelism.executor": "ray", "engine.hasRay": True}
_EXPOSED = {"expose.host": "llm.example.com"}
_GATEWAY = {**_EXPOSED, "expose.gateway.parents": [{"name": "gw"}]}
_TGIS = {"engine.version": "1db8cf0", "engine.image.repository": "org/tgis", "engine.image.tag": "1"}


def _with(switch: Json) -> tuple[tuple[Json, Json], ...]:
    """A switch alone and with each controller of several pods."""
    return (
        (switch, {}),
        ({**switch, **_STATEFULSET, **_NODES}, _GROUP),
        ({**switch, **_LEADER, **_NODES}, _GROUP),
        ({**switch, **_RAY}, {**_NODES, **_GROUP, **_RAY_IMAGE}),
    )


# (keys that make the difference, keys without which the chart refuses them), as dotted paths. A key with several
# effects stands alone first.
VARIANTS: tuple[tuple[Json, Json], ...] = (
    ({}, {}),
    ({"serviceAccount.create": False}, {}),
    ({"serviceAccount.name": "own-account"}, {}),
    ({"serviceAccount.name": "own-account", "serviceAccount.create": False}, {}),
    ({"test.enabled": False}, {}),
    ({"plan": {"profile": "2xt4"}}, {}),
    ({"storage.type": "emptyDir"}, {}),
    ({"storage.type": "existingClaim"}, {"storage.existingClaim": "models"}),
    ({"storage.type": "hostPath"}, {"storage.hostPath": "/models"}),
    ({"model.download.mode": "init"}, {}),
    ({"model.download.mode": "job"}, _SHARED),
    ({"model.download.mode": "hook"}, {"storage.type": "existingClaim", "storage.existingClaim": "models"}),
    ({"engine.lora.adapters": [{"name": "a", "id": "org/a"}]}, {}),
    ({"engine.speculative.id": "org/draft"}, {"engine.speculative.method": "draft_model"}),
    ({"engine.chatTemplate.text": "{{ messages }}"}, {}),
    ({"prePull.enabled": True}, {}),
    ({"gpu.dra.deviceClassName": "gpu.nvidia.com"}, {}),
    ({"engine.type": "tgi"}, {"engine.version": "3.3.7", "engine.image.repository": "org/tgi", "engine.image.tag": "1",
                              "engine.rootless": True}),
    ({"engine.type": "tgis"}, _TGIS),
    ({"parallelism.data": 2}, {"parallelism.gpusPerNode": 2}),
    (_STATEFULSET, {"replicas": 2, **_SHARED}),
    ({"storage.type": "perReplica"}, _STATEFULSET),
    ({**_STATEFULSET, **_NODES}, _GROUP),
    (_LEADER, {"replicas": 2, **_SHARED}),
    ({**_LEADER, **_NODES}, _GROUP),
    (_RAY, {**_NODES, **_GROUP, **_RAY_IMAGE}),
    ({"auth.group.create": True}, {**_LEADER, **_NODES, **_GROUP}),
    ({"auth.group.create": True, "networkPolicy.enabled": True}, {**_LEADER, **_NODES, **_GROUP}),
    ({"scaling.hpa.enabled": True}, _SHARED),
    ({"scaling.keda.enabled": True}, {"scaling.keda.serverAddress": "http://prometheus:9090", **_SHARED}),
    *_with({"podDisruptionBudget.enabled": True}),
    ({"monitoring.serviceMonitor.enabled": True}, {}),
    *_with({"monitoring.podMonitor.enabled": True}),
    ({"monitoring.prometheusRule.enabled": True}, {}),
    ({"monitoring.dashboard.enabled": True}, {}),
    *_with({"networkPolicy.enabled": True}),
    ({"networkPolicy.enabled": True, "model.download.mode": "job"}, _SHARED),
    ({"networkPolicy.enabled": True, "model.download.mode": "hook"},
     {"storage.type": "existingClaim", "storage.existingClaim": "models"}),
    ({"networkPolicy.enabled": True, "test.enabled": False}, {}),
    ({"networkPolicy.enabled": True, "prePull.enabled": True}, {}),
    ({"expose.ingress.enabled": True}, _EXPOSED),
    ({"expose.route.enabled": True}, _EXPOSED),
    ({"expose.gateway.enabled": True}, _GATEWAY),
    ({"expose.gateway.enabled": True, "tls.existingSecret": "tls"}, {**_GATEWAY, "tls.ca.existingConfigMap": "ca"}),
    ({"expose.gateway.enabled": True, "engine.type": "tgis"}, {**_GATEWAY, **_TGIS}),
    ({"expose.inferencePool.enabled": True}, {"expose.inferencePool.picker": "epp"}),
)  # fmt: skip


def nested(values: Json) -> Json:
    """{"a.b": c} as {"a": {"b": c}}."""
    found: Json = {}
    for path, value in values.items():
        *parents, last = path.split(".")
        node = found
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = value
    return found


class Renderer:
    """The chart by the Helm of the helm-python-sdk wheel, on a cluster that serves every optional API."""

    def __init__(self, folder: Path) -> None:
        self._chart = Chart.load(str(folder))  # held: its handle dies with it

    def objects(self, values: Json, release: str = "r") -> list[Json]:
        """Objects of dotted values.

        Raises:
            HelmError: the chart refuses them.
        """
        options = json.dumps({"name": release, "namespace": "llm", "api_versions": list(_APIS)})
        document = json.dumps(nested({"model.id": "org/model", **values}))
        raw = self._chart._raw()  # noqa: SLF001 - the public call takes no API versions
        rendered = json.loads(_native.call_string("helm_render", raw, document, options))
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return [
            found for path, text in sorted(rendered.items()) if path.endswith(".yaml")
            for found in yaml.load_all(text, loader) if found
        ]  # fmt: skip


def chart_facts(root: Path) -> str:
    """Text of data/chart_facts.json."""
    folder = root / "charts" / "llm-serving"
    chart = Renderer(folder)
    defaults = load_values(folder / "values.yaml")
    lengths = _lengths(chart)
    rendered = [
        (changes, also, chart.objects({"fullnameOverride": _LONG, **also, **changes})) for changes, also in VARIANTS
    ]
    facts = {
        "_comment": _MARK,
        "chart": folder.name,  # as Helm demands
        "names": lengths,
        "objects": _objects(rendered, defaults),
        "containers": _containers(chart),
        "ports": _ports(rendered),
        "defaults": defaults,
        "empty": json.loads((folder / "files" / "values.json").read_text(encoding="utf-8"))["empty"],
    }
    return json.dumps(facts, indent=1, ensure_ascii=False) + "\n"


def _full_name(objects: list[Json]) -> str:
    return str(next(one for one in objects if one["kind"] == "Service")["metadata"]["name"])


def _lengths(chart: Renderer) -> dict[str, int]:
    """Where names are cut: the chart's part, the whole, and what groups take over as it is or cut."""
    part = len(_full_name(chart.objects({"nameOverride": "n" * 63}))) - len("r-")
    cut = _full_name(chart.objects({"fullnameOverride": "f" * 63}))
    full = len(cut)
    group = {**_LEADER, **_NODES, **_GROUP}

    @functools.cache
    def group_name(length: int) -> str:
        objects = chart.objects({**group, "fullnameOverride": "f" * length})
        leader = next(one for one in objects if one["kind"] == "LeaderWorkerSet")
        return str(leader["metadata"]["name"]).removesuffix("-group")

    low, high = 1, full  # the longest that is taken over, by halves
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if group_name(middle) == "f" * middle else (low, middle)
    kept, digest = re.fullmatch(r"(f+)-([0-9a-f]+)", group_name(full)).groups()  # type: ignore[union-attr]
    return {
        "part": part,
        "full": full,
        "digest": len(cut.rpartition("-")[2]),
        "group": low,
        "groupKept": len(kept),
        "groupDigest": len(digest),
    }


def _pattern(one: Json, changes: Json) -> str:
    """An object's name with what stands for release and values: {full}, {group} or {dotted.key}.

    In it, * is a digest, and # the number of a replica.
    """
    name = str(one["metadata"]["name"])
    for path, value in changes.items():
        if name == value:
            return f"{{{path}}}"
    found = re.fullmatch(rf"({_LONG}|f+-[0-9a-f]{{6}})(.*)", name)
    if found is None:
        raise ValueError(f"{one['kind']}/{name}: neither release nor a value is in its name")
    base, rest = found.groups()
    rest = re.sub(r"-[0-9a-f]{5}$", "-*", re.sub(r"-[01](?=-|$)", "-#", rest))
    return ("{full}" if base == _LONG else "{group}") + rest


def _condition(changes: Json, defaults: Json) -> list[Condition]:
    """What a values document has where these changes are made: set, above the default, or just that value."""
    found: list[Condition] = []
    for path, value in changes.items():
        default: Any = defaults
        for part in path.split("."):
            default = default[part]
        if isinstance(value, bool) or (isinstance(value, str) and default):
            found.append({"key": path, "is": value})
        elif isinstance(value, int):
            found.append({"key": path, "above": default})
        else:
            found.append({"key": path, "set": True})
    return found


def _objects(rendered: list[tuple[Json, Json, list[Json]]], defaults: Json) -> list[Json]:
    """Rules of every object: in which documents it is made (`when`, any of them) and in which not (`unless`).

    `hook` says that Helm makes it as a hook, at least with some values, and so puts no name of a release on it.
    """
    shown = [
        ({**also, **changes}, _condition(changes, defaults),
         {(one["kind"], one["apiVersion"], _pattern(one, changes)) for one in objects})
        for changes, also, objects in rendered
    ]  # fmt: skip
    rules: dict[Any, Json] = {
        key: {"when": [], "unless": []} for key in sorted({key for _, _, keys in shown for key in keys})
    }
    for values, condition, keys in shown:
        document = nested(values)
        for key, rule in rules.items():
            predicted = _predicted(rule, document, defaults)
            if (key in keys) != predicted:
                rule["when" if key in keys else "unless"].append(condition)
    for values, _, keys in shown:
        wrong = [key for key, rule in rules.items() if (key in keys) != _predicted(rule, nested(values), defaults)]
        if wrong:
            raise ValueError(f"{values}: the rules do not tell {wrong}")
    hooks = {
        (one["kind"], one["apiVersion"], _pattern(one, changes))
        for changes, _, objects in rendered for one in objects
        if "helm.sh/hook" in one["metadata"].get("annotations", {})
    }  # fmt: skip
    return [
        {"kind": key[0], "api": key[1], "name": key[2], "hook": key in hooks, **rule} for key, rule in rules.items()
    ]


def _predicted(rule: Json, document: Json, defaults: Json) -> bool:
    def any_of(alternatives: list[list[Condition]]) -> bool:
        return any(all(holds(one, document, defaults) for one in conditions) for conditions in alternatives)

    return any_of(rule["when"]) and not any_of(rule["unless"])


def _pods(objects: list[Json]) -> Iterator[Json]:
    for one in objects:
        if one["kind"] == "Pod":
            yield one["spec"]
        elif "template" in one.get("spec", {}):
            yield one["spec"]["template"]["spec"]


def _containers(chart: Renderer) -> Json:
    """Requests and limits of every container beside the engine; {"key": ...} where a value of the release is meant."""
    names = {value: key for key, value in _SENTINELS.items()}
    found: Json = {}
    for changes, also in VARIANTS:
        if set(changes) & {"model.download.mode", "prePull.enabled"} or changes in ({}, {"engine.type": "tgis"}):
            for pod in _pods(chart.objects({**_SENTINELS, **also, **changes})):
                for one in [*pod.get("initContainers", []), *pod["containers"]]:
                    if one["name"] == "engine":
                        continue
                    amounts = {
                        kind: {
                            name: {"key": names[value]} if value in names else value
                            for name, value in one["resources"].get(kind, {}).items()
                        }
                        for kind in ("requests", "limits")
                    }
                    if found.setdefault(one["name"], amounts) != amounts:
                        raise ValueError(f"container {one['name']} has two sets of resources")
    return dict(sorted(found.items()))


def _ports(rendered: list[tuple[Json, Json, list[Json]]]) -> Json:
    """Ports of engines' containers by engine and name, and of each Service that is not the release's own."""
    engines: Json = {}
    services: Json = {}
    for changes, _, objects in rendered:
        for pod in _pods(objects):
            for one in pod["containers"]:
                if one["name"] == "engine" and set(changes) <= {"engine.type"}:
                    engines[changes.get("engine.type", "vllm")] = {
                        port["name"]: port["containerPort"] for port in one.get("ports", [])
                    }
        for one in objects:
            if one["kind"] == "Service" and (name := _pattern(one, {})) != "{full}":
                ports = {port["name"]: port["port"] for port in one["spec"].get("ports", [])}
                services[name] = {**services.get(name, {}), **ports}
    return {"engine": dict(sorted(engines.items())), "services": dict(sorted(services.items()))}
