# Made by `make generate` from generator/supervisor/group_doors.py; change that file.
"""How many may stand at a port of a pod: strangers are few, and the oldest of them leaves when another comes."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

WAITING = 32
WAITING_OF_ONE = 4
"""Connections of one address that are not members: a pod has one, and its predecessor's may linger."""


class Doors:
    """The connections that are not known to be members'."""

    def __init__(self, waiting: int = WAITING, of_one: int = WAITING_OF_ONE) -> None:
        self.waiting, self.of_one = waiting, of_one
        self.open: collections.OrderedDict[asyncio.StreamWriter, Any] = collections.OrderedDict()

    def enter(self, writer: asyncio.StreamWriter) -> None:
        """Count a connection; close the oldest of its address, or of all, where there are too many."""
        peer = writer.get_extra_info("peername")
        host = peer[0] if isinstance(peer, tuple) else None
        own = [one for one, address in self.open.items() if address == host]
        if len(own) >= self.of_one:
            self._close(own[0])
        elif len(self.open) >= self.waiting:
            self._close(next(iter(self.open)))
        self.open[writer] = host

    def leave(self, writer: asyncio.StreamWriter) -> None:
        """Count it no more: it is a member's now, or gone."""
        self.open.pop(writer, None)

    def _close(self, writer: asyncio.StreamWriter) -> None:
        self.leave(writer)
        writer.transport.abort()
