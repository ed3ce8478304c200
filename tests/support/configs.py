"""One small config per model class with what it should cache: dimensions of our own, no copies."""

from typing import Any

import pytest
from llm_serving_planner.base.errors import UnsupportedModelError
from llm_serving_planner.models.architectures import ARCHITECTURES
from llm_serving_planner.models.config.read import parse
from llm_serving_planner.models.spec import ModelSpec, Weights

Config = dict[str, Any]

# 4 layers, 2 KV heads of 16: 4 x 2 x 2 x 16 x 2 bytes = 512 bytes of cache per token.
BASE: Config = {
    "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 96, "vocab_size": 320, "max_position_embeddings": 4096, "torch_dtype": "bfloat16",
}  # fmt: skip
LLAMA: Config = {"architectures": ["LlamaForCausalLM"], **BASE}
EACH: Config = {key: value for key, value in BASE.items() if key != "num_key_value_heads"}  # 4 KV heads: 1,024 bytes
EXPERTS: Config = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
MLA: Config = {
    "kv_lora_rank": 24, "q_lora_rank": 20, "qk_rope_head_dim": 8, "qk_nope_head_dim": 16, "v_head_dim": 16,
}  # fmt: skip
INDEXER: Config = {"index_head_dim": 128, "index_n_heads": 2, "index_topk": 64}
LINEAR: Config = {
    "full_attention_interval": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8, "linear_num_value_heads": 4,
    "linear_value_head_dim": 8, "linear_conv_kernel_dim": 4,
}  # fmt: skip
MAMBA: Config = {
    "mamba_n_heads": 8, "mamba_d_head": 16, "mamba_d_state": 10, "mamba_n_groups": 1, "mamba_d_conv": 4,
}  # fmt: skip
MIXED: Config = {"layer_types": ["mamba", "mamba", "attention", "mamba"], **MAMBA}
WINDOWED = ["sliding_attention", "sliding_attention", "sliding_attention", "full_attention"]

# Bytes of one linear layer: 4 x 8 x 8 of state, (2 x 16 + 32) x 3 inputs of its convolution.
LINEAR_STATE = {2: 3 * (256 * 2 + 192 * 2), 4: 3 * (256 * 4 + 192 * 2)}
# Bytes of one mamba layer: 8 x 16 x 10 of state, (128 + 2 x 10) x 3 inputs of its convolution.
MAMBA_STATE = {2: 1280 * 2 + 444 * 2, 4: 1280 * 4 + 444 * 2}

