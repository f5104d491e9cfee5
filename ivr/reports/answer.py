"""A report asked of the records: its rows, and the calls behind any of their numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Engine, select

from ivr.records import model
from ivr.reports.cells import Cell, Records
from ivr.reports.definition import TIMES, By, Column, Number, Report, Settings, Sums
from ivr.reports.dialect import asking
from ivr.reports.facts import Facts
from ivr.reports.occupancy import Busy, calls_at, occupancy
from ivr.reports.span import BUCKETINGS, DAY_MS, SLOT_MS, Span, buckets

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

Where = Mapping[str, str]
"""From a key to the value that it must have, as rows show it."""


class ReportError(Exception):
    """The report cannot be given so: what is wrong, and what can be asked instead."""


@dataclass(frozen=True, slots=True)
class ReportRow:
    keys: tuple[str, ...]
    """In the order of :attr:`Answer.keys`; empty for the total."""
    values: tuple[Number, ...]
    """In the order of the report's columns. None: there is nothing to divide by."""


@dataclass(frozen=True)
class Answer:
    """A report with its numbers."""

    report: Report
    span: Span
    settings: Settings
    keys: tuple[str, ...]
    """What the rows are cut by."""
    where: Where
    rows: tuple[ReportRow, ...]
    total: ReportRow | None
    left_off: int = 0
    """Rows beyond those that were asked for."""

    def value(self, row: ReportRow, column: str) -> Number:
        return row.values[[one.name for one in self.report.columns].index(column)]


def answer(
    report: Report,
    records: Records,
    span: Span,
    *,
    by: By | None = None,
    where: Where | None = None,
    settings: Settings | None = None,
    most: int | None = None,
) -> Answer:
    """The report's numbers. ``by``: cut so, in place of what is usual; ``most``: only so many rows, the first.

    Raises ReportError.
    """
    settings, where = settings or Settings(), where or {}
    cut = _cut(report, span, by)
    keys = (*((cut,) if cut in TIMES else ()), *report.keys, *((cut,) if cut and cut not in TIMES else ()))
    keys = tuple(dict.fromkeys(keys))
    seen = span.until(records.now)
    if report.facts is None:
        found, total = _lines(records, seen, keys, where), None
    else:
        found, total = _sums(report.facts, records, seen, keys, where)
    if cut not in TIMES and report.sorted_by is not None:
        largest, then = report.column(report.sorted_by).value, report.then_by or (lambda sums: 0)
        found = dict(sorted(found.items(), key=lambda one: (-(largest(one[1], settings) or 0), then(one[1]), one[0])))
    rows = [_row(report, key, sums, settings) for key, sums in found.items()]
    return Answer(
        report,
        span,
        settings,
        keys,
        where,
        tuple(rows[:most]),
        None if total is None or not report.total else _row(report, (), total, settings),
        len(rows) - len(rows[:most]),
    )


def usual_cut(report: Report, span: Span) -> By | None:
    if report.usual == "time":
        return "hour" if span.ends - span.begins <= 2 * DAY_MS + 2 * 60 * 60 * 1000 else "day"
    return report.usual


def _cut(report: Report, span: Span, by: By | None) -> By | None:
    if by is None:
        return usual_cut(report, span)
    if by not in report.cuts and by not in report.keys:
        possible = ", ".join(report.cuts) or "nothing"
        raise ReportError(f"'{report.name}' cannot be cut by {by}: it can by {possible}")
    return by


def _row(report: Report, keys: tuple[str, ...], sums: Sums, settings: Settings) -> ReportRow:
    return ReportRow(keys, tuple(column.value(sums, settings) for column in report.columns))


# Keys. ----------------------------------------------------------------------------------------------------


class _Times:
    """What keys that are parts of time say of a slot."""

    def __init__(self, span: Span, names: Iterable[str]) -> None:
        self._span = span
        self._of: dict[str, Callable[[int], str]] = {name: self._labels(name) for name in names}

    def _labels(self, name: str) -> Callable[[int], str]:
        for by in BUCKETINGS:
            if name == by:
                found = buckets(self._span, by)
                return lambda slot: found[slot].label
        if name == "weekday":
            return lambda slot: WEEKDAYS[self._span.local(slot).weekday()]
        return lambda slot: f"{self._span.local(slot):%H}"

    def label(self, name: str, slot: int) -> str:
        return self._of[name](slot)

    def fits(self, slot: int, where: Where) -> bool:
        return all(self._of[name](slot) == where[name] for name in self._of if name in where)


