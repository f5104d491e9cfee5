"""Sockets for SIP: datagrams and connections on asyncio (RFC 3261 section 18, RFC 5626 keep-alives).

The only file of this package that knows asyncio. Bytes from the network go to one sink with the hop they came
from; bytes to the network come with the hop they are for. Nothing is parsed here beyond cutting streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import logging
import re
import socket
import ssl
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from gateway.sip.hop import Hop
from gateway.sip.message import MAX_MESSAGE_BYTES
from gateway.sip.stream import FramingError, KeepAlive, StreamFramer
from gateway.tls_listener import TlsListener

log = logging.getLogger(__name__)

Direction = Literal["in", "out"]
Address = tuple[str, str, int]
"""Transport (`udp`, `tcp`, `tls`), host, port; port 0 lets the system choose."""


@dataclass(frozen=True, slots=True)
class TransportLimits:
    """What one neighbour, or all together, may take. Seconds and bytes."""

    connections: int = 4096
    """Accepted ones at a time; more are closed at once."""
    connections_per_host: int = 512
    """Of these, from one address: an office behind a NAT, but not everything there is for one who only takes."""
    handshake_time: float = 10.0
    """How long a new connection may take to agree on TLS; it counts as a connection from its first packet on."""
    connect_timeout: float = 5.0
    """Below the 32 s of a transaction, so that another way can still be tried."""
    message_time: float = 10.0
    """How long a message may take to come once it has begun: against peers that send a byte now and then."""
    first_message_time: float = 30.0
    """How long a new connection may be without a message; keep-alives are none."""
    idle_time: float = 3900.0
    """How long a connection may be silent later: more than the hour for which phones register."""
    waiting: int = 256
    """Messages kept for a connection that is being made."""
    unsent_bytes: int = 1_048_576
    """What a connection may owe to a peer that does not read, before it is given up."""
    resolved: int = 1024
    """Names whose addresses are kept."""
    resolved_time: float = 60.0


class Connection(Protocol):
    """A connection in both directions: TCP or TLS below, a WebSocket in :mod:`gateway.sip.websocket`."""

    number: int
    """Given when it is opened; 0 before."""
    hop: Hop
    hops: set[Hop]
    """Hops without a number that were sent over this connection, to be told if it ends."""
    peer: tuple[str, str, int]
    dialled: tuple[str, str, int] | None
    """Whom we called, by the name we used; None if they called us."""

    def write(self, data: bytes) -> None: ...
    def overdue(self, now: float) -> str:
        """Why it should end now; empty if it should not."""

    def keep_alive(self) -> None: ...
    def abort(self) -> None: ...
    def close(self) -> None: ...


ClientTls = Callable[[str, int], ssl.SSLContext]
"""How a TLS server that we call, by host and port, has to prove who it is."""


class SipTransports:
    """Owns all SIP sockets. One loop, one thread; `close` frees everything."""

    def __init__(
        self,
        listen: Iterable[Address],
        *,
        received: Callable[[bytes, Hop], None],
        hop_lost: Callable[[Hop], None],
        trace: Callable[[Direction, bytes, Hop], None] | None = None,
        limits: TransportLimits | None = None,
        advertised: str | None = None,
        server_tls: ssl.SSLContext | None = None,
        client_tls: ClientTls | None = None,
    ) -> None:
        """`listen`: where, once started. `received` gets each datagram and each message of a stream. `hop_lost`
        hears of a connection that ended or could not be made; never from within `send`. `trace` sees all
        messages, credentials masked. `advertised`: the address that others reach us at, where it is not that of
        the socket. `server_tls` may get another certificate at any time. Without `client_tls` a server must prove
        the name it was called by, to the authorities that the system trusts.
        """
        self._wanted = list(listen)
        self._received = received
        self._hop_lost = hop_lost
        self._trace = trace
        self.limits = limits or TransportLimits()
        self._advertised = advertised
        self._server_tls = server_tls
        self._client_tls = client_tls
        self._loop: asyncio.AbstractEventLoop | None = None
        self._endpoints: list[_Datagrams] = []
        self._servers: list[asyncio.Server] = []
        self._listening: list[Address] = []
        self._connections: dict[int, Connection] = {}
        self._accepted_from: Counter[str] = Counter()
        self._tls_listeners: list[TlsListener] = []
        self._by_peer: dict[tuple[str, str, int], Connection] = {}
        self._waiting: dict[tuple[str, str, int], _Dialling] = {}
        self._addresses: OrderedDict[tuple[str, int], tuple[float, tuple[str, int] | None]] = OrderedDict()
        self._ways: OrderedDict[str, str] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_number = 0
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    @property
    def addresses(self) -> list[Address]:
        """Where it listens, in the order asked for, with the ports that port 0 became."""
        return list(self._listening)

    async def start(self) -> None:
        """Open the sockets; OSError if one cannot be had, ValueError for an unknown transport or TLS without a
        certificate, and then none of them is left open."""
        self._loop = asyncio.get_running_loop()
        try:
            for kind, host, port in self._wanted:
                self._listening.append((kind, *await self._open(kind, host, port)))
        except OSError as error:
            await self.close()
            raise OSError(error.errno, f"{kind} {host} port {port}: {error.strerror or error}") from error
        except BaseException:
            await self.close()
            raise
        self._sweep_later()

    async def _open(self, kind: str, host: str, port: int) -> tuple[str, int]:
        assert self._loop is not None
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        if kind == "udp":
            found = await self._loop.getaddrinfo(host, port, family=family, type=socket.SOCK_DGRAM)
            datagrams = _Datagrams(self, self._loop, family, found[0][4])
            self._endpoints.append(datagrams)
            return datagrams.local
        if kind not in ("tcp", "tls"):
            raise ValueError(f"no such transport: {kind}")
        if kind == "tls":
            if self._server_tls is None:
                raise ValueError("listening for TLS needs a certificate")
            listener = TlsListener(
                (host, port),
                self._server_tls,
                make=lambda host: _Connection(self, "tls", None, counted=host),
                comes_in=self._comes_in,
                leaves=self._leaves,
                handshake_time=self.limits.handshake_time,
            )
            self._tls_listeners.append(listener)
            return listener.local
        server = await self._loop.create_server(
            lambda: _Connection(self, "tcp", None), host, port, family=family, backlog=_BACKLOG
        )
        self._servers.append(server)
        name = server.sockets[0].getsockname()
        return name[0], name[1]

    def sent_by(self, hop: Hop) -> tuple[str, int]:
        """Host and port that a peer at `hop` answers to: for Via and Contact. ValueError if we do not listen."""
        candidates = [address for address in self._listening if address[0] == hop.transport]
        if hop.local is not None:
            host, port = hop.local
        elif candidates:
            six = ":" in hop.host
            _, host, port = next((address for address in candidates if (":" in address[1]) == six), candidates[0])
        elif self._listening:
            _, host, port = self._listening[0]
        else:
            raise ValueError(f"nothing listens that {hop} could answer to")
        if self._advertised is not None:
            return self._advertised, port
        return (self._way_to(hop.host) if host in ("0.0.0.0", "::") else host), port

    def _way_to(self, host: str) -> str:
        """Our own address as seen on the way to `host`, without sending anything."""
        known = self._ways.get(host)
        if known is None:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                try:
                    if not _is_address(host):
                        raise OSError
                    probe.connect((host, 5060))
                    known = str(probe.getsockname()[0])
                except OSError:
                    known = "::1" if family == socket.AF_INET6 else "127.0.0.1"
            self._ways[host] = known
            while len(self._ways) > self.limits.resolved:
                self._ways.popitem(last=False)
        return known

    # Sending

    def send(self, data: bytes, hop: Hop) -> None:
        """Send now or as soon as a connection is there. What cannot be sent is told to `hop_lost` later, or,
        on UDP, not at all."""
        if self._closed or self._loop is None:
            return
        if self._trace is not None:
            self._trace("out", mask_credentials(data), hop)
        if hop.connection is not None:
            connection = self._connections.get(hop.connection)
            if connection is None:
                self._loop.call_soon(self._hop_lost, hop)
            else:
                connection.write(data)
        elif hop.transport == "udp":
            self._send_datagram(data, hop)
        elif hop.transport in ("tcp", "tls"):
            self._send_stream(data, hop)
        else:
            # A WebSocket is opened by the other side only.
            self._loop.call_soon(self._hop_lost, hop)

    def _send_datagram(self, data: bytes, hop: Hop) -> None:
        if _is_address(hop.host):
            endpoint = self._endpoint_for(hop, hop.host)
            if endpoint is not None:
                endpoint.send(data, (hop.host, hop.port))
            return
        known, address = self._resolved(hop.host, hop.port)
        if known and address is not None:
            endpoint = self._endpoint_for(hop, address[0])
            if endpoint is not None:
                endpoint.send(data, address)
        elif not known:
            self._spawn(self._resolve_and_send(data, hop))

    def _endpoint_for(self, hop: Hop, host: str) -> _Datagrams | None:
        six = ":" in host
        best: _Datagrams | None = None
        for endpoint in self._endpoints:
            if endpoint.local == hop.local:
                return endpoint
            if best is None and (":" in endpoint.local[0]) == six:
                best = endpoint
        return best

    def _resolved(self, host: str, port: int) -> tuple[bool, tuple[str, int] | None]:
        entry = self._addresses.get((host, port))
        if entry is None or self._loop is None or entry[0] < self._loop.time():
            return False, None
        return True, entry[1]

    async def _resolve_and_send(self, data: bytes, hop: Hop) -> None:
        assert self._loop is not None
        address: tuple[str, int] | None = None
        try:
            found = await self._loop.getaddrinfo(hop.host, hop.port, type=socket.SOCK_DGRAM)
            families = {":" in endpoint.local[0] for endpoint in self._endpoints}
            address = next(
                ((str(entry[4][0]), hop.port) for entry in found if (":" in str(entry[4][0])) in families), None
            )
        except (OSError, UnicodeError) as error:
            # UnicodeError: a part of the name that is longer than any can be.
            log.info("%s cannot be resolved: %s", hop, error)
        self._addresses[hop.host, hop.port] = (self._loop.time() + self.limits.resolved_time, address)
        while len(self._addresses) > self.limits.resolved:
            self._addresses.popitem(last=False)
        if address is None:
            self._hop_lost(hop)
        elif (endpoint := self._endpoint_for(hop, address[0])) is not None:
            endpoint.send(data, address)

    def _send_stream(self, data: bytes, hop: Hop) -> None:
        peer = (hop.transport, hop.host, hop.port)
        connection = self._by_peer.get(peer)
        if connection is not None:
            connection.hops.add(hop)
            connection.write(data)
            return
        dialling = self._waiting.get(peer)
        if dialling is None:
            dialling = self._waiting[peer] = _Dialling()
            self._spawn(self._dial(peer, dialling))
        if len(dialling.messages) < self.limits.waiting:
            dialling.messages.append(data)
            dialling.hops.add(hop)
        elif self._loop is not None:
            self._loop.call_soon(self._hop_lost, hop)

    async def _dial(self, peer: tuple[str, str, int], dialling: _Dialling) -> None:
        assert self._loop is not None
        kind, host, port = peer
        connection: _Connection | None = None
        try:
            tls: ssl.SSLContext | None = None
            if kind == "tls":
                tls = self._client_tls(host, port) if self._client_tls else ssl.create_default_context()
            async with asyncio.timeout(self.limits.connect_timeout):
                _, connection = await self._loop.create_connection(
                    lambda: _Connection(self, kind, peer),
                    host,
                    port,
                    ssl=tls,
                    server_hostname=host if tls is not None else None,
                )
        except ssl.SSLCertVerificationError as error:
            log.warning("%s %s:%s is not trusted: %s", kind, host, port, error.verify_message)
        except (OSError, TimeoutError, UnicodeError) as error:
            log.info("no connection to %s %s:%s: %s", kind, host, port, error or type(error).__name__)
        finally:
            self._waiting.pop(peer, None)
        if connection is None:
            for hop in dialling.hops:
                self._hop_lost(hop)
            return
        connection.hops |= dialling.hops
        for data in dialling.messages:
            connection.write(data)

    def _spawn(self, work: Any) -> None:
        assert self._loop is not None
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # What sockets tell

    def _datagram(self, data: bytes, hop: Hop) -> None:
        # Keep-alives: CRLFs, a few zero bytes, a STUN header from phones that believe us an outbound proxy. The
        # shortest SIP message has more than this.
        if len(data) < 40 or self._closed:
            return
        self.deliver(data, hop)

    def deliver(self, data: bytes, hop: Hop) -> None:
        """A connection has brought a whole message."""
        if self._trace is not None:
            self._trace("in", mask_credentials(data), hop)
        self._received(data, hop)

    def _comes_in(self, host: str) -> bool:
        full = self._accepted_from.total() >= self.limits.connections
        if self._closed or full or self._accepted_from[host] >= self.limits.connections_per_host:
            return False
        self._accepted_from[host] += 1
        return True

    def _leaves(self, host: str) -> None:
        self._accepted_from[host] -= 1
        if not self._accepted_from[host]:
            del self._accepted_from[host]

    def connection_opened(self, connection: Connection, *, counted: bool = False) -> bool:
        """Take a new connection, and give it its number; False if there are too many. `counted`: it came in before."""
        if self._closed:
            return False
        if connection.dialled is None and not counted and not self._comes_in(connection.peer[1]):
            return False
        self._last_number += 1
        connection.number = self._last_number
        self._connections[connection.number] = connection
        # A peer's own connection serves for what we have to send to the same address and port (RFC 5923 is
        # stricter: it wants to know that the peer may speak for that address; an address and port it holds).
        self._by_peer.setdefault(connection.dialled or connection.peer, connection)
        return True

    def connection_lost(self, connection: Connection) -> None:
        """It has ended, by whomever."""
        if self._connections.pop(connection.number, None) is None:
            return
        if connection.dialled is None:
            self._leaves(connection.peer[1])
        peer = connection.dialled or connection.peer
        if self._by_peer.get(peer) is connection:
            del self._by_peer[peer]
        if not self._closed:
            for hop in (connection.hop, *connection.hops):
                self._hop_lost(hop)

    def _sweep_later(self) -> None:
        assert self._loop is not None
        limits = self.limits
        shortest = min(limits.message_time, limits.first_message_time, limits.idle_time)
        self._sweep = self._loop.call_later(min(5.0, shortest / 2), self._sweep_now)

    def _sweep_now(self) -> None:
        assert self._loop is not None
        now = self._loop.time()
        for connection in list(self._connections.values()):
            overdue = connection.overdue(now)
            if overdue:
                log.info("%s closed: %s", connection.hop, overdue)
                connection.abort()
        self._sweep_later()

    def keep_alive(self, hop: Hop) -> None:
        """Send a ping (RFC 5626 3.5.1): it keeps the way through a NAT open."""
        connection = self._connections.get(hop.connection) if hop.connection is not None else None
        connection = connection or self._by_peer.get((hop.transport, hop.host, hop.port))
        if connection is not None:
            connection.keep_alive()
        elif hop.transport == "udp" and _is_address(hop.host):
            endpoint = self._endpoint_for(hop, hop.host)
            if endpoint is not None:
                endpoint.send(b"\r\n\r\n", (hop.host, hop.port))

    async def close(self) -> None:
        """Close everything; what was not sent yet is lost, and no hop is told lost."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for server in self._servers:
            server.close()
        for endpoint in self._endpoints:
            endpoint.close()
        for listener in self._tls_listeners:
            listener.close()
        for connection in list(self._connections.values()):
            connection.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for listener in self._tls_listeners:
            await listener.wait_closed()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()
        self._endpoints.clear()
        self._tls_listeners.clear()
        self._connections.clear()
        self._by_peer.clear()
        self._listening.clear()
        # Transports close one turn of the loop later; whoever closes the loop next must not cut them short.
        await asyncio.sleep(0)


