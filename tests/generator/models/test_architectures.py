"""What a model of every class caches and keeps, and which field a broken config is refused for."""

import pytest
from llm_serving_planner.memory.kv_cache import kv_request_bytes
from llm_serving_planner.memory.settings import ParallelConfig, Settings
from llm_serving_planner.models.architectures import ARCHITECTURES, NOT_MODELLED
from llm_serving_planner.models.spec import spec_from_dict
from support.configs import (
    BASE,
    EACH,
    EXPERTS,
    INDEXER,
    LINEAR,
    LLAMA,
    MAMBA,
    MIXED,
    MLA,
    WINDOWED,
    Config,
    case,
    read,
    refused,
    widths,
)


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_a_config_of_every_class_is_answered(name: str) -> None:
    config, unbounded, windowed, state = case(name)
    spec = read(config)
    assert widths(spec) == (unbounded, windowed)
    assert (spec.recurrent.state_bytes if spec.recurrent else 0) == state
    assert spec.multimodal is ARCHITECTURES[name].multimodal
    assert spec.tied is ARCHITECTURES[name].tied
    assert spec.parameters > 0
    assert spec_from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"first_k_dense_replace": 3}, 1),
        ({"mlp_only_layers": [0, 2]}, 2),
        ({"decoder_sparse_step": 2}, 2),
        ({"interleave_moe_layer_step": 4}, 1),
        ({"moe_layer_freq": [0, 1, 1, 0]}, 2),
        ({"moe_layer_freq": 2, "first_k_dense_replace": 1}, 1),
        ({"mlp_layer_types": ["dense", "sparse", "sparse", "sparse"]}, 3),
        ({"moe_layer_start_index": 1}, 3),
        ({}, 4),
    ],
)
def test_layers_with_experts(fields: Config, expected: int) -> None:
    moe = read({"architectures": ["Qwen3MoeForCausalLM"], **BASE, **EXPERTS, **fields}).moe
    assert moe is not None
    assert (moe.layers, moe.experts, moe.top_k, moe.intermediate) == (expected, 8, 2, 32)


@pytest.mark.parametrize(
    ("fields", "width"),
    [
        ({"n_shared_experts": 2}, 64),
        ({"shared_expert_intermediate_size": 48}, 48),
        ({"shared_intermediate_size": 40}, 40),
        ({"n_shared_experts": 0}, 0),
    ],
)
def test_the_width_of_shared_experts(fields: Config, width: int) -> None:
    moe = read({"architectures": ["Qwen3MoeForCausalLM"], **BASE, **EXPERTS, **fields}).moe
    assert moe is not None
    assert moe.shared_intermediate == width


