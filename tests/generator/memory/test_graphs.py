"""CUDA graphs counted one by one, and the copies on which a compiler times its kernels."""

from dataclasses import replace

import pytest
from llm_serving_planner.base.units import GIB
from llm_serving_planner.memory import activations, graphs, terms
from llm_serving_planner.memory.settings import Gpu, Settings
from llm_serving_planner.models.adapters import Draft
from llm_serving_planner.models.spec import Moe, Quantization
from support.made_up import AMPERE, DENSE, EAGER, EXPERTS, HOPPER, PLAIN, changed, regime, settings, term

EACH, WIDTH = 1000, 700
COUNTED = regime(graph_each_bytes=EACH, graph_width_bytes=WIDTH)
BLACKWELL = Gpu(180 * GIB, (10, 0), nvlink=True)


def compiled(sequences: int, tokens: int = 8192, **changes: object) -> Settings:
    return settings(max_num_seqs=sequences, max_num_batched_tokens=tokens, enforce_eager=False, **changes)


@pytest.mark.parametrize(
    ("sequences", "tokens", "largest", "pieces", "whole"),
    [
        # as vLLM 0.33.0 logged them: 51 and 35 with 256 sequences, 19 and 11 with 64, 51 and 51 with 1,024
        (256, 8192, 512, 51, 35),
        (64, 2048, 128, 19, 11),
        (1024, 8192, 512, 51, 51),
        (256, 100, 100, 15, 15),
        (255, 8192, 510, 50, 34),
        (3, 8192, 6, 3, 2),
        (2, 8192, 4, 3, 2),
        (1, 8192, 2, 2, 1),
    ],
)
def test_graphs_of_a_start(sequences: int, tokens: int, largest: int, pieces: int, whole: int) -> None:
    chosen = compiled(sequences, tokens)
    assert graphs.largest(DENSE, HOPPER, chosen) == largest
    assert graphs.captured(DENSE, HOPPER, chosen) == pieces + whole


def test_some_capture_up_to_twice_as_large_a_batch() -> None:
    chosen = compiled(1024)
    assert graphs.largest(DENSE, BLACKWELL, chosen) == 1024
    assert graphs.captured(DENSE, BLACKWELL, chosen) == 2 * 83  # as vLLM 0.33.0 models/config.py says of gpt-oss
    assert graphs.largest(DENSE, Gpu(GIB, (12, 0), nvlink=False), chosen) == 512
    assert graphs.largest(DENSE, Gpu(GIB, (10, 0), nvlink=False, cuda=False), chosen) == 512
    assert graphs.largest(replace(DENSE, architecture="GptOssForCausalLM"), HOPPER, chosen) == 1024
    drafting = compiled(32, draft=Draft("ngram", 3))
    assert graphs.largest(DENSE, HOPPER, drafting) == 256
    assert graphs.captured(DENSE, HOPPER, drafting) == 35 + 19


def test_a_graph_has_a_price_and_so_has_the_largest_batch() -> None:
    def charged(spec: object = DENSE, chosen: Settings = compiled(256)) -> int:  # noqa: B008 - frozen
        return graphs.regime_bytes(spec, HOPPER, chosen, COUNTED)  # type: ignore[arg-type]

    assert charged() == 10 * 86 * EACH + 1000 * WIDTH
    assert charged(chosen=compiled(256, tensor_parallel_size=3)) == 10 * 86 * EACH + 334 * WIDTH
    assert charged(chosen=compiled(64)) == 10 * 30 * EACH + 1000 * WIDTH // 4
    assert charged(chosen=EAGER) == 0
    assert charged(EXPERTS) == charged()
    shared = replace(EXPERTS, moe=Moe(10, 16, 4, 500, shared_intermediate=7))
    four = replace(EXPERTS, quantization=Quantization("mxfp4", 4))
    assert charged(shared) == charged() + term("graph_experts_shared")
    assert charged(four) == charged() + term("graph_experts_mxfp4")
    assert charged(replace(DENSE, quantization=Quantization("mxfp4", 4))) == charged()
    whole = graphs.graph_bytes(EXPERTS, enforce_eager=False)
    assert graphs.regime_bytes(EXPERTS, HOPPER, compiled(1024), PLAIN) == whole
    assert graphs.regime_bytes(EXPERTS, HOPPER, compiled(256), PLAIN) == int(whole * 86 / 102)
    assert graphs.regime_bytes(EXPERTS, HOPPER, compiled(1), PLAIN) == int(whole * 0.1)
    assert terms.estimate(DENSE, HOPPER, compiled(256), COUNTED).cuda_graphs == charged()


def test_a_compiler_times_its_first_kernel_on_a_copy_of_the_embedding() -> None:
    copies = regime(tuning_copy=True)
    few = compiled(1, 100)
    copy = 2 * 1000 * (32064 + 100)

    def peak(spec: object = DENSE, chosen: Settings = few, rules: object = copies) -> int:
        return activations.peak_bytes(spec, HOPPER, chosen, rules)  # type: ignore[arg-type]

    assert peak() == copy
    assert peak(rules=PLAIN) < copy
    assert peak(chosen=replace(few, enforce_eager=True)) == peak(chosen=replace(few, enforce_eager=True), rules=PLAIN)
    halves = changed(few, tensor_parallel_size=2)
    assert peak(chosen=halves) == peak(chosen=halves, rules=PLAIN)
    eyes = replace(DENSE, multimodal=True)
    assert peak(eyes) == peak(eyes, rules=PLAIN)
    # the copy is gone before the workspace of the products and the experts' buffers are there
    assert peak(EXPERTS) == max(copy, peak(EXPERTS, rules=PLAIN))
    many = compiled(1, 50_000)
    assert peak(EXPERTS, many) == peak(EXPERTS, many, PLAIN) > 2 * 1000 * (32064 + 50_000)
    seen = replace(copies, penalties="charged")
    assert peak(rules=seen) == copy + activations.penalty_bytes(DENSE, few)


def test_mxfp4_kernels_make_a_row_for_every_chosen_expert() -> None:
    four = replace(EXPERTS, quantization=Quantization("mxfp4", 4))
    chosen = settings(max_num_seqs=1, max_num_batched_tokens=50_000)
    tokens = 2 * 50_000
    found = activations.peak_bytes(four, HOPPER, chosen, PLAIN) - term("cublas_workspace")
    assert found == tokens * (2 * 1000 + 4 * (500 + 1000))
    halves = changed(chosen, tensor_parallel_size=2)
    found = activations.peak_bytes(four, HOPPER, halves, PLAIN) - term("cublas_workspace")
    assert found == tokens * (2 * 1000 + 4 * (250 + 1000))
    whole = changed(halves, enable_expert_parallel=True)
    assert activations.peak_bytes(four, HOPPER, whole, PLAIN) - term("cublas_workspace") == tokens * 8000


def test_without_multicast_ranks_take_little_outside_pytorch() -> None:
    pair = settings(tensor_parallel_size=2, multicast=False)
    alone = term("non_torch_tp_without_multicast")
    assert terms.non_torch_bytes(DENSE, HOPPER, pair, PLAIN) == alone
    assert terms.non_torch_bytes(EXPERTS, HOPPER, pair, PLAIN) == alone + term("non_torch_expert_group")
    assert terms.non_torch_bytes(DENSE, AMPERE, pair, PLAIN) == term("non_torch_tp")
    assert terms.non_torch_bytes(DENSE, HOPPER, settings(multicast=False), PLAIN) == term("non_torch")