# class -> (config, bytes per token without a window, bytes per token inside a window, bytes of state)
CASES: dict[str, tuple[Config, int, int, int]] = {
    "BloomForCausalLM": ({"n_embed": 64, "n_layer": 4, "n_head": 4, "vocab_size": 320, "seq_length": 64}, 1024, 0, 0),
    "ChatGLMForConditionalGeneration": ({**EACH, "multi_query_attention": True, "multi_query_group_num": 2}, 512, 0, 0),
    "ChatGLMModel": ({**EACH, "kv_channels": 32, "ffn_hidden_size": 96}, 2048, 0, 0),
    "Cohere2ForCausalLM": ({**BASE, "sliding_window": 64}, 128, 384, 0),
    "CwmForCausalLM": ({**BASE, "layer_types": WINDOWED, "sliding_window": 64, "head_dim": 16}, 128, 384, 0),
    "DeciLMForCausalLM": (
        {
            **BASE,
            "block_configs": [
                {"attention": {"n_heads_in_group": n}, "ffn": {"ffn_mult": 1.5}} for n in (2, None, 2, None)
            ],
        },
        256, 0, 0,
    ),
    "DeepseekForCausalLM": ({**EACH, **EXPERTS, "first_k_dense_replace": 1}, 1024, 0, 0),
    "DeepseekV2ForCausalLM": ({**EACH, **EXPERTS, **MLA, "q_lora_rank": None}, 256, 0, 0),
    "DeepseekV32ForCausalLM": ({**EACH, **EXPERTS, **MLA, **INDEXER}, 256 + 4 * 132, 0, 0),
    "DeepseekV3ForCausalLM": ({**EACH, **EXPERTS, **MLA}, 256, 0, 0),
    "Ernie4_5ForCausalLM": (BASE, 4096, 0, 0),
    "Ernie4_5_MoeForCausalLM": ({**BASE, "moe_num_experts": 8, "moe_k": 2, "moe_intermediate_size": 32}, 512, 0, 0),
    "Exaone4ForCausalLM": ({**BASE, "layer_types": WINDOWED, "sliding_window": 64}, 128, 384, 0),
    "FalconForCausalLM": ({**EACH, "multi_query": True}, 256, 0, 0),
    "FalconH1ForCausalLM": ({**BASE, **MAMBA}, 512, 0, 4 * MAMBA_STATE[2]),
    "GPT2LMHeadModel": ({"n_embd": 64, "n_layer": 4, "n_head": 4, "vocab_size": 320, "n_positions": 64}, 1024, 0, 0),
    "GPTBigCodeForCausalLM": (
        {"n_embd": 64, "n_layer": 4, "n_head": 4, "vocab_size": 320, "n_positions": 64, "multi_query": True}, 256, 0, 0,
    ),
    "Gemma2ForCausalLM": ({**BASE, "sliding_window": 64}, 4096, 4096, 0),
    "Gemma3ForCausalLM": ({**BASE, "num_hidden_layers": 6, "sliding_window": 64}, 2048, 10240, 0),
    "Gemma3ForConditionalGeneration": (
        {"text_config": {**BASE, "num_hidden_layers": 6, "sliding_window": 64, "head_dim": 16}}, 128, 640, 0,
    ),
    "Gemma4ForCausalLM": (
        {
            **BASE, "layer_types": WINDOWED, "sliding_window": 64, "global_head_dim": 32,
            "num_global_key_value_heads": 1,
        },
        128, 384, 0,
    ),
    "Gemma4ForConditionalGeneration": (
        {"text_config": {**BASE, "layer_types": WINDOWED, "sliding_window": 64, "num_kv_shared_layers": 2}}, 0, 256, 0,
    ),
    "GemmaForCausalLM": (BASE, 8192, 0, 0),
    "GlmMoeDsaForCausalLM": (
        {**EACH, **EXPERTS, **MLA, **INDEXER, "index_topk_freq": 2, "index_skip_topk_offset": 2}, 256 + 3 * 132, 0, 0,
    ),
    "Glm4MoeLiteForCausalLM": ({**EACH, **EXPERTS, **MLA}, 256, 0, 0),
    "GptOssForCausalLM": (
        {**BASE, "sliding_window": 64, "num_local_experts": 8, "experts_per_token": 2}, 1024, 1024, 0,
    ),
    "GraniteMoeHybridForCausalLM": ({**BASE, **MIXED}, 128, 0, 3 * MAMBA_STATE[2]),
    "BambaForCausalLM": ({**BASE, **MIXED}, 128, 0, 3 * MAMBA_STATE[2]),
    "JambaForCausalLM": (
        {
            **BASE, "attn_layer_period": 4, "attn_layer_offset": 2, "mamba_expand": 2, "mamba_d_state": 10,
            "mamba_d_conv": 4, **EXPERTS, "expert_layer_period": 2, "expert_layer_offset": 1,
        },
        128, 0, 3 * (128 * 10 * 2 + 128 * 3 * 2),
    ),
    "KimiK25ForConditionalGeneration": ({"text_config": {**EACH, **EXPERTS, **MLA}}, 256, 0, 0),
    "Lfm2ForCausalLM": (
        {**BASE, "layer_types": ["conv", "conv", "full_attention", "conv"], "conv_dim": 64, "conv_L_cache": 3},
        128, 0, 3 * 64 * 2 * 2,
    ),
    "Llama4ForCausalLM": ({**BASE, **EXPERTS, "attention_chunk_size": 64}, 128, 384, 0),
    "Llama4ForConditionalGeneration": ({"text_config": {**BASE, "attention_chunk_size": 64}}, 128, 384, 0),
    "LlavaForConditionalGeneration": (
        {"text_config": {"model_type": "llama", "vocab_size": 320, "torch_dtype": "float16"}}, 524288, 0, 0,
    ),
    "MiMoV2FlashForCausalLM": (
        {
            **BASE, "head_dim": 16, "v_head_dim": 8, "hybrid_layer_pattern": [0, 1, 1, 1], "swa_head_dim": 16,
            "swa_v_head_dim": 8, "swa_num_key_value_heads": 4, "sliding_window_size": 64,
        },
        96, 576, 0,
    ),
    "MiniCPM3ForCausalLM": ({**EACH, **MLA}, 4 * 4 * 2 * 24 * 2, 0, 0),
    "MllamaForConditionalGeneration": ({"text_config": {**BASE, "cross_attention_layers": [1, 3]}}, 256, 0, 0),
    "NemotronHForCausalLM": (
        {
            **BASE, "hybrid_override_pattern": "M-*E", "mamba_num_heads": 8, "mamba_head_dim": 16,
            "ssm_state_size": 10, "n_groups": 1, "conv_kernel": 4, **EXPERTS,
        },
        128, 0, MAMBA_STATE[4],
    ),
    "Olmo3ForCausalLM": ({**EACH, "sliding_window": 64}, 256, 768, 0),
    "OPTForCausalLM": ({**EACH, "ffn_dim": 96}, 1024, 0, 0),
    "Phi3SmallForCausalLM": ({**BASE, "ff_intermediate_size": 96}, 512, 0, 0),
    "MistralForCausalLM": ({**BASE, "sliding_window": 64}, 0, 512, 0),
    "Qwen2ForCausalLM": ({**BASE, "sliding_window": 64, "use_sliding_window": False}, 512, 0, 0),
    "Qwen2MoeForCausalLM": ({**BASE, **EXPERTS, "shared_expert_intermediate_size": 64}, 512, 0, 0),
    "Qwen3ForCausalLM": (
        {**BASE, "sliding_window": 64, "use_sliding_window": True, "max_window_layers": 0}, 0, 4096, 0,
    ),
    "Qwen3NextForCausalLM": ({**BASE, **LINEAR, **EXPERTS, "head_dim": 16}, 128, 0, LINEAR_STATE[2]),
    "Qwen3_5ForCausalLM": ({**BASE, **LINEAR, "mamba_ssm_dtype": "float32"}, 128, 0, LINEAR_STATE[4]),
    "Qwen3_5ForConditionalGeneration": ({"text_config": {**BASE, **LINEAR}}, 128, 0, LINEAR_STATE[2]),
    "Qwen3_5MoeForCausalLM": ({**BASE, **LINEAR, **EXPERTS}, 128, 0, LINEAR_STATE[2]),
    "Qwen3_5MoeForConditionalGeneration": ({"text_config": {**BASE, **LINEAR, **EXPERTS}}, 128, 0, LINEAR_STATE[2]),
}  # fmt: skip
NESTED = ("ForConditionalGeneration",)


