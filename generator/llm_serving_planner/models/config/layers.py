"""Which layers of a model cache what: attention of every kind, windows, recurrent states.

Rules by model class from vLLM 0.33.0 `vllm/model_executor/models/` and `vllm/models/` (file names beside each rule,
read 2026-11-25) and from the config classes of transformers 5.23.0. A kind of layer that no rule names is refused.
"""

from llm_serving_planner.base.errors import UnsupportedModelError
from llm_serving_planner.models.architectures import Architecture
from llm_serving_planner.models.config.fields import Config, flags_of, names_of, optional, positive
from llm_serving_planner.models.spec import LayerGroup, Mla, Recurrent

_LISTED = {
    "full_attention": "full", "attention": "full", "sliding_attention": "sliding", "chunked_attention": "chunked",
    "linear_attention": "linear", "mamba": "mamba", "mamba2": "mamba", "conv": "conv", "mlp": "none", "moe": "none",
}  # fmt: skip
_LATENT = {"full_attention": "mla", "attention": "mla", "deepseek_sparse_attention": "mla"}
_PATTERN = {"M": "mamba", "*": "full", "-": "none", "E": "none"}  # nemotron_h.py: hybrid_override_pattern
_STATE_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
_CACHE_DTYPES = {"auto": None, **_STATE_BYTES}
_INDEX_BLOCK = 128  # deepseek_v2.py:Indexer: one 4-byte scale per 128 one-byte elements of a key


def num_layers(text: Config) -> int:
    """Layers of the text model, by number or by the length of the list that names them."""
    if "num_hidden_layers" not in text:
        for field in ("hybrid_override_pattern", "layers_block_type"):
            listed = text.get(field)
            if isinstance(listed, str | list) and listed:
                return len(listed)
    return positive(text, "num_hidden_layers", "n_layer", "num_layers")


def layer_kinds(text: Config, layers: int, traits: Architecture) -> list[str]:
    """One of full, sliding, chunked, linear, mamba, conv, both, none per layer.

    Raises:
        UnsupportedModelError: a kind of layer or of window that is not known.
    """
    if traits.layers == "parallel":  # falcon_h1.py: every layer holds attention and a mamba mixer
        return ["both"] * layers
    if traits.layers == "period":  # jamba.py, transformers JambaConfig.layers_block_type
        period, offset = positive(text, "attn_layer_period"), optional(text, "attn_layer_offset") or 0
        return ["full" if index % period == offset else "mamba" for index in range(layers)]
    pattern = text.get("hybrid_override_pattern")
    if isinstance(pattern, str):
        unknown = [letter for letter in pattern if letter not in _PATTERN]
        if unknown or len(pattern) < layers:
            found = unknown[0] if unknown else f"{len(pattern)} entries for {layers} layers"
            raise UnsupportedModelError("hybrid_override_pattern", found)
        return [_PATTERN[letter] for letter in pattern[:layers]]
    for field in ("layer_types", "layers_block_type"):
        listed = names_of(text, field, _LISTED, layers)
        if listed is not None:
            return listed
    return _implied(text, layers, traits)


def _implied(text: Config, layers: int, traits: Architecture) -> list[str]:
    """Kinds of layers where the config has no list of names."""
    if traits.layers == "blocks":
        return _blocks(text, layers)
    if traits.layers == "cross":
        cross = text.get("cross_attention_layers")
        if not isinstance(cross, list):
            raise UnsupportedModelError("cross_attention_layers", cross, hint="a list of layers is expected")
        return ["none" if index in cross else "full" for index in range(layers)]
    if traits.layers == "flags":  # mimo_v2.py:is_compressed_softmax_layer
        sliding = flags_of(text, "hybrid_layer_pattern", layers)
        if sliding is None:
            raise UnsupportedModelError("hybrid_layer_pattern", text.get("hybrid_layer_pattern"))
        return ["sliding" if flag else "full" for flag in sliding]
    if traits.layers == "linear":
        interval = positive(text, "full_attention_interval")
        return ["full" if (index + 1) % interval == 0 else "linear" for index in range(layers)]
    if traits.layers == "hybrid":
        raise UnsupportedModelError("layer_types", None, hint="the class mixes kinds of layers: the list is needed")
    return _windowed(text, layers, traits)


