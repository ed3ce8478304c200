"""Cache, graphs, margins and stages on made-up models, against sums written out by hand."""

from dataclasses import replace

import pytest
from llm_serving_planner.base.units import GIB
from llm_serving_planner.engines import vllm
from llm_serving_planner.engines.regime import Regime
from llm_serving_planner.memory import extras, kv_cache, pipeline, terms
from llm_serving_planner.memory.graphs import graph_bytes
from llm_serving_planner.memory.settings import Estimate, Gpu, ParallelConfig, Settings
from llm_serving_planner.models import embedded
from llm_serving_planner.models.adapters import Draft, Slots
from llm_serving_planner.models.spec import LayerGroup, ModelSpec, Moe, Recurrent, Weights
from support.made_up import (
    AMPERE,
    DENSE,
    EAGER,
    EXPERTS,
    HOPPER,
    MIXED,
    PCIE,
    PLAIN,
    regime,
    settings,
    term,
)  # fmt: skip


def test_pages() -> None:
    assert kv_cache.page_bytes(LayerGroup("full", 3, 4, 50, 60), settings(tensor_parallel_size=2)) == (
        3 * 16 * 2 * 110 * 2,
        16,
    )
    assert kv_cache.page_bytes(LayerGroup("full", 3, 4, 50, 60), settings(tensor_parallel_size=8)) == (
        3 * 16 * 110 * 2,
        16,
    )
    assert kv_cache.page_bytes(LayerGroup("mla", 3, 1, 80, 0), settings(tensor_parallel_size=8)) == (
        3 * 64 * 80 * 2,
        64,
    )
    eight = settings(kv_element_bytes=1)
    assert kv_cache.page_bytes(LayerGroup("mla", 3, 1, 80, 0), eight) == (3 * 64 * 80, 64)
    assert kv_cache.page_bytes(LayerGroup("index", 3, 1, 9, 0), settings()) == (3 * 64 * 9, 64)
    assert kv_cache.page_bytes(LayerGroup("index", 3, 1, 9, 0), eight) == (3 * 64 * 9, 64)


@pytest.mark.parametrize(
    ("counts", "padded"),
    [
        ((10,), [10]),
        ((10, 52), [10, 60]),
        ((10, 14), [14, 14]),
        ((10, 15), [10, 20]),
        ((4, 4), [4, 4]),
        ((5, 3), [6, 3]),
    ],
)
def test_groups_are_padded_to_one_size(counts: tuple[int, ...], padded: list[int]) -> None:
    kinds = ("full", "sliding")
    groups = tuple(
        LayerGroup(kind, count, 4, 50, 50, None if kind == "full" else 100)  # type: ignore[arg-type]
        for kind, count in zip(kinds, counts, strict=False)
    )
    assert kv_cache.padded_layers(replace(DENSE, layers=groups)) == padded
    assert kv_cache.padded_layers(replace(MIXED, layers=groups)) == list(counts)
    other = tuple(replace(group, k_dim=50 + index) for index, group in enumerate(groups))
    assert kv_cache.padded_layers(replace(DENSE, layers=other)) == list(counts)


def test_windows_hold_what_is_in_flight() -> None:
    def cached(kind: str, window: int | None, tokens: int, **changes: object) -> int:
        group = LayerGroup(kind, 1, 1, 1, 1, window)  # type: ignore[arg-type]
        chosen = settings(max_num_batched_tokens=100, **changes)
        return kv_cache.kv_request_bytes(replace(DENSE, layers=(group,)), chosen, tokens) // 64

    assert [cached("full", None, tokens) for tokens in (1, 16, 17, 1600)] == [1, 1, 2, 100]
    assert [cached("sliding", 61, tokens) for tokens in (16, 17, 160, 161, 5000)] == [2, 3, 11, 11, 11]
    assert cached("sliding", 62, 5000) == 12  # 61 + 100 tokens are one more than ten blocks
    assert [cached("chunked", 60, tokens) for tokens in (16, 17, 160, 161, 5000)] == [1, 2, 10, 10, 10]
    assert cached("sliding", 61, 5000, pipeline_parallel_size=2) == 18  # 60 + 200 tokens, and a block
    assert cached("chunked", 60, 5000, pipeline_parallel_size=2) == 17
    assert cached("sliding", 61, 5000, batches_ahead=1) == 18
    assert cached("chunked", 60, 5000, pipeline_parallel_size=2, batches_ahead=1) == 23


