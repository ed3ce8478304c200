"""The peak of profiling on made-up models, against sums written out by hand."""

from dataclasses import replace

import pytest
from llm_serving_planner.base.units import GIB
from llm_serving_planner.engines.regime import Regime
from llm_serving_planner.memory import activations
from llm_serving_planner.memory.settings import Gpu, Settings
from llm_serving_planner.models.adapters import Draft
from llm_serving_planner.models.spec import ModelSpec, Moe, Quantization
from support.made_up import (
    AMPERE,
    DENSE,
    EAGER,
    EXPERTS,
    FP8,
    HOPPER,
    LATENT,
    PLAIN,
    changed,
    regime,
    settings,
    term,
)  # fmt: skip


def sampler(sequences: int, tokens: int = 2000, per_logit: int = 14) -> int:
    return per_logit * sequences * 32064 + 2 * tokens * 1000 + 4 * sequences * 1000 + 1000


def test_the_sampler_is_the_peak_of_many_sequences() -> None:
    workspace = term("cublas_workspace")
    assert activations.peak_bytes(DENSE, HOPPER, EAGER, PLAIN) == workspace + sampler(100)
    assert activations.peak_bytes(DENSE, AMPERE, EAGER, PLAIN) == term("cublas_workspace_small") + sampler(100)
    buffered = regime(sampler_buffer=True)
    assert activations.peak_bytes(DENSE, HOPPER, EAGER, buffered) == workspace + sampler(100) + 4 * 132 * 32064
    few = settings(max_num_batched_tokens=50)
    assert activations.peak_bytes(DENSE, HOPPER, few, PLAIN) == workspace + sampler(50, 50)
    pipeline = settings(pipeline_parallel_size=2)
    assert activations.peak_bytes(DENSE, HOPPER, pipeline, PLAIN) == workspace + sampler(100) + 4 * 2000 * 1000
    seen = regime(penalties="charged")
    tables = 100 * (4 * 32001 + 4 * 1001)
    assert activations.peak_bytes(DENSE, HOPPER, EAGER, seen) == workspace + sampler(100) + tables
    outside = regime(penalties="outside")
    assert activations.peak_bytes(DENSE, HOPPER, EAGER, outside) == workspace + sampler(100)
    eyes = replace(DENSE, multimodal=True)
    assert activations.peak_bytes(eyes, HOPPER, EAGER, PLAIN) == workspace + sampler(100) + term("multimodal")
    assert activations.peak_bytes(eyes, HOPPER, settings(encoders=False), PLAIN) == workspace + sampler(100)


LONG = settings(max_num_seqs=1, max_num_batched_tokens=50_000)


def forward(spec: ModelSpec = DENSE, chosen: Settings = LONG, rules: Regime = PLAIN) -> int:
    """Peak without the workspace of matrix products, at many tokens and one sequence."""
    return activations.peak_bytes(spec, HOPPER, chosen, rules) - term("cublas_workspace")


def test_the_mlp_is_the_peak_of_many_tokens() -> None:
    tokens = 50_000
    assert forward() == 2 * tokens * (3 * 3000 + 3 * 1000)
    assert forward(chosen=changed(LONG, tensor_parallel_size=7)) == 2 * tokens * (3 * 429 + 3 * 1000)
    keeps = replace(DENSE, architecture="Qwen2ForCausalLM")
    assert forward(keeps) == 2 * tokens * (3 * 3000 + 4 * 1000)
    assert forward(keeps, replace(LONG, enforce_eager=False)) == 2 * tokens * (3 * 3000 + 3 * 1000) + 77
    assert forward(replace(DENSE, architecture="GPT2LMHeadModel")) == 2 * tokens * (2 * 3000 + 4 * 1000)
    block = replace(DENSE, quantization=Quantization("fp8", 8, block=(128, 128)))
    assert forward(block) == forward() + tokens * 3000 + tokens * 3000 // 32
    assert forward(replace(DENSE, quantization=FP8)) == forward()
    pooling = replace(LONG, pooling=True)
    assert forward(chosen=pooling, rules=regime(penalties="charged")) == forward()


def test_a_pooling_engine_samples_nothing() -> None:
    pooling = settings(pooling=True, max_num_batched_tokens=100)
    found = activations.peak_bytes(replace(DENSE, intermediate_size=1), HOPPER, pooling, regime(sampler_buffer=True))
    assert found - term("cublas_workspace") == 2 * 100 * 1000 + 4 * 100 * 1000 + 1000


