"""Deletes what has been kept for long enough: in small transactions with pauses, beside calls that are being written.

A call goes whole or stays whole: its events, its steps or its tags, or all of it. One that has not ended stays.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Final

from sqlalchemy import ColumnElement, Connection, Engine, delete, exists, func, select, tuple_

from ivr.records import model
from ivr.records.derived import TABLES_OF_A_CALL
from ivr.records.keeping import Retention

__all__ = ["retain"]

_CALLS_AT_A_TIME: Final = 100
_EVENTS_AT_A_TIME: Final = 1_000
_REST: Final = 4
# Four fifths of the time are left to those who write.

_PARTS: Final = {table.__tablename__: table.__table__ for table in (model.Event, model.FlowStep, model.Tag)}


def retain(
    engine: Engine,
    retention: Retention,
    now_ms: int,
    *,
    dry_run: bool = False,
    stop: threading.Event | None = None,
    told: Callable[[str, int], None] | None = None,
) -> Mapping[str, int]:
    """Delete what is older than allowed at ``now_ms``; returns how many rows of each table that were, or would be.

    ``stop``: to be set to end it early. ``told``: is told of each batch, with its table and rows.

    Raises SQLAlchemyError.
    """
    work = _Retaining(engine, stop or threading.Event(), told or (lambda table, rows: None))
    before = {
        one.name: now_ms - round(age * 1000)
        for one in fields(retention)
        if (age := getattr(retention, one.name)) is not None
    }
    if dry_run:
        return _counted(engine, before)
    for name, until in before.items():
        if name == "calls":
            work.delete_calls(until)
        else:
            work.delete_part(name, until)
        if name == "events":
            work.delete_events_of_no_call(until)
    return work.deleted


class _Retaining:
    """One go."""

    def __init__(self, engine: Engine, stop: threading.Event, told: Callable[[str, int], None]) -> None:
        self.deleted: dict[str, int] = {}
        self._engine = engine
        self._stop = stop
        self._told = told

    def delete_part(self, name: str, until: int) -> None:
        table = _PARTS[name]
        has_some = exists().where(table.c.call_id == model.Call.call_id)
        self._by_call(until, lambda connection, call_ids: self._delete(connection, name, call_ids), has_some)

    def delete_calls(self, until: int) -> None:
        def delete_all(connection: Connection, call_ids: Sequence[str]) -> None:
            self._delete(connection, "events", call_ids)
            for table in TABLES_OF_A_CALL:
                self._delete(connection, table.__tablename__, call_ids)

        self._by_call(until, delete_all)

    def delete_events_of_no_call(self, until: int) -> None:
        events = model.Event
        some = (
            select(events.event_id).where(events.call_id.is_(None), events.at < until).limit(_EVENTS_AT_A_TIME)
        ).scalar_subquery()
        more = True
        while more and not self._stop.is_set():
            started = time.monotonic()
            with self._engine.begin() as connection:
                deleted = connection.execute(delete(events).where(events.event_id.in_(some))).rowcount
                self._count("events", deleted)
            more = deleted == _EVENTS_AT_A_TIME
            self._rest(started)

    def _by_call(
        self, until: int, work: Callable[[Connection, Sequence[str]], None], has_some: ColumnElement[bool] | None = None
    ) -> None:
        """Do it to the calls that ended before then, the oldest first."""
        calls = model.Call
        place = tuple_(calls.ended_at, calls.call_id)
        query = select(calls.ended_at, calls.call_id).where(calls.ended_at < until)
        if has_some is not None:
            query = query.where(has_some)
        query = query.order_by(calls.ended_at, calls.call_id).limit(_CALLS_AT_A_TIME)
        page = query
        while not self._stop.is_set():
            started = time.monotonic()
            # Looking first, and in a transaction of its own: it takes no lock that the writer needs.
            with self._engine.connect() as connection:
                rows = connection.execute(page).all()
            if not rows:
                return
            with self._engine.begin() as connection:
                work(connection, [row.call_id for row in rows])
            page = query.where(place > tuple_(rows[-1].ended_at, rows[-1].call_id))
            self._rest(started)

    def _delete(self, connection: Connection, name: str, call_ids: Sequence[str]) -> None:
        table = model.Base.metadata.tables[name]
        self._count(name, connection.execute(delete(table).where(table.c.call_id.in_(call_ids))).rowcount)

    def _count(self, name: str, rows: int) -> None:
        self.deleted[name] = self.deleted.get(name, 0) + rows
        self._told(name, rows)

    def _rest(self, started: float) -> None:
        self._stop.wait(_REST * (time.monotonic() - started))


def _counted(engine: Engine, before: Mapping[str, int]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    # What goes with its call, and what goes by itself, whichever is sooner.
    names = ["events", *(table.__tablename__ for table in TABLES_OF_A_CALL)]
    with engine.connect() as connection:
        for name in names:
            limits = [until for part, until in before.items() if part in (name, "calls")]
            if not limits:
                continue
            table = model.Base.metadata.tables[name]
            old = select(model.Call.call_id).where(model.Call.ended_at < max(limits))
            count = connection.execute(select(func.count()).select_from(table).where(table.c.call_id.in_(old))).scalar()
            if name == "events" and name in before:
                of_no_call = select(func.count()).where(table.c.call_id.is_(None), table.c.at < before[name])
                count = (count or 0) + (connection.execute(of_no_call).scalar() or 0)
            found[name] = count or 0
    return found
