"""Weights and activations term by term: each figure is computed by hand from the engine's source or read in a log."""

from dataclasses import replace

import pytest
from llm_serving_planner.base.units import GIB, MIB
from llm_serving_planner.engines import vllm
from llm_serving_planner.engines.regime import Regime
from llm_serving_planner.memory import activations, kernels, kv_cache, pipeline, tensors, terms, weights
from llm_serving_planner.memory.settings import Gpu, ParallelConfig, Settings
from llm_serving_planner.models import embedded
from llm_serving_planner.models.config.rotary import elements
from llm_serving_planner.models.spec import Mla, ModelSpec
from support.made_up import changed

H100 = Gpu(int(79.19 * GIB), (9, 0), nvlink=True)
H200 = Gpu(int(139.80 * GIB), (9, 0), nvlink=True)
A100 = Gpu(int(79.25 * GIB), (8, 0), nvlink=True)


def spec(name: str) -> ModelSpec:
    found = embedded.find(name)
    assert found is not None
    return found


def regime(version: str, found: ModelSpec) -> Regime:
    return vllm.regime(version, found.architecture, moe=found.moe is not None, hybrid=found.hybrid)


def settings(**changes: object) -> Settings:
    return changed(Settings(ParallelConfig(1), 8192, 256, 8192, 0.9, enforce_eager=True), **changes)


