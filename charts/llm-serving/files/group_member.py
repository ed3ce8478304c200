# Made by `make generate` from generator/supervisor/group_member.py; change that file.
"""What leader and workers have in common: settings, the engine's process and its command line, the stop signal."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import hashlib
import json
import os
import signal
import time
from dataclasses import dataclass, field

from group_protocol import BEAT_SECONDS, GROUP_PORT, PROTOCOL, SILENCE_SECONDS, GroupError, say

MASTER_PORT = 29501
DATA_PORT = 29550  # vLLM's default of --data-parallel-rpc-port (vllm/config/parallel.py of 0.33.0, read 2026-11-25)
RAY_PORT = 6379
PROGRESS_SECONDS = 10.0
RETRY_SECONDS = 2.0


@dataclass(frozen=True)
class Settings:
    """One member's place in its group.

    Attributes:
        rank: 0 is the leader.
        size: number of members.
        leader: DNS name of the leader's pod.
        command: the engine's command line, the same on every member.
        name: this member's name in the others' logs.
        executor: mp or ray, as vLLM calls it.
        data: size of the data parallel group; 0 where all members share one engine.
        api_servers: API servers of the leader of a data parallel group.
        gpus: GPUs of this member, for Ray.
        host: this pod's own address; empty where nobody told it.
        engine_tls: the engine speaks TLS.
        secret: what members prove to each other that they know; empty where everybody is let in.
        wait_seconds: how long the group may take to form.
        grace_seconds: how long a stopping worker waits for its leader.
        port: where the leader listens for its workers.
        beat_seconds: between two signs of life.
        silence_seconds: a member that says nothing for so long is lost.
        retry_seconds: between two tries to reach the leader, or to count Ray's nodes.
    """

    rank: int
    size: int
    leader: str
    command: list[str]
    name: str
    executor: str = "mp"
    data: int = 0
    api_servers: int = 1
    gpus: str = "0"
    host: str = ""
    engine_tls: bool = False
    secret: str = field(default="", repr=False)
    wait_seconds: float = 900.0
    grace_seconds: float = 60.0
    port: int = GROUP_PORT
    beat_seconds: float = BEAT_SECONDS
    silence_seconds: float = SILENCE_SECONDS
    retry_seconds: float = RETRY_SECONDS

    def digest(self) -> str:
        """What all members must have in common, as 12 hexadecimal digits."""
        agreed = [PROTOCOL, self.executor, self.size, self.command, *([self.data] if self.data else [])]
        return hashlib.sha256(json.dumps(agreed).encode()).hexdigest()[:12]


class Member(abc.ABC):
    """A member's life: `run` returns the exit code, or raises GroupError when the group ends without its doing."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.address = (settings.host or "127.0.0.1") if settings.rank == 0 else ""  # the leader's, told at the start
        self.deadline = time.monotonic() + settings.wait_seconds
        self.stop = asyncio.Event()
        self.process: asyncio.subprocess.Process | None = None

    @abc.abstractmethod
    async def run(self) -> int:
        """From the first sign of life to the end; the exit code."""

    @abc.abstractmethod
    def waiting_for(self) -> str:
        """What a member waits for, for people."""

    def left(self) -> float:
        """Seconds until the deadline; raises GroupError when it is over."""
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise GroupError(f"gave up after {self.settings.wait_seconds:.0f} s: {self.waiting_for()}")
        return remaining

    async def start(self, words: list[str]) -> asyncio.subprocess.Process:
        """Start a process in a session of its own."""
        say("starting: " + " ".join(words))
        self.process = await asyncio.create_subprocess_exec(*words, start_new_session=True)
        return self.process

    def kill(self) -> None:
        """End the engine at once: its peers are gone, nothing that it holds can be finished."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def engine_command(self) -> list[str]:
        """The engine's command line on this member."""
        own = self.settings
        if own.executor == "ray":
            return own.command
        if own.data:
            return [*own.command, *self._data_words()]
        words = [*own.command, "--nnodes", str(own.size), "--node-rank", str(own.rank)]
        words += ["--master-addr", self.address, "--master-port", str(MASTER_PORT)]
        return words if own.rank == 0 else [*words, "--headless"]

    def _data_words(self) -> list[str]:
        """Flags of this member's own data parallel engines; only the leader has an API."""
        own = self.settings
        local = own.data // own.size
        words = ["--data-parallel-size-local", str(local), "--data-parallel-address", self.address]
        words += ["--data-parallel-rpc-port", str(DATA_PORT)]
        if own.rank == 0:
            return [*words, "--api-server-count", str(own.api_servers)]
        return [*words, "--data-parallel-start-rank", str(own.rank * local), "--headless"]

    def ray_command(self) -> list[str]:
        """`ray start` on this member."""
        words = ["ray", "start", "--block", "--disable-usage-stats", f"--num-gpus={self.settings.gpus}"]
        if self.settings.host:
            words.append(f"--node-ip-address={self.settings.host}")
        if self.settings.rank == 0:
            return [*words, "--head", f"--port={RAY_PORT}", "--include-dashboard=false"]
        return [*words, f"--address={self.address}:{RAY_PORT}"]
