"""config.json -> ModelSpec: pure reading, with every unknown refused by the name of its field.

Field names and class defaults follow the model classes of transformers 5.23.0 and vLLM 0.33.0
(read 2026-11-22). Nothing is guessed: a field that sizing needs and that is neither given nor implied by the
model class ends in UnsupportedModelError.
"""

from collections.abc import Mapping
from typing import Any

from llm_serving.architectures import ARCHITECTURES, NOT_MODELLED, Architecture
from llm_serving.errors import UnsupportedModelError
from llm_serving.model import LayerGroup, Mla, ModelSpec, Moe, Recurrent, Weights
from llm_serving.quantization import parse_quantization

Config = Mapping[str, Any]

_TEXT_CONFIGS = ("text_config", "llm_config", "language_config")
_MAX_REASONABLE = 100_000_000


def parse(
    config: Config,
    *,
    model_id: str,
    weights: Weights,
    revision: str | None = None,
    gated: bool | None = None,
    source: str,
    quant_config: Config | None = None,
) -> ModelSpec:
    """Build the ModelSpec of a checkpoint.

    Args:
        config: config.json as a mapping.
        model_id: hub id or folder.
        weights: sizes of the checkpoint (bytes).
        revision: commit, when known.
        gated: the hub's flag, None when unknown.
        source: where the facts come from, for the plan.
        quant_config: hf_quant_config.json or quantize_config.json, where the checkpoint has one.

    Raises:
        UnsupportedModelError: a field is missing, contradictory or not understood.
    """
    architecture, traits = _architecture(config)
    text = _text_config(config)
    hidden = _positive(text, "hidden_size", "n_embd", "d_model", "n_embed")
    heads = _positive(text, "num_attention_heads", "n_head", "num_heads")
    layers = _num_layers(text)
    mla = _mla(text, architecture)
    head_dim = _optional(text, "head_dim", "attention_head_dim", "kv_channels") or hidden // heads
    kv_heads = _kv_heads(text, heads, architecture)
    return ModelSpec(
        model_id=model_id,
        revision=revision,
        gated=gated,
        source=source,
        architecture=architecture,
        dtype=_dtype(config, text),
        hidden_size=hidden,
        num_layers=layers,
        num_attention_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate_size=_intermediate(text, hidden, architecture),
        vocab_size=_positive(text, "padded_vocab_size", "vocab_size"),
        max_position=_max_position(text, config),
        tied=bool(text.get("tie_word_embeddings", config.get("tie_word_embeddings", traits.tied))),
        layers=_layer_groups(text, layers, kv_heads, head_dim, mla, traits, architecture),
        weights=weights,
        recurrent=None if mla else _recurrent(text, layers, architecture),
        moe=_moe(text, layers),
        mla=mla,
        quantization=parse_quantization(config, text, quant_config),
        multimodal=traits.multimodal,
        remote_code="auto_map" in config and config.get("model_type") in _REMOTE_CODE_TYPES,
    )


# Classes whose tokenizer or config has no copy in transformers: the engine needs --trust-remote-code.
_REMOTE_CODE_TYPES = frozenset({"qwen", "chatglm", "baichuan", "phi3small", "minicpm3", "nemotron-nas"})


def _architecture(config: Config) -> tuple[str, Architecture]:
    names = config.get("architectures")
    if not isinstance(names, list) or not names or not isinstance(names[0], str):
        raise UnsupportedModelError("architectures", names, hint="the file must name the model class")
    name = names[0]
    if name in NOT_MODELLED:
        raise UnsupportedModelError("architectures", name, hint=f"not sized yet: {NOT_MODELLED[name]}")
    if name not in ARCHITECTURES:
        raise UnsupportedModelError(
            "architectures", name, hint="`llm-serving models` lists what is known; nothing is guessed"
        )
    return name, ARCHITECTURES[name]