@pytest.mark.parametrize(
    ("rows", "text", "architecture", "rank", "expected"),
    [
        (131072, {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "LlamaForCausalLM", 0, 131072 * 128),
        (131072, {"rope_scaling": {"type": "linear", "factor": 8}}, "LlamaForCausalLM", 0, 8 * 131072 * 128),
        (131072, {"rope_scaling": {"rope_type": "linear", "factor": 8}}, "Gemma3ForCausalLM", 0, 9 * 131072 * 128),
        (32768, {"rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 32768}},
         "Qwen2ForCausalLM", 0, 131072 * 128),
        (163840, {"rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096}},
         "DeepseekV2ForCausalLM", 512, 2 * 163840 * 64),
        (131072, {"rope_scaling": {"type": "longrope"}, "original_max_position_embeddings": 4096},
         "Phi3ForCausalLM", 0, 135168 * 128),
        (2048, {"partial_rotary_factor": 0.4}, "PhiForCausalLM", 0, 2048 * 51),
        (2048, {"rotary_dim": 64}, "GPTJForCausalLM", 0, 2048 * 64),
        (128000, {"rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}},
         "Qwen2_5_VLForConditionalGeneration", 0, 4 * 128000 * 128),
        (4096, {"rope_parameters": {"full_attention": {"rope_type": "default"},
                                    "sliding_attention": {"rope_type": "default"}}, "global_head_dim": 512},
         "Gemma4ForCausalLM", 0, 4096 * (512 + 128)),
    ],
)  # fmt: skip
def test_rotary_tables_by_kind(rows: int, text: dict[str, object], architecture: str, rank: int, expected: int) -> None:
    """Kinds of vllm/model_executor/layers/rotary_embedding of 0.25.1."""
    mla = Mla(rank, 0, 64, 128, 128) if rank else None
    assert elements({"max_position_embeddings": rows, **text}, {}, architecture, 128, mla) == expected


def test_a_config_without_positions_has_no_table() -> None:
    assert elements({}, {}, "BloomForCausalLM", 128, None) == 0


@pytest.mark.parametrize(
    ("mib", "split", "whole"),
    [
        (9.5, 0, 0),
        (31.5, 0.5, 0.5),
        (24.5, 0, 1.5),
        (259, 1, 1),
        (129.5, 0.5, 0.5),
        (12.5, 0, 0),
        (11, 1, 1),
        (32, 0, 0),
    ],
)
def test_the_allocator_rounds_what_it_cannot_split(mib: float, split: float, whole: float) -> None:
    """Blocks of 2 MiB; a rest above 1 MiB is split off, under the loader's limit only below 20 MiB."""
    size = int(mib * MIB)
    assert tensors._added(size, whole_blocks=False) == split * MIB
    assert tensors._added(size, whole_blocks=True) == whole * MIB


def test_qwen_loads_more_under_the_loaders_limit() -> None:
    """14.25 GiB in seven logs of 0.19.0, 14.29 in a start of 0.25.1."""
    found = spec("Qwen/Qwen2.5-7B")
    old, new = (
        weights.loaded_bytes(found, H100, settings(), regime(version, found)) / GIB for version in ("0.19.0", "0.25.1")
    )
    assert old == pytest.approx(14.25, abs=0.03)
    assert new - old == pytest.approx(42 / 1024, abs=0.003)  # the 1.5 MiB of 28 output projections


@pytest.mark.parametrize(
    ("version", "gpu", "ranks", "measured"),
    [("0.19.0", H100, 2, 7.01), ("0.19.0", A100, 1, 13.72), ("0.25.1", H200, 1, 13.0)],
    ids=["Triton, old scales stay", "Marlin", "Triton"],
)
def test_mxfp4_experts_are_padded_by_the_kernel(version: str, gpu: Gpu, ranks: int, measured: float) -> None:
    """Logs of gpt-oss-20b: measurements-h100.csv, tests/data/logs.yaml, and 109.72 GiB of cache on one H200."""
    found = spec("openai/gpt-oss-20b")
    planned = weights.loaded_bytes(found, gpu, settings(tensor_parallel_size=ranks), regime(version, found)) / GIB
    assert planned == pytest.approx(measured, abs=0.09)
    assert kernels.added_bytes(found, ranks, gpu.capability, regime(version, found)) > 0


def test_plain_weights_are_left_alone_by_kernels() -> None:
    found = spec("meta-llama/Llama-3.1-8B-Instruct")
    assert kernels.added_bytes(found, 1, (9, 0), regime("0.25.1", found)) == 0
    assert kernels.imported_bytes(found, (9, 0), regime("0.25.1", found), fp8=False) == 0
    assert kernels.imported_bytes(found, (9, 0), regime("0.25.1", found), fp8=True) == 32 * MIB
    assert kernels.imported_bytes(found, (8, 0), regime("0.25.1", found), fp8=True) == 0


@pytest.mark.parametrize(
    ("model", "changes", "measured"),
    [
        ("deepseek-ai/DeepSeek-V2-Lite", {}, 51_301 * 1_990_656),
        ("openai/gpt-oss-20b", {"max_num_seqs": 1024}, 299_613 * 393_216),
        ("meta-llama/Llama-3.1-8B-Instruct", {"kv_element_bytes": 1}, 112_317 * 1_048_576),
    ],
)
def test_starts_that_no_table_holds(model: str, changes: dict[str, object], measured: int) -> None:
    """Blocks that vLLM 0.25.1 counted on one H200, share 0.9, eager: latent attention, MXFP4, FP8 cache."""
    found = spec(model)
    predicted = terms.estimate(found, H200, settings(**changes), regime("0.25.1", found))
    assert predicted.kv_cache / GIB == pytest.approx(measured / GIB, abs=0.1)


def test_llama_lets_go_of_gate_and_up_and_qwen_keeps_them() -> None:
    """7,168 more elements per token at the fattest moment would be 3.41 + 0.25 GiB at 32,768 tokens: 3.41 is logged."""
    found = spec("meta-llama/Llama-3.1-8B-Instruct")
    wide = settings(max_num_batched_tokens=32768)
    peak = activations.peak_bytes(found, H200, wide, regime("0.25.1", found))
    assert peak / GIB == pytest.approx(3.41, abs=0.01)
    keeps = replace(found, architecture="Qwen2ForCausalLM")
    more = activations.peak_bytes(keeps, H200, wide, regime("0.25.1", keeps)) - peak
    assert more == 2 * 32768 * found.hidden_size
    compiled = replace(wide, enforce_eager=False)
    assert activations.peak_bytes(keeps, H200, compiled, regime("0.25.1", keeps)) == peak + 60 * MIB


def test_tables_of_penalties_are_outside_in_025_and_charged_from_028() -> None:
    found = spec("meta-llama/Llama-3.1-8B-Instruct")
    tables = 256 * (4 * 128256 + 4 * 4008)
    assert activations.penalty_bytes(found, settings()) == tables
    many = settings(max_num_batched_tokens=32768)
    charged = [activations.peak_bytes(found, H200, many, regime(version, found)) for version in ("0.25.1", "0.28.0")]
    assert charged[1] - charged[0] == tables
    outside = [terms.outside_bytes(found, H200, many, regime(version, found)) for version in ("0.25.1", "0.28.0")]
    assert outside[0] - outside[1] == tables


def test_layers_of_unequal_number_are_padded() -> None:
    """Gemma-3-27b: 10 full layers and 52 with a window count as 10 and 60; 4.379 GiB per request are logged."""
    found = spec("google/gemma-3-27b-it")
    assert sorted(kv_cache.padded_layers(found)) == [10, 60]
    need = kv_cache.kv_request_bytes(found, settings(max_num_seqs=1024), 8192)
    assert need / GIB == pytest.approx(19.53 / 4.46, rel=0.003)
    even = spec("openai/gpt-oss-20b")
    assert kv_cache.padded_layers(even) == [group.count for group in even.layers]


@pytest.mark.parametrize("stages", [2, 4])
def test_a_pipeline_is_charged_for_what_comes_from_the_stage_before(stages: int) -> None:
    found = pipeline.stage_spec(spec("meta-llama/Llama-3.1-8B-Instruct"), stages)
    one, more = (
        activations.peak_bytes(found, H100, settings(pipeline_parallel_size=count), regime("0.19.0", found))
        for count in (1, stages)
    )
    assert more - one == 4 * 8192 * 4096
