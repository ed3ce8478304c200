"""Checks that end a start: each rule of the table is broken by one pair of settings, and by nothing beside it."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from llm_serving_planner.engines import start_rules, vllm
from llm_serving_planner.engines.registry import engine_of
from llm_serving_planner.output import started

# rule -> (settings that break it, one change that mends it)
BROKEN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "item-in-one-step": (
        {"model.two_way": True, "model.largest_item": 2496, "max-num-batched-tokens": 2495},
        {"max-num-batched-tokens": 2496},
    ),
    "sequences-in-one-step": ({"max-num-batched-tokens": 255, "max-num-seqs": 256}, {"max-num-seqs": 255}),
    "whole-prompts": (
        {"enable-chunked-prefill": False, "max-num-batched-tokens": 2048, "max-model-len": 2049},
        {"enable-chunked-prefill": True},
    ),
    "active-sequences": ({"max-num-active-seqs": 9, "max-num-seqs": 8}, {"max-num-active-seqs": 8}),
    "long-prefill": ({"long-prefill-token-threshold": 9, "max-model-len": 8}, {"max-model-len": 9}),
    "context-of-the-model": ({"max-model-len": 9, "model.max_position": 8}, {"max-model-len": 8}),
    "heads-over-ranks": ({"model.heads": 28, "tensor-parallel-size": 8}, {"tensor-parallel-size": 4}),
    "experts-needed": ({"enable-expert-parallel": True, "model.experts": 0}, {"model.experts": 8}),
    "balance-needs-experts": (
        {"enable-eplb": True, "enable-expert-parallel": False},
        {"enable-expert-parallel": True},
    ),
    "balance-needs-ranks": (
        {"enable-eplb": True, "tensor-parallel-size": 1, "data-parallel-size": 1},
        {"data-parallel-size": 2},
    ),
    "context-parallel-divides": (
        {"tensor-parallel-size": 4, "decode-context-parallel-size": 3},
        {"decode-context-parallel-size": 2},
    ),
    "local-engines": ({"data-parallel-size-local": 4, "data-parallel-size": 2}, {"data-parallel-size": 4}),
    "ray-between-nodes": ({"nnodes": 2, "distributed-executor-backend": "ray"}, {"nnodes": 1}),
    "engines-between-nodes": ({"nnodes": 2, "data-parallel-backend": "ray"}, {"data-parallel-backend": "mp"}),
    "adapters-in-memory": ({"max-cpu-loras": 1, "max-loras": 2}, {"max-cpu-loras": 2}),
    "adapters-and-drafts": (
        {"enable-lora": True, "max-num-batched-tokens": 512, "decode-tokens": 1024, "max-num-seqs": 256},
        {"enable-lora": False},
    ),
    "slots-of-drafts": ({"max-num-batched-tokens": 4, "draft-tokens": 4}, {"draft-tokens": 3}),
    "cache-type-of-the-model": ({"kv-cache-dtype": "float16", "dtype": "bfloat16"}, {"dtype": "float16"}),
    "nvfp4-cache-of-latents": ({"kv-cache-dtype": "nvfp4", "model.latent": True}, {"kv-cache-dtype": "fp8"}),
    "items-and-states": (
        {"disable-chunked-mm-input": True, "model.recurrent": True, "enable-prefix-caching": True},
        {"enable-prefix-caching": False},
    ),
    "mamba-blocks-need-prefixes": (
        {"mamba-block-size": 512, "enable-prefix-caching": False, "max-model-len": 4096},
        {"mamba-block-size": 4096},
    ),
    "rounding-of-states": (
        {"enable-mamba-cache-stochastic-rounding": True, "mamba-ssm-cache-dtype": "float32"},
        {"mamba-ssm-cache-dtype": "float16"},
    ),
    "quantised-once": ({"model.quantization": "awq", "quantization": "gptq"}, {"quantization": "awq"}),
    "chunks-of-states": (
        {"enable-chunked-prefill": False, "enable-prefix-caching": True, "model.recurrent": True},
        {"model.recurrent": False},
    ),
}


def test_each_rule_is_tried_and_has_a_source() -> None:
    assert set(BROKEN) == {rule["id"] for rule in start_rules.rules()}
    for rule in start_rules.rules():
        assert rule["source"].startswith("vllm/")
        assert ".py:" in rule["source"]
        assert {"found", "remedy", "from", "when"} <= set(rule)


@pytest.mark.parametrize("name", BROKEN)
def test_broken_and_mended(name: str) -> None:
    facts, mended = BROKEN[name]
    (text,) = start_rules.broken("0.33.0", facts)
    assert "{" not in text
    assert "None" not in text
    assert start_rules.broken("0.33.0", facts | mended) == []
    for flag in facts:  # what is not known breaks no rule
        assert start_rules.broken("0.33.0", {key: value for key, value in facts.items() if key != flag}) == [] or (
            "{" + flag + "}" in json.dumps(next(rule for rule in start_rules.rules() if rule["id"] == name))
        )


def test_by_version_and_environment() -> None:
    two_way = BROKEN["item-in-one-step"][0]
    assert start_rules.broken("0.11.1", two_way) == []
    long = BROKEN["context-of-the-model"][0]
    assert start_rules.broken("0.33.0", long, {"VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1"}) == []
    assert engine_of("vllm").start_problems("0.33.0", long)
    assert engine_of("tgi").start_problems("3.3.7", long) == []


def test_values_are_held_against_them() -> None:
    """Flags of engine.args and engine.extraArgs alike, with facts of a model that the catalogue has."""
    gemma: dict[str, Any] = {"model": {"id": "google/gemma-4-31B-it"}, "engine": {"args": {}}}
    default = vllm.default_version()

    def problems(args: dict[str, Any], extra: list[str] | None = None) -> list[str]:
        gemma["engine"] = {"args": args, "extraArgs": extra or []}
        return start_rules.broken(default, started.facts(gemma))

    assert problems({}) == []
    assert "2496" in problems({"max-num-batched-tokens": 2048})[0]
    assert "2496" in problems({}, ["--max_num_batched_tokens=2048"])[0]
    assert problems({"max-num-batched-tokens": 2048, "limit-mm-per-prompt": {"video": 0}}) == []
    assert problems({"max-num-batched-tokens": 2048, "language-model-only": True}) == []
    assert problems({"max-num-batched-tokens": 2496}, ["--max-num-seqs", "4096"])
    hybrid: dict[str, Any] = {
        "model": {"id": "nvidia/NVIDIA-Nemotron-Nano-9B-v2"},
        "engine": {"args": {"enable-prefix-caching": True}, "extraArgs": ["--no-enable-chunked-prefill"]},
        "parallelism": {"tensor": 3, "expert": True},
    }
    assert len(start_rules.broken(default, started.facts(hybrid))) == 3


def test_the_engine_agrees() -> None:
    """The engine's own checks, where vLLM is installed: it needs PyTorch and is no part of the development set."""
    reason = "vLLM needs PyTorch (5 GB) and is not installed for development; run this test beside an engine"
    budget = pytest.importorskip("vllm.v1.core.encoder_cache_manager", reason=reason)
    scheduler = pytest.importorskip("vllm.config.scheduler", reason=reason)
    config = SimpleNamespace(
        disable_chunked_mm_input=True, max_num_batched_tokens=2048, max_num_encoder_input_tokens=0, encoder_cache_size=0
    )
    with pytest.raises(ValueError, match="max_tokens_per_mm_item"):
        budget.compute_mm_encoder_budget(config, {"video": 2496})
    for name, changes in {
        "sequences-in-one-step": {"max_num_batched_tokens": 255, "max_num_seqs": 256, "max_model_len": 64},
        "whole-prompts": {"max_num_batched_tokens": 2048, "max_model_len": 2049, "enable_chunked_prefill": False},
    }.items():
        assert name in BROKEN
        with pytest.raises(ValueError, match="max_num_batched_tokens"):
            scheduler.SchedulerConfig(is_encoder_decoder=False, **changes)
