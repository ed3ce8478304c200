"""Golden figures of the memory model, each computed by hand or read in a log."""

import csv
from dataclasses import replace

import pytest
from llm_serving_planner.base.units import GIB
from llm_serving_planner.engines import vllm
from llm_serving_planner.memory import kv_cache, terms
from llm_serving_planner.memory.settings import Gpu, ParallelConfig, Settings
from llm_serving_planner.memory.tensors import padded_vocab
from llm_serving_planner.memory.weights import weights_bytes
from llm_serving_planner.models import embedded
from llm_serving_planner.models.spec import ModelSpec
from support.helm import ROOT


def spec(name: str) -> ModelSpec:
    found = embedded.find(name)
    assert found is not None
    return found


def settings(tensor_parallel: int = 1, **changes: object) -> Settings:
    base = Settings(ParallelConfig(tensor_parallel), 8192, 256, 2048, 0.9)
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "tensor_parallel", "per_token"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", 1, 131072),
        ("meta-llama/Llama-3.3-70B-Instruct", 1, 327680),
        ("meta-llama/Llama-3.3-70B-Instruct", 2, 163840),
        ("meta-llama/Llama-3.3-70B-Instruct", 8, 40960),
        ("meta-llama/Llama-3.3-70B-Instruct", 16, 40960),
        ("Qwen/Qwen2.5-7B", 1, 57344),
        ("Qwen/Qwen3-30B-A3B", 4, 24576),
        ("Qwen/Qwen3-30B-A3B", 8, 24576),
        ("deepseek-ai/DeepSeek-V3", 1, 70272),
        ("deepseek-ai/DeepSeek-V3", 8, 70272),
        ("tiiuae/falcon-40b-instruct", 1, 122880),
        ("tiiuae/falcon-7b", 1, 8192),
        ("bigscience/bloom", 1, 4014080),
    ],
)
def test_cache_bytes_per_token(model: str, tensor_parallel: int, per_token: int) -> None:
    found = spec(model)
    whole = settings(tensor_parallel)
    assert kv_cache.kv_request_bytes(found, whole, 6400) == 6400 * per_token


def test_fp8_halves_the_cache() -> None:
    found = spec("meta-llama/Llama-3.1-8B-Instruct")
    assert kv_cache.kv_request_bytes(found, settings(kv_element_bytes=1), 1600) == 1600 * 65536


@pytest.mark.parametrize(("tokens", "blocks"), [(1, 1), (16, 1), (17, 2), (8192, 512)])
def test_the_cache_comes_in_blocks_of_16(tokens: int, blocks: int) -> None:
    found = spec("meta-llama/Llama-3.1-8B-Instruct")
    assert kv_cache.kv_request_bytes(found, settings(), tokens) == blocks * 16 * 131072


def test_mla_comes_in_blocks_of_64() -> None:
    found = spec("deepseek-ai/DeepSeek-V2-Lite")
    assert kv_cache.kv_request_bytes(found, settings(), 65) == 2 * 1990656


def test_gpt_oss_counts_windows_and_tokens_in_flight() -> None:
    """Log of vLLM 0.25.1: 512 + 513 blocks of 393,216 bytes per request of 8,192 tokens."""
    found = spec("openai/gpt-oss-20b")
    assert kv_cache.kv_request_bytes(found, settings(max_num_batched_tokens=8192), 8192) == (512 + 513) * 393216


def test_states_and_tokens_share_pages() -> None:
    found = spec("Qwen/Qwen3-Next-80B-A3B-Thinking")
    block = 544 * 24576  # 12 layers of attention and three groups of 12; 544 tokens x 2,048 bytes hold a state
    one = kv_cache.kv_request_bytes(found, settings(), 16)
    assert one == block * (1 + 3)
    assert kv_cache.kv_request_bytes(found, settings(), 10 * 544) == block * (10 + 3)


@pytest.mark.parametrize(("vocabulary", "padded"), [(32000, 32000), (32001, 32064), (50257, 50304)])
def test_vocabulary_is_padded_to_64(vocabulary: int, padded: int) -> None:
    assert padded_vocab(vocabulary) == padded


def test_tied_embeddings_are_held_once() -> None:
    found = spec("Qwen/Qwen3-0.6B")
    assert found.tied
    assert weights_bytes(found, 1) == pytest.approx(596_049_920 * 2, rel=0.02)


def test_replicated_keys_keep_weights_above_an_even_share() -> None:
    found = spec("Qwen/Qwen2.5-7B")
    even = weights_bytes(found, 4) * 4
    assert weights_bytes(found, 8) * 8 > even


def test_runtime_fp8_halves_linear_weights_only() -> None:
    found = spec("meta-llama/Llama-3.1-8B-Instruct")
    whole, half = weights_bytes(found, 1), weights_bytes(found, 1, runtime_fp8=True)
    embedding = 2 * found.vocab_size * found.hidden_size * 2
    assert half == pytest.approx((whole - embedding) / 2 + embedding, rel=0.01)


H200 = Gpu(int(139.80 * GIB), (9, 0), nvlink=True)
ROWS = list(csv.DictReader((ROOT / "docs" / "data" / "measurements-h200.csv").read_text().splitlines()))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['model'][:30]}-{row['max_num_batched_tokens']}")
def test_start_ups_on_h200_are_met_within_the_stated_margin(row: dict[str, str]) -> None:
    """Dense and MoE start-ups of vLLM 0.25.1, tensor parallel size 1."""
    found = embedded.find(row["catalogue_model"])
    assert found is not None
    if row["weights_override_gib"]:
        weights = replace(found.weights, loaded_bytes=int(float(row["weights_override_gib"]) * GIB))
        found = replace(found, weights=weights)
    chosen = Settings(
        ParallelConfig(),
        int(row["max_model_len"]),
        int(row["max_num_seqs"]),
        int(row["max_num_batched_tokens"]),
        float(row["gpu_memory_utilization"]),
        enforce_eager=row["enforce_eager"] == "True",
    )
    regime = vllm.regime("0.25.1", found.architecture, moe=found.moe is not None, hybrid=found.hybrid)
    predicted = terms.estimate(found, H200, chosen, regime)
    measured = float(row["kv_cache_gib"])
    assert predicted.kv_cache / GIB == pytest.approx(measured, abs=0.31)
    assert predicted.kv_cache / GIB <= measured + 0.2
    assert predicted.concurrency == pytest.approx(float(row["max_concurrency"]), rel=0.05)
