"""What every tensor parallel rank of vLLM holds, tensor by tensor: an oracle for the planner's weights.

Written from the layers of vLLM 0.33.0 (`vllm/model_executor/layers/linear.py`, `vocab_parallel_embedding.py`,
`mamba_mixer2.py`, the model files; read 2026-11-25), not from the planner's formula. Sizes in parameters.
"""

from collections.abc import Iterator
from typing import Any

Config = dict[str, Any]
Tensor = tuple[int, int]  # parameters, the number of ranks that share them


def _attention(c: Config, tp: int) -> Iterator[Tensor]:
    h, n, k = c["hidden_size"], c["num_attention_heads"], c["num_key_value_heads"]
    d = c.get("head_dim") or h // n
    yield h * n * d, tp  # q
    yield 2 * h * k * d, min(tp, k)  # k and v: a rank keeps at least one head
    yield n * d * h, tp  # o
    if c.get("qkv_bias"):
        yield n * d, tp
        yield 2 * k * d, min(tp, k)


def _latent(c: Config, tp: int) -> Iterator[Tensor]:
    h, n, r, q = c["hidden_size"], c["num_attention_heads"], c["kv_lora_rank"], c.get("q_lora_rank")
    nope, rope, v = c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["v_head_dim"]
    if q:
        yield h * q + q, 1  # fused_qkv_a_proj is whole on every rank
        yield q * n * (nope + rope), tp
    else:
        yield h * n * (nope + rope), tp
    yield h * (r + rope) + r, 1
    yield r * n * (nope + v), tp
    yield n * v * h, tp
    if c.get("index_head_dim"):  # DeepseekV32Indexer: wq_b, wk, weights_proj are replicated
        yield q * c["index_n_heads"] * c["index_head_dim"], 1
        yield h * (c["index_head_dim"] + c["index_n_heads"]), 1


def _mamba2(c: Config, tp: int) -> Iterator[Tensor]:
    heads = c.get("mamba_num_heads") or c["mamba_n_heads"]
    inner = heads * (c.get("mamba_head_dim") or c["mamba_d_head"])
    groups = c.get("n_groups") or c["mamba_n_groups"]
    bc = 2 * groups * (c.get("ssm_state_size") or c["mamba_d_state"])
    kernel, h = c.get("conv_kernel") or c["mamba_d_conv"], c["hidden_size"]
    share = tp if groups % tp == 0 else groups  # groups are repeated so that every rank has those of its heads
    yield h * (2 * inner + heads), tp
    yield h * bc, share
    yield inner * (kernel + 1), tp
    yield bc * (kernel + 1), share
    yield 3 * heads + inner, tp
    yield inner * h, tp


def _mlp(h: int, width: int, tp: int, matrices: int = 3) -> Iterator[Tensor]:
    yield matrices * h * width, tp


def _experts(c: Config, tp: int, matrices: int = 3) -> Iterator[Tensor]:
    h = c["hidden_size"]
    experts = c.get("n_routed_experts") or c.get("num_experts") or c["num_local_experts"]
    width = c.get("moe_intermediate_size") or c["intermediate_size"]
    yield experts * matrices * h * width, tp
    yield experts * h, 1  # router
    shared = c.get("shared_expert_intermediate_size") or c.get("moe_shared_expert_intermediate_size")
    shared = shared or c.get("shared_intermediate_size") or c.get("n_shared_experts", 0) * width
    if shared:
        yield from _mlp(h, shared, tp, matrices)


def tensors(c: Config, tp: int) -> Iterator[Tensor]:
    """All tensors of the model with the number of ranks that share each."""
    h = c["hidden_size"]
    vocab = -(-c["vocab_size"] // 64) * 64
    yield vocab * h * (1 if c["tie_word_embeddings"] else 2), tp
    yield h, 1
    if c.get("n_positions"):
        yield c["n_positions"] * h, 1
    for layer in range(c["num_hidden_layers"]):
        yield 2 * h, 1
        yield from _layer(c, layer, tp)


def _layer(c: Config, layer: int, tp: int) -> Iterator[Tensor]:
    h, matrices = c["hidden_size"], c.get("_matrices", 3)
    pattern = c.get("hybrid_override_pattern")
    if pattern:  # one mixer per layer
        yield from {
            "M": lambda: _mamba2(c, tp),
            "*": lambda: _attention(c, tp),
            "E": lambda: _experts(c, tp, matrices),
            "-": lambda: _mlp(h, c["intermediate_size"], tp, matrices),
        }[pattern[layer]]()
        return
    kinds = c.get("layer_types")
    if kinds and kinds[layer] == "mamba":
        yield from _mamba2(c, tp)
    elif c.get("kv_lora_rank"):
        yield from _latent(c, tp)
    else:
        yield from _attention(c, tp)
    has_experts = any(c.get(key) for key in ("n_routed_experts", "num_experts", "num_local_experts"))
    if has_experts and layer >= c.get("first_k_dense_replace", 0):
        yield from _experts(c, tp, matrices)
    else:
        yield from _mlp(h, c["intermediate_size"], tp, matrices)


def whole(c: Config) -> int:
    """Parameters of the checkpoint."""
    padding = (-c["vocab_size"] % 64) * c["hidden_size"] * (1 if c["tie_word_embeddings"] else 2)
    total: int = sum(size for size, _ in tensors(c, 1)) - padding
    return total


def rank(c: Config, tp: int) -> float:
    """Parameters of one rank."""
    return sum(size / ranks for size, ranks in tensors(c, tp))
