"""vLLM: the engine, and its versions as data: memory regimes, gates and the flag table.

No other module compares versions; it asks for a regime, a gate or a flag. The memory model reads terms from here, which
stand in for the other engines' own.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.tables import load_data
from llm_serving_planner.base.units import GIB, MIB
from llm_serving_planner.engines import attention, figures, format_support, parsers, start_rules, versions
from llm_serving_planner.engines.attention import Attention
from llm_serving_planner.engines.base import NOTHING, Engine, Start
from llm_serving_planner.engines.format_support import Support
from llm_serving_planner.engines.regime import BatchTier, CacheRules, Regime
from llm_serving_planner.engines.versions import parse_version
from llm_serving_planner.hardware.compute_capability import Capability, capability, dotted
from llm_serving_planner.models.architectures import ARCHITECTURES
from llm_serving_planner.models.spec import ModelSpec

facts = figures.facts


@cache
def _flag_table() -> dict[str, Any]:
    return load_data("vllm_flags.json")


@cache
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


@cache
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


@cache
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
        non_torch_bytes=chosen.get("non_torch_mib", 0) * MIB,
        mxfp4_layer_bytes=chosen.get("mxfp4_layer_kib", 0) * 1024,
        mxfp4_expert_bytes=chosen.get("mxfp4_expert_kib", 0) * 1024,
        batches=batches(version),
        cache=cache_rules(version),
    )


@cache
def cache_rules(version: str) -> CacheRules:
    """How a version keeps what windows and recurrent states cache."""
    entry = versions.entry_for(facts()["cache_rules"], version) or facts()["cache_rules"][0]
    return CacheRules(
        batches_ahead=entry["batches_ahead"],
        state_pages=entry["state_pages"],
        checkpoint_kinds=tuple(entry.get("checkpoint_kinds", ())),
        states_bound_sequences=entry.get("states_bound_sequences", False),
    )


@cache
def batches(version: str) -> tuple[BatchTier, ...]:
    """Batches that the API server of a version starts from where none is set, by the GPU's memory."""
    entry = versions.entry_for(facts()["batches"], version) or facts()["batches"][0]
    return tuple(
        BatchTier(
            tokens=tier["tokens"],
            sequences=tier["sequences"],
            least_bytes=tier.get("least_gib", 0) * GIB,
            unless_name=tier.get("unless_name", ""),
            unless_capability=capability(tier["unless_capability"]) if "unless_capability" in tier else None,
        )
        for tier in entry["tiers"]
    )


@cache
def term_bytes(name: str) -> int:
    """A term of data/engines.json given in MiB, in bytes."""
    return int(facts()["terms"][f"{name}_mib"]["value"]) * MIB


@cache
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


