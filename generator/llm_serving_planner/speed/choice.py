"""Which plan of the same GPUs serves a workload best, and the cheapest change where none meets its targets.

The closed form ranks the layouts, the simulation runs for the best of them. Nothing that costs quality is taken here:
quantised checkpoints are only named.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from llm_serving_planner.base.errors import DoesNotFitError, InputError
from llm_serving_planner.hardware.profiles import GpuProfile, parse_profile
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.models.variants import variants_of
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.proposals import make_plan
from llm_serving_planner.planner.search import context_of
from llm_serving_planner.speed.promise import Promise, engines_of, promise
from llm_serving_planner.speed.roofline import Load, engine_of, predict
from llm_serving_planner.speed.workload import Workload, kept

_FINALISTS = 3
_SMALLEST_STEP = 512
_MOST_REPLICAS = 64
_LAYOUT = (
    "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "enable_expert_parallel", "controller",
    "executor",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """Another plan that meets the targets: what is typed for it, and what it gives."""

    model: str
    profile: str
    options: Options
    plan: Plan
    promise: Promise
    what: str


def choose(spec: ModelSpec, profile: GpuProfile, options: Options, workload: Workload) -> Plan:
    """The plan of these GPUs that serves the workload best, with the workload and the promise in it.

    The longest usual request must fit the context. Among the layouts the one that meets the targets and bears most,
    else the one that bears most; smaller steps where they meet a target that is missed. A pin stays as it is.

    Raises:
        DoesNotFitError: no layout fits, or none with a context for the workload's mean request.
    """
    base = make_plan(spec, profile, options)
    if base.settings.max_model_len < workload.tokens:
        raise DoesNotFitError(
            f"{spec.model_id} does not serve the workload on {profile.name}",
            (f"a request of {workload.tokens:,} tokens is above the context of {base.settings.max_model_len:,}",),
            (),
        )
    plans = [base, *_layouts(base, workload)]
    ranked = sorted(plans, key=lambda plan: -_rough(plan, workload))[:_FINALISTS]
    judged = [(plan, promise(plan, workload)) for plan in ranked]
    best, made = max(judged, key=lambda pair: _score(pair[1]))
    if made is None:
        return replace(base, workload=workload.to_dict(), asked=kept(workload))
    if workload.targets.itl is not None and not made.itl.value <= workload.targets.itl:
        for plan in _smaller_steps(best):
            other = promise(plan, workload)
            if other is not None and other.meets and not made.meets:
                best, made = plan, other
    losers = tuple(_loser(plan, other, made) for plan, other in judged if plan is not best and other is not None)
    return replace(
        best,
        options=options,
        rejected=(*losers, *(line for line in best.rejected if not line.startswith("one engine of"))),
        workload=workload.to_dict(),
        promise=made.to_dict(),
        asked=kept(workload),
    )


def _score(made: Promise | None) -> tuple[bool, float]:
    return (made.meets, made.most) if made is not None else (False, -1.0)


def _loser(plan: Plan, made: Promise, best: Promise) -> str:
    parallel = plan.layout.parallel
    name = f"{plan.replicas} x tensor parallel {parallel.tensor_parallel_size}"
    if made.misses and best.meets:
        return f"{name}: {made.misses[0]}"
    return f"{name}: bears {made.most:.3g} requests/s, the plan {best.most:.3g}"


def _layouts(base: Plan, workload: Workload) -> Iterator[Plan]:
    """Engines of fewer GPUs, several of them, on the GPUs of one node."""
    options, profile = base.options, base.profile
    if profile.nodes > 1 or options.replicas > 1 or any(getattr(options, name) for name in _LAYOUT):
        return
    for width in range(1, profile.gpus_per_node + 1):
        count = profile.gpus_per_node // width
        taken = (base.layout.parallel.tensor_parallel_size, base.replicas) == (width, count)
        if profile.gpus_per_node % width or taken:
            continue
        plan = _try(base.spec, profile, replace(options, tensor_parallel_size=width, replicas=count))
        if plan is None or plan.settings.max_model_len < min(workload.longest, base.settings.max_model_len):
            continue
        if plan.layout.gpus_per_node == width and _node_bears(plan, profile, count):
            yield plan


def _node_bears(plan: Plan, profile: GpuProfile, count: int) -> bool:
    """Whether the pods of all replicas fit one node's memory and cores."""
    memory, cores = profile.node_memory_mib, profile.node_cpu_m
    return (memory is None or count * plan.resources.memory_request <= memory * 1024**2) and (
        cores is None or count * plan.resources.cpu_request * 1000 <= cores
    )


