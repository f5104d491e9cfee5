"""The telephones of a gateway: SIP seats and trunks, the calls they make and those that are placed to them.

The pump is the gateway's: it asks for events until there are none, and then for what is to be sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Literal

from gateway.bridge import BridgedCall
from gateway.call import CODECS, Arrival, Codec, GatewayConfig, LegFailed, ListenAddress, Refusal, Target
from gateway.certificates import client_context
from gateway.config import SrtpPolicy
from gateway.doorkeeper import Doorkeeper
from gateway.host import RETRY_AFTER, CallHost, Headers
from gateway.identity import is_withheld, name_of, number_of
from gateway.media.engine import MediaLeg
from gateway.negotiation import Negotiation, speaks_dtls
from gateway.party import Party
from gateway.peers import Peers
from gateway.routing import Trunks, Ways, address_of_seat, ways_to_seat
from gateway.rtc.peer import PeerEvent, PeerLost
from gateway.signalling import SignallingLog
from gateway.sip.agent import UserAgent
from gateway.sip.events import (
    Event,
    IncomingCall,
    RegistrationChanged,
    SessionEnded,
    SessionFailed,
    TrunkRegistered,
    TrunkRegistrationFailed,
)
from gateway.sip.header import NameAddr
from gateway.sip.hop import Hop
from gateway.sip.message import Request
from gateway.sip.registration import TrunkRegistration
from gateway.sip.session import Session
from gateway.sip.settings import Challenge, Refuse, UserAgentConfig
from gateway.sip.token import new_token
from gateway.sip.transport import ClientTls, SipTransports
from gateway.sip.uri import SipUri, with_headers
from gateway.sip.websocket import SipWebSockets
from gateway.sipparty import SipCallee, SipCaller
from gateway.view import SeatView, TrunkView

__all__ = ["Telephones", "TraceMessage"]

log = logging.getLogger(__name__)

TraceMessage = Callable[[Literal["in", "out"], bytes, str], None]
"""Sees every SIP message, credentials masked, and the neighbour it came from or goes to."""

# Seconds between looking up trunks' host names: carriers move their addresses by DNS.
_LOOK_UP_EVERY = 300.0

# Seconds: a browser that hangs up ends its media at once, and its BYE may come after that.
_BYE_MAY_FOLLOW = 2.0

# Seconds of silence after which a browser whose connection is gone is gone as well. One that is there is heard: by its
# sound, or on hold by its checks of consent, every 5 s give or take a fifth (RFC 7675 section 5.1).
_DESERTED_AFTER = 8.0
_LISTEN_EVERY = 1.0


class Telephones:
    """Owns the SIP user agent, its sockets, and the signalling of every SIP party."""

    def __init__(
        self,
        config: GatewayConfig,
        host: CallHost,
        door: Doorkeeper,
        peers: Peers,
        *,
        trace: TraceMessage | None = None,
    ) -> None:
        self._config = config
        self._host = host
        self._door = door
        self._peers = peers
        self._trace = trace
        self._trunks = Trunks(config.trunks)
        self._parties: dict[Session, SipCaller | SipCallee] = {}
        self._by_leg: dict[int, SipCaller | SipCallee] = {}
        """Those that speak as browsers do, by the leg that they do it over."""
        self._ending: dict[int, asyncio.TimerHandle] = {}
        """By leg: who has ended his media, and not said good-bye yet."""
        self._listening: dict[int, asyncio.TimerHandle] = {}
        """By leg: whose connection is gone, and who may be gone with it."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._lookup: asyncio.Task[None] | None = None
        self._leaving: list[TrunkRegistration] | None = None
        """What is being taken back, once we stop."""
        self._said_goodbye = asyncio.Event()
        self._signalling = SignallingLog(host.signalled)
        self._telling: asyncio.TimerHandle | None = None

    # Life ---------------------------------------------------------------------------------------------

    async def start(self, tls: ssl.SSLContext | None) -> None:
        """Open every socket; ``tls`` is needed to listen for TLS.

        Raises OSError with the address that could not be had, CertificateError for authorities that are none.
        """
        self._loop = asyncio.get_running_loop()
        self._transports = SipTransports(
            [(a.transport, a.host, a.port) for a in self._config.listen],
            received=self._received,
            hop_lost=self._hop_lost,
            trace=self._show if self._trace else None,
            advertised=self._config.media_advertise,
            server_tls=tls,
            client_tls=self._client_tls(),
        )
        self._agent = UserAgent(
            UserAgentConfig(
                contact=self._contact,
                realm=self._config.domain or "ivr",
                name=self._config.user_agent,
                accounts={account: seat.password for account, seat in self._config.seats.items()},
                screen=self._screen,
                max_sessions=8 * self._config.max_calls,
                retry_after=RETRY_AFTER,
            ),
            clock=self._loop.time,
            sent_by=self._transports.sent_by,
        )
        await self._transports.start()
        await self._trunks.look_up()
        if self._trunks:
            self._lookup = self._loop.create_task(self._keep_looking_up())
        self._register_at_trunks()

    @property
    def addresses(self) -> tuple[ListenAddress, ...]:
        """Where it listens, with the ports it got."""
        return tuple(ListenAddress(t, h, p) for t, h, p in self._transports.addresses)  # type: ignore[arg-type]

    def websockets(self, allows: Callable[[str | None, str | None], bool]) -> SipWebSockets:
        """Telephones that are browsers, for whoever listens for them: see :class:`SipWebSockets`."""
        return SipWebSockets(self._transports, allows=allows)

    def _client_tls(self) -> ClientTls:
        believed = {(t.host, t.port) for t in self._config.trunks.values() if t.transport == "tls" and not t.verify}
        proven = client_context(ca=self._config.tls.ca if self._config.tls is not None else None)
        unproven = client_context(verify=False)
        return lambda host, port: unproven if (host, port) in believed else proven

    @property
    def registered_seats(self) -> frozenset[str]:
        return frozenset(a for a in self._config.seats if self._agent.registrar.bindings(a))

    def sizes(self) -> dict[str, int]:
        """How much is remembered."""
        return {
            "parties": len(self._parties),
            "sources": len(self._door),
            "ending": len(self._ending),
            "listening": len(self._listening),
            "signalled": len(self._signalling),
            **self._agent.sizes(),
        }

    def seats(self) -> tuple[SeatView, ...]:
        """Every seat of the site, with the telephones that are registered."""
        registrar = self._agent.registrar
        return tuple(
            SeatView(
                name,
                seat.display_name,
                tuple(
                    f"{one.user_agent or 'a telephone'} at {one.hop.host}:{one.hop.port}"
                    for one in registrar.bindings(name)
                ),
            )
            for name, seat in self._config.seats.items()
        )

    def trunks(self) -> tuple[TrunkView, ...]:
        return tuple(self._trunk(name, trunk.register) for name, trunk in self._config.trunks.items())

    def _trunk(self, name: str, registers: bool) -> TrunkView:
        if not registers:
            return TrunkView(name, "none", None)
        registration = self._agent.registrations.get(name)
        if registration is None:
            return TrunkView(name, "waiting", None)
        state: Literal["registered", "failed", "waiting"] = "failed" if registration.failed else "waiting"
        return TrunkView(name, "registered" if registration.registered else state, registration.status)

    def drain(self) -> None:
        """Take no more calls: 503 with Retry-After."""
        self._agent.draining = True

    def leave(self) -> None:
        """Take back what was registered at trunks. :meth:`flush` sends it."""
        self._agent.draining = True
        self._leaving = list(self._agent.registrations.values())
        for name in list(self._agent.registrations):
            self._agent.unregister_trunk(name)

    async def say_goodbye(self, patience: float) -> None:
        """Wait until all have said good-bye, or ``patience`` seconds are over."""
        # A BYE may get lost, and a trunk wants a password before it lets go.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._said_goodbye.wait()

    async def close(self) -> None:
        """Close every socket."""
        if self._lookup is not None:
            self._lookup.cancel()
        for timers in (self._ending, self._listening):
            for timer in timers.values():
                timer.cancel()
            timers.clear()
        if self._telling is not None:
            self._telling.cancel()
        self._signalling.close()
        if self._timer is not None:
            self._timer.cancel()
        await self._transports.close()

    # Signalling ---------------------------------------------------------------------------------------

    def take_next(self) -> bool:
        """Hand on the next event; False if there is none."""
        said = self._agent.next_event()
        if said is None:
            return False
        self._take(said)
        return True

    def flush(self) -> None:
        """Send what is to be sent, and set the clock."""
        sent_at = round(time.time() * 1000)
        for data, hop in self._agent.messages_to_send():
            self._signalling.note("out", data, str(hop), sent_at)
            if data[:8] == b"SIP/2.0 " and data[8:9] in b"456" and not self._is_known(hop):
                self._door.refused(hop.host, int(data[8:11]), self._loop.time())
            self._transports.send(data, hop)
        if self._leaving is not None and not (
            self._agent.sizes()["sessions"] or any(each.waiting for each in self._leaving)
        ):
            self._said_goodbye.set()
        due = self._agent.next_timer()
        # One that is early does no harm, and most deadlines are put off or dropped before they come.
        if due is not None and due < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._timer_at = self._loop.call_at(due, self._timer_due), due

    def _received(self, data: bytes, hop: Hop) -> None:
        now = self._loop.time()
        if not self._is_known(hop) and not self._door.reads(hop.host, data, now):
            return
        self._signalling.note("in", data, str(hop), round(time.time() * 1000))
        self._agent.receive(data, hop, now)
        self._host.pump()

    def _show(self, direction: Literal["in", "out"], data: bytes, hop: Hop) -> None:
        if self._trace is not None:
            self._trace(direction, data, str(hop))

    def _hop_lost(self, hop: Hop) -> None:
        now = self._loop.time()
        self._agent.hop_lost(hop, now)
        for session, party in self._parties.items():
            if party.answered and party.media.ice and _is_lost(session) and party.media.id not in self._listening:
                self._listen(session, party, heard=-1, since=now)
        self._host.pump()

    def _timer_due(self) -> None:
        self._timer, self._timer_at = None, math.inf
        self._agent.handle_timer(self._loop.time())
        self._host.pump()

    def _is_known(self, hop: Hop) -> bool:
        return hop.host in self._trunks.hosts or self._agent.registrar.account_at(hop) is not None

    def _take(self, event: Event) -> None:
        try:
            self._signalled(event)
        except Exception:
            # As above: whatever a far end has found that we did not think of costs its own call.
            log.exception("%s could not be taken", type(event).__name__)
            if isinstance(event, IncomingCall):
                event.session.reject(500)
            elif (session := getattr(event, "session", None)) is not None:
                session.bye()
                if (party := self._parties.get(session)) is not None:
                    party.owner.hangup("error")

    def _signalled(self, event: Event) -> None:
        match event:
            case IncomingCall():
                self._arrived(event)
            case RegistrationChanged(account, bindings):
                log.info("seat %s: %s", account, ", ".join(str(b.contact) for b in bindings) or "not registered")
            case TrunkRegistered(trunk, expires):
                log.info("trunk %s: registered for %.0f s", trunk, expires)
            case TrunkRegistrationFailed(trunk, status, reason, retry_after):
                again = "no further attempt" if retry_after is None else f"next attempt in {retry_after:.0f} s"
                log.warning("trunk %s: not registered (%s %s), %s", trunk, status or "no answer", reason, again)
            case _:
                party = self._parties.get(event.session)
                if isinstance(event, SessionFailed | SessionEnded):
                    self._parties.pop(event.session, None)
                if party is not None:
                    party.session_event(event.session, event)

    # Calls that come in -------------------------------------------------------------------------------

    def _screen(self, request: Request, hop: Hop) -> Refuse | Challenge | None:
        did = number_of(request.uri)
        trunk = self._trunks.at(hop, did)
        verdict = self._host.admits(Arrival(did, number_of(request.from_.uri), trunk, trunk is not None))
        if isinstance(verdict, Refusal):
            headers = () if verdict.retry_after is None else (("Retry-After", str(verdict.retry_after)),)
            log.info("call to %s from %s refused: %s %s", did, hop, verdict.status, verdict.text)
            return Refuse(verdict.status, headers=headers)
        if verdict == "authenticate" and not request.headers.get("authorization"):
            return Challenge()
        if not self._host.has_room():
            log.info("call to %s from %s refused: there are too many", did, hop)
            return Refuse(503, headers=(("Retry-After", str(RETRY_AFTER)),))
        return None if verdict is None else Challenge()

    def _arrived(self, event: IncomingCall) -> None:
        session = event.session
        trunk = self._trunks.at(event.hop, number_of(event.request_uri))
        account = event.account or trunk or self._seat_at(event.from_uri.user_text, event.hop)
        seat = self._config.seats.get(account) if account and account != trunk else None
        # A carrier that takes no order from just anybody asks for a password when it is to call somebody (REFER).
        session.digest = self._trunks.credentials_at(trunk)
        codecs = seat.codecs if seat else self._config.trunks[trunk].codecs if trunk else CODECS
        srtp: SrtpPolicy = seat.srtp if seat else self._config.trunks[trunk].srtp if trunk else "prefer"
        dtls = event.hop.only_connection if event.sdp is None else speaks_dtls(event.sdp)
        if not dtls and srtp == "require" and not self._keys_are_safe(event.hop):
            log.info(
                "call to %s from %s refused: SRTP is required, and keys only come by TLS", event.request_uri, event.hop
            )
            session.reject(488, headers=(("Warning", _warning("399 SRTP is required, by TLS")),))
            return
        media = self._host.open_leg(event.request_uri, ice=dtls)
        if media is None:
            session.reject(503, headers=(("Retry-After", str(RETRY_AFTER)),))
            return
        withheld = is_withheld(event.from_uri)
        call = self._host.new_call(
            did=number_of(event.request_uri),
            caller="" if withheld else number_of(event.from_uri),
            caller_name="" if withheld else name_of(event.from_name),
            account=account,
            find_address=lambda target, headers: self._address(target, trunk, event.hop, headers),
        )
        party = SipCaller(
            session,
            call,
            self._negotiation(media, event.hop, codecs, srtp, dtls=dtls),
            kind="pstn" if trunk else "sip",
            account=account,
            remote=str(event.from_uri),
            when_heard=(lambda do: self._peers.when_heard(media.id, do)) if dtls else None,
        )
        if dtls:
            self._by_leg[media.id] = party
        refused = party.prepare(event.sdp)
        if refused is not None:
            log.info("call to %s from %s refused: %s", event.request_uri, event.hop, refused.warning)
            session.reject(refused.status, headers=(("Warning", _warning(refused.warning)),))
            media.close()
            self.forget(party)
            return
        self._parties[session] = party
        self._signalling.claim(party, call.call_id, party.leg_id, session.call_id)
        self._host.take(call, party)

    def _seat_at(self, account: str | None, hop: Hop) -> str | None:
        """The seat that calls, if the call comes from where that seat is registered."""
        if account is None or account not in self._config.seats:
            return None
        known = any((b.hop.host, b.hop.port) == (hop.host, hop.port) for b in self._agent.registrar.bindings(account))
        return account if known else None

    # Calls that go out --------------------------------------------------------------------------------

    def dial(
        self, call: BridgedCall, leg_id: str, target: Target, caller_id: str | None, headers: Headers
    ) -> Party | LegFailed:
        """Ring a seat, or a number through a trunk."""
        try:
            ways = self._ways(target)
        except ValueError as error:
            return LegFailed(leg_id, "failed", None, f"{target} cannot be dialled: {error}")
        if isinstance(ways, LegFailed):
            return LegFailed(leg_id, ways.outcome, ways.status, ways.text)
        alike = self._alike(ways)
        if not alike:
            text = f"{target} must be called with SRTP, and is not reached by TLS"
            return LegFailed(leg_id, "failed", 488, text)
        spoken = [codec for codec in ways.codecs if codec == call.codec]
        codecs = [*spoken, *(codec for codec in ways.codecs if codec not in spoken)]
        negotiations: dict[Negotiation, list[tuple[SipUri, Hop]]] = {}
        for kind, hops in alike.items():
            media = self._host.open_leg(target, ice=kind == "dtls")
            if media is None:
                for negotiation in negotiations:
                    negotiation.close()
                    self._peers.close(negotiation.media.id)
                return LegFailed(leg_id, "failed", None, "no media port is left")
            negotiation = self._negotiation(media, hops[0][1], codecs, ways.srtp, dtls=kind == "dtls")
            negotiations[negotiation] = hops
        party = SipCallee(
            call,
            list(negotiations),
            leg_id=leg_id,
            kind="pstn" if target.scheme == "tel" else "sip",
            account=ways.account,
            remote=str(ways.hops[0][0]),
        )
        number = caller_id or ways.caller_id or call.caller

        ways_of: dict[Session, tuple[SipUri, Hop]] = {}

        def call_one(uri: SipUri, hop: Hop, sdp: bytes) -> Session:
            session = self._agent.invite(
                uri,
                hop,
                from_=self._identity(number, call.caller_name, hop),
                to=NameAddr.build(ways.address_of_record or uri),
                sdp=sdp,
                credentials=ways.credentials,
                headers=headers,
            )
            self._parties[session] = party
            self._signalling.claim(party, call.call_id, leg_id, session.call_id)
            ways_of[session] = uri, hop
            return session

        def invite(negotiation: Negotiation, sdp: bytes) -> Iterator[Session]:
            for uri, hop in negotiations[negotiation]:
                yield call_one(uri, hop, sdp)

        self._by_leg.update((leg.id, party) for leg in party.legs)
        self._host.add(call, party)
        try:
            party.start(invite, lambda session, sdp: call_one(*ways_of[session], sdp))
        except ValueError as error:
            # A number or an address that no INVITE can carry; telephones that it was sent to already stop ringing.
            party.end("cancelled")
            self._host.forget(party)
            return LegFailed(leg_id, "failed", None, f"{target} cannot be dialled: {error}")
        return party

    def _alike(self, ways: Ways) -> dict[str, list[tuple[SipUri, Hop]]]:
        """Telephones by what they can be offered: media as browsers speak it, and keys or none."""
        found: dict[str, list[tuple[SipUri, Hop]]] = {}
        for uri, hop in ways.hops:
            if hop.only_connection:
                found.setdefault("dtls", []).append((uri, hop))
            elif self._keys_are_safe(hop):
                found.setdefault("keys", []).append((uri, hop))
            elif ways.srtp != "require":
                found.setdefault("plain", []).append((uri, hop))
        return found

    def forget(self, party: Party) -> None:
        """A party's media legs are closed."""
        if isinstance(party, SipCaller | SipCallee):
            for leg in party.legs:
                self._by_leg.pop(leg.id, None)
                self._peers.close(leg.id)
                for timers in (self._ending, self._listening):
                    if (timer := timers.pop(leg.id, None)) is not None:
                        timer.cancel()
            self._tell_at(self._signalling.over(party, self._loop.time()))

    def _tell_at(self, due: float | None) -> None:
        if due is not None:
            self._telling = self._loop.call_at(due, self._tell_signalling)

    def _tell_signalling(self) -> None:
        self._telling = None
        self._tell_at(self._signalling.tell(self._loop.time()))

    def _ways(self, target: Target) -> Ways | LegFailed:
        if target.scheme == "tel":
            return self._trunks.ways_to(target.name, target.trunk)
        seat = self._config.seats.get(target.name) if target.scheme == "sip" else None
        if seat is None:
            return LegFailed("", "failed", 404, f"there is no {target}")
        return ways_to_seat(seat, self._agent.registrar.bindings(seat.account), self._config.domain)

    def _address(self, target: Target, trunk: str | None, hop: Hop, headers: Headers) -> str | LegFailed:
        """What a caller's own telephone, or the trunk he came through, has to call to reach the target without us."""
        uri: SipUri | LegFailed | None
        seat = self._config.seats.get(target.name) if target.scheme == "sip" else None
        try:
            if target.scheme == "tel":
                # A carrier finds the number itself; a telephone of ours asks us, as it does when it dials.
                uri = self._trunks.address_at(trunk, target.name)
                if uri is None:
                    contact = self._contact(hop)
                    port = None if self._config.domain else contact.port
                    uri = SipUri.build(target.name, self._config.domain or contact.host, port)
            elif seat is None:
                uri = LegFailed("", "failed", 404, f"there is no {target}")
            else:
                uri = address_of_seat(seat, self._agent.registrar.bindings(seat.account))
            return uri if isinstance(uri, LegFailed) else with_headers(uri, headers)
        except ValueError as error:
            return LegFailed("", "failed", None, f"{target} cannot be called: {error}")

    def _identity(self, number: str, name: str, hop: Hop) -> NameAddr:
        contact = self._contact(hop)
        return NameAddr.build(SipUri.build(number or "anonymous", self._config.domain or contact.host), name)

    # Addresses ----------------------------------------------------------------------------------------

    def _contact(self, hop: Hop) -> SipUri:
        """Where that neighbour reaches us."""
        host, port = self._transports.sent_by(hop)
        return _own_address(hop.transport, host, port)

    # Media --------------------------------------------------------------------------------------------

    def _keys_are_safe(self, hop: Hop) -> bool:
        """Whether keys of media may be told there (RFC 4568 section 7)."""
        return hop.secure or self._config.srtp_without_tls

    def _negotiation(
        self, media: MediaLeg, hop: Hop, codecs: Sequence[Codec], srtp: SrtpPolicy, *, dtls: bool
    ) -> Negotiation:
        address = self._config.media_advertise or self._config.media_address
        if dtls:
            address = self._peers.addresses[0]
        elif address in ("0.0.0.0", "::"):
            address = self._transports.sent_by(hop)[0]
        return Negotiation(
            media,
            address=address,
            codecs=codecs,
            session_id=int(new_token()[:8], 16),
            transport=self._peers.open(media, lambda event: self._peer_event(media, event)) if dtls else None,
            # Browsers put Opus first; what the far side of the call speaks costs nobody anything.
            their_choice=not dtls,
            srtp=srtp,
            keys_are_safe=self._keys_are_safe(hop),
        )

    def _peer_event(self, leg: MediaLeg, event: PeerEvent) -> None:
        party = self._by_leg.get(leg.id)
        if party is None:
            return
        if isinstance(event, PeerLost) and event.reason == "closed":
            if leg.id not in self._ending:
                self._ending[leg.id] = self._loop.call_later(_BYE_MAY_FOLLOW, self._peer_over, leg, event)
            return
        self._peer_over(leg, event)

    def _peer_over(self, leg: MediaLeg, event: PeerEvent) -> None:
        self._ending.pop(leg.id, None)
        party = self._by_leg.get(leg.id)
        if party is not None:
            party.peer_event(leg, event)
            self._host.pump()

    def _listen(self, session: Session, party: SipCaller | SipCallee, heard: int, since: float) -> None:
        """Until a page is back with another connection: it may merely have lost that one, and its sound goes on. A tab
        that was closed is not heard either. ``heard``: so much until ``since``."""
        leg, now = party.media, self._loop.time()
        self._listening.pop(leg.id, None)
        if party.over or not _is_lost(session):
            return
        by_now = leg.statistics().packets_received + self._peers.checks_of(leg.id)
        if by_now != heard:
            since = now
        elif now - since >= _DESERTED_AFTER:
            self._peer_over(leg, PeerLost("consent_lost"))
            return
        self._listening[leg.id] = self._loop.call_later(_LISTEN_EVERY, self._listen, session, party, by_now, since)

    async def _keep_looking_up(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_UP_EVERY)
            await self._trunks.look_up()
            self._register_at_trunks()
            self._host.pump()

    def _register_at_trunks(self) -> None:
        for settings in self._trunks.registrations():
            if settings.name not in self._agent.registrations:
                self._agent.register_trunk(settings)


@lru_cache(maxsize=1024)
def _own_address(transport: str, host: str, port: int) -> SipUri:
    # A WebSocket is ws whether it is secure or not (RFC 7118 section 5.3).
    name = {"wss": "ws"}.get(transport, transport)
    return SipUri.build("ivr", host, port, {} if transport == "udp" else {"transport": name})


def _is_lost(session: Session) -> bool:
    """Whether nothing leads to the far end, until it connects again."""
    return session.dialog is not None and session.dialog.is_lost


def _warning(text: str) -> str:
    code, _, words = text.partition(" ")
    quoted = words.replace("\\", "").replace('"', "'")
    return f'{code} ivr "{quoted}"'
