"""Many users of one claim, killed at random points: all finish, and no file is broken.

On one cache at once: two releases of two revisions of a model, an adapter, a draft, an engine that downloads by itself
and a plain `hf download`. Each is a process of its own that is killed (SIGKILL, a third of the times SIGTERM) and
started again like a pod's container. `make killed-downloads RUNS=200` is the long form.
"""

import contextlib
import hashlib
import json
import multiprocessing
import os
import random
import signal
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.cache_users import SECONDS, plain, pod
from support.fake_hub import SHA, FakeHub, FakeModel

RUNS = int(os.environ.get("LLM_SERVING_KILLED_RUNS", "2"))
OTHER = "f" * 40
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["support.cache_users"])


def weights(seed: int, size: int = 400_000) -> bytes:
    header = json.dumps({"w": {"dtype": "BF16", "shape": [size // 2], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + random.Random(seed).randbytes(size)


def served() -> dict[str, FakeModel]:
    """A model with two revisions that share one of their files, an adapter and a draft."""
    shared = weights(1)
    base = {"config.json": b"{}", "model-00001-of-00002.safetensors": shared}
    first = {**base, "model-00002-of-00002.safetensors": weights(2), "tokenizer.json": b"[1]"}
    second = {**base, "model-00002-of-00002.safetensors": weights(3), "tokenizer.json": b"[2]"}
    return {
        "org/tiny": FakeModel(first, others={"v2": (OTHER, second)}, seconds=0.2),
        "org/sql": FakeModel({"adapter_config.json": b"{}", "adapter_model.safetensors": weights(4)}, seconds=0.2),
        "org/draft": FakeModel({"config.json": b"{}", "model.safetensors": weights(5)}, seconds=0.2),
    }


@dataclass
class User:
    """One of those who share the claim, started again until it ends well.

    Attributes:
        life: what its process does.
        arguments: of it.
        starts: how often it was started.
    """

    life: Callable[..., None]
    arguments: tuple[str, ...]
    starts: int = 0
    process: "multiprocessing.process.BaseProcess | None" = field(default=None, repr=False)

    def look(self) -> bool:
        """Whether it is done; starts it where it is not there."""
        if self.process is not None and self.process.is_alive():
            return False
        if self.process is not None and self.process.exitcode == 0:
            return True
        self.process = CONTEXT.Process(target=self.life, args=self.arguments, daemon=True)
        self.process.start()
        self.starts += 1
        return False

    def kill(self, number: int) -> None:
        """As the kubelet or the kernel does."""
        if self.process is not None and self.process.is_alive() and self.process.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)


def broken(cache: Path, models: dict[str, FakeModel]) -> list[str]:
    """Files that are not what the hub has, wherever the cache shows them."""
    found = []
    for name, model in models.items():
        folder = cache / ("models--" + name.replace("/", "--"))
        for commit, files in ((SHA, model.files), *model.others.values()):
            for file, data in files.items():
                place = folder / "snapshots" / commit / file
                if not place.is_file() or place.read_bytes() != data:
                    found.append(f"{name}@{commit[:7]}/{file}")
        blobs = [blob for blob in (folder / "blobs").iterdir() if len(blob.name) == 64]
        found += [str(blob) for blob in blobs if hashlib.sha256(blob.read_bytes()).hexdigest() != blob.name]
    return found


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    server = FakeHub()
    server.models = served()
    yield server
    server.close()


@pytest.mark.parametrize("run", range(RUNS))
def test_all_finish_whoever_is_killed(hub: FakeHub, tmp_path: Path, run: int) -> None:
    chance = random.Random(run)
    home, links = str(tmp_path), tmp_path / "adapters"
    users = [
        User(pod, (hub.url, home, "org/tiny", "main", "")),
        User(pod, (hub.url, home, "org/tiny", "main", "")),
        User(pod, (hub.url, home, "org/tiny", "v2", "")),
        User(pod, (hub.url, home, "org/sql", "main", str(links / "sql"))),
        User(pod, (hub.url, home, "org/draft", "main", str(links / "draft"))),
        User(plain, (hub.url, home, "org/tiny", "main", "")),
        User(plain, (hub.url, home, "org/draft", "main", "")),
    ]
    started = time.monotonic()
    kills, times = chance.randint(3, 12), 0
    upcoming = started + chance.uniform(0.1, 0.8)
    waiting = list(users)
    while waiting and time.monotonic() - started < SECONDS:
        waiting = [user for user in waiting if not user.look()]
        if waiting and times < kills and time.monotonic() >= upcoming:
            chance.choice(waiting).kill(chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
            times += 1
            upcoming = time.monotonic() + chance.uniform(0.05, 0.5)
        time.sleep(0.02)
    left = list(waiting)
    for user in left:
        user.kill(signal.SIGKILL)
    seconds = time.monotonic() - started
    assert not left, f"run {run}: not done after {SECONDS:.0f} s: {left}"
    assert broken(tmp_path / "hub", hub.models) == []
    assert (links / "sql" / "adapter_model.safetensors").read_bytes() == hub.models["org/sql"].files[
        "adapter_model.safetensors"
    ]
    if table := os.environ.get("LLM_SERVING_KILLED_TABLE"):
        with Path(table).open("a") as stream:
            print(run, times, sum(user.starts for user in users), f"{seconds:.1f}", sep=",", file=stream)
