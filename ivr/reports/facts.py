"""What reports count, as questions to the records: a row for each thing that counts, with what it is counted under.

Every row belongs to one call and counts where that call arrived. A number of a report is a sum over such rows, and the
calls behind it are those of the same rows: both come from the same question, so they cannot disagree.

Queues are not there yet: who waits for people is *offered* to them (segments ``offer``, and ``queue`` once there are
such). :func:`_waits` is the one place that says so; visits of queues will take its place with the same columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Subquery,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import aliased

from ivr.records import model
from ivr.reports.dialect import joined_in_order
from ivr.reports.paths import PART_END, STEP_END, path_of
from ivr.reports.span import DAY_MS

REPEAT_MS: Final = DAY_MS
"""Who calls again within this time has called twice for one reason, as far as reports can tell."""
HEAVY_LOSS: Final = 0.03
"""Share of lost packets from which speech suffers."""
WITHHELD: Final = ("anonymous", "unavailable", "unknown", "private", "restricted", "withheld")
"""What stands in place of a caller's number that he does not show."""

Within = Callable[[int, int], Select[Any]]
"""From a span (UTC epoch ms, the end not included) to the rows of calls that arrived in it."""


@dataclass(frozen=True)
class Facts:
    """One kind of thing that is counted."""

    name: str
    rows: Within
    """Columns: ``call_id``, ``arrived_at``, the dimensions, the measures (whole numbers, never NULL)."""
    dimensions: tuple[str, ...]
    """What it can be counted by, beside time."""
    measures: tuple[str, ...]
    """What is added up."""
    spreads: Mapping[str, str] = field(default_factory=dict)
    """Measures that are 0 or 1, to the column of milliseconds whose spread is kept where they are 1; it is told to the
    full second above."""
    readers: Mapping[str, Callable[[str], str]] = field(default_factory=dict)
    """Dimensions that are not yet in words as the database has them, and what puts them so."""
    groupings: tuple[tuple[str, ...], ...] = ()
    """Dimensions that are kept together for days gone by; unless given, all in one."""

    @property
    def kept(self) -> tuple[tuple[str, ...], ...]:
        return self.groupings or (self.dimensions,)


_calls = model.Call.__table__.c
_legs = model.Leg.__table__.c
_segments = model.Segment.__table__.c
_steps = model.FlowStep.__table__.c

_TALK = _segments.kind.in_(("talk", "hold"))
_WAIT = _segments.kind.in_(("offer", "queue"))
_LEFT = _calls.ended_by.in_(("caller", "network"))
"""The caller hung up, or was lost."""


def _flag(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)


def _sum(expression: ColumnElement[Any]) -> ColumnElement[int]:
    # A sum of whole numbers is a decimal number to PostgreSQL.
    return cast(func.sum(expression), BigInteger)


def _arrived(begins: int, ends: int) -> ColumnElement[bool]:
    return and_(_calls.arrived_at >= begins, _calls.arrived_at < ends)


def _named(column: ColumnElement[Any]) -> ColumnElement[str]:
    """A dimension; what has none is counted under ``-``."""
    return func.coalesce(column, "-")


_PLACE = (_calls.call_id, _calls.arrived_at, _named(_calls.flow).label("flow"), _named(_calls.did).label("number"))


# Calls, and what became of them. --------------------------------------------------------------------------


def _waits(begins: int, ends: int) -> Subquery:
    """How calls were offered to people: a row for each call that was.

    ``wait_ms`` is all the time in which somebody was being rung, until the first one was talked to.
    """
    talk = aliased(model.Segment)
    first = ~exists().where(
        talk.call_id == _segments.call_id, talk.seq < _segments.seq, talk.kind.in_(("talk", "hold"))
    )
    length = func.coalesce(_segments.until_at, _segments.from_at) - _segments.from_at
    gave_up = and_(_WAIT, _LEFT, _segments.until_at == _calls.ended_at, length > 0)
    return (
        select(
            _segments.call_id,
            func.max(_segments.queue).label("queue"),
            func.max(_flag(_TALK)).label("talked"),
            func.max(_flag(gave_up)).label("gave_up"),
            _sum(case((and_(_WAIT, first), length), else_=0)).label("wait_ms"),
        )
        .join_from(model.Call, model.Segment, _calls.call_id == _segments.call_id)
        .where(_arrived(begins, ends), or_(_TALK, _WAIT))
        .group_by(_segments.call_id)
        .subquery("waits")
    )


_ENDS: Final = ("answered", "abandoned", "unanswered", "contained", "dropped", "ended", "failed")
"""What can become of a call, one of them for each that is over."""


