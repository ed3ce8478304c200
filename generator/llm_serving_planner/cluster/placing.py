"""Nodes for the pods of a release: which hold them at all, which hold them now, and whose driver is new enough."""

from dataclasses import replace
from typing import Any

from llm_serving_planner.base.units import GIB, MIB
from llm_serving_planner.cluster import capacity
from llm_serving_planner.cluster.capacity import Node
from llm_serving_planner.cluster.findings import Finding
from llm_serving_planner.cluster.kubectl import Client, ForbiddenError
from llm_serving_planner.cluster.workloads import Amounts, Json, Pods
from llm_serving_planner.hardware.profiles import all_gpus

_NVIDIA = "nvidia.com/"


def holds(pod: Json) -> bool:
    """Whether a pod still holds what it asked for."""
    return not capacity.ended(pod)


def nodes(client: Client, groups: list[Pods], release: str, namespace: str) -> list[Finding]:
    """Whether each kind of pod finds nodes, and whether the engines find free ones."""
    objects = client.items("nodes")
    try:
        pods: list[Json] | None = client.items("pods", everywhere=True)
    except ForbiddenError:
        pods = None
    found: list[Finding] = []
    if not capacity.read_nodes(objects, None):
        return [Finding("gpu nodes", "fail", "no node is ready and takes pods", "add nodes, or uncordon them")]
    for group in groups:
        surging = group.surge and any(capacity.of_release(pod, namespace, release) and holds(pod) for pod in pods or [])
        given_back = None if surging or not group.engine else (namespace, release)
        every = capacity.read_nodes(objects, pods, given_back)
        wanted = capacity.needs(group.spec)
        judged, suited = _suited(group, wanted, every)
        # an install does not wait for its test
        told = {one.check for one in found if one.status == "fail"}
        found += [replace(one, status="warn") if group.hook == ("test",) else one for one in judged
                  if group.engine or one.check not in told]  # fmt: skip
        if group.engine and suited and not any(finding.status == "fail" for finding in judged):
            found.append(_free(group, wanted, suited, 1 if surging else group.sets, known=pods is not None))
    return found


def _suited(group: Pods, wanted: Amounts, every: list[Node]) -> tuple[list[Finding], list[Node]]:
    """Nodes that hold pods of the group when they are empty."""
    having = [node for node in every if not capacity.lacking(node, wanted)]
    who = "" if group.engine else f" for {group.owner}"
    if not having:
        # none that all lack: each node lacks another
        lost = [name for name in wanted if all(capacity.lacking(node, {name: 1}) for node in every)] or [
            name for name in wanted if any(capacity.lacking(node, {name: 1}) for node in every)]  # fmt: skip
        devices = {gpu.resource_name for gpu in all_gpus()}
        way = ("add GPU nodes (llm-serving machineset), or install the device plugin" if devices & set(lost)
               else "install its device plugin or set it aside on nodes, or clear the key")  # fmt: skip
        return [Finding("gpu nodes", "fail", f"no ready node offers {' with '.join(lost)}{who}", way)], []
    chosen = [node for node in having if capacity.selected(node, group.spec)]
    if not chosen:
        return [Finding("gpu nodes", "fail", f"{_named(having)} lack {_labels(having, group.spec)}{who}",
                        "set gpu.nodeSelector to labels that they have")], []  # fmt: skip
    tolerations = group.spec.get("tolerations") or []
    open_ = [node for node in chosen if not capacity.untolerated(node, tolerations)]
    if not open_:
        taints = sorted({taint for node in chosen for taint in capacity.untolerated(node, tolerations)})
        return [Finding("taints", "fail", f"{_named(chosen)}: {', '.join(taints)} is not tolerated{who}",
                        "add it to gpu.tolerations")], []  # fmt: skip
    rooms = [capacity.room(wanted, node.allocatable) for node in open_]
    least = max(1, group.sets) if group.engine else 1
    if capacity.engines_that_fit(rooms, group.members, apart=group.apart) < least:
        return [Finding("capacity", "fail", f"{max(1, group.count)} pod(s) of {_shown(wanted)} do not fit on "
                        f"{_named(open_)}, even when these are empty ({_sizes(open_, wanted)}){who}",
                        "larger or more nodes, or smaller values")], open_  # fmt: skip
    if not group.engine:
        return [], open_
    return [Finding("gpu nodes", "ok", f"{_named(open_)}: {_sizes(open_, wanted)}")], open_