REFUSALS: list[tuple[str, Config, str]] = [
    ("no class", BASE, "architectures"),
    ("unknown class", {**BASE, "architectures": ["NoSuchForCausalLM"]}, "architectures"),
    ("hidden size missing", {k: v for k, v in LLAMA.items() if k != "hidden_size"}, "hidden_size"),
    ("hidden size as text", {**LLAMA, "hidden_size": "64"}, "hidden_size"),
    ("layers zero", {**LLAMA, "num_hidden_layers": 0}, "num_hidden_layers"),
    ("heads do not divide", {**LLAMA, "num_attention_heads": 3}, "head_dim"),
    ("KV heads true", {**LLAMA, "num_key_value_heads": True}, "num_key_value_heads"),
    ("KV heads missing", {"architectures": ["MistralForCausalLM"], **EACH}, "num_key_value_heads"),
    ("vocabulary missing", {k: v for k, v in LLAMA.items() if k != "vocab_size"}, "vocab_size"),
    ("MLP missing", {k: v for k, v in LLAMA.items() if k != "intermediate_size"}, "intermediate_size"),
    ("dtype", {**LLAMA, "torch_dtype": "float8_e4m3fn"}, "torch_dtype"),
    ("dtype as number", {**LLAMA, "torch_dtype": 16}, "torch_dtype"),
    ("tied as text", {**LLAMA, "tie_word_embeddings": "yes"}, "tie_word_embeddings"),
    ("layer kind", {**LLAMA, "layer_types": ["full_attention"] * 3 + ["retention"]}, "layer_types"),
    ("layer kinds too few", {**LLAMA, "layer_types": ["full_attention"] * 3}, "layer_types"),
    ("layer kinds as text", {**LLAMA, "layer_types": "full_attention"}, "layer_types"),
    ("window missing", {**LLAMA, "layer_types": WINDOWED}, "sliding_window"),
    ("window as text", {**LLAMA, "sliding_window": "4k"}, "sliding_window"),
    ("window negative", {**LLAMA, "sliding_window": -1}, "sliding_window"),
    ("window switch", {**LLAMA, "sliding_window": 64, "use_sliding_window": "maybe"}, "use_sliding_window"),
    (
        "window pattern",
        {**BASE, "architectures": ["Exaone4ForCausalLM"], "sliding_window": 64, "sliding_window_pattern": "LLLG"},
        "sliding_window_pattern",
    ),
    (
        "window in some layers",
        {
            **BASE, "architectures": ["Qwen2ForCausalLM"], "sliding_window": 64, "use_sliding_window": True,
            "max_window_layers": 2,
        },
        "max_window_layers",
    ),
    ("latent without width", {**LLAMA, "kv_lora_rank": 24}, "qk_rope_head_dim"),
    (
        "latent layer kind",
        {**EACH, **EXPERTS, **MLA, "architectures": ["DeepseekV3ForCausalLM"], "layer_types": ["mamba"] * 4},
        "layer_types",
    ),
    (
        "indexer missing",
        {**EACH, **EXPERTS, **MLA, "architectures": ["DeepseekV32ForCausalLM"]},
        "index_n_heads",
    ),
    (
        "indexer pattern",
        {**EACH, **EXPERTS, **MLA, **INDEXER, "architectures": ["DeepseekV32ForCausalLM"], "index_topk_pattern": "FX"},
        "index_topk_pattern",
    ),
    ("experts per token missing", {**LLAMA, "num_experts": 8}, "num_experts_per_tok"),
    ("expert layers", {**LLAMA, **EXPERTS, "mlp_layer_types": ["dense", "odd", "dense", "dense"]}, "mlp_layer_types"),
    ("expert flags", {**LLAMA, **EXPERTS, "moe_layer_freq": [0, 1, 2, 1]}, "moe_layer_freq"),
    ("expert flags too few", {**LLAMA, **EXPERTS, "moe_layer_freq": [0, 1]}, "moe_layer_freq"),
    ("expert exceptions", {**LLAMA, **EXPERTS, "mlp_only_layers": 1}, "mlp_only_layers"),
    ("mixed layers without a list", {**BASE, **MAMBA, "architectures": ["BambaForCausalLM"]}, "layer_types"),
    (
        "pattern letter",
        {**BASE, **MAMBA, "architectures": ["NemotronHForCausalLM"], "hybrid_override_pattern": "M-*X"},
        "hybrid_override_pattern",
    ),
    (
        "pattern too short",
        {**BASE, **MAMBA, "architectures": ["NemotronHForCausalLM"], "hybrid_override_pattern": "M*"},
        "hybrid_override_pattern",
    ),
    (
        "state dtype",
        {**BASE, **LINEAR, "architectures": ["Qwen3_5ForCausalLM"], "mamba_ssm_dtype": "float8"},
        "mamba_ssm_dtype",
    ),
    (
        "mamba groups",
        {**BASE, **MIXED, "architectures": ["BambaForCausalLM"], "mamba_n_groups": None},
        "n_groups",
    ),
    ("linear interval", {**BASE, "architectures": ["Qwen3NextForCausalLM"]}, "full_attention_interval"),
    ("blocks", {**BASE, "architectures": ["DeciLMForCausalLM"], "block_configs": [1]}, "block_configs"),
    (
        "cross layers",
        {"architectures": ["MllamaForConditionalGeneration"], "text_config": BASE},
        "cross_attention_layers",
    ),
    ("window flags", {**BASE, "architectures": ["MiMoV2FlashForCausalLM"]}, "hybrid_layer_pattern"),
    ("multi query", {**EACH, "architectures": ["FalconForCausalLM"], "multi_query": "yes"}, "multi_query"),
    ("text config", {"architectures": ["Gemma3ForConditionalGeneration"], "text_config": 3}, "text_config"),
    ("rope as text", {**LLAMA, "rope_scaling": "linear"}, "rope_scaling"),
    ("rope factor", {**LLAMA, "rope_scaling": {"type": "linear", "factor": "4"}}, "rope_scaling.factor"),
    ("quantisation as text", {**LLAMA, "quantization_config": "fp8"}, "quantization_config"),
    (
        "two schemes",
        {
            **LLAMA,
            "quantization_config": {
                "quant_method": "compressed-tensors",
                "config_groups": {
                    "a": {"weights": {"num_bits": 4, "type": "int", "group_size": 128}},
                    "b": {"weights": {"num_bits": 8, "type": "float"}},
                },
            },
        },
        "quantization_config.config_groups",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("config", "field"), [case[1:] for case in REFUSALS], ids=[case[0] for case in REFUSALS])
def test_a_broken_config_is_refused_by_its_field(config: Config, field: str) -> None:
    assert refused(config).field == field


@pytest.mark.parametrize(
    ("fields", "context"),
    [
        ({}, 4096),
        ({"rope_scaling": {}}, 4096),
        ({"rope_scaling": {"rope_type": "linear", "factor": 4.0}}, 16384),
        ({"rope_scaling": {"type": "dynamic", "factor": 2}}, 8192),
        ({"rope_scaling": {"rope_type": "linear", "factor": None}}, 4096),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, 4096),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096}}, 4096),
        ({"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 4.0}}}, 16384),
        ({"rope_scaling": {"rope_type": "linear", "factor": 8.0}, "model_type": "gemma3_text"}, 4096),
    ],
)
def test_the_context_after_rope_scaling(fields: Config, context: int) -> None:
    assert read({**LLAMA, **fields}).max_position == context


