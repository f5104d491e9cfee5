"""SIP callers and dialled SIP parties: the signalling of one party of a call, and its outcomes in plain words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence

from gateway.call import DropReason, LegKind, LegOutcome, LegReport, LegRole
from gateway.media.engine import LegStatistics, MediaLeg
from gateway.negotiation import Negotiation
from gateway.party import PartyOwner, sound_of
from gateway.rtc.peer import PeerEvent, PeerLost
from gateway.sdp import Refused
from gateway.sip.events import (
    SessionAnswered,
    SessionConfirmed,
    SessionEnded,
    SessionEvent,
    SessionFailed,
    SessionInfo,
    SessionOffer,
    SessionOfferAnswered,
    SessionProgress,
    SessionReferEnded,
    SessionReferProgress,
)
from gateway.sip.session import Session

# What phones show of it: a call that somebody else took is not a missed call (RFC 3326).
_REASONS: dict[DropReason, str | None] = {
    "answered_elsewhere": 'SIP;cause=200;text="Call completed elsewhere"',
    "cancelled": None,
    "no_answer": None,
    "refused": 'Q.850;cause=16;text="Normal call clearing"',
    "ended": 'Q.850;cause=16;text="Normal call clearing"',
}

_OUTCOMES: dict[int, LegOutcome] = {
    486: "busy",
    600: "busy",
    603: "refused",
    403: "refused",
    401: "failed",
    407: "failed",
    480: "offline",
    404: "offline",
    410: "offline",
    604: "offline",
    408: "no_answer",
    487: "no_answer",
}

# What a telephone says that finds nothing in our offer.
_NOT_ACCEPTABLE = (415, 488, 606)

# Of several telephones of one seat, the outcome that says most about the person wins.
_TELLING: tuple[LegOutcome, ...] = ("refused", "busy", "no_answer", "failed", "offline")


def outcome_of(status: int | None, cause: str) -> LegOutcome:
    """What a final SIP status, or its absence, says of the dialled party."""
    if cause == "timeout":
        return "offline"
    if status is None:
        return "failed"
    return _OUTCOMES.get(status, "failed")


class SipParty(ABC):
    """What both directions share: one media leg, what was agreed for it, and its end."""

    role: LegRole

    def __init__(
        self,
        owner: PartyOwner,
        negotiation: Negotiation,
        *,
        leg_id: str,
        kind: LegKind,
        account: str | None,
        remote: str,
        signalling_id: str = "",
    ) -> None:
        self.owner = owner
        self.media = negotiation.media
        self.leg_id = leg_id
        self.kind: LegKind = kind
        self.answered = False
        self._negotiation = negotiation
        self._account = account
        self._remote = remote
        self._signalling_id = signalling_id
        self._status: int | None = None
        self._over = False
        self._hangup_by: str = "local"
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
    def _carried_sound(self) -> bool:
        return self.answered

    def report(self) -> LegReport:
        hangup_by = self._hangup_by
        return LegReport(
            leg_id=self.leg_id,
            kind=self.kind,
            role=self.role,
            account=self._account,
            remote=self._remote,
            signalling_id=self._signalling_id,
            status=self._status,
            hangup_by="remote" if hangup_by == "remote" else "network" if hangup_by == "network" else "local",
            codec=self.codec if self._carried_sound else None,
            **sound_of(self._statistics or self.media.statistics()),
        )

    def _close(self, by: str) -> None:
        if not self._over:
            self._over = True
            self._hangup_by = by
            self._statistics = self._negotiation.close()

    def _renegotiate(self, session: Session, offer: bytes | None) -> None:
        """A re-INVITE or UPDATE: hold, retrieve, a new address, or a question what we can do."""
        if offer is None:
            session.answer_offer(self._negotiation.offer())
            return
        answer = self._negotiation.answer(offer)
        if isinstance(answer, Refused):
            session.refuse_offer(answer.status)
            return
        session.answer_offer(answer)
        self.owner.party_held(self, self._negotiation.held)

    def _in_session(self, session: Session, event: SessionEvent) -> None:
        """What can happen at any time of an answered party."""
        match event:
            case SessionOffer():
                self._renegotiate(session, event.sdp)
            case SessionOfferAnswered() if event.sdp is not None:
                if self._negotiation.accept(event.sdp) is None:
                    self.owner.party_held(self, self._negotiation.held)
            case SessionInfo():
                for key in event.keys:
                    self.owner.party_key(self, key)
            case SessionEnded():
                self._gone("remote" if event.by == "remote" else "network", event.cause)
            case _:
                pass

    def _gone(self, by: str, cause: str) -> None:
        if not self._over:
            self._close(by)
            self.owner.party_left(self, network=by == "network", cause=cause)

    def peer_event(self, leg: MediaLeg, event: PeerEvent) -> None:
        """What happened to the ICE and DTLS of one of its legs."""
        if isinstance(event, PeerLost) and leg is self.media:
            self._transport_lost(event.reason)

    @abstractmethod
    def _transport_lost(self, cause: str) -> None:
        """No sound will come any more."""

    @abstractmethod
    def end(self, reason: DropReason) -> None:
        """Hang up, or stop ringing."""

    @abstractmethod
    def media_lost(self) -> None:
        """No packet for so long that the party must be gone."""


class SipCaller(SipParty):
    """Who called us."""

    role: LegRole = "caller"

    def __init__(
        self,
        session: Session,
        owner: PartyOwner,
        negotiation: Negotiation,
        *,
        kind: LegKind,
        account: str | None,
        remote: str,
        when_heard: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        """``when_heard`` puts something off until the caller has our description: for those with ICE, which he may
        be given long before he looks at it."""
        super().__init__(
            owner,
            negotiation,
            leg_id="caller",
            kind=kind,
            account=account,
            remote=remote,
            signalling_id=session.call_id,
        )
        self._session = session
        self._when_heard = when_heard
        self._committed = False
        self._sdp: bytes | None = None
        self._early = False
        """Our answer has gone out in a 183, and the caller hears what is played."""
        self._awaits_answer = False
        """We made the offer, in our 200: the answer comes in the ACK."""
        self._referral: str | None = None
        """The name under which the owner waits for what comes of our REFER."""
        self._referral_rang = False

    @property
    def _carried_sound(self) -> bool:
        return self.answered or self._early

    def prepare(self, offer: bytes | None) -> Refused | None:
        """Work out the answer to the INVITE's offer, so that a call we cannot talk to is refused at once."""
        if offer is None:
            return None
        answer = self._negotiation.answer(offer, apply=False)
        if isinstance(answer, Refused):
            return answer
        self._sdp = answer
        return None

    def ring(self) -> None:
        # After early media a 180 would make telephones play their own tone over what we play.
        if not self.answered and not self._over and not self._early:
            self._session.ring()

    def early(self) -> bool:
        if self.answered or self._early:
            return True
        if self._over or self._sdp is None:
            return False
        self._early = True
        self._session.ring(183, self._sdp)
        if self._when_heard is None:
            self._commit()
        else:
            # SIP.js looks at it with the 200 only; checks of ours would have failed by then.
            self._when_heard(self._commit)
        return True

    def _commit(self) -> None:
        if not self._committed and not self._over:
            self._committed = True
            self._negotiation.commit()

    def answer(self) -> None:
        if self.answered or self._over:
            return
        self.answered = True
        self._status = 200
        if self._sdp is None:
            self._awaits_answer = True
            self._session.answer(self._negotiation.offer())
        else:
            # The same answer as in the 183, if there was one (RFC 3261 section 13.2.1): nothing is agreed anew.
            self._session.answer(self._sdp)
            if self._early:
                # Before the answer many send nothing, and that says nothing: only from here on are they missed.
                self.media.expect()
            else:
                self._negotiation.commit()

    def reject(self, status: int, text: str) -> None:
        if not self._over:
            self._status = status
            self._session.reject(status, text or None)
            self._close("local")

    def refer(self, leg_id: str, address: str, *, wait: bool) -> None:
        if self._over:
            return
        if self.answered:
            self._referral, self._referral_rang = leg_id, False
            self._session.refer(address, wait=wait)
            return
        # RFC 3261 21.3.3. A telephone goes there by itself; nobody tells us how that ends.
        self._status = 302
        self._session.reject(302, None, [("Contact", f"<{address}>")])
        self._close("local")
        self.owner.referral_taken(leg_id)

    def forget_referral(self) -> None:
        self._referral = None
        self._session.forget_referral()

    def end(self, reason: DropReason) -> None:
        if self._over:
            return
        if self.answered:
            self._session.bye(_REASONS[reason])
            self._close("local")
        else:
            self.reject(480, "Temporarily Unavailable")

    def media_lost(self) -> None:
        if self.answered:
            self._transport_lost("media_timeout")

    def _transport_lost(self, cause: str) -> None:
        if self._over:
            return
        if self.answered:
            self._session.bye('SIP;cause=408;text="No media"')
        else:
            self._status = 488
            self._session.reject(488, None, [("Warning", '399 ivr "No way for the sound"')])
        self._gone("network", cause)

    def session_event(self, session: Session, event: SessionEvent) -> None:
        if self._over:
            return
        if isinstance(event, SessionFailed):
            self._status = event.status or 487
            self._gone(
                "remote" if event.cause == "cancelled" else "network",
                "cancel" if event.cause == "cancelled" else event.cause,
            )
        elif isinstance(event, SessionConfirmed):
            self._confirmed(session, event)
        elif isinstance(event, SessionReferProgress | SessionReferEnded):
            self._referred(event)
        else:
            self._in_session(session, event)

    def _referred(self, event: SessionReferProgress | SessionReferEnded) -> None:
        leg_id = self._referral
        if leg_id is None:
            return
        if isinstance(event, SessionReferProgress):
            # Once: a telephone may send as many as it likes.
            if event.status >= 180 and not self._referral_rang:
                self._referral_rang = True
                self.owner.referral_ringing(leg_id)
            return
        self._referral = None
        if event.taken and event.status is not None and event.status < 300:
            self.owner.referral_taken(leg_id)
        elif event.taken:
            self.owner.referral_failed(leg_id, outcome_of(event.status, ""), event.status, event.reason)
        else:
            # Its own refusal says nothing of whom it should have called.
            self.owner.referral_failed(leg_id, "failed", event.status, event.reason)

    def _confirmed(self, session: Session, event: SessionConfirmed) -> None:
        if not self._awaits_answer:
            return
        self._awaits_answer = False
        if event.sdp is None or self._negotiation.accept(event.sdp) is not None:
            # Nobody could hear anything (RFC 3261 section 13.2.2.4 wants the answer in the ACK).
            session.bye('SIP;cause=488;text="No common codec"')
            self._gone("network", "no_common_codec")
        else:
            self.owner.party_held(self, self._negotiation.held)


