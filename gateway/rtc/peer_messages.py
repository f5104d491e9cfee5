"""Messages from user to user: told delivered when a device confirmed them, or why they are not."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.rtc.answers import Failure, Ok
from gateway.rtc.fields import ProtocolError
from gateway.rtc.host import Host
from gateway.rtc.notifications import MessageReceived
from gateway.rtc.requests import SendMessage
from gateway.rtc.session import Session
from gateway.rtc.users import Users

__all__ = ["PeerMessages"]


@dataclass(slots=True)
class _Waiting:
    """A message that nobody confirmed yet."""

    sender: str
    """Session."""
    request_id: int
    to: str
    devices: int
    """Those that may still confirm."""


class PeerMessages:
    """Owns the messages on their way. Their number is bounded by what sessions may owe."""

    def __init__(self, host: Host, users: Users) -> None:
        self._host = host
        self._users = users
        self._waiting: dict[str, _Waiting] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def send(self, session: Session, request_id: int, message: SendMessage, now: float) -> None:
        """Give it to all devices of the user. The answer comes later.

        Raises:
            ProtocolError: it cannot be delivered.
        """
        user = self._users.user(message.to)
        if user is None:
            raise ProtocolError("peer_offline", f"{message.to} is not logged in")
        devices = [device for device in user.devices.values() if not device.half_full]
        if not devices:
            raise ProtocolError("peer_full", f"{message.to} does not confirm what was sent before")
        self._number += 1
        key = str(self._number)
        self._waiting[key] = _Waiting(session.id, request_id, message.to, len(devices))
        self._host.timers.start((self, key), now + self._host.limits.message_time)
        notification = MessageReceived(sender=session.user, text=message.text)
        for device in devices:
            device.notify(notification, self, key)

    def confirmed(self, key: str, session: Session, now: float) -> None:
        self._finish(key, Ok())

    def undelivered(self, key: str, session: Session, now: float) -> None:
        waiting = self._waiting.get(key)
        if waiting is None:
            return
        waiting.devices -= 1
        if not waiting.devices:
            text = f"{waiting.to} went offline before it was confirmed"
            self._finish(key, Failure(code="peer_offline", text=text))

    def timer_expired(self, key: str, now: float) -> None:
        waiting = self._waiting.get(key)
        if waiting is not None:
            text = f"{waiting.to} did not confirm within {self._host.limits.message_time:.0f} s; it may still arrive"
            self._finish(key, Failure(code="no_response", text=text))

    def _finish(self, key: str, answer: Ok | Failure) -> None:
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            return
        self._host.timers.stop((self, key))
        sender = self._users.session(waiting.sender)
        if sender is not None:
            sender.answer(waiting.request_id, answer)
