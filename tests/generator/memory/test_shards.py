"""Weights of a rank against the sum over its tensors, for families whose tensors divide differently.

The dimensions are those that the models' papers and cards state (read 2026-11-25): what is replicated matters only at
real proportions.
"""

from typing import Any

import pytest
from llm_serving_planner.memory.weights import weights_bytes
from llm_serving_planner.models.config.read import parse
from llm_serving_planner.models.spec import ModelSpec, Weights
from support.shards import rank, whole

Config = dict[str, Any]

FAMILIES: dict[str, Config] = {
    "dense GQA": {
        "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256,
        "tie_word_embeddings": False,
    },
    "dense, two KV heads": {
        "architectures": ["Qwen2ForCausalLM"], "hidden_size": 2048, "num_hidden_layers": 36, "num_attention_heads": 16,
        "num_key_value_heads": 2, "intermediate_size": 11008, "vocab_size": 151936, "tie_word_embeddings": True,
        "qkv_bias": True,
    },
    "MQA with learned positions": {
        "architectures": ["GPTBigCodeForCausalLM"], "hidden_size": 6144, "num_hidden_layers": 40,
        "num_attention_heads": 48, "num_key_value_heads": 1, "intermediate_size": 24576, "vocab_size": 49152,
        "tie_word_embeddings": True, "n_positions": 8192, "_matrices": 2,
    },
    "falcon, eight KV heads": {
        "architectures": ["FalconForCausalLM"], "new_decoder_architecture": True, "hidden_size": 8192,
        "num_hidden_layers": 60, "num_attention_heads": 128, "num_kv_heads": 8, "num_key_value_heads": 8,
        "intermediate_size": 32768, "vocab_size": 65024, "tie_word_embeddings": True, "_matrices": 2,
    },
    "falcon, one KV head": {
        "architectures": ["FalconForCausalLM"], "multi_query": True, "hidden_size": 4096, "num_hidden_layers": 32,
        "num_attention_heads": 64, "num_key_value_heads": 1, "vocab_size": 65024, "intermediate_size": 16384,
        "tie_word_embeddings": True, "_matrices": 2,
    },
    "MLA without query compression": {
        "architectures": ["DeepseekV2ForCausalLM"], "hidden_size": 2048, "num_hidden_layers": 27,
        "num_attention_heads": 16, "num_key_value_heads": 16, "intermediate_size": 10944, "vocab_size": 102400,
        "kv_lora_rank": 512, "q_lora_rank": None, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
        "n_routed_experts": 64, "n_shared_experts": 2, "num_experts_per_tok": 6, "moe_intermediate_size": 1408,
        "first_k_dense_replace": 1, "tie_word_embeddings": False,
    },
    "MLA": {
        "architectures": ["DeepseekV3ForCausalLM"], "hidden_size": 7168, "num_hidden_layers": 61,
        "num_attention_heads": 128, "num_key_value_heads": 128, "intermediate_size": 18432, "vocab_size": 129280,
        "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
        "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8, "moe_intermediate_size": 2048,
        "first_k_dense_replace": 3, "tie_word_embeddings": False,
    },
    "MoE with shared experts": {
        "architectures": ["Qwen2MoeForCausalLM"], "hidden_size": 2048, "num_hidden_layers": 24,
        "num_attention_heads": 16, "num_key_value_heads": 16, "intermediate_size": 5632, "vocab_size": 151936,
        "num_experts": 60, "num_experts_per_tok": 4, "moe_intermediate_size": 1408,
        "shared_expert_intermediate_size": 5632, "tie_word_embeddings": False, "qkv_bias": True,
    },
    "tied": {
        "architectures": ["GemmaForCausalLM"], "hidden_size": 3072, "num_hidden_layers": 28,
        "num_attention_heads": 16, "num_key_value_heads": 16, "head_dim": 256, "intermediate_size": 24576,
        "vocab_size": 256000, "tie_word_embeddings": True,
    },
    "hybrid mamba, one mixer per layer": {
        "architectures": ["NemotronHForCausalLM"], "hidden_size": 4480, "num_hidden_layers": 56,
        "num_attention_heads": 40, "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 15680,
        "vocab_size": 131072, "mamba_num_heads": 128, "mamba_head_dim": 80, "ssm_state_size": 128, "n_groups": 8,
        "conv_kernel": 4, "tie_word_embeddings": False, "_matrices": 2,
        "hybrid_override_pattern": "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-",
    },
    "hybrid mamba with experts, one group": {
        "architectures": ["GraniteMoeHybridForCausalLM"], "hidden_size": 4096, "num_hidden_layers": 40,
        "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 768, "vocab_size": 100352,
        "layer_types": ["attention" if index % 10 == 5 else "mamba" for index in range(40)],
        "mamba_n_heads": 128, "mamba_d_head": 64, "mamba_d_state": 128, "mamba_n_groups": 1, "mamba_d_conv": 4,
        "num_local_experts": 72, "num_experts_per_tok": 10, "shared_intermediate_size": 1536,
        "tie_word_embeddings": True,
    },
    "hybrid mamba, dense, one group": {
        "architectures": ["GraniteMoeHybridForCausalLM"], "hidden_size": 2048, "num_hidden_layers": 40,
        "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 8192, "vocab_size": 100352,
        "layer_types": ["attention" if index % 10 == 5 else "mamba" for index in range(40)],
        "mamba_n_heads": 64, "mamba_d_head": 64, "mamba_d_state": 128, "mamba_n_groups": 1, "mamba_d_conv": 4,
        "tie_word_embeddings": True,
    },
}  # fmt: skip
SPARSE = {
    **FAMILIES["MLA"], "architectures": ["DeepseekV32ForCausalLM"], "index_head_dim": 128, "index_n_heads": 64,
}  # fmt: skip
FAMILIES["sparse MLA"] = SPARSE


def spec_of(config: Config) -> ModelSpec:
    loaded = 2 * whole(config)
    return parse({**config, "torch_dtype": "bfloat16"}, model_id="o/m", weights=Weights(loaded, loaded, ""), source="")


@pytest.mark.parametrize("tensor_parallel", [1, 2, 4, 8])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_weights_of_a_rank_are_the_sum_of_its_tensors(family: str, tensor_parallel: int) -> None:
    config = FAMILIES[family]
    exact = 2 * rank(config, tensor_parallel)
    planned = weights_bytes(spec_of(config), tensor_parallel)
    assert planned == pytest.approx(exact, rel=0.01), f"{100 * (planned / exact - 1):+.2f} %"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_dimensions_make_the_parameters(family: str) -> None:
    config = FAMILIES[family]
    assert spec_of(config).parameters == pytest.approx(whole(config), rel=0.002)


def test_the_oracle_meets_published_totals() -> None:
    assert whole(FAMILIES["dense GQA"]) == 8_030_261_248  # Llama-3.1-8B
    assert whole(FAMILIES["tied"]) == 8_537_680_896  # Gemma-7B
    assert whole(FAMILIES["MLA without query compression"]) == 15_706_484_224  # DeepSeek-V2-Lite
