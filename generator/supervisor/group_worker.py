"""Every other rank: finds the leader, runs its part of the engine, ends with the leader."""

from __future__ import annotations

import asyncio
import contextlib
import time

from supervisor.group_member import PROGRESS_SECONDS, Member, Settings
from supervisor.group_protocol import LINE_BYTES, LOST, GroupError, first, receive, say, send


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
            await send(writer, {"leaving": 1})
            await first(listening, ended, seconds=self.settings.grace_seconds)
        beats.cancel()
        listening.cancel()
        if ended.done():
            code = ended.result()
            say(f"the engine ended with code {code}")
            if not self.stop.is_set():
                with contextlib.suppress(OSError):
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
            hello = {"member": self.settings.name, "rank": self.settings.rank, "digest": self.settings.digest()}
            await send(writer, hello)
            beats = asyncio.ensure_future(self.beat(writer))
            while not self.stop.is_set():
                self.left()
                message = await receive(reader, self.settings.silence_seconds)
                if "refused" in message:
                    self.last = message["refused"]
                    return False
                if "start" in message:
                    self.address = message["start"]
                    return True
                self.last = "joined, other members are missing"
        except LOST as error:
            self.last = f"connection lost ({type(error).__name__})"
        finally:
            if beats is not None:
                beats.cancel()
        return False

    async def beat(self, writer: asyncio.StreamWriter) -> None:
        """Signs of life, each of which the leader answers; ends when the leader is gone."""
        with contextlib.suppress(OSError):
            while True:
                await send(writer, {"beat": 1})
                await asyncio.sleep(self.settings.beat_seconds)

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Returns when the leader is gone or silent."""
        with contextlib.suppress(*LOST):
            while True:
                await receive(reader, self.settings.silence_seconds)
