"""Rows into tables and events out of them: the SQL of the writer, the same on SQLite and PostgreSQL.

Many rows go into one statement. Python's sqlite3 hands the interpreter lock back and forth once a statement, and
beside a busy event loop each time can cost its 5 ms switch interval: a statement per row would take seconds a batch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import cast

from sqlalchemy import Connection, Table, select

from ivr.records import model
from ivr.records.derive import CallRecord, Changes, Row, identifier, integer
from ivr.records.events import EventType, RecordEvent

REJECTED = "rejected"
"""Type of the row that stands in for an event whose rows the database refused. Nothing derives from it."""

_ROWS_PER_STATEMENT = 40
_EVENT_COLUMNS = ("at", "call_id", "seq", "leg_id", "type", "data")


@dataclass(slots=True)
class Batch:
    """What goes into the database in one transaction."""

    events: list[Row] = field(default_factory=list)
    changes: Changes = field(default_factory=Changes)


def event_row(event: RecordEvent, call_id: str | None, seq: int | None, data: str | None) -> Row:
    """The row of ``events``; ``data`` are the event's as JSON."""
    return (integer(event.at) or 0, call_id, seq, identifier(event.leg_id), event.type, data)


def rejected(event: RecordEvent, reason: str) -> RecordEvent:
    """What is written instead of an event that cannot be."""
    at, call_id = integer(getattr(event, "at", 0)) or 0, identifier(getattr(event, "call_id", None))
    words = {"type": str(getattr(event, "type", None)), "reason": reason[:500], "event": ascii(event)[:2_000]}
    return RecordEvent(at, cast(EventType, REJECTED), call_id or "", None, words)


def write(connection: Connection, batch: Batch) -> None:
    """Write the batch within the connection's transaction. Writing it twice does no harm."""
    # Calls first: the other rows refer to them.
    changes = batch.changes
    for table, rows in (
        (_CALLS, changes.calls),
        (_LEGS, changes.legs),
        (_SEGMENTS, changes.segments),
        (_FLOW_STEPS, changes.flow_steps),
        (_TAGS, changes.tags),
    ):
        if rows:
            _insert(connection, table, rows)
    if batch.events:
        _insert(connection, _EVENTS, batch.events)


def recall(connection: Connection, call_ids: Sequence[str]) -> Iterator[tuple[str, CallRecord]]:
    """Derive the calls again from their events in the database; a call without events is left out.

    Their :meth:`CallRecord.take_changes` hands out every row of the call.
    """
    events = model.Event
    query = (
        select(events.call_id, events.at, events.type, events.leg_id, events.data, events.seq)
        .where(events.call_id.in_(call_ids))
        .order_by(events.call_id, events.seq)
    )
    for call_id, rows in groupby(connection.execute(query), key=lambda row: cast(str, row.call_id)):
        record = CallRecord(call_id)
        for row in rows:
            data = json.loads(row.data) if row.data is not None else {}
            # A number is missing where an event could not be written at all.
            record.events = cast(int, row.seq)
            record.apply(RecordEvent(row.at, cast(EventType, row.type), call_id, row.leg_id, data))
        yield call_id, record


# Statements. ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Target:
    table: str
    columns: tuple[str, ...]
    on_conflict: str


def _overwriting(table: object) -> _Target:
    assert isinstance(table, Table)
    keys = [column.name for column in table.primary_key]
    columns = tuple(column.name for column in table.columns)
    assignments = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in keys)
    return _Target(table.name, columns, f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {assignments}")


_CALLS = _overwriting(model.Call.__table__)
_LEGS = _overwriting(model.Leg.__table__)
_SEGMENTS = _overwriting(model.Segment.__table__)
_FLOW_STEPS = _overwriting(model.FlowStep.__table__)
_TAGS = _overwriting(model.Tag.__table__)
# A commit whose answer got lost is repeated; its events are there already.
_EVENTS = _Target("events", _EVENT_COLUMNS, "ON CONFLICT (call_id, seq) DO NOTHING")

# Not escaped: a database that is not in UTF-8 could not unescape it.
_encode_rows = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


@cache
def _statement(target: _Target, rows: int) -> str:
    columns = ", ".join(target.columns)
    places = ", ".join([f"({', '.join('?' * len(target.columns))})"] * rows)
    return f"INSERT INTO {target.table} ({columns}) VALUES {places} {target.on_conflict}"


@cache
def _statement_of_json(target: _Target) -> str:
    columns = ", ".join(target.columns)
    source = f"json_populate_recordset(NULL::{target.table}, %s)"
    return f"INSERT INTO {target.table} ({columns}) SELECT {columns} FROM {source} {target.on_conflict}"


def _insert(connection: Connection, target: _Target, rows: Sequence[Row]) -> None:
    if connection.dialect.name == "postgresql":
        # One value to hand over instead of thousands, and a statement that stays prepared: half the processor time.
        columns = target.columns
        document = _encode_rows([dict(zip(columns, row, strict=True)) for row in rows])
        connection.exec_driver_sql(_statement_of_json(target), (document,))
        return
    for start in range(0, len(rows), _ROWS_PER_STATEMENT):
        some = rows[start : start + _ROWS_PER_STATEMENT]
        values = tuple([value for row in some for value in row])
        connection.exec_driver_sql(_statement(target, len(some)), values)
