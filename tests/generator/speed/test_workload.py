"""The workload as it is given, refused and judged."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from llm_serving_planner import Options, plan
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.output.render import render_values
from llm_serving_planner.output.schema import validate
from llm_serving_planner.speed.choice import choose
from llm_serving_planner.speed.promise import promise
from llm_serving_planner.speed.workload import names, seconds, workload
from support.command import run

QWEN = "Qwen/Qwen3-8B"
CHAT = ("--workload", "chat", "--ttft", "1s", "--itl", "33ms")


@pytest.mark.parametrize("name", names())
def test_every_name_is_a_workload_with_a_source(name: str) -> None:
    load = workload(name)
    assert load.source
    assert load.longest >= load.tokens > 0
    assert (load.concurrency or 0) > 0
    assert "concurrency" in load.assumed


def test_what_was_given_is_not_assumed() -> None:
    load = workload("chat", users=200, prompt_tokens=500)
    assert (load.prompt_tokens, load.answer_tokens, load.users) == (500, 211, 200)
    assert set(load.assumed) == {"answer_tokens", "think_seconds"}
    assert load.rate == pytest.approx(200 / (20 + 1 + 211 * 0.05))
    assert load.words == ("--workload", "chat", "--users", "200", "--prompt-tokens", "500")


@pytest.mark.parametrize(("text", "value"), [("1", 1.0), ("1s", 1.0), ("33ms", 0.033), ("0.5s", 0.5), ("nan", None)])
def test_durations(text: str, value: float | None) -> None:
    assert value is None or seconds(text) == pytest.approx(value)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"ttft": 0.0}, "--ttft is 0: above 0 is expected"),
    ({"itl": -1.0}, "--itl is -1: above 0 is expected"),
    ({"e2e": float("nan")}, "--e2e is nan: a number is expected"),
    ({"ttft": float("inf")}, "--ttft is inf: a number is expected"),
    ({"ttft": 1.0, "percentile": 101.0}, "--percentile is 101: above 0 and below 100 is expected"),
    ({"ttft": 1.0, "percentile": 0.0}, "--percentile is 0: above 0 and below 100 is expected"),
    ({"percentile": 95.0}, "--percentile belongs to a target"),
    ({"users": 0}, "--users is 0: a positive whole number is expected"),
    ({"users": 10**12}, "--users is 1000000000000: at most 10,000,000 is expected"),
    ({"prompt_tokens": 0}, "--prompt-tokens is 0: a positive whole number is expected"),
    ({"request_rate": float("nan")}, "--request-rate is nan: a number is expected"),
    ({"users": 5, "concurrency": 5}, "--users and --concurrency say the same thing twice"),
    ({"concurrency": 5, "request_rate": 1.0}, "--concurrency and --request-rate say the same thing twice"),
    ({"ttft": 3.0, "e2e": 2.0}, "the first token cannot be later than the last"),
]


@pytest.mark.parametrize(("given", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_bad_figures_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        workload("chat", **given)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prompt_tokens: 10\nanswer_tokens: 5\ncolour: red\n", "colour: no key of a workload"),
        ("prompt_tokens: 10\n", "answer_tokens must be there"),
        ("prompt_tokens: many\nanswer_tokens: 5\n", "prompt_tokens is 'many': a whole number is expected"),
        ("prompt_tokens: .nan\nanswer_tokens: 5\n", "line 1: .nan is not a finite number"),
        ("prompt_tokens: true\nanswer_tokens: 5\n", "prompt_tokens is True: a whole number is expected"),
        ("prompt_tokens: 9\nanswer_tokens: 5\nshared_prefix: 1.5\n", "shared_prefix is 1.5: 0 or more and below 1"),
        ("prompt_tokens: 9\nanswer_tokens: 5\nusers: 3\nconcurrency: 2\n", "say the same thing twice"),
        ("- 1\n", "one mapping of a workload's keys is expected"),
        ("prompt_tokens: 9\nprompt_tokens: 8\nanswer_tokens: 5\n", "prompt_tokens"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "w.yaml").write_text(text)
    done = run("plan", QWEN, "--profile", "1xh100", "--offline", "--workload", "w.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_is_taken_and_options_go_over_it(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_text("prompt_tokens: 3000\nanswer_tokens: 400\nusers: 120\nttft: 2\n")
    load = workload(str(path), concurrency=4)
    assert (load.name, load.prompt_tokens, load.users, load.concurrency, load.targets.ttft) == ("w", 3000, None, 4, 2)
    assert load.assumed == ()


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match="one of chat, rag"):
        workload("chats")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--profile", "1xh100", *CHAT, "--users", "50"), 0, "promise   meets"),
        (("--profile", "1xl4", *CHAT, "--users", "50"), 5, "misses    "),
        (("--profile", "1xh100", *CHAT, "--request-rate", "500"), 5, "the most that it bears are"),
        (("--profile", "1xt4", *CHAT, "--users", "50"), 4, ""),
        (("--profile", "1xh100", "--workload", "chat", "--ttft", "0"), 1, ""),
    ],
)
def test_three_verdicts(tmp_path: Path, words: tuple[str, ...], code: int, said: str) -> None:
    done = run("plan", QWEN, "--offline", *words, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stdout
    if code == 5:
        assert "  or: " in done.stdout


def test_the_values_file_carries_workload_and_promise(tmp_path: Path) -> None:
    done = run("values", QWEN, "--profile", "1xh100", "--offline", *CHAT, "--users", "50", "-o", "x.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "x.yaml").read_text()
    block = yaml.safe_load(text)["plan"]
    assert block["workload"]["users"] == 50
    assert block["workload"]["targets"] == {"ttftSeconds": 1.0, "itlSeconds": 0.033, "percentile": 90.0}
    figures = ("ttftSeconds", "itlSeconds", "e2eSeconds", "requestsPerSecond", "tokensPerSecond")
    for name in figures:
        figure = block["promise"][name]
        assert figure["low"] < figure["value"] < figure["high"]
        assert figure["label"] == "extrapolated"
    assert "--workload chat --users 50 --ttft 1 --itl 0.033" in text
    missing = run(
        "values", QWEN, "--profile", "1xl4", "--offline", *CHAT, "--users", "50", "-o", "y.yaml", cwd=tmp_path
    )
    assert missing.returncode == 5
    assert yaml.safe_load((tmp_path / "y.yaml").read_text())["plan"]["promise"]["verdict"] == "misses"


def test_a_plan_without_a_workload_loads_no_speed_model(tmp_path: Path) -> None:
    found = plan(QWEN, "1xh100", offline=True)
    assert (found.workload, found.promise) == (None, None)
    assert "promise" not in found.to_dict()


def test_the_layout_is_chosen_by_the_workload_and_pins_stay() -> None:
    base = plan(QWEN, "8xh100", offline=True)
    load = workload("chat", users=200, ttft=1.0)
    best = choose(base.spec, base.profile, Options(), load)
    assert best.replicas == 8
    assert all("bears" in line or "x tensor" not in line for line in best.rejected)
    pinned = choose(base.spec, base.profile, Options(tensor_parallel_size=8), load)
    assert (pinned.replicas, pinned.layout.parallel.tensor_parallel_size) == (1, 8)
    validate(yaml.safe_load(render_values(best)), "values")


def test_more_users_are_never_faster() -> None:
    found = plan(QWEN, "1xl40s", offline=True)
    few, many = (promise(found, workload("chat", users=users, ttft=1.0)) for users in (10, 60))
    assert few is not None
    assert many is not None
    assert many.ttft.value >= few.ttft.value
    assert many.itl.value >= few.itl.value
    assert few.most == pytest.approx(many.most)
