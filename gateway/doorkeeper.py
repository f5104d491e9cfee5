"""Keeps one neighbour from taking what is everybody's: floods, scanners and one source that wants every line.

No sockets and no clock. What is known (a trunk, a registered telephone) passes; a stranger is judged by his address:

- He may send so many messages a second. What is beyond is not read.
- Whoever is refused again and again is not listened to for a while. What may belong to a call goes on being read,
  within bounds of its own, so that a call that runs can end.
- The calls a site allows at a time and a second are for everybody alike: a limit is reached exactly.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass

log = logging.getLogger(__name__)

_IN_CALL = (b"ACK ", b"BYE ", b"CANCEL ", b"INFO ", b"PRACK ", b"SIP/2.0 ", b"UPDATE ")
_OFFENCES = frozenset((400, 403, 404, 405, 413, 414, 416, 420, 482, 483, 484, 485, 501, 505, 513, 604))
"""Refusals that say something about who asked. Who is challenged, or told that we are full, has done nothing."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How much a stranger may do. Seconds, and numbers for one address."""

    messages_per_second: float = 4_000.0
    refusals: float = 1_000.0
    """So many at once, and then ..."""
    refusals_per_second: float = 10.0
    deaf_for: float = 30.0
    in_call_per_second: float = 20.0
    """Messages that may belong to a call, read while deaf to all others."""
    sources: int = 10_000
    """How many are remembered."""


class _Source:
    """What is remembered of one address."""

    __slots__ = ("at", "deaf_until", "in_call", "messages", "refusals", "refused")

    def __init__(self, patience: Patience, now: float) -> None:
        self.at = now
        self.messages = patience.messages_per_second
        self.refusals = patience.refusals
        self.in_call = patience.in_call_per_second
        self.refused = 0
        self.deaf_until = 0.0


class Doorkeeper:
    """Decides what is read, and which calls are taken."""

    def __init__(self, *, max_calls: int, calls_per_second: float, patience: Patience | None = None) -> None:
        self._max_calls = max_calls
        self._rate = max(calls_per_second, 1.0)
        # Twenty messages are a call of two parties at one address, with all its ringing and some repetition.
        self._patience = patience or Patience(messages_per_second=max(4_000.0, 20 * self._rate))
        self._sources: OrderedDict[str, _Source] = OrderedDict()
        self._allowance = self._rate
        self._allowance_at = 0.0
        self.unread = 0
        """Messages that were not looked at, ever."""

    def __len__(self) -> int:
        return len(self._sources)

    def reads(self, host: str, data: bytes, now: float) -> bool:
        """Whether a stranger's message is to be read."""
        source = self._source(host, now)
        if now < source.deaf_until:
            if source.in_call >= 1.0 and data.startswith(_IN_CALL):
                source.in_call -= 1.0
                return True
            self.unread += 1
            return False
        if source.messages < 1.0:
            self.unread += 1
            return False
        source.messages -= 1.0
        return True

    def refused(self, host: str, status: int, now: float) -> None:
        """A stranger was told no. Repeating it because he does not acknowledge counts again: so floods look."""
        if status not in _OFFENCES:
            return
        source = self._source(host, now)
        source.refused += 1
        source.refusals -= 1.0
        if source.refusals < 0.0 and now >= source.deaf_until:
            patience = self._patience
            source.deaf_until = now + patience.deaf_for
            log.warning("%s was refused %d times, is ignored for %.0f s", host, source.refused, patience.deaf_for)
            source.refused = 0
            source.refusals = patience.refusals / 2

    def takes(self, calls: int, now: float) -> bool:
        """Whether one more call may come in beside the ``calls`` there are."""
        self._allowance = min(self._rate, self._allowance + (now - self._allowance_at) * self._rate)
        self._allowance_at = now
        if self._allowance < 1.0 or calls >= self._max_calls:
            return False
        self._allowance -= 1.0
        return True

    def _source(self, host: str, now: float) -> _Source:
        source = self._sources.get(host)
        if source is None:
            source = self._sources[host] = _Source(self._patience, now)
            if len(self._sources) > self._patience.sources:
                self._sources.popitem(last=False)
            return source
        passed, source.at = now - source.at, now
        if passed > 0.0:
            patience = self._patience
            source.messages = min(patience.messages_per_second, source.messages + passed * patience.messages_per_second)
            source.refusals = min(patience.refusals, source.refusals + passed * patience.refusals_per_second)
            source.in_call = min(patience.in_call_per_second, source.in_call + passed * patience.in_call_per_second)
        self._sources.move_to_end(host)
        return source
