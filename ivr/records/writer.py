"""The threads that write the records. A call drops its events here and goes on.

One thread numbers the events and writes them to the spool (:mod:`ivr.records.spool`) at most 50 ms after they came; a
call that was answered waits for that, not longer than it takes to hear a click. The other thread puts them into the
tables, everything there is in one transaction: at once if it is idle, else 20 ms after the last one began, and at most
100 ms where batches are more than a handful of rows. Each transaction says how far the spool is in the tables, so that
every event gets there once, whenever either side dies.

While the database does not answer, the first events stay in memory and the others in the spool; where that cannot be
written, all of them stay in memory, up to a bound.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ivr.records.bell import Bell
from ivr.records.database import RecordsError, open_database
from ivr.records.events import RecordEvent
from ivr.records.progress import Progress
from ivr.records.spool import Numbered, Spool, line, numbered
from ivr.records.store import rejected
from ivr.records.tables import Tables, reason_of

log = logging.getLogger(__name__)

T = TypeVar("T")

QUEUE_BOUND: Final = 200_000
"""Events kept in memory where nothing else takes them: 100 MB, or a quarter of an hour at ten calls a second."""

_DETAIL = frozenset({"key", "speech", "prompt.end", "log", "flow.step", "leg.signalling"})
"""What is given up first, from 3/4 of the bound on: rows of calls and legs can do without."""

_DETAIL_SHARE: Final = 0.75

_SPOOL_EVERY_S: Final = 0.05
_PATIENCE_S: Final = 0.02
_PATIENCE_SHARE: Final = 0.05
# What calls that are answered wait for the spool: 20 ms at a stretch, and a twentieth of the time. A page in memory
# takes a tenth of a millisecond; a disk that keeps one waiting shall not keep the calls waiting.
_INTAKE_BOUND: Final = 2_000
_IDLE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class WriterStatistics:
    queued: int
    """Events that are not in the database yet."""
    written: int
    dropped: int
    """Events given up because the bound was reached or the writer was closed."""
    rejected: int
    """Events that the database refused; stand-ins of type ``rejected`` tell why."""
    last_error: str | None
    failing: bool
    """The database does not take batches at present."""
    spool_error: str | None = None
    """Why the spool cannot be written at present."""
    spool_filling: float = 0.0
    """How much of its bound the spool has reached."""
    lost: int = 0
    """Events of the spool that could not be read again."""


class RecordWriter:
    """Owns the way from events to tables, and the threads on it. Call ids are never used twice."""

    def __init__(
        self,
        database: str | Engine,
        *,
        bound: int = QUEUE_BOUND,
        spool: Spool | None = None,
        node_id: str | None = None,
    ) -> None:
        """Open the database if given by its URL, and start the threads. The spool is the writer's to close.

        First what a former run left in the spool is written, and calls that it left open are closed, if this is a node.

        Raises RecordsError.
        """
        self._owns_engine = isinstance(database, str)
        self._engine = open_database(database) if isinstance(database, str) else database
        self._bound = bound
        self._detail_bound = int(bound * _DETAIL_SHARE)
        self._accepted = 0
        self._dropped = 0
        self._closed = False
        self.in_time = True
        """Whether the spool had the last call that was answered when it was gone on with."""
        self._patience = _PATIENCE_S
        self._waited_at = time.monotonic()
        progress = None
        if spool is not None:
            progress = Progress(spool.name, node_id)
            try:
                spool.begin(after=progress.begin(self._engine))
            except SQLAlchemyError as error:
                raise RecordsError(
                    f"The records cannot be written: {reason_of(error)}", "See the log of the database"
                ) from error
        self._spool = spool
        self._tables = Tables(self._engine, spool, progress, node_id, self._dropped_so_far)
        self._intake = _Intake(spool, self._tables)
        self._tables.start()
        self._intake.start()

    def append(self, event: RecordEvent) -> None:
        """Have the event written soon. Never raises; the event's data must not change any more.

        Where a call was answered it waits until the spool has that, for 20 ms at the most, and no longer than a
        twentieth of the time altogether.
        """
        waiting = self._accepted - self._tables.from_memory - self._intake.left_to_spool
        detail = event.type in _DETAIL
        if (
            self._closed
            or waiting >= (self._detail_bound if detail else self._bound)
            or (detail and self._intake.short_of_room)
        ):
            self._dropped += 1
            return
        self._accepted += 1
        self._intake.queue.put(event)
        if event.type == "call.answered" and self._spool is not None:
            self._wait_for_the_spool()

    def _wait_for_the_spool(self) -> None:
        began = time.monotonic()
        self._patience = min(_PATIENCE_S, self._patience + _PATIENCE_SHARE * (began - self._waited_at))
        written = Bell()
        self._intake.queue.put(written)
        self._intake.hurry.ring()
        self.in_time = written.wait(self._patience)
        self._waited_at = time.monotonic()
        self._patience = max(0.0, self._patience - (self._waited_at - began))

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything appended so far is in the database; False if that takes longer. Not for a call."""
        reached = threading.Event()
        self._intake.queue.put(reached)
        self._intake.hurry.ring()
        return reached.wait(timeout_s)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write what is queued and end the threads; False if that took too long and events are not in the tables."""
        end = time.monotonic() + timeout_s
        if not self._closed:
            self._closed = True
            self._intake.queue.put(None)
            self._intake.hurry.ring()
        self._intake.join(timeout_s)
        self._tables.join(max(0.0, end - time.monotonic()))
        if self._tables.is_alive():
            self._tables.give_up.set()
            # It may sit in a statement; then it ends with the process.
            self._tables.join(0.2)
        missing = self.statistics.queued
        if missing:
            kept = self._spool is not None and self._spool.error is None and not self._intake.is_alive()
            fate = "are in the spool for the next start" if kept else "are lost"
            log.error("records: closed before %d events were written, which %s: %s", missing, fate, self._last_error)
        ended = not self._tables.is_alive() and not self._intake.is_alive()
        if self._spool is not None and ended:
            self._spool.discard(self._tables.taken, idle=True)
            self._spool.close()
            self._spool = None
        if self._owns_engine and ended:
            self._engine.dispose()
        return not missing and ended

    @property
    def _last_error(self) -> str | None:
        return self._tables.last_error

    @property
    def statistics(self) -> WriterStatistics:
        tables, spool = self._tables, self._spool
        return WriterStatistics(
            queued=tables.former + self._accepted - tables.taken,
            written=tables.written,
            dropped=self._dropped,
            rejected=tables.rejected + self._intake.rejected,
            last_error=tables.last_error,
            failing=tables.failing,
            spool_error=spool.error if spool is not None else None,
            spool_filling=spool.filling if spool is not None else 0.0,
            lost=tables.lost,
        )

    def caught_up(self, timeout_s: float) -> bool:
        """Wait until what a former run left is in the tables, and its calls are closed; False if that takes longer."""
        return self._tables.caught_up.wait(timeout_s)

    def _dropped_so_far(self) -> int:
        return self._dropped


class _Intake(threading.Thread):
    """Numbers events, writes them to the spool, and passes them on. The only one that changes the spool's files."""

    def __init__(self, spool: Spool | None, tables: Tables) -> None:
        super().__init__(name="records-spool", daemon=True)
        self.queue: SimpleQueue[RecordEvent | Bell | threading.Event | None] = SimpleQueue()
        """A bell is rung when the spool has everything before it, an event set when the tables have; None ends it."""
        self.hurry = Bell()
        """Somebody waits."""
        self.left_to_spool = 0
        """Events that are in the spool and not in memory."""
        self.short_of_room = False
        """Detail is better given up."""
        self._spool = spool
        self._tables = tables
        self.rejected = 0
        self._next = tables.former + 1

    def run(self) -> None:
        more = True
        while more:
            events, waiting, more = self._drain()
            try:
                self._take(events)
            except Exception:
                # The thread outlives any mistake: what comes next shall still be written.
                log.exception("records: %d events could not be taken in", len(events))
            for one in waiting:
                if isinstance(one, Bell):
                    one.ring()
                else:
                    self._tables.flush(one)
            if more and events and len(events) < _INTAKE_BOUND:
                self.hurry.wait(_SPOOL_EVERY_S)
        self._tables.end()

    def _drain(self) -> tuple[list[RecordEvent], list[Bell | threading.Event], bool]:
        """Wait for something, then take what is there; False at the end of all."""
        events: list[RecordEvent] = []
        waiting: list[Bell | threading.Event] = []
        try:
            item = self.queue.get(timeout=self._patience)
            while item is not None:
                if isinstance(item, (Bell, threading.Event)):
                    waiting.append(item)
                else:
                    events.append(item)
                    if len(events) >= _INTAKE_BOUND:
                        return events, waiting, True
                item = self.queue.get_nowait()
        except Empty:
            return events, waiting, True
        return events, waiting, False

    @property
    def _patience(self) -> float | None:
        return None if self._spool is None or self._spool.empty else _IDLE_S

    def _take(self, events: Sequence[RecordEvent]) -> None:
        entries, lines = [], []
        for event in events:
            entry, text = self._numbered(event)
            entries.append(entry)
            lines.append(text)
        spool = self._spool
        if spool is None:
            self._tables.pass_on(entries)
            return
        spooled = spool.write(b"".join(lines), through=self._next - 1) if lines else False
        self.left_to_spool += self._tables.pass_on(entries, spooled=spooled)
        spool.discard(self._tables.taken, idle=not events)
        self.short_of_room = spool.filling >= _DETAIL_SHARE

    def _numbered(self, event: RecordEvent) -> tuple[Numbered, bytes]:
        number, self._next = self._next, self._next + 1
        try:
            entry = numbered(number, event)
            return entry, b"" if self._spool is None else line(entry)
        except Exception as error:
            self.rejected += 1
            log.error("records: event refused: %s: %s", reason_of(error), ascii(event)[:2_000])
            entry = numbered(number, rejected(event, reason_of(error)))
            return entry, line(entry)
