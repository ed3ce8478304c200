"""--release: the way through kubectl, with a kubectl that each test scripts; it must end with the command, always."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from llm_serving_planner.base.errors import InputError, ServerError
from llm_serving_planner.cluster import forward, kubectl
from support.command import run
from support.fake_engine import FakeEngine, chunk, stream

KUBECTL = f"""#!{sys.executable}
import json, os, pathlib, signal, socket, sys, threading, time
here = pathlib.Path(__file__).parent
with (here / "calls").open("a") as calls:
    print(json.dumps(sys.argv[1:]), file=calls)
script = json.loads((here / "script.json").read_text())
if sys.argv[1] == "get":
    print(json.dumps({{"items": script["services"]}}))
    print(script.get("refusal", ""), file=sys.stderr)
    raise SystemExit(1 if "refusal" in script else 0)
(here / "pid").write_text(str(os.getpid()))
if "broken" in script:
    sys.exit("error: " + script["broken"])
if script.get("stubborn"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("Forwarding from 127.0.0.1:%d -> 8000" % script["port"], flush=True)
print("Forwarding from [::1]:%d -> 8000" % script["port"], flush=True)
for number in range(3):
    print("Handling connection for", script["port"], "x" * 100_000, flush=True)
time.sleep(30)
"""


def service(name: str, port_name: str = "http", port: int = 8000, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"ports": [{"name": port_name, "port": port}], **spec}}


class Cluster:
    """A folder with the fake kubectl, its script and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.script: dict[str, Any] = {"services": [service("mine-llm-serving")]}
        program = folder / "kubectl"
        program.write_text(KUBECTL)
        program.chmod(0o755)

    def path(self) -> str:
        (self.folder / "script.json").write_text(json.dumps(self.script))
        return f"{self.folder}:{os.environ['PATH']}"

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]

    def forwards(self) -> bool:
        """Whether the process of port-forward lives."""
        try:
            os.kill(int((self.folder / "pid").read_text()), 0)
        except ProcessLookupError:
            return False
        return True


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    server = FakeEngine()
    yield server
    server.close()


@pytest.fixture
def cluster(tmp_path: Path, engine: FakeEngine) -> Cluster:
    found = Cluster(tmp_path)
    found.script["port"] = int(engine.url.rsplit(":", 1)[1])
    return found


def ask(cluster: Cluster, *words: str) -> subprocess.CompletedProcess[str]:
    return run("query", "Hi", "--release", "mine", *words, cwd=cluster.folder, PATH=cluster.path())


def test_a_release_is_reached_and_left(cluster: Cluster) -> None:
    cluster.script["services"] = [
        service("mine-headless", clusterIP="None"), service("mine-llm-serving", port=80), service("mine-m", "metrics"),
    ]  # fmt: skip
    done = ask(cluster, "--namespace", "models")
    assert (done.returncode, done.stdout) == (0, "Hello world\n"), done.stderr
    assert cluster.calls() == [
        ["get", "services", "-n", "models", "-l", "app.kubernetes.io/instance=mine", "-o", "json"],
        ["port-forward", "-n", "models", "--address", "127.0.0.1", "service/mine-llm-serving", ":80"],
    ]
    assert not cluster.forwards()


def test_it_is_left_when_the_engine_refuses(cluster: Cluster, engine: FakeEngine) -> None:
    engine.chat(stream(chunk("Hel"), "cut"))
    assert ask(cluster).returncode == 1
    assert not cluster.forwards()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_it_is_left_on_every_signal(cluster: Cluster, engine: FakeEngine, number: int, code: int) -> None:
    engine.chat(stream(chunk("Hello"), "hang"))
    process = subprocess.Popen(
        [sys.executable, "-m", "llm_serving_planner", "query", "Hi", "--release", "mine"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"PATH": cluster.path()},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.read(5) == "Hello"
    assert cluster.forwards()
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert not cluster.forwards()


def test_a_closed_pipe_leaves_it_too(cluster: Cluster) -> None:
    command = f"{sys.executable} -m llm_serving_planner query Hi --release mine | true"
    done = subprocess.run(
        ["bash", "-c", command], env=os.environ | {"PATH": cluster.path()}, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert not cluster.forwards()


def test_a_kubectl_that_does_not_stop_is_killed(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.script["stubborn"] = True
    monkeypatch.setenv("PATH", cluster.path())
    monkeypatch.setattr(forward, "_STOP_SECONDS", 0.1)
    with forward.port_forward("mine", None, "http") as address:
        assert address == f"127.0.0.1:{cluster.script['port']}"
        assert cluster.forwards()
    assert not cluster.forwards()


def test_no_kubectl(tmp_path: Path) -> None:
    done = run("query", "Hi", "--release", "mine", PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: --release needs kubectl, which is not on the PATH\nhint: ")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ({"services": []}, "no Service with a port named http belongs to release mine in the current namespace"),
        ({"services": [service("x", "grpc")]}, "no Service with a port named http"),
        ({"refusal": "error: You must be logged in"}, "error: kubectl: You must be logged in"),
        ({"broken": "unable to forward port because pod is not running"}, "because pod is not running"),
    ],
)
def test_what_the_cluster_refuses(cluster: Cluster, script: dict[str, Any], message: str) -> None:
    cluster.script |= script
    done = ask(cluster)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]


def test_one_place_at_a_time() -> None:
    done = run("query", "Hi", "--release", "mine", "--base-url", "http://x")
    assert (done.returncode, "not allowed with argument" in done.stderr) == (2, True)


def test_a_cluster_that_does_not_list_its_services(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    (cluster.folder / "kubectl").write_text(f"#!{sys.executable}\nimport time\ntime.sleep(30)\n")
    monkeypatch.setenv("PATH", cluster.path())
    monkeypatch.setattr(kubectl, "ANSWER_SECONDS", 0.2)
    with (
        pytest.raises(InputError, match=r"^kubectl gave no answer within 0\.2 seconds$"),
        forward.port_forward("mine", None, "http"),
    ):
        pass


def test_a_forward_that_never_comes(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    program = cluster.folder / "kubectl"
    program.write_text(KUBECTL.replace('print("Forwarding from 127', 'time.sleep(30); print("Forwarding from 127'))
    monkeypatch.setenv("PATH", cluster.path())
    monkeypatch.setattr(forward, "_READY_SECONDS", 0.5)
    started = time.monotonic()
    with pytest.raises(ServerError, match=r"silent for 0\.5 s"), forward.port_forward("mine", None, "http"):
        pass
    assert time.monotonic() - started < 10
    assert not cluster.forwards()
