"""The door of the RTC edge: how many connections an address may have, and how long one may take to say what it wants.

Stands between the socket and the HTTP server, which sees a connection only after it was let in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from gateway.rtc.passwords import network_of

__all__ = ["Door", "Doors"]

log = logging.getLogger(__name__)


class Doors:
    """Owns the count of connections."""

    def __init__(self, make: Callable[[], asyncio.Protocol], *, each: int, all_: int, patience: float) -> None:
        """``make`` makes the server's protocol for one connection. ``each``: connections of an address (IPv6: of a
        network of 64 bits); ``all_``: of all together; ``patience``: seconds until the first request is complete."""
        self.make = make
        self.patience = patience
        self.turned_away = 0
        """Ever."""
        self._each = each
        self._all = all_
        self._count = 0
        self._counts: dict[str, int] = {}
        self._by_server: dict[asyncio.Protocol, Door] = {}

    def __call__(self) -> Door:
        return Door(self)

    def counted(self, host: str) -> Door:
        """The door of one who was counted by :meth:`comes_in` already."""
        return Door(self, network_of(host))

    def comes_in(self, host: str) -> bool:
        """Count one who is to shake hands first; False if there is no room."""
        return self.enter(network_of(host))

    def goes(self, host: str) -> None:
        """It came to nothing."""
        self.leave(network_of(host))

    def __len__(self) -> int:
        return self._count

    def enter(self, network: str) -> bool:
        count = self._counts.get(network, 0)
        if count >= self._each or self._count >= self._all:
            self.turned_away += 1
            # One line for the first and then for every doubling: a flood of connections is none of lines.
            if self.turned_away & (self.turned_away - 1) == 0:
                log.warning("%s has %d connections; %d turned away so far", network, count, self.turned_away)
            return False
        self._counts[network] = count + 1
        self._count += 1
        return True

    def leave(self, network: str) -> None:
        self._count -= 1
        self._counts[network] -= 1
        if not self._counts[network]:
            del self._counts[network]

    def register(self, server: asyncio.Protocol, door: Door) -> None:
        self._by_server[server] = door

    def unregister(self, server: asyncio.Protocol) -> None:
        self._by_server.pop(server, None)

    def came_in(self, server: asyncio.Protocol) -> None:
        """The first request on a connection is complete."""
        door = self._by_server.pop(server, None)
        if door is not None:
            door.came_in()


class Door(asyncio.Protocol):
    """One connection on its way in."""

    def __init__(self, doors: Doors, counted: str | None = None) -> None:
        """``counted``: the network that it was counted for before."""
        self._doors = doors
        self._counted = counted
        self._server: asyncio.Protocol | None = None
        self._network = ""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        network = self._counted or (network_of(peer[0]) if peer else "unknown")
        if self._counted is None and not self._doors.enter(network):
            self._transport.abort()
            return
        self._network = network
        self._server = self._doors.make()
        self._doors.register(self._server, self)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._doors.patience, self._transport.abort)
        self._server.connection_made(transport)

    def came_in(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def data_received(self, data: bytes) -> None:
        if self._server is not None:
            self._server.data_received(data)

    def eof_received(self) -> bool | None:
        return self._server.eof_received() if self._server is not None else None

    def pause_writing(self) -> None:
        if self._server is not None:
            self._server.pause_writing()

    def resume_writing(self) -> None:
        if self._server is not None:
            self._server.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self.came_in()
        if self._server is not None:
            self._doors.unregister(self._server)
            self._doors.leave(self._network)
            self._server.connection_lost(error)
            self._server = None
