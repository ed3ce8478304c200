"""KV cache of one rank: bytes of a block and of a request, and the longest context that fits."""

from functools import lru_cache

from llm_serving_planner.base.records import record, replace
from llm_serving_planner.engines.regime import Regime
from llm_serving_planner.memory import tensors
from llm_serving_planner.memory.settings import Gpu, Settings
from llm_serving_planner.models.architectures import ARCHITECTURES
from llm_serving_planner.models.spec import LayerGroup, ModelSpec

BLOCK_TOKENS = 16  # vLLM CacheConfig.DEFAULT_BLOCK_SIZE
MLA_BLOCK_TOKENS = 64  # page of the MLA attention backends, vLLM 0.25.1
# vLLM 0.33.0 gdn_attn.py:FLASHINFER_GDN_CHECKPOINT_ALIGNMENT; qwen_gdn_linear_attn.py:_resolve_gdn_prefill_backend
# takes FlashInfer on Hopper and Blackwell, Triton elsewhere (read 2026-11-29)
_LINEAR_CHECKPOINT_STEP = 64
_FLASHINFER_PREFILL = (9, 10, 12)


def page_bytes(group: LayerGroup, settings: Settings) -> tuple[int, int]:
    """(bytes of one block over the group's layers on one rank, tokens of a block)."""
    if group.kind == "index":  # FP8 keys and their scales, whatever the cache's dtype
        return group.count * MLA_BLOCK_TOKENS * group.k_dim, MLA_BLOCK_TOKENS
    if group.kind == "mla":  # one latent for all heads, whole on every rank
        per_token = int(group.k_dim * settings.kv_element_bytes)
        return group.count * MLA_BLOCK_TOKENS * per_token, MLA_BLOCK_TOKENS
    size = settings.parallel.tensor_parallel_size
    per_token = _token_bytes(group, size, settings.kv_element_bytes, settings.kv_scale_bytes)
    return group.count * BLOCK_TOKENS * per_token, BLOCK_TOKENS