def blocks_of(text: Config) -> list[Config]:
    """The blocks of a model that was found by architecture search (nemotron_nas.py)."""
    blocks = text.get("block_configs")
    if not isinstance(blocks, list) or not all(
        isinstance(block, dict) and isinstance(block.get("attention"), dict) and isinstance(block.get("ffn"), dict)
        for block in blocks
    ):
        raise UnsupportedModelError("block_configs", type(blocks).__name__, hint="a list of blocks is expected")
    return blocks


def _blocks(text: Config, layers: int) -> list[str]:
    blocks = blocks_of(text)
    if len(blocks) < layers:
        raise UnsupportedModelError("block_configs", f"{len(blocks)} entries for {layers} layers")
    return ["full" if block["attention"].get("n_heads_in_group") else "none" for block in blocks[:layers]]


def _windowed(text: Config, layers: int, traits: Architecture) -> list[str]:
    if traits.window == "chunked-one-in-four":  # llama4.py: no_rope_layers, every fourth
        chunked = optional(text, "attention_chunk_size") is not None
        return ["chunked" if chunked and (index + 1) % 4 else "full" for index in range(layers)]
    window = text.get("sliding_window")
    if window is not None and (isinstance(window, bool) or not isinstance(window, int) or window < 0):
        raise UnsupportedModelError("sliding_window", window, hint="a number of tokens or null is expected")
    switch = text.get("use_sliding_window")
    if switch is not None and not isinstance(switch, bool):
        raise UnsupportedModelError("use_sliding_window", switch, hint="true or false is expected")
    if not window or switch is False:
        return ["full"] * layers
    if traits.window == "opt-in":
        return _opted_in(text, layers, switch=bool(switch))
    every = {"alternate": 2, "one-in-six": 6, "one-in-four": 4}.get(traits.window)
    for field in ("sliding_window_pattern", "_sliding_window_pattern"):
        pattern = text.get(field)
        if pattern is None:
            continue
        if isinstance(pattern, bool) or not isinstance(pattern, int) or pattern < 1:
            raise UnsupportedModelError(
                field, pattern, hint="a number of layers is expected where layer_types is absent"
            )
        if every is not None:
            every = pattern
    if every is None:
        return ["sliding"] * layers
    return ["full" if (index + 1) % every == 0 else "sliding" for index in range(layers)]


def _opted_in(text: Config, layers: int, *, switch: bool) -> list[str]:
    """Qwen2, Qwen3: a window only where asked for (transformers Qwen2Config), in all layers or in none (qwen2.py)."""
    if not switch:
        return ["full"] * layers
    full = text.get("max_window_layers")
    if isinstance(full, bool) or not isinstance(full, int) or 0 < full < layers:
        raise UnsupportedModelError(
            "max_window_layers", full, hint="vLLM serves the class with a window in all layers or in none"
        )
    return ["full" if full >= layers else "sliding"] * layers


def layer_groups(
    text: Config, layers: int, kv_heads: int, head_dim: int, mla: Mla | None, traits: Architecture
) -> tuple[LayerGroup, ...]:
    """Attention layers by what they cache.

    Raises:
        UnsupportedModelError: a kind of layer or of window that is not known.
    """
    if mla is not None:
        names_of(text, "layer_types", _LATENT, layers)
        return _latent(text, layers, mla, traits)
    if traits.layers == "latent-as-heads":  # minicpm3.py: latent attention without a latent cache
        width = positive(text, "qk_nope_head_dim") + positive(text, "qk_rope_head_dim")
        return (LayerGroup("full", layers, kv_heads, width, width),)
    if traits.layers == "encoder":  # attention both ways over a whole prompt: nothing is cached
        return ()
    kinds = layer_kinds(text, layers, traits)
    shared = optional(text, "num_kv_shared_layers") or 0
    kinds = kinds[: layers - shared]
    groups = []
    full = kinds.count("full") + kinds.count("both")
    if full:
        heads = optional(text, "num_global_key_value_heads") or kv_heads
        key = optional(text, "global_head_dim") or head_dim
        value = (optional(text, "v_head_dim") or key) if traits.layers == "flags" else key
        groups.append(LayerGroup("full", full, heads, key, value))
    if sliding := kinds.count("sliding"):
        groups.append(_sliding(text, sliding, kv_heads, head_dim, traits))
    if chunked := kinds.count("chunked"):
        window = positive(text, "attention_chunk_size")
        groups.append(LayerGroup("chunked", chunked, kv_heads, head_dim, head_dim, window))
    return tuple(groups)


