"""Weights of a rank and what loading adds to them, on made-up models, against sums written out by hand."""

from dataclasses import replace

import pytest
from llm_serving_planner.base.units import MIB
from llm_serving_planner.memory import tensors, weights
from llm_serving_planner.memory.settings import Settings
from llm_serving_planner.models.spec import LayerGroup, Mla, ModelSpec, Moe, Quantization, Recurrent, Weights
from support.made_up import (
    DENSE,
    EAGER,
    EXPERTS,
    FP8,
    HOPPER,
    LATENT,
    MIXED,
    PLAIN,
    regime,
    settings,
    term,
)  # fmt: skip

KEYS = 10 * 1000 * 4 * (50 + 50)  # parameters
NORMS = 1000 * 21


def rank_weights(spec: ModelSpec, chosen: Settings) -> int:
    return weights.rank_weights(spec, chosen.parallel, runtime_fp8=chosen.runtime_fp8)


@pytest.mark.parametrize("ranks", [1, 2, 4, 8])
def test_weights_of_a_dense_model(ranks: int) -> None:
    sharded = 1_000_000_000 - 2 * KEYS - 2 * NORMS
    padding = 63 * 1000 * 2 * 2  # embedding and head, 2 bytes
    expected = (sharded + padding) / ranks + 2 * KEYS / min(ranks, 4) + 2 * NORMS
    assert weights.weights_bytes(DENSE, ranks) == int(expected)
    tied = replace(DENSE, tied=True)
    assert weights.weights_bytes(tied, ranks) == int(expected - 63 * 1000 * 2 / ranks)
    rotated = replace(DENSE, rotary_elements=5000)
    assert weights.weights_bytes(rotated, ranks) == int(expected) + 2 * 5000
    endless = replace(DENSE, rotary_elements=10**12)
    assert weights.weights_bytes(endless, ranks) == int(expected) + 2 * 50 * 2**24
    positions = replace(DENSE, learned_positions=300)
    assert weights.weights_bytes(positions, 1) == weights.weights_bytes(DENSE, 1)
    assert weights.weights_bytes(positions, 2) - weights.weights_bytes(DENSE, 2) == 300 * 1000


def test_weights_at_8_bits() -> None:
    """At run time the matrices are halved and the embeddings are not; a checkpoint's own width is believed."""
    embedding = 2 * 32001 * 1000 * 2
    loaded = embedding + (1_000_000_000 - embedding) // 2
    sharded = loaded - KEYS - 2 * NORMS
    expected = (sharded + 63 * 1000 * 4) / 8 + KEYS / 4 + 2 * NORMS
    assert weights.weights_bytes(DENSE, 8, runtime_fp8=True) == int(expected)
    tied = replace(DENSE, tied=True)
    assert weights.weights_bytes(tied, 1, runtime_fp8=True) == int(
        embedding // 2 + (1_000_000_000 - embedding // 2) // 2 + 63 * 1000 * 2
    )
    own = replace(DENSE, quantization=FP8)
    same = (1_000_000_000 - KEYS - 2 * NORMS + 63 * 1000 * 4) / 8 + KEYS / 4 + 2 * NORMS
    assert weights.weights_bytes(own, 8, runtime_fp8=True) == weights.weights_bytes(own, 8) == int(same)
    assert weights.linear_bytes(replace(DENSE, quantization=Quantization("awq", 4)), runtime_fp8=False) == 0.5
    tiny = replace(DENSE, weights=Weights(1, 1, ""))
    assert weights.weights_bytes(tiny, 1, runtime_fp8=True) == int(
        max(embedding - KEYS - 2 * NORMS, 0) + 63 * 1000 * 4 + KEYS + 2 * NORMS
    ), "less than its embedding: nothing is halved"
    assert weights.weights_bytes(tiny, 1) == 63 * 1000 * 4 + 2 * KEYS + 2 * NORMS, "sharded is never below nothing"


