"""Deadlines of many small machines in one heap: start, stop, next, due. Knows no clock and no protocol."""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

_K = TypeVar("_K", bound=Hashable)


class Deadlines(Generic[_K]):
    """Owns deadlines, one a key. Times are seconds of any monotonic clock.

    A stopped one stays in the heap until it is due or until more than half of the heap is such: so stopping is
    cheap, and the heap never holds more than twice what runs (and a constant).
    """

    __slots__ = ("_deadlines", "_heap", "_number")

    def __init__(self) -> None:
        self._deadlines: dict[_K, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, _K]] = []
        # What is due at the same moment comes in the order it was started, and keys need not be comparable.
        self._number = 0

    def start(self, key: _K, when: float) -> None:
        """Also moves one that runs."""
        self._number += 1
        self._deadlines[key] = (when, self._number)
        heappush(self._heap, (when, self._number, key))
        if len(self._heap) > 2 * len(self._deadlines) + 64:
            self._heap = [(at, number, other) for other, (at, number) in self._deadlines.items()]
            heapify(self._heap)

    def stop(self, key: _K) -> None:
        """Nothing, if it does not run."""
        self._deadlines.pop(key, None)

    def next(self) -> float | None:
        """The earliest."""
        heap = self._heap
        while heap:
            when, number, key = heap[0]
            if self._deadlines.get(key) == (when, number):
                return when
            heappop(heap)
        return None

    def pop_due(self, now: float) -> _K | None:
        """Take away one whose time has come, the earliest first."""
        when = self.next()
        if when is None or when > now:
            return None
        key = heappop(self._heap)[2]
        del self._deadlines[key]
        return key

    def __len__(self) -> int:
        """How many run."""
        return len(self._deadlines)

    @property
    def stored(self) -> int:
        """How many entries the heap holds, dead ones too."""
        return len(self._heap)
