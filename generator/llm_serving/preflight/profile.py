"""A profile from the labels of a cluster's nodes (NVIDIA's GPU feature discovery). Pure.

Labels: nvidia.com/gpu.product, .count, .memory (MiB as nvidia-smi counts), .compute.major, .compute.minor
(NVIDIA/k8s-device-plugin docs/gpu-feature-discovery, 2026-11).
"""

from typing import Any

from llm_serving.errors import InputError
from llm_serving.preflight.nodes import Node
from llm_serving.profiles import all_gpus

_PRODUCT = "nvidia.com/gpu.product"
_RESOURCE = "nvidia.com/gpu"
# What CUDA reports below the total of nvidia-smi: up to 0.9 GiB on the GPUs of data/gpus.json, an assumption elsewhere.
_BELOW_TOTAL_GIB = 0.9
_HOW = "install GPU feature discovery (part of NVIDIA's GPU operator), or write the file by hand"


def profile_of(nodes: list[Node], product: str | None) -> tuple[dict[str, Any], list[str]]:
    """The profile file of one kind of node, and remarks on it.

    Args:
        nodes: ready nodes of the cluster.
        product: value of nvidia.com/gpu.product, None where there is one kind only.

    Raises:
        InputError: no labelled GPU nodes, several kinds and none chosen, or shared and partitioned GPUs.
    """
    kinds: dict[tuple[str, int], list[Node]] = {}
    for node in nodes:
        name, count = node.labels.get(_PRODUCT), int(node.allocatable.get(_RESOURCE, 0))
        if name and count:
            kinds.setdefault((name, count), []).append(node)
    if not kinds:
        raise InputError(f"no ready node has {_RESOURCE} and the label {_PRODUCT}", hint=_HOW)
    chosen = [kind for kind in sorted(kinds) if product in {None, kind[0]}]
    told = ", ".join(f"{name} ({count} per node, {len(kinds[name, count])} node(s))" for name, count in sorted(kinds))
    if not chosen:
        raise InputError(f"no node has {product}; there are {told}")
    if len(chosen) > 1 and len({name for name, _ in chosen}) > 1:
        raise InputError(f"nodes of several kinds: {told}", hint="choose one with --product")
    name, count = chosen[-1]
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
            "memoryGiB": round(min(node.allocatable["memory"] for node in members) / 2**30, 2),
        },
    }, notes


def _gpu(product: str, members: list[Node]) -> tuple[Any, list[str]]:
    """The id of a known GPU, or a description by the labels."""
    known = [gpu.id for gpu in all_gpus() if product in gpu.gfd_product_labels]
    if known:
        return known[0], []
    labels = members[0].labels
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
