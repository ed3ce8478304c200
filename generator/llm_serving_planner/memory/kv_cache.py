"""KV cache of one rank: bytes of a block and of a request, and the longest context that fits."""

from functools import lru_cache

from llm_serving_planner.base.records import replace
from llm_serving_planner.memory import tensors
from llm_serving_planner.memory.settings import Settings
from llm_serving_planner.models.spec import LayerGroup, ModelSpec

BLOCK_TOKENS = 16  # vLLM CacheConfig.DEFAULT_BLOCK_SIZE
MLA_BLOCK_TOKENS = 64  # page of the MLA attention backends, vLLM 0.25.1


def page_bytes(group: LayerGroup, settings: Settings) -> tuple[int, int]:
    """(bytes of one block over the group's layers on one rank, tokens of a block)."""
    if group.kind == "index":  # FP8 keys and their scales, whatever the cache's dtype
        return group.count * MLA_BLOCK_TOKENS * group.k_dim, MLA_BLOCK_TOKENS
    if group.kind == "mla":  # one latent for all heads, whole on every rank
        per_token = group.k_dim * settings.kv_element_bytes
        return group.count * MLA_BLOCK_TOKENS * per_token, MLA_BLOCK_TOKENS
    heads = max(1, group.kv_heads // settings.parallel.tensor_parallel_size)
    per_token = heads * (group.k_dim + group.v_dim) * settings.kv_element_bytes
    return group.count * BLOCK_TOKENS * per_token, BLOCK_TOKENS


def padded_layers(spec: ModelSpec) -> list[int]:
    """Layers of each group as the cache counts them: groups of equal size, filled up with padding layers.

    The size is that of the smallest kind, or of the largest where it is less than half as large again (vLLM 0.19.0,
    0.25.1 and 0.33.0, _get_kv_cache_groups_uniform_page_size). Kinds whose layers differ in width are left alone.
    """
    counts = [group.count for group in spec.layers]
    widths = {(group.kind in tensors.LATENT, group.kv_heads, group.k_dim, group.v_dim) for group in spec.layers}
    if len(counts) < 2 or len(widths) > 1 or spec.recurrent is not None:
        return counts
    size = max(counts) if 2 * max(counts) < 3 * min(counts) else min(counts)
    return [-(-count // size) * size for count in counts]


@lru_cache(maxsize=1024)
def _padded(spec: ModelSpec) -> tuple[LayerGroup, ...]:
    return tuple(replace(group, count=count) for group, count in zip(spec.layers, padded_layers(spec), strict=True))


def kv_request_bytes(spec: ModelSpec, settings: Settings, tokens: int) -> int:
    """Cache of one request of `tokens` tokens on one rank, in whole blocks.

    A window keeps its own tokens and those in flight (vllm/v1/kv_cache_interface.py:SlidingWindowSpec).
    """
    need = 0
    for group in (*_padded(spec), *(settings.draft.layers if settings.draft else ())):
        page, block = page_bytes(group, settings)
        if group.window is None:
            blocks = -(-tokens // block)
        elif group.kind == "sliding":
            in_flight = settings.max_num_batched_tokens * settings.parallel.pipeline_parallel_size
            held = min(group.window - 1 + in_flight, tokens)
            blocks = -(-held // block) + 1
        else:
            in_flight = settings.max_num_batched_tokens * settings.parallel.pipeline_parallel_size
            blocks = -(-min(group.window + in_flight, tokens) // block)
        need += page * blocks
    if spec.recurrent is not None:
        need += -(-spec.recurrent.state_bytes // settings.parallel.tensor_parallel_size)
    return need


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
