"""Listening for TLS, and counting those who are not in yet: asyncio tells of a connection after its handshake only."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

__all__ = ["TlsListener"]

log = logging.getLogger(__name__)

_BACKLOG: Final = 512
"""Connections that wait in the kernel to be accepted."""
_AT_A_TIME: Final = 64
"""Connections, before something else gets its turn."""
_WITHOUT_DESCRIPTORS: Final = 1.0
"""Seconds until the next try when nobody can be let in."""


class TlsListener:
    """Owns one listening socket, and those who shake hands there.

    ``comes_in`` and ``leaves`` count, by address: whom the one lets in the other is told of if the handshake fails.
    ``make`` makes the protocol for one from that address, which is responsible from its ``connection_made`` on.
    """

    def __init__(
        self,
        address: tuple[str, int],
        tls: ssl.SSLContext,
        *,
        make: Callable[[str], asyncio.BaseProtocol],
        comes_in: Callable[[str], bool],
        leaves: Callable[[str], None],
        handshake_time: float,
    ) -> None:
        """Bind it, on the running loop; OSError if the address, one of an interface, cannot be had."""
        self._loop = asyncio.get_running_loop()
        self._tls = tls
        self._make = make
        self._comes_in = comes_in
        self._leaves = leaves
        self._handshake_time = handshake_time
        self._again: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self._socket.bind(_resolved(address, family))
            self._socket.listen(_BACKLOG)
        except OSError:
            self._socket.close()
            raise
        name = self._socket.getsockname()
        self.local: tuple[str, int] = (name[0], name[1])
        self._watch()

    def close(self) -> None:
        """Nobody comes in any more; who is not in yet is cut off. Those who are in stay."""
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        for task in self._tasks:
            task.cancel()

    async def wait_closed(self) -> None:
        for task in list(self._tasks):
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _watch(self) -> None:
        self._again = None
        self._loop.add_reader(self._socket, self._readable)

    def _readable(self) -> None:
        for _ in range(_AT_A_TIME):
            try:
                accepted, address = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                # No descriptors are left: they wait in the kernel, or give up.
                log.error("tls %s:%d: nobody can be let in: %s", *self.local, error)
                self._loop.remove_reader(self._socket)
                self._again = self._loop.call_later(_WITHOUT_DESCRIPTORS, self._watch)
                return
            accepted.setblocking(False)
            if not self._comes_in(address[0]):
                accepted.close()
                continue
            task = self._loop.create_task(self._shake_hands(accepted, address[0]), name="TLS handshake")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _shake_hands(self, accepted: socket.socket, host: str) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._make(host), accepted, ssl=self._tls, ssl_handshake_timeout=self._handshake_time
            )
        except (OSError, TimeoutError) as error:
            log.info("no TLS with %s: %s", host, getattr(error, "reason", None) or error)
            self._leaves(host)
            accepted.close()
        except asyncio.CancelledError:
            self._leaves(host)
            accepted.close()
            raise


def _resolved(address: tuple[str, int], family: int) -> Any:
    # An IPv6 address may name its interface.
    return socket.getaddrinfo(*address, family=family, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0][4]
