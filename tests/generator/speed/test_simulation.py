"""The simulated scheduler: laws that hold for any step times, and figures that were measured."""

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_serving_planner.hardware.profiles import parse_profile
from llm_serving_planner.memory.settings import ParallelConfig, Settings
from llm_serving_planner.models import embedded
from llm_serving_planner.speed import constants
from llm_serving_planner.speed.roofline import Engine
from llm_serving_planner.speed.simulation import (
    Requests,
    Result,
    lengths,
    percentile,
    percentile_of_counts,
    simulate,
)
from llm_serving_planner.speed.steps import Steps
from support.laws import law

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


def steps(name: str = LLAMA, profile: str = "1xh200", tokens: int = 8192) -> Steps:
    spec = embedded.find(name)
    assert spec is not None
    gpus = parse_profile(profile)
    return Steps(Engine(spec, gpus, Settings(ParallelConfig(gpus.gpus_per_node), 32768, 256, tokens, 0.9)))


def served(
    pairs: list[tuple[int, int]],
    concurrency: int | None = None,
    rate: float | None = None,
    budget: int = 8192,
    cache: float = 1e9,
    seats: int = 256,
    replicas: int = 1,
    shared: float = 0.0,
) -> Result:
    asked = Requests(pairs, concurrency, rate, replicas, shared)
    return simulate(steps(tokens=budget), asked, budget=budget, seats=seats, cache=cache, beside=0.0)


def test_one_request_alone_is_the_sum_of_its_steps() -> None:
    one = steps()
    found = served([(1000, 11)], concurrency=1)
    prompt = one.seconds(0, 0.0, 1000, 0.0)
    assert found.first == [pytest.approx(prompt)]
    rest = sum(one.seconds(1, 1000.0 + number) for number in range(10))
    assert found.whole[0] - found.first[0] == pytest.approx(rest, rel=1e-3)
    assert found.tokens == 11


def test_a_prompt_above_the_step_takes_several() -> None:
    one = steps(tokens=512)
    found = served([(1024, 1)], concurrency=1, budget=512)
    assert found.first == [pytest.approx(one.seconds(0, 0.0, 512, 0.0) + one.seconds(0, 0.0, 512, 512.0))]


@law(30, nightly=120)
@given(
    st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 200)), min_size=1, max_size=30),
    st.integers(1, 16),
    st.sampled_from([512, 2048, 8192]),
    st.integers(4000, 20000),
)
def test_every_request_ends_and_tokens_are_kept(
    pairs: list[tuple[int, int]], concurrency: int, budget: int, cache: int
) -> None:
    found = served(pairs, concurrency=concurrency, budget=budget, cache=float(cache))
    assert not found.stalled
    assert len(found.whole) == len(pairs)
    assert found.tokens == sum(answer for _, answer in pairs)
    assert all(0 < first <= whole + 1e-9 for first, whole in zip(found.first, found.whole, strict=True))


def test_more_at_once_gives_more_tokens_and_later_ones() -> None:
    pairs = [(512, 64)] * 64
    few, many = served(pairs, concurrency=2), served(pairs, concurrency=32)
    assert many.tokens_per_second > 3 * few.tokens_per_second
    assert percentile(many.first, 50) > percentile(few.first, 50)


def test_a_small_cache_makes_requests_wait_or_start_again() -> None:
    pairs = [(500, 400)] * 12
    ample, scarce = served(pairs, concurrency=12), served(pairs, concurrency=12, cache=4000.0)
    assert scarce.seconds > ample.seconds
    assert scarce.preempted > 0 == ample.preempted
    assert scarce.tokens == ample.tokens
    assert served([(5000, 10)], concurrency=1, cache=4000.0).stalled


def test_a_smaller_step_makes_gaps_shorter_and_long_prompts_slower() -> None:
    pairs = [(4096, 64)] * 32
    small, large = served(pairs, concurrency=8, budget=512), served(pairs, concurrency=8, budget=8192)
    assert percentile_of_counts(small.gaps, 99) < percentile_of_counts(large.gaps, 99)
    assert served([(16384, 8)], concurrency=1, budget=512).first > served([(16384, 8)], concurrency=1).first


def test_what_is_in_the_cache_is_not_computed() -> None:
    pairs = [(4000, 32)] * 16
    assert percentile(served(pairs, 4, shared=0.9).first, 50) < 0.4 * percentile(served(pairs, 4).first, 50)


def test_replicas_share_what_comes() -> None:
    pairs = [(1000, 100)] * 100
    one, two = served(pairs, rate=12.0), served(pairs, rate=12.0, replicas=2)
    assert percentile(two.first, 90) < percentile(one.first, 90)
    assert two.requests_per_second == pytest.approx(one.requests_per_second / 2, rel=0.2)


def test_the_same_question_has_the_same_answer() -> None:
    pairs = lengths(80, (900, 1.0), (150, 0.8), 8192)
    assert pairs == lengths(80, (900, 1.0), (150, 0.8), 8192)
    assert served(pairs, rate=4.0).first == served(pairs, rate=4.0).first
    assert all(prompt + answer <= 8192 for prompt, answer in pairs)
    assert sum(prompt for prompt, _ in pairs) / 80 == pytest.approx(900, rel=0.35)


def test_percentiles() -> None:
    assert [percentile([3, 1, 2, 4], share) for share in (1, 25, 50, 51, 100)] == [1, 1, 2, 3, 4]
    assert percentile_of_counts([(1.0, 98), (9.0, 2)], 98) == 1.0
    assert percentile_of_counts([(1.0, 98), (9.0, 2)], 99) == 9.0
    assert math.isnan(percentile([], 50))


@pytest.mark.parametrize(
    ("name", "gpus", "at_once", "seconds"),
    [
        (LLAMA, "1xh200", 1, 0.646), (LLAMA, "1xh200", 8, 0.76), (LLAMA, "1xh200", 64, 1.63),
        (LLAMA, "2xh200", 64, 1.17),
        ("Qwen/Qwen3-30B-A3B", "1xh200", 8, 1.232), ("Qwen/Qwen3-30B-A3B", "1xh200", 64, 2.9),
    ],
)  # fmt: skip
def test_measured_runs(name: str, gpus: str, at_once: int, seconds: float) -> None:
    """Rows S47 to S66 of docs/data/throughput.csv: all requests at once, 512 + 128 tokens."""
    found = simulate(
        steps(name, gpus), Requests([(512, 128)] * at_once, concurrency=at_once), budget=8192, seats=256, cache=1e9,
        beside=constants.request_seconds(), reading=constants.reading_seconds(),
    )  # fmt: skip
    assert found.seconds == pytest.approx(seconds, rel=0.12)


def test_a_finalist_takes_less_than_150_ms() -> None:
    pairs = lengths(400, (900, 1.0), (250, 1.0), 16384)
    began = time.process_time()
    served(pairs, concurrency=200, cache=300_000.0)
    assert time.process_time() - began < 0.15
