"""Logs of real start-ups are read back to the numbers that they print."""

import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from llm_serving_planner.logs import failures
from llm_serving_planner.logs.compare import compare
from llm_serving_planner.logs.reading import merge, read_log
from support.helm import ROOT

EXCERPTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "tests" / "data" / "logs.yaml").read_text())


@pytest.mark.parametrize("excerpt", EXCERPTS, ids=lambda excerpt: excerpt["what"])
def test_an_excerpt_gives_its_numbers(excerpt: dict[str, Any]) -> None:
    startup = read_log(excerpt["log"].splitlines())
    for name, value in excerpt.get("expect", {}).items():
        assert getattr(startup, name) == value, name
    for rank, terms in excerpt.get("ranks", {}).items():
        found = {term: getattr(startup.ranks[rank], term) for term in terms}
        assert found == terms
    cause = failures.cause(startup.failures)
    if "failure" not in excerpt:
        assert cause is None
        return
    assert cause is not None
    assert {"kind": cause.kind, **cause.numbers} == excerpt["failure"]
    advice = [f"{one.flag} {one.value}" for one in compare(startup, None).advice]
    assert advice[: len(excerpt.get("advice", []))] == excerpt.get("advice", [])


def test_every_kind_of_failure_but_the_few_named_is_shown_by_a_real_log() -> None:
    shown = {excerpt["failure"]["kind"] for excerpt in EXCERPTS if "failure" in excerpt}
    assert set(failures.KINDS) - shown == {
        "out of memory while loading", "no bfloat16", "heads do not divide", "quantisation not for this GPU",
        "driver too old", "unknown flag",
    }  # fmt: skip


# Texts of vLLM 0.33.0 (vllm/v1/worker/utils.py, vllm/platforms/cuda.py, vllm/config) that no excerpt has.
@pytest.mark.parametrize(
    ("line", "kind", "advice"),
    [
        ("Failed to load model - not enough GPU memory. Try lowering --gpu-memory-utilization",
         "out of memory while loading", "parallelism.tensor 2"),
        ("ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla T4 GPU "
         "has compute capability 7.5.", "no bfloat16", "--dtype half"),
        ("Total number of attention heads (14) must be divisible by tensor parallel size (4).", "heads do not divide",
         "parallelism.tensor 2"),
        ("The quantization method modelopt_fp4 is not supported for the current GPU. Minimum capability: 100. Current "
         "capability: 90.", "quantisation not for this GPU", None),
        ("RuntimeError: The NVIDIA driver on your system is too old (found version 12080)", "driver too old",
         "engine.version 0.19.1"),
        ("vllm: error: unrecognized arguments: --swap-space 4", "unknown flag", "llm-serving validate FILE "),
        ("Cannot auto-fit max_model_len: not enough GPU memory available to serve even a single token.",
         "no room for the cache", None),
    ],
)  # fmt: skip
def test_texts_of_the_engine_without_a_posted_log(line: str, kind: str, advice: str | None) -> None:
    report = compare(read_log([f"(EngineCore pid=1) ERROR 01-01 00:00:00 [core.py:1] {line}"]), None)
    assert not report.ok
    assert [known.kind for known in report.startup.failures] == [kind]
    assert [f"{one.flag} {one.value}" for one in report.advice][:1] == ([advice] if advice else [])


def test_a_rank_that_prints_all_but_its_cache_is_completed() -> None:
    """65.63 GiB are what the engine used: 1,075,312 tokens x 65,536 bytes of its 16 layers."""
    excerpt = next(excerpt for excerpt in EXCERPTS if "the last stage is the fullest" in excerpt["what"])
    startup = read_log(excerpt["log"].splitlines())
    assert startup.fullest is not None
    assert startup.fullest.name == "Worker_PP1"
    assert startup.fullest.kv_cache == pytest.approx(75.23 - 9.6)
    assert startup.fullest.kv_cache == pytest.approx(1_075_312 * 65_536 / 2**30, abs=0.01)
    charged = [*excerpt["log"].splitlines(), "CUDA graph memory profiling is enabled (default since v0.21.0)."]
    with_graphs = read_log(charged).ranks["Worker_PP1"].kv_cache
    assert with_graphs == pytest.approx(75.23 - 9.6 - 0.54)


def test_a_restart_forgets_the_start_before() -> None:
    first = ["vLLM API server version 0.10.2", "ValueError: No available memory for the cache blocks."]
    second = ["vLLM API server version 0.10.2", "Available KV cache memory: 3.00 GiB"]
    startup = read_log(first + second)
    assert startup.failures == []
    assert startup.ranks[""].kv_cache == 3.0
    assert read_log(second + first).failures != []


def test_data_parallel_engines_do_not_count_as_restarts() -> None:
    engine = "(EngineCore_DP{0} pid=1) Initializing a V1 LLM engine (v0.25.1) with config: model='m'"
    weights = "(EngineCore_DP{0} pid=1) Model loading took 3.0{0} GiB memory and 1.0 seconds"
    lines = [line.format(number) for line in (engine, weights) for number in (0, 1)]
    startup = read_log(lines)
    assert startup.version == "0.25.1"
    assert {name: rank.weights for name, rank in startup.ranks.items()} == {
        "EngineCore_DP0": 3.0,
        "EngineCore_DP1": 3.01,
    }


def test_the_fullest_rank_speaks_and_pods_are_told_apart() -> None:
    lines = "Model loading took {} GiB memory and 1.0 seconds\nAvailable KV cache memory: {} GiB"
    whole = merge([read_log(lines.format(7, 5).splitlines(), "a"), read_log(lines.format(9, 3).splitlines(), "b")])
    assert whole.workers == 2
    assert whole.fullest is not None
    assert whole.fullest.name == "b"
    assert whole.largest("weights") == 9


def test_colours_do_not_matter() -> None:
    line = "\x1b[1;36m(EngineCore pid=7)\x1b[0;0m INFO Available KV cache memory: \x1b[1m2.5\x1b[0m GiB"
    assert read_log([line]).ranks["EngineCore"].kv_cache == 2.5


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=200)))
def test_no_text_breaks_the_reader(lines: list[str]) -> None:
    startup = read_log(lines)
    assert startup.lines <= len(lines)


@given(st.sampled_from(EXCERPTS), st.integers(0, 400))
def test_a_torn_log_never_breaks_the_comparison(excerpt: dict[str, Any], cut: int) -> None:
    report = compare(read_log(excerpt["log"][:cut].splitlines()), None)
    for advice in report.advice:
        assert re.fullmatch(r"[\d.]*|fp8|half", advice.value)
