"""The flags that a plan decides, per engine; parallel sizes are not among them (they have keys of the chart)."""

from typing import Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.engines import frozen, vllm
from llm_serving_planner.planner.devices import cpu, rocm_gaudi
from llm_serving_planner.planner.plan import Plan

_TGI_GRAPHS = "1,2,4,8,16,32"  # TGI v3.3.7 launcher/src/main.rs: default of --cuda-graphs
TGI_SHARE = 0.90  # TGI v3.3.7 globals.py: TGI_WIGGLE_ROOM, by which --cuda-memory-fraction is multiplied

TGI_ANSWER_TOKENS = 1  # of a request that no prompt may take: max-input-tokens is to be below max-total-tokens
TGIS_ANSWER_PARTS = 2  # answers have one of that many parts of a request; assumption


def engine_args(plan: Plan) -> dict[str, Any]:
    """Flags by name.

    Raises:
        InputError: the engine's version lacks one of them.
    """
    args = {"vllm": _vllm, "tgi": _tgi, "tgis": _tgis}[plan.options.engine](plan)
    for flag in args:
        problem = frozen.flag_problem(plan.options.engine, flag, plan.engine_version)
        if problem is not None:
            raise InputError(f"{plan.engine_name}: {problem}")
    return args


def engine_env(plan: Plan) -> dict[str, str]:
    """Variables that the plan decides: those of the CPU backend."""
    return cpu.environment(plan.estimate, plan.layout.gpus_per_node) if cpu.is_cpu(plan.profile) else {}


def _vllm(plan: Plan) -> dict[str, Any]:
    settings, version = plan.settings, plan.engine_version
    # An encoder's files may name a shorter limit (sentence_bert_config.json), which the engine reads and takes.
    own = plan.use.pooling and not plan.spec.layers and plan.context_limit == "model"
    args: dict[str, Any] = {
        "dtype": plan.dtype,
        **({} if own else {"max-model-len": settings.max_model_len}),
        "max-num-seqs": settings.max_num_seqs,
        "max-num-batched-tokens": settings.max_num_batched_tokens,
        "gpu-memory-utilization": settings.utilization,
        "kv-cache-dtype": plan.kv_cache_dtype,
    }
    if plan.quantization:
        args["quantization"] = plan.quantization
    args |= dict.fromkeys(plan.flags, True) | plan.use.args
    if settings.enforce_eager and not cpu.is_cpu(plan.profile):
        args["enforce-eager"] = True
    if vllm.at_least(version, "disable-access-log-for-endpoints"):
        args["disable-access-log-for-endpoints"] = "/health,/metrics,/ping"
    if plan.layout.nodes > 1 and vllm.flag_problem("distributed-timeout-seconds", version) is None:
        args["distributed-timeout-seconds"] = plan.resources.startup.budget
    return cpu.args(args) if cpu.is_cpu(plan.profile) else args


def _tgi(plan: Plan) -> dict[str, Any]:
    settings = plan.settings
    args: dict[str, Any] = {
        "max-total-tokens": settings.max_model_len,
        "max-input-tokens": settings.max_model_len - TGI_ANSWER_TOKENS,
        "max-batch-prefill-tokens": settings.max_num_batched_tokens,
        "max-concurrent-requests": settings.max_num_seqs,
        "cuda-memory-fraction": min(1.0, int(100 * settings.utilization / TGI_SHARE) / 100),
        "cuda-graphs": "0" if settings.enforce_eager else _TGI_GRAPHS,
        "usage-stats": "off",
    }
    if rocm_gaudi.is_other(plan.profile):  # nothing of CUDA there
        args.pop("cuda-memory-fraction")
        args.pop("cuda-graphs")
    if plan.quantization:
        args["quantize"] = plan.quantization
    elif plan.spec.quantization is None:
        args["dtype"] = plan.dtype  # excludes --quantize, which a quantised checkpoint implies
    if plan.kv_cache_dtype == "fp8":
        args["kv-cache-dtype"] = "fp8_e4m3fn"
    return args


def _tgis(plan: Plan) -> dict[str, Any]:
    settings = plan.settings
    args: dict[str, Any] = {
        "max-sequence-length": settings.max_model_len,
        "max-new-tokens": max(1, settings.max_model_len // TGIS_ANSWER_PARTS),
        "max-batch-size": settings.max_num_seqs,
        "batch-safety-margin": 20,
        "cuda-process-memory-fraction": settings.utilization,
        "deployment-framework": "tgis_native",
        "dtype-str": plan.dtype,
        "flash-attention": True,
    }
    if plan.quantization:
        args["quantize"] = plan.quantization
    return args
