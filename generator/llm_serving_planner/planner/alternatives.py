"""Up to three other plans beside one that fits: a cheaper, a faster and a longer one.

Each was planned with every pin of the user kept, so that the command that is shown works as typed. No speed is
predicted here: "faster" is what reads fewer bytes per token, drafts with the checkpoint's own layers, needs no network
inside an engine, or has CUDA graphs again.
"""

from collections.abc import Iterator

from llm_serving_planner.base.errors import DoesNotFitError, InputError
from llm_serving_planner.base.records import record, replace
from llm_serving_planner.engines import format_support
from llm_serving_planner.hardware.compute_capability import capability
from llm_serving_planner.hardware.profiles import GpuProfile, parse_profile
from llm_serving_planner.models.config import formats
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.models.variants import variants_of
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.proposals import make_plan
from llm_serving_planner.planner.search import COMFORTABLE_CONTEXT, CONTEXT_STEP, SHORTEST_USEFUL_CONTEXT, context_of

_LONGER = 1.25  # a context that much longer is worth a line; an assumption
_MOST = 3
_STEPS = 2  # halvings of the step, at most, for a longer context
_MODEST = COMFORTABLE_CONTEXT  # a context that is enough where something else is won; an assumption
_LOSS = "loss of quality not measured"


@record
class Alternative:
    """Another plan: what speaks for it, and what is typed for it."""

    kind: str
    model: str
    profile: str
    options: Options
    gain: str


def alternatives(plan: Plan) -> tuple[Alternative, ...]:
    """At most one each of cheaper, faster and longer, none of them twice."""
    found: list[Alternative] = []
    for ways in (_cheaper(plan), _faster(plan), _longer(plan)):
        taken = [(other.model, other.profile, other.options) for other in found]
        found += next(([way] for way in ways if (way.model, way.profile, way.options) not in taken), [])
    if len(found) < _MOST:  # drafts cost nothing but memory: worth a line beside another layout
        taken = [(other.model, other.profile, other.options) for other in found]
        found += [way for way in _drafts(plan) if (way.model, way.profile, way.options) not in taken]
    return tuple(found)


def _try(spec: ModelSpec, profile: GpuProfile, options: Options) -> Plan | None:
    try:
        plan = make_plan(spec, profile, options)
    except (DoesNotFitError, InputError):
        return None
    return plan if plan.verdict == "fits" else None


def _named(kind: str, other: Plan, gain: str) -> Alternative:
    return Alternative(kind, other.spec.model_id, other.profile.name, other.options, gain)


def _context(plan: Plan) -> str:
    return f"{plan.settings.max_model_len:,} tokens of context"


def _checkpoints(plan: Plan) -> Iterator[tuple[ModelSpec, str]]:
    """Quantised checkpoints with their format, most bits first, then native arithmetic, then small ones."""
    if plan.options.quantization or plan.options.revision:
        return  # such a pin belongs to the checkpoint that was asked for
    compute = capability(plan.profile.gpu.compute_capability or "0")
    rows = []
    for variant in variants_of(plan.spec):
        if variant.quantization is not None:
            kind = formats.kind_of(variant.quantization)
            native = format_support.support(kind, plan.engine_version, compute).native
            order = (-variant.quantization.bits, not native, variant.weights.loaded_bytes, variant.model_id)
            rows.append((order, variant, formats.label(kind)))
    for _, variant, label in sorted(rows, key=lambda row: row[0]):
        yield variant, label


def _smaller(profile: GpuProfile) -> Iterator[GpuProfile]:
    """The same GPUs in smaller number: fewer nodes, then fewer in the node; the smallest first."""
    machine, gpu = profile.instance, profile.gpu.id
    for nodes in (1, 2, 4):
        if nodes < profile.nodes:
            what = machine.type if machine else f"{profile.gpus_per_node}x{gpu}"
            yield from _parsed(f"{nodes}x{what}" if nodes > 1 else what)
    for count in (1, 2, 4):
        if profile.nodes == 1 and machine is None and count < profile.gpus_per_node:
            yield from _parsed(f"{count}x{gpu}")


def _parsed(name: str) -> Iterator[GpuProfile]:
    try:
        yield parse_profile(name)
    except InputError:  # a user's own GPU has no profile name
        return


def _gpus(profile: GpuProfile) -> int:
    return profile.nodes * profile.gpus_per_node


def _cheaper(plan: Plan) -> Iterator[Alternative]:
    """Fewer GPUs with as much context: the checkpoint itself, else its quantised siblings."""
    whole = _gpus(plan.profile)
    enough = min(plan.settings.max_model_len, context_of(plan.spec))
    smaller = list(_smaller(plan.profile))
    for profile in smaller:
        other = _try(plan.spec, profile, plan.options) if plan.replicas == 1 else None
        if other and other.settings.max_model_len >= enough:
            yield _named("cheaper", other, f"{_gpus(profile)} of {whole} GPUs, {_context(other)}")
    if plan.replicas > 1:
        return
    modest = min(enough, _MODEST)  # half the GPUs for less context is still worth a line
    for variant, label in _checkpoints(plan):
        for profile in smaller:
            other = _try(variant, profile, plan.options)
            if other and other.settings.max_model_len >= modest and not other.settings.enforce_eager:
                gain = f"{label} on {_gpus(profile)} of {whole} GPUs, {_context(other)}; {_LOSS}"
                yield _named("cheaper", other, gain)


