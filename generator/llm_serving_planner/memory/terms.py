"""GPU memory of a vLLM engine, term by term: pure arithmetic in bytes per GPU.

    KV cache = ceil(u * M) - weights - activations - non-torch - CUDA graphs (where the engine charges them)

The terms and their constants are derived from vLLM's source and checked on real start-ups; each constant is in
data/engines.json with its source. Names follow vLLM: T = max_num_batched_tokens, S = max_num_seqs,
N = max_model_len, u = gpu_memory_utilization, M = GPU memory as CUDA reports it.
"""

import math
from functools import cache

from llm_serving_planner.base.units import GIB
from llm_serving_planner.engines import vllm
from llm_serving_planner.engines.regime import Regime
from llm_serving_planner.memory import activations, extras, graphs, weights
from llm_serving_planner.memory.kv_cache import kv_request_bytes
from llm_serving_planner.memory.settings import Estimate, Gpu, Settings
from llm_serving_planner.models.spec import ModelSpec


def outside_bytes(spec: ModelSpec, gpu: Gpu, settings: Settings, regime: Regime) -> int:
    """What the GPU must hold beyond u * M: CUDA context, uncharged graphs, NCCL on Hopper's NVLink.

    Where a version charges its graphs but was never measured, they count on both sides.
    """
    return _outside(spec, gpu, settings, regime, graphs.regime_bytes(spec, gpu, settings, regime))


def _outside(spec: ModelSpec, gpu: Gpu, settings: Settings, regime: Regime, captured: int) -> int:
    needed = regime.context_bytes or vllm.term_bytes("context")
    if not regime.graphs_charged or not regime.measured:
        needed += captured
    if settings.parallel.pipeline_parallel_size > 1:
        needed += vllm.term_bytes("outside_pipeline")
    if regime.penalties == "outside":
        needed += activations.penalty_bytes(spec, settings)
    exchange = _collective(spec, settings) or settings.parallel.pipeline_parallel_size > 1
    if exchange and gpu.nvlink and gpu.capability >= (9, 0):
        needed += vllm.term_bytes("outside_nvlink_hopper")
        needed += vllm.term_bytes("outside_expert_group") if spec.moe is not None else 0
    return needed


def _collective(spec: ModelSpec, settings: Settings) -> bool:
    """Whether ranks exchange activations in every layer; dense data parallel engines know nothing of each other."""
    parallel = settings.parallel
    return parallel.tensor_parallel_size > 1 or (parallel.data_parallel_size > 1 and spec.moe is not None)


def non_torch_bytes(spec: ModelSpec, gpu: Gpu, settings: Settings, regime: Regime) -> int:
    """Memory outside PyTorch's allocator, NCCL's buffers included."""
    if not _collective(spec, settings):  # a pipeline's channels open when they are first used, after profiling
        return regime.non_torch_bytes or vllm.term_bytes("non_torch")
    if gpu.nvlink and gpu.capability >= (9, 0):
        if settings.multicast:
            return vllm.term_bytes("non_torch_tp_nvlink_hopper")
        group = vllm.term_bytes("non_torch_expert_group") if spec.moe is not None else 0
        return vllm.term_bytes("non_torch_tp_without_multicast") + group
    return vllm.term_bytes("non_torch_tp")


def margin_bytes(spec: ModelSpec, gpu: Gpu, settings: Settings, regime: Regime) -> int:
    """Band of the estimate: small where the version and the GPU class were measured, wide elsewhere."""
    if regime.margin is not None:
        share, least = regime.margin
        return int(max(share * gpu.total_bytes, least))
    margins = _margins()
    if spec.multimodal or spec.hybrid:
        return int(margins["hybrid_or_multimodal"])
    parallel = settings.parallel
    spread = parallel.pipeline_parallel_size > 1 or parallel.data_parallel_size > 1 or parallel.enable_expert_parallel
    if regime.measured and gpu.capability[0] == 9 and not spread:
        if parallel.gpus == 1:
            return int(margins["measured"])
        if gpu.nvlink:
            return int(margins["measured_parallel"])
    return int(max(margins["unmeasured"], vllm.facts()["margins_gib"]["unmeasured_share"]["value"] * gpu.total_bytes))


@cache
def _margins() -> dict[str, float]:
    """The bands of data/engines.json in bytes."""
    return {
        name: entry["value"] * GIB for name, entry in vllm.facts()["margins_gib"].items() if isinstance(entry, dict)
    }


def estimate(spec: ModelSpec, gpu: Gpu, settings: Settings, regime: Regime) -> Estimate:
    """All terms of one GPU (the fullest rank); `spec` is the fullest stage where there are several (`stage_spec`)."""
    requested = math.ceil(gpu.total_bytes * settings.utilization)
    loaded = weights.loaded_bytes(spec, gpu, settings, regime)
    peak = activations.peak_bytes(spec, gpu, settings, regime)
    non_torch = non_torch_bytes(spec, gpu, settings, regime)
    captured = graphs.regime_bytes(spec, gpu, settings, regime)
    charged = captured if regime.graphs_charged else 0
    adapters, draft = extras.lora_bytes(spec, settings), extras.draft_bytes(spec, settings)
    free = requested - loaded - vllm.term_bytes("context")
    requested -= int(regime.hold_back * max(free, 0))
    return Estimate(
        total=gpu.total_bytes,
        requested=requested,
        weights=loaded,
        activations=peak,
        non_torch=non_torch,
        cuda_graphs=charged,
        kv_cache=requested - loaded - peak - non_torch - charged - adapters - draft,
        kv_per_request=kv_request_bytes(spec, settings, settings.max_model_len),
        outside=_outside(spec, gpu, settings, regime, captured),
        margin=margin_bytes(spec, gpu, settings, regime),
        lora=adapters,
        draft=draft,
    )
