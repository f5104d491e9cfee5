"""All calls of clients, and who may do what with them: looks up, refuses, and passes on."""

from __future__ import annotations

from gateway.rtc.answers import InviteOk, Ok, StateOk
from gateway.rtc.calls_from_clients import CallFromClient
from gateway.rtc.calls_to_clients import CallToClient, Invitation
from gateway.rtc.events import (
    CandidateReceived,
    HangUpCause,
    HoldChanged,
    InvitationReceived,
    KeysReceived,
    MediaAnswered,
    MediaOffered,
    NotReachable,
)
from gateway.rtc.fields import ProtocolError
from gateway.rtc.host import Host
from gateway.rtc.invitation import Times
from gateway.rtc.requests import (
    Accept,
    Cancel,
    HangUp,
    Hold,
    Invite,
    Keys,
    OfferCandidate,
    OfferMedia,
    Received,
    Refuse,
    Request,
    State,
)
from gateway.rtc.session import Session
from gateway.rtc.users import Users

__all__ = ["Calls"]

Call = CallFromClient | CallToClient


class Calls:
    """Owns the calls."""

    def __init__(self, host: Host, users: Users) -> None:
        self._host = host
        self._users = users
        self._calls: dict[str, Call] = {}
        limits = host.limits
        self._times = Times(receive=limits.received_time, expire=limits.expires, confirmed=limits.accept_time)

    def __len__(self) -> int:
        return len(self._calls)

    def get(self, invitation: str) -> Call | None:
        return self._calls.get(invitation)

    def all(self) -> list[str]:
        return list(self._calls)

    # The gateway ----------------------------------------------------------------------------------------

    def invite(self, user_name: str, invitation: Invitation, now: float) -> str | NotReachable:
        user = self._users.user(user_name)
        if user is None:
            return NotReachable("offline")
        sessions = [session for session in user.devices.values() if session.claims.rights.be_called]
        if not sessions:
            return NotReachable("not_allowed")
        if len(user.ringing) >= self._host.limits.invitations_of_user:
            return NotReachable("full")
        call = CallToClient(
            self._host, user_name, invitation, self._times, taken=self._taken, forget=self._forget_called
        )
        self._calls[call.id] = call
        user.ringing[call.id] = None
        call.begin(sessions, now)
        return call.id

    def ring_here_too(self, session: Session, now: float) -> None:
        """A device logged in while its user is called."""
        user = self._users.user(session.user)
        if user is None or not session.claims.rights.be_called:
            return
        for invitation in list(user.ringing):
            call = self._calls.get(invitation)
            if isinstance(call, CallToClient):
                call.ring(session, now)

    def session_over(self, session: Session, cause: HangUpCause, now: float) -> None:
        for invitation in list(session.calls):
            call = self._calls.get(invitation)
            if call is not None:
                call.session_over(session, cause, now)

    # The client -----------------------------------------------------------------------------------------

    def request(self, session: Session, request_id: int, request: Request, now: float) -> None:
        """Do what a client asks, and answer.

        Raises:
            ProtocolError: it cannot be done; nothing was.
        """
        match request:
            case Invite():
                self._invite(session, request_id, request, now)
            case State():
                self._state(session, request_id, request)
            case Received():
                call = self._call(session, request.invitation)
                session.answer(request_id, Ok())
                if isinstance(call, CallToClient):
                    call.received(session, now)
            case Accept():
                self._accept(session, request_id, request, now)
            case Refuse():
                self._refuse(session, request_id, request, now)
            case Cancel() | HangUp():
                self.leave(session, request_id, request.invitation, now, cancel=isinstance(request, Cancel))
            case OfferCandidate():
                self._call(session, request.invitation)
                session.answer(request_id, Ok())
                self._host.tell(CandidateReceived(request.invitation, session.device, request.candidate))
            case Hold():
                call = self._party(session, request.invitation)
                if not call.accepted:
                    raise ProtocolError("wrong_state", "the invitation is not accepted yet")
                session.answer(request_id, Ok())
                self._host.tell(HoldChanged(request.invitation, request.on))
            case Keys():
                self._party(session, request.invitation)
                session.answer(request_id, Ok())
                self._host.tell(KeysReceived(request.invitation, request.keys))
            case OfferMedia():
                self._party(session, request.invitation)
                if not session.media_offers.take(now):
                    text = f"too many descriptions; at most {session.media_offers.rate:g} a second"
                    raise ProtocolError("too_fast", text, retry_ms=session.media_offers.retry_ms(now))
                session.answer(request_id, Ok())
                told = MediaOffered if request.description.type == "offer" else MediaAnswered
                self._host.tell(told(request.invitation, request.description.sdp))

    def leave(self, session: Session, request_id: int, invitation: str, now: float, *, cancel: bool = False) -> None:
        """Give up, refuse or end, as fits. One that is over already is what the client wants.

        Raises:
            ProtocolError: there is no such call, or it is too late to cancel.
        """
        if invitation in session.finished:
            session.answer(request_id, Ok())
            return
        call = self._call(session, invitation)
        if isinstance(call, CallToClient):
            if cancel:
                raise ProtocolError("wrong_state", "this is a call to you: refuse it, or hang up")
            session.answer(request_id, Ok())
            call.hang_up(session, now)
            return
        if cancel:
            call.check_cancel()
        session.answer(request_id, Ok())
        call.hang_up(now, cancel=cancel)

    def _invite(self, session: Session, request_id: int, request: Invite, now: float) -> None:
        rights = session.claims.rights
        if not rights.call_in and not rights.call_out:
            raise ProtocolError("not_allowed", "the token gives neither the right call_in nor call_out")
        if request.description.type != "offer":
            raise ProtocolError("bad_field", "description.type must be offer: an invitation begins with one")
        mine = sum(isinstance(self._calls.get(call), CallFromClient) for call in session.calls)
        if mine >= self._host.limits.invitations:
            raise ProtocolError("too_many_invitations", f"{mine} calls are being made or held; end one of them")
        if not session.invites.take(now):
            text = f"too many invitations; at most {session.invites.rate:g} a second"
            raise ProtocolError("too_fast", text, retry_ms=session.invites.retry_ms(now))
        call = CallFromClient(self._host, session, self._times, self._forget_caller)
        channel = request.channel or self._host.new_id()
        self._calls[call.id] = call
        session.calls[call.id] = None
        self._busy(session.user, call.id)
        session.answer(request_id, InviteOk(invitation=call.id, channel=channel))
        call.begin(now)
        self._host.tell(
            InvitationReceived(
                call.id,
                session.user,
                session.device,
                session.claims.name,
                rights,
                request.to,
                request.content,
                channel,
                request.channel is not None,
                request.description.sdp,
            )
        )

    def _accept(self, session: Session, request_id: int, request: Accept, now: float) -> None:
        call = self._ringing(session, request.invitation)
        if request.description.type != "answer":
            raise ProtocolError("bad_field", "description.type must be answer: the invitation had the offer")
        session.answer(request_id, Ok())
        call.accept(session, request.response, request.description.sdp, now)

    def _refuse(self, session: Session, request_id: int, request: Refuse, now: float) -> None:
        if request.invitation in session.finished:
            session.answer(request_id, Ok())
            return
        call = self._ringing(session, request.invitation)
        session.answer(request_id, Ok())
        call.refuse(session, request.response, now)

    def _state(self, session: Session, request_id: int, request: State) -> None:
        over = session.finished.get(request.invitation)
        if over is not None:
            session.answer(request_id, StateOk(state=over[0], over=True))
            return
        state, remote = self._call(session, request.invitation).states(session)
        session.answer(request_id, StateOk(state=state, remote=remote, over=False))

    # Looking up -----------------------------------------------------------------------------------------

    def _call(self, session: Session, invitation: str) -> Call:
        call = self._calls.get(invitation)
        if call is not None and invitation in session.calls:
            return call
        over = session.finished.get(invitation)
        if over is None:
            raise ProtocolError("unknown_invitation", "there is no such invitation, or it is long over")
        state, error = over
        if error == "answered_elsewhere":
            raise ProtocolError("answered_elsewhere", "another device took the call")
        raise ProtocolError("wrong_state", f"the invitation is over: {state}{f' ({error})' if error else ''}")

    def _ringing(self, session: Session, invitation: str) -> CallToClient:
        call = self._call(session, invitation)
        if not isinstance(call, CallToClient):
            raise ProtocolError("wrong_state", "this is a call you made: cancel it, or hang up")
        call.check_open()
        return call

    def _party(self, session: Session, invitation: str) -> Call:
        call = self._call(session, invitation)
        if isinstance(call, CallToClient):
            call.check_party(session)
        return call

    # What calls tell ------------------------------------------------------------------------------------

    def _taken(self, call: CallToClient) -> None:
        user = self._users.user(call.user)
        if user is not None:
            user.ringing.pop(call.id, None)
        self._busy(call.user, call.id)

    def _forget_called(self, call: CallToClient) -> None:
        self._calls.pop(call.id, None)
        user = self._users.user(call.user)
        if user is not None:
            user.ringing.pop(call.id, None)
            user.in_calls.pop(call.id, None)
            self._users.changed(call.user)

    def _forget_caller(self, call: CallFromClient) -> None:
        self._calls.pop(call.id, None)
        user = self._users.user(call.session.user)
        if user is not None:
            user.in_calls.pop(call.id, None)
            self._users.changed(call.session.user)

    def _busy(self, user_name: str, invitation: str) -> None:
        user = self._users.user(user_name)
        if user is not None:
            user.in_calls[invitation] = None
            self._users.changed(user_name)