def test_what_is_whole_on_every_rank() -> None:
    router = 2 * 10 * 16 * 1000
    both = [weights.weights_bytes(one, 2) for one in (EXPERTS, replace(EXPERTS, moe=None))]
    assert both[0] - both[1] == router // 2
    whole = 2 * (NORMS + 10 * 1000 * (64 + 16 + 30) + 10 * 700)
    assert weights.weights_bytes(LATENT, 4) == int((1_000_000_000 - whole + 63 * 4000) / 4 + whole)
    fewer = replace(LATENT, layers=(LayerGroup("mla", 10, 1, 80, 0), LayerGroup("index", 4, 1, 9, 0)))
    less = whole - 2 * 6 * 700
    assert weights.weights_bytes(fewer, 4) == int((1_000_000_000 - less + 63 * 4000) / 4 + less)
    keys, grouped, norms = 2 * 2 * 1000 * 4 * 100, 2 * 1_000_000, 2 * NORMS
    for ranks in (1, 2, 4):
        expected = (1_000_000_000 - keys - grouped - norms + 63 * 4000) / ranks
        expected += keys / min(ranks, 4) + grouped / min(ranks, 2) + norms
        assert weights.weights_bytes(MIXED, ranks) == int(expected)
    ungrouped = replace(MIXED, recurrent=Recurrent(8, 8_000_001, groups=0, group_parameters=1_000_000))
    assert weights.weights_bytes(ungrouped, 4) == int(
        (1_000_000_000 - keys - grouped - norms + 63 * 4000) / 4 + keys / 4 + grouped + norms
    )