def _free(group: Pods, wanted: Amounts, suited: list[Node], sets: int, *, known: bool) -> Finding:
    if not known:
        return Finding("free now", "unknown", "you may not read pods of all namespaces", "free GPUs are not known")
    rooms = [capacity.room(wanted, node.free) for node in suited]
    fit = capacity.engines_that_fit(rooms, group.members, apart=group.apart)
    sizes = _sizes(suited, wanted, free=True)
    if fit < sets:
        return Finding("free now", "fail", f"{sets} engine(s) of {group.members} pod(s) with {_shown(wanted)} are "
                       f"wanted, {fit} fit into what is free ({sizes})", "free some, or the pods stay pending until "
                       "others end")  # fmt: skip
    return Finding("free now", "ok", f"{fit} engine(s) fit ({sizes})")


def drivers(client: Client, groups: list[Pods], engine: str, floor: dict[str, Any] | None) -> list[Finding]:
    """Whether the NVIDIA driver of suited nodes is new enough for the image's CUDA.

    Args:
        client: the way to the cluster.
        groups: pods of the release.
        engine: its name and version, in words.
        floor: `major` of the driver and the image's `cuda`; None where nothing is known of it.
    """
    group = next(group for group in groups if group.engine)
    wanted = capacity.needs(group.spec)
    if floor is None or not any(name.startswith(_NVIDIA) for name in wanted):
        return []
    _, suited = _suited(group, wanted, capacity.read_nodes(client.items("nodes"), None))
    if not suited:
        return []
    told = [node for node in suited if node.driver is not None]
    old = [node for node in told if (node.driver or 0) < floor["major"]]
    need = f"{engine} holds CUDA {floor['cuda']}: driver {floor['major']} or newer"
    if old:
        return [Finding("driver", "fail", f"{need}; {_named(old)} has {min(node.driver or 0 for node in old)}",
                        "a newer driver, or an older engine.version")]  # fmt: skip
    if not told:
        label = capacity.DRIVER_LABELS[0]
        return [Finding("driver", "unknown", f"{need}; no node has the label {label}",
                        "install GPU feature discovery, or run nvidia-smi on a node")]  # fmt: skip
    return [Finding("driver", "ok", f"{min(node.driver or 0 for node in told)}; {need}")]


def _named(found: list[Node]) -> str:
    names = [node.name for node in found]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _labels(found: list[Node], spec: Json) -> str:
    selector = spec.get("nodeSelector") or {}
    missing = [(key, value) for key, value in selector.items() if all(n.labels.get(key) != value for n in found)]
    shown = missing or list(selector.items())
    if not shown:
        return "what the node affinity demands"
    have = {key: sorted({node.labels.get(key, "nothing") for node in found}) for key, _ in shown}
    return "; ".join(f"{key}={value} (they have {', '.join(have[key])})" for key, value in shown)


def _shown(amounts: Amounts, of: Amounts | None = None) -> str:
    """Amounts in words: devices first, CPU, memory, and the rest where it is asked for."""
    asked = amounts if of is None else of
    devices = [f"{amounts.get(name, 0):g} x {name}" for name in asked if "/" in name]
    rest = [f"{amounts.get('cpu', 0):g} CPU", f"{round(amounts.get('memory', 0) / GIB, 1):g} GiB"]
    pages = [f"{amounts.get(name, 0) / MIB:g} MiB of huge pages" for name in asked if name.startswith("hugepages-")]
    if "ephemeral-storage" in asked:
        rest.append(f"{round(amounts.get('ephemeral-storage', 0) / GIB, 1):g} GiB of ephemeral storage")
    return ", ".join([*devices, *rest, *pages])


def _sizes(found: list[Node], wanted: Amounts, *, free: bool = False) -> str:
    return "; ".join(_shown(node.free if free else node.allocatable, wanted) for node in found[:3])
