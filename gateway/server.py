"""The gateway: clock and media engine around its two sides, telephones and RTC clients, and every call between them.

One asyncio loop carries the signalling of every call. What a side has heard is handed to the party it concerns, what
the parties tell is handed to the owner of the call, and what is to be sent is sent: :meth:`Gateway.pump` does that
until nothing is left to do.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from typing import Literal

from gateway.bridge import BridgedCall
from gateway.call import (
    Arrival,
    CallEnded,
    CallEvent,
    GatewayConfig,
    LegFailed,
    ListenAddress,
    Reception,
    Refusal,
    RtcListen,
    SignallingLine,
    Target,
)
from gateway.certificates import CertificateFiles, Certificates
from gateway.clients import RtcClients
from gateway.descriptors import make_room
from gateway.doorkeeper import Doorkeeper
from gateway.host import FindAddress, Headers
from gateway.media.engine import (
    AudioChunk,
    Datagram,
    KeyReceived,
    MediaEngine,
    MediaLeg,
    MediaLost,
    MediaStarted,
    NoPortsLeft,
    PlayEnded,
)
from gateway.media.tone import ringback
from gateway.party import CallerParty, Party
from gateway.peers import Peers
from gateway.rtc.origins import Origins
from gateway.sip.token import new_token
from gateway.telephones import Telephones, TraceMessage
from gateway.view import GatewayView

__all__ = ["Gateway", "GatewayView", "TraceMessage"]

log = logging.getLogger(__name__)

_NO_PORT_TOLD_EVERY = 5.0
# Sockets of a caller and of a seat; connections of telephones, the database, recordings.
_FILES_A_CALL = 4
_FILES_BESIDES = 512
SIP_PATH = "/sip"
"""Where telephones that are browsers connect, at the addresses of the RTC clients (RFC 7118)."""
# Seconds that telephones get at the end to hear that their calls are over, and to say so.
_FAREWELL = 2.0


def new_call_id() -> str:
    """A call's name in the records: 48 bits of time, so that names sort by arrival, and 64 bits nobody can guess."""
    return f"{int(time.time() * 1000):012x}{new_token()}"


