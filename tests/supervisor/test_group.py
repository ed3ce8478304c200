"""The supervisor of several pods, with real processes as engines: forming, falling apart, giving up."""

import asyncio
import contextlib
import hashlib
import json
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from supervisor.group_doors import Doors
from supervisor.group_health import health
from supervisor.group_leader import Leader
from supervisor.group_member import Member, Settings
from supervisor.group_protocol import LINE_BYTES, PROTOCOL, GroupError, address, proof, receive, send
from supervisor.group_worker import Worker
from support.ports import unused_port

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


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Two members on this machine, with a port of their own and short waits."""
    monkeypatch.setenv("RAN", f"{tmp_path}/")
    return Settings(
        rank=0, size=2, leader="127.0.0.1", command=RUNS, name="pod-0", host="127.0.0.1", port=unused_port(),
        wait_seconds=10, grace_seconds=5, beat_seconds=0.1, retry_seconds=0.1,
    )  # fmt: skip


def leader_of(group: Settings, **changes: Any) -> Leader:
    return Leader(replace(group, **changes))


def worker_of(group: Settings, **changes: Any) -> Worker:
    return Worker(replace(group, rank=1, name="pod-1", **changes))


async def ends(made: Member) -> str:
    """How a member's life ends: its exit code, or what it said."""
    try:
        return str(await made.run())
    except GroupError as error:
        return str(error)
    finally:
        made.kill()
        if made.process is not None:
            await made.process.wait()


async def introduce(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, own: Settings, name: str = "pod-1", rank: int = 1
) -> None:
    """What a worker says until it is a member."""
    await send(writer, {"protocol": PROTOCOL, "member": name, "rank": rank, "number": "1"})
    answer = await receive(reader)
    words = (answer["number"], "1", name, rank, own.digest())
    await send(writer, {"digest": own.digest(), "proof": proof(own.secret, "worker", *words)})


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, at most ten seconds."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError


def test_engines_start_together_with_rank_and_address(group: Settings, tmp_path: Path) -> None:
    async def scene() -> tuple[str, str]:
        leader, worker = leader_of(group), worker_of(group)
        lives = [asyncio.ensure_future(ends(one)) for one in (leader, worker)]
        await until(lambda: all((tmp_path / rank).exists() and (tmp_path / rank).read_text() for rank in "01"))
        worker.stop.set()  # as on SIGTERM of the worker's pod: the whole group stops
        return await lives[0], await lives[1]

    assert asyncio.run(scene()) == ("0", "0")
    words = (tmp_path / "1").read_text()
    assert "--nnodes 2 --node-rank 1 --master-addr 127.0.0.1 --master-port 29501 --headless" in words
    assert "--headless" not in (tmp_path / "0").read_text()


def test_a_worker_that_never_comes(group: Settings) -> None:
    assert asyncio.run(ends(leader_of(group, wait_seconds=0.5))) == "gave up after 0 s: 0 of 1 worker(s) joined"


def test_a_leader_that_never_comes(group: Settings) -> None:
    said = asyncio.run(ends(worker_of(group, wait_seconds=0.5)))
    assert said.startswith("gave up after 0 s: leader 127.0.0.1: ")


def test_members_with_other_arguments_are_turned_away(group: Settings) -> None:
    async def scene() -> list[str]:
        pair = leader_of(group, wait_seconds=1), worker_of(group, wait_seconds=1, command=FAILS)
        return list(await asyncio.gather(*(ends(one) for one in pair)))

    leader, worker = asyncio.run(scene())
    assert "turned away: pod-1 (its arguments differ from the leader's" in leader
    assert "its arguments differ from the leader's" in worker


def test_the_end_of_a_workers_engine_ends_the_group(group: Settings) -> None:
    async def scene() -> list[str]:
        pair = leader_of(group, command=WORKER_FAILS), worker_of(group, command=WORKER_FAILS)
        return list(await asyncio.gather(*(ends(one) for one in pair)))

    leader, worker = asyncio.run(scene())
    assert leader == "pod-1: its engine ended with code 9; the group ends and forms anew"
    assert worker == "9"