_OF_TIME: Final = (*TIMES, "weekday", "hour of day")


def _checked(where: Where, possible: Iterable[str]) -> None:
    for name in where:
        if name not in possible:
            raise ReportError(f"there is no '{name}' to look for: there are {', '.join(possible)}")


def _sums(
    facts: Facts, records: Records, span: Span, keys: tuple[str, ...], where: Where
) -> tuple[dict[tuple[str, ...], Sums], Sums]:
    _checked(where, (*_OF_TIME, *facts.dimensions))
    times = _Times(span, [name for name in _OF_TIME if name in keys or name in where])
    dimensions = [name for name in (*keys, *where) if name in facts.dimensions]
    dimensions = list(dict.fromkeys(dimensions))
    slots = list(span.slots())
    fitting = {slot for slot in slots if times.fits(slot, where)}
    of_slot = {slot: tuple(times.label(name, slot) for name in keys if name in _OF_TIME) for slot in slots}
    places = [dimensions.index(name) for name in keys if name in dimensions]
    wanted = [(dimensions.index(name), value) for name, value in where.items() if name in dimensions]
    found: dict[tuple[tuple[str, ...], tuple[str, ...]], Cell] = {}
    total = _empty(facts)
    if not any(name in dimensions for name in keys):
        # Cut by time alone: an hour without calls has its row too.
        order = list(of_slot.items()) if keys[:1] != ("weekday",) else _by_weekday(of_slot)
        found = {(label, ()): _empty(facts) for slot, label in order if slot in fitting}
    for slot, key, cell in records.slots(facts, dimensions, span):
        if slot in fitting and all(key[place] == value for place, value in wanted):
            row = (of_slot[slot], tuple([key[place] for place in places]))
            if row not in found:
                found[row] = _empty(facts)
            found[row].add(cell)
            total.add(cell)
    if places:
        # Not by their labels: of the hour that comes twice, the later one sorts before the earlier one.
        rank = {label: number for number, label in enumerate(dict.fromkeys(of_slot.values()))}
        found = dict(sorted(found.items(), key=lambda one: (rank[one[0][0]], one[0][1])))
    return {time + key: _named(facts, cell) for (time, key), cell in found.items()}, _named(facts, total)


def _by_weekday(of_slot: Mapping[int, tuple[str, ...]]) -> list[tuple[int, tuple[str, ...]]]:
    return sorted(of_slot.items(), key=lambda one: (WEEKDAYS.index(one[1][0]), one[1][1:]))


def _empty(facts: Facts) -> Cell:
    return Cell([0] * len(facts.measures), [{} for _ in facts.spreads])


def _named(facts: Facts, cell: Cell) -> Sums:
    return Sums(dict(zip(facts.measures, cell.sums, strict=True)), dict(zip(facts.spreads, cell.spreads, strict=True)))


def _lines(records: Records, span: Span, keys: tuple[str, ...], where: Where) -> dict[tuple[str, ...], Sums]:
    _checked(where, (*TIMES, "line"))
    times = _Times(span, [name for name in TIMES if name in keys or name in where])
    lengths: dict[tuple[str, ...], int] = defaultdict(int)
    of_slot = {}
    for slot in span.slots():
        if times.fits(slot, where):
            of_slot[slot] = tuple(times.label(name, slot) for name in keys if name in TIMES)
            lengths[of_slot[slot]] += max(0, min(slot + SLOT_MS, max(records.now, slot)) - slot)
    measured = [one for one in occupancy(records, span) if one[0] in of_slot and where.get("line", one[1]) == one[1]]
    found: dict[tuple[str, ...], Busy] = {}
    for line in sorted({line for _, line, _ in measured}):
        for slot, label in of_slot.items():
            found.setdefault((*label, line), Busy(0, slot, 0))
    for slot, line, busy in sorted(measured, key=lambda one: (one[1], one[0])):
        key = (*of_slot[slot], line)
        found[key] = found[key].joined(busy)
    return {
        key: Sums({"peak": one.peak, "peak_at": one.peak_at, "busy_ms": one.busy_ms, "span_ms": lengths[key[:-1]]})
        for key, one in found.items()
    }


