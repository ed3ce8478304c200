"""The liveness probe that sees an engine which answers /health and nothing else, against a server that plays it."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from supervisor import stall
from support.local_server import LocalServer
from support.programs import run_program

BUSY, WAITING, KV = "vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"
TOKENS = "vllm:generation_tokens_total"


class Handler(BaseHTTPRequestHandler):
    """Health, metrics and completions as its owner is told."""

    def log_message(self, *_: Any) -> None:
        """Silent."""

    def _say(self, status: int, text: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_GET(self) -> None:
        """/health and /metrics."""
        owner: Any = self.owner  # type: ignore[attr-defined]
        self._say(owner.health if self.path == "/health" else 200, owner.metrics if self.path == "/metrics" else "")

    def do_POST(self) -> None:
        """A completion, or silence."""
        owner: Any = self.owner  # type: ignore[attr-defined]
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        owner.asked.append((body, self.headers.get("Authorization")))
        if owner.silent:
            owner.closing.wait(10)
        else:
            self._say(owner.status, "{}")


class Engine(LocalServer):
    """An engine that is healthy, idle and answers."""

    def __init__(self) -> None:
        self.health, self.status, self.silent = 200, 200, False
        self.asked: list[Any] = []
        self.figures()
        super().__init__(Handler)

    def figures(self, running: float = 0, waiting: float = 0, kv: float = 0.1, tokens: float = 5) -> None:
        """What /metrics says."""
        self.metrics = (
            f'# HELP x\n{BUSY}{{engine="0",model_name="m"}} {running}\n'
            f'{WAITING}{{engine="0",model_name="m"}} {waiting}\n'
            f'{KV}{{engine="0",model_name="m"}} {kv}\n{TOKENS}{{engine="0",model_name="m"}} {tokens}\nother 7\n'
        )


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Engine]:
    """The engine, and the probe's settings for it."""
    one = Engine()
    settings = {
        "HEALTH_URL": f"{one.url}/health", "METRICS_URL": f"{one.url}/metrics", "BUSY": f"{BUSY} {WAITING}",
        "MOVING": f"{KV} {TOKENS}", "STALL_SECONDS": "100", "STATE_FILE": str(tmp_path / "state.json"),
        "COMPLETION": '{"model": "m", "prompt": "a", "max_tokens": 1}',
    }  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(stall, "COMPLETION_SECONDS", 0.1)
    monkeypatch.setattr(stall, "GAP_SECONDS", 10_000)
    yield one
    one.close()


def judged(*times: float) -> list[bool]:
    """Whether the probe fails at each of these seconds."""
    return [bool(stall.judge(100, now)) for now in times]


def test_requests_without_a_step_are_a_stall(served: Engine) -> None:
    served.figures(running=2)
    assert judged(0, 50, 99, 100, 140) == [False, False, False, True, True]
    assert stall.judge(100, 150) == "engine 0: 2 requests and no step for 150 s"
    assert served.asked == []


@pytest.mark.parametrize("moved", [{"kv": 0.2}, {"tokens": 6}])
def test_a_step_of_any_kind_is_life(served: Engine, moved: dict[str, float]) -> None:
    """A long prompt brings no token for minutes; its cache grows with each step."""
    served.figures(running=1)
    assert judged(0, 99) == [False, False]
    served.figures(running=1, **moved)
    assert judged(101, 200, 201) == [False, False, True]


def test_requests_that_only_wait_are_a_stall_too(served: Engine) -> None:
    served.figures(waiting=3)
    assert judged(0, 100) == [False, True]


def test_a_stall_that_began_idle_is_found_by_a_tiny_completion(served: Engine) -> None:
    """The engine counts a request only with its first step."""
    served.silent = True
    assert judged(0, 59) == [False, False]
    assert served.asked == []
    assert judged(60, 100, 159, 160) == [False, False, False, True]
    assert [body for body, _ in served.asked] == [{"model": "m", "prompt": "a", "max_tokens": 1}] * 4


def test_an_idle_engine_that_answers_lives(served: Engine) -> None:
    assert judged(0, 60, 119) == [False] * 3
    assert len(served.asked) == 1
    assert judged(120, 400, 5000) == [False] * 3


def test_a_refused_completion_is_no_stall(served: Engine) -> None:
    """A model without completions, such as one for speech."""
    served.status = 404
    assert judged(0, 60, 5000) == [False] * 3


def test_a_model_without_completions_is_judged_by_its_figures_alone(
    served: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPLETION", "")
    served.silent = True
    assert judged(0, 60, 5000) == [False] * 3
    served.figures(running=1)
    assert judged(5001, 9000) == [False, True]


def test_one_stalled_engine_of_several_is_enough(served: Engine) -> None:
    def both(tokens: int) -> None:
        served.metrics = "".join(
            f'{BUSY}{{engine="{name}"}} 1\n{TOKENS}{{engine="{name}"}} {count}\n'
            for name, count in (("0", tokens), ("1", 3))
        )

    for now, tokens in ((0, 1), (50, 2), (99, 3)):
        both(tokens)
        assert stall.judge(100, now) == ""
    both(4)
    assert stall.judge(100, 100) == "engine 1: 1 requests and no step for 100 s"


@pytest.mark.parametrize("metrics", ["", "other 7\n", "vllm:num_requests_running nonsense\n"])
def test_what_cannot_be_judged_lives(served: Engine, metrics: str) -> None:
    served.metrics = metrics
    served.silent = True
    assert judged(0, 1000, 5000) == [False] * 3


def test_another_start_and_a_long_gap_begin_anew(served: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    served.figures(running=2)
    monkeypatch.setattr(stall, "GAP_SECONDS", 60)
    assert judged(0, 50, 1000, 1050) == [False] * 4
    monkeypatch.setattr(stall, "start", lambda: "another")
    assert judged(1099, 1150, 1199) == [False, False, True]


def test_the_key_goes_with_the_completion_alone(served: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "secret")
    judged(0, 60)
    assert [key for _, key in served.asked] == ["Bearer secret"]


def probe(served: Engine, tmp_path: Path, **more: str) -> tuple[int, str]:
    env = {
        "HEALTH_URL": f"{served.url}/health", "METRICS_URL": f"{served.url}/metrics", "BUSY": BUSY, "MOVING": TOKENS,
        "STALL_SECONDS": "0", "STATE_FILE": str(tmp_path / "own.json"), **more,
    }  # fmt: skip
    done = run_program("stall.py", env=env)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_the_program_as_the_kubelet_runs_it(served: Engine, tmp_path: Path) -> None:
    assert probe(served, tmp_path) == (0, "")
    served.figures(running=1)
    assert probe(served, tmp_path)[0] == 1  # STALL_SECONDS 0: the first look is one too many
    assert probe(served, tmp_path, GROUP_RANK="1") == (0, "")
    served.health = 503
    assert probe(served, tmp_path) == (1, "/health: HTTP 503\n")
    served.close()
    assert probe(served, tmp_path)[0] == 1


def test_a_folder_that_cannot_be_written_judges_nothing(served: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_FILE", "/proc/none/state.json")
    served.figures(running=1)
    assert judged(0, 1000) == [False, False]