class _Dialling:
    """What waits for a connection that is being made."""

    __slots__ = ("hops", "messages")

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.hops: set[Hop] = set()


_GATHERING_S: Final = 0.01
"""While datagrams come closer to each other than that, they are taken so often, all that there are: most of what a
message costs a busy machine is to wake up for it, with cold caches. Nothing in SIP is so urgent: the quickest timer
has 500 ms."""
_AT_A_TIME: Final = 64
"""Datagrams, before something else gets its turn. They wait in the kernel, which keeps some hundreds."""
_ROOM_BYTES: Final = 1_048_576
_BACKLOG: Final = 512
"""Connections that wait in the kernel to be accepted."""


class _Datagrams:
    """One UDP socket. A datagram that comes alone is taken at once, many are taken together.

    It is watched, or looked at after a while; never both.
    """

    def __init__(
        self, owner: SipTransports, loop: asyncio.AbstractEventLoop, family: int, address: tuple[Any, ...]
    ) -> None:
        """Bind it; OSError if the address cannot be had."""
        self._owner = owner
        self._loop = loop
        self._hops: dict[tuple[Any, ...], Hop] = {}
        # reuse_port stays off: two programs on one SIP port would each get half of the messages.
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            # Room for what comes meanwhile; the kernel gives as much as it may (net.core.rmem_max).
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM_BYTES)
            self._socket.bind(address)
        except OSError:
            self._socket.close()
            raise
        name = self._socket.getsockname()
        self.local: tuple[str, int] = (name[0], name[1])
        self._closed = False
        self._look_at: asyncio.Handle | None = None
        self._last = -_GATHERING_S
        self._watch()

    def _watch(self) -> None:
        self._look_at = None
        self._loop.add_reader(self._socket, self._readable)

    def _readable(self) -> None:
        now = self._loop.time()
        crowded, self._last = now - self._last < _GATHERING_S, now
        if crowded:
            self._loop.remove_reader(self._socket)
            self._look()
        else:
            self._take()

    def _look(self) -> None:
        taken = _AT_A_TIME
        try:
            taken = self._take()
        finally:
            # Also after a fault in what became of a datagram: the socket must not stay deaf.
            if self._closed:
                pass
            elif taken == _AT_A_TIME:
                self._look_at = self._loop.call_soon(self._look)
            elif taken:
                self._look_at = self._loop.call_later(_GATHERING_S, self._look)
            else:
                self._watch()

    def _take(self) -> int:
        """Hand on what there is; how many that were."""
        for taken in range(_AT_A_TIME):
            if self._closed:
                return taken
            try:
                data, address = self._socket.recvfrom(MAX_MESSAGE_BYTES)
            except BlockingIOError:
                return taken
            except OSError as error:
                # About something sent earlier, to whomever: the transaction's timers find out by themselves.
                log.debug("udp %s: %s", self.local, error)
                continue
            self._owner._datagram(data, self._hop(address))
        return _AT_A_TIME

    def _hop(self, address: tuple[Any, ...]) -> Hop:
        hop = self._hops.get(address)
        if hop is None:
            if len(self._hops) >= self._owner.limits.resolved:
                self._hops.clear()
            hop = self._hops[address] = Hop("udp", address[0], address[1], None, self.local)
        return hop

    def send(self, data: bytes, address: tuple[str, int]) -> None:
        """What the kernel has no room for is lost, like what is lost on the way: it is repeated by timers."""
        if self._closed or len(data) > MAX_MESSAGE_BYTES:
            return
        try:
            self._socket.sendto(data, address)
        except (OSError, ValueError, OverflowError) as error:
            log.info("udp to %s:%s: %s", *address, error)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._look_at is not None:
            self._look_at.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()