def test_recurrent_states_lie_in_pages_of_attention() -> None:
    """8 layers of 1,000,001 bytes beside 2 of 800 bytes per token: groups of 2, pages of 1,264 tokens."""
    page = 1264 * 800
    assert kv_cache.kv_request_bytes(MIXED, settings(), 16) == 2 * page * (1 + 4)
    assert kv_cache.kv_request_bytes(MIXED, settings(), 1265) == 2 * page * (2 + 4)
    assert kv_cache.kv_request_bytes(MIXED, settings(state_pages=3), 16) == 2 * page * (1 + 4 * 3)
    assert kv_cache.kv_request_bytes(MIXED, settings(tensor_parallel_size=4), 16) == 2 * 1264 * 200 * (1 + 4)
    assert kv_cache.kv_request_bytes(MIXED, settings(kv_element_bytes=1), 16) == 2 * (2512 * 400) * (1 + 4)
    assert kv_cache.kv_request_bytes(MIXED, settings(state_step=64), 16) == 2 * 1280 * 800 * (1 + 4)
    assert kv_cache.state_pages(MIXED, settings(), 2 * page * 7 + 1) == 7
    assert kv_cache.state_pages(DENSE, settings(), 2 * page) is None
    alone = replace(MIXED, layers=())
    assert kv_cache.kv_request_bytes(alone, settings(state_pages=3), 16) == 3 * 8 * 1_000_001


@pytest.mark.parametrize(
    ("name", "capability", "version", "prefixes", "expected"),
    [
        ("nvidia/NVIDIA-Nemotron-Nano-9B-v2", (9, 0), "0.33.0", True, (3, 16)),
        ("nvidia/NVIDIA-Nemotron-Nano-9B-v2", (8, 9), "0.33.0", True, (3, 16)),
        ("nvidia/NVIDIA-Nemotron-Nano-9B-v2", (9, 0), "0.31.0", True, (2, 16)),
        ("nvidia/NVIDIA-Nemotron-Nano-9B-v2", (9, 0), "0.33.0", False, (1, 16)),
        ("nvidia/NVIDIA-Nemotron-Nano-9B-v2", (9, 0), "0.25.1", True, (1, 16)),
        ("Qwen/Qwen3.5-35B-A3B", (9, 0), "0.33.0", True, (3, 64)),
        ("Qwen/Qwen3.5-35B-A3B", (8, 0), "0.33.0", True, (2, 16)),
        ("meta-llama/Llama-3.1-8B-Instruct", (9, 0), "0.33.0", True, (1, 16)),
    ],
)
def test_pages_of_a_state_by_version(
    name: str, capability: tuple[int, int], version: str, prefixes: bool, expected: tuple[int, int]
) -> None:
    found = embedded.find(name)
    assert found is not None
    rules = vllm.regime(version, found.architecture, moe=False, hybrid=True)
    assert kv_cache.state_rules(found, Gpu(80 * GIB, capability, nvlink=False), rules, prefixes=prefixes) == expected


@pytest.mark.parametrize(
    ("name", "tokens", "batch", "gib"),
    [
        ("ibm-granite/granite-4.0-h-small", 32768, 2048, 0.728),
        ("nvidia/NVIDIA-Nemotron-Nano-9B-v2", 54272, 512, 1.267),
        ("allenai/Olmo-3.1-32B-Instruct", 65536, 2048, 5.496),
        ("allenai/Olmo-3.1-32B-Instruct", 65536, 16384, 10.75),
        ("openai/gpt-oss-120b", 131072, 8192, 5.067),
    ],
)
def test_requests_that_0330_printed(name: str, tokens: int, batch: int, gib: float) -> None:
    """Cache of one request as vLLM 0.33.0 gave it in real starts on an H200, 2026-11-29 (docs/data)."""
    found = embedded.find(name)
    assert found is not None
    rules = vllm.regime("0.33.0", found.architecture, moe=False, hybrid=True)
    pages, step = kv_cache.state_rules(found, HOPPER, rules, prefixes=True)
    chosen = Settings(
        ParallelConfig(), tokens, 256, batch, 0.9,
        batches_ahead=rules.cache.batches_ahead, state_pages=pages, state_step=step,
    )  # fmt: skip
    assert kv_cache.kv_request_bytes(found, chosen, tokens) / GIB == pytest.approx(gib, abs=0.01)


