"""One finished call in full, step by step, as its events tell it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Engine, select

from ivr.records import model


@dataclass(frozen=True, slots=True)
class RecordedStep:
    block: str
    step: int
    verb: str
    try_no: int | None
    input: str | None
    exit: str | None
    detail: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RecordedCall:
    call_id: str
    flow: str
    caller: str
    did: str
    arrived_at: int
    """UTC epoch ms."""
    ended_by: str | None
    steps: tuple[RecordedStep, ...]
    agents: tuple[str, ...]
    """Accounts of the legs that answered, in the order of their answers."""


def recorded_call(engine: Engine, call_id: str) -> RecordedCall | None:
    """The call with that id; None if there is none, or if it never came to a flow."""
    calls, legs, events = model.Call, model.Leg, model.Event
    with engine.connect() as connection:
        call = connection.execute(
            select(calls.flow, calls.caller, calls.did, calls.arrived_at, calls.ended_by).where(
                calls.call_id == call_id, calls.ended_at.is_not(None)
            )
        ).first()
        if call is None or call.flow is None:
            return None
        rows = connection.execute(
            select(events.data).where(events.call_id == call_id, events.type == "flow.step").order_by(events.seq)
        )
        steps = [_step(json.loads(row.data or "{}")) for row in rows]
        agents = connection.execute(
            select(legs.account)
            .where(legs.call_id == call_id, legs.role == "agent", legs.answered_at.is_not(None))
            .order_by(legs.answered_at)
        )
        names = tuple(row.account for row in agents if row.account)
    return RecordedCall(
        call_id, call.flow, call.caller or "", call.did or "", call.arrived_at, call.ended_by, tuple(steps), names
    )


def _step(data: Mapping[str, object]) -> RecordedStep:
    detail, number, try_no = data.get("detail"), data.get("step"), data.get("try_no")
    keys, exit = data.get("input"), data.get("exit")
    return RecordedStep(
        str(data.get("block") or ""),
        number if isinstance(number, int) else 0,
        str(data.get("verb") or ""),
        try_no if isinstance(try_no, int) else None,
        keys if isinstance(keys, str) else None,
        exit if isinstance(exit, str) else None,
        detail if isinstance(detail, dict) else {},
    )
