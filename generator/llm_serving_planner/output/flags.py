"""The flags and variables that a plan decides; parallel sizes are not among them (they have keys of the chart)."""

from typing import Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.engines.base import Start
from llm_serving_planner.planner.plan import Plan


def engine_args(plan: Plan) -> dict[str, Any]:
    """Flags by name.

    Raises:
        InputError: the engine's version lacks one of them.
    """
    engine, without = plan.engine, plan.device.without
    args = {name: value for name, value in engine.args(_start(plan)).items() if name not in without}
    for flag in args:
        problem = engine.flag_problem(flag, plan.engine_version)
        if problem is not None:
            raise InputError(f"{plan.engine_name}: {problem}")
    return args


def engine_env(plan: Plan) -> dict[str, str]:
    """Variables that the plan decides."""
    return plan.device.environment(plan.estimate, plan.layout.gpus_per_node)


def _start(plan: Plan) -> Start:
    settings = plan.settings
    return Start(
        spec=plan.spec,
        version=plan.engine_version,
        dtype=plan.dtype,
        kv_cache_dtype=plan.kv_cache_dtype,
        quantization=plan.quantization,
        max_model_len=settings.max_model_len,
        max_num_seqs=settings.max_num_seqs,
        max_num_batched_tokens=settings.max_num_batched_tokens,
        utilization=settings.utilization,
        enforce_eager=settings.enforce_eager,
        nodes=plan.layout.nodes,
        startup_budget=plan.resources.startup.budget,
        flags=plan.flags,
        features=plan.use.args,
        # An encoder's files may name a shorter limit (sentence_bert_config.json), which the engine reads and takes.
        own_context=plan.use.pooling and not plan.spec.layers and plan.context_limit == "model",
    )
