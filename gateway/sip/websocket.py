"""SIP over WebSocket (RFC 7118): connections of browsers, for the transports. The HTTP server is somebody else's.

One message in a frame, text or binary. Keep-alives are pings of ours, and CRLFCRLF of theirs (RFC 5626 section 3.5.1).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from gateway.sip.hop import Hop
from gateway.sip.message import MAX_MESSAGE_BYTES
from gateway.sip.transport import SipTransports

__all__ = ["SUBPROTOCOL", "SipWebSockets", "WebSocketLimits"]

log = logging.getLogger(__name__)

SUBPROTOCOL: Final = "sip"
_PING: Final = b"\r\n\r\n"
_PONG: Final = b"\r\n"


@dataclass(frozen=True, slots=True)
class WebSocketLimits:
    """Of one connection, besides what holds for all (:class:`~gateway.sip.transport.TransportLimits`). Seconds."""

    messages_per_second: float = 50.0
    messages_at_once: float = 250.0
    """A browser sends a handful for a call; one that sends more is broken or hostile, and cut off."""
    ping_interval: float = 20.0
    """One that does not answer within half of that is gone, and so is what registered over it."""
    write_time: float = 10.0
    """For one frame."""
    close_time: float = 2.0


class SipWebSockets:
    """Owns the SIP WebSockets, as long as they live."""

    def __init__(
        self,
        transports: SipTransports,
        *,
        allows: Callable[[str | None, str | None], bool],
        limits: WebSocketLimits | None = None,
    ) -> None:
        """``allows``: whether a page of that Origin may connect; the other is the Host header."""
        self._transports = transports
        self._allows = allows
        self._limits = limits or WebSocketLimits()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer a request for a WebSocket; over when it is."""
        origin = request.headers.get("Origin")
        if not self._allows(origin, request.headers.get("Host")):
            log.info("a page of %.80s wanted to connect from %s; it is not in rtc.origins", origin, request.remote)
            return _plain(403, f"pages of {origin} may not connect here; add it to rtc.origins")
        socket = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,),
            max_msg_size=MAX_MESSAGE_BYTES,
            heartbeat=self._limits.ping_interval,
            compress=False,
            timeout=self._limits.close_time,
        )
        ready = socket.can_prepare(request)
        if not ready.ok:
            return _plain(426, f"this is a WebSocket, subprotocol {SUBPROTOCOL}", Upgrade="websocket")
        if ready.protocol != SUBPROTOCOL:
            return _plain(400, f"ask for the subprotocol {SUBPROTOCOL}")
        transport = request.transport
        peer = None if transport is None else transport.get_extra_info("peername")
        local = None if transport is None else transport.get_extra_info("sockname")
        if transport is None or not peer or not local:
            return _plain(400, "there is no connection")
        kind = "ws" if transport.get_extra_info("ssl_object") is None else "wss"
        connection = _WebSocket(self._transports, socket, transport, kind, peer, local, self._limits)
        if not self._transports.connection_opened(connection):
            return _plain(503, "there are too many connections")
        try:
            connection.hop = Hop(kind, peer[0], peer[1], connection.number, (local[0], local[1]))
            await socket.prepare(request)
            await connection.run()
        except ConnectionError:
            pass
        finally:
            self._transports.connection_lost(connection)
            await connection.end()
        return socket


class _WebSocket:
    """One WebSocket, as the transports see a connection."""

    def __init__(
        self,
        owner: SipTransports,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        kind: str,
        peer: tuple[str, int],
        local: tuple[str, int],
        limits: WebSocketLimits,
    ) -> None:
        self.number = 0
        self.dialled: tuple[str, str, int] | None = None
        self.peer = (kind, peer[0], peer[1])
        self.hop = Hop(kind, peer[0], peer[1], None, (local[0], local[1]))
        self.hops: set[Hop] = set()
        self._owner = owner
        self._socket = socket
        self._transport = transport
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._since = self._heard = self._loop.time()
        self._spoke = False
        self._left = limits.messages_at_once
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._closing = False
        self._wake = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Hand on what comes, until it ends."""
        self._writing = self._loop.create_task(self._write(), name=f"write {self.hop}")
        while True:
            frame = await self._socket.receive()
            if frame.type is WSMsgType.TEXT:
                data = frame.data.encode("utf-8", "surrogateescape")
            elif frame.type is WSMsgType.BINARY:
                data = bytes(frame.data)
            else:
                if frame.type is WSMsgType.ERROR:
                    log.info("%s closed: %s", self.hop, frame.data)
                return
            if not self._may_say():
                log.info("%s closed: too many messages", self.hop)
                await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"too many messages")
                return
            if data == _PING:
                self.write(_PONG)
            elif data.strip(b"\r\n"):
                self._spoke = True
                self._owner.deliver(data, self.hop)

    def _may_say(self) -> bool:
        now = self._loop.time()
        limits = self._limits
        gained = (now - self._heard) * limits.messages_per_second
        self._left = min(limits.messages_at_once, self._left + gained) - 1.0
        self._heard = now
        return self._left >= 0.0

    def write(self, data: bytes) -> None:
        if self._closing:
            return
        self._waiting.append(data)
        self._bytes += len(data)
        if self._bytes > self._owner.limits.unsent_bytes:
            log.info("%s closed: it does not read", self.hop)
            self.abort()
        self._wake.set()

    def keep_alive(self) -> None:
        """It is pinged anyway."""

    def overdue(self, now: float) -> str:
        """Why it should end now. That it is silent says nothing: it answers pings."""
        if not self._spoke and now - self._since > self._owner.limits.first_message_time:
            return "it never said anything"
        return ""

    def abort(self) -> None:
        self._closing = True
        self._transport.abort()
        self._wake.set()

    def close(self) -> None:
        """After all that waits is written."""
        self._closing = True
        self._wake.set()

    async def end(self) -> None:
        """It is over: nothing is written any more."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])

    async def _write(self) -> None:
        try:
            while True:
                while self._waiting:
                    data = self._waiting.popleft()
                    self._bytes -= len(data)
                    async with asyncio.timeout(self._limits.write_time):
                        await self._write_one(data)
                if self._closing:
                    break
                self._wake.clear()
                await self._wake.wait()
            async with asyncio.timeout(self._limits.close_time):
                await self._socket.close(code=WSCloseCode.GOING_AWAY)
        except TimeoutError:
            self.abort()
        except ConnectionError:
            # The reading end sees it as well, and tells.
            pass

    async def _write_one(self, data: bytes) -> None:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            await self._socket.send_bytes(data)
        else:
            await self._socket.send_str(text)


def _plain(status: int, text: str, **headers: str) -> web.Response:
    return web.Response(status=status, text=text + "\n", headers={"X-Content-Type-Options": "nosniff", **headers})