def _smaller_steps(plan: Plan) -> Iterator[Plan]:
    tokens = plan.settings.max_num_batched_tokens
    if plan.options.max_num_batched_tokens is not None:
        return
    parallel = plan.layout.parallel
    while tokens > _SMALLEST_STEP:
        tokens //= 2
        pinned = replace(
            plan.options, max_num_batched_tokens=tokens, tensor_parallel_size=parallel.tensor_parallel_size,
            replicas=plan.replicas,
        )  # fmt: skip
        found = _try(plan.spec, plan.profile, pinned) if parallel.data_parallel_size == 1 else None
        if found is not None:
            yield found


def _rough(plan: Plan, workload: Workload) -> float:
    """Answer tokens per second of all replicas by the closed form."""
    count = engines_of(plan)
    seats = min(plan.settings.max_num_seqs, max(1, int(plan.requests_of(workload.tokens))))
    found = predict(engine_of(plan), Load(seats, workload.prompt_tokens, workload.answer_tokens))
    return found.tokens_per_second * count / plan.layout.parallel.data_parallel_size if found else 0.0


def _try(spec: ModelSpec, profile: GpuProfile, options: Options) -> Plan | None:
    try:
        plan = make_plan(spec, profile, options)
    except (DoesNotFitError, InputError):
        return None
    return plan if plan.verdict == "fits" else None


def changes(plan: Plan, workload: Workload) -> list[Change]:
    """What meets the targets where the plan does not: the fewest GPUs first, at most three."""
    found = []
    for spec, what in ((plan.spec, ""), *_checkpoints(plan)):
        profile = parse_profile(plan.profile.name) if what else plan.profile
        base = plan if not what else _try(spec, profile, _freed(plan.options))
        if base is None or base.settings.max_model_len < workload.tokens:
            continue
        change = _more(base, workload, what, plan.options if not what else _freed(plan.options))
        if change is not None:
            found.append(change)
    return sorted(found, key=lambda change: (_gpus(change.plan), change.model != plan.spec.model_id))[:3]


def _gpus(plan: Plan) -> int:
    return plan.replicas * plan.layout.gpus


def _freed(options: Options) -> Options:
    return replace(options, quantization=None, revision=None)


def _checkpoints(plan: Plan) -> list[tuple[ModelSpec, str]]:
    variants = [
        variant for variant in variants_of(plan.spec) if context_of(variant) >= plan.settings.max_model_len
        and variant.quantization is not None
    ]  # fmt: skip
    found: dict[int, ModelSpec] = {}
    for variant in sorted(variants, key=lambda spec: (spec.weights.loaded_bytes, spec.model_id)):
        found.setdefault(variant.quantization.bits if variant.quantization else 16, variant)
    return [(found[bits], "loss of quality not measured") for bits in sorted(found, reverse=True)]


def _more(plan: Plan, workload: Workload, what: str, options: Options) -> Change | None:
    """The fewest replicas that meet the targets; None where no number does."""
    least, most = plan.replicas, _MOST_REPLICAS * plan.replicas
    unit = plan.replicas if options.replicas == 1 else 1  # whole machines where the plan has several replicas itself
    made = promise(plan, workload)
    if made is not None and made.meets:
        return _change(plan, made, what, options, unit)
    highest = promise(replace(plan, replicas=most), workload)
    if highest is None or not highest.meets:
        return None
    low, high = least, most
    best: Promise = highest
    while high - low > unit:
        middle = (low + high) // 2 // unit * unit
        middle = middle if middle > low else low + unit
        if middle >= high:
            break
        found = promise(replace(plan, replicas=middle), workload)
        if found is not None and found.meets:
            high, best = middle, found
        else:
            low = middle
    return _change(replace(plan, replicas=high), best, what, options, unit)


def _change(plan: Plan, made: Promise, what: str, options: Options, unit: int) -> Change:
    profile = plan.profile.name
    if plan.replicas > unit > 1:  # as many machines as it takes
        machine = plan.profile.instance
        each = machine.type if machine else f"{plan.profile.gpus_per_node}x{plan.profile.gpu.id}"
        profile = f"{plan.profile.nodes * plan.replicas // unit}x{each}"
    elif plan.replicas > 1 and unit == 1:
        options = replace(options, replicas=plan.replicas)
    count = _gpus(plan)
    text = f"{count} GPU{'s' if count > 1 else ''}, bears {made.most:.3g} requests/s" + (f"; {what}" if what else "")
    return Change(plan.spec.model_id, profile, options, plan, made, text)
