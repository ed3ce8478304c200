"""The planner: ModelSpec x GpuProfile x Options -> Plan, or DoesNotFitError with every reason.

Pure: no I/O beyond the package's own data. The choice of settings goes from what a user would like most (the model's
whole context, the engine's usual batch) down to what the memory allows.
"""

import re
from dataclasses import asdict, dataclass, replace
from typing import Any

from llm_serving import accelerators, cpu, data_parallel, engine_types, engines, memory, rules
from llm_serving.attention import Attention, attention
from llm_serving.deployment import Deployment, choose_deployment
from llm_serving.engines import GIB, Regime
from llm_serving.errors import DoesNotFitError, InputError
from llm_serving.kernels import compiles_at_start
from llm_serving.layout import Layout, choose_layout
from llm_serving.memory import Estimate, Gpu, Settings
from llm_serving.model import ModelSpec
from llm_serving.options import CONTROLLERS, DTYPES, EXECUTORS, KV_CACHE_DTYPES, STORAGE_TYPES, Options
from llm_serving.profiles import GpuProfile
from llm_serving.resources import DEFAULT_DOWNLOAD_GBPS, Resources, plan_resources
from llm_serving.search import FALLBACK_CONTEXT, Search, Verdict, context_of
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
    other = accelerators.is_other(profile)
    version = (
        accelerators.version(profile.gpu, options)
        if other
        else engine_types.check_version(options.engine, options.engine_version)
    )
    compute = rules.capability(profile.gpu.compute_capability or "0")
    full, spec = spec, spec.text_only() if options.language_model_only else spec
    choice, reasons = _choice(spec, profile, options, version, compute)
    reasons += _text_only_reasons(full, options, version)
    layout = choose_layout(spec, profile, options)
    reasons += layout.reasons
    use = using.plan_use(spec, options, version, layout.tensor, layout.pipeline)
    reasons += [*use.reasons, *using.flag_reasons(use, version)]
    spec = replace(spec, max_position=speculative.context(use.draft, spec) or spec.max_position)
    deployment = choose_deployment(layout, options, version)
    reasons += (*deployment.reasons, *data_parallel.reasons(layout, spec, options))
    reasons += _context_reasons(spec, options)
    nvlink = profile.link in {"nvlink", "nvswitch"}
    gpu = Gpu(int(profile.gpu.memory_usable_gib * GIB), compute, nvlink=nvlink, vendor=profile.gpu.vendor)
    regime = engine_types.regime(options.engine, version, spec)
    if other:
        reasons += accelerators.layout_reasons(layout, profile.gpu)
        regime = accelerators.regime(regime, profile.gpu)
    if cpu.is_cpu(profile):
        regime = replace(regime, graphs=False)
    stage = memory.stage_spec(spec, min(layout.pipeline, spec.num_layers))
    settings, verdict, memory_reasons, search_rejected = Search(
        stage, gpu, regime, options, layout, choice.kv_cache_dtype, choice.quantization, use
    ).run()
    reasons += using.batch_reasons(use, settings)
    reasons += memory_reasons
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
        deep_gemm=compiles_at_start(spec, compute, regime),
    )
    if cpu.is_cpu(profile):
        resources = cpu.pod(resources, memory.estimate(stage, gpu, settings, regime), layout.gpus_per_node)
    reasons += _node_reasons(profile, resources)
    kernels = _attention(spec, profile, options, version, choice, layout)
    if not kernels.backend and choice.kv_cache_dtype != "fp8":
        reasons.append(f"vLLM {version} has no attention for it on {profile.gpu.device_name}: {kernels.reason}")
    if reasons:
        name = f"{engine_types.label(options.engine)} {version}"
        raise DoesNotFitError(f"{spec.model_id} does not run on {profile.name} with {name}", tuple(reasons), ())
    estimate = memory.estimate(stage, gpu, settings, regime)
    if cpu.is_cpu(profile):
        estimate = cpu.capped(estimate)
    limit = "user" if options.max_model_len else (
        "model" if settings.max_model_len == context_of(spec) else "memory"
    )  # fmt: skip
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
        context_limit=limit,
        attention=kernels.backend,
        attention_reason=kernels.reason,
        assumptions=(
            *_assumptions(full, profile, options, regime, version),
            *data_parallel.assumptions(layout, spec),
            *use.assumptions,
        ),
        warnings=choice.notes + use.notes + _warnings(estimate, settings, options, version, profile, layout),
        rejected=(*layout.rejected, *search_rejected),
        use=use,
    )
    proposal = data_parallel.proposal(plan)
    return replace(plan, rejected=(*plan.rejected, proposal)) if proposal else plan


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