def _token_bytes(group: LayerGroup, tensor_parallel_size: int, element_bytes: float, scale_bytes: int) -> int:
    """Keys and values of one token in one layer on one rank."""
    heads = max(1, group.kv_heads // tensor_parallel_size)
    return heads * (int((group.k_dim + group.v_dim) * element_bytes) + scale_bytes)


def padded_layers(spec: ModelSpec) -> list[int]:
    """Layers of each group as the cache counts them: groups of equal size, filled up with padding layers.

    The size is that of the smallest kind, or of the largest where it is less than half as large again (vLLM 0.19.0,
    0.25.1 and 0.33.0, _get_kv_cache_groups_uniform_page_size). Kinds whose layers differ in width are left alone.
    """
    counts = [group.count for group in spec.layers]
    widths = {(group.kind in tensors.LATENT, group.kv_heads, group.k_dim, group.v_dim) for group in spec.layers}
    if len(counts) < 2 or len(widths) > 1 or spec.recurrent is not None:
        return counts
    size = _group_size(counts)
    return [-(-count // size) * size for count in counts]


def _group_size(counts: list[int]) -> int:
    """Layers of every group of the cache."""
    return max(counts) if 2 * max(counts) < 3 * min(counts) else min(counts)


@lru_cache(maxsize=1024)
def _padded(spec: ModelSpec) -> tuple[LayerGroup, ...]:
    return tuple(replace(group, count=count) for group, count in zip(spec.layers, padded_layers(spec), strict=True))


def kv_request_bytes(spec: ModelSpec, settings: Settings, tokens: int) -> int:
    """Cache of one request of `tokens` tokens on one rank, in whole blocks.

    A window keeps its own tokens and those in flight (vllm/v1/kv_cache_interface.py:SlidingWindowSpec).
    """
    if spec.recurrent is not None:
        layout = _state_layout(spec, settings)
        need = layout.pool_bytes * _state_blocks(spec, settings, layout, tokens)
        groups: tuple[LayerGroup, ...] = ()
    else:
        need, groups = 0, _padded(spec)
    for group in (*groups, *(settings.draft.layers if settings.draft else ())):
        page, block = page_bytes(group, settings)
        need += page * _blocks(group, settings, tokens, block)
    return need


def _blocks(group: LayerGroup, settings: Settings, tokens: int, block: int) -> int:
    """Blocks of `block` tokens that a request of `tokens` tokens holds in a layer."""
    if group.window is None:
        return -(-tokens // block)
    batches = settings.parallel.pipeline_parallel_size + settings.batches_ahead
    in_flight = settings.max_num_batched_tokens * batches
    if group.kind == "sliding":  # it may begin within a block
        return -(-min(group.window - 1 + in_flight, tokens) // block) + 1
    return -(-min(group.window + in_flight, tokens) // block)


@record
class _StateLayout:
    """Pool of a model with recurrent states: pages as large as the attention's, which hold at least one layer's state.

    `block` is in tokens, `size` in layers of a group, `pool_bytes` are those of one page of every layer of a group.
    """

    block: int
    size: int
    pool_bytes: int


@lru_cache(maxsize=1024)
def _layout_of(
    spec: ModelSpec, tensor_parallel_size: int, element_bytes: float, scale_bytes: int, step: int
) -> _StateLayout:
    """VLLM 0.33.0 platforms/interface.py:_align_hybrid_block_size, kv_cache_planning.py (read 2026-11-29)."""
    recurrent = spec.recurrent
    if recurrent is None:
        raise ValueError(f"{spec.model_id} has no recurrent state")
    state = -(-recurrent.state_bytes // recurrent.count // tensor_parallel_size)
    widths = [_token_bytes(group, tensor_parallel_size, element_bytes, scale_bytes) for group in spec.layers]
    if not widths:
        return _StateLayout(step, recurrent.count, recurrent.count * state)
    block = step * -(-state // (step * max(widths)))
    size = _group_size([*(group.count for group in spec.layers), recurrent.count])
    return _StateLayout(block, size, size * block * max(widths))


def _state_layout(spec: ModelSpec, settings: Settings) -> _StateLayout:
    size = settings.parallel.tensor_parallel_size
    return _layout_of(spec, size, settings.kv_element_bytes, settings.kv_scale_bytes, settings.state_step)


def _state_blocks(spec: ModelSpec, settings: Settings, layout: _StateLayout, tokens: int) -> int:
    """Pool blocks of one request: its tokens in each group of attention layers, its pages in each of states."""
    found = sum(
        -(-group.count // layout.size) * _blocks(group, settings, tokens, layout.block) for group in spec.layers
    )
    states = -(-spec.recurrent.count // layout.size) if spec.recurrent else 0
    drafted = settings.draft.tokens if settings.draft else 0
    return found + states * (settings.state_pages + drafted)


def state_pages(spec: ModelSpec, settings: Settings, budget: int) -> int | None:
    """Pages that the pool has for states; None for a model without. Each decoding sequence needs one of them.

    vLLM 0.33.0 vllm/config/compilation.py:1512 compares it with max_num_seqs where CUDA graphs are captured.
    """
    if spec.recurrent is None:
        return None
    return max(budget, 0) // _state_layout(spec, settings).pool_bytes


def state_rules(spec: ModelSpec, gpu: Gpu, regime: Regime, *, prefixes: bool) -> tuple[int, int]:
    """(pages of a layer's state that a request holds, tokens of which a block is a multiple) with that version.

    Args:
        spec: the model.
        gpu: whose kernels decide whether linear attention keeps a checkpoint within a prefill.
        regime: of the version.
        prefixes: prefixes are cached.
    """
    rules = regime.cache
    if spec.recurrent is None or not prefixes or rules.state_pages == 1:
        return 1, BLOCK_TOKENS
    linear = ARCHITECTURES[spec.architecture].layers == "linear"
    kind = "linear" if linear else "mamba2" if spec.recurrent.groups else ""
    if kind not in rules.checkpoint_kinds or (linear and not (gpu.cuda and gpu.capability[0] in _FLASHINFER_PREFILL)):
        return rules.state_pages, BLOCK_TOKENS
    return rules.state_pages + 1, _LINEAR_CHECKPOINT_STEP if linear else BLOCK_TOKENS


def longest_context(spec: ModelSpec, settings: Settings, budget: int, limit: int) -> int:
    """Largest number of tokens, a multiple of the block, that one request may have within `budget` bytes.

    `limit` itself is returned when it fits, whether or not it is such a multiple. 0 when nothing fits.
    """
    if kv_request_bytes(spec, settings, limit) <= budget:
        return limit
    low, high = 0, limit // BLOCK_TOKENS
    while low < high:
        middle = (low + high + 1) // 2
        if kv_request_bytes(spec, settings, middle * BLOCK_TOKENS) <= budget:
            low = middle
        else:
            high = middle - 1
    return low * BLOCK_TOKENS
