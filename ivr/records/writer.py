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

import contextlib
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, ProgrammingError, SQLAlchemyError

from ivr.records.database import RecordsError, open_database
from ivr.records.derive import CallRecord, Changes, identifier
from ivr.records.events import RecordEvent
from ivr.records.progress import Progress
from ivr.records.recovery import close_some_dead_calls
from ivr.records.spool import Numbered, Spool, line, numbered
from ivr.records.store import Batch, event_row, recall, rejected, write

log = logging.getLogger(__name__)

T = TypeVar("T")

QUEUE_BOUND: Final = 200_000
"""Events kept in memory where nothing else takes them: 100 MB, or a quarter of an hour at ten calls a second."""

_AHEAD_BOUND: Final = 20_000
"""Events kept in memory that are in the spool as well, to spare reading them from there."""

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
_SEEN_EVERY_S: Final = 30.0
_SYNC_EVERY_S: Final = 1.0

_INTERVAL_S = (0.02, 0.1)
_REST = 100
# From one batch to the next: this many times the processor time of the first, within the bounds. A batch costs almost
# the same however little is in it, and calls wait for the interpreter lock meanwhile: at 100 calls a second the writer
# takes 0.42 ms a call every 26 ms, 0.32 every 50 ms, 0.25 every 100 ms, and only 0.21 every 200 ms.
_BATCH_BOUND = 2_000
_BACK_OFF_S = (0.05, 2.0)
_OPEN_CALLS_BOUND = 20_000
_ENDED_CALLS_BOUND = 1_000


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
                    f"The records cannot be written: {_words(error)}", "See the log of the database"
                ) from error
        self._spool = spool
        self._tables = _Tables(self._engine, spool, progress, node_id, self._dropped_so_far)
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
        written = _Bell()
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


class _Bell:
    """Wakes the one thread that waits, or the next one that does: an event without its condition, for little."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        # Rung before and not yet heard: once is enough.
        with contextlib.suppress(RuntimeError):
            self._lock.release()

    def wait(self, timeout_s: float) -> bool:
        return self._lock.acquire(timeout=timeout_s)


class _GivenUp(Exception):
    """The writer was closed while the database was away."""


# Into the spool. ------------------------------------------------------------------------------------------


class _Intake(threading.Thread):
    """Numbers events, writes them to the spool, and passes them on. The only one that changes the spool's files."""

    def __init__(self, spool: Spool | None, tables: _Tables) -> None:
        super().__init__(name="records-spool", daemon=True)
        self.queue: SimpleQueue[RecordEvent | _Bell | threading.Event | None] = SimpleQueue()
        """A bell is rung when the spool has everything before it, an event set when the tables have; None ends it."""
        self.hurry = _Bell()
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
                if isinstance(one, _Bell):
                    one.ring()
                else:
                    self._tables.flush(one)
            if more and events and len(events) < _INTAKE_BOUND:
                self.hurry.wait(_SPOOL_EVERY_S)
        self._tables.end()

    def _drain(self) -> tuple[list[RecordEvent], list[_Bell | threading.Event], bool]:
        """Wait for something, then take what is there; False at the end of all."""
        events: list[RecordEvent] = []
        waiting: list[_Bell | threading.Event] = []
        try:
            item = self.queue.get(timeout=self._patience)
            while item is not None:
                if isinstance(item, (_Bell, threading.Event)):
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
            log.error("records: event refused: %s: %s", _words(error), ascii(event)[:2_000])
            entry = numbered(number, rejected(event, _words(error)))
            return entry, line(entry)


# Into the tables. -----------------------------------------------------------------------------------------


