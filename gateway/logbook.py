"""Keeps the log readable while somebody knocks a thousand times a second."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["FewOfAKind"]


@dataclass(slots=True)
class _Kind:
    since: float
    written: int = 0
    left_out: int = 0


class FewOfAKind(logging.Filter):
    """Of what the telephone side says at one place of the program, so much a minute; the next line counts the rest.

    For a handler. Strangers decide how often such lines come; those about calls that were taken pass, there are no
    more of them than calls.
    """

    def __init__(
        self,
        *,
        about: str = "gateway",
        allowed: int = 60,
        period: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._about = about
        self._allowed = allowed
        self._period = period
        self._clock = clock
        self._kinds: dict[str, _Kind] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] != self._about:
            return True
        now = self._clock()
        # The words before anything is put into them: as many as there are places in the program.
        kind = self._kinds.setdefault(str(record.msg), _Kind(now))
        if now - kind.since >= self._period:
            if kind.left_out:
                record.msg = f"{record.getMessage()} (and {kind.left_out} more like this, not shown)"
                record.args = ()
            kind.since, kind.written, kind.left_out = now, 0, 0
        if kind.written >= self._allowed:
            kind.left_out += 1
            return False
        kind.written += 1
        if kind.written == self._allowed:
            record.msg = f"{record.getMessage()} (more like this within {self._period:.0f} s are only counted)"
            record.args = ()
        return True