def check_options(options: Options) -> None:
    """Refuse what is malformed on its own.

    Raises:
        InputError: one line for the first such option.
    """
    positive = (
        "max_model_len", "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "max_num_seqs",
        "max_num_batched_tokens", "replicas",
    )  # fmt: skip
    for name in positive:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise InputError(f"--{name.replace('_', '-')} is {value}: a positive whole number is expected")
    choices = (
        ("engine", engine_types.ENGINE_TYPES), ("dtype", DTYPES), ("kv_cache_dtype", KV_CACHE_DTYPES),
        ("storage", STORAGE_TYPES), ("controller", CONTROLLERS), ("executor", EXECUTORS),
    )  # fmt: skip
    for name, allowed in choices:
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
    using.check(options)
    _check_engine_options(options)
    if options.dtype == "float32":
        raise InputError("--dtype float32 doubles every term and is not sized; float16 or bfloat16 are")


def _check_engine_options(options: Options) -> None:
    name = engine_types.label(options.engine)
    if options.engine != "vllm" and options.gpu_memory_utilization is not None:
        raise InputError(f"--gpu-memory-utilization is vLLM's: {name} holds back a fixed share")
    if options.engine != "vllm" and options.served_name is not None:
        raise InputError(f"--served-name is vLLM's: {name} answers under its model's id")
    if options.engine == "tgis" and options.max_num_batched_tokens is not None:
        raise InputError("--max-num-batched-tokens: TGIS prefills a prompt whole")
    if options.engine == "tgis" and options.enforce_eager:
        raise InputError("--enforce-eager: TGIS captures no CUDA graphs anyway")
    if options.image_has_ray and options.image is None:
        raise InputError("--image-has-ray is said of an image of yours: name it with --image")


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


def _assumptions(
    spec: ModelSpec, profile: GpuProfile, options: Options, regime: Regime, version: str
) -> tuple[str, ...]:
    found = []
    if options.download_gbps is None:
        found.append(f"download at {DEFAULT_DOWNLOAD_GBPS:g} Gbit/s")
    if accelerators.is_other(profile):
        found += accelerators.assumptions(profile.gpu, options, version)
    elif not regime.measured:
        name = engine_types.label(options.engine)
        found.append(f"no start-up of {name} {version} was measured: terms are upper bounds")
    elif not profile.gpu.compute_capability.startswith("9."):
        name = engine_types.label(options.engine)
        found.append(f"{name} {version} was measured on Hopper GPUs only: a wider band elsewhere")
    if spec.weights.assumed:
        found.append(f"size of the weights is an estimate ({spec.weights.basis})")
    if options.language_model_only and not spec.weights.encoder_bytes:
        found.append("the size of the encoders is not known: their weights count although they are left out")
    if spec.max_position is None:
        found.append(f"config.json names no longest context: {FALLBACK_CONTEXT} as in vLLM")
    if spec.gated is None:
        found.append("whether the model is gated is not known: no token is demanded")
    if spec.revision is None and spec.source == "catalogue" and options.revision is None:
        found.append("commit of the checkpoint is not known offline: the newest is served")
    if cpu.is_cpu(profile):
        found.append(f"{cpu.PROCESS_MEMORY_GIB} GiB of memory for each engine process")
    stock = options.image is None and not accelerators.is_other(profile)
    if "assumption" in engine_types.facts(options.engine) and stock:
        found.append(engine_types.facts(options.engine)["assumption"])
    if profile.node_memory_mib is None:
        found.append("host memory and CPU of the node are not known: requests are not checked against it")
    return (*found, *spec.notes)


def _warnings(
    estimate: Estimate, settings: Settings, options: Options, version: str, profile: GpuProfile, layout: Layout
) -> tuple[str, ...]:
    found = list(engine_types.facts(options.engine).get("warnings", ()))
    if cpu.is_cpu(profile):
        return (*found, "CPUs serve one or two users at most: for trying the chart out")
    if settings.enforce_eager and not options.enforce_eager and options.engine != "tgis":
        found.append(
            "CUDA graphs are given up to make room for the cache: decoding is slower; --max-model-len chooses another "
            "balance"
        )
    if estimate.total - estimate.requested < estimate.outside:
        found.append(
            f"{(estimate.total - estimate.requested) / GIB:.2f} GiB stay outside the engine's share, "
            f"{estimate.outside / GIB:.2f} GiB are expected there: lower --gpu-memory-utilization"
        )
    if layout.gpus_per_node < profile.gpus_per_node:
        unused = profile.gpus_per_node - layout.gpus_per_node
        found.append(
            f"{unused} of {profile.gpus_per_node} GPUs stay unused{' in each node' if layout.nodes > 1 else ''}"
        )
    if layout.nodes > 1:
        found.append(
            "several nodes: every node downloads or mounts the whole model, and the network carries activations"
        )
    if accelerators.is_other(profile):
        found += accelerators.notes(profile.gpu)
    elif options.engine == "vllm" and engines.at_least(version, "driver-580"):
        found.append(f"vLLM {version} images hold CUDA 13: NVIDIA driver 580 or newer on the node")
    if options.storage == "emptyDir":
        found.append("emptyDir: every new pod downloads the model again")
    return tuple(found)
