"""Which UDP ports a new leg may take: pairs of an even RTP port and the RTCP port after it (RFC 3550 11)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

__all__ = ["NoPortsLeft", "RtpPorts"]


class NoPortsLeft(Exception):
    """Every port pair of the range is in use, resting, or taken by another program."""


class RtpPorts:
    """The free port pairs, the one that has been out of use longest first.

    A pair rests after use, so that packets still on their way to a call that has ended do not reach the next. Where
    ``least_rest_s`` allows it, a pair rests less while calls come faster than the range can rest, but never less than
    that. Not for several threads at a time.
    """

    def __init__(
        self,
        first: int,
        last: int,
        *,
        rest_s: float,
        least_rest_s: float | None = None,
        clock: Callable[[], float],
    ) -> None:
        """Pairs within ``first`` to ``last``, both included; ``clock`` tells monotonic seconds.

        ``least_rest_s`` is ``rest_s`` unless given.
        """
        if not 1 <= first < last <= 65535:
            raise ValueError(f"{first}-{last} is no range of ports")
        self._rest_s = rest_s
        self._least_rest_s = rest_s if least_rest_s is None else min(least_rest_s, rest_s)
        self._clock = clock
        self.hurried = 0
        """Pairs that were taken before they had rested as long as they should."""
        self._free: deque[tuple[float, int]] = deque(
            (float("-inf"), port) for port in range(first + first % 2, last, 2)
        )
        self._pairs = len(self._free)

    def __len__(self) -> int:
        """Pairs that are not in use, resting ones included."""
        return len(self._free)

    def take(self) -> int:
        """An even port; raises NoPortsLeft."""
        rested = self._clock() - self._free[0][0] if self._free else 0.0
        if not self._free or rested < self._least_rest_s:
            used, resting = self._pairs - len(self._free), len(self._free)
            words = f"of {self._pairs} pairs {used} are in use, {resting} rest for {self._least_rest_s:g} s after use"
            raise NoPortsLeft(f"{words}: widen media.ports, or lower media.port_rest")
        self.hurried += rested < self._rest_s
        return self._free.popleft()[1]

    def give_back(self, port: int) -> None:
        """The pair is out of use and begins to rest."""
        self._free.append((self._clock(), port))
