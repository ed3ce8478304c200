"""The planner: ModelSpec x GpuProfile x Options -> Plan, or DoesNotFitError with every reason.

Pure: no I/O beyond the package's own data. One node for now; the choice of settings goes from what a user would
like most (the model's whole context, the engine's usual batch) down to what the memory allows.
"""

import re
from dataclasses import asdict, dataclass
from typing import Any

from llm_serving import engines, memory, rules
from llm_serving.attention import attention
from llm_serving.engines import GIB, Regime
from llm_serving.errors import DoesNotFitError, InputError
from llm_serving.memory import Estimate, Gpu, Settings
from llm_serving.model import ModelSpec
from llm_serving.options import DTYPES, KV_CACHE_DTYPES, STORAGE_TYPES, Options
from llm_serving.profiles import GpuProfile
from llm_serving.resources import DEFAULT_DOWNLOAD_GBPS, Resources, plan_resources
from llm_serving.search import FALLBACK_CONTEXT, Search, Verdict, context_of

_LONGEST_NAME = 40  # of a release, so that the profile and suffixes still fit 63 characters


@dataclass(frozen=True, slots=True)
class Plan:
    """A complete answer; everything that a user could ask "why?" about.

    Attributes:
        context_limit: what bounds max_model_len: "model", "memory" or "user".
        quantization: flag for the engine; None when the checkpoint says it itself.
        flags: other flags without which the engine refuses the checkpoint.
        assumptions: facts that a default stands in for.
        warnings: what may surprise, though it starts.
        attention: kernels that the engine picks by itself, and why.
        rejected: alternatives that were not taken, with the reason.
    """

    spec: ModelSpec
    profile: GpuProfile
    options: Options
    engine_version: str
    dtype: str
    quantization: str | None
    flags: tuple[str, ...]
    kv_cache_dtype: str
    settings: Settings
    estimate: Estimate
    resources: Resources
    verdict: Verdict
    context_limit: str
    attention: str
    attention_reason: str
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]
    rejected: tuple[str, ...]

    @property
    def served_name(self) -> str:
        """Name under which the API offers the model."""
        return self.options.served_name or self.spec.short_name.lower()

    @property
    def release_name(self) -> str:
        """Name for the release: as asked for, else the model's short name as a DNS label."""
        wanted = self.options.name or self.spec.short_name
        return re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")[:_LONGEST_NAME].strip("-")

    @property
    def file_stem(self) -> str:
        """`<name>-<profile>`, the name of the values file without its ending."""
        return f"{self.release_name}-{re.sub(r'[^a-z0-9.]+', '-', self.profile.name.lower()).strip('-')}"

    @property
    def cache_tokens(self) -> int:
        """Tokens that the cache holds, as requests of max_model_len tokens."""
        return int(self.estimate.concurrency * self.settings.max_model_len)

    def requests_of(self, tokens: int) -> float:
        """How many requests of `tokens` tokens fit into the cache at once."""
        return max(self.estimate.kv_cache, 0) / memory.kv_request_bytes(self.spec, self.settings, tokens)

    def to_dict(self) -> dict[str, Any]:
        """Stable JSON form; bytes as integers."""
        data: dict[str, Any] = {
            "model": self.spec.to_dict(),
            "profile": self.profile.name,
            "gpu": self.profile.gpu.id,
            "engine": {"type": "vllm", "version": self.engine_version},
            "verdict": self.verdict,
            "dtype": self.dtype,
            "quantization": self.quantization,
            "kv_cache_dtype": self.kv_cache_dtype,
            "attention": self.attention,
            "attention_reason": self.attention_reason,
            "context_limit": self.context_limit,
            "settings": asdict(self.settings),
            "estimate": asdict(self.estimate),
            "cache_tokens": self.cache_tokens,
            "concurrency": round(self.estimate.concurrency, 2),
            "resources": asdict(self.resources),
            "pinned": self.options.pinned(),
        }
        for key in ("assumptions", "warnings", "rejected"):
            data[key] = list(getattr(self, key))
        return data


