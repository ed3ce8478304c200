# Made by `make generate` from generator/supervisor/group_worker.py; change that file.
"""Every other rank: finds the leader, runs its part of the engine, ends with the leader."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from bounded import clean
from group_member import PROGRESS_SECONDS, Member, Settings
from group_protocol import (
    GREETING_SECONDS,
    LINE_BYTES,
    LOST,
    PROTOCOL,
    GroupError,
    StrangerError,
    address,
    check,
    first,
    number,
    proof,
    receive,
    say,
    send,
)


class Worker(Member):
    """The member that looks for the leader; `last` is what the leader last said."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.last = "no answer yet"

    def waiting_for(self) -> str:
        """What the leader last said."""
        return f"leader {self.settings.leader}: {self.last}"

    async def run(self) -> int:
        """The worker's life; the exit code."""
        connection = await self.join()
        if connection is None:
            return 0
        reader, writer = connection
        try:
            return await self.serve(reader, writer)
        finally:
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        """From the start until the engine, the leader or the pod ends; the exit code."""
        ray = self.settings.executor == "ray"
        engine = await self.start(self.ray_command() if ray else self.engine_command())
        beats = asyncio.ensure_future(self.beat(writer))
        listening = asyncio.ensure_future(self.listen(reader))
        ended = asyncio.ensure_future(engine.wait())
        await first(ended, listening, self.stop.wait())
        if self.stop.is_set() and not ended.done() and not listening.done():
            say("told to stop: waiting for the leader to finish")
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                await send(writer, {"leaving": 1})
            await first(listening, ended, seconds=self.settings.grace_seconds)
        beats.cancel()
        listening.cancel()
        if ended.done():
            code = ended.result()
            say(f"the engine ended with code {code}")
            if not self.stop.is_set():
                with contextlib.suppress(OSError, asyncio.TimeoutError):
                    await send(writer, {"failed": f"its engine ended with code {code}"})
                return code if code > 0 else 1
        self.kill()
        if self.stop.is_set():
            return 0
        raise GroupError("lost the leader; the group ends and forms anew")

    async def join(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Connect and wait for the start; (reader, writer), or None when told to stop."""
        told = 0.0
        while not self.stop.is_set():
            self.left()
            if time.monotonic() - told >= PROGRESS_SECONDS:
                say(f"waiting for the start, {self.waiting_for()}; {self.left():.0f} s left")
                told = time.monotonic()
            try:
                reader, writer = await asyncio.wait_for(
                    asyncio.open_connection(self.settings.leader, self.settings.port, limit=LINE_BYTES),
                    self.settings.silence_seconds,
                )
            except (OSError, asyncio.TimeoutError) as error:
                self.last = str(error) or type(error).__name__
                await first(self.stop.wait(), seconds=self.settings.retry_seconds)
                continue
            if await self.wait_for_start(reader, writer):
                return reader, writer
            writer.close()
            await first(self.stop.wait(), seconds=self.settings.retry_seconds)
        return None

    async def wait_for_start(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Greet, then beat until the leader says start; False when turned away or cut off."""
        beats = None
        try:
            if not await asyncio.wait_for(self.greet(reader, writer), GREETING_SECONDS):
                return False
            beats = asyncio.ensure_future(self.beat(writer))
            while not self.stop.is_set():
                self.left()
                message = await receive(reader, self.settings.silence_seconds)
                if self.refused(message):
                    return False
                if "start" in message:
                    self.address = address(message["start"])
                    return True
                self.last = "joined, other members are missing"
        except StrangerError:
            self.last = "it does not prove that it knows the group's secret"
        except LOST as error:
            self.last = f"connection lost ({type(error).__name__})"
        finally:
            if beats is not None:
                beats.cancel()
        return False

    async def greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Prove to each other that both know the secret; False when turned away. Raises one of LOST."""
        own, ours = self.settings, number()
        await send(writer, {"protocol": PROTOCOL, "member": own.name, "rank": own.rank, "number": ours})
        answer = await receive(reader, own.silence_seconds)
        if self.refused(answer):
            return False
        theirs = str(answer.get("number"))
        check(answer.get("proof"), proof(own.secret, "leader", ours, theirs))
        digest = own.digest()
        own_proof = proof(own.secret, "worker", theirs, ours, own.name, own.rank, digest)
        await send(writer, {"digest": digest, "proof": own_proof})
        return True

    def refused(self, message: dict[str, Any]) -> bool:
        """Whether the leader turns this member away, and why."""
        if "refused" in message:
            self.last = clean(message["refused"])
        return "refused" in message

    async def beat(self, writer: asyncio.StreamWriter) -> None:
        """Signs of life, each of which the leader answers; ends when the leader is gone."""
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            while True:
                await send(writer, {"beat": 1})
                await asyncio.sleep(self.settings.beat_seconds)

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Returns when the leader is gone or silent."""
        with contextlib.suppress(*LOST):
            while True:
                await receive(reader, self.settings.silence_seconds)
