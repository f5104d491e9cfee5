"""The RTC clients of a gateway: their signalling, their transports, and the calls between them and everybody else.

What :mod:`gateway.telephones` is for SIP, this is for the invitations of :mod:`gateway.rtc`. The pump is the gateway's:
it asks for events until there are none, and then for what is to be sent.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Mapping
from pathlib import Path

from gateway.bridge import BridgedCall
from gateway.call import Arrival, LegFailed, Refusal, Target
from gateway.config import Codec, RtcConfig, RtcListen
from gateway.host import CallHost, Headers
from gateway.media.engine import MediaLeg
from gateway.negotiation import Negotiation
from gateway.party import Party
from gateway.peers import Peers
from gateway.rtc.agent import RtcAgent
from gateway.rtc.content import CallContent
from gateway.rtc.events import (
    ClientBack,
    ClientOffline,
    ClientUnreachable,
    Event,
    HungUp,
    InvitationAccepted,
    InvitationCancelled,
    InvitationFailed,
    InvitationReceived,
    InvitationRefused,
    NotReachable,
    PresenceChanged,
)
from gateway.rtc.guests import Guests
from gateway.rtc.origins import Origins
from gateway.rtc.passwords import Account, Passwords
from gateway.rtc.peer import PeerEvent, RtcPeer
from gateway.rtc.token import Tokens, secret_in, token_secret_file
from gateway.rtc.values import IceServerInfo
from gateway.rtc.websocket import Handler, Listen, RtcServer
from gateway.rtcparty import RtcCallee, RtcCaller, RtcParty, response_of
from gateway.sdp import Refused
from gateway.sip.token import new_token
from gateway.view import ClientView

__all__ = ["RtcClients"]

log = logging.getLogger(__name__)

_PAGES = Path(__file__).parent / "pages"

_CHANNEL_MIN = 20
"""Characters: a shorter name that a client has chosen may be guessed, and lets nobody into its call."""
# Seconds between looking whether a client that does not signal still sends sound.
_LISTEN_EVERY = 1.0


class RtcClients:
    """Owns the agent and every RTC party."""

    def __init__(
        self,
        config: RtcConfig,
        host: CallHost,
        *,
        peers: Peers,
        origins: Origins,
        tls: ssl.SSLContext | None,
        more: Mapping[str, Handler],
    ) -> None:
        """``tls`` is needed to listen for https; ``more`` is served at the same addresses (see :class:`RtcServer`).

        Raises SecretError if the key of the tokens is none, or cannot be kept; GuestNumberError for a number of guests.
        """
        self._config = config
        self._host = host
        self._transports = peers
        tokens = Tokens(config.secret or secret_in(token_secret_file(config.state)), clock=time.time)
        servers = tuple(
            IceServerInfo(urls=server.urls, username=server.username, credential=server.credential)
            for server in config.ice_servers
        )
        self._agent = RtcAgent(
            verify=tokens.verify, clock=asyncio.get_running_loop().time, ice_servers=lambda _: servers
        )
        self._server = RtcServer(
            self._agent,
            listen=[Listen(each.host, each.port, tls if each.scheme == "https" else None) for each in config.listen],
            pump=host.pump,
            tokens=tokens,
            passwords=Passwords(self._account),
            guests=Guests(config.guests, new_id=new_token) if config.guests else None,
            origins=origins,
            pages=_PAGES,
            more=more,
        )
        self._parties: dict[str, RtcParty] = {}
        """By invitation."""
        self._by_leg: dict[int, RtcParty] = {}
        self._channels: dict[str, BridgedCall] = {}
        """Calls that can be joined, by the name of their channel."""
        self._channel_of: dict[BridgedCall, str] = {}
        self._listening: dict[str, asyncio.TimerHandle] = {}
        """Invitations of clients that do not signal for now."""

    async def start(self) -> None:
        """Raises OSError with the address that could not be had."""
        await self._server.start()

    @property
    def addresses(self) -> tuple[RtcListen, ...]:
        """Where it listens, with the ports it got."""
        return tuple(RtcListen("https" if s == "https" else "http", h, p) for s, h, p in self._server.addresses)

    def drain(self) -> None:
        """New calls are refused."""
        self._agent.draining = True

    def take_next(self) -> bool:
        """Hand on the next event; False if there is none."""
        event = self._agent.next_event()
        if event is None:
            return False
        try:
            self._take(event)
        except Exception:
            # Whatever a client has found that we did not think of costs its own call.
            log.exception("%s could not be taken", type(event).__name__)
            self._fail(event)
        return True

    def flush(self) -> None:
        """Send what is to be sent, and set the clock."""
        self._server.flush()

    def present(self) -> tuple[ClientView, ...]:
        """The clients of the site, and whoever else is logged in."""
        users = dict.fromkeys([*self._config.clients, *self._agent.users()])
        return tuple(ClientView(user, self._agent.state_of(user)) for user in users)

    def sizes(self) -> dict[str, int]:
        """How much is remembered."""
        return {
            **{f"rtc_{name}": size for name, size in {**self._agent.sizes(), **self._server.sizes()}.items()},
            "rtc_parties": len(self._parties),
            "rtc_channels": len(self._channels),
        }

    async def close(self) -> None:
        """Nothing is left running. Calls have ended before."""
        for timer in self._listening.values():
            timer.cancel()
        self._listening.clear()
        await self._server.stop()

    def _account(self, user: str) -> Account | None:
        client = self._config.clients.get(user)
        if client is None or client.password is None:
            return None
        return Account(client.user, client.password, name=client.name, rights=client.rights)

    def _number_of(self, user: str) -> str:
        """What those he calls see."""
        client = self._config.clients.get(user)
        return user if client is None or client.number is None else client.number

    # What clients do ----------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        match event:
            case InvitationReceived():
                self._invited(event)
            case ClientUnreachable(user, device, invitations):
                log.info("client %s (%s) is not heard", user, device)
                for invitation in invitations:
                    self._listen(invitation)
            case ClientBack(user, device, invitations):
                log.info("client %s (%s) is heard again", user, device)
                for invitation in invitations:
                    self._heard(invitation)
            case ClientOffline(user, device):
                log.info("client %s (%s) is gone", user, device)
            case PresenceChanged(user, state):
                log.debug("client %s is %s", user, state)
            case _:
                party = self._parties.get(event.invitation)
                if isinstance(event, InvitationAccepted):
                    # It is heard, whichever other device of his was not.
                    self._heard(event.invitation)
                if party is not None:
                    party.invitation_event(event)
                if isinstance(event, InvitationCancelled | InvitationRefused | InvitationFailed | HungUp):
                    self._parties.pop(event.invitation, None)

    def _fail(self, event: Event) -> None:
        invitation = getattr(event, "invitation", None)
        if invitation is not None:
            party = self._parties.get(invitation)
            if party is not None and not party.over:
                party.fail()
            self._agent.refuse(invitation, "failed", 500)
            self._agent.end(invitation, "failed")

    def _invited(self, event: InvitationReceived) -> None:
        channel = self._channels.get(event.channel) if event.channel_given else None
        if channel is not None and not channel.over:
            self._join(channel, event)
            return
        content = CallContent.parse(event.content)
        arrival = Arrival(
            did=event.to,
            caller=self._number_of(event.user),
            account=event.user,
            trunk=False,
            rights=event.rights,
            pstn=content.pstn is not None,
        )
        verdict = self._host.admits(arrival)
        if isinstance(verdict, Refusal):
            log.info("call to %s from rtc:%s refused: %s %s", event.to, event.user, verdict.status, verdict.text)
            self._agent.refuse(event.invitation, response_of(verdict.status), verdict.status)
            return
        if verdict == "authenticate":
            # For telephones of the site only; who proved to be a client is none.
            self._agent.refuse(event.invitation, "refused", 403)
            return
        if not self._host.has_room():
            log.info("call to %s from rtc:%s refused: there are too many", event.to, event.user)
            self._agent.refuse(event.invitation, "failed", 503)
            return
        name = "".join(each for each in (content.display_name or event.name)[:128] if each.isprintable())
        call = self._host.new_call(
            did=event.to,
            caller=arrival.caller,
            caller_name=name,
            account=event.user,
            pstn=arrival.pstn,
            find_address=_nowhere,
        )
        party = self._caller(call, event, leg_id="caller")
        if party is None:
            return
        if not event.channel_given or len(event.channel) >= _CHANNEL_MIN:
            self._open_channel(event.channel, call)
        self._host.take(call, party)

    def _join(self, call: BridgedCall, event: InvitationReceived) -> None:
        """Who names the channel of a call that runs is let into it: nobody can guess one."""
        if not self._host.has_room():
            self._agent.refuse(event.invitation, "failed", 503)
            return
        party = self._caller(call, event, leg_id=f"member-{new_token()[:8]}")
        if party is not None:
            self._host.add(call, party)
            call.join(party)

    def _caller(self, call: BridgedCall, event: InvitationReceived, *, leg_id: str) -> RtcCaller | None:
        media = self._host.open_leg(event.to, ice=True)
        if media is None:
            self._agent.refuse(event.invitation, "failed", 503)
            return None
        peer = self._new_peer(media)
        party = RtcCaller(
            call,
            self._agent,
            media,
            peer,
            self._negotiation(media, peer, self._config.codecs),
            leg_id=leg_id,
            user=event.user,
            invitation=event.invitation,
            channel=event.channel,
        )
        self._parties[event.invitation] = self._by_leg[media.id] = party
        try:
            refused = party.prepare(event.sdp)
        except Exception:
            log.exception("the offer of rtc:%s could not be answered", event.user)
            refused = Refused("399 The offer could not be answered", 500)
        if refused is not None:
            log.info("call of rtc:%s refused: %s", event.user, refused.warning)
            del self._parties[event.invitation]
            del self._by_leg[media.id]
            self._agent.refuse(event.invitation, "failed", refused.status)
            media.close()
            self._transports.close(media.id)
            return None
        return party

    # What calls want ----------------------------------------------------------------------------------

    def dial(self, call: BridgedCall, leg_id: str, user: str, caller_id: str | None) -> Party | LegFailed:
        """Invite a user. He may be one that only a site's own backend knows."""
        media = self._host.open_leg(f"rtc:{user}", ice=True)
        if media is None:
            return LegFailed(leg_id, "failed", None, "no media port is left")
        peer = self._new_peer(media)
        spoken: list[Codec] = [codec for codec in self._config.codecs if codec == call.codec]
        codecs = [*spoken, *(codec for codec in self._config.codecs if codec not in spoken)]
        party = RtcCallee(
            call, self._agent, media, peer, self._negotiation(media, peer, codecs), leg_id=leg_id, user=user
        )
        channel = self._channel_of.get(call) or self._open_channel(new_token(), call)
        outcome = party.start(
            self._agent, caller=caller_id or call.caller, name=call.caller_name, number=call.did, channel=channel
        )
        if isinstance(outcome, NotReachable):
            media.close()
            self._transports.close(media.id)
            if outcome.reason == "full":
                return LegFailed(leg_id, "busy", 486, f"rtc:{user} has too many calls")
            if outcome.reason == "not_allowed":
                return LegFailed(leg_id, "refused", 403, f"rtc:{user} may not be called")
            return LegFailed(leg_id, "offline", 480, f"rtc:{user} is not logged in")
        self._parties[party.invitation] = self._by_leg[media.id] = party
        self._host.add(call, party)
        return party

    def _open_channel(self, name: str, call: BridgedCall) -> str:
        self._channels[name] = call
        self._channel_of[call] = name
        return name

    def call_over(self, call: BridgedCall) -> None:
        """Nobody can join that call any more."""
        name = self._channel_of.pop(call, None)
        if name is not None:
            del self._channels[name]

    def forget(self, party: Party) -> None:
        """A party's media leg is closed."""
        if isinstance(party, RtcParty):
            if self._parties.get(party.invitation) is party:
                del self._parties[party.invitation]
            self._heard(party.invitation)
            self._by_leg.pop(party.media.id, None)
            self._transports.close(party.media.id)

    # Transports ---------------------------------------------------------------------------------------

    def _new_peer(self, media: MediaLeg) -> RtcPeer:
        def tell(event: PeerEvent) -> None:
            party = self._by_leg.get(media.id)
            if party is not None:
                party.peer_event(event)
                self._host.pump()

        return self._transports.open(media, tell, stun=self._config.stun)

    def _negotiation(self, media: MediaLeg, peer: RtcPeer, codecs: tuple[Codec, ...] | list[Codec]) -> Negotiation:
        return Negotiation(
            media,
            address=self._transports.addresses[0],
            codecs=codecs,
            session_id=int(new_token()[:8], 16),
            transport=peer,
            # Browsers put Opus first; what the far side of the call speaks costs nobody anything.
            their_choice=False,
        )

    # Clients that are not heard -----------------------------------------------------------------------

    def _listen(self, invitation: str, before: int = -1) -> None:
        """Sound may go on where signalling does not; the other side gets music only when both are gone."""
        former = self._listening.pop(invitation, None)
        if former is not None:
            former.cancel()
        party = self._parties.get(invitation)
        if party is None:
            return
        received = party.packets_received
        party.away(received == before)
        self._host.pump()
        loop = asyncio.get_running_loop()
        self._listening[invitation] = loop.call_later(_LISTEN_EVERY, self._listen, invitation, received)

    def _heard(self, invitation: str) -> None:
        timer = self._listening.pop(invitation, None)
        if timer is not None:
            timer.cancel()
            party = self._parties.get(invitation)
            if party is not None:
                party.away(False)


def _nowhere(target: Target, headers: Headers) -> LegFailed:
    return LegFailed("", "failed", None, f"a browser cannot call {target} in our place")
