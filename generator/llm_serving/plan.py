"""The planner: ModelSpec x GpuProfile x Options -> Plan, or DoesNotFitError with every reason.

Pure: no I/O beyond the package's own data. The choice of settings goes from what a user would like most (the model's
whole context, the engine's usual batch) down to what the memory allows.
"""

import re
from dataclasses import asdict, dataclass, replace
from typing import Any

from llm_serving import accelerators, cpu, data_parallel, engine_types, engines, memory, remarks, rules
from llm_serving.attention import Attention, attention
from llm_serving.deployment import Deployment, choose_deployment
from llm_serving.engines import GIB, Regime
from llm_serving.errors import DoesNotFitError
from llm_serving.kernels import compiles_at_start
from llm_serving.layout import Layout, choose_layout
from llm_serving.memory import Estimate, Gpu, Settings
from llm_serving.model import ModelSpec
from llm_serving.option_rules import check_options
from llm_serving.options import Options
from llm_serving.profiles import GpuProfile
from llm_serving.resources import Resources, plan_resources
from llm_serving.search import Search, Verdict, context_of
from llm_serving.use import plan as using
from llm_serving.use import speculative
from llm_serving.use.plan import NO_USE, Use

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
    layout: Layout
    deployment: Deployment
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
    use: Use = NO_USE

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
        """How many requests of `tokens` tokens fit into the cache at once; max-num-seqs where nothing is cached."""
        stage = memory.stage_spec(self.spec, self.layout.pipeline)
        one = memory.kv_request_bytes(stage, self.settings, tokens)
        return max(self.estimate.kv_cache, 0) / one if one else float(self.settings.max_num_seqs)

    @property
    def engine_name(self) -> str:
        """Engine and version as people write them."""
        return f"{engine_types.label(self.options.engine)} {self.engine_version}"

    def to_dict(self) -> dict[str, Any]:
        """Stable JSON form; bytes as integers."""
        data: dict[str, Any] = {
            "model": self.spec.to_dict(),
            "profile": self.profile.name,
            "gpu": self.profile.gpu.id,
            "engine": {"type": self.options.engine, "version": self.engine_version},
            "verdict": self.verdict,
            "dtype": self.dtype,
            "quantization": self.quantization,
            "kv_cache_dtype": self.kv_cache_dtype,
            "attention": self.attention,
            "attention_reason": self.attention_reason,
            "context_limit": self.context_limit,
            "layout": {
                "tensor": self.layout.tensor,
                "pipeline": self.layout.pipeline,
                "data": self.layout.data,
                "expert": self.layout.expert,
                "nodes": self.layout.nodes,
                "gpus_per_node": self.layout.gpus_per_node,
                "controller": self.deployment.controller,
                "executor": self.deployment.executor,
            },
            "settings": {name: value for name, value in asdict(self.settings).items() if name not in {"lora", "draft"}},
            "use": using.to_dict(self.use),
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
    """Plan one engine on the profile.

    Raises:
        InputError: an option is malformed, whatever the model.
        DoesNotFitError: physics or the engine forbid it; all reasons at once (no ways out: see `ways_out`).
    """
    options = options or Options()
    check_options(options)
    full, spec = spec, spec.text_only() if options.language_model_only else spec
    version, gpu, regime = _target(spec, profile, options)
    choice, reasons = _choice(spec, profile, options, version, gpu.capability)
    reasons += _text_only_reasons(full, options, version)
    layout = choose_layout(spec, profile, options)
    reasons += layout.reasons
    use = using.plan_use(spec, options, version, layout.tensor, layout.pipeline)
    reasons += [*use.reasons, *using.flag_reasons(use, version)]
    spec = replace(spec, max_position=speculative.context(use.draft, spec) or spec.max_position)
    deployment = choose_deployment(layout, options, version)
    reasons += (*deployment.reasons, *data_parallel.reasons(layout, spec, options))
    reasons += _context_reasons(spec, options)
    if accelerators.is_other(profile):
        reasons += accelerators.layout_reasons(layout, profile.gpu)
    stage = memory.stage_spec(spec, min(layout.pipeline, spec.num_layers))
    settings, verdict, memory_reasons, search_rejected = Search(
        stage, gpu, regime, options, layout, choice.kv_cache_dtype, choice.quantization, use
    ).run()
    reasons += using.batch_reasons(use, settings)
    reasons += memory_reasons
    estimate = memory.estimate(stage, gpu, settings, regime)
    deep_gemm = compiles_at_start(spec, gpu.capability, regime)
    resources = _resources(spec, profile, options, layout, use, settings, estimate, deep_gemm=deep_gemm)
    reasons += _node_reasons(profile, resources)
    kernels = _attention(spec, profile, options, version, choice, layout)
    if not kernels.backend and choice.kv_cache_dtype != "fp8":
        reasons.append(f"vLLM {version} has no attention for it on {profile.gpu.device_name}: {kernels.reason}")
    if reasons:
        name = f"{engine_types.label(options.engine)} {version}"
        raise DoesNotFitError(f"{spec.model_id} does not run on {profile.name} with {name}", tuple(reasons), ())
    if cpu.is_cpu(profile):
        estimate = cpu.capped(estimate)
    limit = "model" if settings.max_model_len == context_of(spec) else "memory"
    plan = Plan(
        spec=spec,
        profile=profile,
        options=options,
        engine_version=version,
        dtype=choice.dtype,
        quantization=choice.quantization,
        flags=choice.flags + (("language-model-only",) if options.language_model_only else ()),
        kv_cache_dtype=choice.kv_cache_dtype,
        layout=layout,
        deployment=deployment,
        settings=settings,
        estimate=estimate,
        resources=resources,
        verdict=verdict,
        context_limit="user" if options.max_model_len else limit,
        attention=kernels.backend,
        attention_reason=kernels.reason,
        assumptions=(
            *remarks.assumptions(full, profile, options, regime, version),
            *data_parallel.assumptions(layout, spec),
            *use.assumptions,
        ),
        warnings=choice.notes + use.notes + remarks.warnings(estimate, settings, options, version, profile, layout),
        rejected=(*layout.rejected, *search_rejected),
        use=use,
    )
    proposal = data_parallel.proposal(plan)
    return replace(plan, rejected=(*plan.rejected, proposal)) if proposal else plan


def _target(spec: ModelSpec, profile: GpuProfile, options: Options) -> tuple[str, Gpu, Regime]:
    """Version of the engine, the GPU that it meets, and how this version uses memory there."""
    nvlink = profile.link in {"nvlink", "nvswitch"}
    compute = rules.capability(profile.gpu.compute_capability or "0")
    gpu = Gpu(int(profile.gpu.memory_usable_gib * GIB), compute, nvlink=nvlink, vendor=profile.gpu.vendor)
    if accelerators.is_other(profile):
        version = accelerators.version(profile.gpu, options)
        return version, gpu, accelerators.regime(engine_types.regime(options.engine, version, spec), profile.gpu)
    version = engine_types.check_version(options.engine, options.engine_version)
    regime = engine_types.regime(options.engine, version, spec)
    return version, gpu, replace(regime, graphs=False) if cpu.is_cpu(profile) else regime


def _resources(
    spec: ModelSpec,
    profile: GpuProfile,
    options: Options,
    layout: Layout,
    use: Use,
    settings: Settings,
    estimate: Estimate,
    *,
    deep_gemm: bool,
) -> Resources:
    """What a pod asks its node for, and how long it may take to start."""
    resources = plan_resources(
        spec,
        layout.gpus_per_node,
        enforce_eager=settings.enforce_eager,
        download_gbps=options.download_gbps,
        nodes=layout.nodes,
        offload=use.kv_offload,
        host=use.host,
        files=use.files,
        engines_per_pod=layout.engines_per_pod,
        deep_gemm=deep_gemm,
    )
    return cpu.pod(resources, estimate, layout.gpus_per_node) if cpu.is_cpu(profile) else resources


def _choice(
    spec: ModelSpec, profile: GpuProfile, options: Options, version: str, compute: rules.Capability
) -> tuple[rules.Choice, list[str]]:
    """Data types, and what the engine forbids for the model on such GPUs."""
    device = profile.gpu.device_name
    if cpu.is_cpu(profile):
        choice = cpu.choose_types(spec, options)
        return choice, [*rules.architecture_reasons(spec, version), *choice.reasons]
    if accelerators.is_other(profile):
        choice = accelerators.choose_types(spec, options, profile.gpu)
        against = accelerators.engine_reasons(profile.gpu, options, version)
        against += rules.architecture_reasons(spec, version) if options.engine == "vllm" else []
        return choice, [*against, *choice.reasons]
    reasons = engine_types.reasons(options.engine, spec, device, compute)
    if options.engine == "vllm":
        reasons = rules.engine_reasons(version, device, compute) + rules.architecture_reasons(spec, version)
    choice = rules.choose_types(spec, options, version, device, compute)
    return choice, [*reasons, *choice.reasons]


def _attention(
    spec: ModelSpec, profile: GpuProfile, options: Options, version: str, choice: rules.Choice, layout: Layout
) -> Attention:
    if cpu.is_cpu(profile):
        return cpu.ATTENTION
    if accelerators.is_other(profile):
        return accelerators.attention(spec, profile.gpu, options)
    compute = rules.capability(profile.gpu.compute_capability)
    size = layout.tensor if not layout.reasons else 1
    return attention(options.engine, version, spec, compute, choice.kv_cache_dtype, tensor_parallel=size)


def _context_reasons(spec: ModelSpec, options: Options) -> list[str]:
    limit = context_of(spec)
    if options.max_model_len is not None and options.max_model_len > limit:
        return [f"max model len {options.max_model_len:,} is above the {limit:,} tokens that the model was made for"]
    return []


def _text_only_reasons(spec: ModelSpec, options: Options, version: str) -> list[str]:
    """Why the encoders cannot be left out."""
    if not options.language_model_only:
        return []
    if options.engine != "vllm":
        return [f"--language-model-only is vLLM's: {engine_types.label(options.engine)} loads a checkpoint whole"]
    if not spec.multimodal:
        return [f"--language-model-only: {spec.short_name} has no encoder to leave out"]
    problem = engines.flag_problem("language-model-only", version)
    return [f"vLLM {version}: {problem}"] if problem else []


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
