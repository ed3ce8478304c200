"""Weights of one rank: what is sharded, what is whole, and what loading them adds."""

from functools import lru_cache

from llm_serving_planner.engines.regime import Regime
from llm_serving_planner.memory import kernels, tensors
from llm_serving_planner.memory.kv_cache import BLOCK_TOKENS
from llm_serving_planner.memory.settings import Gpu, ParallelConfig, Settings
from llm_serving_planner.models.architectures import ARCHITECTURES
from llm_serving_planner.models.spec import ModelSpec

# Llama 4 has 10,485,760 positions, and its table lies whole on every rank; more is a typo
LONGEST_ROTARY_TABLE = 1 << 24
_LATENT_CHUNK = 65536  # vllm/model_executor/layers/attention/mla_attention.py: most tokens of a chunked prefill


def weights_bytes(spec: ModelSpec, tensor_parallel_size: int, *, runtime_fp8: bool = False) -> int:
    """Weights of the fullest rank of one engine alone, and its rotary tables, as the tensors are.

    Sharded tensors are divided by the tensor parallel size; keys and values by at most their heads, what mamba's
    groups share by at most their number (vLLM replicates them beyond); norms, routers, learned positions, indexers
    and MLA's down-projections are whole on every rank.
    """
    embedding_rows = spec.vocab_size * (1 if spec.tied else 2)
    embedding = embedding_rows * spec.hidden_size * 2
    loaded = spec.weights.loaded_bytes
    if runtime_fp8 and spec.quantization is None:
        loaded = embedding + max(loaded - embedding, 0) // 2
    per_parameter = linear_bytes(spec, runtime_fp8=runtime_fp8)
    key_value = int(_key_value_parameters(spec) * per_parameter)
    whole = int(_replicated_parameters(spec) * 2)
    groups = spec.recurrent.groups if spec.recurrent else 0
    grouped = int(spec.recurrent.group_parameters * per_parameter) if spec.recurrent else 0
    sharded = max(loaded - key_value - whole - grouped, 0)
    padding = (tensors.padded_vocab(spec.vocab_size) - spec.vocab_size) * spec.hidden_size * (2 if spec.tied else 4)
    kv_heads = max((group.kv_heads for group in spec.layers if group.kind not in tensors.LATENT), default=1)
    rank = (sharded + padding) / tensor_parallel_size + key_value / min(tensor_parallel_size, kv_heads) + whole
    rank += grouped / min(tensor_parallel_size, groups or 1)
    return int(rank) + 2 * min(spec.rotary_elements, LONGEST_ROTARY_TABLE * spec.head_dim)


def rank_weights(spec: ModelSpec, parallel: ParallelConfig, *, runtime_fp8: bool) -> int:
    """Weights of the fullest rank where experts may be divided further than the rest of the model."""
    held = weights_bytes(spec, parallel.tensor_parallel_size, runtime_fp8=runtime_fp8)
    if spec.moe is None or (parallel.data_parallel_size == 1 and not parallel.enable_expert_parallel):
        return held
    experts = min(tensors.expert_bytes(spec, linear_bytes(spec, runtime_fp8=runtime_fp8)), spec.weights.loaded_bytes)
    return max(held - int(experts * (1 / parallel.tensor_parallel_size - expert_part(spec, parallel))), 0)


def expert_part(spec: ModelSpec, parallel: ParallelConfig) -> float:
    """Part of all experts on the fullest rank."""
    return tensors.expert_part(spec, parallel.expert_ranks, whole=parallel.enable_expert_parallel)


def loaded_bytes(spec: ModelSpec, gpu: Gpu, settings: Settings, regime: Regime) -> int:
    """What a rank has taken once the model is loaded: weights, the allocator's rounding, layouts of kernels."""
    fp8 = settings.runtime_fp8
    total = _resident(spec, settings.parallel, gpu.capability, regime, fp8=fp8, cache=settings.kv_element_bytes)
    if spec.mla is not None:
        total += 2 * latent_chunk(settings) * (spec.mla.kv_lora_rank + spec.mla.qk_rope)
    if settings.pooling and not spec.tied and not ARCHITECTURES[spec.architecture].pooling:
        # a generating class that is served for vectors: its head is not loaded (vllm/model_executor/models/adapters.py)
        total -= 2 * tensors.padded_vocab(spec.vocab_size) * spec.hidden_size // settings.parallel.tensor_parallel_size
    if spec.encoder is not None and settings.encoders:  # qwen3_vl.py:2031 deepstack_input_embeds
        total += 2 * spec.encoder.deepstack * settings.max_num_batched_tokens * spec.hidden_size
    return total


@lru_cache(maxsize=4096)  # a search asks for many batches of one model on one GPU
def _resident(
    spec: ModelSpec, parallel: ParallelConfig, capability: tuple[int, int], regime: Regime, *, fp8: bool, cache: float
) -> int:
    """All of `loaded_bytes` that depends on no batch; `cache` are the bytes of an element of the KV cache."""
    size = parallel.tensor_parallel_size
    total = rank_weights(spec, parallel, runtime_fp8=fp8)
    total += tensors.rounding(spec, size, linear_bytes(spec, runtime_fp8=fp8), whole_blocks=regime.whole_blocks)
    total += kernels.added_bytes(spec, size, capability, regime)
    return total + kernels.imported_bytes(spec, capability, regime, fp8=fp8 or cache == 1)


def latent_chunk(settings: Settings) -> int:
    """Tokens of cached context that MLA's prefill works on at once."""
    wanted = max(8 * settings.max_model_len, 4 * settings.max_num_seqs * BLOCK_TOKENS)
    return min(wanted, _LATENT_CHUNK)


def linear_bytes(spec: ModelSpec, *, runtime_fp8: bool) -> float:
    """Bytes per weight of a layer's matrices."""
    if spec.quantization is not None:
        return spec.quantization.bits / 8
    return 1.0 if runtime_fp8 else 2.0


def _key_value_parameters(spec: ModelSpec) -> int:
    return sum(
        group.count * spec.hidden_size * group.kv_heads * (group.k_dim + group.v_dim)
        for group in spec.layers
        if group.kind not in tensors.LATENT
    )


def _replicated_parameters(spec: ModelSpec) -> int:
    norms = spec.hidden_size * (2 * spec.num_layers + 1)
    router = spec.moe.layers * spec.moe.experts * spec.hidden_size if spec.moe else 0
    latent = 0
    if spec.mla is not None:
        width = spec.mla.kv_lora_rank + spec.mla.qk_rope + spec.mla.q_lora_rank
        latent = spec.num_layers * spec.hidden_size * width
        latent += sum(group.count for group in spec.layers if group.kind == "index") * spec.mla.indexer
    return norms + router + latent + spec.learned_positions * spec.hidden_size
