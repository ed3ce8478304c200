"""Encoders of images and sound: counted, left out on demand; and how the catalogue's checkpoints store weights."""

from dataclasses import replace
from typing import Any

import pytest
from llm_serving_planner.base.errors import DoesNotFitError
from llm_serving_planner.base.units import GIB
from llm_serving_planner.engines import vllm
from llm_serving_planner.hardware.profiles import parse_profile
from llm_serving_planner.memory import activations, pipeline
from llm_serving_planner.memory.settings import Gpu, ParallelConfig, Settings
from llm_serving_planner.models import embedded
from llm_serving_planner.models.checkpoint import Checkpoint, TensorInfo
from llm_serving_planner.models.resolve import spec_of
from llm_serving_planner.output.flags import engine_args
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.plan import Plan
from llm_serving_planner.planner.proposals import make_plan
from llm_serving_planner.planner.sizing import size
from support.configs import BASE, Config
from support.tiny import tensors


def multimodal_checkpoint() -> Checkpoint:
    text = {f"language_model.{name}": value for name, value in tensors().items()}
    vision = {"vision_tower.encoder.layers.5.mlp.weight": ("BF16", [64, 32]), "multi_modal_projector.w": ("BF16", [64])}
    sizes = {
        name: TensorInfo(dtype, tuple(shape), 2 * _product(shape))
        for name, (dtype, shape) in {**text, **vision}.items()
    }
    config = {
        "architectures": ["Mistral3ForConditionalGeneration"],
        "text_config": {**BASE, "num_hidden_layers": 2, "vocab_size": 512, "intermediate_size": 128},
    }
    return Checkpoint("o/m", None, None, "hub", config, None, sizes, None, None)


def _product(shape: list[int]) -> int:
    result = 1
    for length in shape:
        result *= length
    return result


def test_encoders_are_counted_and_can_be_left_out() -> None:
    spec = spec_of(multimodal_checkpoint())
    assert spec.weights.encoder_bytes == 2 * (64 * 32 + 64)  # a layer beyond the text model's is not a prediction layer
    text = spec.text_only()
    assert text.weights.loaded_bytes == spec.weights.loaded_bytes - 2 * (64 * 32 + 64)
    assert not text.multimodal
    assert text.weights.encoder_bytes == 0


def planned(model: str, profile: str = "1xa100-80gb", **options: Any) -> Plan:
    spec = embedded.find(model)
    assert spec is not None
    return make_plan(replace(spec, gated=False), parse_profile(profile), Options(**options))


def test_language_model_only_frees_memory_and_is_a_flag() -> None:
    whole, text = (planned("google/gemma-3-27b-it", "1xh200", language_model_only=only) for only in (False, True))
    assert whole.settings == text.settings  # else the freed memory would go into a larger batch
    assert whole.estimate.weights - text.estimate.weights == pytest.approx(2 * 423_060_336, rel=0.01)
    # the text model looks its tokens up in the compiled part, where the embedding is copied once
    assert text.estimate.kv_cache > whole.estimate.kv_cache
    assert engine_args(text)["language-model-only"] is True
    assert "language-model-only" not in engine_args(whole)
    assert text.options.pinned() == {"language_model_only": True}


@pytest.mark.parametrize(
    ("model", "options", "reason"),
    [
        ("microsoft/phi-4", {}, "--language-model-only: phi-4 has no encoder to leave out"),
        (
            "google/gemma-3-27b-it",
            {"engine_version": "0.16.0"},
            "vLLM 0.16.0: --language-model-only came with vLLM 0.17.1",
        ),
        (
            "google/gemma-3-27b-it",
            {"engine": "tgi"},
            "--language-model-only is vLLM's: TGI loads a checkpoint whole",
        ),
    ],
)
def test_where_encoders_cannot_be_left_out(model: str, options: Config, reason: str) -> None:
    with pytest.raises(DoesNotFitError) as caught:
        planned(model, language_model_only=True, **options)
    assert reason in caught.value.reasons


def test_encoders_of_unknown_size_are_told() -> None:
    plan = planned("moonshotai/Kimi-K2.5", "8xh200", language_model_only=True)
    assert "the size of the encoders is not known: their weights count although they are left out" in plan.assumptions


