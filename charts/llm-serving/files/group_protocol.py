# Made by `make generate` from generator/supervisor/group_protocol.py; change that file.
"""What the members of a group say to each other: lines of JSON over TCP, each side bound to speak within 30 s."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable

GROUP_PORT = 29400
BEAT_SECONDS = 5.0
SILENCE_SECONDS = 30.0
LINE_BYTES = 65536

LOST = (OSError, ValueError, asyncio.TimeoutError, asyncio.IncompleteReadError)
"""What `receive` raises when the other side is gone, silent, or no member at all."""


class GroupError(Exception):
    """The group cannot form, or has fallen apart; the text is for people."""


def say(text: str) -> None:
    """One line in the container's log."""
    print(f"group: {text}", flush=True)


async def send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    """Send one message; raises OSError when the other side is gone."""
    writer.write(json.dumps(message).encode() + b"\n")
    await writer.drain()


async def receive(reader: asyncio.StreamReader, silence_seconds: float = SILENCE_SECONDS) -> dict[str, Any]:
    """The next message; raises IncompleteReadError when the other side is gone, TimeoutError when it is silent."""
    message = json.loads(await asyncio.wait_for(reader.readuntil(b"\n"), silence_seconds))
    if isinstance(message, dict):
        return message
    raise ValueError("a message is a JSON object")


async def first(*awaitables: Awaitable[object], seconds: float | None = None) -> None:
    """Wait for the first of them, at most so long; the ones made here for that purpose are cancelled."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task, given in zip(tasks, awaitables):
        if task is not given:
            task.cancel()
