"""Several engines on one profile, where each fits a share of it: small dense models, and GPUs that no size could use.

Tensor parallel ranks wait for each other twice in every layer. An engine that needs no second GPU serves more requests
on each than one engine over all of them, as long as what the copies of the weights take leaves enough cache.
"""

from llm_serving_planner.base.errors import DoesNotFitError
from llm_serving_planner.base.records import replace
from llm_serving_planner.hardware.profiles import GpuProfile
from llm_serving_planner.planner.layout import tensor_reasons
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.sizing import size

# Replicas hold at least this share of the tokens that one engine over the same GPUs would hold: about what is left
# where the weights take half of a GPU. An assumption.
CACHE_SHARE = 0.5
_MOST_WEIGHTS = 0.6  # of what the engine may use: above it no share of the cache is left, and nothing is planned
# What says how one engine lies on the profile, or belongs to one engine alone.
_LAYOUT = (
    "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "enable_expert_parallel", "controller",
    "executor", "share_nodes", "kv_offload_gib",
)  # fmt: skip


def with_replicas(plan: Plan) -> Plan:
    """The plan as several replicas on the same GPUs where that serves better; else the plan itself.

    Each replica keeps the whole context, the step and the CUDA graphs that the one engine has. A pinned layout or
    number of replicas stays as it is.
    """
    options, profile = plan.options, plan.profile
    gpus = profile.nodes * profile.gpus_per_node
    if gpus == 1 or options.replicas > 1 or any(getattr(options, name) for name in _LAYOUT):
        return plan
    dense = plan.spec.moe is None
    for width in range(1, profile.gpus_per_node + 1):
        whole = profile.nodes == 1 and width == plan.layout.gpus
        if gpus // width < 2 or profile.gpus_per_node % width or not (dense or whole):
            continue
        weights = plan.estimate.weights * plan.layout.gpus / width
        if weights > _MOST_WEIGHTS * plan.estimate.requested and not whole:
            continue
        found = _engine(plan, profile, options, width)
        if found is not None and found.layout.gpus_per_node == width and (whole or _serves_as_well(found, plan)):
            return _joined(found, plan)
    return plan


def _engine(plan: Plan, profile: GpuProfile, options: Options, width: int) -> Plan | None:
    """One engine on `width` GPUs of a node, with its share of the node's memory and cores."""
    pods = profile.gpus_per_node // width
    share = replace(
        profile,
        nodes=1,
        gpus_per_node=width,
        link=profile.link if width > 1 else "none",
        node_memory_mib=profile.node_memory_mib // pods if profile.node_memory_mib else None,
        node_cpu_m=profile.node_cpu_m // pods if profile.node_cpu_m else None,
    )
    try:
        return size(plan.spec, share, options)
    except DoesNotFitError:
        return None


def _serves_as_well(one: Plan, plan: Plan) -> bool:
    """Whether nothing but cache is given up, and of that no more than CACHE_SHARE allows."""
    mine, other = one.settings, plan.settings
    count = plan.profile.nodes * plan.profile.gpus_per_node // one.layout.gpus
    return (
        one.verdict == "fits"
        and mine.max_model_len >= other.max_model_len
        and mine.max_num_batched_tokens >= other.max_num_batched_tokens
        and mine.enforce_eager <= other.enforce_eager
        and one.requests_of(mine.max_model_len) * count >= CACHE_SHARE * plan.requests_of(mine.max_model_len)
    )


def _joined(one: Plan, plan: Plan) -> Plan:
    count = plan.profile.nodes * plan.profile.gpus_per_node // one.layout.gpus
    rejected, warnings = one.rejected, one.warnings
    parallel = plan.layout.parallel
    if plan.layout.gpus > one.layout.gpus:
        stages = (
            f" x pipeline parallel {parallel.pipeline_parallel_size}" if parallel.pipeline_parallel_size > 1 else ""
        )
        rejected = (
            f"one engine of tensor parallel {parallel.tensor_parallel_size}{stages}: every layer of every request "
            f"would wait for {plan.layout.gpus} GPUs; --tensor-parallel-size {parallel.tensor_parallel_size} takes it",
            *rejected,
        )
    elif against := tensor_reasons(plan.spec, plan.profile.gpus_per_node, plan.options):
        rejected = (f"tensor parallel size {plan.profile.gpus_per_node}: {'; '.join(against)}", *rejected)
    if one.deployment.storage == "pvc":
        warnings = (
            *warnings,
            f"{count} replicas read one claim, which must be ReadWriteMany; without such a storage class --storage "
            "emptyDir",
        )
    return replace(one, profile=plan.profile, rejected=rejected, warnings=warnings, replicas=count)