class Gateway:
    """Answers and places calls on the addresses it was given. Owns the media engine and every call."""

    def __init__(
        self,
        config: GatewayConfig,
        reception: Reception,
        *,
        trace: TraceMessage | None = None,
    ) -> None:
        self._config = config
        self._reception = reception
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
        self._calls: set[BridgedCall] = set()
        self._by_media: dict[int, tuple[BridgedCall, Party]] = {}
        self._events: deque[tuple[BridgedCall, CallEvent]] = deque()
        self._door = Doorkeeper(max_calls=config.max_calls, calls_per_second=config.calls_per_second)
        self._peers = Peers(media_address=config.media_address, advertise=config.media_advertise)
        self._certificates: Certificates | None = None
        self._telephones = Telephones(config, self, self._door, self._peers, trace=trace)
        self._clients: RtcClients | None = None
        self._without_port = 0
        self._without_port_told = -math.inf
        self._pumping = False
        self._pump_due = False
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    # Life ---------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open every socket and begin to take calls.

        Raises OSError with the address that could not be had, CertificateError for a certificate or key that is none.
        """
        self._loop = asyncio.get_running_loop()
        wanted = _FILES_A_CALL * self._config.max_calls + _FILES_BESIDES
        if (allowed := make_room(wanted)) < wanted:
            log.warning(
                "%d calls may need %d open files and %d are allowed: raise the limit (ulimit -Hn, LimitNOFILE=)",
                self._config.max_calls,
                wanted,
                allowed,
            )
        self._engine.start()
        self._loop.add_reader(self._engine.event_fd, self._media_ready)
        if self._engine.srtp_problem is not None:
            log.warning("calls cannot be encrypted, and browsers not served: %s", self._engine.srtp_problem)
        self._certificates = self._own_certificates()
        tls = self._certificates.context if self._certificates is not None else None
        await self._telephones.start(tls)
        if self._config.rtc is not None:
            origins = Origins(self._config.rtc.origins)
            self._clients = RtcClients(
                self._config.rtc,
                self,
                peers=self._peers,
                origins=origins,
                tls=tls,
                more={SIP_PATH: self._telephones.websockets(origins.allows).serve},
            )
            await self._clients.start()
        if self._certificates is not None:
            self._certificates.watch()
        self.pump()

    def _own_certificates(self) -> Certificates | None:
        config = self._config
        secure = [each.host for each in config.listen if each.transport == "tls"]
        secure += [each.host for each in (config.rtc.listen if config.rtc else ()) if each.scheme == "https"]
        if config.tls is None or not secure:
            return None
        files = None
        if config.tls.certificate is not None:
            files = CertificateFiles(config.tls.certificate, config.tls.key or config.tls.certificate)
        names = [config.domain, config.media_advertise, *(host for host in secure if host not in ("0.0.0.0", "::"))]
        return Certificates(files, state=config.tls.state, names=[name for name in names if name])

    @property
    def addresses(self) -> tuple[ListenAddress, ...]:
        """Where telephones find it, with the ports it got."""
        return self._telephones.addresses

    @property
    def rtc_addresses(self) -> tuple[RtcListen, ...]:
        """Where browsers find it, with the ports it got."""
        return self._clients.addresses if self._clients else ()

    @property
    def calls(self) -> int:
        return len(self._calls)

    def sizes(self) -> dict[str, int]:
        """How much is remembered: for statistics, and for tests that nothing is forgotten to be forgotten."""
        return {
            "calls": len(self._calls),
            "media_legs": self._engine.statistics().legs,
            "parties_with_media": len(self._by_media),
            **self._telephones.sizes(),
            **self._peers.sizes(),
            **(self._clients.sizes() if self._clients else {}),
        }

    def view(self) -> GatewayView:
        """What it looks like now."""
        return GatewayView(
            seats=self._telephones.seats(),
            trunks=self._telephones.trunks(),
            clients=self._clients.present() if self._clients else (),
            media=self._engine.statistics(),
            draining=self._draining,
        )

    @property
    def registered_seats(self) -> frozenset[str]:
        return self._telephones.registered_seats

    def drain(self) -> None:
        """Take no more calls. Those that run go on."""
        self._draining = True
        self._telephones.drain()
        if self._clients is not None:
            self._clients.drain()

    async def wait_until_idle(self) -> None:
        await self._idle.wait()

    async def stop(self) -> None:
        """Hang up what still runs and close every socket."""
        self.drain()
        for call in list(self._calls):
            call.hangup("shutdown")
        self._telephones.leave()
        self.pump()
        # Some telephones are connected through the server of the clients.
        await self._telephones.say_goodbye(_FAREWELL)
        await self._peers.close_all()
        if self._clients is not None:
            await self._clients.close()
        await self._telephones.close()
        if self._certificates is not None:
            await self._certificates.close()
        self._loop.remove_reader(self._engine.event_fd)
        self._engine.close()

    # Events -------------------------------------------------------------------------------------------

    def _post(self, call: BridgedCall, event: CallEvent) -> None:
        self._events.append((call, event))

    def _acted(self) -> None:
        """Somebody asked something of a call: outside of a pump (a flow's timer did it) one must follow."""
        if not self._pumping and not self._pump_due:
            self._pump_due = True
            self._loop.call_soon(self.pump)

    def pump(self) -> None:
        """Hand on events until there are none, then send what is to be sent and set the clocks."""
        if self._pumping:
            return
        self._pumping = True
        self._pump_due = False
        try:
            while True:
                if self._events:
                    call, event = self._events.popleft()
                    self._deliver(call, event)
                elif not self._telephones.take_next() and not (self._clients and self._clients.take_next()):
                    break
        finally:
            self._pumping = False
        self._telephones.flush()
        if self._clients is not None:
            self._clients.flush()

    def _deliver(self, call: BridgedCall, event: CallEvent) -> None:
        owner = call.owner
        if isinstance(event, CallEnded):
            # Nothing follows. They know each other: apart, both are freed at once.
            call.owner = None
            self._calls.discard(call)
            if self._clients is not None:
                self._clients.call_over(call)
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

    def _media_ready(self) -> None:
        for event in self._engine.events():
            if isinstance(event, Datagram):
                self._peers.datagram(event)
                continue
            entry = self._by_media.get(event.leg_id)
            if entry is None:
                continue
            call, party = entry
            if event.leg_id != party.media.id:
                # Another of its telephones has the call.
                continue
            match event:
                case KeyReceived():
                    call.media_key(party, event.key, event.inband)
                case AudioChunk():
                    call.media_audio(party, event.pcm)
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
        self.pump()

    # What its sides ask -------------------------------------------------------------------------------

    def admits(self, arrival: Arrival) -> Refusal | Literal["authenticate"] | None:
        return self._reception.screen(arrival)

    def has_room(self) -> bool:
        return self._door.takes(len(self._calls), self._loop.time())

    def open_leg(self, callee: object, *, ice: bool = False) -> MediaLeg | None:
        try:
            return self._engine.open_leg(ice=ice)
        except (NoPortsLeft, OSError) as error:
            self._tell_no_port(callee, error)
            return None

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

    def new_call(
        self,
        *,
        did: str,
        caller: str,
        caller_name: str,
        account: str | None,
        find_address: FindAddress,
        pstn: bool = False,
    ) -> BridgedCall:
        return BridgedCall(
            call_id=new_call_id(),
            did=did,
            caller=caller,
            caller_name=caller_name,
            caller_account=account,
            pstn=pstn,
            make_party=self._dial,
            open_mix=self._engine.open_mix,
            find_address=find_address,
            post=self._post,
            acted=self._acted,
            forget=self.forget,
            ringback_tone=self._ringback_tone,
            hold_music=self._hold_music,
            greeting_wait=self._config.greeting_wait,
        )

    def take(self, call: BridgedCall, party: CallerParty) -> None:
        call.attach_caller(party)
        self.add(call, party)
        self._calls.add(call)
        self._idle.clear()
        try:
            call.owner = self._reception.call_arrived(call)
        except Exception:
            log.exception("call %s: nobody could take it", call.call_id)
            call.reject(500)

    def signalled(self, call_id: str, leg_id: str, lines: tuple[SignallingLine, ...]) -> None:
        try:
            self._reception.call_signalled(call_id, leg_id, lines)
        except Exception:
            log.exception("call %s: what was said about %s is lost", call_id, leg_id)

    def add(self, call: BridgedCall, party: Party) -> None:
        for leg in party.legs:
            self._by_media[leg.id] = (call, party)

    def forget(self, party: Party) -> None:
        for leg in party.legs:
            self._by_media.pop(leg.id, None)
        self._telephones.forget(party)
        if self._clients is not None:
            self._clients.forget(party)

    def _dial(
        self, call: BridgedCall, leg_id: str, target: Target, caller_id: str | None, headers: Headers
    ) -> Party | LegFailed:
        if target.scheme != "rtc":
            return self._telephones.dial(call, leg_id, target, caller_id, headers)
        if self._clients is None:
            return LegFailed(leg_id, "failed", None, f"{target} cannot be dialled: the site has no RTC clients")
        return self._clients.dial(call, leg_id, target.name, caller_id)