def make_plan(spec: ModelSpec, profile: GpuProfile, options: Options | None = None) -> Plan:
    """Plan one engine on one node of the profile.

    Raises:
        InputError: an option is malformed, whatever the model.
        DoesNotFitError: physics or the engine forbid it; all reasons at once (no ways out: see `ways_out`).
    """
    options = options or Options()
    check_options(options)
    version = engines.check_version(options.engine_version or engines.default_version())
    compute = rules.capability(profile.gpu.compute_capability)
    reasons = rules.engine_reasons(version, profile.gpu.device_name, compute)
    if profile.nodes > 1:
        reasons.append(f"{profile.name} has {profile.nodes} nodes; this version plans engines of one node")
    choice = rules.choose_types(spec, options, version, profile.gpu.device_name, compute)
    reasons += choice.reasons
    size, size_reasons, rejected = _tensor_parallel(spec, profile, options)
    reasons += size_reasons
    reasons += _context_reasons(spec, options)
    gpu = Gpu(int(profile.gpu.memory_usable_gib * GIB), compute, nvlink=profile.link in {"nvlink", "nvswitch"})
    regime = engines.regime(version, spec.architecture, moe=spec.moe is not None, hybrid=spec.hybrid)
    search = Search(spec, gpu, regime, options, size, choice.kv_cache_dtype, choice.quantization)
    settings, verdict, memory_reasons, search_rejected = search.run()
    reasons += memory_reasons
    resources = plan_resources(spec, size, enforce_eager=settings.enforce_eager, download_gbps=options.download_gbps)
    reasons += _node_reasons(profile, resources)
    chosen = attention(
        "vllm", version, spec, compute, choice.kv_cache_dtype, tensor_parallel=size if not size_reasons else 1
    )
    if not chosen.backend and choice.kv_cache_dtype != "fp8":
        reasons.append(f"vLLM {version} has no attention for it on {profile.gpu.device_name}: {chosen.reason}")
    if reasons:
        raise DoesNotFitError(f"{spec.model_id} does not run on {profile.name} with vLLM {version}", tuple(reasons), ())
    estimate = memory.estimate(spec, gpu, settings, regime)
    limit = "user" if options.max_model_len else (
        "model" if settings.max_model_len == context_of(spec) else "memory"
    )  # fmt: skip
    return Plan(
        spec=spec,
        profile=profile,
        options=options,
        engine_version=version,
        dtype=choice.dtype,
        quantization=choice.quantization,
        flags=choice.flags,
        kv_cache_dtype=choice.kv_cache_dtype,
        settings=settings,
        estimate=estimate,
        resources=resources,
        verdict=verdict,
        context_limit=limit,
        attention=chosen.backend,
        attention_reason=chosen.reason,
        assumptions=_assumptions(spec, profile, options, regime, version),
        warnings=choice.notes + _warnings(estimate, settings, options, version, profile),
        rejected=tuple(rejected + search_rejected),
    )


def check_options(options: Options) -> None:
    """Refuse what is malformed on its own.

    Raises:
        InputError: one line for the first such option.
    """
    positive = ("max_model_len", "tensor_parallel_size", "max_num_seqs", "max_num_batched_tokens", "replicas")
    for name in positive:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise InputError(f"--{name.replace('_', '-')} is {value}: a positive whole number is expected")
    for name, allowed in (("dtype", DTYPES), ("kv_cache_dtype", KV_CACHE_DTYPES), ("storage", STORAGE_TYPES)):
        value = getattr(options, name)
        if value is not None and value not in allowed:
            raise InputError(f"--{name.replace('_', '-')} is {value!r}: one of {', '.join(allowed)} is expected")
    share = options.gpu_memory_utilization
    if share is not None and not 0 < share <= 1:
        raise InputError(f"--gpu-memory-utilization is {share}: a fraction above 0, at most 1, is expected")
    if options.download_gbps is not None and options.download_gbps <= 0:
        raise InputError(f"--download-gbps is {options.download_gbps}: a positive rate is expected")
    if options.storage in {"existingClaim", "hostPath"} and not options.storage_name:
        what = "the claim's name" if options.storage == "existingClaim" else "an absolute path"
        raise InputError(f"--storage {options.storage} needs --storage-name: {what}")
    if options.dtype == "float32":
        raise InputError("--dtype float32 doubles every term and is not sized; float16 or bfloat16 are")


