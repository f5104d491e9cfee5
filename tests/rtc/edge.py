"""The edge on real sockets, with the agent behind it and a client that talks to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

from gateway.rtc.agent import RtcAgent
from gateway.rtc.events import Event
from gateway.rtc.guests import Guests
from gateway.rtc.limits import Limits
from gateway.rtc.origins import Origins
from gateway.rtc.passwords import Account, Passwords
from gateway.rtc.protocol import SUBPROTOCOL
from gateway.rtc.rights import Rights
from gateway.rtc.token import Tokens
from gateway.rtc.websocket import EdgeLimits, Handler, Listen, RtcServer

CLOCK = 1_800_000_000.0
OFFER = {"type": "offer", "sdp": "v=0 offer"}
RIGHTS = Rights(call_in=True, be_called=True, call_out=("*",), peers=True)
ALICE = Account("alice", "right", "Alice", RIGHTS)


class Edge:
    """The server, and what its agent told."""

    def __init__(
        self,
        *,
        pages: Path | None = None,
        limits: Limits | None = None,
        edge: EdgeLimits | None = None,
        listen: list[Listen] | None = None,
        more: dict[str, Handler] | None = None,
        guests: Guests | None = None,
    ) -> None:
        self.tokens = Tokens("s" * 32, clock=lambda: CLOCK)
        self.events: list[Event] = []
        self.on_event: Callable[[Event], None] | None = None
        loop = asyncio.get_running_loop()
        self.agent = RtcAgent(verify=self.tokens.verify, clock=loop.time, limits=limits)
        self.server = RtcServer(
            self.agent,
            listen=listen or [Listen("127.0.0.1", 0)],
            pump=self.pump,
            tokens=self.tokens,
            passwords=Passwords({"alice": ALICE}.get),
            guests=guests,
            origins=Origins(["https://www.example.com"]),
            pages=pages,
            limits=edge,
            more=more,
        )

    def pump(self) -> None:
        while (event := self.agent.next_event()) is not None:
            self.events.append(event)
            if self.on_event is not None:
                self.on_event(event)
        self.server.flush()

    @property
    def url(self) -> str:
        scheme, host, port = self.server.addresses[0]
        return f"{scheme}://{host}:{port}"

    @property
    def port(self) -> int:
        return self.server.addresses[0][2]

    async def empties(self) -> None:
        """Nothing is left of any connection."""
        await until(lambda: not self.server.sizes()["lines"] and not self.server.sizes()["open connections"])


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Edge]:
    edge = Edge(**settings)
    await edge.server.start()
    try:
        yield edge
    finally:
        await edge.server.stop()
        await edge.empties()


class Phone:
    """A client on a socket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.ids = count(1)

    async def sends(self, kind: str, **fields: Any) -> int:
        number = next(self.ids)
        await self.socket.send_json({"type": kind, "id": number, **fields})
        return number

    async def hears(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(5):
            message = await self.socket.receive()
        assert message.type is aiohttp.WSMsgType.TEXT, message
        value = json.loads(message.data)
        assert isinstance(value, dict)
        return value

    async def asks(self, kind: str, **fields: Any) -> dict[str, Any]:
        number = await self.sends(kind, **fields)
        answer = await self.hears()
        assert answer["re"] == number
        return answer

    async def is_closed(self) -> int | None:
        """With which code."""
        async with asyncio.timeout(5):
            while True:
                message = await self.socket.receive()
                if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG):
                    return self.socket.close_code


@asynccontextmanager
async def connected(edge: Edge, user: str | None = None, **options: Any) -> AsyncIterator[Phone]:
    """A client; with ``user``, logged in."""
    options = {"protocols": (SUBPROTOCOL,), "autoclose": True, **options}
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{edge.url}/rtc", **options) as socket:
        phone = Phone(socket)
        if user is not None:
            answer = await phone.asks("login", token=edge.tokens.make(user, RIGHTS), device="web")
            assert answer["type"] == "ok", answer
        yield phone


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # sockets set no event
            await asyncio.sleep(0.005)


Story = Callable[[], Coroutine[None, None, None]]
