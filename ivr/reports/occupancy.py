"""How many lines are busy at once: from when each was taken and given back, so that no peak falls between samples."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, literal, or_, select

from ivr.records import model
from ivr.reports.cells import Records
from ivr.reports.dialect import asking
from ivr.reports.shelf import shape_of
from ivr.reports.span import DAY_MS, SLOT_MS, Span

LOOK_BACK_MS: Final = DAY_MS
"""A call that began longer ago is not seen any more; the longest call of a site is four hours unless it says so."""
ALL_CALLS: Final = "all calls"
ALL_TRUNKS: Final = "all trunks"

_NAME: Final = "occupancy/line"

Interval = tuple[str, int, int]
"""Which line, since when, until when (UTC epoch ms)."""


@dataclass(frozen=True, slots=True)
class Busy:
    """One line in one slot, or in several."""

    peak: int
    """The most at once."""
    peak_at: int
    """When that was so for the first time, UTC epoch ms."""
    busy_ms: int
    """All together."""

    def joined(self, later: Busy) -> Busy:
        peak, peak_at = max((self.peak, -self.peak_at), (later.peak, -later.peak_at))
        return Busy(peak, -peak_at, self.busy_ms + later.busy_ms)


def occupancy(records: Records, span: Span) -> Iterator[tuple[int, str, Busy]]:
    """Slot, line, how busy it was; slots in which nothing was busy are left out."""
    first = span.begins - span.begins % DAY_MS
    shape = shape_of(_question(0, 0), records.engine)
    stored = records.shelf.take(_NAME, shape, first, span.ends)
    settled = records.shelf.settled(first, span.ends)
    cells: Iterable[tuple[int, str, Busy]]
    for day in range(first, span.ends, DAY_MS):
        if day in stored:
            cells = ((day + one[0] * SLOT_MS, one[1], Busy(one[2], one[3], one[4])) for one in stored[day])
        elif day in settled:
            cells = summed_up(records, day)
        else:
            begins, ends = max(day, span.begins), min(day + DAY_MS, span.ends, records.now + SLOT_MS)
            cells = _measured(records, begins, ends)
        yield from (one for one in cells if span.begins <= one[0] < span.ends)


def summed_up(records: Records, day: int) -> list[tuple[int, str, Busy]]:
    """Of a settled day; kept."""
    records.progress(f"lines of {time.strftime('%Y-%m-%d', time.gmtime(day / 1000))}")
    cells = list(_measured(records, day, day + DAY_MS))
    packed = [[(slot - day) // SLOT_MS, line, one.peak, one.peak_at, one.busy_ms] for slot, line, one in cells]
    records.shelf.put(_NAME, shape_of(_question(0, 0), records.engine), day, packed)
    return cells


def summarise(records: Records, begins: int) -> int:
    """As :meth:`Records.summarise`."""
    shape = shape_of(_question(0, 0), records.engine)
    days = records.shelf.settled(begins, records.now) - records.shelf.days(_NAME, shape, begins, records.now)
    for day in sorted(days):
        summed_up(records, day)
    return len(days)


def calls_at(line: str, at: int) -> ColumnElement[bool]:
    """Which calls were on a line then: a condition on ``calls``."""
    calls, legs = model.Call.__table__.c, model.Leg.__table__.c
    running = and_(calls.arrived_at <= at, or_(calls.ended_at.is_(None), calls.ended_at > at))
    if line == ALL_CALLS:
        return running
    on_it = (
        select(literal(1))
        .where(
            legs.call_id == calls.call_id,
            legs.kind == "pstn",
            legs.created_at <= at,
            or_(legs.ended_at.is_(None), legs.ended_at > at),
        )
        .correlate(model.Call)
    )
    return and_(running, (on_it if line == ALL_TRUNKS else on_it.where(legs.account == line)).exists())


def _question(begins: int, ends: int) -> Any:
    """Line, from, until. A leg of a trunk counts for the trunk and for all of them, a call for all calls."""
    calls, legs = model.Call.__table__.c, model.Leg.__table__.c
    near = and_(
        calls.arrived_at >= begins - LOOK_BACK_MS,
        calls.arrived_at < ends,
        or_(calls.ended_at.is_(None), calls.ended_at > begins),
    )
    each_call = select(literal(ALL_CALLS).label("line"), calls.arrived_at, calls.ended_at).where(near)
    each_leg = (
        select(func.coalesce(legs.account, "-"), legs.created_at, legs.ended_at)
        .join_from(model.Call, model.Leg, legs.call_id == calls.call_id)
        .where(near, legs.kind == "pstn", legs.created_at.is_not(None))
    )
    return each_call.union_all(each_leg)


def _measured(records: Records, begins: int, ends: int) -> Iterator[tuple[int, str, Busy]]:
    intervals: list[Interval] = []
    with asking(records.engine) as connection:
        for line, since, until in connection.execute(_question(begins, ends)):
            until = records.now if until is None else until
            intervals.append((line, since, until))
            if line != ALL_CALLS:
                intervals.append((ALL_TRUNKS, since, until))
    yield from busy(intervals, begins, ends)


def busy(intervals: Iterable[Interval], begins: int, ends: int) -> Iterator[tuple[int, str, Busy]]:
    """How busy every line was in each slot from ``begins``, which is on a slot, until ``ends``.

    Who gives a line back in the millisecond in which another takes it is not on it with him.
    """
    changes: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for line, since, until in intervals:
        since, until = max(since, begins), min(until, ends)
        if since < until:
            changes[line] += [(since, 1), (until, -1)]
    for line, of_line in sorted(changes.items()):
        of_line.sort()
        yield from ((slot, line, one) for slot, one in _walk(of_line, begins, ends))


def _walk(changes: Sequence[tuple[int, int]], begins: int, ends: int) -> Iterator[tuple[int, Busy]]:
    level = place = 0
    for slot in range(begins, ends, SLOT_MS):
        over = min(slot + SLOT_MS, ends)
        while place < len(changes) and changes[place] <= (slot, -1):
            level, place = level + changes[place][1], place + 1
        peak, peak_at, at, busy_ms = level, slot, slot, 0
        while place < len(changes) and changes[place][0] < over:
            when, change = changes[place]
            busy_ms += level * (when - at)
            at, level, place = when, level + change, place + 1
            if level > peak:
                peak, peak_at = level, when
        busy_ms += level * (over - at)
        if peak:
            yield slot, Busy(peak, peak_at, busy_ms)
