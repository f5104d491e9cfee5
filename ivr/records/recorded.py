"""A call as it was recorded: what the caller, the parties rung and the world outside did. Read from the events."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import Engine, Select, select

from ivr.hearing import Hypothesis
from ivr.records import model
from ivr.records.way import Visit, way

_CALLS_AT_A_TIME = 200
_TYPES = ("call.arrived", "flow.step", "call.ended", "leg.created", "leg.answered")


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
    said: tuple[Hypothesis, ...] | None = None
    """What the caller may have said, best first: as it was written down. None unless he spoke."""
    secret: bool = False
    """The answer was not written down."""
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
    answered: tuple[str, ...] = ()
    """Who of them answered, ``2001`` or ``rtc:alice``, in the order of their answers."""

    @property
    def path(self) -> tuple[str, ...]:
        """The blocks the caller went through; those of ``on_hangup`` are not among them."""
        return tuple(visit.block for visit in self.way)

    @property
    def way(self) -> list[Visit[RecordedStep]]:
        """The same with what led to each, and what was done there."""
        return way(self.steps, self.flow)


def recorded_call(engine: Engine, call_id: str) -> RecordedCall | None:
    """The call with that id; None if there is none that is over, or if it never came to a flow."""
    return next(_calls(engine, _over().where(model.Call.call_id == call_id)), None)


def recorded_calls(engine: Engine, since_ms: int, flow: str | None = None) -> Iterator[RecordedCall]:
    """Calls that arrived since then (UTC epoch ms) and are over, oldest first."""
    wanted = _over().where(model.Call.arrived_at >= since_ms)
    return _calls(engine, wanted if flow is None else wanted.where(model.Call.flow == flow))


def _over() -> Select[str]:
    calls = model.Call
    return select(calls.call_id).where(calls.ended_at.is_not(None), calls.flow.is_not(None))


def _calls(engine: Engine, wanted: Select[str]) -> Iterator[RecordedCall]:
    calls, events = model.Call, model.Event
    with engine.connect() as connection:
        call_ids = list(connection.scalars(wanted.order_by(calls.arrived_at, calls.call_id)))
    for start in range(0, len(call_ids), _CALLS_AT_A_TIME):
        some = call_ids[start : start + _CALLS_AT_A_TIME]
        query = (
            select(events.call_id, events.at, events.type, events.leg_id, events.data)
            .where(events.call_id.in_(some), events.type.in_(_TYPES))
            .order_by(events.call_id, events.seq)
        )
        with engine.connect() as connection:
            rows = [_Row(*row) for row in connection.execute(query)]
        found = {call_id: _call(str(call_id), part) for call_id, part in groupby(rows, key=lambda row: row.call_id)}
        yield from (call for call_id in some if (call := found.get(call_id)) is not None)


class _Row(NamedTuple):
    call_id: str | None
    at: int
    type: str
    leg_id: str | None
    data: str | None


def _call(call_id: str, rows: Iterable[_Row]) -> RecordedCall | None:
    arrived: dict[str, Any] = {}
    ended: dict[str, Any] = {}
    arrived_ms = 0
    steps: list[RecordedStep] = []
    rung: list[tuple[int, str]] = []
    legs: dict[str | None, str] = {}
    answered: list[str] = []
    for row in rows:
        data: dict[str, Any] = json.loads(row.data) if row.data else {}
        match row.type:
            case "call.arrived":
                arrived, arrived_ms = data, row.at
            case "call.ended":
                ended = data
            case "leg.created" if data.get("role") == "agent":
                rung.append((row.at - arrived_ms, str(data.get("remote"))))
                account = str(data.get("account") or "")
                legs[row.leg_id] = f"rtc:{account}" if data.get("kind") == "rtc" else account
            case "leg.answered" if legs.get(row.leg_id):
                answered.append(legs[row.leg_id])
            case "flow.step":
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
        tuple(answered),
    )


def _hypothesis(one: Mapping[str, Any]) -> Hypothesis:
    return Hypothesis(str(one.get("text")), float(one.get("confidence") or 0.0), one.get("name"))


def _step(data: Mapping[str, Any], arrived_ms: int) -> RecordedStep:
    mode, entered = data.get("input_mode"), data.get("input")
    alternatives = (data.get("detail") or {}).get("alternatives")
    said = None if mode != "speech" or alternatives is None else tuple(map(_hypothesis, alternatives))
    secret = (mode == "keys" and entered is None) or (mode == "speech" and said is None)
    return RecordedStep(
        str(data.get("flow")),
        str(data.get("block")),
        int(data.get("step") or 0),
        str(data.get("verb")),
        int(data.get("from_at") or arrived_ms) - arrived_ms,
        int(data.get("until_at") or arrived_ms) - arrived_ms,
        data.get("try_no"),
        None if mode == "speech" else entered,
        said,
        secret=secret,
        barged_in=bool(data.get("barged_in")),
        exit=data.get("exit"),
        next_block=data.get("next_block"),
        error=data.get("error"),
        detail=data.get("detail") or {},
    )