class Vllm(Engine):
    """vLLM on whatever device."""

    name = "vllm"
    label = "vLLM"
    pipeline = True
    data_parallel = True
    expert_parallel = True
    generates_only = False
    names_model = True
    whole_checkpoint = ""
    lacks = NOTHING
    version_lines = (
        r"vLLM API server version v?(\d+\.\d+[\w.+]*)",
        r"engine \(v?(\d+\.\d+[\w.+]*)\) with config",
        r"[█▄▀\s]version (\d+\.\d+[\w.+]*)\s*$",
    )
    log_marks = r"(?:worker|model_runner|kv_cache_utils|core|api_server|executor\w*)\.py:\d+\]|/vllm/"

    def check_version(self, wanted: str | None) -> str:
        """Inside the range that the data cover."""
        return check_version(wanted or default_version())

    def image(self, version: str) -> dict[str, str]:
        """The OpenAI server's."""
        stock = facts()["image"]
        return {"registry": stock["registry"], "repository": stock["repository"], "tag": f"v{version}"}

    def regime(self, version: str, spec: ModelSpec) -> Regime:
        """By version and model runner."""
        return regime(version, spec.architecture, moe=spec.moe is not None, hybrid=spec.hybrid)

    def args(self, start: Start) -> dict[str, Any]:
        """Flags of `vllm serve`."""
        args: dict[str, Any] = {
            "dtype": start.dtype,
            **({} if start.own_context else {"max-model-len": start.max_model_len}),
            "max-num-seqs": start.max_num_seqs,
            "max-num-batched-tokens": start.max_num_batched_tokens,
            "gpu-memory-utilization": start.utilization,
            "kv-cache-dtype": start.kv_cache_dtype,
        }
        if start.quantization:
            args["quantization"] = start.quantization
        args |= dict.fromkeys(start.flags, True) | dict(start.features)
        if start.enforce_eager:
            args["enforce-eager"] = True
        if at_least(start.version, "disable-access-log-for-endpoints"):
            args["disable-access-log-for-endpoints"] = "/health,/metrics,/ping"
        if start.nodes > 1 and flag_problem("distributed-timeout-seconds", start.version) is None:
            args["distributed-timeout-seconds"] = start.startup_budget
        return args

    def attention(
        self, version: str, spec: ModelSpec, compute: Capability, kv_cache_dtype: str, *, tensor_parallel_size: int = 1
    ) -> Attention:
        """The first backend of the version's order that takes the model."""
        return attention.attention(version, spec, compute, kv_cache_dtype, tensor_parallel_size=tensor_parallel_size)

    def image_reasons(self, version: str, spec: ModelSpec, device: str, compute: Capability) -> list[str]:
        """Whether the image holds code for the GPU at all."""
        gate = "turing" if at_least(version, "volta-dropped") else "volta"
        if compute >= figures.lowest_capability(gate):
            return []
        return [
            f"vLLM {version} needs compute capability {dotted(figures.lowest_capability(gate))}, "
            f"{device} has {dotted(compute)} (vLLM 0.19.1 was the last for 7.0)"
        ]

    def dropped_reasons(self, spec: ModelSpec, version: str) -> list[str]:
        """Classes of older versions."""
        until = ARCHITECTURES[spec.architecture].until
        if until is None or versions.not_after(version, until):
            return []
        older = versions.not_after(facts()["oldest"], until)
        way = f": --engine-version {until}" if older else ", which is older than what is planned here"
        return [f"vLLM {version} no longer serves {spec.architecture}; {until} was the last that did{way}"]

    def cache_reasons(self, version: str, spec: ModelSpec, device: str, compute: Capability) -> list[str]:
        """No backend takes such a cache."""
        problem = attention.fp8_problem(version, spec, device, compute, facts()["read_versions"])
        return [] if problem is None else [problem]

    def cache_type_reasons(
        self, kind: str, version: str, spec: ModelSpec, device: str, compute: Capability
    ) -> list[str]:
        """By the table of types."""
        entry, found = figures.cache_types()[kind], []
        if not versions.not_after(entry["from"], version):
            found.append(f"--kv-cache-dtype {kind} came with vLLM {entry['from']}")
        least = entry.get("capability")
        if least and compute < capability(least):
            found.append(f"--kv-cache-dtype {kind} needs compute capability {least}, {device} has {dotted(compute)}")
        if spec.mla is not None:
            found.append(f"--kv-cache-dtype {kind} is not kept for multi-head latent attention: fp8")
        return found

    def takes_declared_cache(self, version: str) -> bool:
        """From the gate on."""
        return at_least(version, "declared-cache")

    def support(self, kind: str, version: str, compute: Capability, *, bits: int | None = None) -> Support:
        """By version."""
        return format_support.support(kind, version, compute, bits=bits)

    def flag_problem(self, flag: str, version: str) -> str | None:
        """By the flag table."""
        return flag_problem(flag, version)

    def start_problems(
        self, version: str, facts: Mapping[str, Any], environment: Mapping[str, Any] | None = None
    ) -> list[str]:
        """By the table of its checks."""
        return start_rules.broken(version, facts, environment)

    def drains(self, version: str) -> bool:
        """From the gate on."""
        return at_least(version, "shutdown-timeout")

    def has_ray(self, version: str) -> bool:
        """Up to the gate."""
        return ray_in_image(version)

    def driver_notes(self, version: str) -> list[str]:
        """CUDA 13 images."""
        if not at_least(version, "driver-580"):
            return []
        return [f"vLLM {version} images hold CUDA 13: NVIDIA driver 580 or newer on the node"]

    def driver_floor(self, version: str) -> dict[str, Any] | None:
        """By the image's CUDA."""
        return versions.entry_for(facts()["driver_floors"], version or default_version())

    def older_versions(self) -> tuple[str, ...]:
        """Those that were read."""
        return tuple(reversed(facts()["read_versions"]))

    def tool_offer(self, spec: ModelSpec) -> str:
        """By the model's family."""
        return parsers.offer(spec)