@pytest.mark.parametrize("name", sorted(NOT_MODELLED))
def test_a_class_that_is_not_sized_says_why(name: str) -> None:
    error = refused({**BASE, "architectures": [name]})
    assert error.field == "architectures"
    assert error.hint == f"not sized yet: {NOT_MODELLED[name]}"
    assert name not in ARCHITECTURES


def test_a_missing_class_default_is_told() -> None:
    spec = read(case("LlavaForConditionalGeneration")[0])
    assert (spec.hidden_size, spec.num_layers, spec.max_position) == (4096, 32, 2048)
    assert spec.notes == (
        "config.json leaves out hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, "
        "max_position_embeddings: the defaults of its text model's class stand in",
    )


def test_the_keys_of_an_indexer_are_one_byte_wide_whatever_the_cache() -> None:
    spec = read(case("DeepseekV32ForCausalLM")[0])
    settings = {"parallel": ParallelConfig(2), "max_num_seqs": 8, "max_num_batched_tokens": 512, "utilization": 0.9}
    wide = kv_request_bytes(spec, Settings(max_model_len=640, **settings), 640)  # type: ignore[arg-type]
    narrow = kv_request_bytes(spec, Settings(max_model_len=640, kv_element_bytes=1, **settings), 640)  # type: ignore[arg-type]
    assert wide == 640 * (4 * 32 * 2 + 4 * 132)
    assert narrow == 640 * (4 * 32 + 4 * 132)
    assert not spec.hybrid
