"""Deletes what has been kept for long enough every night, on a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ivr.records.keeping import Retention
from ivr.records.retention import retain

log = logging.getLogger(__name__)

_HOUR: Final = 3
_MINUTE: Final = 17
# When hardly anybody calls, and not when everything else of a machine begins.
_LOOK_EVERY_S: Final = 600.0
# A clock that is set, or a machine that slept, is noticed within this.


class Nightly:
    """Owns the thread, from :meth:`start` to :meth:`stop`."""

    def __init__(self, engine: Engine, wanted: Callable[[], tuple[Retention, ZoneInfo]]) -> None:
        """``wanted``: what is allowed now, and by which clock it is night; asked for anew each time."""
        self._engine = engine
        self._wanted = wanted
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End it between two batches."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        due = next_night(time.time(), self._wanted()[1])
        while not self._stop.wait(min(max(0.0, due - time.time()), _LOOK_EVERY_S)):
            if time.time() >= due:
                self._retain()
                due = next_night(time.time(), self._wanted()[1])

    def _retain(self) -> None:
        retention = self._wanted()[0]
        if not retention:
            return
        began = time.monotonic()
        try:
            deleted = retain(self._engine, retention, round(time.time() * 1000), stop=self._stop)
        except SQLAlchemyError as error:
            log.warning("records: what is too old could not be deleted, the next night has another try: %s", error)
            return
        except Exception:
            log.exception("records: what is too old could not be deleted")
            return
        told = ", ".join(f"{rows} of {table}" for table, rows in deleted.items() if rows) or "nothing"
        log.info("records: deleted as too old: %s; it took %.0f s", told, time.monotonic() - began)


def next_night(now: float, zone: ZoneInfo) -> float:
    """When it is time, after ``now`` (epoch seconds, as what is returned)."""
    local = datetime.fromtimestamp(now, UTC).astimezone(zone)
    due = local.replace(hour=_HOUR, minute=_MINUTE, second=0, microsecond=0)
    if due.timestamp() <= now:
        due += timedelta(days=1)
    return due.timestamp()