def _text_config(config: Config) -> Config:
    for key in _TEXT_CONFIGS:
        nested = config.get(key)
        if isinstance(nested, dict):
            return {**{k: v for k, v in config.items() if not isinstance(v, dict)}, **nested}
    return config


_ZERO_MEANS_NONE = frozenset(
    {"shared_expert_intermediate_size", "moe_shared_expert_intermediate_size", "num_kv_shared_layers"}
)


def _optional(config: Config, *names: str) -> int | None:
    for name in names:
        value = config.get(name)
        if value is None or (value == 0 and name in _ZERO_MEANS_NONE):
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < _MAX_REASONABLE:
            raise UnsupportedModelError(name, value, hint="a positive whole number is expected")
        return value
    return None


def _positive(config: Config, *names: str) -> int:
    value = _optional(config, *names)
    if value is None:
        raise UnsupportedModelError(names[0], None, hint="the field is missing, and sizing needs it")
    return value


def _num_layers(text: Config) -> int:
    if "num_hidden_layers" not in text and isinstance(text.get("hybrid_override_pattern"), str):
        return len(text["hybrid_override_pattern"])
    if "num_hidden_layers" not in text and isinstance(text.get("layers_block_type"), list):
        return len(text["layers_block_type"])
    return _positive(text, "num_hidden_layers", "n_layer", "num_layers")


def _dtype(config: Config, text: Config) -> str | None:
    for where in (text, config):
        for key in ("torch_dtype", "dtype"):
            value = where.get(key)
            if isinstance(value, str):
                name = value.removeprefix("torch.")
                if name not in {"float16", "bfloat16", "float32"}:
                    raise UnsupportedModelError(key, value, hint="float16, bfloat16 or float32 is expected")
                return name
    return None


