"""Sums of facts in slots of a quarter of an hour, counted by the database; sums of days gone by come from the shelf."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, case, func, select

from ivr.records import model
from ivr.reports.dialect import asking
from ivr.reports.facts import FACTS, Facts
from ivr.reports.shelf import Shelf, shape_of
from ivr.reports.span import DAY_MS, SLOT_MS, Span

Progress = Callable[[str], None]
"""Told what is being summed up: the first time may take long."""


@dataclass(slots=True)
class Cell:
    """What was added up, in the order of the facts' measures and spreads."""

    sums: list[int]
    spreads: list[dict[int, int]]
    """From seconds, rounded up, to how often."""

    def add(self, other: Cell) -> None:
        self.sums = [mine + more for mine, more in zip(self.sums, other.sums, strict=True)]
        for mine, more in zip(self.spreads, other.spreads, strict=True):
            for second, count in more.items():
                mine[second] = mine.get(second, 0) + count


Key = tuple[str, ...]
Slots = Iterable[tuple[int, Key, Cell]]
"""The slot that the calls arrived in, dimensions, sums. The same may come more than once."""


@dataclass(frozen=True)
class Records:
    """The database that reports ask, and when they ask it."""

    engine: Engine
    now: int
    """UTC epoch milliseconds."""
    keep: bool = True
    """Whether sums of settled days are kept."""
    progress: Progress = field(default=lambda words: None)
    _counts: dict[tuple[str, Key, int, int], list[tuple[int, Key, Cell]]] = field(default_factory=dict, repr=False)
    """What was counted already: several reports of one page count the same."""

    @cached_property
    def shelf(self) -> Shelf:
        return Shelf(self.engine, self.now, self.keep)

    def slots(self, facts: Facts, dimensions: Sequence[str], span: Span) -> Slots:
        """Sums of the span by slot and the dimensions asked for."""
        kept = next((group for group in facts.kept if set(dimensions) <= set(group)), None)
        if kept is None or span.ends - span.begins < DAY_MS // 2:
            return self._counted(facts, tuple(dimensions), span.begins, span.ends)
        places = [kept.index(name) for name in dimensions]
        return (
            (slot, tuple([key[place] for place in places]), cell) for slot, key, cell in self._by_day(facts, kept, span)
        )

    def first_arrival(self, begins: int) -> int | None:
        """When the first call since then arrived."""
        arrived = model.Call.__table__.c.arrived_at
        with self.engine.connect() as connection:
            return connection.execute(select(func.min(arrived)).where(arrived >= begins)).scalar()

    def summarise(self, begins: int) -> int:
        """Put every settled day from then on on the shelf that is not there yet. Returns how many were made."""
        made = 0
        for facts in FACTS.values():
            for group in facts.kept:
                shape = shape_of(question(facts, group, 0, 0), self.engine)
                days = self.shelf.settled(begins, self.now)
                for day in sorted(days - self.shelf.days(_name(facts, group), shape, begins, self.now)):
                    self._sum_up(facts, group, day)
                    made += 1
        return made

    def _by_day(self, facts: Facts, group: Key, span: Span) -> Iterator[tuple[int, Key, Cell]]:
        first = span.begins - span.begins % DAY_MS
        stored = self.shelf.take(
            _name(facts, group), shape_of(question(facts, group, 0, 0), self.engine), first, span.ends
        )
        settled = self.shelf.settled(first, span.ends)
        loose: list[int] = []
        for day in range(first, span.ends, DAY_MS):
            if day in stored:
                yield from _within(span, _unpacked(stored[day], day, group, facts))
            elif day in settled:
                yield from _within(span, self._sum_up(facts, group, day))
            else:
                loose.append(day)
        for begins, ends in _runs(loose):
            yield from self._counted(facts, group, max(begins, span.begins), min(ends, span.ends))

    def _sum_up(self, facts: Facts, group: Key, day: int) -> Slots:
        self.progress(f"{facts.name} of {time.strftime('%Y-%m-%d', time.gmtime(day / 1000))}")
        cells = self._counted(facts, group, day, day + DAY_MS)
        packed = [
            [(slot - day) // SLOT_MS, *key, *cell.sums, *(list(spread.items()) for spread in cell.spreads)]
            for slot, key, cell in cells
        ]
        self.shelf.put(_name(facts, group), shape_of(question(facts, group, 0, 0), self.engine), day, packed)
        return cells

    def _counted(self, facts: Facts, group: Key, begins: int, ends: int) -> list[tuple[int, Key, Cell]]:
        """Straight from the rows."""
        asked = (facts.name, group, begins, ends)
        if asked not in self._counts:
            self._counts[asked] = self._count(facts, group, begins, ends)
        return self._counts[asked]

    def _count(self, facts: Facts, group: Key, begins: int, ends: int) -> list[tuple[int, Key, Cell]]:
        cells: dict[tuple[int, Key], Cell] = {}
        first, spreads = 1 + len(group), len(facts.spreads)
        readers = [(place, facts.readers[name]) for place, name in enumerate(group) if name in facts.readers]
        with asking(self.engine) as connection:
            for row in connection.execute(question(facts, group, begins, ends)):
                key = tuple(row[1:first])
                for place, read in readers:
                    key = (*key[:place], read(key[place]), *key[place + 1 :])
                count = row[first + spreads]
                cell = Cell(
                    [int(number) for number in row[first + spreads + 1 :]],
                    [{} if second is None else {int(second): count} for second in row[first : first + spreads]],
                )
                there = cells.setdefault((row[0], key), cell)
                if there is not cell:
                    there.add(cell)
        return [(slot, key, cell) for (slot, key), cell in cells.items()]


def question(facts: Facts, group: Key, begins: int, ends: int) -> Select[Any]:
    """Slot, dimensions, the second of each spread, how many rows, sums of the measures."""
    column = facts.rows(begins, ends).subquery("facts").c
    parts: list[ColumnElement[Any]] = [(column.arrived_at - column.arrived_at % SLOT_MS).label("slot")]
    parts += [column[name] for name in group]
    for flag, length in facts.spreads.items():
        parts.append(case((column[flag] == 1, (column[length] + 999) // 1000)).label(f"second_{flag}"))
    measures = [func.sum(column[name]).label(f"sum_{name}") for name in facts.measures]
    return select(*parts, func.count(), *measures).group_by(*parts)


def _name(facts: Facts, group: Key) -> str:
    return f"{facts.name}/{','.join(group)}"


def _unpacked(packed: list[Any], day: int, group: Key, facts: Facts) -> Iterator[tuple[int, Key, Cell]]:
    keys, sums = 1 + len(group), 1 + len(group) + len(facts.measures)
    for one in packed:
        yield day + one[0] * SLOT_MS, tuple(one[1:keys]), Cell(one[keys:sums], [dict(spread) for spread in one[sums:]])


def _within(span: Span, cells: Slots) -> Iterator[tuple[int, Key, Cell]]:
    return (one for one in cells if span.begins <= one[0] < span.ends)


def _runs(days: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Days that follow each other, as one."""
    begins = ends = -1
    for day in days:
        if day != ends:
            if begins >= 0:
                yield begins, ends
            begins = day
        ends = day + DAY_MS
    if begins >= 0:
        yield begins, ends
