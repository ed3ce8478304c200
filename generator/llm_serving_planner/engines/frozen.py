"""What the engines beside vLLM are: frozen versions, their memory rules, models and flags, all from data.

vLLM has many versions and is described in data/engines.json; TGI and TGIS have one each (data/engine_types.json, with
sources) and a table of their launchers' flags (data/launcher_flags.json).
"""

from functools import cache
from typing import Any

from llm_serving_planner.base import tables
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.units import MIB
from llm_serving_planner.engines import vllm
from llm_serving_planner.engines.regime import Regime
from llm_serving_planner.hardware.compute_capability import Capability, capability, dotted
from llm_serving_planner.models.spec import ModelSpec

ENGINE_TYPES = ("vllm", "tgi", "tgis")


@cache
def _data() -> dict[str, Any]:
    return tables.load_data("engine_types.json")


@cache
def _launchers() -> dict[str, Any]:
    return tables.load_data("launcher_flags.json")


def facts(engine_type: str) -> dict[str, Any]:
    """The entry of data/engine_types.json."""
    found: dict[str, Any] = _data()[engine_type]
    return found


def label(engine_type: str) -> str:
    """The engine's name as people write it."""
    return str(facts(engine_type)["label"])


def check_version(engine_type: str, wanted: str | None) -> str:
    """The version to plan for.

    Raises:
        InputError: vLLM outside the known range; another version of a frozen engine.
    """
    if engine_type == "vllm":
        return vllm.check_version(wanted or vllm.default_version())
    only = str(facts(engine_type)["version"])
    if wanted not in {None, only}:
        raise InputError(
            f"{label(engine_type)} {wanted} is not known: {only} is the last and the only one",
            hint="leave --engine-version away",
        )
    return only


def image(engine_type: str, version: str) -> dict[str, str]:
    """Registry, repository and tag of the engine's stock image."""
    if engine_type == "vllm":
        stock = vllm.facts()["image"]
        return {"registry": stock["registry"], "repository": stock["repository"], "tag": f"v{version}"}
    return dict(facts(engine_type)["image"])


def regime(engine_type: str, version: str, spec: ModelSpec) -> Regime:
    """How the engine divides GPU memory."""
    if engine_type == "vllm":
        return vllm.regime(version, spec.architecture, moe=spec.moe is not None, hybrid=spec.hybrid)
    entry = facts(engine_type)["regime"]
    return Regime(
        default_utilization=entry["default_utilization"],
        sampler_bytes=entry["sampler_bytes"],
        sampler_constant_bytes=entry["sampler_constant_mib"] * MIB,
        moe_workspace=entry["moe_workspace"],
        graphs_charged=entry["graphs_charged"],
        compile_buffer_bytes=entry["compile_buffer_mib"] * MIB,
        measured=False,
        source=entry["source"],
        hold_back=entry["hold_back"],
        whole_prompt=entry["whole_prompt"],
        graphs=entry["graphs"],
    )


def batch(engine_type: str) -> tuple[int, int] | None:
    """(tokens of a prefill, requests at once) that the engine starts from; None where the GPU decides (vLLM)."""
    if engine_type == "vllm":
        return None
    entry = facts(engine_type)["batch"]
    return entry["tokens"], entry["sequences"]


def reasons(engine_type: str, spec: ModelSpec, device: str, compute: Capability) -> list[str]:
    """What the engine itself forbids for the model and the GPU (vLLM's own rules are in rules.py)."""
    if engine_type == "vllm":
        return []
    entry, name = facts(engine_type), label(engine_type)
    found = []
    floor = entry["capability"]
    if compute < capability(floor["value"]):
        found.append(
            f"{name} needs compute capability {floor['value']}, {device} has {dotted(compute)}: {floor['reason']}"
        )
    if spec.architecture not in entry["architectures"]["names"]:
        found.append(f"{name} has no sharded class for {spec.architecture} (engine vllm serves it)")
    return found


def shard_reasons(engine_type: str, spec: ModelSpec, size: int) -> list[str]:
    """Divisibility that vLLM does not ask for: TGI and TGIS do not replicate KV heads."""
    if engine_type == "vllm" or size == 1 or spec.mla is not None or spec.num_kv_heads == 1:
        return []
    if spec.num_kv_heads % size:
        return [
            f"{spec.num_kv_heads} KV heads do not divide by {size} shards, and {label(engine_type)} replicates none"
        ]
    return []


def flag_problem(engine_type: str, flag: str, version: str) -> str | None:
    """Why the engine cannot be given `flag` (without dashes); None when it can."""
    if engine_type == "vllm":
        return vllm.flag_problem(flag, version)
    entry = _launchers()[engine_type]
    known = set(entry["flags"]) | {name.lower().replace("_", "-") for name in entry["variables"]}
    return None if flag in known else f"{label(engine_type)} {version} has no flag --{flag}"
