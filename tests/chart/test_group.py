"""The supervisor of several pods, with real processes as engines: forming, falling apart, giving up."""

import asyncio
import contextlib
import importlib.util
import os
import socket
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.helm import CHART

ENGINE = (
    "import os, sys, time; rank = sys.argv[sys.argv.index('--node-rank') + 1]; "
    "print(*sys.argv, file=open(os.environ['RAN'] + rank, 'w'), flush=True); "
)
RUNS = [sys.executable, "-c", ENGINE + "time.sleep(60)"]
FAILS = [sys.executable, "-c", ENGINE + "sys.exit(7)"]
# only the worker's engine fails, once both have started
WORKER_FAILS = [
    sys.executable, "-c", ENGINE + "time.sleep(0.3); sys.exit(9) if '--headless' in sys.argv else time.sleep(60)"
]  # fmt: skip


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The module with a port of its own and short waits."""
    spec = importlib.util.spec_from_file_location("group", CHART / "files" / "group.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, value in {"GROUP_PORT": free_port(), "BEAT_SECONDS": 0.1, "RETRY_SECONDS": 0.1}.items():
        monkeypatch.setattr(module, name, value)
    settings = {"GROUP_SIZE": "2", "GROUP_LEADER": "127.0.0.1", "GROUP_WAIT_SECONDS": "10", "GROUP_GRACE_SECONDS": "5"}
    for name, text in {**settings, "VLLM_HOST_IP": "127.0.0.1", "RAN": f"{tmp_path}/"}.items():
        monkeypatch.setenv(name, text)
    return module


def member(group: ModuleType, rank: int, command: list[str], name: str = "") -> Any:
    os.environ["GROUP_RANK"] = str(rank)
    made = (group.Leader if rank == 0 else group.Worker)("mp", command)
    made.name = name or f"pod-{rank}"
    return made


async def ends(group: ModuleType, made: Any) -> str:
    """How a member's life ends: its exit code, or what it said."""
    try:
        return str(await made.run())
    except group.GroupError as error:
        return str(error)
    finally:
        made.kill()
        if made.process is not None:
            await made.process.wait()


async def until(condition: Any) -> None:
    """Wait for a condition, at most ten seconds."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError


def test_engines_start_together_with_rank_and_address(group: ModuleType, tmp_path: Path) -> None:
    async def scene() -> tuple[str, str]:
        leader, worker = member(group, 0, RUNS), member(group, 1, RUNS)
        lives = [asyncio.ensure_future(ends(group, one)) for one in (leader, worker)]
        await until(lambda: all((tmp_path / rank).exists() and (tmp_path / rank).read_text() for rank in "01"))
        worker.stop.set()  # as on SIGTERM of the worker's pod: the whole group stops
        return await lives[0], await lives[1]

    assert asyncio.run(scene()) == ("0", "0")
    words = (tmp_path / "1").read_text()
    assert "--nnodes 2 --node-rank 1 --master-addr 127.0.0.1 --master-port 29501 --headless" in words
    assert "--headless" not in (tmp_path / "0").read_text()


def test_a_worker_that_never_comes(group: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUP_WAIT_SECONDS", "0.5")
    assert asyncio.run(ends(group, member(group, 0, RUNS))) == "gave up after 0 s: 0 of 1 worker(s) joined"


def test_a_leader_that_never_comes(group: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUP_WAIT_SECONDS", "0.5")
    said = asyncio.run(ends(group, member(group, 1, RUNS)))
    assert said.startswith("gave up after 0 s: leader 127.0.0.1: ")


def test_members_with_other_arguments_are_turned_away(group: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUP_WAIT_SECONDS", "1")

    async def scene() -> list[str]:
        pair = member(group, 0, RUNS), member(group, 1, FAILS)
        return list(await asyncio.gather(*(ends(group, one) for one in pair)))

    leader, worker = asyncio.run(scene())
    assert "turned away: pod-1 (its arguments differ from the leader's" in leader
    assert "its arguments differ from the leader's" in worker


def test_the_end_of_a_workers_engine_ends_the_group(group: ModuleType) -> None:
    async def scene() -> list[str]:
        pair = member(group, 0, WORKER_FAILS), member(group, 1, WORKER_FAILS)
        return list(await asyncio.gather(*(ends(group, one) for one in pair)))

    leader, worker = asyncio.run(scene())
    assert leader == "pod-1: its engine ended with code 9; the group ends and forms anew"
    assert worker == "9"


def test_the_end_of_the_leaders_engine_ends_the_group(group: ModuleType) -> None:
    async def scene() -> list[str]:
        leader, worker = member(group, 0, RUNS), member(group, 1, RUNS)
        lives = [asyncio.ensure_future(ends(group, one)) for one in (leader, worker)]
        await until(lambda: leader.process is not None and worker.process is not None)
        leader.process.kill()
        code = await lives[0]
        leader.trouble = None
        return [code, await lives[1]]

    code, worker = asyncio.run(scene())
    assert code == "1"
    assert worker == "lost the leader; the group ends and forms anew"


def test_a_silent_peer_counts_as_lost(group: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that is gone sends nothing, not even the end of its connection."""
    monkeypatch.setattr(group, "SILENCE_SECONDS", 0.5)

    async def scene() -> str:
        leader = member(group, 0, RUNS)
        life = asyncio.ensure_future(ends(group, leader))
        await until(lambda: True)
        for _ in range(50):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", group.GROUP_PORT)
                break
            await asyncio.sleep(0.05)
        await group.send(writer, {"member": "pod-1", "rank": 1, "digest": leader.digest})
        said = await life
        writer.close()
        return said

    assert asyncio.run(scene()) == "lost pod-1 (TimeoutError); the group ends and forms anew"


