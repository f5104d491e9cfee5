"""The edge of RTC signalling: HTTP and WebSocket on aiohttp, for the agent, the pages and the tokens.

    GET  /rtc               the WebSocket, subprotocol ivr.rtc.1
    POST /rtc/token         a token for a user of the site with a password, or for a guest
    GET  /rtc/asyncapi.yaml the protocol
    GET  anything else      the pages

Decides nothing about calls. Whoever owns this gets ``pump()`` called after anything went into the agent: to take the
agent's events, and then to call :meth:`RtcServer.flush`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from aiohttp import web

from gateway.rtc.agent import RtcAgent
from gateway.rtc.asyncapi import document_text
from gateway.rtc.door import Doors
from gateway.rtc.guests import Guest, GuestRefused, Guests
from gateway.rtc.limits import FRAME_BYTES
from gateway.rtc.line import Line, LineLimits
from gateway.rtc.origins import Origins
from gateway.rtc.pages import Pages
from gateway.rtc.passwords import Account, PasswordRefused, Passwords, network_of
from gateway.rtc.protocol import SUBPROTOCOL
from gateway.rtc.rate import Allowances
from gateway.rtc.token import Tokens
from gateway.tls_listener import TlsListener

__all__ = ["EdgeLimits", "Listen", "RtcServer"]

log = logging.getLogger(__name__)

_TOKEN_BODY: Final = 4096
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Listen:
    """An address to listen at; with ``tls`` for https and wss."""

    host: str
    port: int
    """0: any that is free."""
    tls: ssl.SSLContext | None = None

    @property
    def scheme(self) -> str:
        return "http" if self.tls is None else "https"


@dataclass(frozen=True, slots=True)
class EdgeLimits:
    """What one address may do. Seconds."""

    connections_of_address: int = 256
    """An office behind one address has that many; a proxy in front of us is one address too."""
    connections: int = 12_000
    patience: float = 10.0
    """From connecting to a complete request."""
    keepalive: float = 15.0
    """Until the next request on a connection is complete."""
    requests_per_second: float = 50.0
    requests_at_once: float = 500.0
    """Of one address: a page is a handful of files."""
    line: LineLimits = field(default_factory=LineLimits)


class RtcServer:
    """Owns the sockets of RTC clients."""

    def __init__(
        self,
        agent: RtcAgent,
        *,
        listen: Sequence[Listen],
        pump: Callable[[], None],
        tokens: Tokens | None = None,
        passwords: Passwords | None = None,
        guests: Guests | None = None,
        origins: Origins | None = None,
        pages: Path | None = None,
        limits: EdgeLimits | None = None,
        more: Mapping[str, Handler] | None = None,
    ) -> None:
        """Reads the pages, and blocks for that. Without ``tokens`` nobody gets a token here; with them, users that
        ``passwords`` knows do, and ``guests``.
        ``more`` are paths that somebody else serves at the same addresses."""
        self.agent = agent
        self.addresses: list[tuple[str, str, int]] = []
        """Scheme, host and port of each listener, once started."""
        self._listen = tuple(listen)
        self._pump = pump
        self._tokens = tokens
        self._passwords = passwords
        self._guests = guests
        self._origins = origins or Origins()
        self._limits = limits or EdgeLimits()
        self._pages = Pages(pages, self._origins)
        self._pages.add("/rtc/asyncapi.yaml", document_text().encode(), "application/yaml")
        self._routes: dict[str, Handler] = {**(more or {}), "/rtc": self._websocket, "/rtc/token": self._token}
        self._lines: dict[int, Line] = {}
        self._numbers = count(1)
        self._rates = Allowances(self._limits.requests_per_second, self._limits.requests_at_once)
        self._servers: list[asyncio.Server] = []
        self._tls_listeners: list[TlsListener] = []
        self._web: web.Server | None = None
        self._doors: Doors | None = None
        self._timer: asyncio.TimerHandle | None = None
        # Kept here: what uvloop returns for a moment that is over does not know it.
        self._timer_at = math.inf
        self._stopping = False

    # Life -----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """
        Raises:
            OSError: an address cannot be had.
        """
        self._web = server = web.Server(
            self._serve, access_log=None, keepalive_timeout=self._limits.keepalive, lingering_time=1.0
        )
        limits = self._limits
        self._doors = Doors(
            server,
            each=limits.connections_of_address,
            all_=limits.connections,
            patience=limits.patience,
        )
        loop = asyncio.get_running_loop()
        try:
            for listen in self._listen:
                if listen.tls is not None:
                    listener = TlsListener(
                        (listen.host, listen.port),
                        listen.tls,
                        make=self._doors.counted,
                        comes_in=self._doors.comes_in,
                        leaves=self._doors.goes,
                        handshake_time=limits.patience,
                    )
                    self._tls_listeners.append(listener)
                    self.addresses.append((listen.scheme, *listener.local))
                    log.info("RTC clients: %s://%s:%d", listen.scheme, *listener.local)
                    continue
                made = await loop.create_server(self._doors, listen.host, listen.port)
                self._servers.append(made)
                for socket in made.sockets:
                    host, port = socket.getsockname()[:2]
                    self.addresses.append((listen.scheme, host, port))
                    log.info("RTC clients: %s://%s:%d", listen.scheme, host, port)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Say goodbye to all clients and close everything."""
        self._stopping = True
        for server in self._servers:
            server.close()
        for listener in self._tls_listeners:
            listener.close()
            await listener.wait_closed()
        self.agent.shut_down()
        self._pump()
        lines = list(self._lines.values())
        if lines:
            await asyncio.wait([line.gone for line in lines], timeout=self._limits.line.close_time + 1.0)
        for line in self._lines.values():
            line.abort()
        if self._web is not None:
            await self._web.shutdown(timeout=1.0)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def sizes(self) -> dict[str, int]:
        """How much is remembered: for statistics, and for the test that nothing is forgotten to be forgotten."""
        return {
            "lines": len(self._lines),
            "open connections": len(self._doors) if self._doors is not None else 0,
            "request rates": len(self._rates),
            "password rates": len(self._passwords) if self._passwords is not None else 0,
            "guest rates": len(self._guests) if self._guests is not None else 0,
        }

    # The agent ------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Send what the agent wants sent, and set its clock."""
        for number, text in self.agent.messages_to_send():
            line = self._lines.get(number)
            if line is not None:
                line.send(text)
        for closing in self.agent.connections_to_close():
            line = self._lines.get(closing.connection)
            if line is not None:
                line.close(closing)
        due = self.agent.next_timer()
        # One that is early does no harm, and most deadlines are put off or dropped before they come.
        if due is not None and due < self._timer_at and not self._stopping:
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._timer_at = asyncio.get_running_loop().call_at(due, self._timer_due), due

    def _timer_due(self) -> None:
        self._timer, self._timer_at = None, math.inf
        self.agent.handle_timer(asyncio.get_running_loop().time())
        self._pump()

    # HTTP -----------------------------------------------------------------------------------------------

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        assert self._doors is not None
        self._doors.came_in(request.protocol)
        now = asyncio.get_running_loop().time()
        self._rates.forget_idle(now)
        if not self._rates.of(network_of(request.remote or ""), now).take(now):
            return _plain(429, "too many requests; try again in a second")
        handler = self._routes.get(request.path)
        if handler is not None:
            return await handler(request)  # type: ignore[arg-type]
        return self._page(request)

    def _page(self, request: web.BaseRequest) -> web.Response:
        if request.method not in ("GET", "HEAD"):
            return _plain(405, "only GET", Allow="GET, HEAD")
        page = self._pages.find(request.path)
        if page is None:
            return _plain(404, "there is no such page")
        headers = self._pages.headers(page, request.headers.get("Origin"))
        if page.etag in request.headers.get("If-None-Match", ""):
            del headers["Content-Type"]
            return web.Response(status=304, headers=headers)
        return web.Response(body=page.body, headers=headers)

    async def _token(self, request: web.BaseRequest) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if not self._origins.allows(origin, request.headers.get("Host")):
            return _plain(403, f"pages of {origin} may not log in here; add it to rtc.origins")
        headers = {"Cache-Control": "no-store", "Vary": "Origin"}
        if origin is not None:
            headers["Access-Control-Allow-Origin"] = origin
        if request.method == "OPTIONS":
            allow = {"Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "Content-Type"}
            return web.Response(status=204, headers=headers | allow)
        if request.method != "POST":
            return _plain(405, "only POST", Allow="POST, OPTIONS")
        if self._tokens is None or (self._passwords is None and self._guests is None):
            return _refusal(404, "not_here", "nobody gets a token here", headers)
        try:
            async with asyncio.timeout(self._limits.patience):
                asked = _asked(await _body(request, _TOKEN_BODY))
        except TimeoutError:
            return _refusal(408, "too_slow", "the body did not come in time", headers)
        except ValueError as error:
            return _refusal(400, "bad_request", str(error), headers)
        try:
            found = self._admit(asked, request.remote or "")
        except LookupError as error:
            return _refusal(404, "not_here", str(error.args[0]), headers)
        except (PasswordRefused, GuestRefused) as refusal:
            if refusal.retry_ms is not None:
                headers["Retry-After"] = str(refusal.retry_ms // 1000 + 1)
                return _refusal(429, "too_fast", "too many tries from this address", headers)
            guest = isinstance(refusal, GuestRefused)
            return _refusal(403 if guest else 401, "not_allowed" if guest else "refused", str(refusal), headers)
        name = found.name if isinstance(found, Account) else ""
        answer = {
            "token": self._tokens.make(found.user, found.rights, name=name),
            "expires_in": int(self._tokens.lifetime),
        }
        return web.json_response(answer, headers=headers)

    def _admit(self, asked: _Credentials | _Number, address: str) -> Account | Guest:
        now = asyncio.get_running_loop().time()
        if isinstance(asked, _Number):
            if self._guests is None:
                raise LookupError("guests may not call here; the site file lists what they may call in rtc.guests")
            return self._guests.admit(asked.number, address, now)
        if self._passwords is None:
            raise LookupError("nobody gets a token by a password here")
        return self._passwords.check(asked.user, asked.password, address, now)

    # WebSocket ------------------------------------------------------------------------------------------

    async def _websocket(self, request: web.BaseRequest) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if not self._origins.allows(origin, request.headers.get("Host")):
            log.info("a page of %.80r wanted to connect from %s; it is not in rtc.origins", origin, request.remote)
            return _plain(403, f"pages of {origin} may not connect here; add it to rtc.origins")
        if self._stopping:
            return _plain(503, "the gateway stops")
        socket = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,),
            max_msg_size=FRAME_BYTES,
            autoping=False,
            compress=False,
            timeout=self._limits.line.close_time,
        )
        ready = socket.can_prepare(request)
        if not ready.ok:
            return _plain(426, f"this is a WebSocket, subprotocol {SUBPROTOCOL}", Upgrade="websocket")
        if ready.protocol != SUBPROTOCOL:
            return _plain(400, f"ask for the subprotocol {SUBPROTOCOL}")
        await socket.prepare(request)
        transport = request.transport
        if transport is None:
            return socket
        line = Line(next(self._numbers), socket, transport, self._limits.line)
        self._lines[line.number] = line
        loop = asyncio.get_running_loop()
        self.agent.connection_opened(line.number, loop.time())
        self._pump()
        try:
            while (text := await line.read()) is not None:
                if isinstance(text, str):
                    self.agent.receive(line.number, text, loop.time())
                else:
                    self.agent.heard(line.number, loop.time())
                self._pump()
        except ConnectionError:
            pass
        finally:
            del self._lines[line.number]
            try:
                self.agent.connection_lost(line.number, loop.time())
                self._pump()
            finally:
                await line.end()
        return socket


def _plain(status: int, text: str, **headers: str) -> web.Response:
    return web.Response(status=status, text=text + "\n", headers={"X-Content-Type-Options": "nosniff", **headers})


def _refusal(status: int, code: str, text: str, headers: Mapping[str, str]) -> web.Response:
    return web.json_response({"code": code, "text": text}, status=status, headers=headers)


async def _body(request: web.BaseRequest, most: int) -> bytes:
    body = b""
    while chunk := await request.content.readany():
        body += chunk
        if len(body) > most:
            raise ValueError(f"the body is longer than {most} bytes")
    return body


@dataclass(frozen=True, slots=True)
class _Credentials:
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Number:
    """What a guest wants to call."""

    number: str


def _asked(body: bytes) -> _Credentials | _Number:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ValueError('the body must be {"user":"...","password":"..."}, or for guests {"to":"..."}')
    number = value.get("to")
    if isinstance(number, str) and "user" not in value:
        return _Number(number)
    user, password = value.get("user"), value.get("password")
    if not isinstance(user, str) or not isinstance(password, str):
        raise ValueError("user and password must be texts; guests say only to, a text as well")
    return _Credentials(user, password)
