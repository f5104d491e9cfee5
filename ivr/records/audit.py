"""Looks whether the records are whole: the rows of each call by themselves, and what belongs to no call. Reads only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Final

from sqlalchemy import Engine, exists, func, select
from sqlalchemy.orm import Session

from ivr.records.model import Call, Event, Leg, Segment
from ivr.records.progress import nodes_seen_since

__all__ = ["NODE_SILENT_MS", "Finding", "audit"]

_CALLS_AT_A_TIME: Final = 500
NODE_SILENT_MS: Final = 300_000
"""A node that was not heard of for so long does not run: it writes every half minute."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be with a call."""

    call_id: str
    arrived_at: int | None
    """UTC epoch ms; None: it has no row."""
    caller: str | None
    did: str | None
    what: str


def audit(
    engine: Engine, now_ms: int, *, since: int = 0, looked: Callable[[int], None] = lambda calls: None
) -> Iterator[Finding]:
    """Everything that is wrong with calls that arrived since then (UTC epoch ms).

    ``looked`` is told how many calls more were looked at. Raises SQLAlchemyError.
    """
    with engine.connect() as connection:
        alive = nodes_seen_since(connection, now_ms - NODE_SILENT_MS)
    after = ""
    while True:
        # Short reads only: the writer's log is never kept from being tidied up.
        with Session(engine) as session:
            calls = session.scalars(
                select(Call)
                .where(Call.call_id > after, Call.arrived_at >= since)
                .order_by(Call.call_id)
                .limit(_CALLS_AT_A_TIME)
            ).all()
            if not calls:
                break
            call_ids = [call.call_id for call in calls]
            segments: dict[str, list[Segment]] = defaultdict(list)
            for segment in session.scalars(
                select(Segment).where(Segment.call_id.in_(call_ids)).order_by(Segment.call_id, Segment.seq)
            ):
                segments[segment.call_id].append(segment)
            legs: dict[str, list[Leg]] = defaultdict(list)
            for leg in session.scalars(select(Leg).where(Leg.call_id.in_(call_ids)).order_by(Leg.call_id, Leg.leg_id)):
                legs[leg.call_id].append(leg)
            for call in calls:
                wrong = chain(
                    _of_call(call, alive),
                    _of_segments(call, segments[call.call_id]),
                    _of_legs(call, legs[call.call_id]),
                )
                yield from (Finding(call.call_id, call.arrived_at, call.caller, call.did, what) for what in wrong)
        looked(len(calls))
        after = call_ids[-1]
    yield from _without_row(engine, since)


def _of_call(call: Call, alive: Collection[str]) -> Iterator[str]:
    if not call.closed:
        if call.node_id not in alive:
            yield f"has not ended, and node {call.node_id or '(unknown)'} does not run"
        return
    if call.ended_at is None:
        yield "is closed without an end"
    elif call.ended_at < call.arrived_at:
        yield "ended before it arrived"
    elif call.answered_at is not None and not call.arrived_at <= call.answered_at <= call.ended_at:
        yield "was answered before it arrived or after it ended"
    if call.ended_by is None:
        yield "was ended by nobody"


def _of_segments(call: Call, segments: Sequence[Segment]) -> Iterator[str]:
    """The caller's time line: from arrival to end, each segment from where the one before ended."""
    at: int | None = call.arrived_at
    for number, segment in enumerate(segments):
        if segment.seq != number:
            yield f"segment {number} is missing"
            return
        if at is None:
            yield f"segment {number - 1} has no end, and another follows it"
        elif segment.from_at != at:
            what = "there is a gap of" if segment.from_at > at else "segments overlap by"
            yield f"{what} {abs(segment.from_at - at)} ms before segment {number} ({segment.kind})"
        if segment.until_at is not None and segment.until_at < segment.from_at:
            yield f"segment {number} ({segment.kind}) ends before it begins"
        at = segment.until_at
    if not segments:
        yield "has no segments"
    elif call.closed and at is None:
        yield "its last segment has no end"
    elif call.closed and at is not None and call.ended_at is not None and at != call.ended_at:
        way = "before" if at < call.ended_at else "after"
        yield f"its segments end {abs(call.ended_at - at)} ms {way} the call does"


def _of_legs(call: Call, legs: Sequence[Leg]) -> Iterator[str]:
    for leg in legs:
        times = [
            (name, at)
            for name, at in (("is created", leg.created_at), ("is answered", leg.answered_at), ("ends", leg.ended_at))
            if at is not None
        ]
        if call.closed and leg.ended_at is None:
            yield f"leg {leg.leg_id} has no end"
        for name, at in times:
            if at < call.arrived_at:
                yield f"leg {leg.leg_id} {name} {call.arrived_at - at} ms before the call arrives"
            elif call.ended_at is not None and at > call.ended_at:
                yield f"leg {leg.leg_id} {name} {at - call.ended_at} ms after the call ended"
        for (sooner, first), (later, then) in pairwise(times):
            if then < first:
                yield f"leg {leg.leg_id} {later} before it {sooner}"


def _without_row(engine: Engine, since: int) -> Iterator[Finding]:
    """Events of a call that has no row: what should have been derived from them is not there."""
    query = (
        select(Event.call_id, func.min(Event.at))
        .where(Event.call_id.is_not(None), ~exists().where(Call.call_id == Event.call_id))
        .group_by(Event.call_id)
        .having(func.min(Event.at) >= since)
        .order_by(Event.call_id)
    )
    with engine.connect() as connection:
        for call_id, at in connection.execute(query):
            yield Finding(str(call_id), at, None, None, "has events and no row: ivr records rebuild derives it")
