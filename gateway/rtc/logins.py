"""Connections and logins: who may come in, who replaces or resumes what, who is silent for too long."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from gateway.rtc.answers import Failure, LoginOk
from gateway.rtc.calls import Calls
from gateway.rtc.events import ClientBack, ClientOffline, ClientUnreachable, HangUpCause
from gateway.rtc.fields import ProtocolError
from gateway.rtc.host import Host
from gateway.rtc.protocol import answer_text
from gateway.rtc.rate import Allowance, Allowances
from gateway.rtc.requests import Login
from gateway.rtc.rights import Claims
from gateway.rtc.session import Session
from gateway.rtc.users import Users
from gateway.rtc.values import IceServerInfo, Resume, RightsInfo

__all__ = ["Connection", "Logins", "TokenRefused", "Verify"]

log = logging.getLogger(__name__)


class TokenRefused(Exception):
    """Why a token is not taken."""

    def __init__(self, text: str, *, expired: bool = False, user: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.expired = expired
        """It was good, and of ``user``, and is over."""
        self.user = user


Verify = Callable[[str], Claims]
"""Makes claims of a token, or raises :class:`TokenRefused`."""


class Connection:
    """One connection of a client."""

    __slots__ = ("frames", "number", "session", "tries")

    def __init__(self, number: int, frames: Allowance) -> None:
        self.number = number
        self.frames = frames
        self.session: Session | None = None
        self.tries = 0


class Logins:
    """Owns the connections, and when sessions begin and end."""

    def __init__(
        self,
        host: Host,
        users: Users,
        calls: Calls,
        verify: Verify,
        ice_servers: Callable[[str], Sequence[IceServerInfo]],
    ) -> None:
        self._host = host
        self._users = users
        self._calls = calls
        self._verify = verify
        self._ice_servers = ice_servers
        self._connections: dict[int, Connection] = {}
        self._silence = _Silence(self)
        limits = host.limits
        self._rates = Allowances(limits.logins_per_second, max(1.0, limits.logins_per_second))

    # Connections ----------------------------------------------------------------------------------------

    def connection(self, number: int) -> Connection | None:
        return self._connections.get(number)

    def opened(self, number: int, now: float) -> None:
        limits = self._host.limits
        if len(self._connections) >= limits.connections:
            self._host.close(number, 1013, "too many connections")
            return
        frames = Allowance(limits.frames_per_second, limits.frames_at_once, now)
        self._connections[number] = Connection(number, frames)
        self._host.timers.start((self, str(number)), now + limits.login_time)

    def lost(self, number: int) -> None:
        connection = self._connections.pop(number, None)
        if connection is None:
            return
        self._host.timers.stop((self, str(number)))
        if connection.session is not None and connection.session.connection == number:
            # The session's silence runs from what was heard last: a dip of seconds is seen by nobody.
            connection.session.connection = None

    def timer_expired(self, key: str, now: float) -> None:
        if key == "rates":
            self._rates.forget_idle(now)
            self._mind_rates(now)
            return
        connection = self._connections.get(int(key))
        if connection is not None and connection.session is None:
            self._close(connection, 4001, "not logged in in time")

    def close_all(self, code: int, reason: str) -> None:
        for connection in list(self._connections.values()):
            self._close(connection, code, reason)

    def _close(self, connection: Connection, code: int, reason: str) -> None:
        self.lost(connection.number)
        self._host.close(connection.number, code, reason)

    def _mind_rates(self, now: float) -> None:
        if len(self._rates):
            self._host.timers.start((self, "rates"), now + 2.0)

    # Logging in -----------------------------------------------------------------------------------------

    def log_in(self, connection: Connection, request_id: int, request: Login, now: float) -> None:
        """
        Raises:
            ProtocolError: not so, or not now.
        """
        if connection.session is not None:
            raise ProtocolError("already_logged_in", "this connection is logged in; open another one")
        connection.tries += 1
        try:
            self._log_in(connection, request_id, request, now)
        except ProtocolError as error:
            if connection.tries < self._host.limits.login_tries:
                raise
            answer = Failure(code=error.code, text=error.text, retry_ms=error.retry_ms)
            self._host.send(connection.number, answer_text(request_id, answer))
            self._close(connection, 4001, "too many tries")

    def _log_in(self, connection: Connection, request_id: int, request: Login, now: float) -> None:
        try:
            claims = self._verify(request.token)
        except TokenRefused as refusal:
            session = self._session_of(request.resume, refusal.user, request.device) if refusal.expired else None
            if session is None:
                code = "token_expired" if refusal.expired else "token_invalid"
                raise ProtocolError(code, refusal.text) from None
            # He proved who he is when the session began, and now by its id, which only he knows.
            claims = session.claims
        allowance = self._rates.of(claims.user, now)
        self._mind_rates(now)
        if not allowance.take(now):
            text = f"more than {allowance.rate:g} logins a second of {claims.user}"
            raise ProtocolError("too_many_logins", text, retry_ms=allowance.retry_ms(now))
        if request.resume is not None:
            self._resume(connection, request_id, request.resume, claims, request.device, now)
        else:
            self._begin(connection, request_id, claims, request.device, now)

    def _session_of(self, resume: Resume | None, user: str | None, device: str) -> Session | None:
        session = self._users.session(resume.session) if resume is not None else None
        return session if session is not None and (session.user, session.device) == (user, device) else None

    def _resume(
        self, connection: Connection, request_id: int, resume: Resume, claims: Claims, device: str, now: float
    ) -> None:
        session = self._session_of(resume, claims.user, device)
        if session is None:
            raise ProtocolError("not_resumable", "that session is over; log in without resume")
        if not session.can_resume(resume.seq):
            raise ProtocolError("not_resumable", f"seq {resume.seq} does not fit what was sent; log in without resume")
        session.claims = claims
        if session.connection is not None:
            old = self._connections.get(session.connection)
            if old is not None:
                self._close(old, 4002, "resumed by another connection")
        self._attach(connection, session)
        session.confirm(resume.seq, now)
        self._answer(connection, request_id, session, resumed=True)
        session.send_again()
        self.heard(session, now)
        self._users.catch_up(session)

    def _begin(self, connection: Connection, request_id: int, claims: Claims, device: str, now: float) -> None:
        limits = self._host.limits
        user = self._users.user(claims.user)
        devices = user.devices if user is not None else {}
        if device not in devices:
            if len(devices) >= limits.devices:
                self._make_room(claims.user, now)
            if len(self._users.sessions_of(claims.user)) >= limits.devices:
                raise ProtocolError("too_many_devices", f"{limits.devices} devices are logged in; log one out")
            if self._users.count >= limits.sessions:
                raise ProtocolError("full", "the gateway has as many clients as it takes; try again later")
        session = Session(self._host, claims, device, connection.number, now)
        self._attach(connection, session)
        self._answer(connection, request_id, session, resumed=False)
        replaced = self._users.enter(session)
        # First the new one, then the end of the old one: who is being called must not be thought to be gone.
        self._calls.ring_here_too(session, now)
        if replaced is not None:
            self.end(replaced, "replaced", now, 4002, "the same device logged in anew")
        self._host.timers.start((self._silence, session.id), now + limits.unreachable_after)
        log.info("%r logged in", session)

    def _make_room(self, user_name: str, now: float) -> None:
        """A device that nobody hears and that is in no call has to go for one that is there."""
        idle = [s for s in self._users.sessions_of(user_name) if s.connection is None and not s.calls]
        if idle:
            self.end(min(idle, key=lambda session: session.heard_at), "replaced", now, 4002, "replaced")

    def _attach(self, connection: Connection, session: Session) -> None:
        session.connection = connection.number
        connection.session = session
        self._host.timers.stop((self, str(connection.number)))

    def _answer(self, connection: Connection, request_id: int, session: Session, *, resumed: bool) -> None:
        limits, rights = self._host.limits, session.claims.rights
        answer = LoginOk(
            session=session.id,
            user=session.user,
            name=session.claims.name,
            rights=RightsInfo(
                call_in=rights.call_in,
                be_called=rights.be_called,
                call_out=rights.call_out,
                peers=rights.peers,
            ),
            ice_servers=tuple(self._ice_servers(session.user)),
            ping_ms=round(limits.ping_interval * 1000),
            grace_ms=round(limits.offline_after * 1000),
            resumed=resumed,
        )
        self._host.send(connection.number, answer_text(request_id, answer))

    # Being there ----------------------------------------------------------------------------------------

    def heard(self, session: Session, now: float) -> None:
        session.heard_at = now
        if not session.reachable:
            session.reachable = True
            self._host.tell(ClientBack(session.user, session.device, tuple(session.calls)))
            self._users.changed(session.user)
            self._host.timers.start((self._silence, session.id), now + self._host.limits.unreachable_after)

    def silent(self, session_id: str, now: float) -> None:
        """Look how long a session has been silent. Frames do not move its timer: it looks when it is due."""
        session = self._users.session(session_id)
        if session is None:
            return
        limits = self._host.limits
        if now >= session.heard_at + limits.offline_after:
            self.end(session, "network", now, 4003, "nothing was heard")
            return
        if session.reachable and now >= session.heard_at + limits.unreachable_after:
            session.reachable = False
            self._host.tell(ClientUnreachable(session.user, session.device, tuple(session.calls)))
            self._users.changed(session.user)
        wait = limits.unreachable_after if session.reachable else limits.offline_after
        self._host.timers.start((self._silence, session_id), session.heard_at + wait)

    def end(self, session: Session, cause: HangUpCause, now: float, code: int, reason: str) -> None:
        """A session is over, and its calls with it."""
        if self._users.session(session.id) is None:
            return
        self._host.timers.stop((self._silence, session.id))
        self._calls.session_over(session, cause, now)
        connection = self._connections.get(session.connection) if session.connection is not None else None
        self._users.leave(session)
        session.abandon(now)
        if connection is not None:
            self._close(connection, code, reason)
        session.connection = None
        self._host.tell(ClientOffline(session.user, session.device))
        log.info("%r is over: %s", session, reason)

    def sizes(self) -> dict[str, int]:
        return {"connections": len(self._connections), "login rates": len(self._rates)}


class _Silence:
    """Tells the timers of sessions from those of connections."""

    def __init__(self, logins: Logins) -> None:
        self._logins = logins

    def timer_expired(self, key: str, now: float) -> None:
        self._logins.silent(key, now)
