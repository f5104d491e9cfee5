"""RTC callers and invited RTC users: the invitation and the transport of one party of a call, in a call's own words."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import Literal, Protocol

from gateway.call import DropReason, InvitationEnd, LegKind, LegOutcome, LegReport, LegRole
from gateway.media.engine import LegStatistics, MediaLeg
from gateway.negotiation import Negotiation
from gateway.party import PartyOwner, sound_of
from gateway.rtc.content import CallContent
from gateway.rtc.events import (
    CandidateReceived,
    Event,
    HoldChanged,
    HungUp,
    InvitationAccepted,
    InvitationCancelled,
    InvitationDelivered,
    InvitationFailed,
    InvitationRefused,
    KeysReceived,
    MediaAnswered,
    MediaOffered,
    NotReachable,
)
from gateway.rtc.invitation import ErrorWord
from gateway.rtc.peer import LocalCandidate, PeerConnected, PeerEvent, PeerLost, RtcPeer
from gateway.rtc.values import Candidate
from gateway.sdp import Refused

__all__ = ["Invitations", "RtcCallee", "RtcCaller", "RtcParty"]

log = logging.getLogger(__name__)

RefuseResponse = Literal["busy", "refused", "offline", "no_answer", "failed"]

# What a SIP status says to an RTC caller; anything else has failed.
_RESPONSES: dict[int, RefuseResponse] = {
    486: "busy",
    600: "busy",
    603: "refused",
    403: "refused",
    480: "offline",
    404: "offline",
    410: "offline",
    604: "offline",
    408: "no_answer",
    487: "no_answer",
}

# What became of an invitation of ours: its outcome, and the SIP status that says the same.
_FAILURES: dict[ErrorWord, tuple[LegOutcome, int]] = {
    "peer_offline": ("offline", 480),
    "no_response": ("no_answer", 408),
    "expired": ("no_answer", 480),
    "not_logged_in": ("failed", 503),
    "accept_failed": ("failed", 500),
}


_RESPONSE_KEPT = 64
"""Characters of what a client answers, for the records: it may be 8 KB."""


def response_of(status: int) -> RefuseResponse:
    """What an RTC caller is told of a call that was refused with that SIP status."""
    return _RESPONSES.get(status, "failed")


class Invitations(Protocol):
    """What parties ask of :class:`gateway.rtc.agent.RtcAgent`."""

    def progress(self, invitation: str, *, ringing: bool, early_media: bool) -> None: ...
    def describe(self, invitation: str, kind: Literal["answer", "offer"], sdp: str) -> None: ...
    def candidate(self, invitation: str, candidate: Candidate | None) -> None: ...
    def accept(self, invitation: str, response: str | None = None) -> None: ...
    def refuse(self, invitation: str, response: RefuseResponse, status: int | None = None) -> None: ...
    def cancel(self, invitation: str, reason: str) -> None: ...
    def end(self, invitation: str, cause: str = "hangup") -> None: ...


class RtcParty(ABC):
    """What both directions share: an invitation, a media leg with its transport, and their end."""

    kind: LegKind = "rtc"
    role: LegRole

    def __init__(
        self,
        owner: PartyOwner,
        invitations: Invitations,
        media: MediaLeg,
        peer: RtcPeer,
        negotiation: Negotiation,
        *,
        leg_id: str,
        user: str,
        invitation: str = "",
        channel: str | None = None,
    ) -> None:
        self.owner = owner
        self.media = media
        self.peer = peer
        self.leg_id = leg_id
        self.user = user
        self.invitation = invitation
        self.channel = channel
        self.answered = False
        self._invitations = invitations
        self._negotiation = negotiation
        self._status: int | None = None
        self._end: InvitationEnd | None = None
        self._over = False
        self._held = False
        self._away = False
        """Its device is not heard, and neither is its sound."""
        self._hangup_by: Literal["remote", "local", "network"] = "local"
        self._statistics: LegStatistics | None = None

    @property
    def legs(self) -> tuple[MediaLeg, ...]:
        return (self.media,)

    @property
    def codec(self) -> str | None:
        return self._negotiation.codec

    @property
    def over(self) -> bool:
        return self._over

    @property
    def packets_received(self) -> int:
        return self.media.statistics().packets_received

    def report(self) -> LegReport:
        return LegReport(
            leg_id=self.leg_id,
            kind=self.kind,
            role=self.role,
            account=self.user,
            remote=f"rtc:{self.user}",
            signalling_id=self.invitation,
            status=self._status,
            hangup_by=self._hangup_by,
            codec=self.codec if self.answered else None,
            **sound_of(self._statistics or self.media.statistics()),
            invitation=self._end,
        )

    def peer_event(self, event: PeerEvent) -> None:
        """What happened to its transport."""
        match event:
            case LocalCandidate(candidate):
                self._invitations.candidate(self.invitation, Candidate(candidate=f"candidate:{candidate}", sdp_mid="0"))
            case PeerLost("closed") if self.answered and not self._over:
                # The page said good-bye by DTLS, which comes before the hang-up that follows it, if one does.
                self._invitations.end(self.invitation)
                self._gone("remote", "hangup")
            case PeerLost(reason):
                self._transport_lost(reason)
            case PeerConnected():
                pass

    def away(self, away: bool) -> None:
        """Neither its device nor its sound can be heard for now, or one of them again: the others are not kept
        listening to nothing."""
        if self.answered and not self._over and away != self._away:
            self._away = away
            self.owner.party_held(self, self._away or self._held)

    @abstractmethod
    def end(self, reason: DropReason) -> None:
        """Hang up, or stop ringing."""

    @abstractmethod
    def invitation_event(self, event: Event) -> None:
        """What happened to its invitation."""

    def media_lost(self) -> None:
        """No packet for so long that the party must be gone."""
        self._transport_lost("media_timeout")

    @abstractmethod
    def fail(self) -> None:
        """We made a mistake with what its client sent: it costs this party, and the call knows."""

    def _transport_lost(self, cause: str) -> None:
        if self.answered and not self._over:
            self._invitations.end(self.invitation, "network")
            self._gone("network", cause)

    def _in_call(self, event: Event) -> None:
        """What can happen at any time of a party that is connected or on its way there."""
        match event:
            case HungUp(_, cause):
                self._gone("network" if cause == "network" else "remote", cause)
            case HoldChanged(_, held):
                self._held = held
                self.owner.party_held(self, self._away or self._held)
            case KeysReceived(_, keys):
                for key in keys:
                    self.owner.party_key(self, key)
            case MediaOffered(_, sdp):
                answer = self._negotiation.answer(sdp.encode())
                if isinstance(answer, bytes):
                    self._invitations.describe(self.invitation, "answer", answer.decode())
                    self.owner.party_held(self, self._away or self._held or self._negotiation.held)
                else:
                    log.info("new offer of rtc:%s is not taken: %s", self.user, answer.warning)
            case MediaAnswered():
                # We make no second offer: an answer now is to nothing.
                log.info("rtc:%s answers an offer that was not made", self.user)
            case CandidateReceived(_, _, candidate) if candidate is not None:
                self.peer.add_candidate(candidate.candidate.removeprefix("candidate:"))
            case _:
                pass

    def _ends(self, state: Literal["accepted", "refused", "cancelled", "failed"], error: str | None = None) -> None:
        """What becomes of the invitation, for the report."""
        self._end = InvitationEnd(state, error, self.channel)

    def _close(self, by: Literal["remote", "local", "network"]) -> None:
        if not self._over:
            self._over = True
            self._hangup_by = by
            self._statistics = self._negotiation.close()

    def _gone(self, by: Literal["remote", "network"], cause: str) -> None:
        if not self._over:
            self._close(by)
            self.owner.party_left(self, network=by == "network", cause=cause)


class RtcCaller(RtcParty):
    """The RTC user who called us: his LocalInvitation is ours to accept."""

    role: LegRole = "caller"

    def prepare(self, sdp: str) -> Refused | None:
        """Answer the offer, so that a call we cannot talk to is refused at once, and the transport is up early."""
        answer = self._negotiation.answer(sdp.encode())
        if isinstance(answer, Refused):
            return answer
        self._invitations.describe(self.invitation, "answer", answer.decode())
        return None

    def ring(self) -> None:
        if not self.answered and not self._over:
            self._invitations.progress(self.invitation, ringing=True, early_media=False)

    def early(self) -> bool:
        if not self.answered and not self._over:
            self._invitations.progress(self.invitation, ringing=False, early_media=True)
        return not self._over

    def answer(self) -> None:
        if not self.answered and not self._over:
            self.answered = True
            self._status = 200
            self._ends("accepted")
            self._invitations.accept(self.invitation)

    def reject(self, status: int, text: str) -> None:
        if not self._over:
            self._status = status
            self._ends("refused", response_of(status))
            self._invitations.refuse(self.invitation, response_of(status), status)
            self._close("local")

    def refer(self, leg_id: str, address: str, *, wait: bool) -> None:
        # Never asked: a browser's call has no address that it could be sent to.
        self.owner.referral_failed(leg_id, "failed", None, "a browser cannot be referred")

    def forget_referral(self) -> None:
        pass

    def end(self, reason: DropReason) -> None:
        if self._over:
            return
        if self.answered:
            self._invitations.end(self.invitation)
            self._close("local")
        else:
            self.reject(480, "")

    def invitation_event(self, event: Event) -> None:
        if self._over:
            return
        match event:
            case InvitationCancelled():
                self._status = 487
                self._ends("cancelled")
                self._gone("remote", "cancel")
            case InvitationFailed(_, error):
                self._status = _FAILURES[error][1]
                self._ends("failed", error)
                self._gone("network", error)
            case _:
                self._in_call(event)

    def fail(self) -> None:
        if not self.answered:
            self._status = 500
            self._ends("refused", "failed")
            self._invitations.refuse(self.invitation, "failed", 500)
        else:
            self._invitations.end(self.invitation, "failed")
        self._gone("network", "failed")

    def _transport_lost(self, cause: str) -> None:
        if not self.answered and not self._over:
            self._status = 488
            self._ends("refused", "failed")
            self._invitations.refuse(self.invitation, "failed", 488)
            self._gone("network", cause)
        else:
            super()._transport_lost(cause)


class RtcCallee(RtcParty):
    """The RTC user we invite. All his devices get the same offer; the first that accepts has the call."""

    role: LegRole = "agent"
    _device: str | None = None

    def start(self, agent: Inviting, *, caller: str, name: str, number: str, channel: str) -> NotReachable | None:
        """Send the invitation; None if it is on its way."""
        self.channel = channel
        content = CallContent(mode="1", channel=channel, display_name=name or caller)
        outcome = agent.invite(
            self.user,
            caller=caller,
            name=name,
            number=number,
            channel=channel,
            content=str(content),
            sdp=self._negotiation.offer().decode(),
        )
        if isinstance(outcome, NotReachable):
            self._status = 480
            return outcome
        self.invitation = outcome
        return None

    def end(self, reason: DropReason) -> None:
        if self._over:
            return
        if self.answered:
            self._invitations.end(self.invitation)
        elif self.invitation:
            self._ends("cancelled", reason)
            self._invitations.cancel(self.invitation, reason)
        self._close("local")

    def invitation_event(self, event: Event) -> None:
        if self._over:
            return
        match event:
            case InvitationDelivered():
                self.owner.party_ringing(self)
            case InvitationAccepted():
                self._accepted(event)
            case InvitationRefused(_, response):
                busy = response == "busy"
                self._ends("refused", (response or "")[:_RESPONSE_KEPT] or None)
                self._failed("busy" if busy else "refused", 486 if busy else 603, response or "")
            case InvitationFailed(_, error):
                self._ends("failed", error)
                self._failed(*_FAILURES[error], error)
            case CandidateReceived(_, device, _) if device != self._device:
                pass  # another of his devices, which has not taken the call
            case _:
                self._in_call(event)

    def fail(self) -> None:
        self._invitations.end(self.invitation, "failed")
        if self.answered:
            self._gone("network", "failed")
        else:
            self._invitations.cancel(self.invitation, "failed")
            self._ends("failed", "accept_failed")
            self._failed("failed", 500, "what the client sent could not be taken")

    def _accepted(self, event: InvitationAccepted) -> None:
        self._device = event.device
        refused = self._negotiation.accept(event.sdp.encode())
        if refused is not None:
            self._invitations.end(self.invitation, "failed")
            self._ends("accepted", "failed")
            self._failed("failed", 488, refused.warning)
            return
        self.answered = True
        self._status = 200
        self._ends("accepted")
        self.owner.party_answered(self)

    def _failed(self, outcome: LegOutcome, status: int, text: str) -> None:
        self._status = status
        self._close("remote")
        self.owner.party_failed(self, outcome, status, text)


class Inviting(Protocol):
    """The part of :class:`gateway.rtc.agent.RtcAgent` that invites."""

    def invite(
        self, user: str, *, caller: str, name: str, number: str, channel: str, content: str, sdp: str
    ) -> str | NotReachable: ...
