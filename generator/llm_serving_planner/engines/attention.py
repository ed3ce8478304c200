"""Which attention kernels vLLM takes for a model on a GPU: told, never set.

The engine walks an order of backends and takes the first whose conditions hold; data/attention.json has orders and
conditions by version, with sources. Nothing of this is written into the values: the engine decides by itself.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from llm_serving_planner.base import tables
from llm_serving_planner.base.records import record
from llm_serving_planner.engines import figures, versions
from llm_serving_planner.hardware.compute_capability import Capability, capability, dotted
from llm_serving_planner.models.spec import ModelSpec


@record
class Attention:
    """The engine's choice, and why in one line.

    `backend` is empty when no backend of the engine can serve the model so; `reason` then says why not.
    """

    backend: str
    reason: str


@record
class _Case:
    """What the conditions ask about."""

    spec: ModelSpec
    compute: Capability
    fp8: bool
    sinks: bool
    heads: int  # attention heads of one rank


@cache
def facts() -> dict[str, Any]:
    """data/attention.json: an entry per engine, and classes of models."""
    return tables.load_data("attention.json")


def _vllm() -> dict[str, Any]:
    found: dict[str, Any] = facts()["vllm"]
    return found


@lru_cache(maxsize=8192)  # one model meets the same GPU in many profiles
def attention(
    version: str, spec: ModelSpec, compute: Capability, kv_cache_dtype: str, *, tensor_parallel_size: int = 1
) -> Attention:
    """The backend that vLLM picks.

    Args:
        version: of vLLM.
        spec: the model.
        compute: the GPU's capability.
        kv_cache_dtype: `auto` or `fp8`.
        tensor_parallel_size: GPUs that share the attention heads.
    """
    fp8 = kv_cache_dtype.startswith("fp8")
    sinks = spec.architecture in facts()["classes"]["sinks"]["architectures"]
    case = _Case(spec, compute, fp8, sinks, spec.num_attention_heads // tensor_parallel_size)
    names = _order(version, case)
    against: list[str] = []
    for name in names:
        row = versions.entry_for(_vllm()["backends"][name], version)
        problem = "came later" if row is None else _problem(row, case)
        if row is not None and problem is None:
            generation = _generation(row, compute)
            first = "first choice" if not against else "; ".join(against)
            return Attention(name, f"{generation}{first} (vLLM {version}, compute capability {dotted(compute)})")
        against.append(f"not {name}: {problem}")
    return Attention("", "; ".join(against))


def _kind(spec: ModelSpec) -> str:
    classes = facts()["classes"]
    for name in ("sparse-mla", "two-way"):
        if spec.architecture in classes[name]["architectures"]:
            return name
    return "mla" if spec.mla is not None else "standard"


def _order(version: str, case: _Case) -> list[str]:
    held = versions.entry_for(_vllm()["orders"][_kind(case.spec)], version)
    for row in held["orders"] if held else ():
        majors, heads = row.get("majors"), row.get("heads_at_most")
        if majors is not None and case.compute[0] not in majors:
            continue
        if (row.get("fp8") and not case.fp8) or (heads is not None and case.heads > heads):
            continue
        return list(row["backends"])
    return []


def _problem(row: dict[str, Any], case: _Case) -> str | None:
    """Why the backend does not take the case; None when it does."""
    need = _out_of(row, case.compute)
    if need is not None:
        return need
    if "architectures" in row and case.spec.architecture not in row["architectures"]:
        return "only for some model classes"
    if "nope" in row and case.spec.mla is not None and case.spec.mla.qk_nope not in row["nope"]:
        return f"no head of {case.spec.mla.qk_nope} without rotation"
    if case.spec.mla is None:
        sizes = [size for size in _head_sizes(case.spec) if not _takes_head(row["heads"], size, case.compute)]
        if sizes:
            return f"no head size {sizes[0]}"
    if case.sinks and _out_of(row["sinks"], case.compute) is not None:
        return "no attention sinks on this GPU"
    if case.fp8 and _out_of(row["fp8"], case.compute) is not None:
        return "no FP8 cache on this GPU"
    return None


def _out_of(row: dict[str, Any], compute: Capability) -> str | None:
    if "majors" in row:
        wanted = " or ".join(f"{major}.x" for major in row["majors"]) or "none"
        return None if compute[0] in row["majors"] else f"for {wanted}"
    return None if compute >= capability(row["minimum"]) else f"from {row['minimum']} on"


def _head_sizes(spec: ModelSpec) -> list[int]:
    return sorted({group.k_dim for group in spec.layers} or {spec.head_dim})


def _takes_head(rule: Any, size: int, compute: Capability) -> bool:
    if isinstance(rule, list):
        return size in rule
    widest = rule["maximum"]
    if compute[0] in rule.get("wide_majors", ()):
        widest = rule["wide_maximum"]
    return size % int(rule["multiple"]) == 0 and size <= int(widest)


def _generation(row: dict[str, Any], compute: Capability) -> str:
    table = row.get("generation")
    return f"{table.get(str(compute[0]), table['other'])}, " if table else ""


def fp8_problem(
    version: str, spec: ModelSpec, device: str, compute: Capability, read_versions: Sequence[str]
) -> str | None:
    """Why vLLM cannot keep an FP8 KV cache for the model on that GPU; None when it can.

    `read_versions` are those that may be named in its place, oldest first.
    """
    if attention(version, spec, compute, "fp8").backend:
        return None
    if compute >= figures.lowest_capability("fp8_native") or attention(version, spec, compute, "auto").backend == "":
        return f"no attention of vLLM {version} keeps an FP8 KV cache for it: {_why(version, spec, compute)}"
    text = (
        f"an FP8 KV cache needs compute capability 8.0 (8.9 natively) with vLLM {version}, "
        f"{device} has {dotted(compute)}"
    )
    if compute >= _LOWEST_FLASHINFER:
        text += f" ({_why(version, spec, compute)})"
    last = _last_with_fp8(spec, compute, read_versions)
    return f"{text} (--engine-version {last} could)" if last else text


_LOWEST_FLASHINFER = (8, 0)  # where the GPU is not the reason, the model's head size is


def _why(version: str, spec: ModelSpec, compute: Capability) -> str:
    return attention(version, spec, compute, "fp8").reason


def _last_with_fp8(spec: ModelSpec, compute: Capability, read_versions: Sequence[str]) -> str | None:
    """Newest version whose attention keeps an FP8 cache, among those at a border of the data."""
    for version in reversed(read_versions):
        if attention(version, spec, compute, "fp8").backend:
            return version
    return None
