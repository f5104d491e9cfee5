"""Who is logged in, with which devices, and who watches whom: the presence of users."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.rtc.events import PresenceChanged, PresenceState
from gateway.rtc.fields import ProtocolError
from gateway.rtc.host import Host
from gateway.rtc.limits import SUBSCRIPTIONS
from gateway.rtc.notifications import PresenceOf
from gateway.rtc.session import Session

__all__ = ["User", "Users"]


class User:
    """A user with at least one session."""

    __slots__ = ("busy", "devices", "in_calls", "ringing", "state")

    def __init__(self) -> None:
        self.devices: dict[str, Session] = {}
        self.ringing: dict[str, None] = {}
        """Invitations to him that no device took yet."""
        self.in_calls: dict[str, None] = {}
        """Invitations of his that are a call, or that he is making."""
        self.busy = False
        """The gateway says so."""
        self.state: PresenceState = "offline"
        """As it was told last."""

    def present(self) -> PresenceState:
        if not self.devices:
            return "offline"
        if not any(session.reachable for session in self.devices.values()):
            return "unreachable"
        return "busy" if self.busy or self.in_calls else "online"


class Users:
    """Owns the sessions and the subscriptions."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._users: dict[str, User] = {}
        self._sessions: dict[str, Session] = {}
        self._watchers: dict[str, dict[str, None]] = {}

    # Sessions ------------------------------------------------------------------------------------------

    def session(self, session_id: str) -> Session | None:
        return self._sessions.get(session_id)

    def user(self, name: str) -> User | None:
        return self._users.get(name)

    @property
    def sessions(self) -> list[Session]:
        return list(self._sessions.values())

    @property
    def count(self) -> int:
        """Of sessions."""
        return len(self._sessions)

    def sessions_of(self, name: str) -> list[Session]:
        user = self._users.get(name)
        return list(user.devices.values()) if user is not None else []

    def enter(self, session: Session) -> Session | None:
        """A device logged in: the session it replaces, if there is one. That is no longer among the user's."""
        self._sessions[session.id] = session
        user = self._users.setdefault(session.user, User())
        replaced = user.devices.get(session.device)
        user.devices[session.device] = session
        self.changed(session.user)
        return replaced

    def leave(self, session: Session) -> None:
        """A session is over."""
        self._sessions.pop(session.id, None)
        self._unwatch(session, list(session.watched))
        user = self._users.get(session.user)
        if user is None:
            return
        if user.devices.get(session.device) is session:
            del user.devices[session.device]
        self.changed(session.user)
        if not user.devices:
            del self._users[session.user]

    # Presence ------------------------------------------------------------------------------------------

    def state_of(self, name: str) -> PresenceState:
        user = self._users.get(name)
        return "offline" if user is None else user.state

    def changed(self, name: str) -> None:
        """Something about a user may have changed: if it shows, whoever watches is told."""
        user = self._users.get(name)
        if user is None:
            return
        state = user.present()
        if state == user.state:
            return
        user.state = state
        self._host.tell(PresenceChanged(name, state))
        for session_id in self._watchers.get(name, ()):
            self._tell(self._sessions[session_id], name)

    def set_busy(self, name: str, busy: bool) -> None:
        user = self._users.get(name)
        if user is not None:
            user.busy = busy
            self.changed(name)

    def watch(self, session: Session, names: Iterable[str]) -> dict[str, str]:
        """Subscribe.

        Returns:
            The states now.

        Raises:
            ProtocolError: too many; then nothing is changed.
        """
        wanted = dict.fromkeys(names)
        if len(session.watched | wanted) > SUBSCRIPTIONS:
            raise ProtocolError(
                "too_many_subscriptions",
                f"{len(session.watched)} users are watched already, at most {SUBSCRIPTIONS} are allowed",
            )
        session.watched |= wanted
        for name in wanted:
            self._watchers.setdefault(name, {})[session.id] = None
            session.stale_presence.pop(name, None)
        return {name: self.state_of(name) for name in wanted}

    def unwatch(self, session: Session, names: Iterable[str]) -> None:
        self._unwatch(session, names)

    def catch_up(self, session: Session) -> None:
        """Tell a session the changes that it was not told while it could not be, as far as it may be sent more."""
        while session.stale_presence and session.connection is not None and not session.half_full:
            name = next(iter(session.stale_presence))
            del session.stale_presence[name]
            session.notify(PresenceOf(user=name, state=self.state_of(name)))

    def _tell(self, session: Session, name: str) -> None:
        # The latest state replaces those before it: so whoever is away, or slow, costs a name and no more.
        if session.connection is None or session.half_full or session.stale_presence:
            session.stale_presence[name] = None
        else:
            session.notify(PresenceOf(user=name, state=self.state_of(name)))

    def _unwatch(self, session: Session, names: Iterable[str]) -> None:
        for name in names:
            session.watched.pop(name, None)
            session.stale_presence.pop(name, None)
            watchers = self._watchers.get(name)
            if watchers is not None:
                watchers.pop(session.id, None)
                if not watchers:
                    del self._watchers[name]

    def sizes(self) -> dict[str, int]:
        return {"users": len(self._users), "sessions": len(self._sessions), "watched": len(self._watchers)}