def _end(waits: Subquery) -> ColumnElement[str]:
    """Which of ``_ENDS`` it was; ``open`` for a call that is not over."""
    wait = waits.c
    return case(
        (_calls.closed == 0, "open"),
        (wait.talked == 1, "answered"),
        (wait.gave_up == 1, "abandoned"),
        (wait.call_id.is_not(None), "unanswered"),
        (_calls.goal.is_not(None), "contained"),
        (_LEFT, "dropped"),
        (_calls.ended_by == "flow", "ended"),
        else_="failed",
    )


def _calls_rows(begins: int, ends: int) -> Select[Any]:
    waits = _waits(begins, ends)
    end = _end(waits)
    ivr = _calls.mode == "ivr"
    return (
        select(
            *_PLACE,
            literal(1).label("calls"),
            _flag(_calls.answered_at.is_not(None)).label("taken"),
            _flag(and_(_calls.answered_at.is_(None), _calls.closed == 1)).label("untaken"),
            _flag(_calls.closed == 0).label("open"),
            *(_flag(end == word).label(word) for word in _ENDS),
            (func.coalesce(_calls.ended_at, _calls.arrived_at) - _calls.arrived_at).label("lasted_ms"),
            _flag(and_(ivr, end != "open")).label("menus"),
            _flag(and_(ivr, end.in_(("answered", "abandoned", "unanswered")))).label("menus_people"),
            _flag(and_(ivr, end == "contained")).label("menus_contained"),
            _flag(and_(ivr, end == "dropped")).label("menus_dropped"),
            _flag(and_(ivr, end.in_(("ended", "failed")))).label("menus_ended"),
        )
        .join_from(model.Call, waits, waits.c.call_id == _calls.call_id, isouter=True)
        .where(_arrived(begins, ends))
    )


def _visits_rows(begins: int, ends: int) -> Select[Any]:
    waits = _waits(begins, ends)
    wait = waits.c
    return (
        select(
            *_PLACE,
            _named(wait.queue).label("queue"),
            literal(1).label("offered"),
            wait.talked.label("answered"),
            _flag(and_(wait.talked == 0, wait.gave_up == 1)).label("abandoned"),
            _flag(and_(wait.talked == 0, wait.gave_up == 0)).label("unanswered"),
            wait.wait_ms,
            case((wait.talked == 1, wait.wait_ms), else_=0).label("answer_ms"),
        )
        .join_from(model.Call, waits, waits.c.call_id == _calls.call_id)
        .where(_arrived(begins, ends), _calls.closed == 1)
    )


def _repeats_rows(begins: int, ends: int) -> Select[Any]:
    waits = _waits(begins, ends)
    again = model.Call.__table__.alias("again")
    repeated = exists().where(
        again.c.caller == _calls.caller,
        again.c.arrived_at >= _calls.arrived_at,
        again.c.arrived_at <= _calls.arrived_at + REPEAT_MS,
        again.c.call_id != _calls.call_id,
        or_(again.c.arrived_at > _calls.arrived_at, again.c.call_id > _calls.call_id),
    )
    return (
        select(
            *_PLACE,
            _end(waits).label("outcome"),
            literal(1).label("calls"),
            _flag(repeated).label("repeated"),
        )
        .join_from(model.Call, waits, waits.c.call_id == _calls.call_id, isouter=True)
        .where(_arrived(begins, ends), _calls.caller.is_not(None), func.lower(_calls.caller).not_in(WITHHELD))
    )


# People. --------------------------------------------------------------------------------------------------


def _handling_rows(begins: int, ends: int) -> Select[Any]:
    length = _segments.until_at - _segments.from_at
    return (
        select(
            *_PLACE,
            _named(func.max(_segments.agent)).label("agent"),
            literal(1).label("handled"),
            _sum(case((_segments.kind == "talk", length), else_=0)).label("talk_ms"),
            _sum(case((_segments.kind == "hold", length), else_=0)).label("hold_ms"),
        )
        .join_from(model.Call, model.Segment, _segments.call_id == _calls.call_id)
        .where(_arrived(begins, ends), _calls.closed == 1, _TALK, _segments.until_at.is_not(None))
        .group_by(_calls.call_id, _calls.arrived_at, _calls.flow, _calls.did, _segments.leg_id)
    )


_OUTCOMES: Final = ("no_answer", "refused", "busy", "offline", "failed")