class _Tables(threading.Thread):
    """The only one that writes to the database."""

    def __init__(
        self,
        engine: Engine,
        spool: Spool | None,
        progress: Progress | None,
        node_id: str | None,
        dropped: Callable[[], int],
    ) -> None:
        super().__init__(name="records", daemon=True)
        self.former = spool.last if spool is not None else 0
        """The highest number that a former run gave."""
        self.taken = spool.begun_after if spool is not None else 0
        """Everything through this number is in the tables, or given up for good."""
        self.from_memory = 0
        """Events that are no longer in memory."""
        self.written = 0
        self.rejected = 0
        self.lost = 0
        self.last_error: str | None = None
        self.failing = False
        self.give_up = threading.Event()
        self.caught_up = threading.Event()
        self._engine = engine
        self._spool = spool
        self._progress = progress
        self._node_id = node_id
        self._dropped = dropped
        self._dropped_told = 0
        self._lock = threading.Lock()
        """Of the next four."""
        self._ahead: deque[Numbered] = deque()
        self._last = self.former
        self._flushes: list[tuple[int, threading.Event]] = []
        self._ended = False
        self._more = _Bell()
        self._synced = 0.0
        self._came_from_memory = False
        self._connection: Connection | None = None
        self._calls = _Calls()

    # From the other thread. -------------------------------------------------------------------------------

    def pass_on(self, entries: Sequence[Numbered], *, spooled: bool = False) -> int:
        """Have them written. Returns how many are not kept in memory, because the spool has them."""
        if not entries:
            return 0
        left = 0
        with self._lock:
            for entry in entries:
                if spooled and len(self._ahead) >= _AHEAD_BOUND:
                    left += 1
                else:
                    self._ahead.append(entry)
            self._last = entries[-1].number
        self._more.ring()
        return left

    def flush(self, reached: threading.Event) -> None:
        """Set it when everything passed on so far is in the tables."""
        with self._lock:
            self._flushes.append((self._last, reached))
        self._more.ring()

    def end(self) -> None:
        """Nothing more is passed on."""
        self._ended = True
        self._more.ring()

    # The thread. ------------------------------------------------------------------------------------------

    def run(self) -> None:
        try:
            self._take_through(self.former)
            self._close_dead_calls()
            self.caught_up.set()
            self._take_all()
        except _GivenUp:
            pass
        finally:
            self._disconnect()

    def _take_through(self, number: int) -> None:
        """What a former run left in the spool."""
        if self.taken < number:
            log.warning("records: %d events of the last run are taken over from the spool", number - self.taken)
        while self.taken < number and (entries := self._next(through=number)):
            self._write_all(entries)
            if self.give_up.is_set():
                raise _GivenUp

    def _take_all(self) -> None:
        while not self.give_up.is_set():
            started, used = time.monotonic(), time.thread_time()
            ended = self._ended
            entries = self._next()
            if entries:
                self._write_all(entries)
            self._tell_flushed()
            self._tell_dropped()
            if not entries:
                if ended:
                    return
                if not self._more.wait(_SEEN_EVERY_S) and self._progress is not None:
                    self._try(self._progress.seen)
                continue
            shortest, longest = _INTERVAL_S
            interval = min(max(shortest, _REST * (time.thread_time() - used)), longest)
            pause = started + interval - time.monotonic()
            if pause > 0 and len(entries) < _BATCH_BOUND and not self._ended:
                time.sleep(pause)

    def _next(self, through: int | None = None) -> list[Numbered]:
        """The events that come next, from memory or from the spool; empty if there are none."""
        while True:
            with self._lock:
                entries = self._next_in_memory()
                before = self._ahead[0].number if self._ahead else None
                last = self._last if through is None else through
            if entries:
                self._came_from_memory = True
                return entries
            if self.taken >= last:
                return []
            bound = last + 1 if before is None else min(before, last + 1)
            entries = [] if self._spool is None else self._spool.read(self.taken, _BATCH_BOUND, bound)
            self._came_from_memory = False
            if entries:
                self._tell_lost(entries[-1].number - self.taken - len(entries))
                return entries
            self._tell_lost(bound - 1 - self.taken)
            self.taken = bound - 1

    def _next_in_memory(self) -> list[Numbered]:
        ahead, number = self._ahead, self.taken
        entries: list[Numbered] = []
        while ahead and ahead[0].number == number + 1 and len(entries) < _BATCH_BOUND:
            entries.append(ahead.popleft())
            number += 1
        return entries

    def _tell_lost(self, count: int) -> None:
        if count > 0:
            self.lost += count
            log.error("records: %d events of the spool cannot be read and are lost", count)

    def _tell_flushed(self) -> None:
        with self._lock:
            reached = [event for number, event in self._flushes if number <= self.taken]
            self._flushes = [(number, event) for number, event in self._flushes if number > self.taken]
        for event in reached:
            event.set()

    def _tell_dropped(self) -> None:
        dropped = self._dropped()
        if dropped != self._dropped_told:
            log.error(
                "records: %d events were dropped, %d in all: more came than the database took",
                dropped - self._dropped_told,
                dropped,
            )
            self._dropped_told = dropped

    def _close_dead_calls(self) -> None:
        node_id = self._node_id
        if node_id is None:
            return
        closed = 0
        while some := self._try(lambda connection: close_some_dead_calls(connection, node_id)):
            closed += some
        if closed:
            log.warning("records: %d calls were open when node %s died; closed at their last event", closed, node_id)

    # Writing. ---------------------------------------------------------------------------------------------

    def _write_all(self, entries: Sequence[Numbered]) -> None:
        """Write the events in order; those that the database refuses are found by halves, and leave a stand-in."""
        try:
            self._write(entries)
        except _GivenUp:
            raise
        except Exception as error:
            self._calls.forget(identifier(entry.event.call_id) for entry in entries)
            if len(entries) == 1:
                self._reject(entries[0], _words(error))
                return
            log.warning("records: a batch of %d events was refused, halving it: %s", len(entries), _words(error))
            half = len(entries) // 2
            self._write_all(entries[:half])
            self._write_all(entries[half:])

    def _reject(self, entry: Numbered, reason: str) -> None:
        event = entry.event
        self.rejected += 1
        self.last_error = reason
        log.error("records: event refused: %s: %s", reason, ascii(event)[:2_000])
        try:
            self._write([numbered(entry.number, rejected(event, reason))])
        except _GivenUp:
            raise
        except Exception as worse:
            # The thread outlives any mistake: what comes next shall still be written.
            log.error("records: nor can a stand-in be written: %s", _words(worse))
            self._calls.forget([identifier(event.call_id)])
            self._done([entry])

    def _write(self, entries: Sequence[Numbered]) -> None:
        """Write the events or none of them.

        Raises _GivenUp, or whatever the data made the database raise.
        """
        missing = self._calls.missing(entries)
        if missing:
            self._patiently(lambda connection: self._recall(missing, connection))
        batch = self._calls.derive(entries)
        number = entries[-1].number
        self._patiently(lambda connection: self._commit(batch, number, connection))
        self._calls.tidy()
        self.written += len(entries)
        self._done(entries)

    def _done(self, entries: Sequence[Numbered]) -> None:
        if self._came_from_memory:
            self.from_memory += len(entries)
        self.taken = entries[-1].number

    def _commit(self, batch: Batch, number: int, connection: Connection) -> None:
        if self._progress is None or self._progress.advance(connection, number):
            write(connection, batch)

    def _recall(self, call_ids: Sequence[str], connection: Connection) -> None:
        for call_id in call_ids:
            self._calls.open[call_id] = CallRecord(call_id)
        for call_id, record in recall(connection, call_ids):
            record.take_changes(Changes())
            self._calls.open[call_id] = record

    # The database, and its absence. -----------------------------------------------------------------------

    def _patiently(self, work: Callable[[Connection], T]) -> T:
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
                    done = work(self._connection)
            except Exception as error:
                self._disconnect()
                if not _is_outage(error):
                    raise
                self._tell_outage(_words(error))
                if self.give_up.wait(delay):
                    raise _GivenUp from error
                delay = min(2 * delay, longest)
            else:
                if self.failing:
                    self.failing = False
                    log.warning("records: the database is back after %.1f s", time.monotonic() - since)
                return done

    def _try(self, work: Callable[[Connection], T]) -> T | None:
        """As above, but for what can be done without: None if the database has something against it."""
        try:
            return self._patiently(work)
        except _GivenUp:
            raise
        except Exception:
            log.exception("records: the database refuses what is no event")
            return None

    def _tell_outage(self, words: str) -> None:
        self.last_error = words
        if not self.failing:
            self.failing = True
            kept = "in memory" if self._spool is None else "in the spool"
            log.error("records: the database takes nothing, events are kept %s: %s", kept, words)
        self._tell_dropped()
        if self._spool is not None and time.monotonic() - self._synced >= _SYNC_EVERY_S:
            # Nobody else has them now. This thread has nothing better to do than to wait for a disk.
            self._spool.sync()
            self._synced = time.monotonic()

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
        self._doubtful: set[str] = set()
        """Calls whose rows were refused: what the database has of them has to be asked, even if they only arrive."""

    def missing(self, entries: Sequence[Numbered]) -> list[str]:
        """Calls that have to be recalled before the events can be derived."""
        missing: dict[str, None] = {}
        for entry in entries:
            event = entry.event
            if event.call_id in self.open:
                continue
            call_id = identifier(event.call_id)
            if call_id is None or call_id in self.open or call_id in missing:
                continue
            if call_id in self._ended:
                self.open[call_id] = self._ended.pop(call_id)
            elif event.type == "call.arrived" and call_id not in self._doubtful:
                self.open[call_id] = CallRecord(call_id)
            else:
                missing[call_id] = None
        self._doubtful.difference_update(missing)
        return list(missing)

    def derive(self, entries: Sequence[Numbered]) -> Batch:
        batch = Batch()
        touched: dict[str, CallRecord] = {}
        for entry in entries:
            event = entry.event
            call_id = event.call_id
            if call_id not in self.open:
                clean = identifier(call_id)
                if clean is None:
                    batch.events.append(event_row(event, None, None, entry.data))
                    continue
                call_id = clean
            record = touched[call_id] = self.open[call_id]
            batch.events.append(event_row(event, call_id, record.events, entry.data))
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
                self._doubtful.add(call_id)


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
