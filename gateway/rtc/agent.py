"""The RTC agent: logins, sessions, presence, messages and invitations of all clients. No sockets, no own clock.

In: :meth:`RtcAgent.receive` with what a connection brought, :meth:`RtcAgent.handle_timer`, and what the gateway asks.
Out: :meth:`RtcAgent.messages_to_send`, :meth:`RtcAgent.connections_to_close`, :meth:`RtcAgent.next_event`; fetch all
three after every call that goes in. Nothing that a client sends raises, and nothing that it does grows without bound.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence

from gateway.rtc.answers import Failure, Ok, PresenceOk
from gateway.rtc.calls import Calls
from gateway.rtc.calls_from_clients import CallFromClient
from gateway.rtc.calls_to_clients import CallToClient, Invitation
from gateway.rtc.content import end_call_of
from gateway.rtc.events import Event, NotReachable, PresenceState
from gateway.rtc.fields import ProtocolError
from gateway.rtc.host import Closing, Host
from gateway.rtc.invitation import ErrorWord
from gateway.rtc.limits import Limits
from gateway.rtc.logins import Connection, Logins, Verify
from gateway.rtc.peer_messages import PeerMessages
from gateway.rtc.protocol import Envelope, answer_text, parse_request
from gateway.rtc.rate import Allowance
from gateway.rtc.requests import (
    Ack,
    Login,
    Logout,
    Ping,
    PresenceSubscribe,
    PresenceUnsubscribe,
    Request,
    SendMessage,
)
from gateway.rtc.session import Session
from gateway.rtc.users import Users
from gateway.rtc.values import Candidate, IceServerInfo

__all__ = ["RtcAgent"]

log = logging.getLogger(__name__)


def _unguessable() -> str:
    return secrets.token_urlsafe(24)


class RtcAgent:
    """Owns everything about clients that is not sound."""

    def __init__(
        self,
        *,
        verify: Verify,
        clock: Callable[[], float],
        ice_servers: Callable[[str], Sequence[IceServerInfo]] = lambda user: (),
        limits: Limits | None = None,
        new_id: Callable[[], str] = _unguessable,
    ) -> None:
        """``verify`` makes claims of a token or raises :class:`TokenRefused`. ``clock`` is read when the gateway asks
        something; it must be the clock that ``now`` is taken from. ``ice_servers`` are told to a user at login."""
        self.draining = False
        """New calls are refused with `shutting_down`."""
        self._host = Host(limits or Limits(), clock, new_id)
        self._users = Users(self._host)
        self._calls = Calls(self._host, self._users)
        self._messages = PeerMessages(self._host, self._users)
        self._logins = Logins(self._host, self._users, self._calls, verify, ice_servers)

    # The edge -------------------------------------------------------------------------------------------

    def connection_opened(self, connection: int, now: float) -> None:
        """A client connected. ``connection`` is the edge's name for it, never used twice."""
        self._logins.opened(connection, now)

    def connection_lost(self, connection: int, now: float) -> None:
        """It is gone, by whomever. What belongs to it can be resumed for a while."""
        self._logins.lost(connection)

    def heard(self, connection: int, now: float) -> None:
        """Something came that is no message, such as a pong."""
        known = self._logins.connection(connection)
        if known is None:
            return
        if not known.frames.take(now):
            self.close(connection, 4004, "too many frames")
        elif known.session is not None:
            self._logins.heard(known.session, now)

    def receive(self, connection: int, text: str, now: float) -> None:
        """Take a frame. Never raises, whatever it is."""
        known = self._logins.connection(connection)
        if known is None:
            return
        if not known.frames.take(now):
            self.close(connection, 4004, "too many frames")
            return
        envelope = parse_request(text)
        try:
            self._take(known, envelope, now)
        except ProtocolError as error:
            self._refuse(known, envelope, error)
        except Exception:
            log.exception("a request of connection %d could not be done: %r", connection, envelope.request)
            self._refuse(known, envelope, ProtocolError("internal", "the gateway made a mistake; its log tells more"))
        self._settle(now)

    def close(self, connection: int, code: int, reason: str) -> None:
        """Close a connection for what it sent; its session may come back by another."""
        self._logins.lost(connection)
        self._host.close(connection, code, reason)

    def next_timer(self) -> float | None:
        """When :meth:`handle_timer` wants to be called; None: not before something else happens."""
        return self._host.timers.next()

    def handle_timer(self, now: float) -> None:
        """Do what is due. Never raises."""
        while (due := self._host.timers.pop_due(now)) is not None:
            owner, key = due
            try:
                owner.timer_expired(key, now)
            except Exception:
                log.exception("timer %s of %r", key, owner)
        self._settle(now)

    def messages_to_send(self) -> list[tuple[int, str]]:
        """(connection, text), in their order; they are handed over once. To be sent before connections are closed."""
        outgoing, self._host.outgoing = self._host.outgoing, []
        return outgoing

    def connections_to_close(self) -> list[Closing]:
        """They are handed over once; nothing more is taken from them nor sent to them."""
        closings, self._host.closings = self._host.closings, []
        return closings

    def next_event(self) -> Event | None:
        return self._host.events.popleft() if self._host.events else None

    # The gateway ----------------------------------------------------------------------------------------

    def invite(
        self,
        user: str,
        *,
        caller: str,
        name: str = "",
        number: str = "",
        channel: str | None = None,
        content: str | None = None,
        sdp: str,
    ) -> str | NotReachable:
        """Call a user: all his devices ring.

        Args:
            caller: who calls, as he shall see it; empty: withheld.
            name: the caller's name.
            number: what was dialled.
            channel: the channel of the call; None: a new one.
            content: at most 8 KB of UTF-8.
            sdp: our offer.

        Returns:
            The invitation, or why there is none.
        """
        invitation = Invitation(caller, name, number, channel or self._host.new_id(), content, sdp)
        found = self._calls.invite(user, invitation, self._host.clock())
        self._settle(self._host.clock())
        return found

    def progress(self, invitation: str, *, ringing: bool, early_media: bool) -> None:
        """A client's call rings over there, or sends sound already."""
        call = self._calls.get(invitation)
        if isinstance(call, CallFromClient):
            call.progress(ringing=ringing, early_media=early_media)
            self._settle(self._host.clock())

    def describe(self, invitation: str, kind: str, sdp: str) -> None:
        """Our ``answer`` to the client's offer, or an ``offer`` to change an accepted call."""
        call = self._calls.get(invitation)
        if call is not None:
            call.describe(kind, sdp)
            self._settle(self._host.clock())

    def candidate(self, invitation: str, candidate: Candidate | None) -> None:
        """One more of our candidates; None: that was the last."""
        call = self._calls.get(invitation)
        if call is not None:
            call.candidate(candidate)
            self._settle(self._host.clock())

    def accept(self, invitation: str, response: str | None = None) -> None:
        """A client's call is taken."""
        call = self._calls.get(invitation)
        if isinstance(call, CallFromClient):
            call.accept(response, self._host.clock())
            self._settle(self._host.clock())

    def refuse(self, invitation: str, response: str | None = None, status: int | None = None) -> None:
        """A client's call is not taken. ``response``: busy, refused, offline, no_answer, failed; ``status`` of SIP."""
        call = self._calls.get(invitation)
        if isinstance(call, CallFromClient):
            call.refuse(response, status, self._host.clock())
            self._settle(self._host.clock())

    def fail(self, invitation: str, error: ErrorWord, status: int | None = None) -> None:
        """A client's call came to nothing without anybody refusing it."""
        call = self._calls.get(invitation)
        if isinstance(call, CallFromClient):
            call.fail(error, status, self._host.clock())
            self._settle(self._host.clock())

    def cancel(self, invitation: str, reason: str | None = None) -> None:
        """Give up a call to a user; ``reason`` 'answered_elsewhere' if somebody else took it."""
        call = self._calls.get(invitation)
        if isinstance(call, CallToClient):
            call.cancel(reason, self._host.clock())
            self._settle(self._host.clock())

    def end(self, invitation: str, cause: str = "hangup") -> None:
        """An accepted call is over: one of :data:`gateway.rtc.notifications.ENDINGS`."""
        call = self._calls.get(invitation)
        if call is not None:
            call.end(cause)
            self._settle(self._host.clock())

    def set_busy(self, user: str, busy: bool) -> None:
        """He is busy although he is in no call of ours. Who is in one is busy without this."""
        self._users.set_busy(user, busy)
        self._settle(self._host.clock())

    def state_of(self, user: str) -> PresenceState:
        return self._users.state_of(user)

    def users(self) -> list[str]:
        """Who is logged in, or lost his connection a moment ago."""
        return list(dict.fromkeys(session.user for session in self._users.sessions))

    def log_out(self, user: str) -> None:
        """End all sessions of a user, as when he was taken out of the site."""
        now = self._host.clock()
        for session in self._users.sessions:
            if session.user == user:
                self._logins.end(session, "logout", now, 4006, "logged out by the site")
        self._settle(now)

    def shut_down(self) -> None:
        """Tell all clients that their calls are over, and close all connections."""
        now = self._host.clock()
        self.draining = True
        for invitation in self._calls.all():
            self.end(invitation, "shutdown")
        for session in self._users.sessions:
            self._logins.end(session, "logout", now, 1001, "the gateway stops")
        self._logins.close_all(1001, "the gateway stops")

    def sizes(self) -> dict[str, int]:
        """How much is remembered: for statistics, and for the test that nothing is forgotten to be forgotten."""
        return {
            **self._users.sizes(),
            **self._logins.sizes(),
            "calls": len(self._calls),
            "messages": len(self._messages),
            "timers": len(self._host.timers),
        }

    # Requests -------------------------------------------------------------------------------------------

    def _take(self, connection: Connection, envelope: Envelope, now: float) -> None:
        session = connection.session
        if session is not None:
            self._logins.heard(session, now)
        if envelope.error is not None:
            raise envelope.error
        request = envelope.request
        if isinstance(request, Ack):
            if session is None:
                raise ProtocolError("not_logged_in", "log in first")
            session.confirm(request.seq, now)
            self._users.catch_up(session)
            return
        assert request is not None
        assert envelope.id is not None
        if isinstance(request, Login):
            self._logins.log_in(connection, envelope.id, request, now)
            return
        if session is None:
            raise ProtocolError("not_logged_in", f"{request.type} needs a login; log in first")
        if request.once and not session.is_new(envelope.id):
            return
        self._do(connection, session, envelope.id, request, now)

    def _do(self, connection: Connection, session: Session, request_id: int, request: Request, now: float) -> None:
        match request:
            case Ping():
                session.answer(request_id, Ok())
            case Logout():
                session.answer(request_id, Ok())
                self._logins.end(session, "logout", now, 4000, "logged out")
            case PresenceSubscribe():
                self._check_peers(session, session.presence_calls, now)
                session.answer(request_id, PresenceOk(states=self._users.watch(session, request.users)))
            case PresenceUnsubscribe():
                self._check_peers(session, session.presence_calls, now)
                self._users.unwatch(session, request.users)
                session.answer(request_id, Ok())
            case SendMessage():
                self._message(session, request_id, request, now)
            case _:
                if self.draining and request.type == "invite":
                    raise ProtocolError("shutting_down", "the gateway takes no new calls; try again later")
                self._calls.request(session, request_id, request, now)

    def _message(self, session: Session, request_id: int, request: SendMessage, now: float) -> None:
        ended = end_call_of(request.text)
        if ended is not None:
            self._calls.leave(session, request_id, ended, now)
            return
        self._check_peers(session, session.messages, now)
        self._messages.send(session, request_id, request, now)

    @staticmethod
    def _check_peers(session: Session, allowance: Allowance, now: float) -> None:
        if not session.claims.rights.peers:
            raise ProtocolError("not_allowed", "the token does not give the right peers")
        if not allowance.take(now):
            most = f"at most {allowance.rate:g} a second"
            raise ProtocolError("too_fast", f"too many of these; {most}", retry_ms=allowance.retry_ms(now))

    def _refuse(self, connection: Connection, envelope: Envelope, error: ProtocolError) -> None:
        answer = Failure(code=error.code, text=error.text[:1000], retry_ms=error.retry_ms)
        session = connection.session
        if session is not None and session.connection == connection.number and envelope.id is not None:
            session.answer(envelope.id, answer)
        else:
            self._host.send(connection.number, answer_text(envelope.id, answer))

    def _settle(self, now: float) -> None:
        """End the sessions that owe more than they may. What that tells others can make more of them."""
        while self._host.overflowed:
            session = self._users.session(self._host.overflowed.pop())
            if session is not None:
                log.warning("%r does not take what it is sent and is logged out", session)
                self._logins.end(session, "network", now, 4005, "does not take what it is sent")