# The calls behind a number. -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CallLine:
    """A call in one line. Times are UTC epoch milliseconds."""

    call_id: str
    arrived_at: int
    ended_at: int | None
    caller: str | None
    number: str | None
    flow: str | None
    last_block: str | None
    goal: str | None
    ended_by: str | None


def calls_behind(
    report: Report,
    records: Records,
    span: Span,
    *,
    column: str | None = None,
    where: Where | None = None,
    settings: Settings | None = None,
    most: int | None = None,
) -> list[CallLine]:
    """The calls that a column counts in the rows that ``where`` names, in the order they arrived.

    ``column``: the report's first one, unless given. ``most``: only so many, the first.

    Raises ReportError.
    """
    settings, where = settings or Settings(), where or {}
    chosen = _column(report, column)
    if report.facts is None:
        return _calls_of_line(report, records, span, where, most)
    facts = report.facts
    _checked(where, (*_OF_TIME, *facts.dimensions))
    if chosen.behind is None:
        raise ReportError(f"'{chosen.name}' of '{report.name}' does not count calls: name another column")
    times = _Times(span, [name for name in _OF_TIME if name in where])
    fitting = [slot for slot in span.slots() if times.fits(slot, where)]
    if not fitting:
        return []
    row = facts.rows(fitting[0], fitting[-1] + SLOT_MS).subquery("facts").c
    question = select(row.call_id, row.arrived_at, *(row[name] for name in facts.readers)).where(
        chosen.behind(row, settings),
        *(
            row[name] == value
            for name, value in where.items()
            if name in facts.dimensions and name not in facts.readers
        ),
    )
    slots = set(fitting)
    found: dict[str, int] = {}
    with asking(records.engine) as connection:
        for call_id, arrived_at, *raw in connection.execute(question):
            read = dict(zip(facts.readers, raw, strict=True))
            if arrived_at - arrived_at % SLOT_MS in slots and all(
                facts.readers[name](text) == where.get(name, facts.readers[name](text)) for name, text in read.items()
            ):
                found[call_id] = arrived_at
    first = sorted(found, key=lambda call_id: (found[call_id], call_id))[:most]
    return _lines_of(records.engine, first)


def _column(report: Report, name: str | None) -> Column:
    if name is None:
        return report.columns[0]
    for column in report.columns:
        if name in (column.name, column.title):
            return column
    raise ReportError(f"'{report.name}' has no column '{name}': it has {', '.join(one.name for one in report.columns)}")


def _calls_of_line(report: Report, records: Records, span: Span, where: Where, most: int | None) -> list[CallLine]:
    """Those that were on a line at its peak."""
    if "line" not in where:
        raise ReportError("say which line: --where 'line=all calls'")
    sums = _lines(records, span.until(records.now), ("line",), where)
    if not sums:
        return []
    (peak,) = sums.values()
    calls = model.Call.__table__.c
    with records.engine.connect() as connection:
        near = calls.arrived_at >= peak["peak_at"] - DAY_MS
        found = connection.execute(select(calls.call_id).where(near, calls_at(where["line"], peak["peak_at"])))
        call_ids = sorted(call_id for (call_id,) in found)
    return _lines_of(records.engine, call_ids)[:most]


_AT_A_TIME: Final = 500


def _lines_of(engine: Engine, call_ids: Sequence[str]) -> list[CallLine]:
    calls = model.Call.__table__.c
    columns: list[ColumnElement[Any]] = [
        calls.call_id,
        calls.arrived_at,
        calls.ended_at,
        calls.caller,
        calls.did,
        calls.flow,
        calls.last_block,
        calls.goal,
        calls.ended_by,
    ]
    lines: list[CallLine] = []
    with engine.connect() as connection:
        for start in range(0, len(call_ids), _AT_A_TIME):
            some = call_ids[start : start + _AT_A_TIME]
            lines += [CallLine(*row) for row in connection.execute(select(*columns).where(calls.call_id.in_(some)))]
    return sorted(lines, key=lambda line: (line.arrived_at, line.call_id))
