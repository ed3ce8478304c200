"""Memory of CUDA graphs: a figure per layer, or where a version was measured by itself one per graph.

vLLM captures a graph per batch size, each size once in pieces and the sizes of pure decoding once more as a whole
(vLLM 0.33.0 vllm/config/vllm.py:_set_cudagraph_sizes, v1/worker/gpu/cudagraph_utils.py; read 2026-11-25).
"""

from functools import cache

from llm_serving_planner.engines import vllm
from llm_serving_planner.engines.regime import Regime
from llm_serving_planner.memory.settings import Gpu, Settings
from llm_serving_planner.models.spec import ModelSpec

SMALL_HIDDEN = 1024
SMALL_HIDDEN_SHARE = 0.6  # 0.018 of 0.030 GiB per layer at hidden size 1024 (Qwen3-0.6B, vLLM 0.25.1)
USUAL_LARGEST = 512  # tokens of the largest graph; twice that on Blackwell, and for gpt-oss (models/config.py)
_TWICE = frozenset({"GptOssForCausalLM"})
# Graphs of 1,024 sequences, of which the figure per layer was measured: 51 sizes, each once more for pure decoding.
_MOST_CAPTURED = 102
# 0.1 to 0.3 of 2.03 GiB in logs of 0.24 with one sequence (github.com/noonghunna/club-3090 issue 612)
_LEAST_SHARE = 0.1


def graph_bytes(spec: ModelSpec, *, enforce_eager: bool) -> int:
    """CUDA graphs of a compiled start: about 31 MiB per layer, and more where experts are captured with them."""
    if enforce_eager:
        return 0
    share = SMALL_HIDDEN_SHARE if spec.hidden_size <= SMALL_HIDDEN else 1.0
    experts = vllm.term_bytes("graph_experts") if spec.moe is not None else 0
    return int(spec.num_layers * vllm.term_bytes("graph_per_layer") * share) + experts


def largest(spec: ModelSpec, gpu: Gpu, settings: Settings) -> int:
    """Tokens of the largest batch that is captured: twice the sequences, up to a limit."""
    blackwell = gpu.cuda and gpu.capability[0] == 10  # of data centres
    sequences: int = settings.max_num_seqs * settings.positions
    limit = 2 * USUAL_LARGEST if blackwell or spec.architecture in _TWICE else USUAL_LARGEST
    return min(2 * sequences, limit, settings.max_num_batched_tokens)


def captured(spec: ModelSpec, gpu: Gpu, settings: Settings) -> int:
    """Graphs in all: one in pieces for each size, one as a whole for each that decoding alone can reach."""
    return _captured(largest(spec, gpu, settings), settings)


def _captured(most: int, settings: Settings) -> int:
    decoding: int = settings.max_num_seqs * settings.positions
    return _sizes(most) + _sizes(min(decoding, most))


@cache
def _sizes(most: int) -> int:
    """Number of batch sizes up to `most` for which vLLM captures a graph."""
    return len([size for size in (1, 2, 4, *range(8, 256, 8), *range(256, most + 1, 16)) if size <= most])


def regime_bytes(spec: ModelSpec, gpu: Gpu, settings: Settings, regime: Regime) -> int:
    """CUDA graphs as the version charges or takes them.

    Experts alone add nothing where the version was measured (OLMoE, Qwen3-30B-A3B); shared experts, which run on a
    stream of their own, and MXFP4 add a figure each. Before, the figure per layer is that of all sizes that are
    captured for many sequences, and fewer sequences take their share.
    """
    if settings.enforce_eager:
        return 0
    if not regime.graph_each_bytes:
        share = captured(spec, gpu, settings) / _MOST_CAPTURED
        return int(graph_bytes(spec, enforce_eager=False) * min(max(share, _LEAST_SHARE), 1.0))
    most = largest(spec, gpu, settings)
    total = spec.num_layers * _captured(most, settings) * regime.graph_each_bytes
    columns = -(-spec.hidden_size // settings.parallel.tensor_parallel_size)
    total += columns * regime.graph_width_bytes * most // USUAL_LARGEST
    if spec.moe is not None and spec.mxfp4:
        total += vllm.term_bytes("graph_experts_mxfp4")
    elif spec.moe is not None and spec.moe.shared_intermediate:
        total += vllm.term_bytes("graph_experts_shared")
    return total
