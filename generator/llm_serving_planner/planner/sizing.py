"""The planner: ModelSpec x GpuProfile x Options -> Plan, or DoesNotFitError with every reason.

Pure: no I/O beyond the package's own tables. The choice of settings goes from what a user would like most (the model's
whole context, the engine's usual batch) down to what the memory allows.
"""

from llm_serving_planner.base.errors import DoesNotFitError
from llm_serving_planner.base.records import replace
from llm_serving_planner.base.units import GIB, MIB
from llm_serving_planner.engines.base import Engine
from llm_serving_planner.engines.registry import engine_of
from llm_serving_planner.hardware.profiles import GpuProfile
from llm_serving_planner.memory import pipeline
from llm_serving_planner.memory.kernels import compiles_at_start
from llm_serving_planner.memory.settings import Settings
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner import remarks, start
from llm_serving_planner.planner.deployment import choose_deployment
from llm_serving_planner.planner.devices.registry import device_of
from llm_serving_planner.planner.features import speculative, usage
from llm_serving_planner.planner.features.usage import Use
from llm_serving_planner.planner.layout import Layout, choose_layout, data_parallel_assumptions, data_parallel_reasons
from llm_serving_planner.planner.option_checks import check_options
from llm_serving_planner.planner.options import Options, plain
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.resources import Resources, plan_resources
from llm_serving_planner.planner.search import FALLBACK_CONTEXT, Search, context_of


def size(spec: ModelSpec, profile: GpuProfile, options: Options | None = None) -> Plan:
    """Plan one engine on the profile.

    Raises:
        InputError: an option is malformed, whatever the model.
        DoesNotFitError: physics or the engine forbid it; all reasons at once (no ways out: see `ways_out`).
    """
    options = options or plain(Options)
    check_options(options)
    unknown = spec.max_position is None
    if unknown and options.max_model_len is not None:  # the engine takes what it is told where the model says nothing
        spec = replace(spec, max_position=options.max_model_len)
    full, spec = spec, spec.text_only() if options.language_model_only else spec
    engine, device = engine_of(options.engine), device_of(profile.gpu)
    version = device.version(profile.gpu, options, engine)
    gpu, regime = device.gpu(profile), device.regime(engine.regime(version, spec), profile.gpu)
    choice, reasons = device.choice(spec, options, profile.gpu, engine, version, gpu.capability)
    reasons += _text_only_reasons(full, options, engine, version)
    layout = choose_layout(spec, profile, options)
    reasons += layout.reasons
    use = usage.plan_use(
        spec, options, version, layout.parallel.tensor_parallel_size, layout.parallel.pipeline_parallel_size
    )
    reasons += [*use.reasons, *usage.flag_reasons(use, version)]
    shorter = speculative.context(use.draft, spec)
    spec = replace(spec, max_position=shorter) if shorter else spec
    deployment = choose_deployment(layout, options, version)
    reasons += (*deployment.reasons, *data_parallel_reasons(layout, spec, options))
    reasons += [_UNKNOWN_CONTEXT] if unknown and options.max_model_len is None else _context_reasons(spec, options)
    reasons += device.layout_reasons(layout, profile.gpu)
    stage = pipeline.stage_spec(spec, min(layout.parallel.pipeline_parallel_size, spec.num_layers))
    search = Search(stage, gpu, regime, options, layout, choice.cache, choice.quantization, use)
    settings, verdict, memory_reasons, search_rejected = search.run()
    known = start.plan_facts(spec, settings, options, choice.dtype, choice.kv_cache_dtype)
    reasons += engine.start_problems(version, known)
    reasons += memory_reasons
    estimate = search.estimate(settings)
    deep_gemm = compiles_at_start(spec, gpu.capability, regime)
    resources = _resources(spec, options, layout, use, settings, deep_gemm=deep_gemm)
    resources = device.pod(resources, estimate, layout.gpus_per_node)
    reasons += _node_reasons(profile, resources)
    sharded = layout.parallel.tensor_parallel_size if not layout.reasons else 1
    kernels = device.attention(
        spec, profile.gpu, engine, version, gpu.capability, choice.cache, tensor_parallel_size=sharded
    )
    if not kernels.backend and not choice.cache.startswith("fp8"):
        reasons.append(
            f"{engine.label} {version} has no attention for it on {profile.gpu.device_name}: {kernels.reason}"
        )
    if reasons:
        name = f"{engine.label} {version}"
        raise DoesNotFitError(f"{spec.model_id} does not run on {profile.name} with {name}", tuple(reasons), ())
    estimate = device.capped(estimate)
    limit = "model" if settings.max_model_len == context_of(spec) else "memory"
    return Plan(
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
            *data_parallel_assumptions(layout, spec),
            *use.assumptions,
        ),
        warnings=choice.notes
        + use.notes
        + remarks.warnings(estimate, settings, options, version, profile, layout, latent=spec.mla is not None),
        rejected=(*layout.rejected, *search_rejected),
        use=use,
        replicas=options.replicas,
    )


def _resources(
    spec: ModelSpec,
    options: Options,
    layout: Layout,
    use: Use,
    settings: Settings,
    *,
    deep_gemm: bool,
) -> Resources:
    """What a pod asks its node for, and how long it may take to start."""
    return plan_resources(
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


_UNKNOWN_CONTEXT = (
    "config.json names no longest context, and none is guessed: --max-model-len N with the length that the model was "
    f"made for (vLLM would take {FALLBACK_CONTEXT:,})"
)


def _context_reasons(spec: ModelSpec, options: Options) -> list[str]:
    limit = context_of(spec)
    if options.max_model_len is not None and options.max_model_len > limit:
        return [f"max model len {options.max_model_len:,} is above the {limit:,} tokens that the model was made for"]
    return []


def _text_only_reasons(spec: ModelSpec, options: Options, engine: Engine, version: str) -> list[str]:
    """Why the encoders cannot be left out."""
    if not options.language_model_only:
        return []
    if engine.whole_checkpoint:
        return [engine.whole_checkpoint]
    if not spec.multimodal:
        return [f"--language-model-only: {spec.short_name} has no encoder to leave out"]
    problem = engine.flag_problem("language-model-only", version)
    return [f"{engine.label} {version}: {problem}"] if problem else []


def _node_reasons(profile: GpuProfile, resources: Resources) -> list[str]:
    reasons = []
    if profile.node_memory_mib is not None and resources.memory_request > profile.node_memory_mib * MIB:
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
