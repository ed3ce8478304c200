# Made by `make generate` from generator/supervisor/group_health.py; change that file.
"""What the probes ask: GET /health on port 29401 of each member."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

from group_doors import Doors
from group_protocol import BEAT_SECONDS, LINE_BYTES

if TYPE_CHECKING:
    from supervisor.group_member import Settings

HEALTH_PORT = 29401
ENGINE_PORT = 8000
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 4.0
DOORS = Doors(of_one=16)  # the kubelet asks from one address, for all probes


async def health(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, settings: Settings) -> None:
    """GET anything: the engine's health on the leader; 200 on a worker, which has no API."""
    status = b"200 OK"
    DOORS.enter(writer)
    try:
        with contextlib.suppress(OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), BEAT_SECONDS)
            if settings.rank == 0 and not await engine_is_healthy(settings):
                status = b"503 Service Unavailable"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await asyncio.wait_for(writer.drain(), BEAT_SECONDS)
    finally:
        DOORS.leave(writer)
        writer.close()


async def engine_is_healthy(settings: Settings) -> bool:
    """Whether the engine of this pod answers /health with 200."""
    writer = None
    try:
        judged = _unjudged() if settings.engine_tls else None
        opening = asyncio.open_connection("127.0.0.1", ENGINE_PORT, ssl=judged, limit=LINE_BYTES)
        reader, writer = await asyncio.wait_for(opening, CONNECT_SECONDS)
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        line = await asyncio.wait_for(reader.readline(), ANSWER_SECONDS)
        return line.split()[1:2] == [b"200"]
    except (OSError, ValueError, asyncio.TimeoutError):  # ValueError: a line without end
        return False
    finally:
        if writer is not None:
            writer.close()


def _unjudged() -> ssl.SSLContext:
    """TLS as the kubelet's probes speak it: the certificate is not judged."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
