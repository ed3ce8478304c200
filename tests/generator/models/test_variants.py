"""Quantised checkpoints that are proposed: the same model, runnable, planned, the least loss first."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_serving_planner.hardware.profiles import parse_profile
from llm_serving_planner.models import embedded
from llm_serving_planner.models.checkpoint import Checkpoint
from llm_serving_planner.models.resolve import spec_of
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.models.variants import _table, plain_name, variants_of
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.ways_out import ways_out
from support.configs import LLAMA


def spec(name: str) -> ModelSpec:
    found = embedded.find(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("model_id", "plain"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b-instruct"),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "llama-3.1-8b-instruct"),
        ("hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4", "llama-3.1-8b-instruct"),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16", "llama-3.1-8b-instruct"),
        ("neuralmagic/Meta-Llama-3.1-8B-Instruct-FP8-dynamic", "llama-3.1-8b-instruct"),
        ("unsloth/meta-llama-3.1-8b-instruct-unsloth-bnb-4bit", "llama-3.1-8b-instruct"),
        ("meta-llama/Meta-Llama-3.1-8B", "llama-3.1-8b"),
        ("TheBloke/Llama-2-13B-chat-GPTQ", "llama-2-13b-chat"),
        ("meta-llama/Llama-2-13b-hf", "llama-2-13b"),
        ("Qwen/Qwen3-32B-FP8-Static-PerTensor", "qwen3-32b"),
        ("Qwen/Qwen3.5-35B-A3B-GPTQ-Int4", "qwen3.5-35b-a3b"),
        ("nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-BF16", "nemotron-3-super-120b-a12b"),
        ("nvidia/Llama-3_3-Nemotron-Super-49B-v1", "llama-3.3-nemotron-super-49b-v1"),
        ("mistralai/Mistral-7B-Instruct-v0.2", "mistral-7b-instruct-v0.2"),
    ],
)
def test_a_name_loses_publisher_and_format_only(model_id: str, plain: str) -> None:
    assert plain_name(model_id) == plain


RED = "RedHatAI/Meta-Llama-3.1-"
FOUND: dict[str, set[str]] = {
    "meta-llama/Llama-3.1-8B-Instruct": {
        f"{RED}8B-Instruct-FP8-dynamic", f"{RED}8B-Instruct-quantized.w8a8", f"{RED}8B-Instruct-quantized.w4a16",
        "hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4", "unsloth/meta-llama-3.1-8b-instruct-unsloth-bnb-4bit",
    },
    "meta-llama/Meta-Llama-3.1-8B": set(),
    "meta-llama/Llama-3.1-70B-Instruct": {
        "nvidia/Llama-3.1-70B-Instruct-FP8", f"{RED}70B-Instruct-FP8-dynamic", f"{RED}70B-Instruct-quantized.w8a8",
        f"{RED}70B-Instruct-quantized.w4a16", "hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4",
    },
    "meta-llama/Llama-3.3-70B-Instruct": {"RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic"},
    "meta-llama/Meta-Llama-3.1-405B": set(),
    "mistralai/Mistral-7B-Instruct-v0.2": {"TheBloke/Mistral-7B-Instruct-v0.2-AWQ"},
    "mistralai/Mistral-7B-v0.1": set(),
    "mistralai/Mixtral-8x7B-Instruct-v0.1": {"TheBloke/Mixtral-8x7B-Instruct-v0.1-AWQ"},
    "mistralai/Mixtral-8x7B-v0.1": set(),
    "Qwen/Qwen3-32B": {
        "Qwen/Qwen3-32B-AWQ", "Qwen/Qwen3-32B-FP8", "Qwen/Qwen3-32B-FP8-Static-PerTensor", "nvidia/Qwen3-32B-NVFP4",
    },
    "Qwen/Qwen3-30B-A3B": {"Qwen/Qwen3-30B-A3B-FP8", "nvidia/Qwen3-30B-A3B-NVFP4", "RedHatAI/Qwen3-30B-A3B-NVFP4"},
    "Qwen/Qwen3-30B-A3B-Thinking-2507": set(),
    "Qwen/Qwen2.5-7B": set(),
    "Qwen/Qwen2.5-7B-Instruct": {"Qwen/Qwen2.5-7B-Instruct-AWQ"},
    "deepseek-ai/DeepSeek-V3": set(),
    "deepseek-ai/DeepSeek-V3.1": {"nvidia/DeepSeek-V3.1-NVFP4"},
    "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-BF16": {
        "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-FP8", "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-NVFP4",
    },
    "zai-org/GLM-5": {"zai-org/GLM-5-FP8", "nvidia/GLM-5-NVFP4"},
    "openai/gpt-oss-20b": set(),
}  # fmt: skip


@pytest.mark.parametrize(("model", "expected"), FOUND.items(), ids=[model[-24:] for model in FOUND])
def test_variants_of_well_known_models(model: str, expected: set[str]) -> None:
    assert {other.model_id for other in variants_of(spec(model))} == expected


@pytest.mark.parametrize("model", ["Qwen/Qwen3-32B-AWQ", "Qwen/Qwen3-4B-AWQ"])
def test_computed_sizes_meet_published_ones(model: str) -> None:
    """The rule of the table, held to 4-bit checkpoints whose bytes are published."""
    known = spec(model)
    rule = _table()["bytes_per_weight"]["awq"]["value"]
    embedding = known.vocab_size * known.hidden_size * (1 if known.tied else 2)
    bases = {"Qwen/Qwen3-32B-AWQ": 32_762_123_264, "Qwen/Qwen3-4B-AWQ": 4_022_468_096}
    computed = (bases[model] - embedding) * rule + 2 * embedding
    assert computed == pytest.approx(known.weights.loaded_bytes, rel=0.02)


@given(st.sampled_from([s for name in embedded.model_ids() if (s := embedded.find(name))]))
def test_a_variant_is_smaller_and_of_the_same_shape(one: ModelSpec) -> None:
    for other in variants_of(one):
        assert other.quantization is not None
        assert other.weights.loaded_bytes < one.weights.loaded_bytes
        assert (other.num_layers, other.vocab_size, other.architecture) == (
            one.num_layers, one.vocab_size, one.architecture,
        )  # fmt: skip
        assert ("instruct" in other.model_id.lower()) == ("instruct" in one.model_id.lower())


def proposals(model: str, profile: str, **options: str) -> list[str]:
    lines = ways_out(spec(model), parse_profile(profile), Options(**options))  # type: ignore[arg-type]
    return [line for line in lines if line.startswith("the checkpoint")]


def test_proposals_are_ordered_by_loss_and_say_what_they_give() -> None:
    assert proposals("Qwen/Qwen3-32B", "1xl40s") == [
        "the checkpoint Qwen/Qwen3-32B-FP8-Static-PerTensor (modelopt, 8 bits, FP8 GEMM; 18,432 tokens of context)",
        "the checkpoint Qwen/Qwen3-32B-FP8 (fp8, 8 bits, FP8 GEMM; 18,432 tokens of context)",
        "the checkpoint Qwen/Qwen3-32B-AWQ (awq, 4 bits, Marlin, weights only; 40,960 tokens of context)",
        "the checkpoint nvidia/Qwen3-32B-NVFP4 (modelopt_fp4, 4 bits, Marlin, weights only; 40,960 tokens of context)",
    ]


def test_what_the_engine_or_the_gpu_cannot_run_is_not_proposed() -> None:
    model = "meta-llama/Llama-3.1-8B-Instruct"
    assert not any("bnb-4bit" in line for line in proposals(model, "1xt4"))
    assert not any("w8a8-fp8" in line for line in proposals(model, "1xt4", engine_version="0.14.1"))
    assert any("w8a8-fp8" in line for line in proposals(model, "1xt4", engine_version="0.16.0"))


def test_every_proposal_names_a_context_that_the_model_has() -> None:
    for line in proposals("meta-llama/Llama-3.1-70B-Instruct", "4xa10g"):
        found = re.search(r"([\d,]+) tokens of context\)$", line)
        assert found is not None
        assert 2048 <= int(found.group(1).replace(",", "")) <= 131_072


def test_another_engine_version_is_proposed_for_what_was_dropped_only() -> None:
    volta = ways_out(spec("meta-llama/Llama-2-7b-hf"), parse_profile("2xv100"), Options())
    assert volta[0] == "--engine-version 0.19.1"
    small = ways_out(spec("meta-llama/Llama-2-7b-hf"), parse_profile("1xt4"), Options())
    assert not any(line.startswith("--engine-version") for line in small)
    turing = ways_out(spec("Qwen/Qwen2.5-3B"), parse_profile("1xt4"), Options(kv_cache_dtype="fp8"))
    assert "--engine-version 0.23.0" in turing


@pytest.mark.parametrize("block", [None, {"quant_method": "fp8"}])
def test_a_config_alone_gets_an_estimate(block: dict[str, str] | None) -> None:
    """Weights by the dimensions, said to be an estimate; quantised ones are smaller than at 16 bits."""
    config = {**LLAMA, "quantization_config": block} if block else LLAMA
    found = spec_of(Checkpoint("./folder", None, None, "folder", config, None, None, None, None))
    assert found.weights.assumed
    assert "by the dimensions" in found.weights.basis
    plain = 2 * found.parameters
    assert found.weights.loaded_bytes < plain if block else found.weights.loaded_bytes == plain