def test_the_end_of_the_leaders_engine_ends_the_group(group: Settings) -> None:
    async def scene() -> list[str]:
        leader, worker = leader_of(group), worker_of(group)
        lives = [asyncio.ensure_future(ends(one)) for one in (leader, worker)]
        await until(lambda: leader.process is not None and worker.process is not None)
        assert leader.process is not None
        leader.process.kill()
        code = await lives[0]
        leader.trouble = None
        return [code, await lives[1]]

    code, worker = asyncio.run(scene())
    assert code == "1"
    assert worker == "lost the leader; the group ends and forms anew"


def test_a_silent_peer_counts_as_lost(group: Settings) -> None:
    """A node that is gone sends nothing, not even the end of its connection."""

    async def scene() -> str:
        leader = leader_of(group, silence_seconds=0.5)
        life = asyncio.ensure_future(ends(leader))
        await until(lambda: True)
        for _ in range(50):
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", group.port)
                break
            await asyncio.sleep(0.05)
        await introduce(reader, writer, leader.settings)
        said = await life
        writer.close()
        return said

    assert asyncio.run(scene()) == "lost pod-1 (TimeoutError); the group ends and forms anew"


@pytest.mark.parametrize(
    "words",
    ["not json\n", '["a", "list"]\n', "", "[" * 5000 + "\n", "x" * 200000, '{"member": {}}\n', '{"protocol": 2}\n5\n'],
)
def test_foreign_words_on_the_port_do_no_harm(group: Settings, tmp_path: Path, words: str) -> None:
    async def scene() -> tuple[str, str]:
        leader, worker = leader_of(group), worker_of(group)
        first = asyncio.ensure_future(ends(leader))
        await asyncio.sleep(0.2)
        _, writer = await asyncio.open_connection("127.0.0.1", group.port)
        writer.write(words.encode())
        writer.close()
        second = asyncio.ensure_future(ends(worker))
        await until((tmp_path / "0").exists)
        leader.stop.set()
        return await first, await second

    assert asyncio.run(scene())[0] == "0"