@pytest.mark.parametrize("words", ["not json\n", '["a", "list"]\n', ""])
def test_foreign_words_on_the_port_do_no_harm(group: ModuleType, tmp_path: Path, words: str) -> None:
    async def scene() -> tuple[str, str]:
        leader, worker = member(group, 0, RUNS), member(group, 1, RUNS)
        first = asyncio.ensure_future(ends(group, leader))
        await asyncio.sleep(0.2)
        _, writer = await asyncio.open_connection("127.0.0.1", group.GROUP_PORT)
        writer.write(words.encode())
        writer.close()
        second = asyncio.ensure_future(ends(group, worker))
        await until((tmp_path / "0").exists)
        leader.stop.set()
        return await first, await second

    assert asyncio.run(scene())[0] == "0"


def test_health_is_the_engines_on_the_leader_and_life_on_a_worker(group: ModuleType) -> None:
    async def ask(made: Any) -> bytes:
        server = await asyncio.start_server(lambda r, w: group.health(r, w, made), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
            writer.write(b"GET /health HTTP/1.1\r\n\r\n")
            line = await reader.readline()
            writer.close()
            return line

    async def scene() -> tuple[bytes, bytes]:
        return await ask(member(group, 0, RUNS)), await ask(member(group, 1, RUNS))

    leader, worker = asyncio.run(scene())
    assert b" 503 " in leader
    assert b" 200 " in worker


def test_ray_starts_with_the_pods_address(group: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUP_GPUS", "4")
    monkeypatch.setenv("VLLM_HOST_IP", "10.0.0.1")
    leader = member(group, 0, RUNS)
    assert leader.ray_command()[-3:] == ["--head", "--port=6379", "--include-dashboard=false"]
    worker = member(group, 1, RUNS)
    worker.address = "10.0.0.9"
    assert worker.ray_command()[-1] == "--address=10.0.0.9:6379"
    assert "--num-gpus=4" in worker.ray_command()
    assert "--node-ip-address=10.0.0.1" in worker.ray_command()


def with_ray(group: ModuleType, rank: int, script: str) -> Any:
    """A member over Ray whose `ray start` is a Python script."""
    os.environ["GROUP_RANK"] = str(rank)
    made = (group.Leader if rank == 0 else group.Worker)("ray", RUNS)
    made.name = f"pod-{rank}"
    made.ray_command = lambda: [sys.executable, "-c", script]
    return made


def test_a_leader_whose_ray_ends_does_not_wait_for_workers(group: ModuleType) -> None:
    said = asyncio.run(asyncio.wait_for(ends(group, with_ray(group, 0, "raise SystemExit(1)")), 8))
    assert said == "Ray ended on the leader; the group ends and forms anew"


@pytest.mark.parametrize("loss", ["worker", "stop"])
def test_a_ray_that_answers_nobody_does_not_make_the_leader_deaf(
    group: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, loss: str
) -> None:
    """Its client tries for minutes to reach a Ray that is not there."""
    (tmp_path / "ray.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    dies, lives = "raise SystemExit(3)", "import time; time.sleep(60)"

    async def scene() -> str:
        leader, worker = with_ray(group, 0, lives), with_ray(group, 1, dies if loss == "worker" else lives)
        tasks = [asyncio.ensure_future(ends(group, one)) for one in (leader, worker)]
        await until(lambda: leader.started)
        if loss == "stop":
            leader.stop.set()
        said = await asyncio.wait_for(asyncio.shield(tasks[0]), 8)
        worker.stop.set()
        await tasks[1]
        return said

    said = asyncio.run(scene())
    assert said == (
        "stopped" if loss == "stop" else "pod-1: its engine ended with code 3; the group ends and forms anew"
    )


DATA_RUNS = [
    sys.executable, "-c",
    "import os, sys, time; rank = '1' if '--headless' in sys.argv else '0'; "
    "print(*sys.argv, file=open(os.environ['RAN'] + rank, 'w'), flush=True); time.sleep(60)",
]  # fmt: skip


def test_data_parallel_members_get_their_own_ranks_and_one_api(group: ModuleType, tmp_path: Path) -> None:
    def made(rank: int, data: int) -> Any:
        os.environ["GROUP_RANK"] = str(rank)
        one = (group.Leader if rank == 0 else group.Worker)("mp", DATA_RUNS, data, 3)
        one.name = f"pod-{rank}"
        return one

    async def scene() -> tuple[str, str]:
        lives = [asyncio.ensure_future(ends(group, made(rank, 8))) for rank in (0, 1)]
        await until(lambda: (tmp_path / "0").exists() and (tmp_path / "1").exists())
        assert not any(life.done() for life in lives)
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)
        return (tmp_path / "0").read_text().strip(), (tmp_path / "1").read_text().strip()

    leader, worker = asyncio.run(scene())
    common = "--data-parallel-size-local 4 --data-parallel-address 127.0.0.1 --data-parallel-rpc-port 29550"
    assert leader.endswith(f"{common} --api-server-count 3")
    assert worker.endswith(f"{common} --data-parallel-start-rank 4 --headless")
    assert "--nnodes" not in leader + worker
    assert made(0, 8).digest != made(0, 4).digest
