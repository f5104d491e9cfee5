"""The program's log: lines go out from a thread of their own, many at a time.

A terminal, a pipe or a disk that is slow to take a line would hold up every call if the loop wrote it itself.
"""

from __future__ import annotations

import atexit
import json
import logging
import re
import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TextIO

from gateway.logbook import FewOfAKind

__all__ = ["JsonLines", "LogForm", "LogWriter", "start_log"]

_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
_INTERVAL_S = 0.05
"""From one write to the next: hardly to be seen by a reader, and at 100 calls a second 20 wake-ups instead of 200."""
_BOUND = 20_000
"""Lines kept for a stream that takes none."""
_CLOSING_S = 2.0


_OF_A_CALL = re.compile(r"call (\S+?):? ")
"""How every line about a call begins."""


class LogForm(StrEnum):
    """How lines are written."""

    TEXT = "text"
    JSON = "json"


class JsonLines(logging.Formatter):
    """A JSON object a line: ``time`` (UTC, ISO 8601), ``level``, ``logger``, ``message``; ``call``, if it is about one;
    ``traceback``, if something went wrong that nobody expected; of an event of a call ``event``, ``leg``, ``data``."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": message,
        }
        if (found := _OF_A_CALL.match(message)) is not None:
            line["call"] = found[1]
        for name in ("event", "leg", "data"):
            value = getattr(record, name, None)
            if value is not None:
                line[name] = value
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class LogWriter(logging.Handler):
    """Owns the thread that writes to the stream. Emitting a record never waits for it."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._waiting: SimpleQueue[str | logging.LogRecord | None] = SimpleQueue()
        self._lost = 0
        self._thread = Thread(target=self._run, name="log", daemon=True)
        self._thread.start()
        # Before the logging module's own end, which would close a handler that still has lines.
        atexit.register(self.close)

    def emit(self, record: logging.LogRecord) -> None:
        # The words are made now, as they may be about something that changes; the rest can be done later.
        if record.args:
            record.msg, record.args = record.getMessage(), None
        self._put(record)

    def write(self, text: str) -> None:
        """Text as it is, in its place among the lines."""
        self._put(text)

    def close(self) -> None:
        """Write what there is, for as long as that is bearable."""
        self._waiting.put(None)
        self._thread.join(_CLOSING_S)
        atexit.unregister(self.close)
        super().close()

    def _put(self, item: str | logging.LogRecord) -> None:
        if self._waiting.qsize() < _BOUND:
            self._waiting.put(item)
        else:
            self._lost += 1

    def _run(self) -> None:
        more = True
        while more:
            text, more = self._drain()
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):
                # Whoever read it is gone: calls go on without.
                pass
            if more:
                time.sleep(_INTERVAL_S)

    def _drain(self) -> tuple[str, bool]:
        pieces: list[str] = []
        item = self._waiting.get()
        lost, self._lost = self._lost, 0
        if lost:
            pieces.append(f"({lost} lines of this log are missing: it was not read)\n")
        try:
            while item is not None:
                pieces.append(item if isinstance(item, str) else self._line(item))
                item = self._waiting.get_nowait()
        except Empty:
            return "".join(pieces), True
        return "".join(pieces), False

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return f"{self.format(record)}\n"
        except Exception as error:
            return f"a line of {record.name} cannot be shown: {error}\n"


def start_log(*, verbose: bool, form: LogForm = LogForm.TEXT) -> LogWriter:
    """Log to stderr from now on."""
    writer = LogWriter(sys.stderr)
    writer.setFormatter(JsonLines() if form is LogForm.JSON else logging.Formatter(_FORMAT))
    root = logging.getLogger()
    writer.addFilter(FewOfAKind())
    root.addHandler(writer)
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    for chatty in ("aioice", "aiortc", "alembic", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # What no line shows need not be found out for each.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    return writer
