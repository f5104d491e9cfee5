"""Calendars closed by hand, kept in a small file beside the state of the site, so that a restart does not open them.

The file is looked at for every decision (one ``stat``) and read when it has changed: what is closed at a terminal
holds for the next caller. Whoever has another way to tell a running server implements :class:`Closings`.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from ivr.calendar.model import Closing

log = logging.getLogger("ivr.calendar")

FILE = "closings.json"
_LIMIT = 1_000_000
"""Bytes."""


class Closings(Protocol):
    """What is closed by hand now."""

    def closing(self, calendar: str) -> Closing | None:
        """Never waits and never fails."""


class NothingClosed:
    def closing(self, calendar: str) -> Closing | None:
        return None


class ClosingFile:
    """The closings in ``closings.json`` of a folder. Reading never fails: a broken file leaves what was known."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._seen: tuple[int, int, int] | None = None
        self._closings: Mapping[str, Closing] = {}

    def closing(self, calendar: str) -> Closing | None:
        self._look()
        return self._closings.get(calendar)

    def all(self) -> Mapping[str, Closing]:
        self._look()
        return self._closings

    def close(self, calendar: str, closing: Closing) -> None:
        """Close a calendar. Raises OSError."""
        with self._changed() as closings:
            closings[calendar] = closing

    def open(self, calendar: str) -> bool:
        """Take a closing back; whether there was one. Raises OSError."""
        with self._changed() as closings:
            return closings.pop(calendar, None) is not None

    def _look(self) -> None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._seen, self._closings = None, {}
            return
        except OSError as error:
            log.error("%s cannot be looked at: %s", self._path, error.strerror)
            return
        seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._closings = _read(self._path)
        except (OSError, ValueError) as error:
            log.error("%s cannot be read, what was closed before stays so: %s", self._path, error)

    @contextmanager
    def _changed(self) -> Iterator[dict[str, Closing]]:
        """One writer at a time; a reader sees the old file or the new one."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                closings = dict(_read(self._path))
            except FileNotFoundError:
                closings = {}
            except ValueError:
                closings = dict(self._closings)
            yield closings
            _write(self._path, closings)


def _read(path: Path) -> Mapping[str, Closing]:
    """Raises OSError, and ValueError for what is no such file."""
    with open(path, "rb") as file:
        data = file.read(_LIMIT + 1)
    if len(data) > _LIMIT:
        raise ValueError("it is too large")
    try:
        entries = json.loads(data)
        return {
            str(name): Closing(_time(one["since"]), str(one.get("reason", "")), _time_or_none(one.get("until")))
            for name, one in entries.items()
        }
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it is not a list of closings ({error})") from None


def _write(path: Path, closings: Mapping[str, Closing]) -> None:
    entries = {
        name: {
            "since": one.since.isoformat(),
            "reason": one.reason,
            "until": None if one.until is None else one.until.isoformat(),
        }
        for name, one in closings.items()
    }
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(entries, file, ensure_ascii=False, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _time(text: object) -> datetime:
    found = datetime.fromisoformat(str(text))
    if found.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return found


def _time_or_none(text: object) -> datetime | None:
    return None if text is None else _time(text)
