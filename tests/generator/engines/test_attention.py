"""Which attention kernels an engine takes by itself, and that nobody takes them for it."""

from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from llm_serving_planner.base.errors import DoesNotFitError
from llm_serving_planner.engines import vllm
from llm_serving_planner.engines.attention import attention, fp8_problem
from llm_serving_planner.engines.registry import engine_of
from llm_serving_planner.hardware.compute_capability import Capability
from llm_serving_planner.hardware.profiles import parse_profile
from llm_serving_planner.models import embedded
from llm_serving_planner.models.spec import ModelSpec
from llm_serving_planner.planner.options import Options
from llm_serving_planner.planner.proposals import make_plan
from support.helm import ROOT

V100, T4, A100, A10G, L4, H100, B200, RTX = (7, 0), (7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0)
LLAMA, GPT_OSS = "meta-llama/Llama-3.1-8B-Instruct", "openai/gpt-oss-20b"
LITE, V32 = "deepseek-ai/DeepSeek-V2-Lite", "deepseek-ai/DeepSeek-V3.2"
GEMMA3, GEMMA4, PHI2 = "google/gemma-3-27b-it", "google/gemma-4-31B-it", "microsoft/phi-2"  # phi-2: heads of 80


def spec(name: str) -> ModelSpec:
    found = embedded.find(name)
    assert found is not None
    return found


CASES: list[tuple[str, Capability, str, str, str]] = [
    (LLAMA, V100, "0.19.1", "auto", "TRITON_ATTN"),
    (LLAMA, T4, "0.23.0", "auto", "FLASHINFER"),
    (LLAMA, T4, "0.33.0", "auto", "TRITON_ATTN"),
    (LLAMA, A10G, "0.33.0", "auto", "FLASH_ATTN"),
    (LLAMA, L4, "0.33.0", "auto", "FLASH_ATTN"),
    (LLAMA, H100, "0.33.0", "auto", "FLASH_ATTN"),
    (LLAMA, B200, "0.33.0", "auto", "FLASHINFER"),
    (LLAMA, RTX, "0.33.0", "auto", "FLASH_ATTN"),
    (LLAMA, T4, "0.23.0", "fp8", "FLASHINFER"),
    (LLAMA, T4, "0.24.0", "fp8", ""),
    (LLAMA, A100, "0.33.0", "fp8", "FLASHINFER"),
    (LLAMA, A10G, "0.33.0", "fp8", "FLASHINFER"),
    (LLAMA, L4, "0.33.0", "fp8", "FLASHINFER"),
    (LLAMA, H100, "0.33.0", "fp8", "FLASH_ATTN"),
    (PHI2, A10G, "0.33.0", "auto", "FLASH_ATTN"),
    (PHI2, A10G, "0.33.0", "fp8", ""),
    (PHI2, L4, "0.33.0", "fp8", "TRITON_ATTN"),
    (GPT_OSS, A10G, "0.33.0", "auto", "TRITON_ATTN"),
    (GPT_OSS, H100, "0.33.0", "auto", "FLASH_ATTN"),
    (GPT_OSS, B200, "0.33.0", "auto", "FLASHINFER"),
    (GPT_OSS, RTX, "0.26.0", "auto", "TRITON_ATTN"),
    (GPT_OSS, RTX, "0.33.0", "auto", "FLASHINFER"),
    (LITE, T4, "0.33.0", "auto", "TRITON_MLA"),
    (LITE, A100, "0.33.0", "auto", "TRITON_MLA"),
    (LITE, H100, "0.33.0", "auto", "FLASH_ATTN_MLA"),
    (LITE, H100, "0.33.0", "fp8", "FLASHMLA"),
    (LITE, B200, "0.13.0", "auto", "CUTLASS_MLA"),
    (LITE, B200, "0.33.0", "auto", "FLASHINFER_MLA"),
    (LITE, RTX, "0.33.0", "auto", "TRITON_MLA"),
    (LITE, A100, "0.33.0", "fp8", ""),
    (V32, A100, "0.33.0", "auto", ""),
    (V32, H100, "0.24.0", "auto", "FLASHMLA_SPARSE"),
    (V32, H100, "0.33.0", "auto", "FLASH_ATTN_MLA_SPARSE"),
    (V32, H100, "0.33.0", "fp8", "FLASHMLA_SPARSE"),
    (V32, B200, "0.33.0", "fp8", "FLASHINFER_MLA_SPARSE"),
    (V32, B200, "0.33.0", "auto", "FLASHMLA_SPARSE"),
    (V32, RTX, "0.23.0", "auto", ""),
    (GEMMA3, A10G, "0.33.0", "auto", "TRITON_ATTN"),
    (GEMMA3, H100, "0.33.0", "auto", "TRITON_ATTN"),
    (GEMMA4, H100, "0.33.0", "auto", "TRITON_FLASH_ATTN"),
    (GEMMA4, B200, "0.33.0", "auto", "TRITON_FLASHINFER"),
]


@pytest.mark.parametrize(("model", "gpu", "version", "cache", "backend"), CASES, ids=lambda value: str(value)[-20:])
def test_the_backend_of_a_model_on_a_gpu(model: str, gpu: Capability, version: str, cache: str, backend: str) -> None:
    found = attention(version, spec(model), gpu, cache)
    assert found.backend == backend, found.reason
    assert found.reason


