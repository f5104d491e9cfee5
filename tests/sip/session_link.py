"""A network in memory with a virtual clock, user agents on it, and a peer that says what a script tells it."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import count
from typing import TypeVar

from gateway.sip.agent import UserAgent, UserAgentConfig
from gateway.sip.events import Event
from gateway.sip.header import NameAddr
from gateway.sip.hop import Hop
from gateway.sip.message import Request, Response, parse_message
from gateway.sip.session import Session
from gateway.sip.session_timer import SessionTimerSettings
from gateway.sip.uri import SipUri

Message = Request | Response
E = TypeVar("E")

OFFER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
ANSWER = OFFER.replace(b"4000", b"5000")
HELD = OFFER + b"a=sendonly\r\n"
NO_TIMER = SessionTimerSettings(enabled=False)


@dataclass(frozen=True)
class Packet:
    data: bytes
    source: tuple[str, int]
    target: tuple[str, int]
    transport: str = "udp"

    @property
    def message(self) -> Message:
        return parse_message(self.data)


class Network:
    """Delivers packets after ``delay`` seconds, unless ``fate`` says otherwise: a list of delays, one a copy."""

    def __init__(self, delay: float = 0.01) -> None:
        self.now = 1000.0
        self.delay = delay
        self.nodes: dict[tuple[str, int], Node] = {}
        self.log: list[Packet] = []
        self.keep_log = True
        self.fate: Callable[[Packet], list[float]] | None = None
        self._queue: list[tuple[float, int, Packet]] = []
        self._serial = count()

    def clock(self) -> float:
        return self.now

    def send(self, packet: Packet) -> None:
        if self.keep_log:
            self.log.append(packet)
        for delay in self.fate(packet) if self.fate is not None else [self.delay]:
            heapq.heappush(self._queue, (self.now + delay, next(self._serial), packet))

    def run(self, seconds: float = 0.2) -> None:
        """Let the time go by, and everything happen that happens in it."""
        end = self.now + seconds
        for node in list(self.nodes.values()):
            node.flush()
        while True:
            moments = [node.next_timer() for node in self.nodes.values()]
            if self._queue:
                moments.append(self._queue[0][0])
            moment = min((m for m in moments if m is not None), default=None)
            if moment is None or moment > end:
                break
            self.now = max(self.now, moment)
            while self._queue and self._queue[0][0] <= self.now:
                packet = heapq.heappop(self._queue)[2]
                if packet.target in self.nodes:
                    self.nodes[packet.target].take(packet)
            for node in list(self.nodes.values()):
                node.tick()
                node.flush()
        self.now = end

    def sent(self, what: str | int, source: Node | None = None) -> list[Message]:
        """Messages on the wire: requests of that method, or responses of that status."""
        found: list[Message] = []
        for packet in self.log:
            if source is not None and packet.source != source.place:
                continue
            message = packet.message
            if (message.method if isinstance(message, Request) else message.status) == what:
                found.append(message)
        return found


class Node:
    """Whoever sits at one address of the network."""

    def __init__(self, network: Network, host: str, port: int = 5060) -> None:
        self.network = network
        self.place = (host, port)
        network.nodes[self.place] = self

    def hop_to(self, other: Node, transport: str = "udp") -> Hop:
        return Hop(transport, *other.place, None, self.place)

    def next_timer(self) -> float | None:
        return None

    def tick(self) -> None:
        pass

    def flush(self) -> None:
        pass

    def take(self, packet: Packet) -> None:
        raise NotImplementedError


class Phone(Node):
    """A user agent on the network, and the events it told."""

    def __init__(self, network: Network, host: str, *, config: UserAgentConfig | None = None, seed: int = 1) -> None:
        super().__init__(network, host)
        uri = SipUri.build("gw", host, 5060)
        config = replace(config or plain_config(), contact=lambda hop: uri)
        rng = random.Random(f"{host} {seed}")
        self.agent = UserAgent(
            config, clock=network.clock, token=lambda: f"{rng.getrandbits(64):016x}", random=rng.random
        )
        self.events: list[Event] = []
        self.on_event: Callable[[Event], None] | None = None

    def next_timer(self) -> float | None:
        return self.agent.next_timer()

    def tick(self) -> None:
        when = self.agent.next_timer()
        if when is not None and when <= self.network.now:
            self.agent.handle_timer(self.network.now)

    def take(self, packet: Packet) -> None:
        hop = Hop(packet.transport, *packet.source, None, self.place)
        self.agent.receive(packet.data, hop, self.network.now)
        self.flush()

    def flush(self) -> None:
        while (event := self.agent.next_event()) is not None:
            self.events.append(event)
            if self.on_event is not None:
                self.on_event(event)
        for data, hop in self.agent.messages_to_send():
            self.network.send(Packet(data, self.place, (hop.host, hop.port), hop.transport))

    def told(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def last(self, kind: type[E]) -> E:
        found = self.told(kind)
        assert found, f"no {kind.__name__} among {self.events}"
        return found[-1]

    def calls(self, other: Node, user: str = "1000", **more: object) -> Session:
        arguments: dict[str, object] = {"sdp": OFFER, "from_": NameAddr.parse('"Ann" <sip:ann@example.org>'), **more}
        return self.agent.invite(
            SipUri.build(user, other.place[0], other.place[1]),
            self.hop_to(other),
            **arguments,  # type: ignore[arg-type]
        )


class Script(Node):
    """A peer without a mind: it notes what comes and says what the test makes it say."""

    def __init__(self, network: Network, host: str, port: int = 5060) -> None:
        super().__init__(network, host, port)
        self.received: list[Message] = []
        self.branches = count(1)

    def take(self, packet: Packet) -> None:
        self.received.append(packet.message)

    def requests(self, method: str) -> list[Request]:
        return [m for m in self.received if isinstance(m, Request) and m.method == method]

    def responses(self, status: int, method: str | None = None) -> list[Response]:
        return [
            m
            for m in self.received
            if isinstance(m, Response) and m.status == status and method in (None, m.cseq.method)
        ]

    def says(self, data: bytes | Message, to: Node) -> None:
        raw = data if isinstance(data, bytes) else data.encode()
        self.network.send(Packet(raw, self.place, to.place))

    def request(
        self,
        method: str,
        to: Node,
        *,
        cseq: int = 1,
        call_id: str = "script-1",
        to_tag: str | None = None,
        from_tag: str = "peer",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str = "application/sdp",
        branch: str | None = None,
        contact: str | None = None,
        uri: str | None = None,
        cseq_method: str | None = None,
    ) -> Request:
        """A request of this peer; not sent yet."""
        host, port = self.place
        branch = branch or f"z9hG4bK-script-{next(self.branches)}"
        tag = f";tag={to_tag}" if to_tag else ""
        items = [
            ("Via", f"SIP/2.0/UDP {host}:{port};rport;branch={branch}"),
            ("Max-Forwards", "70"),
            ("From", f'"Bob" <sip:bob@{host}>;tag={from_tag}'),
            ("To", f"<sip:1000@{to.place[0]}>{tag}"),
            ("Call-ID", call_id),
            ("CSeq", f"{cseq} {cseq_method or method}"),
            ("Contact", contact or f"<sip:bob@{host}:{port}>"),
            *headers,
        ]
        if body:
            items.append(("Content-Type", content_type))
        return Request(method, SipUri.parse(uri or f"sip:1000@{to.place[0]}"), items, body)

    def calls(self, to: Node, **more: object) -> Request:
        """Send an INVITE."""
        arguments: dict[str, object] = {"body": OFFER, **more}
        invite = self.request("INVITE", to, **arguments)  # type: ignore[arg-type]
        self.says(invite, to)
        return invite

    def responds(
        self,
        request: Request,
        status: int,
        to: Node,
        *,
        tag: str | None = "script",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        contact: bool = True,
    ) -> Response:
        """Send a response."""
        host, port = self.place
        items = [*headers]
        if contact and status < 300 and "contact" not in {name.lower() for name, _ in items}:
            items.append(("Contact", f"<sip:bob@{host}:{port}>"))
        response = request.respond(
            status, to_tag=tag, headers=items, body=body, content_type="application/sdp" if body else None
        )
        self.says(response, to)
        return response

    def ack(self, response: Response, to: Node, *, body: bytes = b"", **more: object) -> None:
        """Send the ACK of a 2xx."""
        ack = self.request(
            "ACK",
            to,
            cseq=response.cseq.number,
            call_id=response.call_id,
            to_tag=response.to.tag,
            from_tag=response.from_.tag or "",
            body=body,
            **more,  # type: ignore[arg-type]
        )
        self.says(ack, to)


def plain_config(**more: object) -> UserAgentConfig:
    contact = SipUri.parse("sip:gw@192.0.2.1")
    arguments: dict[str, object] = {"contact": lambda hop: contact, "session_timer": NO_TIMER, **more}
    return UserAgentConfig(**arguments)  # type: ignore[arg-type]


def answering(phone: Phone, *, ring: bool = True) -> None:
    """Let a phone answer every call and every offer."""
    from gateway.sip.events import IncomingCall, SessionOffer

    def answer(event: Event) -> None:
        match event:
            case IncomingCall():
                if ring:
                    event.session.ring()
                event.session.answer(ANSWER)
            case SessionOffer():
                event.session.answer_offer(ANSWER)
            case _:
                pass

    phone.on_event = answer
