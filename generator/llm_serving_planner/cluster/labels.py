"""A profile from the labels of a cluster's nodes. Pure.

NVIDIA's GPU feature discovery sets nvidia.com/gpu.product, .count, .memory (MiB as nvidia-smi counts), .compute.major
and .compute.minor (NVIDIA/k8s-device-plugin docs/gpu-feature-discovery, 2026-11), AMD's node labeller
amd.com/gpu.product-name and .vram, older ones below beta.amd.com (ROCm/k8s-device-plugin
docs/user-guide/installation.md, 2026-11). No label names a Gaudi: the machine type does, or --product.
"""

from typing import Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.units import GIB
from llm_serving_planner.cluster.capacity import Node
from llm_serving_planner.hardware.profiles import all_gpus, all_instances

_PRODUCT = "nvidia.com/gpu.product"
_RESOURCE = "nvidia.com/gpu"
# What CUDA reports below the total of nvidia-smi: up to 0.9 GiB on the GPUs of data/gpus.json, an assumption elsewhere.
_BELOW_TOTAL_GIB = 0.9
_AMD_PRODUCTS = ("amd.com/gpu.product-name", "beta.amd.com/gpu.product-name")
_MACHINE = "node.kubernetes.io/instance-type"
_UNKNOWN_GAUDI = "habana.ai/gaudi"
_HOW = "install GPU feature discovery (part of NVIDIA's GPU operator), or write the file by hand"


def profile_of(nodes: list[Node], product: str | None) -> tuple[dict[str, Any], list[str]]:
    """The profile file of one kind of node, and remarks on it.

    Args:
        nodes: ready nodes of the cluster.
        product: value of the label that names the GPU (gaudi2 and the like for a Gaudi), None for one kind only.

    Raises:
        InputError: no labelled GPU nodes, several kinds and none chosen, or shared and partitioned GPUs.
    """
    kinds: dict[tuple[str, int], list[Node]] = {}
    for node in nodes:
        kind = _kind(node, product)
        if kind is not None:
            kinds.setdefault(kind, []).append(node)
    if not kinds:
        raise InputError(f"no ready node has {_RESOURCE} and the label {_PRODUCT}", hint=_HOW)
    chosen = [kind for kind in sorted(kinds) if product in {None, kind[0]}]
    told = ", ".join(f"{name} ({count} per node, {len(kinds[name, count])} node(s))" for name, count in sorted(kinds))
    if not chosen:
        raise InputError(f"no node has {product}; there are {told}")
    if len(chosen) > 1 and len({name for name, _ in chosen}) > 1:
        raise InputError(f"nodes of several kinds: {told}", hint="choose one with --product")
    name, count = chosen[-1]
    if name == _UNKNOWN_GAUDI:
        raise InputError(
            f"{kinds[name, count][0].name} offers {count} x {name}, but no label says which Gaudi it is",
            hint="name it: --product gaudi1, gaudi2 or gaudi3",
        )
    members = kinds[name, count]
    if name.endswith("-SHARED") or "-MIG-" in name:
        raise InputError(
            f"{members[0].name}: {name} is a shared or partitioned GPU, whose memory is not the GPU's own",
            hint="describe the slice in a file with its own memory",
        )
    gpu, notes = _gpu(name, members)
    notes.append(f"{len(members)} such node(s) in the cluster; the profile takes one")
    if len(chosen) > 1:
        notes.append(f"others have {', '.join(str(other) for _, other in chosen[:-1])} GPU(s) per node")
    return {
        "nodes": 1,
        "gpusPerNode": count,
        "gpu": gpu,
        "node": {
            "cpu": min(node.allocatable["cpu"] for node in members),
            "memoryGiB": round(min(node.allocatable["memory"] for node in members) / GIB, 2),
        },
    }, notes


def _kind(node: Node, product: str | None) -> tuple[str, int] | None:
    """(product, count) of a node with accelerators; None for one without, or without a label that names them."""
    labels, free = node.labels, node.allocatable
    if labels.get(_PRODUCT) and free.get(_RESOURCE):
        return labels[_PRODUCT], int(free[_RESOURCE])
    amd = next((labels[label] for label in _AMD_PRODUCTS if labels.get(label)), None)
    if amd and free.get("amd.com/gpu"):
        return amd, int(free["amd.com/gpu"])
    if free.get("habana.ai/gaudi"):
        machine = next((one.gpu for one in all_instances() if one.type == labels.get(_MACHINE)), None)
        asked = product if product in {"gaudi1", "gaudi2", "gaudi3"} else None
        return machine or asked or _UNKNOWN_GAUDI, int(free["habana.ai/gaudi"])
    return None


def _gpu(product: str, members: list[Node]) -> tuple[Any, list[str]]:
    """The id of a known GPU, or a description by the labels."""
    known = [gpu.id for gpu in all_gpus() if product in gpu.gfd_product_labels or product == gpu.id]
    if known:
        return known[0], []
    labels = members[0].labels
    if any(labels.get(label) for label in _AMD_PRODUCTS):
        raise InputError(
            f"{members[0].name}: {product} is no AMD GPU that is known here, and no label tells its generation",
            hint="describe it in a file: gpu: {name: ..., vendor: amd, generation: gfx942, usableMemoryGiB: ...}",
        )
    memory, major = labels.get("nvidia.com/gpu.memory", ""), labels.get("nvidia.com/gpu.compute.major", "")
    if not (memory.isdigit() and major.isdigit()):
        raise InputError(
            f"{members[0].name}: {product} is no GPU that is known here, and nvidia.com/gpu.memory or .compute.major "
            "is missing",
            hint=_HOW,
        )
    usable = round(int(memory) / 1024 - _BELOW_TOTAL_GIB, 2)
    note = f"{product} is not known: usable memory taken as {usable} GiB (label less {_BELOW_TOTAL_GIB}, an assumption)"
    return {
        "name": product.replace("-", " "),
        "usableMemoryGiB": usable,
        "computeCapability": f"{major}.{labels.get('nvidia.com/gpu.compute.minor', '0')}",
        "resourceName": _RESOURCE,
        "productLabel": product,
    }, [note]
