"""The judge of the fault tests: whatever lies is found out, and a failure that shows is no lie."""

import json

import pytest
from cluster.traffic_client import FailedError, WrongError, judge_stream


def stream(*words: str, done: bool = True) -> list[str]:
    lines = [f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': word}}]})}" for word in words]
    return [line for text in lines for line in (text, "")] + (["data: [DONE]", ""] if done else [])


def test_a_whole_stream_is_right() -> None:
    judge_stream(stream("a.0", "a.1", "a.2"), "a", 3)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (stream("a.0", "a.1"), "says it is done after 2 of 3 words"),
        (stream(), "says it is done after 0 of 3 words"),
        (stream("b.0", "b.1", "b.2"), "asked for a, got b.0 b.1 b.2"),
        (stream("a.0", "b.1", "a.2"), "asked for a, got a.0 b.1 a.2"),
        (stream("a.0", "a.2"), "asked for a, got a.0 a.2"),
        (stream("a.0", "b.1", done=False), "asked for a, got a.0 b.1"),
        (stream("a.0", "a.1", "a.2", "a.3"), "says it is done after 4|asked for a"),
        ([*stream("a.0", done=False), "data: {", "data: [DONE]"], "not a chunk"),
        (["data: {}", *stream("a.0")], "not a chunk"),
    ],
    ids=[
        "too early",
        "empty",
        "another's",
        "mixed",
        "a gap",
        "cut and another's",
        "too long",
        "half a line",
        "no word",
    ],
)
def test_a_lie_is_found_out(lines: list[str], reason: str) -> None:
    with pytest.raises(WrongError, match=reason):
        judge_stream(lines, "a", 3)


@pytest.mark.parametrize("lines", [stream("a.0", "a.1", done=False), [*stream("a.0", done=False), 'data: {"cho'], []])
def test_a_cut_stream_is_a_failure_that_shows(lines: list[str]) -> None:
    with pytest.raises(FailedError, match="cut after"):
        judge_stream(lines, "a", 3)


def test_a_stream_without_its_end_is_a_failure_even_with_all_words() -> None:
    with pytest.raises(FailedError, match="cut after 3 of 3 words"):
        judge_stream(stream("a.0", "a.1", "a.2", done=False), "a", 3)