class _Connection(asyncio.Protocol):
    """One TCP or TLS connection, accepted or made."""

    def __init__(
        self, owner: SipTransports, kind: str, dialled: tuple[str, str, int] | None, *, counted: str | None = None
    ) -> None:
        self._owner = owner
        self._counted = counted
        """The address that it came in by, if it was counted before."""
        self._kind = kind
        self.dialled = dialled
        """Whom we called, by the name we used; None if they called us."""
        self.peer: tuple[str, str, int] = dialled or (kind, "", 0)
        self.number = 0
        self.hop = Hop(kind, "", 0)
        self.hops: set[Hop] = set()
        """Hops without a number that were sent over this connection, to be told if it ends."""
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None
        self._since = 0.0
        self._heard = 0.0
        self._begun: float | None = None
        self._spoke = dialled is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no subclass
        name = transport.get_extra_info("peername")
        local = transport.get_extra_info("sockname")
        if not name or not local:
            self._turned_away()
            return
        self.peer = (self._kind, name[0], name[1])
        if not self._owner.connection_opened(self, counted=self._counted is not None):
            self._turned_away()
            return
        if self.dialled is None:
            self.hop = Hop(self._kind, name[0], name[1], self.number, (local[0], local[1]))
        else:
            # Our end of a connection that we made has a passing port: nobody is to be told to answer there.
            self.hop = Hop(self._kind, name[0], name[1], self.number)
        self._since = self._heard = asyncio.get_running_loop().time()

    def _turned_away(self) -> None:
        if self._counted is not None:
            self._owner._leaves(self._counted)
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.number == 0 or self._transport is None:
            return
        self._heard = asyncio.get_running_loop().time()
        for item in self._framer.feed(data):
            self._begun = None
            if isinstance(item, bytes):
                self._spoke = True
                self._owner.deliver(item, self.hop)
            elif item is KeepAlive.PING:
                self._transport.write(b"\r\n")
            elif isinstance(item, FramingError):
                log.info("%s closed: %s", self.hop, item.reason)
                self._transport.abort()
        if not self._framer.unfinished:
            self._begun = None
        elif self._begun is None:
            self._begun = self._heard

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.connection_lost(self)

    def overdue(self, now: float) -> str:
        """Why this connection should end now; empty if it should not."""
        limits = self._owner.limits
        if self._begun is not None and now - self._begun > limits.message_time:
            return "a message took too long"
        if not self._spoke and now - self._since > limits.first_message_time:
            return "it never said anything"
        if now - self._heard > limits.idle_time:
            return "silent"
        return ""

    def write(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(data)
        if transport.get_write_buffer_size() > self._owner.limits.unsent_bytes:
            log.info("%s closed: it does not read", self.hop)
            transport.abort()

    def keep_alive(self) -> None:
        self.write(b"\r\n\r\n")

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


@functools.lru_cache(maxsize=4096)
def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


_CREDENTIALS: Final = re.compile(
    rb"^((?:proxy-)?authorization)[ \t]*:(?:[^\r\n]|\r\n[ \t])*", re.IGNORECASE | re.MULTILINE
)
_SECRET: Final = re.compile(
    rb'\b(response|nonce|cnonce|opaque)([ \t]*=[ \t]*)(?:"(?:[^"\\]|\\.)*"?|[^,\s"]+)', re.IGNORECASE
)
_MEDIA_KEY: Final = re.compile(rb"\binline:[A-Za-z0-9+/=]+")


def mask_credentials(data: bytes) -> bytes:
    """A message as it may be shown: what proves an identity, and keys of media (RFC 4568), replaced by `***`."""
    lowered = data.lower()
    if b"authorization" in lowered:
        data = _CREDENTIALS.sub(_masked, data)
    if b"inline:" in lowered:
        data = _MEDIA_KEY.sub(b"inline:***", data)
    return data


def _masked(match: re.Match[bytes]) -> bytes:
    line = match.group()
    name, _, value = line.partition(b":")
    if value.strip()[:7].lower() != b"digest ":
        # Other schemes carry the secret itself.
        return name + b": ***"
    return name + b":" + _SECRET.sub(rb"\1\2***", value)
