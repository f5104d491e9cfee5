"""The events of calls in files, before the database has them: what survives the sudden end of the program.

A folder of segments, each a text file of one line an event: a checksum, a space, and a JSON list of the event's number,
time, type, call, leg and data. Numbers go up by one and are never used twice, so that a place in the spool is a number.
A segment is named by the first number in it and by the spool, which keeps its name for as long as its folder is there.
What a former run left is read and never written to: a line that was cut off stays the last of its file.

Nothing here knows the database: :mod:`ivr.records.writer` does, and says which numbers are no longer needed.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast
from zlib import crc32

from ivr.records.database import RecordsError
from ivr.records.events import EventType, RecordEvent, as_json
from ivr.records.keeping import SPOOL_BOUND

log = logging.getLogger(__name__)

_SEGMENT: Final = 4_000_000
_FIRST_SEGMENTS: Final = 256_000
# Small as long as they are deleted soon: what the database has stays no longer than it must.
_READ: Final = 1_000_000
_SUFFIX: Final = ".jsonl"


@dataclass(frozen=True, slots=True)
class Numbered:
    """An event on its way."""

    number: int
    event: RecordEvent
    data: str | None
    """The event's data as JSON; None if there are none."""


@dataclass(slots=True, eq=False)
class _Segment:
    first: int
    """Number of its first event, or of the one that would be."""
    path: Path
    size: int = 0
    """Bytes, as far as it is whole."""
    synced: int = 0


def numbered(number: int, event: RecordEvent) -> Numbered:
    """Raises TypeError, ValueError or RecursionError if the event's data are not JSON."""
    return Numbered(number, event, as_json(event.data if type(event.data) is dict else dict(event.data)))


def line(entry: Numbered) -> bytes:
    """As it stands in a segment. Raises as :func:`numbered`."""
    event = entry.event
    head = as_json([entry.number, event.at, event.type, event.call_id, event.leg_id]) or ""
    body = f"{head[:-1]},{entry.data or 'null'}]".encode()
    return b"%08x %s\n" % (crc32(body), body)


def parsed(text: bytes) -> Numbered | None:
    """The event of a line without its end; None if it is not as it was written."""
    checksum, _, body = text.partition(b" ")
    if checksum != b"%08x" % crc32(body):
        return None
    try:
        number, at, kind, call_id, leg_id, data = json.loads(body)
    except (ValueError, TypeError, RecursionError):
        return None
    return Numbered(number, RecordEvent(at, cast(EventType, kind), call_id, leg_id, data or {}), as_json(data))