def test_no_quantised_checkpoint_is_planned_at_16_bits() -> None:
    words = {"fp8", "nvfp4", "awq", "gptq", "int4", "int8", "mxfp4", "w4a16"}
    wrong = []
    for model in embedded.model_ids():
        spec = embedded.find(model)
        assert spec is not None
        named = words & set(model.lower().replace("_", "-").replace(".", "-").split("-"))
        if spec.quantization is None and (named or spec.weights.file_bytes <= 1.7 * spec.parameters):
            wrong.append(model)
    assert not wrong


@pytest.mark.parametrize(
    ("model", "method", "bits"),
    [
        ("zai-org/GLM-4.7-FP8", "compressed-tensors", 8),
        ("moonshotai/Kimi-K2-Thinking", "compressed-tensors", 4),
        ("nvidia/NVIDIA-Nemotron-3.5-Lightning-30B-A3B-NVFP4", "modelopt_fp4", 4),
        ("mistralai/Ministral-3-3B-Instruct-2512", "fp8", 8),
        ("TheBloke/WizardCoder-15B-1.0-GPTQ", "gptq", 4),
    ],
)
def test_a_quantisation_that_the_config_lacks_is_an_assumption(model: str, method: str, bits: int) -> None:
    spec = embedded.find(model)
    assert spec is not None
    assert spec.quantization is not None
    assert (spec.quantization.method, spec.quantization.bits) == (method, bits)
    assert any(note.startswith("quantisation is not in the public config: ") for note in spec.notes)


@pytest.mark.parametrize(
    ("name", "tokens", "length", "item"),
    [
        ("Qwen/Qwen3-VL-8B-Instruct", 8192, 8192, 16384),
        ("Qwen/Qwen2.5-VL-7B-Instruct", 8192, 8192, 16384),
        ("Qwen/Qwen2.5-VL-7B-Instruct", 8192, 32768, 32768),
        ("Qwen/Qwen2.5-VL-7B-Instruct", 8192, 128000, 7 * 16384),
        ("google/gemma-4-31B-it", 8192, 8192, 2496),
        ("google/gemma-3-27b-it", 8192, 8192, 256),
    ],
)
def test_largest_item(name: str, tokens: int, length: int, item: int) -> None:
    found = embedded.find(name)
    assert found is not None
    assert found.encoder is not None
    assert found.encoder.largest_item(length) == item
    assert found.encoder.largest_item(length, ("image", "video")) == 0
    assert found.text_only().encoder is None


def test_an_encoder_is_charged_by_its_largest_item_and_its_ranks() -> None:
    """Qwen3-VL-8B on an H200, vLLM 0.33.0: 2.53 GiB of activations and memory outside PyTorch, measured 2026-11-29."""
    found = embedded.find("Qwen/Qwen3-VL-8B-Instruct")
    assert found is not None
    gpu = Gpu(int(139.8 * GIB), (9, 0), nvlink=False)
    regime = vllm.regime("0.33.0", found.architecture, moe=False, hybrid=False)
    one = Settings(ParallelConfig(), 8192, 256, 8192, 0.9, enforce_eager=True)
    charged = activations.peak_bytes(found, gpu, one, regime)
    assert (charged + regime.non_torch_bytes) / GIB == pytest.approx(2.53, abs=0.1)
    assert activations.peak_bytes(found, gpu, replace(one, parallel=ParallelConfig(4)), regime) < charged
    unknown = replace(found, encoder=None)
    assert activations.peak_bytes(unknown, gpu, one, regime) < charged
    first = pipeline.stage_spec(found, 4).weights.loaded_bytes
    assert first >= found.weights.encoder_bytes + found.vocab_size * found.hidden_size * 2


def test_a_step_holds_the_largest_item_of_two_way_attention() -> None:
    """vLLM 0.33.0 ends smaller steps: max_tokens_per_mm_item (2496) is larger than max_num_batched_tokens."""
    found = embedded.find("google/gemma-4-31B-it")
    assert found is not None
    profile = parse_profile("4xa10g")
    assert size(found, profile, Options()).settings.max_num_batched_tokens >= 2496
    with pytest.raises(DoesNotFitError) as refused:
        size(found, profile, Options(max_num_batched_tokens=2048))
    assert "2496 tokens of the largest image or video" in refused.value.reasons[0]
    assert size(found, profile, Options(max_num_batched_tokens=2048, limit_mm=("video=0",)))
    assert size(found, profile, Options(max_num_batched_tokens=2048, language_model_only=True))
