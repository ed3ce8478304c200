# Made by `make generate` from generator/supervisor/group_leader.py; change that file.
"""Rank 0: gathers the members, runs the engine that serves, watches over all."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import sys
import time
from pathlib import Path

from bounded import clean
from group_doors import Doors
from group_member import PROGRESS_SECONDS, Member, Settings
from group_protocol import (
    GREETING_SECONDS,
    LINE_BYTES,
    LOST,
    PROTOCOL,
    GroupError,
    StrangerError,
    check,
    first,
    number,
    proof,
    receive,
    say,
    send,
)

NAME_LENGTH = 63
REFUSED_KEPT = 8
RAY_NODES = Path(__file__).with_name("group_ray_nodes.py")


class Leader(Member):
    """The member that listens; `trouble` is the first reason why the group must end."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.members: dict[int, asyncio.StreamWriter] = {}
        self.names: dict[int, str] = {}
        self.refused: collections.OrderedDict[str, str] = collections.OrderedDict()
        self.strangers = 0
        self.doors = Doors()
        self.started = False
        self.changed = asyncio.Event()
        self.trouble: str | None = None

    def waiting_for(self) -> str:
        """Who is there, and who is not."""
        text = f"{len(self.members)} of {self.settings.size - 1} worker(s) joined"
        if self.members:
            text += f" ({', '.join(sorted(self.names[rank] for rank in self.members))})"
        if self.refused:
            text += "; turned away: " + ", ".join(f"{name} ({why})" for name, why in sorted(self.refused.items()))
        if self.strangers:
            text += f"; {self.strangers} connection(s) did not prove that they know the group's secret"
        return text

    def fail(self, text: str) -> None:
        """Remember the first reason why the group ends."""
        self.trouble = self.trouble or text
        self.changed.set()

    async def serve_member(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One worker's connection, from its greeting until one side goes."""
        rank, why = None, "OSError"
        self.doors.enter(writer)
        try:
            rank = await asyncio.wait_for(self.greet(reader, writer), GREETING_SECONDS)
            if rank is not None:
                await self.follow(rank, reader, writer)
        except StrangerError:
            self.strangers += 1
        except LOST as error:
            why = type(error).__name__
        finally:
            self.doors.leave(writer)
            if rank is not None and self.members.get(rank) is writer:
                self.lose(rank, why)
            writer.close()

    async def greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int | None:
        """Have a worker prove itself and let it in; its rank, or None for one that is turned away."""
        hello = await receive(reader, self.settings.silence_seconds)
        name = clean(hello.get("member"), NAME_LENGTH)
        if hello.get("protocol") != PROTOCOL:
            # all that a member of another version may know
            await send(writer, {"refused": f"the leader speaks protocol {PROTOCOL}: this pod must be of its version"})
            self.turn_away(name, f"its protocol is {clean(hello.get('protocol', 1), 20)}, not {PROTOCOL}")
            return None
        theirs, ours, secret = str(hello.get("number")), number(), self.settings.secret
        await send(writer, {"number": ours, "proof": proof(secret, "leader", theirs, ours)})
        claim = await receive(reader, self.settings.silence_seconds)
        rank, digest = hello.get("rank"), claim.get("digest")
        check(claim.get("proof"), proof(secret, "worker", ours, theirs, hello.get("member"), rank, digest))
        problem = self.problem(rank, digest)
        if problem or not isinstance(rank, int):
            self.turn_away(name, problem or "it has no rank")
            await send(writer, {"refused": problem})
            return None
        if rank in self.members:  # its container was started anew, and nobody noticed the end of the old one
            self.members[rank].transport.abort()
        self.doors.leave(writer)
        self.members[rank], self.names[rank] = writer, name
        self.refused.pop(name, None)
        say(f"{name} joined; {self.waiting_for()}")
        self.changed.set()
        return rank

    async def follow(self, rank: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hear a member until it is lost; raises one of LOST."""
        name = self.names[rank]
        while True:
            message = await receive(reader, self.settings.silence_seconds)
            if "leaving" in message:
                say(f"{name} is told to stop; the whole group stops")
                self.stop.set()
            if "failed" in message:
                self.fail(f"{name}: {clean(message['failed'])}")
            await send(writer, {"beat": 1})

    def lose(self, rank: int, why: str) -> None:
        """A member is gone."""
        del self.members[rank]
        if self.started and not self.stop.is_set():
            self.fail(f"lost {self.names[rank]} ({why})")
        elif not self.started:
            say(f"{self.names[rank]} went away; {self.waiting_for()}")

    def turn_away(self, name: str, why: str) -> None:
        """Remember why, of the last few."""
        self.refused[name] = why
        while len(self.refused) > self.settings.size + REFUSED_KEPT:
            self.refused.popitem(last=False)

    def problem(self, rank: object, digest: object) -> str | None:
        """Why a member that proved itself cannot be accepted."""
        if self.started:
            return "the group is running; it ends now and forms anew"
        if not isinstance(rank, int) or isinstance(rank, bool) or not 0 < rank < self.settings.size:
            return f"its rank is {clean(rank, 20)}, and the group has {self.settings.size} members"
        own = self.settings.digest()
        if digest != own:
            return f"its arguments differ from the leader's (digest {clean(digest, 20)}, not {own})"
        return None

    async def run(self) -> int:
        """The leader's life; the exit code."""
        server = await asyncio.start_server(self.serve_member, None, self.settings.port, limit=LINE_BYTES)
        ray = None
        if self.settings.executor == "ray":
            ray = asyncio.ensure_future((await self.start(self.ray_command())).wait())
            ray.add_done_callback(lambda _: self.fail("Ray ended on the leader"))  # also before the engine starts
        async with server:
            try:
                return await self.lead()
            finally:
                for writer in self.members.values():
                    writer.close()

    async def lead(self) -> int:
        """Gather the members, start every engine, watch over all; the exit code."""
        await self.gather()
        if self.stop.is_set():
            return 0
        self.started = True
        for writer in list(self.members.values()):
            with contextlib.suppress(OSError, asyncio.TimeoutError):  # its own connection tells that it is lost
                await send(writer, {"start": self.address})
        if self.settings.executor == "ray":
            await self.wait_for_ray()
        engine = await self.start(self.engine_command())
        return await self.watch(engine)

    async def gather(self) -> None:
        """Wait for every worker."""
        told = 0.0
        while len(self.members) < self.settings.size - 1 and not self.stop.is_set():
            remaining = self.left()
            if self.trouble:
                raise self.end()
            if time.monotonic() - told >= PROGRESS_SECONDS:
                say(f"waiting, {self.waiting_for()}; {remaining:.0f} s left")
                told = time.monotonic()
            self.changed.clear()
            await first(self.changed.wait(), self.stop.wait(), seconds=min(remaining, PROGRESS_SECONDS))

    async def wait_for_ray(self) -> None:
        """Until Ray counts every node."""
        told = 0.0
        while True:
            check = await asyncio.create_subprocess_exec(sys.executable, str(RAY_NODES), stdout=asyncio.subprocess.PIPE)
            asked = asyncio.ensure_future(check.communicate())
            while not (asked.done() or self.trouble or self.stop.is_set()):  # Ray's client may be deaf for minutes
                self.changed.clear()
                await first(asked, self.changed.wait(), self.stop.wait(), seconds=self.left())
            if not asked.done():
                check.kill()
                await asked
                raise self.end() if self.trouble else GroupError("stopped")
            printed, _ = asked.result()
            alive = printed.decode().strip().splitlines()[-1:] or ["0"]
            if alive == [str(self.settings.size)]:
                say(f"Ray has {self.settings.size} nodes")
                return
            if time.monotonic() - told >= PROGRESS_SECONDS:
                say(f"waiting, Ray has {alive[0]} of {self.settings.size} nodes; {self.left():.0f} s left")
                told = time.monotonic()
            self.left()
            await asyncio.sleep(self.settings.retry_seconds)

    async def watch(self, engine: asyncio.subprocess.Process) -> int:
        """Until the engine ends, a member is lost, or the pod is told to stop; the exit code."""
        ended = asyncio.ensure_future(engine.wait())
        while not ended.done():
            self.changed.clear()
            if self.trouble is None:
                await first(ended, self.changed.wait(), self.stop.wait())
            if self.trouble:
                self.kill()
                raise self.end()
            if self.stop.is_set() and not ended.done():
                say("stopping: running answers may end")
                engine.terminate()
                await ended
        code = ended.result()
        say(f"the engine ended with code {code}")
        return 0 if self.stop.is_set() else code if code > 0 else 1

    def end(self) -> GroupError:
        """The error with which the group ends for the reason of `trouble`."""
        return GroupError(f"{self.trouble}; the group ends and forms anew")
