"""Engine versions as data: memory regimes, gates and the flag table of vLLM.

No other module compares versions; it asks for a regime, a gate or a flag.
"""

from functools import cache
from typing import Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.tables import load_data
from llm_serving_planner.base.units import MIB
from llm_serving_planner.engines.regime import Regime
from llm_serving_planner.engines.versions import parse_version
from llm_serving_planner.hardware.compute_capability import Capability, capability


@cache
def facts() -> dict[str, Any]:
    """data/engines.json."""
    return load_data("engines.json")


@cache
def lowest_capability(name: str) -> Capability:
    """Lowest compute capability with what `name` says (`capabilities` of data/engines.json)."""
    return capability(facts()["capabilities"][name]["value"])


@cache
def _flag_table() -> dict[str, Any]:
    return load_data("vllm_flags.json")


def check_version(text: str) -> str:
    """The version in its plain form, when its flags and memory rules are known.

    Raises:
        InputError: malformed, or outside the range that the data cover.
    """
    version = parse_version(text)
    oldest, newest = facts()["oldest"], facts()["newest"]
    if not parse_version(oldest) <= version <= parse_version(newest):
        raise InputError(
            f"vLLM {text} is outside the versions whose flags and memory rules are known ({oldest} to {newest})",
            hint=f"leave --engine-version away to get {facts()['default']}",
        )
    return text.removeprefix("v")


def default_version() -> str:
    """The version that the chart pins."""
    return str(facts()["default"])


def at_least(version: str, gate: str) -> bool:
    """True when `version` is at or past the gate named in data/engines.json."""
    return parse_version(version) >= parse_version(since(gate))


def since(gate: str) -> str:
    """First version past the gate named in data/engines.json."""
    for entry in facts()["gates"]:
        if entry["name"] == gate:
            return str(entry["from"])
    raise KeyError(gate)


def ray_in_image(version: str) -> bool:
    """Whether the stock image of that version holds Ray."""
    return not at_least(version, "ray-dropped")


def regime(version: str, architecture: str, *, moe: bool, hybrid: bool) -> Regime:
    """Memory regime of a version for a model class.

    From 0.25.0 on vLLM has two model runners that charge differently (vllm/config/vllm.py:
    use_v2_model_runner): dense models and the listed classes use the second, from 0.31.0 on all do. Fields that end
    in `_v2` are the second one's.
    """
    chosen: dict[str, Any] = {}
    for entry in facts()["regimes"]:
        if parse_version(version) >= parse_version(entry["from"]):
            chosen = entry
    named = architecture in chosen.get("v2_classes", ())
    second = chosen.get("v2_all", False) or ("v2_classes" in chosen and (named or (not moe and not hybrid)))

    def of_runner(name: str, default: Any = None) -> Any:
        return chosen[f"{name}_v2"] if second and f"{name}_v2" in chosen else chosen.get(name, default)

    return Regime(
        default_utilization=chosen["default_utilization"],
        sampler_bytes=of_runner("sampler_bytes"),
        sampler_constant_bytes=chosen["sampler_constant_mib"] * MIB,
        moe_workspace=chosen["moe_workspace"],
        graphs_charged=of_runner("graphs_charged"),
        compile_buffer_bytes=chosen["compile_buffer_mib"] * MIB,
        measured=chosen["measured"],
        source=chosen["source"],
        sampler_buffer=of_runner("sampler_buffer", default=False),
        whole_blocks=chosen.get("whole_blocks", False),
        stale_scales=chosen.get("stale_scales", False),
        mxfp4_tile=chosen.get("mxfp4_tile", 32),
        deep_gemm=chosen.get("deep_gemm", False),
        penalties=of_runner("penalties", default=""),
        context_bytes=chosen.get("context_mib", 0) * MIB,
        graph_each_bytes=chosen.get("graph_each_kib", 0) * 1024,
        graph_width_bytes=chosen.get("graph_width_kib", 0) * 1024,
        tuning_copy=chosen.get("tuning_copy", False),
    )


def term_bytes(name: str) -> int:
    """A term of data/engines.json given in MiB, in bytes."""
    return int(facts()["terms"][f"{name}_mib"]["value"]) * MIB


def flag_problem(flag: str, version: str) -> str | None:
    """Why `flag` (without dashes) cannot be given to this version; None when it can.

    A flag of a release between two compared ones counts as present only when the earlier one had it.
    """
    name = flag.removeprefix("no-") if flag.removeprefix("no-") in _flag_table()["flags"] else flag
    entry = _flag_table()["flags"].get(name)
    if entry is None:
        return f"vLLM has no flag --{flag}"
    if "until" in entry and parse_version(version) > parse_version(entry["until"]):
        return f"--{flag} was removed after vLLM {entry['until']}"
    if entry["from"] is not None and parse_version(version) < parse_version(entry["from"]):
        return f"--{flag} came with vLLM {entry['from']}"
    return None
