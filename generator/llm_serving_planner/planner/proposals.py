"""A plan, and the layout of the same GPUs that it did not take where that one holds more cache."""

from collections.abc import Iterator

from llm_serving_planner.base.errors import DoesNotFitError
from llm_serving_planner.base.records import replace
from llm_serving_planner.hardware.profiles import GpuProfile
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.options import Options, plain
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.replicas import with_replicas
from llm_serving_planner.planner.sizing import size

# Only a layout that holds that much more cache is proposed: a request on fewer GPUs is slower. An assumption.
WORTHWHILE = 1.25


def proposal(plan: Plan) -> str | None:
    """A data parallel layout of the same GPUs that holds clearly more cache, as one line; None where there is none.

    Latent caches (MLA) are whole on every tensor parallel rank, and key-value heads are repeated where there are more
    ranks than heads: tensor parallel then divides weights, not the cache.
    """
    options, layout = plan.options, plan.layout
    pinned = options.data_parallel_size or options.enable_expert_parallel or options.tensor_parallel_size
    if not plan.engine.data_parallel or plan.spec.moe is None or pinned or layout.nodes > 1 or plan.replicas > 1:
        return None
    for other in _layouts(plan):
        parallel = other.layout.parallel
        data, tensor = parallel.data_parallel_size, parallel.tensor_parallel_size
        total = other.cache_tokens * data
        gain = total / max(plan.cache_tokens, 1)
        if other.settings.max_model_len >= plan.settings.max_model_len and gain >= WORTHWHILE:
            flag = f" --tensor-parallel-size {tensor}" if tensor > 1 else ""
            return (
                f"data parallel {data} with whole experts per GPU holds {total:,} tokens of cache, "
                f"{gain:.1f} times as many ({_why(plan)}): --data-parallel-size {data}{flag} --enable-expert-parallel; "
                f"one request has {tensor} of {layout.gpus} GPUs"
            )
    return None


def _layouts(plan: Plan) -> Iterator[Plan]:
    available = plan.layout.parallel.tensor_parallel_size
    for tensor in range(1, available):
        if available % tensor:
            continue
        wanted = replace(
            plan.options,
            data_parallel_size=available // tensor,
            tensor_parallel_size=tensor,
            enable_expert_parallel=True,
        )
        try:
            yield size(plan.spec, plan.profile, wanted)
        except DoesNotFitError:
            continue


def _why(plan: Plan) -> str:
    tensor = plan.layout.parallel.tensor_parallel_size
    if plan.spec.mla is not None:
        return f"its latent cache is whole on all {tensor} ranks"
    if plan.spec.num_kv_heads < tensor:
        return f"its {plan.spec.num_kv_heads} KV heads are repeated on {tensor} tensor parallel ranks"
    return "less of the memory goes into activations and communication"


def make_plan(spec: ModelSpec, profile: GpuProfile, options: Options | None = None) -> Plan:
    """Plan a profile: one engine, or replicas; `rejected` ends with a data parallel layout where one holds more cache.

    Raises:
        InputError: an option is malformed, whatever the model.
        DoesNotFitError: physics or the engine forbid it; all reasons at once (no ways out: see `ways_out`).
    """
    plan = with_replicas(size(spec, profile, options or plain(Options)))
    better = proposal(plan)
    return replace(plan, rejected=(*plan.rejected, better)) if better else plan