def test_graphs() -> None:
    layer = term("graph_per_layer")
    assert graph_bytes(DENSE, enforce_eager=True) == 0
    assert graph_bytes(replace(DENSE, hidden_size=1025), enforce_eager=False) == 10 * layer
    for small in (1000, 1024):
        assert graph_bytes(replace(DENSE, hidden_size=small), enforce_eager=False) == int(10 * layer * 0.6)
    wide = replace(EXPERTS, hidden_size=2000)
    assert graph_bytes(wide, enforce_eager=False) == 10 * layer + term("graph_experts")


def test_what_lies_outside_the_share() -> None:
    context, hopper = term("context"), term("outside_nvlink_hopper")
    graphs = int(graph_bytes(DENSE, enforce_eager=False) * 43 / 102)  # 28 sizes up to 200, 15 up to 100
    compiled, pair = settings(enforce_eager=False), settings(tensor_parallel_size=2)

    def outside(spec: ModelSpec, gpu: Gpu, chosen: Settings, **changes: object) -> int:
        return terms.outside_bytes(spec, gpu, chosen, regime(**changes))

    assert outside(DENSE, HOPPER, compiled) == context
    assert outside(DENSE, HOPPER, compiled, measured=False) == context + graphs
    assert outside(DENSE, HOPPER, compiled, graphs_charged=False) == context + graphs
    assert outside(DENSE, HOPPER, EAGER, graphs_charged=False) == context
    assert outside(DENSE, HOPPER, pair) == context + hopper
    assert outside(DENSE, Gpu(80 * GIB, (10, 0), nvlink=True), pair) == context + hopper
    assert outside(DENSE, PCIE, pair) == outside(DENSE, AMPERE, pair) == context
    assert outside(EXPERTS, HOPPER, pair) == context + hopper + term("outside_expert_group")
    stages = settings(pipeline_parallel_size=2)
    assert outside(DENSE, PCIE, stages) == context + term("outside_pipeline")
    assert outside(DENSE, HOPPER, stages) == context + term("outside_pipeline") + hopper
    engines_apart = settings(data_parallel_size=2)
    assert outside(DENSE, HOPPER, engines_apart) == context
    assert outside(EXPERTS, HOPPER, engines_apart) == context + hopper + term("outside_expert_group")
    tables = 100 * (4 * 32001 + 4 * 1001)
    assert outside(DENSE, HOPPER, EAGER, penalties="outside") == context + tables
    assert outside(DENSE, HOPPER, EAGER, penalties="charged") == context


def test_memory_outside_pytorch() -> None:
    alone, parallel, linked = (term(f"non_torch{name}") for name in ("", "_tp", "_tp_nvlink_hopper"))
    pair = settings(tensor_parallel_size=2)
    assert terms.non_torch_bytes(DENSE, HOPPER, EAGER, PLAIN) == alone
    assert terms.non_torch_bytes(DENSE, HOPPER, settings(pipeline_parallel_size=2), PLAIN) == alone
    assert terms.non_torch_bytes(DENSE, HOPPER, settings(data_parallel_size=2), PLAIN) == alone
    own = replace(PLAIN, non_torch_bytes=5)
    assert terms.non_torch_bytes(DENSE, HOPPER, EAGER, own) == 5
    assert terms.non_torch_bytes(DENSE, HOPPER, pair, own) == linked
    assert terms.non_torch_bytes(DENSE, HOPPER, pair, PLAIN) == linked
    assert (
        terms.non_torch_bytes(DENSE, PCIE, pair, PLAIN) == terms.non_torch_bytes(DENSE, AMPERE, pair, PLAIN) == parallel
    )
    assert terms.non_torch_bytes(EXPERTS, AMPERE, settings(data_parallel_size=2), PLAIN) == parallel