def _offers_rows(begins: int, ends: int) -> Select[Any]:
    answered = _legs.answered_at.is_not(None)
    # Who answered and would not take the call has refused it.
    taken = and_(answered, _legs.outcome.is_(None))
    rung = func.coalesce(_legs.answered_at, _legs.ended_at, _legs.created_at) - _legs.created_at
    return (
        select(
            *_PLACE,
            _named(_legs.account).label("agent"),
            _named(_legs.kind).label("kind"),
            literal(1).label("offers"),
            _flag(taken).label("answered"),
            *(_flag(_legs.outcome == word).label(word) for word in _OUTCOMES),
            _flag(and_(_legs.answered_at.is_(None), _legs.outcome.is_(None))).label("cancelled"),
            rung.label("ring_ms"),
        )
        .join_from(model.Call, model.Leg, _legs.call_id == _calls.call_id)
        .where(_arrived(begins, ends), _legs.role == "agent", _legs.ended_at.is_not(None))
    )


def _transfers_rows(begins: int, ends: int) -> Select[Any]:
    def before(column: ColumnElement[Any]) -> ColumnElement[Any]:
        return func.lag(column).over(partition_by=_segments.call_id, order_by=_segments.seq)

    talks = (
        select(
            *_PLACE,
            _segments.agent,
            _segments.leg_id,
            before(_segments.agent).label("before"),
            before(_segments.leg_id).label("leg_before"),
        )
        .join_from(model.Call, model.Segment, _segments.call_id == _calls.call_id)
        .where(_arrived(begins, ends), _TALK)
        .subquery("talks")
    )
    passed = select(
        talks.c.call_id,
        talks.c.arrived_at,
        talks.c.flow,
        talks.c.number,
        _named(talks.c.before).label("from"),
        _named(talks.c.agent).label("to"),
        literal("passed on").label("kind"),
        literal(1).label("transfers"),
    ).where(talks.c.leg_before.is_not(None), talks.c.leg_before != talks.c.leg_id)
    handed = (
        select(
            *_PLACE,
            literal("the menu").label("from"),
            _named(_legs.account).label("to"),
            _named(_legs.transfer_kind).label("kind"),
            literal(1).label("transfers"),
        )
        .join_from(model.Call, model.Leg, _legs.call_id == _calls.call_id)
        .where(_arrived(begins, ends), _legs.transfer_kind.is_not(None))
    )
    both = passed.union_all(handed).subquery("both")
    return select(*both.c)


# Menus. ---------------------------------------------------------------------------------------------------


def _blocks_rows(begins: int, ends: int) -> Select[Any]:
    here = or_(
        and_(_steps.flow == _calls.flow, _calls.last_block == _steps.block),
        and_(_steps.flow != _calls.flow, _calls.last_block == _steps.flow + literal(".") + _steps.block),
    )
    hung_up = and_(_LEFT, here)
    talked = exists().where(_segments.call_id == _calls.call_id, _TALK)
    return (
        select(
            _calls.call_id,
            _calls.arrived_at,
            _named(_calls.did).label("number"),
            _steps.flow,
            _steps.block,
            literal(1).label("callers"),
            func.max(_flag(hung_up)).label("hung_up"),
            func.max(_flag(and_(hung_up, _calls.goal.is_(None), ~talked))).label("lost"),
            func.min(_steps.seq).label("place"),
            _sum(func.coalesce(_steps.until_at, _steps.from_at) - _steps.from_at).label("spent_ms"),
        )
        .join_from(model.Call, model.FlowStep, _steps.call_id == _calls.call_id)
        .where(_arrived(begins, ends), _calls.closed == 1, _steps.flow.is_not(None), _steps.block.is_not(None))
        .group_by(_calls.call_id, _calls.arrived_at, _calls.did, _steps.flow, _steps.block)
    )


def _tries_rows(begins: int, ends: int) -> Select[Any]:
    exit = func.coalesce(_steps.exit, "hangup")
    return (
        select(
            _calls.call_id,
            _calls.arrived_at,
            _named(_calls.did).label("number"),
            _named(_steps.flow).label("flow"),
            _named(_steps.block).label("block"),
            literal(1).label("tries"),
            _flag(_steps.input_mode == "keys").label("keys"),
            _flag(_steps.input_mode == "speech").label("speech"),
            _flag(exit.not_in(("no_input", "no_match", "failed", "hangup"))).label("matched"),
            _flag(exit == "no_input").label("no_input"),
            _flag(exit == "no_match").label("no_match"),
            _flag(exit == "failed").label("failed"),
            _flag(exit == "hangup").label("hung_up"),
            _flag(_steps.barged_in == 1).label("barged_in"),
            func.coalesce(_steps.heard_ms, 0).label("heard_ms"),
        )
        .join_from(model.Call, model.FlowStep, _steps.call_id == _calls.call_id)
        .where(_arrived(begins, ends), _steps.try_no.is_not(None))
    )