class Spool:
    """Owns the folder. One thread may :meth:`read` while another writes; the rest is for that other one."""

    def __init__(self, folder: Path, *, bound: int = SPOOL_BOUND) -> None:
        """Look at what is there.

        Raises RecordsError if the folder cannot be used, or another process does.
        """
        self._folder = folder
        self._bound = bound
        self.error: str | None = None
        """Why the last events could not be written; None if they could."""
        self._file: int | None = None
        self._cursor: tuple[_Segment, int, int] | None = None
        self._lock = self._claim()
        found = list(_segments(folder))
        self.name = found[-1].path.name.split(".")[1] if found else secrets.token_hex(8)
        """Told apart from every other spool, also of the same node."""
        self._segments = tuple(segment for segment in found if segment.path.name.split(".")[1] == self.name)
        """In order; the last one is written to once it is :meth:`begun <begin>`."""
        if len(self._segments) < len(found):
            log.error("records: files of another spool are in %s: they are left alone", folder)
        self._next = self._last_written() + 1
        self.begun_after = 0
        """The highest number that the database knew at the beginning."""

    def _claim(self) -> int:
        remedy = "Give this user the right to write there, and see that the disk is not full"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            problem = f"The spool of the records at {self._folder} cannot be used ({error.strerror or error})"
            raise RecordsError(problem, remedy) from error
        try:
            # Of this process alone, not of its children: it goes with the process, however that ends.
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise RecordsError(
                f"Another server of this site runs: it writes to the spool of the records at {self._folder}",
                "End it, or give this one a folder of its own",
            ) from error
        return lock

    @property
    def last(self) -> int:
        """The highest number given so far."""
        return self._next - 1

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return sum(segment.size for segment in self._segments)

    @property
    def filling(self) -> float:
        """How much of the bound that is."""
        return self.size / self._bound

    # Writing. ---------------------------------------------------------------------------------------------

    def begin(self, after: int) -> None:
        """Open a segment. ``after``: the highest number that the database knows."""
        self.begun_after = after
        self._next = max(self._next, after + 1)
        while any(segment.first == self._next and segment.size for segment in self._segments):
            # Nothing in it can be read: it keeps its number, so that it is told.
            self._next += 1
        self._rotate()

    def write(self, lines: bytes, through: int) -> bool:
        """Write the lines of the events that follow :attr:`last`, through that number.

        All or nothing; then :attr:`error` says why. Waits for the disk where it keeps one waiting.
        """
        if self._file is None:
            self._rotate()
        self._next = through + 1
        if self._file is None or not self._write(lines):
            return False
        if self.error is not None:
            self.error = None
            log.warning("records: events are written to the spool again")
        if self._segments[-1].size >= (_SEGMENT if len(self._segments) > 2 else _FIRST_SEGMENTS):
            self._rotate()
        return True

    def _write(self, content: bytes) -> bool:
        assert self._file is not None
        if self.size + len(content) > self._bound:
            return self._failed(f"the spool has reached its bound of {self._bound / 1e6:.0f} MB")
        written = 0
        try:
            while written < len(content):
                written += os.write(self._file, content[written:])
        except OSError as error:
            # What stands there in part is no line; a rest that cannot be cut off has no valid checksum.
            self._cut()
            return self._failed(f"{error.strerror or error}: {self._folder}")
        self._segments[-1].size += len(content)
        return True

    def _failed(self, why: str) -> bool:
        if self.error is None:
            log.error("records: the spool takes nothing, a crash may cost events: %s", why)
        self.error = why
        return False

    def _cut(self) -> None:
        assert self._file is not None
        try:
            os.ftruncate(self._file, self._segments[-1].size)
        except OSError as error:
            log.debug("records: cutting off a segment: %s", error)

    def _rotate(self) -> None:
        """Go on in a new segment; with the old one if that cannot be made."""
        path = self._folder / f"{self._next:020}.{self.name}{_SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            file = os.open(path, flags, 0o600)
        except OSError as error:
            self._failed(f"{error.strerror or error}: {path}")
            return
        if self._file is not None:
            os.close(self._file)
        self._file = file
        self._segments = (
            *(segment for segment in self._segments if segment.path != path),
            _Segment(self._next, path),
        )

    def discard(self, through: int, *, idle: bool = False) -> None:
        """Events up to that number are needed no more. ``idle``: nothing was written for a while."""
        if idle and self._file is not None and through >= self.last and self._segments[-1].size:
            self._rotate()
        kept = list(self._segments)
        while len(kept) > 1 and kept[1].first <= through + 1:
            try:
                kept[0].path.unlink(missing_ok=True)
            except OSError as error:
                log.error("records: a segment of the spool cannot be deleted: %s", error)
                break
            del kept[0]
        if len(kept) < len(self._segments):
            self._segments = tuple(kept)

    @property
    def empty(self) -> bool:
        """Nothing is in the files."""
        return self.size == 0 and len(self._segments) <= 1

    def sync(self) -> None:
        """Have what was written survive a power cut too. Waits for the disk; for the thread that reads."""
        for segment in self._segments:
            size = segment.size
            if segment.synced < size and _sync(segment.path):
                segment.synced = size
        _sync(self._folder)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        os.close(self._lock)

    # Reading. ---------------------------------------------------------------------------------------------

    def read(self, after: int, limit: int, before: int | None = None) -> list[Numbered]:
        """Events behind the number ``after`` and below ``before``, in order; at most about ``limit`` of them.

        Those that are not as they were written are left out and told of. None are left if the list is empty.
        """
        found: list[Numbered] = []
        segments = self._segments
        for index, segment in enumerate(segments):
            following = segments[index + 1].first if index + 1 < len(segments) else None
            if following is not None and following <= after + 1:
                continue
            if before is not None and segment.first >= before:
                break
            for entry in self._lines_of(segment, after):
                if before is not None and entry.number >= before:
                    return found
                found.append(entry)
                if len(found) >= limit:
                    return found
        return found

    def _lines_of(self, segment: _Segment, after: int) -> Iterator[Numbered]:
        """The whole lines of a segment behind that number; where the last reading ended it is gone on with."""
        offset = 0
        if self._cursor is not None and self._cursor[0].path == segment.path and self._cursor[1] == after:
            offset = self._cursor[2]
        try:
            file = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            log.error("records: a segment of the spool cannot be read, its events are lost: %s", error)
            return
        damaged = 0
        try:
            # Of the segment that is being written to no more than what is whole.
            end = segment.size
            rest = b""
            while offset + len(rest) < end:
                part = os.pread(file, min(_READ, end - offset - len(rest)), offset + len(rest))
                if not part:
                    break
                *lines, rest = (rest + part).split(b"\n")
                for text in lines:
                    offset += len(text) + 1
                    entry = parsed(text)
                    if entry is None:
                        damaged += 1
                    elif entry.number > after:
                        self._cursor = (segment, entry.number, offset)
                        yield entry
            if rest and (entry := parsed(rest)) is not None:
                # Whole but for its end.
                if entry.number > after:
                    yield entry
            else:
                damaged += bool(rest)
        except OSError as error:
            log.error("records: a segment of the spool cannot be read any further: %s", error)
        finally:
            os.close(file)
            if damaged:
                log.error("records: %d lines of %s are damaged and were left out", damaged, segment.path)

    def _last_written(self) -> int:
        """The highest number that can be read, or could have been."""
        for segment in reversed(self._segments):
            try:
                lines = segment.path.read_bytes().split(b"\n")
            except OSError as error:
                raise RecordsError(
                    f"The spool of the records cannot be read ({error})", "Give this user the right to read it"
                ) from error
            for text in reversed(lines):
                entry = parsed(text)
                if entry is not None:
                    return entry.number
            return segment.first - 1
        return 0


def _sync(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        log.debug("records: the spool could not be synced: %s", error)
        return False
    return True


def _segments(folder: Path) -> Iterator[_Segment]:
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        first, _, rest = path.name.partition(".")
        if first.isdecimal() and rest.count(".") == 1:
            yield _Segment(int(first), path, path.stat().st_size)
