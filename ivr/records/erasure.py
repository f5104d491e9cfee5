"""Takes a caller out of the records: who it was and what was said goes, that there was a call and how it went stays.

Events are the truth that rows are derived from, so they are cleared too, and in such a way that rows derived again are
those that are there. Of the data of an event only what is listed here stays: whatever is added to events later goes,
until somebody decides otherwise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, bindparam, func, or_, select, update

from ivr.records.events import as_json
from ivr.records.model import Call, Event, FlowStep, Leg, Tag

__all__ = ["Erased", "erase"]

_CALLS_AT_A_TIME: Final = 50
_SETTLED_MS: Final = 60_000
"""Something often follows a call's end, and is written beside what is remembered of the call."""

_OF_A_CALL = frozenset(
    (
        "mode",
        "node_id",
        "did",
        "language",
        "flow",
        "flow_version",
        "conversation_id",
        "variant",
        "trace_id",
        "goal",
        "disposition",
        "ended_by",
        "end_cause",
        "sip_status",
        "last_block",
    )
)
_OF_A_LEG = frozenset(
    (
        "kind",
        "role",
        "rtc_channel",
        "parent_leg",
        "transfer_of",
        "transfer_kind",
        "codec",
        "hangup_by",
        "outcome",
        "sip_status",
        "q850",
        "rx_pkts",
        "tx_pkts",
        "lost_pkts",
        "jitter_ms",
        "rtt_ms",
        "mos",
        "audio_rx_ms",
        "audio_tx_ms",
        "invitation",
        "invitation_state",
        "invitation_error",
    )
)
_WHO = frozenset(("account", "remote", "sip_call_id"))
"""Stays of legs to somebody else."""

_KEPT: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "call.arrived": _OF_A_CALL,
        "call.marked": _OF_A_CALL,
        "call.ended": _OF_A_CALL,
        "leg.created": _OF_A_LEG | _WHO,
        "leg.answered": frozenset(("codec",)),
        "leg.ended": _OF_A_LEG | _WHO,
        "flow.step": frozenset(
            (
                "seq",
                "flow",
                "flow_version",
                "block",
                "step",
                "verb",
                "line",
                "from_at",
                "until_at",
                "try_no",
                "input_mode",
                "confidence",
                "barged_in",
                "heard_ms",
                "exit",
                "next_block",
                "error",
            )
        ),
        "offer.start": frozenset(("targets",)),
        "offer.end": frozenset(("outcome",)),
        "bridge.join": frozenset(("leg",)),
        "prompt.end": frozenset(("heard_ms", "completed")),
        "speech": frozenset(("from_at", "until_at", "took_ms", "confidence", "barged_in")),
        "key": frozenset(("source",)),
        "tag": frozenset(("name",)),
    }
)


@dataclass(slots=True)
class Erased:
    """What was done, or would be."""

    calls: list[str] = field(default_factory=list)
    """Ids of the calls of that caller that were cleared."""
    events: int = 0
    steps: int = 0
    """Answers of the caller."""
    tags: int = 0
    legs: int = 0
    mentions: list[str] = field(default_factory=list)
    """Ids of calls of others that went to that number: it was taken out of them."""
    under_way: list[str] = field(default_factory=list)
    """Ids of calls that are under way or were a moment ago: nothing was done to these."""


def erase(
    engine: Engine,
    number: str,
    now_ms: int,
    *,
    dry_run: bool = False,
    cleared: Callable[[int], None] = lambda calls: None,
) -> Erased:
    """Clear the calls of that caller, and take the number out of calls that went to it.

    ``number``: a telephone number, with or without its plus, or whatever else stands as ``caller``. ``cleared`` is told
    how many calls more are done.

    Raises ValueError for a number that is none, and SQLAlchemyError.
    """
    number = number.strip()
    if not number:
        raise ValueError("there is no number")
    spellings = _spellings(number)
    erased = Erased()
    pattern = _pattern(spellings)
    with engine.connect() as connection:
        recent = now_ms - _SETTLED_MS
        own = connection.execute(
            select(Call.call_id, Call.ended_at).where(Call.caller.in_(spellings)).order_by(Call.arrived_at)
        ).all()
        others = list(_calls_to(connection, spellings, pattern, {row.call_id for row in own}))
    for call_ids, into in ((own, erased.calls), (others, erased.mentions)):
        for call_id, ended_at in call_ids:
            (into if ended_at is not None and ended_at < recent else erased.under_way).append(call_id)
    for some in _chunks(erased.calls):
        with engine.begin() as connection:
            _clear(connection, some, erased, dry_run)
        cleared(len(some))
    for some in _chunks(erased.mentions):
        with engine.begin() as connection:
            _take_out(connection, some, spellings, pattern, erased, dry_run)
        cleared(len(some))
    return erased


def _spellings(number: str) -> tuple[str, ...]:
    """As it may stand in the records."""
    bare = re.sub(r"[\s()/.-]", "", number)
    digits = bare.removeprefix("+").removeprefix("00") if bare.startswith(("+", "00")) else bare
    if not digits.isdecimal():
        return (number,)
    return (digits, f"+{digits}", f"00{digits}")


