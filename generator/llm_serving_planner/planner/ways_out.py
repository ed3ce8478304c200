"""Ways out of a misfit, cheapest first: shorter context, quantised weights or cache, more or other GPUs."""

from collections.abc import Iterator
from typing import Any

from llm_serving_planner.base.errors import DoesNotFitError, InputError
from llm_serving_planner.base.records import replace
from llm_serving_planner.engines import format_support, registry
from llm_serving_planner.hardware.compute_capability import capability
from llm_serving_planner.hardware.profiles import GpuProfile, all_instances, parse_profile
from llm_serving_planner.models.config import formats
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.models.variants import variants_of
from llm_serving_planner.planner import rules
from llm_serving_planner.planner.devices.registry import device_of, is_measured
from llm_serving_planner.planner.options import Options, flag
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.proposals import make_plan
from llm_serving_planner.planner.search import SHORTEST_USEFUL_CONTEXT, context_of

_COUNTS = (1, 2, 4, 8)
_NODES = (2, 4, 8)
_MOST_PER_WIDTH = 2
_SHORTEST = SHORTEST_USEFUL_CONTEXT
_MOST_MACHINES = 2


def _try(spec: ModelSpec, profile: GpuProfile, options: Options) -> Plan | None:
    """The plan, unless the pins forbid it; one that is predicted not to start is no way out."""
    try:
        plan = make_plan(spec, profile, options)
    except (DoesNotFitError, InputError):  # another engine refuses pins of this one by name
        return None
    return plan if plan.verdict != "doubtful" else None


def _elsewhere(spec: ModelSpec, profile: GpuProfile, options: Options) -> tuple[Plan, str] | None:
    """(plan, what to leave away) on other GPUs: with all pins where they allow it, else without the layout's."""
    plan = _try(spec, profile, options)
    if plan is not None:
        return plan, ""
    plain = _unpinned(options)
    dropped = [flag(name) for name in options.pinned() if getattr(plain, name) != getattr(options, name)]
    plan = _try(spec, profile, plain) if dropped else None
    return (plan, f", without {' and '.join(dropped)}") if plan is not None else None


def ways_out(spec: ModelSpec, profile: GpuProfile, options: Options) -> tuple[str, ...]:
    """One line per way that was planned and fits; empty when none was found."""
    if device_of(profile.gpu).only_machines:
        return tuple(_machines(spec, options))
    return (
        *_other_settings(spec, profile, options),
        *_quantised(spec, profile, options),
        *_other_engine(spec, profile, options),
        *_other_counts(spec, profile, options),
        *_more_nodes(spec, profile, options),
        *_machines(spec, options),
    )


def _other_settings(spec: ModelSpec, profile: GpuProfile, options: Options) -> Iterator[str]:
    if options.max_model_len is not None:
        plan = _try(spec, profile, replace(options, max_model_len=None))
        if plan:
            yield f"--max-model-len {plan.settings.max_model_len}"
    elif (plan := _try(spec, profile, replace(options, max_model_len=_SHORTEST))) and plan.verdict == "tight":
        yield f"--max-model-len {_SHORTEST} (tight: within the margin of the estimate)"
    if options.tensor_parallel_size is not None:
        plan = _try(spec, profile, replace(options, tensor_parallel_size=None))
        if plan:
            yield f"leave --tensor-parallel-size away ({plan.layout.parallel.tensor_parallel_size} fits)"
    engine = registry.engine_of(options.engine)
    if spec.multimodal and not options.language_model_only and not engine.whole_checkpoint:
        plan = _try(spec, profile, replace(options, language_model_only=True))
        if plan:
            yield f"--language-model-only (no images or sound; {plan.settings.max_model_len:,} tokens of context)"
    yield from _less_beside(spec, profile, options)
    if options.data_parallel_size is not None:
        plan = _try(spec, profile, replace(options, data_parallel_size=None, enable_expert_parallel=False))
        if plan:
            yield f"leave --data-parallel-size away (tensor parallel {plan.layout.parallel.tensor_parallel_size} fits)"
    elif spec.moe is not None and not options.enable_expert_parallel and engine.expert_parallel:
        plan = _try(spec, profile, replace(options, enable_expert_parallel=True))
        if plan:
            yield f"--enable-expert-parallel ({plan.settings.max_model_len:,} tokens of context)"
    for name in ("dtype", "kv_cache_dtype", "quantization", "gpu_memory_utilization", "max_num_batched_tokens",
                 "max_num_seqs", "engine_version"):  # fmt: skip
        freed: dict[str, Any] = {name: None}
        if getattr(options, name) is not None and _try(spec, profile, replace(options, **freed)):
            yield f"leave --{name.replace('_', '-')} away"
    if options.engine_version is None and device_of(profile.gpu).runs_stock:
        yield from _older_engine(spec, profile, options)
    if options.kv_cache_dtype is None and _try(spec, profile, replace(options, kv_cache_dtype="fp8")):
        yield "--kv-cache-dtype fp8 (half the cache, slightly less exact)"


