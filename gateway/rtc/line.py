"""One WebSocket of a client: what waits to be written, within bounds, and the pings that keep it known to be there."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass

from aiohttp import WSCloseCode, WSMsgType, web

from gateway.rtc.host import Closing

__all__ = ["Line", "LineLimits"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LineLimits:
    """Of one connection. Seconds."""

    waiting_bytes: int = 4 * 1024 * 1024
    """That wait to be written; who is further behind is cut off."""
    write_time: float = 10.0
    """For one frame."""
    ping_interval: float = 2.0
    close_time: float = 2.0
    """For the other side to say goodbye as well."""


class Line:
    """Owns the writing end of a WebSocket, and its task."""

    def __init__(self, number: int, socket: web.WebSocketResponse, transport: asyncio.Transport, limits: LineLimits):
        self.number = number
        self.socket = socket
        self._transport = transport
        self._limits = limits
        self._waiting: deque[str | None] = deque()
        """None: a ping."""
        self._bytes = 0
        self._closing: Closing | None = None
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._ping_timer = self._loop.call_later(limits.ping_interval, self._ping)
        self._task = self._loop.create_task(self._write(), name=f"rtc line {number}")
        self.gone: asyncio.Future[None] = self._loop.create_future()
        """Done when nothing of it is left."""

    def send(self, text: str) -> None:
        """Write it when there is room. Never waits."""
        if self._closing is not None or self._bytes > self._limits.waiting_bytes:
            return
        self._waiting.append(text)
        # Characters, not bytes: near enough for a bound.
        self._bytes += len(text)
        if self._bytes > self._limits.waiting_bytes:
            log.info("connection %d does not read and is cut off", self.number)
            self.abort()
        self._wake.set()

    def close(self, closing: Closing) -> None:
        """After all that waits is written."""
        if self._closing is None:
            self._closing = closing
            self._wake.set()

    def abort(self) -> None:
        self._transport.abort()

    async def end(self) -> None:
        """The reading end is over: stop writing, wait for that."""
        self._ping_timer.cancel()
        if self._closing is None:
            self._task.cancel()
        await asyncio.wait([self._task])
        if not self.gone.done():
            self.gone.set_result(None)

    def _ping(self) -> None:
        # A ping behind others says nothing more: who does not read is cut off by other means.
        if not self._waiting and self._closing is None:
            self._waiting.append(None)
            self._wake.set()
        self._ping_timer = self._loop.call_later(self._limits.ping_interval, self._ping)

    async def _write(self) -> None:
        try:
            while True:
                while self._waiting:
                    async with asyncio.timeout(self._limits.write_time):
                        await self._write_one(self._waiting.popleft())
                if self._closing is not None:
                    break
                self._wake.clear()
                await self._wake.wait()
            async with asyncio.timeout(self._limits.close_time):
                await self.socket.close(code=self._closing.code, message=self._closing.reason.encode()[:120])
        except TimeoutError:
            self.abort()
        except ConnectionError:
            # The reading end sees it as well, and tells.
            pass

    async def _write_one(self, text: str | None) -> None:
        if text is None:
            await self.socket.ping()
            return
        self._bytes -= len(text)
        await self.socket.send_str(text)

    async def read(self) -> str | bytes | None:
        """The next text; b"" for a sign of life without one; None in the end."""
        message = await self.socket.receive()
        match message.type:
            case WSMsgType.TEXT:
                return str(message.data)
            case WSMsgType.PING:
                await self.socket.pong(message.data)
                return b""
            case WSMsgType.PONG:
                return b""
            case WSMsgType.BINARY:
                await self.socket.close(code=WSCloseCode.UNSUPPORTED_DATA, message=b"frames are text")
                return None
            case _:
                return None