def test_the_reason_is_one_line() -> None:
    found = attention("0.33.0", spec(LLAMA), A10G, "fp8")
    assert found.reason == "not FLASH_ATTN: no FP8 cache on this GPU (vLLM 0.33.0, compute capability 8.6)"
    assert attention("0.33.0", spec(LLAMA), H100, "auto").reason == (
        "FA3, first choice (vLLM 0.33.0, compute capability 9.0)"
    )


def test_few_heads_per_rank_choose_another_sparse_backend() -> None:
    eight = attention("0.33.0", spec(V32), B200, "auto", tensor_parallel_size=8)
    assert eight.backend == "FLASH_ATTN_MLA_SPARSE_FA4"
    assert attention("0.24.0", spec(V32), B200, "auto", tensor_parallel_size=8).backend == "FLASHINFER_MLA_SPARSE"


@pytest.mark.parametrize(
    ("engine", "model", "gpu", "cache", "backend", "reason"),
    [
        ("tgi", LLAMA, A10G, "auto", "flashinfer", "first choice, head size 128"),
        ("tgi", PHI2, A10G, "auto", "flashdecoding", "flashinfer has no head size 80; prefix caching is off"),
        ("tgi", PHI2, T4, "auto", "paged", "flashinfer has no head size 80; prefix caching is off"),
        ("tgi", "tiiuae/falcon-7b", A10G, "auto", "flashdecoding", "TGI keeps FalconForCausalLM off flashinfer"),
        ("tgi", LLAMA, A10G, "fp8", "flashinfer", "first choice, head size 128"),
        ("tgi", PHI2, A10G, "fp8", "", "TGI keeps an FP8 cache with flashinfer only, not with flashdecoding"),
        ("tgis", LLAMA, A10G, "auto", "flash", "FLASH_ATTENTION=true"),
        ("tgis", LLAMA, T4, "auto", "transformers", "flash attention needs compute capability 8.0"),
        ("tgis", "Qwen/Qwen2.5-7B", A10G, "auto", "transformers", "TGIS has no flash attention for Qwen2ForCausalLM"),
        ("tgis", LLAMA, A10G, "fp8", "", "TGIS has no FP8 cache"),
    ],
)
def test_tgi_and_tgis(engine: str, model: str, gpu: Capability, cache: str, backend: str, reason: str) -> None:
    found = engine_of(engine).attention("", spec(model), gpu, cache)
    assert found.backend == backend
    assert found.reason.startswith(reason)


FP8_CASES: list[tuple[str, Capability, str, str | None]] = [
    (LLAMA, T4, "0.23.0", None),
    (
        LLAMA, T4, "0.24.0",
        "an FP8 KV cache needs compute capability 8.0 (8.9 natively) with vLLM 0.24.0, it has 7.5 "
        "(--engine-version 0.23.0 could)",
    ),
    (
        LLAMA, V100, "0.19.1",
        "an FP8 KV cache needs compute capability 8.0 (8.9 natively) with vLLM 0.19.1, it has 7.0",
    ),
    (LLAMA, A10G, "0.33.0", None),
    (
        PHI2, A10G, "0.33.0",
        "an FP8 KV cache needs compute capability 8.0 (8.9 natively) with vLLM 0.33.0, it has 8.6 (not FLASH_ATTN: no "
        "FP8 cache on this GPU; not FLASHINFER: no head size 80; not TRITON_ATTN: no FP8 cache on this GPU)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("model", "gpu", "version", "expected"), FP8_CASES)
def test_where_an_fp8_cache_can_be_kept(model: str, gpu: Capability, version: str, expected: str | None) -> None:
    assert fp8_problem(version, spec(model), "it", gpu, vllm.facts()["read_versions"]) == expected


@given(
    st.sampled_from([s for name in embedded.model_ids() if (s := embedded.find(name))]),
    st.sampled_from(vllm.facts()["read_versions"]),
    st.sampled_from([T4, A100, A10G, L4, H100, B200, RTX]),
)
def test_every_model_has_attention_or_is_refused(one: ModelSpec, version: str, gpu: Any) -> None:
    found = attention(version, one, gpu, "auto")
    sparse = one.architecture in {"DeepseekV32ForCausalLM", "GlmMoeDsaForCausalLM"}
    assert found.reason
    assert found.backend or sparse
    if attention(version, one, gpu, "fp8").backend:
        assert found.backend


def test_a_model_without_attention_is_refused_by_the_planner() -> None:
    with pytest.raises(DoesNotFitError) as refused:
        make_plan(spec(V32), parse_profile("8xa100-80gb"))
    assert any(reason.startswith("vLLM 0.33.0 has no attention for it on") for reason in refused.value.reasons)


def test_the_plan_tells_the_choice() -> None:
    plan = make_plan(replace(spec(LLAMA), gated=False), parse_profile("1xa10g"), Options(kv_cache_dtype="fp8"))
    assert (plan.attention, plan.attention_reason[:17]) == ("FLASHINFER", "not FLASH_ATTN: n")


def test_no_values_file_sets_what_the_engine_decides() -> None:
    found = sorted((ROOT / "values").glob("*.yaml")) + sorted((ROOT / "charts" / "llm-serving").rglob("*values*.yaml"))
    assert found
    for path in found:
        document = yaml.safe_load(path.read_text())
        arguments = document.get("engine", {}).get("args") or {} if isinstance(document, dict) else {}
        assert not {"attention-backend", "attention-config", "attention_backend"} & set(arguments), path
