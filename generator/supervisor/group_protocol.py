"""What the members of a group say to each other: lines of JSON over TCP, each side bound to speak within 30 s.

A worker greets with the protocol's version, its rank and a number that it made up; the leader answers with one of its
own and with the proof that it knows the group's secret; the worker proves the same, and only then tells the digest of
its arguments. Without proof nobody is told anything, and nobody's words count. With an empty secret everybody can
prove it: then whoever reaches the port is a member.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import secrets
from typing import TYPE_CHECKING, Any

from supervisor.bounded import clean

if TYPE_CHECKING:
    from collections.abc import Awaitable

PROTOCOL = 2
"""Members of different versions refuse each other: while a rollout mixes them, the old group ends before the new forms.

Version 1 (charts up to 0.1) had no number and no proof. Its leaders see another digest, its workers a refusal.
"""
GROUP_PORT = 29400
BEAT_SECONDS = 5.0
SILENCE_SECONDS = 30.0
GREETING_SECONDS = 10.0
LINE_BYTES = 8192
LOG_LENGTH = 1 << 15  # a command line of an engine is long

LOST = (OSError, ValueError, asyncio.TimeoutError, asyncio.IncompleteReadError)
"""What `receive` raises when the other side is gone, silent, or no member at all."""

_ADDRESS = re.compile(r"[0-9A-Za-z][0-9A-Za-z.:-]{0,252}")


class GroupError(Exception):
    """The group cannot form, or has fallen apart; the text is for people."""


class StrangerError(ValueError):
    """The other side does not prove that it knows the secret."""


def say(text: str) -> None:
    """One line in the container's log."""
    print(f"group: {clean(text, LOG_LENGTH)}", flush=True)


def number() -> str:
    """A number that was never used before."""
    return secrets.token_hex(16)


def proof(secret: str, *words: object) -> str:
    """What only who knows the secret can say about these words."""
    return hmac.new(secret.encode(), json.dumps(words).encode(), hashlib.sha256).hexdigest()


def check(given: object, expected: str) -> None:
    """Raise StrangerError unless a proof is the expected one."""
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), expected.encode()):
        raise StrangerError("it does not know the group's secret")


def address(given: object) -> str:
    """An address or DNS name that the other side gave; raises ValueError, since it becomes a word of a command line."""
    if isinstance(given, str) and _ADDRESS.fullmatch(given):
        return given
    raise ValueError("an address was expected")


async def send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    """Send one message; raises OSError when the other side is gone, TimeoutError when it takes nothing."""
    writer.write(json.dumps(message).encode() + b"\n")
    await asyncio.wait_for(writer.drain(), SILENCE_SECONDS)


async def receive(reader: asyncio.StreamReader, silence_seconds: float = SILENCE_SECONDS) -> dict[str, Any]:
    """The next message.

    Raises:
        asyncio.IncompleteReadError: the other side is gone.
        asyncio.TimeoutError: it is silent.
        ValueError: what it says is no message, or longer than one may be.
    """
    try:
        message = json.loads(await asyncio.wait_for(reader.readuntil(b"\n"), silence_seconds))
    except asyncio.LimitOverrunError as error:
        raise ValueError(f"a message has at most {LINE_BYTES} bytes") from error
    except RecursionError as error:
        raise ValueError("a message is not that deep") from error
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
