"""Reads finished calls. Short reads only: the writer is never kept waiting, nor its log from being tidied up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, Engine, Row, Select, select, tuple_

from ivr.records import model
from ivr.records.way import way

_CALLS_AT_A_TIME = 500


@dataclass(frozen=True, slots=True)
class LegSummary:
    kind: str | None
    role: str | None
    account: str | None
    answered_at: int | None
    """UTC epoch ms, as all that end in ``_at``."""
    ended_at: int | None
    codec: str | None
    packets: int | None
    """Received."""
    lost: int | None
    """Missing among what should have been received."""
    jitter_ms: float | None
    outcome: str | None = None
    """Why it was never answered."""
    sip_status: int | None = None
    invitation: str | None = None
    """Of an RTC leg; None of others, as the two below."""
    invitation_state: str | None = None
    invitation_error: str | None = None

    @property
    def invitation_end(self) -> str | None:
        """In a word or two: ``accepted``, ``refused: busy``, ``failed: no_response``."""
        if self.invitation_state is None or self.invitation_error is None:
            return self.invitation_state
        return f"{self.invitation_state}: {self.invitation_error}"

    def as_json(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class CallSummary:
    """A finished call in one look."""

    call_id: str
    caller: str | None
    did: str | None
    arrived_at: int
    answered_at: int | None
    ended_at: int
    ended_by: str
    """``caller``, ``agent``, ``flow``, ``system`` or ``network``."""
    end_cause: str | None
    flow: str | None
    path: tuple[str, ...]
    """Blocks in the order they were entered; one that was entered again is there again."""
    legs: tuple[LegSummary, ...]
    """In the order they were created."""

    def as_json(self) -> dict[str, object]:
        values: dict[str, object] = {name: getattr(self, name) for name in self.__slots__}
        values["path"] = list(self.path)
        values["legs"] = [leg.as_json() for leg in self.legs]
        return values


def finished_calls(engine: Engine, *, since: int | None = None, limit: int | None = None) -> Iterator[CallSummary]:
    """Calls that have ended, in the order they did, newest last.

    ``since``: only those that ended then (UTC epoch ms) or later. ``limit``: only the newest so many.
    """
    calls = model.Call
    place = tuple_(calls.ended_at, calls.call_id)
    ended: Select[*_Ended] = select(
        calls.call_id,
        calls.caller,
        calls.did,
        calls.arrived_at,
        calls.answered_at,
        calls.ended_at,
        calls.ended_by,
        calls.end_cause,
        calls.flow,
    ).where(calls.ended_at.is_not(None))
    if since is not None:
        ended = ended.where(calls.ended_at >= since)
    if limit is not None:
        if limit <= 0:
            return
        newest = ended.with_only_columns(calls.ended_at, calls.call_id)
        with engine.connect() as connection:
            oldest = connection.execute(
                newest.order_by(calls.ended_at.desc(), calls.call_id.desc()).offset(limit - 1).limit(1)
            ).first()
        if oldest is not None:
            ended = ended.where(place >= tuple_(*oldest))
    ended = ended.order_by(calls.ended_at, calls.call_id)
    left = limit
    page = ended
    while left is None or left > 0:
        size = _CALLS_AT_A_TIME if left is None else min(left, _CALLS_AT_A_TIME)
        with engine.connect() as connection:
            rows = connection.execute(page.limit(size)).all()
            summaries = _summaries(connection, rows)
        yield from summaries
        if len(rows) < _CALLS_AT_A_TIME:
            return
        if left is not None:
            left -= len(rows)
        page = ended.where(place > tuple_(rows[-1].ended_at, rows[-1].call_id))


_Ended = tuple[str, str | None, str | None, int, int | None, int | None, str | None, str | None, str | None]


class _Step(NamedTuple):
    flow: str | None
    block: str | None
    verb: str | None
    exit: str | None
    next_block: str | None


def _summaries(connection: Connection, rows: Sequence[Row[*_Ended]]) -> list[CallSummary]:
    call_ids = [row.call_id for row in rows]
    steps = model.FlowStep
    found = legs_of(connection, call_ids)
    steps_of: dict[str, list[_Step]] = defaultdict(list)
    for call_id, *step in connection.execute(
        select(steps.call_id, steps.flow, steps.block, steps.verb, steps.exit, steps.next_block)
        .where(steps.call_id.in_(call_ids))
        .order_by(steps.call_id, steps.seq)
    ):
        steps_of[call_id].append(_Step(*step))
    return [
        CallSummary(
            row.call_id,
            row.caller,
            row.did,
            row.arrived_at,
            row.answered_at,
            row.ended_at or row.arrived_at,
            row.ended_by or "system",
            row.end_cause,
            row.flow,
            tuple(visit.block for visit in way(steps_of[row.call_id], row.flow)),
            tuple(found.get(row.call_id, ())),
        )
        for row in rows
    ]


def legs_of(connection: Connection, call_ids: Sequence[str]) -> Mapping[str, list[LegSummary]]:
    """By call: its legs, in the order in which they were created."""
    legs = model.Leg
    found: dict[str, list[LegSummary]] = defaultdict(list)
    for leg in connection.execute(
        select(
            legs.call_id,
            legs.kind,
            legs.role,
            legs.account,
            legs.answered_at,
            legs.ended_at,
            legs.codec,
            legs.rx_pkts,
            legs.lost_pkts,
            legs.jitter_ms,
            legs.outcome,
            legs.sip_status,
            legs.invitation,
            legs.invitation_state,
            legs.invitation_error,
        )
        .where(legs.call_id.in_(call_ids))
        .order_by(legs.call_id, legs.created_at, legs.leg_id)
    ):
        found[leg.call_id].append(
            LegSummary(
                leg.kind,
                leg.role,
                leg.account,
                leg.answered_at,
                leg.ended_at,
                leg.codec,
                leg.rx_pkts,
                leg.lost_pkts,
                leg.jitter_ms,
                leg.outcome,
                leg.sip_status,
                leg.invitation,
                leg.invitation_state,
                leg.invitation_error,
            )
        )
    return found
