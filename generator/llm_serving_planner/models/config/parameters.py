"""Parameters of the text model, counted from its dimensions: what the weight files are checked against.

Matrices, embeddings, norms and convolutions count; biases and scales of single numbers do not (below 0.1 %). Shapes
from vLLM 0.33.0 `vllm/model_executor/models/` (read 2026-11-25); tests hold the counts to published ones.
"""

from llm_serving_planner.models.architectures import Architecture
from llm_serving_planner.models.config.fields import Config, counts_of, optional, positive
from llm_serving_planner.models.config.layers import blocks_of, layer_kinds
from llm_serving_planner.models.spec import ModelSpec


def count(text: Config, spec: ModelSpec, traits: Architecture) -> int:
    """Parameters of the text model with its head, without encoders and prediction layers."""
    hidden = spec.hidden_size
    embedding = spec.vocab_size * hidden * (1 if spec.tied else 2) + spec.learned_positions * hidden
    norms = (2 * spec.num_layers + 1) * hidden
    return embedding + norms + attention(text, spec, traits) + mixers(text, spec, traits) + mlp(text, spec, traits)


def attention(text: Config, spec: ModelSpec, traits: Architecture) -> int:
    """Projections of all attention layers."""
    if spec.mla is not None:
        return _latent(spec, spec.num_layers)
    if traits.layers == "latent-as-heads":
        return _latent_heads(text, spec)
    total, hidden = 0, spec.hidden_size
    if traits.layers == "encoder":
        return 2 * spec.num_layers * hidden * (spec.num_attention_heads + spec.num_kv_heads) * spec.head_dim
    for group in spec.layers:
        queries = spec.num_attention_heads * group.k_dim * (2 if traits.output_gate else 1)
        one_kv = group.kind == "full" and text.get("attention_k_eq_v") is True
        keys = group.kv_heads * (group.k_dim if one_kv else group.k_dim + group.v_dim)
        total += group.count * hidden * (queries + keys + spec.num_attention_heads * group.v_dim)
    shared = optional(text, "num_kv_shared_layers")
    for kind in layer_kinds(text, spec.num_layers, traits)[-shared:] if shared else ():  # queries and output only
        dim = (optional(text, "global_head_dim") if kind == "full" else None) or spec.head_dim
        total += 2 * hidden * spec.num_attention_heads * dim
    heads = counts_of(text, "num_attention_heads_per_layer", spec.num_layers)  # laguna.py
    if heads is not None:
        total += 2 * hidden * spec.head_dim * (sum(heads) - spec.num_attention_heads * len(heads))
    cross = text.get("cross_attention_layers")
    if isinstance(cross, list):
        total += len(cross) * 2 * hidden * spec.head_dim * (spec.num_attention_heads + spec.num_kv_heads)
    return total


def _latent(spec: ModelSpec, layers: int) -> int:
    mla, hidden, heads = spec.mla, spec.hidden_size, spec.num_attention_heads
    if mla is None:
        return 0
    width = heads * (mla.qk_nope + mla.qk_rope)
    queries = (hidden + width) * mla.q_lora_rank if mla.q_lora_rank else hidden * width
    keys = hidden * (mla.kv_lora_rank + mla.qk_rope) + mla.kv_lora_rank * heads * (mla.qk_nope + mla.v_dim)
    indexers = sum(group.count for group in spec.layers if group.kind == "index") * mla.indexer
    return layers * (queries + keys + heads * mla.v_dim * hidden) + indexers


def _latent_heads(text: Config, spec: ModelSpec) -> int:
    hidden, heads = spec.hidden_size, spec.num_attention_heads
    rope, nope = positive(text, "qk_rope_head_dim"), positive(text, "qk_nope_head_dim")
    value = optional(text, "v_head_dim") or hidden // heads  # minicpm3.py:MiniCPM3Attention
    query_rank, rank = positive(text, "q_lora_rank"), positive(text, "kv_lora_rank")
    queries = query_rank * (hidden + heads * (nope + rope))
    keys = hidden * (rank + rope) + rank * heads * (nope + value)
    return spec.num_layers * (queries + keys + heads * value * hidden)


