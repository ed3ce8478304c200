"""The planner's answers are those of the command line, here in the same Python as the generator's tests."""

import json
import re
from typing import Any

import pytest
from pages.command_line import assert_same, run
from pages.planner_cases import cases, question
from support.laws import NIGHTLY
from website.bridge import answer_json

CASES = cases(100)


def answer(words: list[str]) -> dict[str, Any]:
    """Through JSON, as the worker asks."""
    got: dict[str, Any] = json.loads(answer_json(json.dumps(question(words))))
    return got


def test_answers_are_those_of_the_command_line() -> None:
    kinds = set()
    for words in CASES if NIGHTLY else CASES[:40]:
        got = answer(words)
        assert_same(words, got)
        kinds.add((got["ok"], bool(got.get("values")), bool(got.get("reasons")), bool(got.get("ways_out"))))
    assert {(True, True, False, False), (True, False, False, False), (False, False, True, True)} <= kinds


def test_the_comparison_notices_one_token() -> None:
    words = ["mistralai/Mistral-7B-Instruct-v0.2", "--profile", "2xt4"]
    got = answer(words)
    got["plan"]["cache_tokens"] += 1
    with pytest.raises(AssertionError):
        assert_same(words, got)


def test_a_model_that_is_not_in_the_catalogue_is_refused_with_the_nearest() -> None:
    got = answer(["mistralai/Mistral-7B-Instruct-v0.22", "--profile", "2xt4"])
    assert not got["ok"]
    assert got["error"] == "the embedded catalogue has no mistralai/Mistral-7B-Instruct-v0.22"
    assert got["hint"].startswith("did you mean mistralai/Mistral-7B-Instruct-v0.")
    assert run("plan", ["mistralai/Mistral-7B-Instruct-v0.22", "--profile", "2xt4"])[0] == 1


@pytest.mark.parametrize(
    ("pins", "error"),
    [
        (["--max-model-len=many"], "--max-model-len is 'many': a whole number is expected"),
        (["--gpu-memory-utilization=much"], "--gpu-memory-utilization is 'much': a number is expected"),
        (["--engine=sglong"], "--engine is 'sglong': one of vllm, tgi, tgis is expected"),
        (["--no-such-option"], "--no-such-option: there is no such option"),
    ],
)
def test_what_no_option_takes_is_an_answer(pins: list[str], error: str) -> None:
    got = answer(["Qwen/Qwen3-8B", "--profile", "2xt4", *pins])
    assert (got["ok"], got["error"]) == (False, error)
    assert "verdict-no" in got["html"]


def test_the_answer_shows_the_plans_figures() -> None:
    got = answer(["mistralai/Mistral-7B-Instruct-v0.2", "--profile", "2xt4"])
    assert f"{got['plan']['settings']['max_model_len']:,}" in got["html"]
    assert f"{got['plan']['estimate']['kv_cache'] / 2**30:.2f}" in got["html"]
    assert got["command"] == "llm-serving values mistralai/Mistral-7B-Instruct-v0.2 --profile 2xt4 --offline"
    assert re.fullmatch(
        r"helm install (\S+) oci://\S+/llm-serving --version \S+ -f \1-2xt4.yaml",
        got["install"],
    )


def test_a_workload_is_answered_as_on_the_command_line() -> None:
    words = ["Qwen/Qwen3-8B", "--profile", "1xl40s", "--workload=chat", "--users=40", "--ttft=1s", "--itl=33ms"]
    got = answer(words)
    assert_same(words, got)
    assert "promise" in got["plan"]
    assert "bears" in got["html"]
    for pin, error in (
        ("--ttft=soon", "--ttft is 'soon': a number is expected"),
        ("--users=0", "--users is 0: a positive whole number is expected"),
        ("--workload=/etc/passwd", "--workload is '/etc/passwd': one of chat, rag"),
    ):
        refused = answer([*words[:3], "--workload=chat", pin] if "workload" not in pin else [*words[:3], pin])
        assert (refused["ok"], refused["error"].startswith(error)) == (False, True), refused["error"]