def test_experts_over_data_parallel_ranks() -> None:
    experts = 2 * 3 * 10 * 16 * 1000 * 500
    held = weights.weights_bytes(EXPERTS, 2)
    assert rank_weights(EXPERTS, settings(tensor_parallel_size=2)) == held
    assert rank_weights(EXPERTS, settings(tensor_parallel_size=2, data_parallel_size=4)) == held - int(
        experts * (1 / 2 - 1 / 8)
    )
    assert rank_weights(
        EXPERTS, settings(tensor_parallel_size=1, data_parallel_size=3, enable_expert_parallel=True)
    ) == (weights.weights_bytes(EXPERTS, 1) - int(experts * (1 - 6 / 16)))
    assert rank_weights(EXPERTS, settings(tensor_parallel_size=3, enable_expert_parallel=True)) == (
        weights.weights_bytes(EXPERTS, 3) - int(experts * (1 / 3 - 6 / 16))
    )
    assert rank_weights(DENSE, settings(data_parallel_size=4)) == weights.weights_bytes(DENSE, 1)
    few = replace(EXPERTS, weights=Weights(1000, 1000, ""))
    assert rank_weights(few, settings(data_parallel_size=2)) == weights.weights_bytes(few, 1) - 500
    halved = settings(tensor_parallel_size=1, data_parallel_size=2, runtime_fp8=True)
    assert rank_weights(EXPERTS, halved) == (
        weights.weights_bytes(EXPERTS, 1, runtime_fp8=True) - int(experts // 2 * (1 - 1 / 2))
    )


def test_what_loading_adds() -> None:
    plain = weights.loaded_bytes(DENSE, HOPPER, EAGER, PLAIN)
    rounding = tensors.rounding(DENSE, 1, 2.0, whole_blocks=False)
    assert plain == weights.weights_bytes(DENSE, 1) + rounding
    whole = weights.loaded_bytes(DENSE, HOPPER, EAGER, regime(whole_blocks=True))
    assert whole == weights.weights_bytes(DENSE, 1) + tensors.rounding(DENSE, 1, 2.0, whole_blocks=True)
    gemm = regime(deep_gemm=True)
    for changes, added in (({}, 0), ({"kv_element_bytes": 1}, 1), ({"runtime_fp8": True}, 1)):
        chosen = settings(**changes)
        difference = weights.loaded_bytes(DENSE, HOPPER, chosen, gemm) - weights.loaded_bytes(
            DENSE, HOPPER, chosen, PLAIN
        )
        assert difference == added * term("deep_gemm")
    latent = weights.loaded_bytes(LATENT, HOPPER, settings(tensor_parallel_size=2), PLAIN)
    assert latent == (
        weights.weights_bytes(LATENT, 2) + tensors.rounding(LATENT, 2, 2.0, whole_blocks=False) + 2 * 64000 * (64 + 16)
    )


@pytest.mark.parametrize(
    ("length", "sequences", "tokens"), [(8000, 100, 64000), (100, 100, 6400), (9000, 100, 65536), (10, 2000, 65536)]
)
def test_the_chunk_of_latent_attention(length: int, sequences: int, tokens: int) -> None:
    assert weights.latent_chunk(settings(max_model_len=length, max_num_seqs=sequences)) == tokens


def test_tensors_of_the_layers() -> None:
    heads = 10 * 50
    assert list(tensors.linear(DENSE, 2)) == [
        (10, 1000 * (heads + 2 * 100)), (10, 1000 * heads), (10, 2 * 1500 * 1000), (10, 1500 * 1000),
    ]  # fmt: skip
    seven = list(tensors.linear(DENSE, 7))
    assert seven == [(10, 1000 * (3 * 50 + 100)), (10, 1000 * 150), (10, 2 * 429 * 1000), (10, 429 * 1000)]
    ungated = replace(DENSE, architecture="GPT2LMHeadModel")
    assert list(tensors.linear(ungated, 1))[2:] == [(10, 3000 * 1000), (10, 3000 * 1000)]
    some = replace(EXPERTS, moe=Moe(8, 16, 4, 500, shared_intermediate=700))
    assert list(tensors.linear(some, 2))[2:] == [
        (2, 2 * 1500 * 1000), (2, 1500 * 1000), (8, 2 * 16 * 250 * 1000), (8, 16 * 250 * 1000),
        (8, 2 * 350 * 1000), (8, 350 * 1000),
    ]  # fmt: skip
    assert list(tensors.linear(LATENT, 2))[:4] == [
        (10, 30 * 10 * 36), (10, 64 * 10 * 44), (10, 10 * 24 * 1000), (10, 1000 * (30 + 64 + 16)),
    ]  # fmt: skip
    direct = replace(LATENT, mla=Mla(64, 0, 16, 20, 24))
    assert list(tensors.linear(direct, 2))[:3] == [(10, 1000 * 10 * 36), (10, 64 * 10 * 44), (10, 10 * 24 * 1000)]
    assert len(list(tensors.linear(direct, 2))) == 5, "no projections of keys and values beside the latent's"
    gate = replace(DENSE, architecture="Qwen3NextForCausalLM")
    assert next(iter(tensors.linear(gate, 1))) == (10, 1000 * (2 * 20 * 50 + 4 * 100))


@pytest.mark.parametrize(
    ("size", "split", "whole"),
    [
        (10 * MIB - 1, 0, 0), (10 * MIB, 0, 0), (10 * MIB + 1, 0, 0), (11 * MIB, MIB, MIB), (11 * MIB - 1, 0, 0),
        (12 * MIB - 5, 5, 5), (20 * MIB - MIB - 1, 0, 0), (20 * MIB + 1, 0, 2 * MIB - 1), (21 * MIB, MIB, MIB),
    ],
)  # fmt: skip
def test_the_allocator_at_its_limits(size: int, split: int, whole: int) -> None:
    assert tensors._added(size, whole_blocks=False) == split
    assert tensors._added(size, whole_blocks=True) == whole


def test_rounding_counts_each_tensor() -> None:
    embedding = tensors._added(32064 * 1000 * 2 // 2, whole_blocks=False)
    layers = [1000 * 700, 1000 * 500, 2 * 1500 * 1000, 1500 * 1000]
    each = [tensors._added(2 * size, whole_blocks=False) for size in layers]
    assert tensors.rounding(DENSE, 2, 2.0, whole_blocks=False) == 2 * embedding + 10 * sum(each)
    assert tensors.rounding(replace(DENSE, tied=True), 2, 2.0, whole_blocks=False) == embedding + 10 * sum(each)
    large = replace(DENSE, vocab_size=100_000, intermediate_size=11_000)
    rows = 100_032
    sizes = [11_000 * 1000 * 2 * 2, 11_000 * 1000 * 2]
    expected = 2 * (-(rows * 2000) % (2 * MIB)) + 10 * sum(-size % (2 * MIB) for size in sizes)
    assert tensors.rounding(large, 1, 2.0, whole_blocks=True) == expected


@pytest.mark.parametrize(("tied", "matrices"), [(True, 1), (False, 2)])
def test_rounding_of_embedding_and_head(tied: bool, matrices: int) -> None:
    """100,032 rows of 2,000 bytes are 1,262,592 bytes short of whole blocks of 2 MiB, half of them 631,296."""
    wide = replace(DENSE, vocab_size=100_000, tied=tied, num_layers=0, layers=())
    for ranks, rest in ((1, 1_262_592), (2, 631_296)):
        assert tensors.rounding(wide, ranks, 2.0, whole_blocks=True) == matrices * rest
