"""The gateway: sockets, clock and media engine around the protocol cores. The only file of the gateway with a loop.

One asyncio loop carries the signalling of every call. Whatever arrives is handed to the user agent, what the user
agent says is handed to the party it concerns, what the parties tell is handed to the owner of the call, and what is
to be sent is sent: :meth:`Gateway._pump` does that until nothing is left to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Literal

from gateway.bridge import BridgedCall
from gateway.call import (
    CODECS,
    Arrival,
    CallEnded,
    CallEvent,
    Codec,
    GatewayConfig,
    LegFailed,
    ListenAddress,
    Reception,
    Refusal,
    Target,
)
from gateway.descriptors import make_room
from gateway.doorkeeper import Doorkeeper
from gateway.identity import is_withheld, name_of, number_of
from gateway.media.engine import (
    KeyReceived,
    MediaEngine,
    MediaLeg,
    MediaLost,
    MediaStarted,
    NoPortsLeft,
    PlayEnded,
)
from gateway.media.tone import ringback
from gateway.negotiation import Negotiation
from gateway.party import Party
from gateway.routing import Trunks, Ways, address_of_seat, ways_to_seat
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
from gateway.sip.transport import SipTransports
from gateway.sip.uri import SipUri, with_headers
from gateway.sipparty import SipCallee, SipCaller

log = logging.getLogger(__name__)

TraceMessage = Callable[[Literal["in", "out"], bytes, str], None]
"""Sees every SIP message, credentials masked, and the neighbour it came from or goes to."""

# Seconds told to callers who are turned away.
_RETRY_AFTER = 10
# Seconds between looking up trunks' host names: carriers move their addresses by DNS.
_LOOK_UP_EVERY = 300.0
_NO_PORT_TOLD_EVERY = 5.0
# Sockets of a caller and of a seat; connections of telephones, the database, recordings.
_FILES_A_CALL = 4
_FILES_BESIDES = 512
# Seconds that telephones get at the end to hear that their calls are over, and to say so.
_FAREWELL = 2.0


def new_call_id() -> str:
    """A call's name in the records: 48 bits of time, so that names sort by arrival, and 64 bits nobody can guess."""
    return f"{int(time.time() * 1000):012x}{new_token()}"


