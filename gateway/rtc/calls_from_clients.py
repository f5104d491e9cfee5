"""A call that a client makes: the gateway's RemoteInvitation, and what the client is told of its own half."""

from __future__ import annotations

from collections.abc import Callable

from gateway.rtc.events import HangUpCause, HungUp, InvitationCancelled, InvitationFailed
from gateway.rtc.fields import ProtocolError
from gateway.rtc.host import Host
from gateway.rtc.invitation import Act, Error, ErrorWord, Input, RemoteInvitation, State, Times
from gateway.rtc.notifications import (
    CandidateOffered,
    Ended,
    InvitationChanged,
    MediaDescribed,
    Notification,
    Progress,
)
from gateway.rtc.session import Session
from gateway.rtc.values import Candidate, Description

__all__ = ["CallFromClient"]

_TOLD = {
    State.IDLE: State.SENT_TO_REMOTE,
    State.RECEIVED: State.RECEIVED_BY_REMOTE,
    State.ACCEPT_SENT: State.ACCEPTED,
}
"""The client's half, by ours, where they differ."""


class CallFromClient:
    """Owns one such call until it is over. ``forget`` is told then."""

    def __init__(self, host: Host, session: Session, times: Times, forget: Callable[[CallFromClient], None]) -> None:
        self.id = host.new_id()
        self.session = session
        self._host = host
        self._machine = RemoteInvitation(times)
        self._forget = forget
        self._over = False

    @property
    def accepted(self) -> bool:
        return self._machine.state in (State.ACCEPT_SENT, State.ACCEPTED)

    def states(self, session: Session) -> tuple[str, str]:
        """The client's half and ours."""
        state = self._machine.state
        return _TOLD.get(state, state).value, state.value

    # The client -----------------------------------------------------------------------------------------

    def begin(self, now: float) -> None:
        self._handle(Input.INVITE_CAME, now)

    def check_cancel(self) -> None:
        """
        Raises:
            ProtocolError: it is a call already.
        """
        if self._machine.state is State.ACCEPTED:
            raise ProtocolError("wrong_state", "the invitation is accepted; hang up instead")

    def hang_up(self, now: float, *, cancel: bool = False) -> None:
        """The client ends the call, or gives it up. ``cancel``: not to end it, which may have crossed our accept."""
        if self.accepted and not cancel:
            self._end()
            self._host.tell(HungUp(self.id, "hangup"))
        else:
            self._give_up(now)

    def session_over(self, session: Session, cause: HangUpCause, now: float) -> None:
        if self._machine.state is State.ACCEPTED:
            self._end()
            self._host.tell(HungUp(self.id, cause))
        elif cause == "network":
            self._handle(Input.PEER_GONE, now)
        else:
            self._give_up(now)

    def _give_up(self, now: float) -> None:
        self._handle(Input.CANCEL_CAME, now)
        if self._machine.state is State.CANCELLED and not self._over:
            self._notify_state(State.CANCELLED)
            self._finish(State.CANCELLED)
            self._host.tell(InvitationCancelled(self.id))

    # The gateway ----------------------------------------------------------------------------------------

    def progress(self, *, ringing: bool, early_media: bool) -> None:
        if self._machine.state is State.RECEIVED:
            self._notify(Progress(invitation=self.id, ringing=ringing, early_media=early_media))

    def describe(self, kind: str, sdp: str) -> None:
        self._notify(MediaDescribed(invitation=self.id, description=Description(type=kind, sdp=sdp)))

    def candidate(self, candidate: Candidate | None) -> None:
        self._notify(CandidateOffered(invitation=self.id, candidate=candidate))

    def accept(self, response: str | None, now: float) -> None:
        if self._machine.state is State.RECEIVED:
            self._handle(Input.ACCEPT, now, InvitationChanged(invitation=self.id, state="accepted", response=response))

    def refuse(self, response: str | None, status: int | None, now: float) -> None:
        if self._machine.state is State.RECEIVED:
            told = InvitationChanged(invitation=self.id, state="refused", response=response, status=status)
            self._handle(Input.REFUSE, now, told)
            self._finish(State.REFUSED)
        else:
            self.end("failed")

    def fail(self, error: ErrorWord, status: int | None, now: float) -> None:
        if self._machine.state is State.RECEIVED:
            told = InvitationChanged(invitation=self.id, state="failed", error=error, status=status)
            self._handle(Input.REFUSE, now, told)
            self._finish(State.FAILED, error)
        else:
            self.end("failed")

    def end(self, cause: str) -> None:
        """Over an accepted call."""
        if self.accepted and not self._over:
            self._notify(Ended(invitation=self.id, cause=cause))
            self._end()

    # What the machine says ------------------------------------------------------------------------------

    def timer_expired(self, key: str, now: float) -> None:
        was_accepted = self.accepted
        self._act(self._machine.handle_timer(now), None)
        self._rest(was_accepted)

    def confirmed(self, key: str, session: Session, now: float) -> None:
        self._handle(Input.CONFIRM_CAME, now)

    def undelivered(self, key: str, session: Session, now: float) -> None:
        """The session is over: :meth:`session_over` deals with that."""

    def _handle(self, what: Input, now: float, told: InvitationChanged | None = None) -> None:
        was_accepted = self.accepted
        self._act(self._machine.handle(what, now), told)
        self._rest(was_accepted)

    def _act(self, acts: tuple[Act, ...], told: InvitationChanged | None) -> None:
        for act in acts:
            if act is Act.RECEIVED:
                self._notify_state(State.RECEIVED_BY_REMOTE)
            elif told is not None:
                self.session.notify(told, self if act is Act.ACCEPT else None)

    def _rest(self, was_accepted: bool) -> None:
        """The timers as they are now; and the end, if our half failed."""
        machine = self._machine
        if self._over:
            return
        when = machine.next_timer()
        if when is None:
            self._host.timers.stop((self, ""))
        else:
            self._host.timers.start((self, ""), when)
        if machine.state is State.FAILED:
            error = (machine.error or Error.EXPIRED).word
            if was_accepted:
                # He may have been told that it is accepted, or not: in both cases this is what ends it.
                self._notify(Ended(invitation=self.id, cause="failed"))
            else:
                self._notify(InvitationChanged(invitation=self.id, state="failed", error=error))
            self._finish(State.FAILED, error)
            self._host.tell(InvitationFailed(self.id, error))

    def _end(self) -> None:
        self._finish(State.ACCEPTED)

    def _notify(self, notification: Notification) -> None:
        if not self._over:
            self.session.notify(notification)

    def _notify_state(self, state: State) -> None:
        self._notify(InvitationChanged(invitation=self.id, state=state.value))

    def _finish(self, state: State, error: str | None = None) -> None:
        if self._over:
            return
        self._over = True
        self._host.timers.stop((self, ""))
        self.session.finish(self.id, state.value, error)
        self._forget(self)
