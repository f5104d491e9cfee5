"""A call that the gateway makes to a user: its LocalInvitation, and the devices that ring for it.

The first device that accepts has the call. A device that refuses refuses for the user, unless it says that it is
busy: then the others go on. A device that logs in meanwhile rings too.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.rtc.errors import INVITATION_ERRORS
from gateway.rtc.events import (
    HangUpCause,
    HungUp,
    InvitationAccepted,
    InvitationDelivered,
    InvitationFailed,
    InvitationRefused,
)
from gateway.rtc.fields import ProtocolError
from gateway.rtc.host import Host
from gateway.rtc.invitation import Error, Input, LocalInvitation, State, Times
from gateway.rtc.notifications import CandidateOffered, Ended, InvitationChanged, Invited, MediaDescribed
from gateway.rtc.session import Session
from gateway.rtc.values import Candidate, Description

__all__ = ["CallToClient", "Invitation"]

BUSY = "busy"


class Invitation:
    """What is told to every device that rings."""

    __slots__ = ("caller", "channel", "content", "name", "number", "sdp")

    def __init__(self, caller: str, name: str, number: str, channel: str, content: str | None, sdp: str) -> None:
        self.caller = caller
        self.name = name
        self.number = number
        self.channel = channel
        self.content = content
        self.sdp = sdp


class CallToClient:
    """Owns one such call until it is over. ``taken`` is told when a device has it, ``forget`` when it is over."""

    def __init__(
        self,
        host: Host,
        user: str,
        invitation: Invitation,
        times: Times,
        *,
        taken: Callable[[CallToClient], None],
        forget: Callable[[CallToClient], None],
    ) -> None:
        self.id = host.new_id()
        self.user = user
        self.winner: Session | None = None
        """The device that has the call."""
        self._host = host
        self._invitation = invitation
        self._machine = LocalInvitation(times)
        self._times = times
        self._taken = taken
        self._forget = forget
        self._ringing: dict[Session, bool] = {}
        """And whether it said that it has the invitation."""
        self._busy = False
        """A device said so."""
        self._expires_at = 0.0
        self._over = False

    def states(self, session: Session) -> tuple[str, str]:
        """The client's half and ours."""
        if session is self.winner:
            state = State.ACCEPTED
        else:
            state = State.RECEIVED if self._ringing.get(session) else State.IDLE
        return state.value, self._machine.state.value

    @property
    def accepted(self) -> bool:
        return self.winner is not None

    # The gateway ----------------------------------------------------------------------------------------

    def begin(self, sessions: list[Session], now: float) -> None:
        self._expires_at = now + self._times.expire
        self._machine.handle(Input.SEND, now)
        for session in sessions:
            self.ring(session, now)
        self._rest()

    def ring(self, session: Session, now: float) -> None:
        """Let one more device ring."""
        if self._over or self.winner is not None or session in self._ringing:
            return
        self._ringing[session] = False
        session.calls[self.id] = None
        what = self._invitation
        session.notify(
            Invited(
                invitation=self.id,
                caller=what.caller,
                name=what.name,
                number=what.number,
                channel=what.channel,
                content=what.content,
                expires_ms=max(0, round((self._expires_at - now) * 1000)),
                description=Description(type="offer", sdp=what.sdp),
            )
        )

    def describe(self, kind: str, sdp: str) -> None:
        if self.winner is not None:
            told = MediaDescribed(invitation=self.id, description=Description(type=kind, sdp=sdp))
            self.winner.notify(told)

    def candidate(self, candidate: Candidate | None) -> None:
        for session in [self.winner] if self.winner is not None else list(self._ringing):
            session.notify(CandidateOffered(invitation=self.id, candidate=candidate))

    def cancel(self, reason: str | None, now: float) -> None:
        """Given up before anybody took it; a call that was taken ends."""
        if self.winner is not None:
            self.end("hangup")
            return
        self._machine.handle(Input.CANCEL, now)
        self._stop_ringing(State.CANCELLED, reason if reason in INVITATION_ERRORS else None)
        self._finish()

    def end(self, cause: str) -> None:
        """Over an accepted call."""
        if self.winner is not None and not self._over:
            self.winner.notify(Ended(invitation=self.id, cause=cause))
            self._finish()

    # The client -----------------------------------------------------------------------------------------

    def check_party(self, session: Session) -> None:
        """
        Raises:
            ProtocolError: the device does not have the call.
        """
        if session is not self.winner:
            raise ProtocolError("wrong_state", "the invitation is not accepted yet")

    def received(self, session: Session, now: float) -> None:
        if session not in self._ringing:
            return
        self._ringing[session] = True
        before = self._machine.state
        self._machine.handle(Input.RECEIVED_CAME, now)
        self._rest()
        if self._machine.state is not before:
            self._host.tell(InvitationDelivered(self.id, session.device))

    def check_open(self) -> None:
        """
        Raises:
            ProtocolError: a device, the same, has the call already.
        """
        if self.winner is not None:
            raise ProtocolError("wrong_state", "the invitation is accepted already; hang up to end the call")

    def accept(self, session: Session, response: str | None, sdp: str, now: float) -> None:
        """After :meth:`check_open`."""
        self._machine.handle(Input.ACCEPT_CAME, now)
        self.winner = session
        del self._ringing[session]
        session.notify(InvitationChanged(invitation=self.id, state=State.ACCEPTED.value))
        self._stop_ringing(State.CANCELLED, "answered_elsewhere")
        self._rest()
        self._taken(self)
        self._host.tell(InvitationAccepted(self.id, session.device, response, sdp))

    def refuse(self, session: Session, response: str | None, now: float) -> None:
        """After :meth:`check_open`."""
        del self._ringing[session]
        session.notify(InvitationChanged(invitation=self.id, state=State.REFUSED.value))
        session.finish(self.id, State.REFUSED.value, None)
        if response == BUSY and self._ringing:
            self._busy = True
            return
        self._machine.handle(Input.REFUSE_CAME, now)
        self._stop_ringing(State.CANCELLED, "refused_elsewhere")
        self._finish()
        self._host.tell(InvitationRefused(self.id, response))

    def hang_up(self, session: Session, now: float) -> None:
        if session is not self.winner:
            self.refuse(session, None, now)
            return
        self._finish()
        self._host.tell(HungUp(self.id, "hangup"))

    def session_over(self, session: Session, cause: HangUpCause, now: float) -> None:
        if session is self.winner:
            self._finish()
            self._host.tell(HungUp(self.id, cause))
            return
        self._ringing.pop(session, None)
        session.finish(self.id, State.FAILED.value, Error.NOT_LOGGED_IN.value)
        if self._ringing or self.winner is not None or self._over:
            return
        if self._busy:
            self._machine.handle(Input.REFUSE_CAME, now)
            self._finish()
            self._host.tell(InvitationRefused(self.id, BUSY))
        else:
            self._machine.handle(Input.PEER_GONE, now)
            self._fail()

    # What the machine says ------------------------------------------------------------------------------

    def timer_expired(self, key: str, now: float) -> None:
        self._machine.peer_reachable = any(
            session.connection is not None and session.reachable for session in self._ringing
        )
        self._machine.handle_timer(now)
        if self._machine.state is State.FAILED:
            self._fail()
        else:
            self._rest()

    def _fail(self) -> None:
        error = (self._machine.error or Error.EXPIRED).word
        self._stop_ringing(State.FAILED, error)
        self._finish()
        self._host.tell(InvitationFailed(self.id, error))

    def _stop_ringing(self, state: State, error: str | None) -> None:
        for session in self._ringing:
            session.notify(InvitationChanged(invitation=self.id, state=state.value, error=error))
            session.finish(self.id, state.value, error)
        self._ringing.clear()

    def _rest(self) -> None:
        when = None if self._over else self._machine.next_timer()
        if when is None:
            self._host.timers.stop((self, ""))
        else:
            self._host.timers.start((self, ""), when)

    def _finish(self) -> None:
        if self._over:
            return
        self._over = True
        self._rest()
        if self.winner is not None:
            self.winner.finish(self.id, State.ACCEPTED.value, None)
        self._forget(self)