def _less_beside(spec: ModelSpec, profile: GpuProfile, options: Options) -> Iterator[str]:
    """Fewer slots for adapters, no drafts: what serves beside the model is given up before the model is."""
    if len(options.lora) > 1 and (options.max_loras or 2) > 1:
        plan = _try(spec, profile, replace(options, max_loras=1))
        if plan:
            yield "--max-loras 1 (one adapter in a batch at a time)"
    if options.speculative is not None:
        plan = _try(spec, profile, replace(options, speculative=None, speculative_tokens=None, draft=None))
        if plan:
            yield f"leave --speculative {options.speculative} away"


def _older_engine(spec: ModelSpec, profile: GpuProfile, options: Options) -> Iterator[str]:
    """The newest other version that takes what the default one does not: a GPU, a format, a cache.

    Never for the sake of memory alone: an old engine is no remedy for a small GPU.
    """
    engine = registry.engine_of(options.engine)
    older = engine.older_versions()
    if not older:
        return
    default, device = engine.check_version(None), profile.gpu.device_name
    compute = capability(profile.gpu.compute_capability)
    against = engine.image_reasons(default, spec, device, compute)
    if not against and not rules.choose_types(spec, options, default, device, compute).reasons:
        return
    for version in older:
        if _try(spec, profile, replace(options, engine_version=version)):
            yield f"--engine-version {version}"
            return


def _quantised(spec: ModelSpec, profile: GpuProfile, options: Options) -> Iterator[str]:
    if spec.quantization is None and options.quantization is None:
        plan = _try(spec, profile, replace(options, quantization="fp8"))
        if plan:
            yield f"--quantization fp8 ({plan.settings.max_model_len:,} tokens of context)"
    yield from _checkpoints(spec, profile, options)


def _checkpoints(spec: ModelSpec, profile: GpuProfile, options: Options) -> Iterator[str]:
    """Quantised checkpoints that were planned, the least loss first: more bits, then native arithmetic, then size."""
    free = replace(options, quantization=None, revision=None)
    gone = [flag(name) for name in ("quantization", "revision") if getattr(options, name) is not None]
    without = f", without {' and '.join(gone)}" if gone else ""
    compute = capability(profile.gpu.compute_capability or "0")
    planned = []
    for variant in variants_of(spec):
        plan = _try(variant, profile, free)
        if plan is not None and variant.quantization is not None:
            kind = formats.kind_of(variant.quantization)
            support = format_support.support(kind, plan.engine_version, compute)
            size = variant.weights.loaded_bytes
            planned.append(((-variant.quantization.bits, not support.native, size), kind, support, plan))
    taken: dict[int, int] = {}
    for (bits, _, _), kind, support, plan in sorted(planned, key=lambda row: row[0]):
        taken[bits] = taken.get(bits, 0) + 1
        if taken[bits] <= _MOST_PER_WIDTH:
            kernel = f", {support.kernel}" if support.kernel else ""  # known for NVIDIA GPUs only
            yield (
                f"the checkpoint {plan.spec.model_id} ({formats.label(kind)}, {-bits} bits"
                f"{kernel}; {plan.settings.max_model_len:,} tokens of context){without}"
            )


def _other_counts(spec: ModelSpec, profile: GpuProfile, options: Options) -> Iterator[str]:
    valid = set(rules.valid_tensor_parallel(spec, max(_COUNTS)))
    for count in _COUNTS:
        if count not in valid or (profile.nodes == 1 and count == profile.gpus_per_node):
            continue
        name = f"{count}x{profile.gpu.id}"
        try:
            other = parse_profile(name)
        except InputError:  # a user's own GPU has no profile name
            return
        found = _elsewhere(spec, other, options)
        if found and _useful(found[0]):
            yield f"profile {name} ({found[0].settings.max_model_len:,} tokens of context){found[1]}"
            return