def _sliding(text: Config, count: int, kv_heads: int, head_dim: int, traits: Architecture) -> LayerGroup:
    if traits.layers == "flags":  # mimo_v2.py: window layers have heads of their own
        key = positive(text, "swa_head_dim")
        value = optional(text, "swa_v_head_dim") or key
        heads, window = positive(text, "swa_num_key_value_heads"), positive(text, "sliding_window_size")
        return LayerGroup("sliding", count, heads, key, value, window)
    return LayerGroup("sliding", count, kv_heads, head_dim, head_dim, positive(text, "sliding_window"))


def _latent(text: Config, layers: int, mla: Mla, traits: Architecture) -> tuple[LayerGroup, ...]:
    """The latent cache, and the keys of the indexer of sparse attention (vllm/models/deepseek_v32/attention.py)."""
    latent = LayerGroup("mla", layers, 1, mla.kv_lora_rank + mla.qk_rope, 0)
    if not traits.indexer:
        return (latent,)
    width = positive(text, "index_head_dim")
    pattern = text.get("index_topk_pattern")
    if pattern is not None and (
        not isinstance(pattern, str | list) or not all(letter in ("F", "S") for letter in pattern)
    ):
        raise UnsupportedModelError("index_topk_pattern", pattern, hint="F and S are known")
    every = optional(text, "index_topk_freq") or 1
    offset = optional(text, "index_skip_topk_offset") or 2
    with_keys = sum(
        list(pattern)[index : index + 1] != ["S"] if pattern else max(index - offset + 1, 0) % every == 0
        for index in range(layers)
    )
    return latent, LayerGroup("index", with_keys, 1, width + -(-width // _INDEX_BLOCK) * 4, 0)


def recurrent(text: Config, layers: int, traits: Architecture) -> Recurrent | None:
    """State of mamba, linear and convolution layers (vllm/model_executor/layers/mamba/mamba_utils.py).

    Raises:
        UnsupportedModelError: a dimension or the dtype of the state is missing or not known.
    """
    kinds = layer_kinds(text, layers, traits)
    mamba, linear, conv = kinds.count("mamba") + kinds.count("both"), kinds.count("linear"), kinds.count("conv")
    width = _state_width(text, traits)
    state, channels, groups, grouped = 0, 0, 0, 0
    if conv:  # lfm2.py: a short convolution has no state but its own inputs
        channels, kernel = positive(text, "conv_dim", "hidden_size"), positive(text, "conv_L_cache")
    elif mamba and traits.layers == "period":  # jamba.py: mamba1
        inner = positive(text, "mamba_expand") * positive(text, "hidden_size")
        state, channels, kernel = inner * positive(text, "mamba_d_state"), inner, positive(text, "mamba_d_conv")
    elif mamba:
        heads, dim = (
            positive(text, "mamba_num_heads", "mamba_n_heads"),
            positive(text, "mamba_head_dim", "mamba_d_head"),
        )
        size = positive(text, "ssm_state_size", "mamba_d_state")
        groups, kernel = positive(text, "n_groups", "mamba_n_groups"), positive(text, "conv_kernel", "mamba_d_conv")
        state, channels = heads * dim * size, heads * dim + 2 * groups * size
        grouped = mamba * 2 * groups * size * (positive(text, "hidden_size") + kernel)  # mamba_mixer2.py: B and C
    elif linear:
        key_dim, value_dim = positive(text, "linear_key_head_dim"), positive(text, "linear_value_head_dim")
        values = positive(text, "linear_num_value_heads")
        kernel = positive(text, "linear_conv_kernel_dim")
        state = values * value_dim * key_dim
        channels = 2 * positive(text, "linear_num_key_heads") * key_dim + values * value_dim
    else:
        return None
    count = mamba + linear + conv
    return Recurrent(count, count * (state * width + channels * (kernel - 1) * 2), groups, grouped)


def _state_width(text: Config, traits: Architecture) -> int:
    """Bytes per element of the recurrent state: the model's own (16 bits) unless the class reads a field for it."""
    if traits.state_field is None:
        return 2
    value = text.get(traits.state_field)
    if value is None:
        value = traits.state_default
    if not isinstance(value, str) or value not in _CACHE_DTYPES:
        raise UnsupportedModelError(traits.state_field, value, hint=f"known are {', '.join(_CACHE_DTYPES)}")
    return _CACHE_DTYPES[value] or 2
