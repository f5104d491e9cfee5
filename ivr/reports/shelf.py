"""Sums kept of days gone by, so that a month is thirty rows to read and not three million calls.

A day (UTC) is *settled* when it has been over for :data:`SETTLES_AFTER_MS` and none of its calls is still open. What
was summed up of settled days is kept in the table ``report_days``; it is made anew where it is missing or answers
another question, so it can be thrown away at any time. Anything else is counted from the rows. Whether a sum was kept
makes no difference to a report.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Select, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from ivr.records import model
from ivr.reports.span import DAY_MS

log = logging.getLogger(__name__)

SETTLES_AFTER_MS = DAY_MS + 60 * 60 * 1000
"""Callers who call again are looked for during a day; then the report of the last leg may still be on its way."""

_column = model.ReportDay.__table__.c


@dataclass(frozen=True, slots=True)
class Shelf:
    """The kept days of one database."""

    engine: Engine
    now: int
    """UTC epoch milliseconds."""
    used: bool = True
    """Else nothing is read from it, nor put there."""

    def settled(self, begins: int, ends: int) -> set[int]:
        """The days that begin in the span and will not change any more."""
        calls = model.Call.__table__.c
        first = begins - begins % DAY_MS
        last = min(ends, self.now - SETTLES_AFTER_MS)
        days = set(range(first, last - DAY_MS + 1, DAY_MS)) if self.used else set()
        if days:
            with self.engine.connect() as connection:
                # Few: calls that are up, and those of a node that died.
                found = connection.execute(select(calls.arrived_at).where(calls.ended_at.is_(None)))
                days -= {at - at % DAY_MS for (at,) in found}
        return days

    def take(self, name: str, shape: str, begins: int, ends: int) -> dict[int, list[Any]]:
        """What is kept under that name of the days in the span."""
        query = select(_column.day, _column.cells).where(
            _column.facts == name,
            _column.shape == shape,
            _column.day >= begins - begins % DAY_MS,
            _column.day < ends,
        )
        if not self.used:
            return {}
        with self.engine.connect() as connection:
            return {day: json.loads(cells) for day, cells in connection.execute(query)}

    def days(self, name: str, shape: str, begins: int, ends: int) -> set[int]:
        """The days that are kept."""
        query = select(_column.day).where(
            _column.facts == name, _column.shape == shape, _column.day >= begins - begins % DAY_MS, _column.day < ends
        )
        with self.engine.connect() as connection:
            return {day for (day,) in connection.execute(query)}

    def put(self, name: str, shape: str, day: int, cells: Sequence[Any]) -> None:
        """Keep the sums of a day, in place of what was kept."""
        text = json.dumps(cells, separators=(",", ":"), ensure_ascii=False)
        try:
            with self.engine.begin() as connection:
                connection.execute(delete(model.ReportDay).where(_column.facts == name, _column.day == day))
                connection.execute(insert(model.ReportDay).values(facts=name, day=day, shape=shape, cells=text))
        except SQLAlchemyError as error:
            # Somebody may only read here, or another report has just done the same. The numbers are right all the same.
            log.debug("reports: the sums of a day are not kept: %s", error)

    def clear(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(delete(model.ReportDay))


def shape_of(question: Select[Any], engine: Engine) -> str:
    """A short text that changes with the question."""
    return hashlib.sha256(str(question.compile(engine)).encode()).hexdigest()[:16]
