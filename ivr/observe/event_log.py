"""Every event of every call as a line of the log: shown with ``--verbose``, and always where lines are for programs."""

from __future__ import annotations

import logging
from typing import Final

from ivr.records.events import RecordEvent

__all__ = ["EventLog"]

log = logging.getLogger("ivr.event")

_LEVELS: Final = {"error": logging.WARNING, "flow.rejected": logging.WARNING}


class EventLog:
    """A watcher of a :class:`~ivr.observe.tap.Tap`. What is secret is not in the events, nor is it here."""

    def __init__(self, level: int) -> None:
        """``level``: of an event that is nothing to worry about."""
        self._level = level

    def event(self, event: RecordEvent) -> None:
        level = _LEVELS.get(event.type, self._level)
        if log.isEnabledFor(level):
            extra = {"event": event.type, "leg": event.leg_id, "data": dict(event.data)}
            log.log(level, "call %s: %s", event.call_id or "-", event.type, extra=extra)