class SipCallee(SipParty):
    """Whom we dial: a seat, which may have several telephones, or a number through a trunk.

    All telephones that speak alike get the same offer and share a media leg: browsers one, those that are told keys
    another. The first that answers has the call, and its leg is the party's from then on.
    """

    role: LegRole = "agent"

    def __init__(
        self,
        owner: PartyOwner,
        negotiations: Sequence[Negotiation],
        *,
        leg_id: str,
        kind: LegKind,
        account: str | None,
        remote: str,
    ) -> None:
        super().__init__(owner, negotiations[0], leg_id=leg_id, kind=kind, account=account, remote=remote)
        self._negotiations = tuple(negotiations)
        self._by_session: dict[Session, Negotiation] = {}
        self._again: Callable[[Session, bytes], Session] | None = None
        self._insisted: set[Session] = set()
        """Telephones that have got their second offer."""
        self._branches: list[Session] = []
        self._winner: Session | None = None
        self._early: Session | None = None
        """The telephone that sends sound before it answers."""
        self._rang = False
        self._outcomes: list[tuple[LegOutcome, int | None, str]] = []

    @property
    def legs(self) -> tuple[MediaLeg, ...]:
        return tuple(each.media for each in self._negotiations)

    def start(
        self,
        invite: Callable[[Negotiation, bytes], Iterable[Session]],
        again: Callable[[Session, bytes], Session],
    ) -> None:
        """Send the offers to every telephone by the first function; by the second another one, to one of them."""
        self._again = again
        for negotiation in self._negotiations:
            # One by one: what was sent before something cannot be sent has to be taken back.
            for session in invite(negotiation, negotiation.offer()):
                self._branches.append(session)
                self._by_session[session] = negotiation
        if self._branches:
            self._signalling_id = self._branches[0].call_id

    def end(self, reason: DropReason) -> None:
        if self._over:
            return
        if self._winner is not None:
            self._winner.bye(_REASONS[reason])
        else:
            self._cancel(self._branches, reason)
        self._branches = []
        self._close("local")

    def media_lost(self) -> None:
        self._transport_lost("media_timeout")

    def _transport_lost(self, cause: str) -> None:
        # Before the answer it is early sound only, and another telephone may answer.
        if self._winner is not None and not self._over:
            self._winner.bye('SIP;cause=408;text="No media"')
            self._gone("network", cause)

    def _close(self, by: str) -> None:
        if not self._over:
            self._close_legs_but(self.media)
        super()._close(by)

    def _close_legs_but(self, kept: MediaLeg) -> None:
        for each in self._negotiations:
            if each.media is not kept:
                each.close()

    def _accept(self, session: Session, sdp: bytes) -> Refused | None:
        """Take the answer of a telephone, and its leg for the party's."""
        negotiation = self._by_session[session]
        refused = negotiation.accept(sdp)
        if refused is None:
            self._negotiation, self.media = negotiation, negotiation.media
        return refused

    def session_event(self, session: Session, event: SessionEvent) -> None:
        if self._over or (self._winner is not None and session is not self._winner):
            return
        match event:
            case SessionProgress():
                self._progress(session, event)
            case SessionAnswered():
                self._answered(session, event)
            case SessionFailed():
                self._failed(session, event)
            case SessionEnded() if self._winner is None:
                self._branch_over(session, "failed", None, event.cause)
            case _:
                self._in_session(session, event)

    def _progress(self, session: Session, event: SessionProgress) -> None:
        if event.status < 180:
            return
        if event.sdp is not None and self._early is None and self._accept(session, event.sdp) is None:
            self._early = session
            self.owner.party_early_media(self, True)
        if not self._rang:
            self._rang = True
            self.owner.party_ringing(self)

    def _answered(self, session: Session, event: SessionAnswered) -> None:
        refused = None
        if event.sdp is not None:
            refused = self._accept(session, event.sdp)
        elif self._early is not session:
            refused = Refused("399 The answer has no session description")
        if refused is not None:
            session.bye('SIP;cause=488;text="No common codec"')
            self._branch_over(session, "failed", 488, refused.warning)
            return
        self._winner = session
        self._status = 200
        self.answered = True
        self._signalling_id = session.call_id
        self._cancel([other for other in self._branches if other is not session], "answered_elsewhere")
        self._branches = [session]
        self._close_legs_but(self.media)
        self.owner.party_answered(self)

    def _failed(self, session: Session, event: SessionFailed) -> None:
        if event.status in _NOT_ACCEPTABLE and session in self._branches and self._insists(session):
            return
        self._branch_over(session, outcome_of(event.status, event.cause), event.status, event.reason)

    def _insists(self, session: Session) -> bool:
        """Whether a telephone that refused our offer gets another: with SRTP, that it may have or not, it will have no
        RTP/AVP if its owner told it to encrypt (RFC 8643 is for those who were not told)."""
        sdp = None if session in self._insisted else self._by_session[session].insistent_offer()
        if sdp is None or self._again is None:
            return False
        again = self._again(session, sdp)
        self._insisted.add(again)
        self._by_session[again] = self._by_session[session]
        self._branches[self._branches.index(session)] = again
        return True

    def _branch_over(self, session: Session, outcome: LegOutcome, status: int | None, text: str) -> None:
        if session not in self._branches:
            return
        self._branches.remove(session)
        self._outcomes.append((outcome, status, text))
        if session is self._early:
            self._early = None
            self.owner.party_early_media(self, False)
        if status is not None and status >= 600:
            # A global refusal speaks for every telephone of the seat (RFC 3261 section 21.6).
            self._cancel(self._branches, "cancelled")
            self._branches = []
        if not self._branches:
            outcome, status, text = min(self._outcomes, key=lambda entry: _TELLING.index(entry[0]))
            self._status = status
            self._close("remote")
            self.owner.party_failed(self, outcome, status, text)

    def _cancel(self, sessions: Iterable[Session], reason: DropReason) -> None:
        for session in sessions:
            session.cancel(_REASONS[reason])
