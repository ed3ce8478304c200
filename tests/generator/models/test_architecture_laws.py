"""What no config may do: be answered by a default, or end in anything but a refusal that names a field."""

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from llm_serving_planner.base.errors import UnsupportedModelError
from llm_serving_planner.models.architectures import ARCHITECTURES
from llm_serving_planner.models.spec import spec_from_dict
from support.configs import BASE, LINEAR, LLAMA, Config, case, read, refused
from support.laws import law

WORDS = st.text("abcdefghijklmnopqrstuvwxyz_0123456789", min_size=1, max_size=12)
KNOWN_KINDS = {
    "full_attention", "attention", "sliding_attention", "chunked_attention", "linear_attention", "mamba", "mamba2",
    "conv", "mlp", "moe",
}  # fmt: skip
ANYTHING = WORDS | st.integers(-5, 10**9) | st.floats(allow_nan=False) | st.booleans() | st.lists(st.integers())


@given(WORDS.filter(lambda word: word not in KNOWN_KINDS), st.integers(0, 3))
def test_an_unknown_kind_of_layer_is_never_answered(word: str, place: int) -> None:
    kinds = ["full_attention"] * 4
    kinds[place] = word
    assert refused({**LLAMA, "layer_types": kinds}).field == "layer_types"


@given(ANYTHING.filter(lambda value: value not in ("float16", "bfloat16", "float32", "auto")))
def test_an_unknown_dtype_is_never_answered(value: Any) -> None:
    assert refused({**LLAMA, "torch_dtype": value}).field == "torch_dtype"


@given(ANYTHING.filter(lambda value: value not in ("auto", "float16", "bfloat16", "float32")))
def test_an_unknown_state_dtype_is_never_answered(value: Any) -> None:
    config = {**BASE, **LINEAR, "architectures": ["Qwen3_5ForCausalLM"], "mamba_ssm_dtype": value}
    assert refused(config).field == "mamba_ssm_dtype"


@given(WORDS.map(lambda word: f"x{word}"), st.dictionaries(WORDS, st.integers(2, 8), max_size=3))
def test_an_unknown_quantisation_is_never_answered(method: str, more: Config) -> None:
    block = {**more, "quant_method": method}
    assert refused({**LLAMA, "quantization_config": block}).field == "quantization_config.quant_method"


@given(ANYTHING.filter(lambda value: not isinstance(value, int) or isinstance(value, bool) or value < 0))
def test_an_unknown_window_is_never_answered(value: Any) -> None:
    assert refused({**LLAMA, "sliding_window": value}).field == "sliding_window"


# Numbers of the cases above that sizing does not read, because another field of the case comes before them.
UNREAD = {
    "index_topk": {"GlmMoeDsaForCausalLM", "DeepseekV32ForCausalLM"},
    "intermediate_size": {"Phi3SmallForCausalLM", "ChatGLMModel", "DeciLMForCausalLM"},
    "num_key_value_heads": {"DeciLMForCausalLM"},
    "ffn_dim": {"OPTForCausalLM"},
}


@law(300, nightly=10_000)
@given(st.sampled_from(sorted(ARCHITECTURES)), st.data())
def test_no_number_of_a_config_may_be_something_else(name: str, data: st.DataObject) -> None:
    config = case(name)[0]
    nested = config.get("text_config", config)
    numbers = [key for key, value in nested.items() if isinstance(value, int) and not isinstance(value, bool)]
    key = data.draw(st.sampled_from(sorted(number for number in numbers if name not in UNREAD.get(number, ()))))
    broken = {**nested, key: data.draw(WORDS | st.floats(0.5, 9.5) | st.just({}))}
    assert refused({**config, "text_config": broken} if "text_config" in config else broken).field == key


JSON = st.recursive(
    st.none() | ANYTHING, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=3)
)
READ_FIELDS = sorted(
    {key for name in ARCHITECTURES for key in {**case(name)[0], **case(name)[0].get("text_config", {})}}
    | {
        "text_config", "model_type", "tie_word_embeddings", "rope_scaling", "quantization_config", "dtype",
        "num_kv_shared_layers", "cross_attention_layers", "num_attention_heads_per_layer", "layers_block_type",
        "moe_layer_freq", "mlp_layer_types", "mlp_only_layers", "moe_layer_start_index", "moe_latent_size",
        "hidden_size_per_layer_input", "index_topk_pattern", "sliding_window_pattern", "enable_moe_block",
        "n_shared_experts", "auto_map", "use_sliding_window", "attention_chunk_size", "full_attention_interval",
    }
)  # fmt: skip


@given(st.sampled_from(sorted(ARCHITECTURES)), st.sampled_from(READ_FIELDS), JSON)
@example(name="ApertusForCausalLM", field="num_attention_heads_per_layer", value=[None])
@example(name="DeepseekV32ForCausalLM", field="index_topk_pattern", value=[[]])
def test_a_config_is_answered_or_refused_and_nothing_else(name: str, field: str, value: Any) -> None:
    config = case(name)[0]
    inner = "text_config" in config and field != "text_config"
    broken = {**config, "text_config": {**config["text_config"], field: value}} if inner else {**config, field: value}
    try:
        spec = read(broken)
    except UnsupportedModelError:
        return
    assert spec_from_dict(spec.to_dict()) == spec


QUANTISED_FIELDS = [
    "quant_method", "bits", "group_size", "config_groups", "weights", "quant_algo", "activation_scheme", "quantization",
    "weight_block_size", "quant_type", "quant_config", "load_in_4bit", "kv_cache_scheme",
]  # fmt: skip
METHODS = ["awq", "gptq", "fp8", "compressed-tensors", "bitsandbytes", "mxfp4", "modelopt", "hqq", "torchao"]


@given(st.sampled_from(METHODS), st.dictionaries(st.sampled_from(QUANTISED_FIELDS), JSON, max_size=4))
def test_a_quantisation_is_answered_or_refused_and_nothing_else(method: str, more: Config) -> None:
    block = {"quant_method": method, "bits": 4, **more}
    try:
        found = read({**LLAMA, "quantization_config": block}).quantization
    except UnsupportedModelError:
        return
    assert found is not None
    assert 1 < found.bits <= 16
