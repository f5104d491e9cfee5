"""From the spool into the tables: the thread that derives rows from events, and keeps on while the database is away.

Everything there is goes into one transaction, with the number of its last event.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, ProgrammingError, SQLAlchemyError

from ivr.records.bell import Bell
from ivr.records.derive import CallRecord, Changes, identifier
from ivr.records.progress import Progress
from ivr.records.recovery import close_some_dead_calls
from ivr.records.spool import Numbered, Spool, numbered
from ivr.records.store import Batch, event_row, recall, rejected, write

__all__ = ["Tables", "reason_of"]

log = logging.getLogger(__name__)

T = TypeVar("T")

_AHEAD_BOUND: Final = 20_000
"""Events kept in memory that are in the spool as well, to spare reading them from there."""

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


class _GivenUp(Exception):
    """The writer was closed while the database was away."""


class Tables(threading.Thread):
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
        self._more = Bell()
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
                self._reject(entries[0], reason_of(error))
                return
            log.warning("records: a batch of %d events was refused, halving it: %s", len(entries), reason_of(error))
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
            log.error("records: nor can a stand-in be written: %s", reason_of(worse))
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
                self._tell_outage(reason_of(error))
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


def reason_of(error: BaseException) -> str:
    """In one line."""
    return " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split()) or type(error).__name__
