"""The thread that writes the records. A call drops its events here and goes on.

Everything queued goes into the database in one transaction: at once if the writer is idle, else 20 ms after the last
one began, and at most 100 ms where batches are more than a handful of rows. While the database does not answer, events
stay in memory, in order, up to a bound.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, ProgrammingError, SQLAlchemyError

from ivr.records.database import open_database
from ivr.records.derive import CallRecord, Changes, identifier
from ivr.records.events import RecordEvent
from ivr.records.journal import KEPT, CallJournal
from ivr.records.store import Batch, event_row, recall, rejected_row, write

log = logging.getLogger(__name__)

QUEUE_BOUND = 200_000
"""Events kept while the database is away: about 100 MB, or a quarter of an hour at ten calls a second."""

_DETAIL = frozenset({"key", "prompt.end", "log", "flow.step", "leg.signalling"})
"""What is given up first, from 3/4 of the bound on: rows of calls and legs can do without."""

_INTERVAL_S = (0.02, 0.1)
_REST = 100
# From one batch to the next: this many times the processor time of the first, within the bounds. A batch costs almost
# the same however little is in it, and calls wait for the interpreter lock meanwhile: at 100 calls a second the writer
# takes 0.42 ms a call every 26 ms, 0.32 every 50 ms, 0.25 every 100 ms, and only 0.21 every 200 ms: so much is not
# worth the events that a crash would cost.
_BATCH_BOUND = 2_000
_BACK_OFF_S = (0.05, 2.0)
_OPEN_CALLS_BOUND = 20_000
_ENDED_CALLS_BOUND = 1_000


@dataclass(frozen=True, slots=True)
class WriterStatistics:
    queued: int
    """Events in memory that are not in the database yet."""
    written: int
    dropped: int
    """Events given up because the bound was reached or the writer was closed."""
    rejected: int
    """Events that the database refused; stand-ins of type ``rejected`` tell why."""
    last_error: str | None
    failing: bool
    """The database does not take batches at present."""


class RecordWriter:
    """Owns the way from events to tables, and the thread on it. Call ids are never used twice."""

    def __init__(self, database: str | Engine, *, bound: int = QUEUE_BOUND, journal: CallJournal | None = None) -> None:
        """Open the database if given by its URL, and start the thread. The journal is the writer's to close.

        Raises RecordsError.
        """
        self._owns_engine = isinstance(database, str)
        self._engine = open_database(database) if isinstance(database, str) else database
        self._bound = bound
        self._detail_bound = bound * 3 // 4
        self._queue: SimpleQueue[RecordEvent | threading.Event | None] = SimpleQueue()
        self._closed = False
        self._dropped = 0
        self._journal = journal
        self._thread = _Thread(self._engine, self._queue, self._dropped_so_far, journal)
        self._thread.start()

    def append(self, event: RecordEvent) -> None:
        """Have the event written soon. Never waits, never raises; the event's data must not change any more."""
        waiting = self._queue.qsize() + self._thread.held
        if self._closed or waiting >= (self._detail_bound if event.type in _DETAIL else self._bound):
            self._dropped += 1
            return
        self._queue.put(event)
        if self._journal is not None and event.type in KEPT:
            self._journal.write(event)

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything appended so far is in the database; False if that takes longer. Not for a call."""
        reached = threading.Event()
        self._queue.put(reached)
        return reached.wait(timeout_s)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write what is queued and end the thread; False if that took too long and events are lost."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._thread.give_up.set()
            # It may sit in a statement; then it ends with the process.
            self._thread.join(0.2)
        lost = self.statistics.queued
        if lost:
            log.error("records: closed with %d events not written: %s", lost, self._thread.last_error)
        if self._journal is not None and not self._thread.is_alive():
            self._journal.close(complete=not lost)
            self._journal = None
        if self._owns_engine and not self._thread.is_alive():
            self._engine.dispose()
        return not lost and not self._thread.is_alive()

    @property
    def statistics(self) -> WriterStatistics:
        thread = self._thread
        return WriterStatistics(
            queued=self._queue.qsize() + thread.held,
            written=thread.written,
            dropped=self._dropped,
            rejected=thread.rejected,
            last_error=thread.last_error,
            failing=thread.failing,
        )

    def _dropped_so_far(self) -> int:
        return self._dropped


class _GivenUp(Exception):
    """The writer was closed while the database was away."""


class _Thread(threading.Thread):
    """The only one that touches the database."""

    def __init__(
        self,
        engine: Engine,
        queue: SimpleQueue[RecordEvent | threading.Event | None],
        dropped: Callable[[], int],
        journal: CallJournal | None,
    ) -> None:
        super().__init__(name="records", daemon=True)
        self.held = 0
        self.written = 0
        self.rejected = 0
        self.last_error: str | None = None
        self.failing = False
        self.give_up = threading.Event()
        self._engine = engine
        self._queue = queue
        self._dropped = dropped
        self._dropped_told = 0
        self._journal = journal
        self._emptied = True
        self._connection: Connection | None = None
        self._calls = _Calls()

    def run(self) -> None:
        try:
            more = True
            while more:
                events, flushes, more = self._drain()
                started, used = time.monotonic(), time.thread_time()
                if events:
                    self._write_all(events)
                    self.held = 0
                if self._journal is not None and self._emptied:
                    self._journal.settled()
                for flush in flushes:
                    flush.set()
                self._tell_dropped()
                shortest, longest = _INTERVAL_S
                interval = min(max(shortest, _REST * (time.thread_time() - used)), longest)
                pause = started + interval - time.monotonic()
                if more and pause > 0 and len(events) < _BATCH_BOUND:
                    time.sleep(pause)
        except _GivenUp:
            pass
        finally:
            self._disconnect()

    def _drain(self) -> tuple[list[RecordEvent], list[threading.Event], bool]:
        """Wait for something, then take what is there; False at the end of all."""
        events: list[RecordEvent] = []
        flushes: list[threading.Event] = []
        item = self._queue.get()
        if self._journal is not None:
            self._journal.turn()
        self._emptied = False
        try:
            while item is not None:
                if isinstance(item, threading.Event):
                    flushes.append(item)
                else:
                    events.append(item)
                    self.held = len(events)
                    if len(events) >= _BATCH_BOUND:
                        return events, flushes, True
                item = self._queue.get_nowait()
        except Empty:
            self._emptied = True
            return events, flushes, True
        return events, flushes, False

    def _tell_dropped(self) -> None:
        dropped = self._dropped()
        if dropped != self._dropped_told:
            log.error(
                "records: %d events were dropped, %d in all: more came than the database took",
                dropped - self._dropped_told,
                dropped,
            )
            self._dropped_told = dropped

    # Writing. ---------------------------------------------------------------------------------------------

    def _write_all(self, events: Sequence[RecordEvent]) -> None:
        try:
            self._write(events)
        except _GivenUp:
            raise
        except Exception as error:
            log.warning("records: a batch of %d events was refused, trying them apart: %s", len(events), _words(error))
            try:
                self._write_apart(events)
            except _GivenUp:
                raise
            except Exception:
                # The thread outlives any mistake: what comes next shall still be written.
                self.rejected += self.held
                log.exception("records: %d events could not be written", self.held)

    def _write_apart(self, events: Sequence[RecordEvent]) -> None:
        """Find the events that the database refuses: call by call, then event by event."""
        by_call: dict[str | None, list[RecordEvent]] = {}
        for event in events:
            by_call.setdefault(identifier(event.call_id), []).append(event)
        self._calls.forget(by_call)
        for call_id, some in by_call.items():
            try:
                self._write(some, known=False)
            except _GivenUp:
                raise
            except Exception:
                self._calls.forget([call_id])
                for event in some:
                    self._write_or_reject(call_id, event)
            self.held -= len(some)

    def _write_or_reject(self, call_id: str | None, event: RecordEvent) -> None:
        try:
            self._write([event], known=False)
        except _GivenUp:
            raise
        except Exception as error:
            self._calls.forget([call_id])
            self.rejected += 1
            self.last_error = reason = _words(error)
            log.error("records: event refused: %s: %s", reason, ascii(event)[:2_000])
            try:
                self._write_stand_in(call_id, event, reason)
            except _GivenUp:
                raise
            except Exception as worse:
                log.error("records: nor can a stand-in be written: %s", _words(worse))

    def _write_stand_in(self, call_id: str | None, event: RecordEvent, reason: str) -> None:
        """Leave a mark in the place of an event; its call is derived again without it."""
        seq = None
        if call_id is not None:
            self._patiently(lambda connection: self._recall([call_id], connection))
            seq = self._calls.open[call_id].events
        batch = Batch([rejected_row(event, call_id, seq, reason)])
        self._patiently(lambda connection: write(connection, batch))
        self._calls.forget([call_id])

    def _write(self, events: Sequence[RecordEvent], *, known: bool = True) -> None:
        """Write all of the events or none; ``known``: calls that arrive are new for sure.

        Raises _GivenUp, or whatever the data made the database raise.
        """
        missing = self._calls.missing(events, known)
        if missing:
            self._patiently(lambda connection: self._recall(missing, connection))
        batch = self._calls.derive(events)
        self._patiently(lambda connection: write(connection, batch))
        self._calls.tidy()
        self.written += len(events)

    def _recall(self, call_ids: Sequence[str], connection: Connection) -> None:
        for call_id in call_ids:
            self._calls.open[call_id] = CallRecord(call_id)
        for call_id, record in recall(connection, call_ids):
            record.take_changes(Changes())
            self._calls.open[call_id] = record

    # The database, and its absence. -----------------------------------------------------------------------

    def _patiently(self, work: Callable[[Connection], None]) -> None:
        """Do the work in a transaction; while there is no database, again and again.

        Raises _GivenUp, or what the database has against the data.
        """
        delay, longest = _BACK_OFF_S
        since = time.monotonic()
        while True:
            try:
                if self._connection is None:
                    self._connection = self._engine.connect()
                with self._connection.begin():
                    work(self._connection)
            except Exception as error:
                self._disconnect()
                if not _is_outage(error):
                    raise
                self.last_error = _words(error)
                if not self.failing:
                    self.failing = True
                    log.error("records: the database takes nothing, events are kept in memory: %s", self.last_error)
                self._tell_dropped()
                if self.give_up.wait(delay):
                    raise _GivenUp from error
                delay = min(2 * delay, longest)
            else:
                if self.failing:
                    self.failing = False
                    log.warning("records: the database is back after %.1f s", time.monotonic() - since)
                return

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.invalidate()
            connection.close()
        except Exception as error:
            log.debug("records: closing a broken connection: %s", error)


class _Calls:
    """Calls under way, as far as they are remembered; any other can be derived again from its events."""

    def __init__(self) -> None:
        self.open: OrderedDict[str, CallRecord] = OrderedDict()
        # Something often follows a call's end: the report of a leg, a tag.
        self._ended: OrderedDict[str, CallRecord] = OrderedDict()

    def missing(self, events: Sequence[RecordEvent], known: bool) -> list[str]:
        """Calls that have to be recalled before the events can be derived."""
        missing: dict[str, None] = {}
        for event in events:
            if event.call_id in self.open:
                continue
            call_id = identifier(event.call_id)
            if call_id is None or call_id in self.open or call_id in missing:
                continue
            if call_id in self._ended:
                self.open[call_id] = self._ended.pop(call_id)
            elif known and event.type == "call.arrived":
                self.open[call_id] = CallRecord(call_id)
            else:
                missing[call_id] = None
        return list(missing)

    def derive(self, events: Sequence[RecordEvent]) -> Batch:
        batch = Batch()
        touched: dict[str, CallRecord] = {}
        for event in events:
            call_id = event.call_id
            if call_id not in self.open:
                clean = identifier(call_id)
                if clean is None:
                    batch.events.append(event_row(event, None, None))
                    continue
                call_id = clean
            record = touched[call_id] = self.open[call_id]
            batch.events.append(event_row(event, call_id, record.events))
            record.apply(event)
        for call_id, record in touched.items():
            record.take_changes(batch.changes)
            if record.ended:
                self._ended[call_id] = self.open.pop(call_id)
            else:
                self.open.move_to_end(call_id)
        return batch

    def tidy(self) -> None:
        while len(self._ended) > _ENDED_CALLS_BOUND:
            self._ended.popitem(last=False)
        while len(self.open) > _OPEN_CALLS_BOUND:
            self.open.popitem(last=False)

    def forget(self, call_ids: Iterable[str | None]) -> None:
        for call_id in call_ids:
            if call_id is not None:
                self.open.pop(call_id, None)
                self._ended.pop(call_id, None)


def _is_outage(error: Exception) -> bool:
    """Whether the database is away, locked or full, so that the same may succeed later; else the data are at fault."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, (SQLAlchemyError, OSError, MemoryError))
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(state, str):
        # Data, constraint, too much for an index, not supported: the same again would fail again.
        return state[:2] not in ("0A", "21", "22", "23", "54")
    if isinstance(error, (DataError, IntegrityError)):
        return False
    # Without a state of the server, these two are a value that the driver cannot pass on.
    return error.connection_invalidated or not isinstance(error, (InterfaceError, ProgrammingError))


def _words(error: BaseException) -> str:
    """In one line."""
    return " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split()) or type(error).__name__
