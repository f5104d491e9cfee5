"""Puts the records right: calls that a dead process left open, and rows that have to be derived again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import cast

from sqlalchemy import Connection, Engine, delete, distinct, func, or_, select, update

from ivr.records import model
from ivr.records.derive import Changes
from ivr.records.derived import TABLES_OF_A_CALL
from ivr.records.events import RecordEvent, as_json
from ivr.records.store import Batch, event_row, recall, write

log = logging.getLogger(__name__)

_CALLS_AT_A_TIME = 200


def close_dead_calls(engine: Engine, node_id: str) -> int:
    """Close the calls that a run of this node left open when it died, at their last event; returns how many.

    To be called at start, before this node takes calls. Calls whose node is unknown are closed too.
    """
    closed = 0
    while True:
        with engine.begin() as connection:
            some = close_some_dead_calls(connection, node_id)
        if not some:
            return closed
        closed += some


def close_some_dead_calls(connection: Connection, node_id: str) -> int:
    """As :func:`close_dead_calls`, but no more than go into one transaction; 0 if there are none."""
    calls = model.Call
    ours = or_(calls.node_id == node_id, calls.node_id.is_(None))
    query = select(calls.call_id).where(calls.closed == 0, ours).order_by(calls.call_id).limit(_CALLS_AT_A_TIME)
    call_ids = list(connection.scalars(query))
    batch = Batch()
    data: dict[str, object] = {"ended_by": "system", "end_cause": "node_lost"}
    records = dict(recall(connection, call_ids))
    for call_id, record in records.items():
        if not record.ended:
            record.take_changes(Changes())
            lost = RecordEvent(record.now, "call.ended", call_id, None, data)
            batch.events.append(event_row(lost, call_id, record.events, as_json(data)))
            record.apply(lost)
        record.take_changes(batch.changes)
    write(connection, batch)
    # Without events there is nothing to derive an end from.
    bare = [call_id for call_id in call_ids if call_id not in records]
    connection.execute(
        update(calls)
        .where(calls.call_id.in_(bare))
        .values(closed=1, ended_at=calls.arrived_at, ended_by="system", end_cause="node_lost")
    )
    return len(call_ids)


def rebuild(
    engine: Engine, *, ended_before: int | None = None, rebuilt: Callable[[int], None] = lambda calls: None
) -> int:
    """Derive every call's rows again from its events; returns the number of calls.

    Calls without events (their retention may be shorter) keep their rows. While a node is taking calls, leave to it
    those that are under way or end now: ``ended_before`` (UTC epoch ms). ``rebuilt`` is told how many calls more are
    looked at.
    """
    total = 0
    after = ""
    events = model.Event
    while True:
        with engine.begin() as connection:
            query = (
                select(events.call_id)
                .where(events.call_id > after)
                .distinct()
                .order_by(events.call_id)
                .limit(_CALLS_AT_A_TIME)
            )
            call_ids = [cast(str, call_id) for call_id in connection.scalars(query)]
            if not call_ids:
                return total
            after = call_ids[-1]
            batch = Batch()
            again: list[str] = []
            for call_id, record in recall(connection, call_ids):
                if ended_before is None or (record.ended and record.now < ended_before):
                    record.take_changes(batch.changes)
                    again.append(call_id)
            for table in TABLES_OF_A_CALL:
                connection.execute(delete(table).where(table.call_id.in_(again)))
            write(connection, batch)
        total += len(again)
        rebuilt(len(call_ids))


def rebuildable(engine: Engine) -> int:
    """How many calls have events."""
    with engine.connect() as connection:
        return connection.execute(select(func.count(distinct(model.Event.call_id)))).scalar() or 0
