"""Puts the records right: calls that a dead process left open, and rows that have to be derived again."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import cast

from sqlalchemy import Engine, delete, or_, select

from ivr.records import model
from ivr.records.derive import Changes
from ivr.records.events import RecordEvent
from ivr.records.store import Batch, event_row, recall, write

log = logging.getLogger(__name__)

_CALLS_AT_A_TIME = 200
_DERIVED = (model.Tag, model.FlowStep, model.Segment, model.Leg, model.Call)


def close_dead_calls(engine: Engine, node_id: str) -> int:
    """Close the calls that a run of this node left open when it died, at their last event; returns how many.

    To be called at start, before this node takes calls. Calls whose node is unknown are closed too.
    """
    calls = model.Call
    closed = 0
    with engine.connect() as connection:
        ours = or_(calls.node_id == node_id, calls.node_id.is_(None))
        call_ids = list(connection.scalars(select(calls.call_id).where(calls.closed == 0, ours)))
    for some in _chunks(call_ids):
        with engine.begin() as connection:
            batch = Batch()
            for call_id, record in recall(connection, some):
                record.take_changes(Changes())
                lost = RecordEvent(
                    record.now, "call.ended", call_id, None, {"ended_by": "system", "end_cause": "node_lost"}
                )
                batch.events.append(event_row(lost, call_id, record.events))
                record.apply(lost)
                record.take_changes(batch.changes)
                closed += 1
            write(connection, batch)
    if closed:
        log.warning("records: %d calls were open when node %s died; closed at their last event", closed, node_id)
    return closed


def rebuild(engine: Engine, *, running: bool = True) -> int:
    """Derive every call's rows again from its events; returns the number of calls.

    Calls without events (their retention may be shorter) keep their rows. While a node is taking calls, leave those
    under way to it: ``running=False``.
    """
    rebuilt = 0
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
                return rebuilt
            after = call_ids[-1]
            batch = Batch()
            again: list[str] = []
            for call_id, record in recall(connection, call_ids):
                if record.ended or running:
                    record.take_changes(batch.changes)
                    again.append(call_id)
            for table in _DERIVED:
                connection.execute(delete(table).where(table.call_id.in_(again)))
            write(connection, batch)
            rebuilt += len(again)


def _chunks(call_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(call_ids), _CALLS_AT_A_TIME):
        yield call_ids[start : start + _CALLS_AT_A_TIME]
