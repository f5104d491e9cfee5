"""Which UDP ports a new leg may take: pairs of an even RTP port and the RTCP port after it (RFC 3550 11)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

__all__ = ["NoPortsLeft", "RtpPorts"]


class NoPortsLeft(Exception):
    """Every port pair of the range is in use, resting, or taken by another program."""


class RtpPorts:
    """The free port pairs, the one that has been out of use longest first.

    A pair rests after use, so that packets still on their way to a call that has ended do not reach the next.
    Not for several threads at a time.
    """

    def __init__(self, first: int, last: int, *, rest_s: float, clock: Callable[[], float]) -> None:
        """Pairs within ``first`` to ``last``, both included; ``clock`` tells monotonic seconds."""
        if not 1 <= first < last <= 65535:
            raise ValueError(f"{first}-{last} is no range of ports")
        self._rest_s = rest_s
        self._clock = clock
        self._free: deque[tuple[float, int]] = deque(
            (float("-inf"), port) for port in range(first + first % 2, last, 2)
        )

    def __len__(self) -> int:
        """Pairs that are not in use, resting ones included."""
        return len(self._free)

    def take(self) -> int:
        """An even port; raises NoPortsLeft."""
        if not self._free or self._free[0][0] > self._clock():
            raise NoPortsLeft("no RTP port is left: widen the range or take fewer calls")
        return self._free.popleft()[1]

    def give_back(self, port: int) -> None:
        """The pair is out of use and begins to rest."""
        self._free.append((self._clock() + self._rest_s, port))
