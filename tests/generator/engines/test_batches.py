"""The batch that an engine starts from where none is set: by version and by the GPU's memory."""

import pytest
from llm_serving_planner.engines import vllm
from llm_serving_planner.hardware.profiles import parse_profile
from llm_serving_planner.models import embedded
from llm_serving_planner.planner.devices.registry import device_of
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.sizing import size


@pytest.mark.parametrize(
    ("profile", "version", "expected"),
    [
        ("1xb200", "0.33.0", (16384, 1024)),
        ("1xgb300", "0.33.0", (16384, 1024)),
        ("1xmi300x", "0.33.0", (16384, 1024)),
        ("1xb200", "0.28.0", (16384, 1024)),
        ("1xb200", "0.27.1", (8192, 1024)),
        ("1xh200", "0.33.0", (8192, 1024)),
        ("1xa100-80gb", "0.33.0", (2048, 256)),
        ("1xl4", "0.33.0", (2048, 256)),
        ("1xl4", "0.11.1", (2048, 256)),
    ],
)
def test_tier(profile: str, version: str, expected: tuple[int, int]) -> None:
    gpu = device_of(parse_profile(profile).gpu).gpu(parse_profile(profile))
    regime = vllm.regime(version, "LlamaForCausalLM", moe=False, hybrid=False)
    assert regime.batch(gpu.total_bytes, gpu.capability, gpu.name) == expected


def test_name_not_capability_keeps_the_a100_small() -> None:
    """The engine asks for "a100" in the device's name: an A800 of the same chip gets the larger batch."""
    regime = vllm.regime("0.33.0", "LlamaForCausalLM", moe=False, hybrid=False)
    total = 80 << 30
    assert regime.batch(total, (8, 0), "NVIDIA A100-SXM4-80GB") == (2048, 256)
    assert regime.batch(total, (8, 0), "NVIDIA A800-SXM4-80GB") == (8192, 1024)


def test_gb10_is_small_since_033() -> None:
    total = 119 << 30
    for version, expected in (("0.33.0", (2048, 256)), ("0.28.0", (8192, 1024))):
        regime = vllm.regime(version, "LlamaForCausalLM", moe=False, hybrid=False)
        assert regime.batch(total, (12, 1), "NVIDIA GB10") == expected


def test_plan_starts_from_the_tier() -> None:
    spec = embedded.find("meta-llama/Llama-3.1-8B-Instruct")
    assert spec is not None
    plan = size(spec, parse_profile("1xb200"), Options())
    assert plan.settings.max_num_batched_tokens == 16384