def _kv_heads(text: Config, heads: int, architecture: str) -> int:
    if architecture == "FalconForCausalLM":
        if text.get("new_decoder_architecture"):
            return _optional(text, "num_kv_heads", "n_head_kv") or heads
        return 1 if text.get("multi_query", True) else heads
    if architecture == "GPTBigCodeForCausalLM":
        return 1 if text.get("multi_query", True) else heads
    if text.get("multi_query_attention"):
        return _positive(text, "multi_query_group_num")
    if architecture == "DeciLMForCausalLM":
        groups = {heads // count for count in _deci_heads_in_group(text)}
        if len(groups) != 1:
            raise UnsupportedModelError("block_configs", "several n_heads_in_group")
        return groups.pop()
    return _optional(text, "num_key_value_heads", "num_kv_heads", "n_head_kv") or heads


def _deci_heads_in_group(text: Config) -> list[int]:
    blocks = text.get("block_configs")
    if not isinstance(blocks, list):
        raise UnsupportedModelError("block_configs", blocks, hint="a list of blocks is expected")
    return [n for block in blocks if (n := block.get("attention", {}).get("n_heads_in_group"))]


def _intermediate(text: Config, hidden: int, architecture: str) -> int:
    if architecture == "DeciLMForCausalLM":
        widest = max(float(block.get("ffn", {}).get("ffn_mult") or 0) for block in text["block_configs"])
        return -(-int(2 * widest * hidden / 3) // 256) * 256
    if architecture == "QWenLMHeadModel":  # the config gives gate and up together
        return _positive(text, "intermediate_size") // 2
    given = _optional(text, "ffn_hidden_size", "intermediate_size_mlp", "ff_intermediate_size")
    given = given or _optional(text, "intermediate_size", "n_inner", "ffn_dim", "moe_intermediate_size")
    if given is None and architecture in {
        "FalconForCausalLM", "BloomForCausalLM", "GPT2LMHeadModel", "GPTBigCodeForCausalLM", "GPTJForCausalLM",
        "PhiForCausalLM",
    }:  # fmt: skip
        return 4 * hidden
    if given is None:
        raise UnsupportedModelError("intermediate_size", None, hint="the field is missing")
    return given


def _max_position(text: Config, config: Config) -> int | None:
    for where in (text, config):
        value = _optional(where, "max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
        if value is not None:
            return _with_rope_factor(text, value)
    return None


def _with_rope_factor(text: Config, value: int) -> int:
    """Context after rope scaling; vLLM multiplies except for kinds whose limit is already in the config."""
    rope = text.get("rope_scaling") or text.get("rope_parameters")
    if not isinstance(rope, dict):
        return value
    kind = rope.get("rope_type", rope.get("type", "default"))
    factor = rope.get("factor")
    if kind in {"linear", "dynamic"} and isinstance(factor, int | float) and factor > 1:
        return int(value * factor)
    if kind == "yarn" and isinstance(factor, int | float):
        original = rope.get("original_max_position_embeddings")
        if isinstance(original, int):
            return max(value, int(original * factor))
    return value


def _mla(text: Config, architecture: str) -> Mla | None:
    rank = _optional(text, "kv_lora_rank")
    if rank is None or architecture == "MiniCPM3ForCausalLM":
        return None
    return Mla(
        kv_lora_rank=rank,
        q_lora_rank=_optional(text, "q_lora_rank") or 0,
        qk_rope=_positive(text, "qk_rope_head_dim"),
        qk_nope=_positive(text, "qk_nope_head_dim"),
        v_dim=_positive(text, "v_head_dim"),
    )


def _layer_types(text: Config, layers: int, traits: Architecture, architecture: str) -> list[str]:
    """One of full, sliding, chunked, linear, mamba, none per layer."""
    pattern = text.get("hybrid_override_pattern")
    if isinstance(pattern, str):
        return [{"M": "mamba", "*": "full"}.get(letter, "none") for letter in pattern]
    listed = text.get("layer_types") or text.get("layers_block_type")
    if isinstance(listed, list):
        names = {
            "full_attention": "full", "attention": "full", "sliding_attention": "sliding",
            "chunked_attention": "chunked", "linear_attention": "linear", "mamba": "mamba", "mamba2": "mamba",
            "mlp": "none", "moe": "none",
        }  # fmt: skip
        unknown = [kind for kind in listed if kind not in names]
        if unknown:
            raise UnsupportedModelError("layer_types", unknown[0])
        return [names[kind] for kind in listed]
    if architecture == "DeciLMForCausalLM":
        return [
            "full" if block.get("attention", {}).get("n_heads_in_group") else "none" for block in text["block_configs"]
        ]
    if architecture == "MllamaForConditionalGeneration":
        cross = set(text.get("cross_attention_layers", ()))
        return ["none" if index in cross else "full" for index in range(layers)]
    interval = _optional(text, "full_attention_interval")
    if interval is not None:
        return ["full" if (index + 1) % interval == 0 else "linear" for index in range(layers)]
    return _windowed(text, layers, traits)


def _windowed(text: Config, layers: int, traits: Architecture) -> list[str]:
    if traits.window == "chunked-one-in-four":
        chunked = isinstance(text.get("attention_chunk_size"), int)
        return ["chunked" if chunked and (index + 1) % 4 else "full" for index in range(layers)]
    window = text.get("sliding_window")
    if not isinstance(window, int) or window <= 0 or text.get("use_sliding_window") is False:
        return ["full"] * layers
    every = {"alternate": 2, "one-in-six": 6, "one-in-four": 4}.get(traits.window)
    pattern = text.get("sliding_window_pattern")
    if isinstance(pattern, int) and every:
        every = pattern
    if every is None:
        return ["sliding"] * layers
    return ["full" if (index + 1) % every == 0 else "sliding" for index in range(layers)]


def _layer_groups(
    text: Config, layers: int, kv_heads: int, head_dim: int, mla: Mla | None, traits: Architecture, name: str
) -> tuple[LayerGroup, ...]:
    if mla is not None:
        return (LayerGroup("mla", layers, 1, mla.kv_lora_rank + mla.qk_rope, 0),)
    if name == "MiniCPM3ForCausalLM":  # latent attention without a latent cache in the engine
        width = _positive(text, "qk_nope_head_dim") + _positive(text, "qk_rope_head_dim")
        return (LayerGroup("full", layers, kv_heads, width, width),)
    kinds = _layer_types(text, layers, traits, name)
    if len(kinds) < layers:
        raise UnsupportedModelError("layer_types", f"{len(kinds)} entries for {layers} layers")
    shared = _optional(text, "num_kv_shared_layers") or 0
    kinds = kinds[: layers - shared]
    groups = []
    for kind, window_key in (
        ("full", None),
        ("sliding", "sliding_window"),
        ("chunked", "attention_chunk_size"),
    ):
        count = kinds.count(kind)
        if not count:
            continue
        heads, dim = kv_heads, head_dim
        if kind == "full":
            heads = _optional(text, "num_global_key_value_heads") or kv_heads
            dim = _optional(text, "global_head_dim") or head_dim
        window = _positive(text, window_key) if window_key else None
        groups.append(LayerGroup(kind, count, heads, dim, dim, window))  # type: ignore[arg-type]
    return tuple(groups)


def _recurrent(text: Config, layers: int, architecture: str) -> Recurrent | None:
    kinds = _layer_types(text, layers, ARCHITECTURES[architecture], architecture)
    mamba, linear = kinds.count("mamba"), kinds.count("linear")
    if not mamba and not linear:
        return None
    if mamba:
        heads = _positive(text, "mamba_num_heads", "mamba_n_heads")
        dim = _positive(text, "mamba_head_dim", "mamba_d_head")
        state = _positive(text, "ssm_state_size", "mamba_d_state")
        groups = _optional(text, "n_groups", "mamba_n_groups") or 1
        kernel = _positive(text, "conv_kernel", "mamba_d_conv")
        per_layer, channels, count = heads * dim * state, heads * dim + 2 * groups * state, mamba
    else:
        key = _positive(text, "linear_num_key_heads") * _positive(text, "linear_key_head_dim")
        values = _positive(text, "linear_num_value_heads")
        value_dim, key_dim = _positive(text, "linear_value_head_dim"), _positive(text, "linear_key_head_dim")
        kernel = _positive(text, "linear_conv_kernel_dim")
        per_layer, channels, count = values * value_dim * key_dim, 2 * key + values * value_dim, linear
    width = 4 if "float32" in {text.get("mamba_ssm_cache_dtype"), text.get("mamba_ssm_dtype")} else 2
    return Recurrent(count, count * (per_layer * width + channels * (kernel - 1) * 2))


def _moe(text: Config, layers: int) -> Moe | None:
    experts = _optional(text, "n_routed_experts", "num_experts", "num_local_experts") if _has_experts(text) else None
    if experts is None:
        return None
    intermediate = _positive(text, "moe_intermediate_size", "expert_ffn_hidden_size", "intermediate_size")
    shared = _optional(text, "shared_expert_intermediate_size", "moe_shared_expert_intermediate_size") or 0
    if not shared and text.get("n_shared_experts"):
        shared = _positive(text, "n_shared_experts") * intermediate
    moe_layers = layers - len(text.get("mlp_only_layers") or ())
    dense = text.get("first_k_dense_replace")
    if isinstance(dense, int):
        moe_layers = layers - dense
    pattern = text.get("hybrid_override_pattern")
    if isinstance(pattern, str):
        moe_layers = pattern.count("E")
    step = _optional(text, "interleave_moe_layer_step") or 1
    top_k = _positive(text, "num_experts_per_tok", "top_k_experts", "experts_per_token", "moe_top_k")
    return Moe(max(moe_layers // step, 0), experts, top_k, intermediate, shared)


def _has_experts(text: Config) -> bool:
    return any(isinstance(text.get(key), int) and text[key] > 1 for key in
               ("n_routed_experts", "num_experts", "num_local_experts"))  # fmt: skip
