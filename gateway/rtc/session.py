"""One device of a user, logged in: what it was sent and did not confirm, what it was answered, when it was heard.

A session outlives its connection for the grace period. Notifications stay until they are confirmed and are sent
again on resume; answers stay so that a repeated request is not done twice.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Protocol

from gateway.rtc.answers import Failure, Ok
from gateway.rtc.fields import ProtocolError
from gateway.rtc.host import Host
from gateway.rtc.notifications import Notification
from gateway.rtc.protocol import answer_text, notification_text
from gateway.rtc.rate import Allowance
from gateway.rtc.rights import Claims

__all__ = ["Confirmable", "Session"]


class Confirmable(Protocol):
    """Who wants to know whether a notification arrived."""

    def confirmed(self, key: str, session: Session, now: float) -> None: ...
    def undelivered(self, key: str, session: Session, now: float) -> None:
        """The session ended before it confirmed."""


@dataclass(frozen=True, slots=True)
class _Sent:
    seq: int
    text: str
    asker: Confirmable | None
    key: str


class Session:
    """Owns the order of what goes to one device."""

    __slots__ = (
        "_answers",
        "_highest_id",
        "_host",
        "_overflowed",
        "_owed",
        "_owed_characters",
        "_seq",
        "calls",
        "claims",
        "connection",
        "device",
        "finished",
        "heard_at",
        "id",
        "invites",
        "media_offers",
        "messages",
        "presence_calls",
        "reachable",
        "stale_presence",
        "user",
        "watched",
    )

    def __init__(self, host: Host, claims: Claims, device: str, connection: int, now: float) -> None:
        limits = host.limits
        self.id = host.new_id()
        self.user = claims.user
        self.device = device
        self.claims = claims
        self.connection: int | None = connection
        """None while it is lost."""
        self.heard_at = now
        self.reachable = True
        """Heard within the time that makes it unreachable."""
        self.calls: dict[str, None] = {}
        """Invitations that this device made, took, or rings for."""
        self.finished: OrderedDict[str, tuple[str, str | None]] = OrderedDict()
        """How its last invitations came out: state and error."""
        self.watched: dict[str, None] = {}
        """Users whose presence it watches."""
        self.stale_presence: dict[str, None] = {}
        """Users of whose change it was not told, because it does not confirm or is not connected."""
        self.messages = Allowance(limits.messages_per_second, limits.messages_per_second, now)
        self.presence_calls = Allowance(limits.presence_calls / limits.presence_period, limits.presence_calls, now)
        self.invites = Allowance(limits.invitations_per_second, limits.invitations_at_once, now)
        self.media_offers = Allowance(limits.media_offers_per_second, limits.media_offers_at_once, now)
        self._host = host
        self._seq = 0
        self._owed: deque[_Sent] = deque()
        self._owed_characters = 0
        self._overflowed = False
        self._answers: OrderedDict[int, str | None] = OrderedDict()
        self._highest_id = 0

    def __repr__(self) -> str:
        return f"<session of {self.user} at {self.device}>"

    # Notifications -------------------------------------------------------------------------------------

    @property
    def half_full(self) -> bool:
        """Whether only what belongs to calls should be sent now."""
        limits = self._host.limits
        return len(self._owed) >= limits.unconfirmed // 2 or self._owed_characters >= limits.unconfirmed_characters // 2

    @property
    def owed(self) -> int:
        """How many notifications are not confirmed."""
        return len(self._owed)

    def notify(self, notification: Notification, asker: Confirmable | None = None, key: str = "") -> None:
        """Send it, now or after a resume. ``asker`` is told under ``key`` what comes of it."""
        if self._overflowed:
            return
        self._seq += 1
        text = notification_text(self._seq, notification)
        self._owed.append(_Sent(self._seq, text, asker, key))
        self._owed_characters += len(text)
        limits = self._host.limits
        if len(self._owed) > limits.unconfirmed or self._owed_characters > limits.unconfirmed_characters:
            self._overflowed = True
            self._host.overflowed.append(self.id)
        elif self.connection is not None:
            self._host.send(self.connection, text)

    def confirm(self, seq: int, now: float) -> None:
        """All up to ``seq`` arrived.

        Raises:
            ProtocolError: nothing of that number was sent.
        """
        if seq > self._seq:
            raise ProtocolError("bad_field", f"seq is {seq}, but the last notification was {self._seq}")
        while self._owed and self._owed[0].seq <= seq:
            sent = self._owed.popleft()
            self._owed_characters -= len(sent.text)
            if sent.asker is not None:
                sent.asker.confirmed(sent.key, self, now)

    def can_resume(self, seq: int) -> bool:
        """Whether all that came after ``seq`` is still here."""
        first = self._owed[0].seq if self._owed else self._seq + 1
        return first - 1 <= seq <= self._seq

    def send_again(self) -> None:
        """What is owed, on the present connection."""
        assert self.connection is not None
        for sent in self._owed:
            self._host.send(self.connection, sent.text)

    def abandon(self, now: float) -> None:
        """The session is over: who waits for a confirmation gets none."""
        while self._owed:
            sent = self._owed.popleft()
            if sent.asker is not None:
                sent.asker.undelivered(sent.key, self, now)
        self._owed_characters = 0

    # Answers -------------------------------------------------------------------------------------------

    def is_new(self, request_id: int) -> bool:
        """Whether a request is to be done. A repeated one gets its answer again, if it is known yet.

        Raises:
            ProtocolError: it is older than all that is remembered.
        """
        if request_id > self._highest_id:
            self._highest_id = request_id
            self._answers[request_id] = None
            if len(self._answers) > self._host.limits.answers_kept:
                self._answers.popitem(last=False)
            return True
        if request_id not in self._answers:
            raise ProtocolError("stale_id", f"id {request_id} is not above {self._highest_id}, the highest used before")
        text = self._answers[request_id]
        if text is not None and self.connection is not None:
            self._host.send(self.connection, text)
        return False

    def answer(self, request_id: int, answer: Ok | Failure) -> None:
        text = answer_text(request_id, answer)
        if request_id in self._answers:
            self._answers[request_id] = text
        if self.connection is not None:
            self._host.send(self.connection, text)

    # Calls ---------------------------------------------------------------------------------------------

    def finish(self, invitation: str, state: str, error: str | None) -> None:
        """An invitation is over for this device; how, is remembered for a while."""
        self.calls.pop(invitation, None)
        self.finished[invitation] = (state, error)
        if len(self.finished) > self._host.limits.finished_kept:
            self.finished.popitem(last=False)
