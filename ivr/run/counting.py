"""How often things happened lately, across calls, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Protocol

KEYS = 20_000
"""Remembered at most; of more, those not asked for longest are forgotten."""

TIMES = 200_000
"""Remembered at most, over all keys: a limit of many per day must not fill the memory either."""


class Counts(Protocol):
    """Counts across calls."""

    def take(self, key: str, count: int, per: float, now: float) -> bool:
        """Whether it has happened less than ``count`` times in the last ``per`` seconds; if so, it happens now."""


class RecentTimes:
    """A sliding window per key: every time it happened within the last ``per`` seconds is remembered.

    Exact, where a counter that begins anew each hour would let twice as many pass around the hour. ``now`` is seconds
    of a monotonic clock.
    """

    def __init__(self, keys: int = KEYS, times: int = TIMES) -> None:
        self._most_keys = keys
        self._most_times = times
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._total = 0

    def __len__(self) -> int:
        return len(self._times)

    def take(self, key: str, count: int, per: float, now: float) -> bool:
        times = self._times.setdefault(key, deque())
        self._times.move_to_end(key)
        while times and times[0] <= now - per:
            times.popleft()
            self._total -= 1
        if len(times) >= count:
            return False
        times.append(now)
        self._total += 1
        while len(self._times) > 1 and (len(self._times) > self._most_keys or self._total > self._most_times):
            self._total -= len(self._times.popitem(last=False)[1])
        return True