def _useful(plan: Plan) -> bool:
    """Whether its context serves anybody: a pinned one is what was asked for."""
    least = min(SHORTEST_USEFUL_CONTEXT, context_of(plan.spec), plan.options.max_model_len or SHORTEST_USEFUL_CONTEXT)
    return plan.settings.max_model_len >= least


def _unpinned(options: Options) -> Options:
    """The options without what belongs to one layout."""
    return replace(
        options, tensor_parallel_size=None, pipeline_parallel_size=None, data_parallel_size=None,
        enable_expert_parallel=False, controller=None, executor=None, storage=None,
    )  # fmt: skip


def _other_engine(spec: ModelSpec, profile: GpuProfile, options: Options) -> Iterator[str]:
    default = registry.DEFAULT
    if options.engine != default and _try(spec, profile, replace(options, engine=default, engine_version=None)):
        yield f"--engine {default}"
    for name, of in device_of(profile.gpu).other_engines(profile.gpu):
        if _try(spec, profile, replace(options, engine=name, engine_version=None)):
            yield f"--engine {name} ({of})"


def _more_nodes(spec: ModelSpec, profile: GpuProfile, options: Options) -> Iterator[str]:
    """The same GPUs in several nodes, pipeline parallel; and stages in one node where its GPUs divide no layer."""
    if not registry.engine_of(options.engine).pipeline:
        return
    asked = options.pipeline_parallel_size
    for stages in range(2, profile.gpus_per_node + 1 if profile.nodes == 1 and asked is None else 1):
        found = _stages(spec, profile, options, stages)
        if found:
            yield f"--pipeline-parallel-size {stages} ({found[0].settings.max_model_len:,} tokens of context){found[1]}"
            break
    for nodes in _NODES:
        if nodes <= profile.nodes:
            continue
        found = _elsewhere(spec, replace(profile, nodes=nodes, name=_wider(profile, nodes)), options)
        if found and _useful(found[0]):
            plan, without = found
            context = f"{plan.settings.max_model_len:,} tokens of context"
            yield f"profile {plan.profile.name}: {nodes} nodes ({context}){without}"
            return


def _stages(spec: ModelSpec, profile: GpuProfile, options: Options, stages: int) -> tuple[Plan, str] | None:
    """A pipeline over all GPUs of one node."""
    found = _elsewhere(spec, profile, replace(options, pipeline_parallel_size=stages))
    if found is None or found[0].options.pipeline_parallel_size != stages:  # the pin itself had to go
        plain = _unpinned(options)
        dropped = [flag(name) for name in options.pinned() if getattr(plain, name) != getattr(options, name)]
        plan = _try(spec, profile, replace(plain, pipeline_parallel_size=stages))
        found = (plan, f", without {' and '.join(dropped)}" if dropped else "") if plan else None
    return found if found and found[0].layout.gpus_per_node == profile.gpus_per_node else None


def _wider(profile: GpuProfile, nodes: int) -> str:
    """The profile's name for another number of nodes."""
    what = profile.instance.type if profile.instance else f"{profile.gpus_per_node}x{profile.gpu.id}"
    return f"{nodes}x{what}"


def _machines(spec: ModelSpec, options: Options) -> Iterator[str]:
    priced = sorted(
        (machine for machine in all_instances() if machine.usd_per_hour is not None),
        key=lambda machine: machine.usd_per_hour or 0.0,
    )
    found = 0
    for machine in priced:
        try:
            profile = parse_profile(machine.type)
        except InputError:  # slices of a GPU and further vendors are not planned
            continue
        if not is_measured(profile.gpu):  # others are not measured: never offered unasked
            continue
        place = _elsewhere(spec, profile, options)
        if place:
            plan, without = place
            yield (
                f"{machine.type} ({plan.layout.gpus * plan.replicas} x {profile.gpu.device_name}, "
                f"{machine.usd_per_hour:.2f} USD per hour in {machine.usd_region}, "
                f"{plan.settings.max_model_len:,} tokens of context){without}"
            )
            found += 1
        if found == _MOST_MACHINES:
            return