class Gateway:
    """Answers and places calls on the addresses it was given. Owns every socket, the media engine and every call."""

    def __init__(
        self,
        config: GatewayConfig,
        reception: Reception,
        *,
        trace: TraceMessage | None = None,
    ) -> None:
        self._config = config
        self._reception = reception
        self._trace = trace
        self._engine = MediaEngine(
            address=config.media_address,
            ports=config.media_ports,
            rest_s=config.media_rest,
            least_rest_s=config.media_least_rest,
            media_timeout_s=config.media_timeout,
            realtime=config.realtime,
            max_legs=4 * config.max_calls + 16,
        )
        self._ringback_tone = ringback()
        self._hold_music = config.hold_music or self._ringback_tone
        self._trunks = Trunks(config.trunks)
        self._calls: set[BridgedCall] = set()
        self._parties: dict[Session, SipCaller | SipCallee] = {}
        self._by_media: dict[int, tuple[BridgedCall, SipCaller | SipCallee]] = {}
        self._events: deque[tuple[BridgedCall, CallEvent]] = deque()
        self._door = Doorkeeper(max_calls=config.max_calls, calls_per_second=config.calls_per_second)
        self._without_port = 0
        self._without_port_told = -math.inf
        self._pumping = False
        self._pump_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._lookup: asyncio.Task[None] | None = None
        self._leaving: list[TrunkRegistration] | None = None
        """What is being taken back, once we stop."""
        self._said_goodbye = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    # Life ---------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open every socket and begin to take calls. Raises OSError with the address that could not be had."""
        self._loop = asyncio.get_running_loop()
        wanted = _FILES_A_CALL * self._config.max_calls + _FILES_BESIDES
        if (allowed := make_room(wanted)) < wanted:
            log.warning(
                "%d calls may need %d open files and %d are allowed: raise the limit (ulimit -Hn, LimitNOFILE=)",
                self._config.max_calls,
                wanted,
                allowed,
            )
        self._transports = SipTransports(
            [(a.transport, a.host, a.port) for a in self._config.listen],
            received=self._received,
            hop_lost=self._hop_lost,
            trace=self._show if self._trace else None,
            advertised=self._config.media_advertise,
        )
        self._agent = UserAgent(
            UserAgentConfig(
                contact=self._contact,
                realm=self._config.domain or "ivr",
                name=self._config.user_agent,
                accounts={account: seat.password for account, seat in self._config.seats.items()},
                screen=self._screen,
                max_sessions=8 * self._config.max_calls,
                retry_after=_RETRY_AFTER,
            ),
            clock=self._loop.time,
            sent_by=self._transports.sent_by,
        )
        await self._transports.start()
        self._engine.start()
        self._loop.add_reader(self._engine.event_fd, self._media_ready)
        await self._trunks.look_up()
        if self._trunks:
            self._lookup = self._loop.create_task(self._keep_looking_up())
        self._register_at_trunks()
        self._pump()

    @property
    def addresses(self) -> tuple[ListenAddress, ...]:
        """Where it listens, with the ports it got."""
        return tuple(ListenAddress(t, h, p) for t, h, p in self._transports.addresses)  # type: ignore[arg-type]

    @property
    def calls(self) -> int:
        return len(self._calls)

    def sizes(self) -> dict[str, int]:
        """How much is remembered: for statistics, and for tests that nothing is forgotten to be forgotten."""
        return {
            "calls": len(self._calls),
            "parties": len(self._parties),
            "media_legs": self._engine.statistics().legs,
            "sources": len(self._door),
            **self._agent.sizes(),
        }

    @property
    def registered_seats(self) -> frozenset[str]:
        return frozenset(a for a in self._config.seats if self._agent.registrar.bindings(a))

    def drain(self) -> None:
        """Take no more calls: 503 with Retry-After. Calls that run go on."""
        self._agent.draining = True

    async def wait_until_idle(self) -> None:
        await self._idle.wait()

    async def stop(self) -> None:
        """Hang up what still runs and close every socket."""
        self._agent.draining = True
        for call in list(self._calls):
            call.hangup("shutdown")
        self._leaving = list(self._agent.registrations.values())
        for name in list(self._agent.registrations):
            self._agent.unregister_trunk(name)
        self._pump()
        if self._lookup is not None:
            self._lookup.cancel()
        # A BYE may get lost, and a trunk wants a password before it lets go.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                await self._said_goodbye.wait()
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._engine.event_fd)
        await self._transports.close()
        self._engine.close()

    # Signalling ---------------------------------------------------------------------------------------

    def _received(self, data: bytes, hop: Hop) -> None:
        now = self._loop.time()
        if not self._is_known(hop) and not self._door.reads(hop.host, data, now):
            return
        self._agent.receive(data, hop, now)
        self._pump()

    def _show(self, direction: Literal["in", "out"], data: bytes, hop: Hop) -> None:
        if self._trace is not None:
            self._trace(direction, data, str(hop))

    def _hop_lost(self, hop: Hop) -> None:
        self._agent.hop_lost(hop, self._loop.time())
        self._pump()

    def _timer_due(self) -> None:
        self._timer, self._timer_at = None, math.inf
        self._agent.handle_timer(self._loop.time())
        self._pump()

    def _is_known(self, hop: Hop) -> bool:
        return hop.host in self._trunks.hosts or self._agent.registrar.account_at(hop) is not None

    def _post(self, call: BridgedCall, event: CallEvent) -> None:
        self._events.append((call, event))

    def _acted(self) -> None:
        """Somebody asked something of a call: outside of a pump (a flow's timer did it) one must follow."""
        if not self._pumping and not self._pump_due:
            self._pump_due = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Hand on events until there are none, then send what is to be sent and set the clock."""
        if self._pumping:
            return
        self._pumping = True
        self._pump_due = False
        try:
            while True:
                if self._events:
                    call, event = self._events.popleft()
                    self._deliver(call, event)
                elif (said := self._agent.next_event()) is not None:
                    self._take(said)
                else:
                    break
        finally:
            self._pumping = False
        self._flush()

    def _flush(self) -> None:
        for data, hop in self._agent.messages_to_send():
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

    def _deliver(self, call: BridgedCall, event: CallEvent) -> None:
        owner = call.owner
        if isinstance(event, CallEnded):
            # Nothing follows. They know each other: apart, both are freed at once.
            call.owner = None
            self._calls.discard(call)
            if not self._calls:
                self._idle.set()
        if owner is None:
            return
        try:
            owner.call_event(event)
        except Exception:
            # One call's mistake must not take the others with it.
            log.exception("call %s: its owner failed on %s", call.call_id, event)
            call.hangup("owner_failed")

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
                for call, party in list(self._by_media.values()):
                    if party is self._parties.get(session):
                        call.hangup("error")

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
        verdict = self._reception.screen(Arrival(did, number_of(request.from_.uri), trunk, trunk is not None))
        if isinstance(verdict, Refusal):
            headers = () if verdict.retry_after is None else (("Retry-After", str(verdict.retry_after)),)
            log.info("call to %s from %s refused: %s %s", did, hop, verdict.status, verdict.text)
            return Refuse(verdict.status, headers=headers)
        if verdict == "authenticate" and not request.headers.get("authorization"):
            return Challenge()
        if not self._door.takes(len(self._calls), self._loop.time()):
            log.info("call to %s from %s refused: there are too many", did, hop)
            return Refuse(503, headers=(("Retry-After", str(_RETRY_AFTER)),))
        return None if verdict is None else Challenge()

    def _arrived(self, event: IncomingCall) -> None:
        session = event.session
        trunk = self._trunks.at(event.hop, number_of(event.request_uri))
        account = event.account or trunk or self._seat_at(event.from_uri.user_text, event.hop)
        seat = self._config.seats.get(account) if account and account != trunk else None
        # A carrier that takes no order from just anybody asks for a password when it is to call somebody (REFER).
        session.digest = self._trunks.credentials_at(trunk)
        codecs = seat.codecs if seat else self._config.trunks[trunk].codecs if trunk else CODECS
        try:
            media = self._engine.open_leg()
        except (NoPortsLeft, OSError) as error:
            self._tell_no_port(event.request_uri, error)
            session.reject(503, headers=(("Retry-After", str(_RETRY_AFTER)),))
            return
        call = self._new_call(event, account, trunk)
        party = SipCaller(
            session,
            call,
            media,
            self._negotiation(media, event.hop, codecs),
            kind="pstn" if trunk else "sip",
            account=account,
            remote=str(event.from_uri),
        )
        refused = party.prepare(event.sdp)
        if refused is not None:
            log.info("call to %s from %s refused: %s", event.request_uri, event.hop, refused.warning)
            session.reject(refused.status, headers=(("Warning", _warning(refused.warning)),))
            media.close()
            return
        call.attach_caller(party)
        self._parties[session] = party
        self._by_media[media.id] = (call, party)
        self._calls.add(call)
        self._idle.clear()
        try:
            call.owner = self._reception.call_arrived(call)
        except Exception:
            log.exception("call %s: nobody could take it", call.call_id)
            call.reject(500)

    def _tell_no_port(self, uri: object, error: Exception) -> None:
        """Where one call finds no port, a flood of others may: it is told once in a while, with how many."""
        self._without_port += 1
        now = self._loop.time()
        if now - self._without_port_told < _NO_PORT_TOLD_EVERY:
            return
        others = self._without_port - 1
        besides = f", and {others} other{'s' * (others > 1)} since this was last said" if others else ""
        log.error("call to %s refused%s: no media port is left (%s)", uri, besides, error)
        self._without_port, self._without_port_told = 0, now

    def _new_call(self, event: IncomingCall, account: str | None, trunk: str | None) -> BridgedCall:
        withheld = is_withheld(event.from_uri)
        return BridgedCall(
            call_id=new_call_id(),
            did=number_of(event.request_uri),
            caller="" if withheld else number_of(event.from_uri),
            caller_name="" if withheld else name_of(event.from_name),
            caller_account=account,
            make_party=self._dial,
            find_address=lambda _, target, headers: self._address(target, trunk, event.hop, headers),
            post=self._post,
            acted=self._acted,
            forget=self._forget,
            ringback_tone=self._ringback_tone,
            hold_music=self._hold_music,
        )

    def _seat_at(self, account: str | None, hop: Hop) -> str | None:
        """The seat that calls, if the call comes from where that seat is registered."""
        if account is None or account not in self._config.seats:
            return None
        known = any((b.hop.host, b.hop.port) == (hop.host, hop.port) for b in self._agent.registrar.bindings(account))
        return account if known else None

    def _forget(self, party: Party) -> None:
        """A party's media leg is closed: nothing more comes from it."""
        self._by_media.pop(party.media.id, None)

    # Calls that go out --------------------------------------------------------------------------------

    def _dial(
        self,
        call: BridgedCall,
        leg_id: str,
        target: Target,
        caller_id: str | None,
        headers: Sequence[tuple[str, str]],
    ) -> Party | LegFailed:
        try:
            ways = self._ways(target)
        except ValueError as error:
            return LegFailed(leg_id, "failed", None, f"{target} cannot be dialled: {error}")
        if isinstance(ways, LegFailed):
            return LegFailed(leg_id, ways.outcome, ways.status, ways.text)
        try:
            media = self._engine.open_leg()
        except (NoPortsLeft, OSError) as error:
            return LegFailed(leg_id, "failed", None, f"no media port is left ({error})")
        codecs: list[Codec] = [codec for codec in CODECS if codec == call.codec]
        codecs += [codec for codec in ways.codecs if codec not in codecs]
        party = SipCallee(
            call,
            media,
            self._negotiation(media, ways.hops[0][1], [c for c in codecs if c in ways.codecs]),
            leg_id=leg_id,
            kind="pstn" if target.scheme == "tel" else "sip",
            account=ways.account,
            remote=str(ways.hops[0][0]),
        )
        number = caller_id or ways.caller_id or call.caller

        def invite(sdp: bytes) -> Iterator[Session]:
            for uri, hop in ways.hops:
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
                yield session

        self._by_media[media.id] = (call, party)
        try:
            party.start(invite)
        except ValueError as error:
            # A number or an address that no INVITE can carry; telephones that it was sent to already stop ringing.
            party.end("cancelled")
            self._forget(party)
            return LegFailed(leg_id, "failed", None, f"{target} cannot be dialled: {error}")
        return party

    def _ways(self, target: Target) -> Ways | LegFailed:
        if target.scheme == "tel":
            return self._trunks.ways_to(target.name)
        seat = self._config.seats.get(target.name) if target.scheme == "sip" else None
        if seat is None:
            return LegFailed("", "failed", 404, f"there is no {target}")
        return ways_to_seat(seat, self._agent.registrar.bindings(seat.account), self._config.domain)

    def _address(
        self, target: Target, trunk: str | None, hop: Hop, headers: Sequence[tuple[str, str]]
    ) -> str | LegFailed:
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

    def _negotiation(self, media: MediaLeg, hop: Hop, codecs: Sequence[Codec]) -> Negotiation:
        address = self._config.media_advertise or self._config.media_address
        if address in ("0.0.0.0", "::"):
            address = self._transports.sent_by(hop)[0]
        return Negotiation(media, address=address, codecs=codecs, session_id=int(new_token()[:8], 16))

    async def _keep_looking_up(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_UP_EVERY)
            await self._trunks.look_up()
            self._register_at_trunks()
            self._pump()

    def _register_at_trunks(self) -> None:
        for settings in self._trunks.registrations():
            if settings.name not in self._agent.registrations:
                self._agent.register_trunk(settings)

    # Media --------------------------------------------------------------------------------------------

    def _media_ready(self) -> None:
        for event in self._engine.events():
            entry = self._by_media.get(event.leg_id)
            if entry is None:
                continue
            call, party = entry
            match event:
                case KeyReceived():
                    call.media_key(party, event.key, event.inband)
                case PlayEnded():
                    call.media_play_ended(party, event.play_id, event.heard_ms, event.completed)
                case MediaStarted():
                    call.media_started(party)
                case MediaLost():
                    log.info(
                        "call %s: no media from %s for %.0f s", call.call_id, party.leg_id, self._config.media_timeout
                    )
                    party.media_lost()
                case _:
                    pass
        self._pump()


@lru_cache(maxsize=1024)
def _own_address(transport: str, host: str, port: int) -> SipUri:
    return SipUri.build("ivr", host, port, {} if transport == "udp" else {"transport": transport})


def _warning(text: str) -> str:
    code, _, words = text.partition(" ")
    quoted = words.replace("\\", "").replace('"', "'")
    return f'{code} ivr "{quoted}"'