def test_margins() -> None:
    margins = {name: entry["value"] for name, entry in vllm.facts()["margins_gib"].items()}
    wide = int(max(margins["unmeasured"] * GIB, margins["unmeasured_share"] * 80 * GIB))
    small, pair = int(margins["measured"] * GIB), int(margins["measured_parallel"] * GIB)
    assert len({wide, small, pair}) == 3

    def margin(spec: ModelSpec = DENSE, gpu: Gpu = HOPPER, rules: Regime = PLAIN, **changes: object) -> int:
        return terms.margin_bytes(spec, gpu, settings(**changes), rules)

    assert margin() == small
    assert margin(tensor_parallel_size=2) == pair
    assert margin(gpu=PCIE) == small
    assert margin(gpu=PCIE, tensor_parallel_size=2) == wide
    assert margin(rules=regime(measured=False)) == wide
    assert margin(gpu=Gpu(80 * GIB, (8, 9), nvlink=True)) == margin(gpu=Gpu(80 * GIB, (10, 0), nvlink=True)) == wide
    for spread in ({"pipeline_parallel_size": 2}, {"data_parallel_size": 2}, {"enable_expert_parallel": True}):
        assert margin(**spread) == wide
    tiny, huge = Gpu(GIB, (8, 0), nvlink=False), Gpu(10_000 * GIB, (8, 0), nvlink=False)
    assert margin(gpu=tiny) == int(margins["unmeasured"] * GIB)
    assert margin(gpu=huge) == int(margins["unmeasured_share"] * 10_000 * GIB)
    kinds = int(margins["hybrid_or_multimodal"] * GIB)
    assert margin(replace(DENSE, multimodal=True)) == margin(MIXED) == kinds
    band = regime(margin=(0.05, 3 * GIB))
    assert margin(rules=band) == 4 * GIB
    assert margin(gpu=tiny, rules=band) == 3 * GIB


def test_the_terms_add_up() -> None:
    chosen = settings(tensor_parallel_size=2, enforce_eager=False)
    gpu = Gpu(80 * GIB + 3, (9, 0), nvlink=True)
    found = terms.estimate(DENSE, gpu, chosen, PLAIN)
    graphs = int(graph_bytes(DENSE, enforce_eager=False) * 43 / 102)  # 28 sizes up to 200, 15 up to 100
    assert found.requested == -(-9 * (80 * GIB + 3) // 10)
    assert (found.total, found.cuda_graphs, found.lora, found.draft) == (80 * GIB + 3, graphs, 0, 0)
    sum_of_terms = found.weights + found.activations + found.non_torch + graphs
    assert found.used == sum_of_terms
    assert found.kv_cache == found.requested - sum_of_terms
    assert terms.estimate(DENSE, gpu, chosen, regime(graphs_charged=False)).cuda_graphs == 0
    held = terms.estimate(DENSE, gpu, chosen, regime(hold_back=0.25))
    free = found.requested - found.weights - term("context")
    assert held.requested == found.requested - int(0.25 * free)
    full = terms.estimate(replace(DENSE, weights=Weights(10**12, 1, "")), gpu, chosen, regime(hold_back=0.25))
    assert full.requested == found.requested, "nothing is free, nothing is held back"
    assert found.concurrency == found.kv_cache / found.kv_per_request
    assert replace(found, kv_cache=-5).concurrency == replace(found, kv_per_request=0).concurrency == 0.0


def test_ranks() -> None:
    chosen = settings(tensor_parallel_size=2, pipeline_parallel_size=3, data_parallel_size=5)
    assert (chosen.parallel.gpus, chosen.parallel.expert_ranks, chosen.positions) == (30, 10, 1)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [(-1, 0), (0, 0), (63, 0), (64, 16), (127, 16), (128, 32), (64 * 31, 496), (2047, 496), (2048, 500)],
)
def test_the_longest_context_within_a_budget(budget: int, expected: int) -> None:
    one = replace(DENSE, layers=(LayerGroup("full", 1, 1, 1, 1),))
    assert kv_cache.longest_context(one, settings(), budget, 500) == expected