def test_health_is_the_engines_on_the_leader_and_life_on_a_worker(group: Settings) -> None:
    async def ask(settings: Settings) -> bytes:
        server = await asyncio.start_server(lambda r, w: health(r, w, settings), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
            writer.write(b"GET /health HTTP/1.1\r\n\r\n")
            line = await reader.readline()
            writer.close()
            return line

    async def scene() -> tuple[bytes, bytes]:
        return await ask(group), await ask(replace(group, rank=1))

    leader, worker = asyncio.run(scene())
    assert b" 503 " in leader
    assert b" 200 " in worker


def test_ray_starts_with_the_pods_address(group: Settings) -> None:
    async def scene() -> tuple[list[str], list[str]]:
        leader, worker = leader_of(group, gpus="4", host="10.0.0.1"), worker_of(group, gpus="4", host="10.0.0.1")
        worker.address = "10.0.0.9"
        return leader.ray_command(), worker.ray_command()

    leader, worker = asyncio.run(scene())
    assert leader[-3:] == ["--head", "--port=6379", "--include-dashboard=false"]
    assert worker[-1] == "--address=10.0.0.9:6379"
    assert {"--num-gpus=4", "--node-ip-address=10.0.0.1"} <= set(worker)


def with_ray(member: Member, script: str) -> Member:
    """A member whose `ray start` is a Python script."""
    member.ray_command = lambda: [sys.executable, "-c", script]  # type: ignore[method-assign]
    return member


def test_a_leader_whose_ray_ends_does_not_wait_for_workers(group: Settings) -> None:
    leader = with_ray(leader_of(group, executor="ray"), "raise SystemExit(1)")
    said = asyncio.run(asyncio.wait_for(ends(leader), 8))
    assert said == "Ray ended on the leader; the group ends and forms anew"


@pytest.mark.parametrize("loss", ["worker", "stop"])
def test_a_ray_that_answers_nobody_does_not_make_the_leader_deaf(
    group: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, loss: str
) -> None:
    """Its client tries for minutes to reach a Ray that is not there."""
    (tmp_path / "ray.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    dies, lives = "raise SystemExit(3)", "import time; time.sleep(60)"

    async def scene() -> str:
        leader, worker = leader_of(group, executor="ray"), worker_of(group, executor="ray")
        with_ray(leader, lives)
        with_ray(worker, dies if loss == "worker" else lives)
        tasks = [asyncio.ensure_future(ends(one)) for one in (leader, worker)]
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


def test_data_parallel_members_get_their_own_ranks_and_one_api(group: Settings, tmp_path: Path) -> None:
    group = replace(group, command=DATA_RUNS, data=8, api_servers=3)

    async def scene() -> tuple[str, str]:
        lives = [asyncio.ensure_future(ends(one)) for one in (leader_of(group), worker_of(group))]
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
    assert group.digest() != replace(group, data=4).digest()


@contextlib.asynccontextmanager
async def guest(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the leader, which may not listen yet."""
    for _ in range(100):
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            break
        await asyncio.sleep(0.05)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


def test_members_that_share_a_secret_form_a_group(group: Settings, tmp_path: Path) -> None:
    group = replace(group, secret="s3cret")

    async def scene() -> tuple[str, str]:
        lives = [asyncio.ensure_future(ends(one)) for one in (leader_of(group), worker_of(group))]
        await until(lambda: all((tmp_path / rank).exists() for rank in "01"))
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)
        return (tmp_path / "0").read_text(), (tmp_path / "1").read_text()

    assert all("--node-rank" in words for words in asyncio.run(scene()))


@pytest.mark.parametrize(("leaders", "workers"), [("a", "b"), ("a", ""), ("", "b")])
def test_a_member_with_another_secret_is_no_member(group: Settings, leaders: str, workers: str) -> None:
    async def scene() -> list[str]:
        pair = leader_of(group, wait_seconds=1, secret=leaders), worker_of(group, wait_seconds=1, secret=workers)
        return list(await asyncio.gather(*(ends(one) for one in pair)))

    leader, worker = asyncio.run(scene())
    assert worker.endswith("it does not prove that it knows the group's secret")
    assert "gave up after 1 s: 0 of 1 worker(s) joined" in leader
    assert group.digest() not in leader + worker


STRANGERS: list[list[dict[str, Any]]] = [
    [{"leaving": 1}], [{"failed": "x"}], [{"member": "pod-1", "rank": 1, "digest": "x"}],
    [{"protocol": 2, "member": "pod-1", "rank": 1, "number": "1"}, {"leaving": 1}],
    [{"protocol": 2, "member": "pod-1", "rank": 1, "number": "1"}, {"digest": "x", "proof": "0" * 64}, {"leaving": 1}],
    [{"protocol": 2, "member": "pod-1", "rank": 1, "number": "1"}, {"digest": "x", "proof": 5}],
    [{"protocol": 99, "member": "a\nb\x1b[31m", "rank": 1}],
]  # fmt: skip


@pytest.mark.parametrize("words", STRANGERS, ids=range(len(STRANGERS)))
def test_a_stranger_learns_nothing_and_changes_nothing(
    group: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str], words: list[dict[str, Any]]
) -> None:
    """It is not told the digest, does not join, stops nothing and writes no line of its own."""
    group = replace(group, secret="s3cret")

    async def scene() -> str:
        leader, worker = leader_of(group), worker_of(group)
        life = asyncio.ensure_future(ends(leader))
        async with guest(group.port) as (reader, writer):
            for word in words:
                writer.write(json.dumps(word).encode() + b"\n")
            writer.write_eof()
            heard = (await reader.read()).decode()
        assert not leader.members
        second = asyncio.ensure_future(ends(worker))
        await until((tmp_path / "0").exists)
        assert not leader.stop.is_set()
        assert leader.trouble is None
        leader.stop.set()
        assert await life == "0"
        await second
        return heard

    heard = asyncio.run(scene())
    assert group.digest() not in heard
    printed = capfd.readouterr().out
    assert all(line.startswith("group: ") for line in printed.splitlines())
    assert "\x1b" not in printed


def test_a_member_that_sends_a_line_without_end_is_lost(group: Settings) -> None:
    """No ghost of it stays: the leader never starts without its worker."""

    async def scene() -> tuple[str, int]:
        leader = leader_of(group, size=3)
        life = asyncio.ensure_future(ends(leader))
        async with guest(group.port) as (reader, writer):
            await introduce(reader, writer, leader.settings)
            await until(lambda: leader.members)
            writer.write(b"x" * (LINE_BYTES * 20))
            await until(lambda: not leader.members)
        there = len(leader.members)
        leader.stop.set()
        return await life, there

    assert asyncio.run(scene()) == ("0", 0)


def test_a_container_that_was_started_anew_takes_its_own_place(group: Settings) -> None:
    async def scene() -> tuple[int, int]:
        leader = leader_of(group, size=3)
        life = asyncio.ensure_future(ends(leader))
        async with guest(group.port) as old, guest(group.port) as new:
            await introduce(*old, leader.settings)
            await until(lambda: 1 in leader.members)
            first = leader.members[1]
            await introduce(*new, leader.settings)
            await until(lambda: leader.members.get(1) not in {None, first})
            await asyncio.sleep(0.1)
            there = len(leader.members)
            leader.stop.set()
            await life
        return there, len(leader.doors.open)

    assert asyncio.run(scene()) == (1, 0)


@pytest.mark.parametrize("rank", [0, 2, -1, True, "1", None])
def test_a_rank_that_the_group_does_not_have_is_refused(group: Settings, rank: Any) -> None:
    problem = leader_of(group).problem(rank, group.digest())
    assert problem is not None
    assert problem.startswith("its rank is")


def test_a_crowd_at_the_door_keeps_no_worker_out(group: Settings, tmp_path: Path) -> None:
    async def scene() -> int:
        leader, worker = leader_of(group), worker_of(group)
        life = asyncio.ensure_future(ends(leader))
        async with contextlib.AsyncExitStack() as crowd:
            for _ in range(100):
                await crowd.enter_async_context(guest(group.port))
            await asyncio.sleep(0.2)
            most = len(leader.doors.open)
            second = asyncio.ensure_future(ends(worker))
            await until((tmp_path / "0").exists)
            leader.stop.set()
            await life
            await second
        return most

    assert asyncio.run(scene()) <= Doors().of_one


class Pretended:
    """A connection from some address; `aborted` once it was closed."""

    def __init__(self, host: str) -> None:
        self.host, self.aborted, self.transport = host, False, self

    def get_extra_info(self, _: str) -> tuple[str, int]:
        return self.host, 1

    def abort(self) -> None:
        self.aborted = True


def test_the_oldest_stranger_leaves_when_another_comes() -> None:
    doors = Doors(waiting=3, of_one=2)
    people = [Pretended(host) for host in ("a", "a", "a", "b", "c", "d")]
    for one in people:
        doors.enter(one)  # type: ignore[arg-type]
    assert [one.aborted for one in people] == [True, True, False, False, False, False] or len(doors.open) == 3
    assert len(doors.open) == 3


def test_members_of_two_versions_refuse_each_other(group: Settings) -> None:
    """An older leader compares digests, an older worker understands a refusal: neither starts with the other."""
    agreed = ["mp", 2, group.command]
    older = hashlib.sha256(json.dumps(agreed).encode()).hexdigest()[:12]
    assert group.digest() != older

    async def scene() -> tuple[dict[str, Any], str]:
        leader = leader_of(group)
        life = asyncio.ensure_future(ends(leader))
        async with guest(group.port) as (reader, writer):
            await send(writer, {"member": "old-1", "rank": 1, "digest": older})
            heard = await receive(reader)
            await until(lambda: leader.refused)
        said = leader.waiting_for()
        leader.stop.set()
        await life
        return heard, said

    heard, said = asyncio.run(scene())
    assert heard == {"refused": "the leader speaks protocol 2: this pod must be of its version"}
    assert "turned away: old-1 (its protocol is 1, not 2)" in said


@pytest.mark.parametrize("start", [5, "a b", "--flag", "$(x)", "", "x" * 300, None])
def test_a_leaders_address_is_an_address(start: Any) -> None:
    with pytest.raises(ValueError, match="an address"):
        address(start)
