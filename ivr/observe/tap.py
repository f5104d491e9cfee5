"""The events of all calls on their way to the records, for those who count or tell of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from ivr.records.events import RecordEvent

__all__ = ["Journal", "Tap", "Watcher"]

log = logging.getLogger(__name__)


class Journal(Protocol):
    def append(self, event: RecordEvent) -> None: ...


class Watcher(Protocol):
    def event(self, event: RecordEvent) -> None:
        """Take note of it. Called on the event loop: must neither wait nor change it."""


class Tap:
    """A journal that lets others see what goes into it. The records come first, and no mistake here reaches a call."""

    def __init__(self, journal: Journal, watchers: Sequence[Watcher]) -> None:
        self._journal = journal
        self._watchers = list(watchers)

    def append(self, event: RecordEvent) -> None:
        self._journal.append(event)
        for watcher in self._watchers:
            try:
                watcher.event(event)
            except Exception:
                log.exception("%s does not take events any more", type(watcher).__name__)
                self._watchers = [one for one in self._watchers if one is not watcher]