def test_a_stage_is_its_share() -> None:
    """35 layers in four stages: 9, 9, 9 and 8; the first holds the embedding, so that it is the fullest."""
    embedding = 32001 * 1000 * 2
    deep = replace(
        MIXED, num_layers=35, layers=(LayerGroup("full", 7, 4, 50, 50),), moe=Moe(20, 16, 4, 500),
        recurrent=Recurrent(28, 2_800_000, 2, 280),
    )  # fmt: skip
    stage = pipeline.stage_spec(deep, 4)
    assert stage.num_layers == 9
    assert [group.count for group in stage.layers] == [2]
    assert stage.weights.loaded_bytes == (1_000_000_000 - 2 * embedding) * 9 // 35 + embedding
    assert stage.tied
    assert stage.moe == Moe(6, 16, 4, 500)
    assert stage.recurrent == Recurrent(8, 800_000, 2, 80)
    assert pipeline.stage_spec(deep, 1) is deep
    tied = pipeline.stage_spec(replace(deep, tied=True), 4)
    assert tied.weights.loaded_bytes == (1_000_000_000 - embedding) * 9 // 35 + embedding
    plain = pipeline.stage_spec(replace(DENSE, num_layers=32, layers=(LayerGroup("full", 32, 4, 50, 50),)), 2)
    assert (plain.moe, plain.recurrent, plain.layers[0].count) == (None, None, 16)
    assert plain.weights.loaded_bytes == (1_000_000_000 - 2 * embedding) // 2 + embedding
    # 34 layers: 8, 9, 9 and 8, so that a large embedding makes the first the fullest, a small one the second
    uneven = replace(DENSE, num_layers=34, layers=(LayerGroup("full", 34, 4, 50, 50),))
    assert pipeline.stage_spec(uneven, 4).weights.loaded_bytes == (1_000_000_000 - 2 * embedding) * 8 // 34 + embedding
    light = replace(uneven, vocab_size=10)
    assert pipeline.stage_spec(light, 4).weights.loaded_bytes == (1_000_000_000 - 40_000) * 9 // 34
    small = replace(DENSE, weights=Weights(10, 10, ""))
    assert pipeline.stage_spec(small, 2).weights.loaded_bytes == embedding


def test_adapters_and_drafts_are_terms_of_their_own() -> None:
    draft = Draft("eagle3", 3, head_bytes=10**8, layers=(LayerGroup("full", 1, 4, 50, 50),))
    chosen = settings(lora=Slots(2, 16, 2), draft=draft)
    assert (chosen.positions, EAGER.positions) == (4, 1)
    found, plain = terms.estimate(DENSE, HOPPER, chosen, PLAIN), terms.estimate(DENSE, HOPPER, EAGER, PLAIN)
    assert (found.lora, found.draft) == (extras.lora_bytes(DENSE, chosen), 10**8)
    assert found.lora > 0
    assert found.used == found.weights + found.activations + found.non_torch + found.lora + 10**8
    assert found.kv_cache == found.requested - found.used
    assert found.kv_per_request == plain.kv_per_request * 11 // 10, "ten layers and one that drafts"


def test_what_is_off_unless_it_is_asked_for() -> None:
    plain = Settings(ParallelConfig(1), 8000, 100, 2000, 0.9)
    assert (plain.enforce_eager, plain.runtime_fp8, plain.pooling, plain.parallel.enable_expert_parallel) == (
        False,
    ) * 4
    assert (plain.encoders, plain.kv_element_bytes, plain.parallel) == (True, 2, ParallelConfig(1, 1, 1))
    bare = Estimate(10, 9, 1, 1, 1, 1, 5, 1, 1, 1)
    assert (bare.lora, bare.draft, bare.used) == (0, 0, 4)