def _paths_rows(begins: int, ends: int) -> Select[Any]:
    parts = (_steps.flow, _steps.block, _steps.verb, _steps.exit, _steps.next_block)
    told: ColumnElement[str] = func.coalesce(parts[0], "")
    for part in parts[1:]:
        told = told + PART_END + func.coalesce(part, "")
    lines = (
        select(*_PLACE, _steps.seq, told.label("told"))
        .join_from(model.Call, model.FlowStep, _steps.call_id == _calls.call_id)
        .where(_arrived(begins, ends), _calls.closed == 1)
        .order_by(_steps.call_id, _steps.seq)
        .subquery("lines")
    )
    line = lines.c
    return select(
        line.call_id,
        line.arrived_at,
        line.flow,
        line.number,
        joined_in_order(line.told, STEP_END, line.seq).label("path"),
        literal(1).label("calls"),
    ).group_by(line.call_id, line.arrived_at, line.flow, line.number)


# Sound. ---------------------------------------------------------------------------------------------------


def _quality_rows(begins: int, ends: int) -> Select[Any]:
    received, lost = func.coalesce(_legs.rx_pkts, 0), func.coalesce(_legs.lost_pkts, 0)
    return (
        select(
            *_PLACE,
            _named(_legs.role).label("role"),
            _named(_legs.kind).label("kind"),
            _named(_legs.account).label("agent"),
            literal(1).label("legs"),
            _flag(_legs.audio_rx_ms == 0).label("silent"),
            received.label("received"),
            lost.label("lost"),
            _flag(lost > HEAVY_LOSS * (received + lost)).label("heavy_loss"),
            _flag(_legs.jitter_ms.is_not(None)).label("jitters"),
            cast(func.coalesce(_legs.jitter_ms, 0) * 1000, BigInteger).label("jitter_us"),
            _flag(_legs.mos.is_not(None)).label("rated"),
            cast(func.coalesce(_legs.mos, 0) * 1000, BigInteger).label("mos_1000"),
            _flag(_legs.mos < 3.6).label("mos_poor"),
        )
        .join_from(model.Call, model.Leg, _legs.call_id == _calls.call_id)
        .where(
            _arrived(begins, ends),
            _legs.answered_at.is_not(None),
            _legs.ended_at.is_not(None),
            _legs.rx_pkts.is_not(None),
        )
    )


_ALL: Final = (
    Facts(
        "calls",
        _calls_rows,
        ("flow", "number"),
        (
            "calls",
            "taken",
            "untaken",
            "open",
            *_ENDS,
            "lasted_ms",
            "menus",
            "menus_people",
            "menus_contained",
            "menus_dropped",
            "menus_ended",
        ),
    ),
    Facts(
        "visits",
        _visits_rows,
        ("flow", "number", "queue"),
        ("offered", "answered", "abandoned", "unanswered", "answer_ms"),
        spreads={"answered": "wait_ms", "abandoned": "wait_ms"},
        groupings=(("flow", "queue"), ("number",)),
    ),
    Facts(
        "repeats",
        _repeats_rows,
        ("outcome", "flow", "number"),
        ("calls", "repeated"),
        groupings=(("outcome", "flow"), ("outcome", "number")),
    ),
    Facts(
        "handling",
        _handling_rows,
        ("flow", "number", "agent"),
        ("handled", "talk_ms", "hold_ms"),
        groupings=(("flow", "number"), ("agent",)),
    ),
    Facts(
        "offers",
        _offers_rows,
        ("agent", "kind", "flow", "number"),
        ("offers", "answered", *_OUTCOMES, "cancelled", "ring_ms"),
        groupings=(("agent", "kind"),),
    ),
    Facts("transfers", _transfers_rows, ("from", "to", "kind", "flow", "number"), ("transfers",)),
    Facts(
        "blocks",
        _blocks_rows,
        ("flow", "block", "number"),
        ("callers", "hung_up", "lost", "place", "spent_ms"),
        groupings=(("flow", "block"),),
    ),
    Facts(
        "tries",
        _tries_rows,
        ("flow", "block", "number"),
        (
            "tries",
            "keys",
            "speech",
            "matched",
            "no_input",
            "no_match",
            "failed",
            "hung_up",
            "barged_in",
            "heard_ms",
        ),
        groupings=(("flow", "block"),),
    ),
    Facts(
        "paths",
        _paths_rows,
        ("path", "flow", "number"),
        ("calls",),
        readers={"path": path_of},
        groupings=(("path", "flow"),),
    ),
    Facts(
        "quality",
        _quality_rows,
        ("role", "kind", "agent", "flow", "number"),
        (
            "legs",
            "silent",
            "received",
            "lost",
            "heavy_loss",
            "jitters",
            "jitter_us",
            "rated",
            "mos_1000",
            "mos_poor",
        ),
        groupings=(("role", "kind"), ("agent",)),
    ),
)

FACTS: Final[Mapping[str, Facts]] = MappingProxyType({facts.name: facts for facts in _ALL})
"""All of them by name."""
