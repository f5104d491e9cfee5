"""One queue of timers for everything above transactions: a time, an owner, a name. Knows no protocol."""

from __future__ import annotations

import heapq
from typing import Protocol


class TimerOwner(Protocol):
    """Whoever starts a timer is told when it is due."""

    def timer_expired(self, name: str, now: float) -> None:
        """The timer of that name is over; it is no longer running."""


class Timer:
    """A running timer. Compare by identity; give it back to :meth:`TimerQueue.cancel`."""

    __slots__ = ("name", "owner", "when")

    def __init__(self, when: float, owner: TimerOwner, name: str) -> None:
        self.when = when
        self.owner: TimerOwner | None = owner
        self.name = name


class TimerQueue:
    """Timers in the order they are due. Times are seconds of the caller's monotonic clock.

    A cancelled timer lets go of its owner at once. Its place in the heap is given up when half of the heap is
    such places: a 30-minute session timer would otherwise outlive its call by 30 minutes.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._serial = 0
        self._cancelled = 0

    def __len__(self) -> int:
        """How many timers are running."""
        return len(self._heap) - self._cancelled

    def start(self, when: float, owner: TimerOwner, name: str) -> Timer:
        """Run a timer until ``when``. Timers due at the same time expire in the order they were started."""
        timer = Timer(when, owner, name)
        self._serial += 1
        heapq.heappush(self._heap, (when, self._serial, timer))
        return timer

    def cancel(self, timer: Timer | None) -> None:
        """Stop a timer; None, an expired and an already stopped one are fine."""
        if timer is None or timer.owner is None:
            return
        timer.owner = None
        self._cancelled += 1
        if self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].owner is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def next_timer(self) -> float | None:
        """When the next timer is due, or None."""
        self._drop_cancelled()
        return self._heap[0][0] if self._heap else None

    def handle_timer(self, now: float) -> None:
        """Tell the owners of all timers that are due."""
        while True:
            self._drop_cancelled()
            if not self._heap or self._heap[0][0] > now:
                return
            timer = heapq.heappop(self._heap)[2]
            owner, timer.owner = timer.owner, None
            if owner is not None:
                owner.timer_expired(timer.name, now)

    def _drop_cancelled(self) -> None:
        while self._heap and self._heap[0][2].owner is None:
            heapq.heappop(self._heap)
            self._cancelled -= 1
