"""What survives the sudden end of the program: that a call arrived and was answered, in a file before anybody hears it.

The database gets its events some milliseconds later, in batches. What is written here at once outlives the process
(not the machine: nothing is synced), and is taken over at the next start. Two files are written in turn: one is
emptied when the database has everything that was written to it.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from sqlalchemy import Engine

from ivr.records.derive import CallRecord, Changes
from ivr.records.events import EventType, RecordEvent
from ivr.records.store import Batch, event_row, recall, write

log = logging.getLogger(__name__)

KEPT: frozenset[str] = frozenset({"call.arrived", "call.answered"})
"""The events without which a call would not be known, or not known to have been answered."""

_NAMES = ("journal-0.jsonl", "journal-1.jsonl")


class CallJournal:
    """Owns the two files. :meth:`write` is for the thread of the calls, the rest for the one that writes records."""

    def __init__(self, folder: Path) -> None:
        """Open the files in that folder, and empty them: :func:`take_over` comes before. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC | os.O_CLOEXEC
        self._files = [os.open(folder / name, flags, 0o600) for name in _NAMES]
        self._current = 0
        self._used = False
        self._waiting = False
        self._failed = False

    def write(self, event: RecordEvent) -> None:
        """Note the event; it must be in the writer's queue already. A page in memory is all that is waited for."""
        line = json.dumps([event.at, event.type, event.call_id, dict(event.data)]) + "\n"
        self._used = True
        try:
            os.write(self._files[self._current], line.encode())
        except OSError as error:
            if not self._failed:
                self._failed = True
                log.error("the journal of calls cannot be written: %s; a crash may cost calls", error)

    def turn(self) -> None:
        """Write to the other file from now on; to be called before the queue is taken."""
        if self._used and not self._waiting:
            self._used = False
            self._waiting = True
            self._current = 1 - self._current

    def settled(self) -> None:
        """All that was queued before the last :meth:`turn` is in the database."""
        if self._waiting:
            self._waiting = False
            os.ftruncate(self._files[1 - self._current], 0)

    def close(self, *, complete: bool) -> None:
        """``complete``: the database has everything, nothing is to be taken over."""
        for file in self._files:
            if complete:
                os.ftruncate(file, 0)
            os.close(file)
        self._files = []


def take_over(engine: Engine, folder: Path) -> int:
    """Write what the last run noted and the database does not have; returns how many calls that concerned.

    To be called at start, before dead calls are closed.
    """
    noted = _read(folder)
    with engine.begin() as connection:
        known = dict(recall(connection, list(noted)))
        batch = Batch()
        changed = 0
        for call_id, events in noted.items():
            record = known.get(call_id) or CallRecord(call_id)
            record.take_changes(Changes())
            before = record.events
            if not record.ended:
                for event in events:
                    if (event.type == "call.answered" and not record.answered) or record.events == 0:
                        batch.events.append(event_row(event, call_id, record.events))
                        record.apply(event)
            if record.events > before:
                record.take_changes(batch.changes)
                changed += 1
        write(connection, batch)
    if changed:
        log.warning("records: %d calls of the last run were taken over from the journal", changed)
    return changed


def _read(folder: Path) -> Mapping[str, list[RecordEvent]]:
    """The events noted, by call, in order; a line that was cut off is passed over."""
    noted: dict[str, list[RecordEvent]] = {}
    for name in _NAMES:
        try:
            lines = (folder / name).read_bytes().splitlines()
        except FileNotFoundError:
            continue
        for line in lines:
            try:
                at, kind, call_id, data = json.loads(line)
                event = RecordEvent(int(at), cast(EventType, kind), str(call_id), None, dict(data))
            except (ValueError, TypeError):
                continue
            if event.type in KEPT:
                noted.setdefault(event.call_id, []).append(event)
    for events in noted.values():
        # The two files are not in the order of time.
        events.sort(key=lambda event: event.type != "call.arrived")
    return noted