def _tensor_parallel(spec: ModelSpec, profile: GpuProfile, options: Options) -> tuple[int, list[str], list[str]]:
    """(size, reasons against it, alternatives that were not taken)."""
    available, wanted = profile.gpus_per_node, options.tensor_parallel_size
    if wanted is not None:
        reasons = rules.tensor_parallel_reasons(spec, wanted)
        if wanted > available:
            reasons.append(f"tensor parallel size {wanted} needs {wanted} GPUs, {profile.name} has {available}")
        return wanted, reasons, []
    valid = rules.valid_tensor_parallel(spec, available)
    if available in valid or profile.exact_count:
        return available, rules.tensor_parallel_reasons(spec, available), []
    best = max(valid)
    why = "; ".join(rules.tensor_parallel_reasons(spec, available))
    return best, [], [f"tensor parallel size {available}: {why}; {best} of {available} GPUs are used"]


def _context_reasons(spec: ModelSpec, options: Options) -> list[str]:
    limit = context_of(spec)
    if options.max_model_len is not None and options.max_model_len > limit:
        return [f"max model len {options.max_model_len:,} is above the {limit:,} tokens that the model was made for"]
    return []


def _node_reasons(profile: GpuProfile, resources: Resources) -> list[str]:
    reasons = []
    if profile.node_memory_mib is not None and resources.memory_request > profile.node_memory_mib * 1024**2:
        reasons.append(
            f"the pod asks for {resources.memory_request // GIB} GiB of host memory, a node of {profile.name} "
            f"offers {profile.node_memory_mib / 1024:.1f}"
        )
    if profile.node_cpu_m is not None and resources.cpu_request * 1000 > profile.node_cpu_m:
        reasons.append(
            f"the pod asks for {resources.cpu_request} CPU cores, a node of {profile.name} offers "
            f"{profile.node_cpu_m / 1000:.1f}"
        )
    return reasons


def _assumptions(
    spec: ModelSpec, profile: GpuProfile, options: Options, regime: Regime, version: str
) -> tuple[str, ...]:
    found = []
    if options.download_gbps is None:
        found.append(f"download at {DEFAULT_DOWNLOAD_GBPS:g} Gbit/s")
    if not regime.measured:
        found.append(f"no start-up of vLLM {version} was measured: terms are upper bounds")
    if spec.weights.assumed:
        found.append(f"size of the weights is an estimate ({spec.weights.basis})")
    if spec.max_position is None:
        found.append(f"config.json names no longest context: {FALLBACK_CONTEXT} as in vLLM")
    if spec.gated is None:
        found.append("whether the model is gated is not known: no token is demanded")
    if spec.revision is None and spec.source == "catalogue" and options.revision is None:
        found.append("commit of the checkpoint is not known offline: the newest is served")
    if profile.node_memory_mib is None:
        found.append("host memory and CPU of the node are not known: requests are not checked against it")
    return (*found, *spec.notes)


def _warnings(
    estimate: Estimate, settings: Settings, options: Options, version: str, profile: GpuProfile
) -> tuple[str, ...]:
    found = []
    size = settings.tensor_parallel
    if settings.enforce_eager and not options.enforce_eager:
        found.append(
            "CUDA graphs are given up to make room for the cache: decoding is slower; --max-model-len chooses another "
            "balance"
        )
    if estimate.total - estimate.requested < estimate.outside:
        found.append(
            f"{(estimate.total - estimate.requested) / GIB:.2f} GiB stay outside the engine's share, "
            f"{estimate.outside / GIB:.2f} GiB are expected there: lower --gpu-memory-utilization"
        )
    if size < profile.gpus_per_node:
        found.append(f"{profile.gpus_per_node - size} of {profile.gpus_per_node} GPUs stay unused")
    if engines.at_least(version, "driver-580"):
        found.append(f"vLLM {version} images hold CUDA 13: NVIDIA driver 580 or newer on the node")
    if options.storage == "emptyDir":
        found.append("emptyDir: every new pod downloads the model again")
    return tuple(found)