def _pattern(spellings: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted(map(re.escape, spellings), key=len, reverse=True)
    return re.compile(rf"(?<![\w+])(?:{'|'.join(longest_first)})(?!\w)")


def _calls_to(
    connection: Connection, spellings: Sequence[str], pattern: re.Pattern[str], own: set[str]
) -> Iterator[tuple[str, int | None]]:
    query = (
        select(Call.call_id, Call.ended_at, Call.did, Leg.remote, Leg.account)
        .join(Leg, Leg.call_id == Call.call_id)
        .where(
            or_(
                Call.did.in_(spellings),
                Leg.remote.contains(spellings[0], autoescape=True),
                Leg.account.in_(spellings),
            )
        )
        .order_by(Call.call_id)
    )
    seen = set(own)
    for call_id, ended_at, did, remote, account in connection.execute(query):
        if call_id not in seen and (did in spellings or account in spellings or pattern.search(remote or "")):
            seen.add(call_id)
            yield call_id, ended_at


# His own calls. -------------------------------------------------------------------------------------------


def _clear(connection: Connection, call_ids: Sequence[str], erased: Erased, dry_run: bool) -> None:
    legs = connection.execute(select(Leg.call_id, Leg.leg_id).where(Leg.call_id.in_(call_ids), Leg.role == "caller"))
    callers = {(row.call_id, row.leg_id) for row in legs}

    def kept(call_id: str, leg_id: str | None, kind: str, data: dict[str, Any]) -> dict[str, Any]:
        names = _KEPT.get(kind, frozenset())
        if (call_id, leg_id) in callers:
            names -= _WHO
        return {name: value for name, value in data.items() if name in names}

    erased.events += _change_events(connection, call_ids, kept, dry_run)
    answered = FlowStep.call_id.in_(call_ids) & FlowStep.input.is_not(None)
    tagged = Tag.call_id.in_(call_ids) & Tag.value.is_not(None)
    erased.legs += len(callers)
    erased.steps += _changed(connection, FlowStep, answered, {"input": None}, dry_run)
    erased.tags += _changed(connection, Tag, tagged, {"value": None}, dry_run)
    if not dry_run:
        connection.execute(
            update(Leg).where(Leg.call_id.in_(call_ids), Leg.role == "caller").values(dict.fromkeys(sorted(_WHO)))
        )
        connection.execute(update(Call).where(Call.call_id.in_(call_ids)).values(caller=None, caller_name=None))


# Calls of others to him. ----------------------------------------------------------------------------------


def _take_out(
    connection: Connection,
    call_ids: Sequence[str],
    spellings: Sequence[str],
    pattern: re.Pattern[str],
    erased: Erased,
    dry_run: bool,
) -> None:
    def without(call_id: str, leg_id: str | None, kind: str, data: dict[str, Any]) -> dict[str, Any]:
        return {name: _without(value, pattern) for name, value in data.items()}

    erased.events += _change_events(connection, call_ids, without, dry_run)
    if dry_run:
        return
    connection.execute(update(Call).where(Call.call_id.in_(call_ids), Call.did.in_(spellings)).values(did=""))
    for leg in connection.execute(
        select(Leg.call_id, Leg.leg_id, Leg.remote, Leg.account).where(Leg.call_id.in_(call_ids))
    ).all():
        values = {name: _without(getattr(leg, name), pattern) for name in ("remote", "account")}
        connection.execute(update(Leg).where(Leg.call_id == leg.call_id, Leg.leg_id == leg.leg_id).values(values))


def _without(value: Any, pattern: re.Pattern[str]) -> Any:
    match value:
        case str():
            return pattern.sub("", value)
        case list():
            return [_without(one, pattern) for one in value]
        case dict():
            return {name: _without(one, pattern) for name, one in value.items()}
        case _:
            return value


# Both. ----------------------------------------------------------------------------------------------------


def _change_events(
    connection: Connection,
    call_ids: Sequence[str],
    change: Callable[[str, str | None, str, dict[str, Any]], dict[str, Any]],
    dry_run: bool,
) -> int:
    """How many events changed."""
    rows = connection.execute(
        select(Event.event_id, Event.call_id, Event.leg_id, Event.type, Event.data).where(
            Event.call_id.in_(call_ids), Event.data.is_not(None)
        )
    ).all()
    changed = []
    for row in rows:
        data = json.loads(row.data)
        kept = change(row.call_id, row.leg_id, row.type, data)
        if kept != data:
            changed.append({"row": row.event_id, "kept": as_json(kept)})
    if changed and not dry_run:
        connection.execute(
            update(Event).where(Event.event_id == bindparam("row")).values(data=bindparam("kept")), changed
        )
    return len(changed)


def _changed(
    connection: Connection,
    table: type[FlowStep] | type[Tag],
    where: ColumnElement[bool],
    values: Mapping[str, None],
    dry_run: bool,
) -> int:
    if dry_run:
        return int(connection.execute(select(func.count()).select_from(table).where(where)).scalar() or 0)
    return connection.execute(update(table).where(where).values(values)).rowcount


def _chunks(call_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(call_ids), _CALLS_AT_A_TIME):
        yield call_ids[start : start + _CALLS_AT_A_TIME]
