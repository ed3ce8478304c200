"""The large tensors that one rank holds, and what PyTorch's allocator adds to each of them.

Engines merge the projections of a layer (queries, keys and values; gate and up) and the experts of a layer into one
tensor each: vLLM 0.25.1 `vllm/model_executor/models/`, `layers/linear.py`, `layers/fused_moe/` (read 2026-11-25).
"""

from collections.abc import Iterator

from llm_serving_planner.base.units import MIB
from llm_serving_planner.models.architectures import ARCHITECTURES
from llm_serving_planner.models.spec import ModelSpec

VOCAB_PADDING = 64  # vllm/model_executor/layers/vocab_parallel_embedding.py
LATENT = ("mla", "index")  # kinds of cache that have no key and value projections of their own
# PyTorch c10/cuda/CUDACachingAllocator.cpp (kMinLargeAlloc, kRoundLarge, kSmallSize; read 2026-11-25): a tensor from
# 10 MiB on gets a block of its own, rounded up to 2 MiB; what is left of the block above 1 MiB is split off.
_OWN_BLOCK, _BLOCK_STEP, _SMALLEST_SPLIT = 10 * MIB, 2 * MIB, MIB
# The loader's limit of vLLM (gpu_worker.py:_scoped_allocator_max_split, 0.25.1): from there on blocks stay whole.
_LOADER_LIMIT = 20 * MIB


def padded_vocab(vocab_size: int) -> int:
    """Rows of the embedding after vLLM's padding to 64."""
    return -(-vocab_size // VOCAB_PADDING) * VOCAB_PADDING


def linear(spec: ModelSpec, tensor_parallel_size: int) -> Iterator[tuple[int, int]]:
    """(number, elements on one rank) of the matrices of the layers."""
    hidden, heads = spec.hidden_size, -(-spec.num_attention_heads // tensor_parallel_size)
    traits = ARCHITECTURES[spec.architecture]
    if spec.mla is not None:
        mla = spec.mla
        queries = heads * (mla.qk_nope + mla.qk_rope)
        yield spec.num_layers, (mla.q_lora_rank or hidden) * queries
        yield spec.num_layers, mla.kv_lora_rank * heads * (mla.qk_nope + mla.v_dim)
        yield spec.num_layers, heads * mla.v_dim * hidden
        if mla.q_lora_rank:
            yield spec.num_layers, hidden * (mla.q_lora_rank + mla.kv_lora_rank + mla.qk_rope)
    for group in spec.layers:
        if group.kind in LATENT:
            continue
        keys = max(1, group.kv_heads // tensor_parallel_size) * (group.k_dim + group.v_dim)
        yield group.count, hidden * (heads * group.k_dim * (2 if traits.output_gate else 1) + keys)
        yield group.count, hidden * heads * group.v_dim
    sides = 2 if traits.gated_mlp else 1
    width = -(-spec.intermediate_size // tensor_parallel_size)
    dense = spec.num_layers - (spec.moe.layers if spec.moe else 0)
    yield dense, sides * width * hidden
    yield dense, width * hidden
    if spec.moe is not None:
        moe = spec.moe
        for number, inner in ((moe.experts, moe.intermediate), (1, moe.shared_intermediate)):
            each = number * -(-inner // tensor_parallel_size) * hidden
            yield moe.layers, sides * each
            yield moe.layers, each


def rounding(spec: ModelSpec, tensor_parallel_size: int, linear_bytes: float, *, whole_blocks: bool) -> int:
    """Bytes that the allocator adds to the weights of one rank.

    Args:
        spec: the model, or its fullest stage.
        tensor_parallel_size: tensor parallel size.
        linear_bytes: bytes per weight of a layer's matrices.
        whole_blocks: the engine loads under a limit above which blocks are not split.
    """
    embedding = padded_vocab(spec.vocab_size) * spec.hidden_size * 2 // tensor_parallel_size
    total = (1 if spec.tied else 2) * _added(embedding, whole_blocks=whole_blocks)
    for number, elements in linear(spec, tensor_parallel_size):
        total += number * _added(int(elements * linear_bytes), whole_blocks=whole_blocks)
    return total


def _added(size: int, *, whole_blocks: bool) -> int:
    if size < _OWN_BLOCK:
        return 0
    rest = -size % _BLOCK_STEP
    split = rest > _SMALLEST_SPLIT and not (whole_blocks and size >= _LOADER_LIMIT)
    return 0 if split else rest


def matrices(spec: ModelSpec) -> int:
    """Matrices of one MLP or expert: three with a gate, two without."""
    return 3 if ARCHITECTURES[spec.architecture].gated_mlp else 2


def expert_bytes(spec: ModelSpec, per_parameter: float) -> int:
    """Weights of all routed experts of the model; 0 for a dense one."""
    if spec.moe is None:
        return 0
    parameters = matrices(spec) * spec.moe.layers * spec.moe.experts * spec.hidden_size * spec.moe.intermediate
    return int(parameters * per_parameter)


def expert_part(spec: ModelSpec, ranks: int, *, whole: bool) -> float:
    """Part of all experts on the fullest of `ranks` ranks: whole ones, rounded up, or a slice of each."""
    if spec.moe is None or not whole:
        return 1 / ranks
    return -(-spec.moe.experts // ranks) / spec.moe.experts