def mixers(text: Config, spec: ModelSpec, traits: Architecture) -> int:
    """Projections and convolutions of mamba, linear and convolution layers."""
    recurrent, hidden = spec.recurrent, spec.hidden_size
    if recurrent is None:
        return 0
    kinds = layer_kinds(text, spec.num_layers, traits)
    if "conv" in kinds:
        width = optional(text, "conv_dim") or hidden
        return recurrent.count * width * (4 * hidden + positive(text, "conv_L_cache"))
    if "linear" in kinds:
        keys = positive(text, "linear_num_key_heads") * positive(text, "linear_key_head_dim")
        heads = positive(text, "linear_num_value_heads")
        values = heads * positive(text, "linear_value_head_dim")
        kernel = positive(text, "linear_conv_kernel_dim")
        per_layer = hidden * (2 * keys + 2 * values + 2 * heads) + (2 * keys + values) * kernel + values * hidden
        return recurrent.count * per_layer
    state, kernel = positive(text, "ssm_state_size", "mamba_d_state"), positive(text, "conv_kernel", "mamba_d_conv")
    if traits.layers == "period":  # mamba1
        inner = positive(text, "mamba_expand") * hidden
        rank = optional(text, "mamba_dt_rank") or -(-hidden // 16)
        return recurrent.count * inner * (2 * hidden + kernel + rank + 2 * state + rank + state + hidden)
    heads = positive(text, "mamba_num_heads", "mamba_n_heads")
    inner = heads * positive(text, "mamba_head_dim", "mamba_d_head")
    channels = inner + 2 * positive(text, "n_groups", "mamba_n_groups") * state
    return recurrent.count * (hidden * (inner + channels + heads) + channels * (kernel + 1) + inner * (hidden + 1))


def mlp(text: Config, spec: ModelSpec, traits: Architecture) -> int:
    """Dense layers and experts."""
    hidden, matrices = spec.hidden_size, 3 if traits.gated_mlp else 2
    if traits.layers == "blocks":
        widths = [
            -(-int(2 * float(block["ffn"].get("ffn_mult") or 0) * hidden / 3) // 256) * 256
            for block in blocks_of(text)[: spec.num_layers]
        ]
        return matrices * hidden * sum(widths)
    moe = spec.moe
    dense = spec.num_layers - (moe.layers if moe else 0)
    if traits.layers == "hybrid" and traits.state_field:  # one mixer per layer: attention, mamba, MLP or experts
        dense -= spec.attention_layers + (spec.recurrent.count if spec.recurrent else 0)
    elif moe is not None and text.get("enable_moe_block") is True:  # gemma4.py: experts beside the dense MLP
        dense = spec.num_layers
    doubled = (optional(text, "num_kv_shared_layers") or 0) if text.get("use_double_wide_mlp") is True else 0
    total = (dense + doubled) * matrices * hidden * spec.intermediate_size
    if spec.moe is None:
        return total + _per_layer_inputs(text, spec)
    latent = optional(text, "moe_latent_size")
    width = latent or hidden
    per_layer = moe.experts * matrices * width * moe.intermediate + moe.experts * hidden if moe else 0
    per_layer += matrices * hidden * moe.shared_intermediate if moe else 0
    per_layer += 2 * hidden * latent if latent else 0
    return total + (moe.layers if moe else 0) * per_layer + _per_layer_inputs(text, spec)


def _per_layer_inputs(text: Config, spec: ModelSpec) -> int:
    """Embeddings of their own for every layer (gemma4.py)."""
    width = text.get("hidden_size_per_layer_input")
    if not isinstance(width, int) or not width:
        return 0
    rows = optional(text, "vocab_size_per_layer_input") or spec.vocab_size
    return spec.num_layers * width * (rows + 3 * spec.hidden_size)