def test_drafts_are_sampled_with_the_last_token() -> None:
    drafting = settings(draft=Draft("ngram", 3))
    assert activations.peak_bytes(DENSE, HOPPER, drafting, PLAIN) == term("cublas_workspace") + sampler(400)


def test_attention_is_the_peak_where_the_mlp_is_made_of_experts() -> None:
    tokens, rows = 50_000, 2 * 50_000 * 4
    workspace = rows * (1000 + 1000)
    assert forward(EXPERTS) == workspace + 2 * tokens * 4000
    assert forward(EXPERTS, rules=regime(moe_workspace=False)) == 2 * tokens * 4000
    wide = replace(EXPERTS, num_attention_heads=60)
    assert forward(wide) == workspace + 2 * tokens * (2 * 1000 + 2 * 60 * 50)
    assert forward(wide, changed(LONG, tensor_parallel_size=7)) == workspace + 2 * tokens * 4000
    shared = replace(EXPERTS, moe=Moe(10, 16, 4, 500, shared_intermediate=2001))
    assert forward(shared) == workspace + 2 * tokens * (3 * 2001 + 4000)
    assert forward(shared, changed(LONG, tensor_parallel_size=2)) == workspace + 2 * tokens * (3 * 1001 + 4000)
    some = replace(EXPERTS, moe=Moe(9, 16, 4, 500))
    assert forward(some) == workspace + 2 * tokens * (3 * 3000 + 4000)
    fat = replace(EXPERTS, moe=Moe(10, 16, 4, 1400))
    assert forward(fat) == rows * (2 * 1400 + 1400) + 2 * tokens * 4000
    assert forward(fat, changed(LONG, tensor_parallel_size=2)) == rows * (1400 + 1000) + 2 * tokens * 4000
    assert (
        forward(fat, changed(LONG, tensor_parallel_size=2, enable_expert_parallel=True))
        == rows * 4200 + 2 * tokens * 4000
    )


def test_experts_of_several_engines_work_on_the_tokens_of_all() -> None:
    chosen = changed(LONG, max_num_batched_tokens=10_000, data_parallel_size=2)
    gathered, rows = 2 * 2 * 2 * 10_000 * 1000, 2 * 20_000 * 4
    assert forward(EXPERTS, chosen) == gathered + rows * 2000 + 2 * 10_000 * 4000
    many = changed(chosen, data_parallel_size=8)
    assert forward(EXPERTS, many) == 2 * 2 * 8 * 10_000 * 1000 + 2 * 32768 * 4 * 2000 + 2 * 10_000 * 4000
    long = changed(LONG, data_parallel_size=2)
    assert forward(EXPERTS, long) == 2 * 2 * 2 * 50_000 * 1000 + 2 * 50_000 * 4 * 2000 + 2 * 50_000 * 4000


@pytest.mark.parametrize(
    ("capability", "needed"), [((8, 0), True), ((9, 0), False), ((10, 0), False), ((11, 0), False), ((12, 0), True)]
)
def test_mxfp4_kernels_of_hopper_and_blackwell_need_no_workspace(capability: tuple[int, int], needed: bool) -> None:
    four = replace(EXPERTS, quantization=Quantization("mxfp4", 4))
    gpu = Gpu(80 * GIB, capability, nvlink=True)
    without = activations.peak_bytes(four, gpu, LONG, regime(moe_workspace=False))
    assert activations.peak_bytes(four, gpu, LONG, PLAIN) - without == needed * 2 * 50_000 * 4 * 2000
    other = replace(EXPERTS, quantization=FP8)
    assert activations.peak_bytes(other, HOPPER, LONG, PLAIN) > activations.peak_bytes(
        other, HOPPER, LONG, regime(moe_workspace=False)
    )


def test_latent_attention_is_the_peak_of_long_contexts() -> None:
    chosen = settings(max_num_seqs=1, tensor_parallel_size=3)
    heads = 7
    per_token = 2 * 1000 + heads * (20 + 16 + 24) + 2 * (64 + 16)
    expected = 2 * 64000 * heads * (20 + 24) + 2 * 2000 * per_token
    assert forward(LATENT, chosen) == expected
    assert expected > 2 * 2000 * (3 * 1000 + 4 * 1000)
