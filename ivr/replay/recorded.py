"""A call as it was recorded: what the caller, the parties rung and the world outside did. Read from the events."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from sqlalchemy import Engine, select

from ivr.records import model

_CALLS_AT_A_TIME = 200
_TYPES = ("call.arrived", "flow.step", "call.ended", "leg.created")


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """One step as it was gone through, or one try of a step that asks."""

    flow: str
    block: str
    number: int
    """Of the step in its block, from 1."""
    verb: str
    from_ms: int
    """Since the call arrived, as ``until_ms``."""
    until_ms: int
    try_no: int | None = None
    keys: str | None = None
    secret: bool = False
    """Keys were pressed that were not written down."""
    barged_in: bool = False
    exit: str | None = None
    """None if the step was cut short by the caller's leaving."""
    next_block: str | None = None
    error: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call that is over."""

    call_id: str
    flow: str
    caller: str
    caller_name: str
    did: str
    arrived_ms: int
    """UTC epoch ms."""
    ended_by: str
    steps: tuple[RecordedStep, ...]
    rung: tuple[tuple[int, str], ...] = ()
    """Whom it rang and when: ms since arrival, ``sip:2001``."""

    @property
    def path(self) -> tuple[str, ...]:
        """The blocks the caller went through; those of ``on_hangup`` are not among them."""
        return tuple(block for block, _ in self.way())

    def way(self) -> Iterator[tuple[str, RecordedStep | None]]:
        """Each block that was entered, with the step that led there."""
        led: RecordedStep | None = None
        here: tuple[str, str] | None = None
        begun = False
        for step in self.steps:
            if (step.flow, step.block) != here:
                if begun and (led is None or led.next_block != step.block):
                    return
                yield step.block, led
                begun = True
            here = None if step.next_block is not None else (step.flow, step.block)
            led = step if step.next_block is not None else None
        if led is not None and led.next_block is not None:
            yield led.next_block, led


def recorded_calls(engine: Engine, since_ms: int, flow: str | None = None) -> Iterator[RecordedCall]:
    """Calls that arrived since then (UTC epoch ms) and are over, oldest first."""
    calls, events = model.Call, model.Event
    wanted = select(calls.call_id).where(
        calls.arrived_at >= since_ms, calls.ended_at.is_not(None), calls.flow.is_not(None)
    )
    if flow is not None:
        wanted = wanted.where(calls.flow == flow)
    with engine.connect() as connection:
        call_ids = list(connection.scalars(wanted.order_by(calls.arrived_at, calls.call_id)))
    for start in range(0, len(call_ids), _CALLS_AT_A_TIME):
        some = call_ids[start : start + _CALLS_AT_A_TIME]
        query = (
            select(events.call_id, events.at, events.type, events.data)
            .where(events.call_id.in_(some), events.type.in_(_TYPES))
            .order_by(events.call_id, events.seq)
        )
        with engine.connect() as connection:
            rows = [(str(row.call_id), row.at, row.type, row.data) for row in connection.execute(query)]
        found = {call_id: _call(call_id, list(part)) for call_id, part in groupby(rows, key=lambda row: row[0])}
        yield from (call for call_id in some if (call := found.get(call_id)) is not None)


def _call(call_id: str, rows: Iterable[tuple[str, int, str, str | None]]) -> RecordedCall | None:
    arrived: dict[str, Any] = {}
    ended: dict[str, Any] = {}
    arrived_ms = 0
    steps: list[RecordedStep] = []
    rung: list[tuple[int, str]] = []
    for _, at, kind, text in rows:
        data: dict[str, Any] = json.loads(text) if text else {}
        if kind == "call.arrived":
            arrived, arrived_ms = data, at
        elif kind == "call.ended":
            ended = data
        elif kind == "leg.created" and data.get("role") == "agent":
            rung.append((at - arrived_ms, str(data.get("remote"))))
        elif kind == "flow.step":
            steps.append(_step(data, arrived_ms))
    if not arrived or not steps:
        return None
    return RecordedCall(
        call_id,
        str(arrived.get("flow")),
        str(arrived.get("caller") or ""),
        str(arrived.get("caller_name") or ""),
        str(arrived.get("did") or ""),
        arrived_ms,
        str(ended.get("ended_by") or "system"),
        tuple(steps),
        tuple(rung),
    )


def _step(data: Mapping[str, Any], arrived_ms: int) -> RecordedStep:
    keys = data.get("input")
    return RecordedStep(
        str(data.get("flow")),
        str(data.get("block")),
        int(data.get("step") or 0),
        str(data.get("verb")),
        int(data.get("from_at") or arrived_ms) - arrived_ms,
        int(data.get("until_at") or arrived_ms) - arrived_ms,
        data.get("try_no"),
        keys,
        secret=keys is None and data.get("input_mode") == "keys",
        barged_in=bool(data.get("barged_in")),
        exit=data.get("exit"),
        next_block=data.get("next_block"),
        error=data.get("error"),
        detail=data.get("detail") or {},
    )