def case(name: str) -> tuple[Config, int, int, int]:
    """The case of a class; a class without one of its own has no rule beyond its head size and KV heads."""
    row = ARCHITECTURES[name]
    if name in CASES:
        config, *expected = CASES[name]
        return {"architectures": [name], **config}, *expected  # type: ignore[return-value]
    if row.layers == "encoder":
        return {"architectures": [name], **(EACH if row.one_head_each else BASE)}, 0, 0, 0
    assert (row.window, row.layers) in {("config", "alike"), ("opt-in", "alike")}, f"{name} has rules of its own"
    config = EACH if row.one_head_each else BASE
    width = (row.head_dim or 16) * (4 if row.one_head_each else 2)
    fields = {"text_config": config} if name.endswith(NESTED) else config
    return {"architectures": [name], **fields}, 4 * 2 * width * 2, 0, 0


def read(config: Config) -> ModelSpec:
    return parse(config, model_id="o/m", weights=Weights(1, 1, "test"), source="test")


def refused(config: Config) -> UnsupportedModelError:
    with pytest.raises(UnsupportedModelError) as caught:
        read(config)
    return caught.value


def widths(spec: ModelSpec) -> tuple[int, int]:
    """Bytes per token at 16 bits: without a window, inside one."""
    sizes = [0, 0]
    for group in spec.layers:
        element = 1 if group.kind == "index" else 2
        sizes[group.window is not None] += group.count * group.kv_heads * (group.k_dim + group.v_dim) * element
    return sizes[0], sizes[1]
