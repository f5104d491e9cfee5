"""What the parts of the RTC agent share: limits, timers, ids, and the ways out. Decides nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.deadlines import Deadlines
from gateway.rtc.events import Event
from gateway.rtc.limits import Limits

__all__ = ["Closing", "Host", "TimerOwner"]


class TimerOwner(Protocol):
    def timer_expired(self, key: str, now: float) -> None:
        """The timer that was started for ``key`` is due."""


@dataclass(frozen=True, slots=True)
class Closing:
    """A connection that is to be closed, after what was sent to it before."""

    connection: int
    code: int
    reason: str


class Host:
    """Owns the timers and what waits to be fetched."""

    def __init__(self, limits: Limits, clock: Callable[[], float], new_id: Callable[[], str]) -> None:
        self.limits = limits
        self.clock = clock
        self.new_id = new_id
        self.timers: Deadlines[tuple[TimerOwner, str]] = Deadlines()
        self.events: deque[Event] = deque()
        self.outgoing: list[tuple[int, str]] = []
        self.closings: list[Closing] = []
        self.overflowed: list[str] = []
        """Sessions that owe too much; ended when whatever was begun is done."""

    def send(self, connection: int, text: str) -> None:
        self.outgoing.append((connection, text))

    def tell(self, event: Event) -> None:
        self.events.append(event)

    def close(self, connection: int, code: int, reason: str) -> None:
        self.closings.append(Closing(connection, code, reason))