def _faster(plan: Plan) -> Iterator[Alternative]:
    options, spec = plan.options, plan.spec
    if plan.profile.nodes > 1 and plan.layout.nodes > 1:
        yield from _one_node(plan)
        yield from _whole_experts(plan)
    yield from _drafts(plan)
    if plan.settings.enforce_eager and not options.enforce_eager:
        double = f"{2 * plan.profile.gpus_per_node}x{plan.profile.gpu.id}"
        for profile in _parsed(double) if plan.profile.nodes == 1 and plan.profile.instance is None else ():
            other = _try(spec, profile, options)
            if other and not other.settings.enforce_eager:
                yield _named("faster", other, f"CUDA graphs, {_context(other)}, twice the GPUs")
    for variant, label in _checkpoints(plan):
        if variant.weights.loaded_bytes * 1.5 > spec.weights.loaded_bytes:
            continue
        other = _try(variant, plan.profile, options)
        if other and other.settings.max_model_len >= plan.settings.max_model_len:
            yield _named("faster", other, f"{label}: fewer bytes of weights per token, {_context(other)}; {_LOSS}")


def _drafts(plan: Plan) -> Iterator[Alternative]:
    """Drafts by layers that the checkpoint carries."""
    if plan.options.speculative is None:
        other = _try(plan.spec, plan.profile, replace(plan.options, speculative="mtp"))
        if other and other.settings.max_model_len >= min(plan.settings.max_model_len, COMFORTABLE_CONTEXT):
            yield _named("faster", other, f"drafts of the checkpoint's own layers; {_context(other)}")


def _one_node(plan: Plan) -> Iterator[Alternative]:
    """One engine per node in place of one over all: no layer waits for the network."""
    machine, each = plan.profile.instance, plan.profile.gpus_per_node
    if plan.options.replicas > 1:
        return
    name = machine.type if machine else f"{each}x{plan.profile.gpu.id}"
    wanted = replace(plan.options, replicas=plan.profile.nodes)
    for profile in _parsed(name):
        for spec, label in ((plan.spec, ""), *_checkpoints(plan)):
            other = _try(spec, profile, wanted)
            if other and other.settings.max_model_len >= min(plan.settings.max_model_len, _MODEST):
                loss = f"{label}, {_LOSS}; " if label else ""
                text = f"{loss}{plan.profile.nodes} engines of one node each, no network inside, {_context(other)}"
                yield _named("faster", other, text)


def _whole_experts(plan: Plan) -> Iterator[Alternative]:
    """Data parallel engines with whole experts over all nodes, in place of stages over the network."""
    options = plan.options
    pinned = options.tensor_parallel_size or options.pipeline_parallel_size or options.data_parallel_size
    if plan.spec.moe is None or pinned:
        return
    for tensor in (1, 2, 4, 8):
        if plan.profile.gpus_per_node % tensor:
            continue
        data = _gpus(plan.profile) // tensor
        wanted = replace(
            options, data_parallel_size=data, tensor_parallel_size=tensor, enable_expert_parallel=True
        )  # fmt: skip
        other = _try(plan.spec, plan.profile, wanted)
        if other and other.settings.max_model_len >= COMFORTABLE_CONTEXT:
            text = f"{data} engines with whole experts per GPU, no stages over the network; {_context(other)} each"
            yield _named("faster", other, text)


def _longer(plan: Plan) -> Iterator[Alternative]:
    """A longer context: an FP8 cache, smaller steps, quantised weights, more GPUs."""
    have, limit, options = plan.settings.max_model_len, context_of(plan.spec), plan.options
    if have >= limit or options.max_model_len is not None or plan.replicas > 1:
        return
    enough = min(limit, int(_LONGER * have))

    def longer(other: Plan | None) -> bool:
        return other is not None and other.settings.max_model_len >= enough and (
            plan.settings.enforce_eager or not other.settings.enforce_eager
        )  # fmt: skip

    if options.kv_cache_dtype is None and plan.spec.layers:
        other = _try(plan.spec, plan.profile, replace(options, kv_cache_dtype="fp8"))
        if other and longer(other):
            yield _named("longer", other, f"FP8 cache, {_context(other)}; {_LOSS}")
        elif have <= SHORTEST_USEFUL_CONTEXT:  # by itself the planner goes no further there
            pinned = replace(options, kv_cache_dtype="fp8")
            for tokens in range(COMFORTABLE_CONTEXT, have, -CONTEXT_STEP):
                other = _try(plan.spec, plan.profile, replace(pinned, max_model_len=tokens))
                if other:
                    yield _named("longer", other, f"FP8 cache, {_context(other)}; {_LOSS}")
                    break
    if options.max_num_batched_tokens is None:
        tokens = plan.settings.max_num_batched_tokens
        for halvings in range(1, _STEPS + 1):
            other = _try(plan.spec, plan.profile, replace(options, max_num_batched_tokens=tokens >> halvings))
            if other and longer(other):
                yield _named("longer", other, f"{_context(other)}; prompts take more steps")
    for variant, label in _checkpoints(plan):
        other = _try(variant, plan.profile, options)
        if other and longer(other):
            yield _named("longer", other, f"{label}, {_context(other)}; {_LOSS}")
    if plan.profile.nodes == 1 and plan.profile.instance is None:
        for profile in _parsed(f"{2 * plan.profile.gpus_per_node}x{plan.profile.gpu.id}"):
            other = _try(plan.spec, profile, options)
            if other and longer(other):
                yield _named("longer", other, f"{_context(other)}, twice the GPUs")
