"""What a report is: what it counts, its columns as formulas over sums, its words, its picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement

from ivr.reports.facts import Facts

Unit = Literal["count", "percent", "seconds", "number", "time"]
Number = int | float | None

By = Literal["hour", "day", "week", "queue", "flow", "number", "agent"]
TIMES: Final = ("hour", "day", "week")
"""Parts of the span; what else a report is cut by is a dimension of its facts."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What sites see differently."""

    threshold_s: int = 20
    """Who is answered within it is answered in time."""
    short_s: int = 5
    """Who gives up within it has not really waited."""


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums that the columns of one row are made of."""

    measures: Mapping[str, int]
    spreads: Mapping[str, Mapping[int, int]] = field(default_factory=dict)

    def __getitem__(self, measure: str) -> int:
        return self.measures[measure]

    def spread(self, measure: str) -> Mapping[int, int]:
        """From seconds, rounded up, to how often."""
        return self.spreads[measure]

    def within(self, measure: str, seconds: int) -> int:
        """How many took at most so many seconds."""
        return sum(count for second, count in self.spread(measure).items() if second <= seconds)

    def quantile(self, measure: str, share: float) -> int | None:
        """The second within which that share of them was done (nearest rank); None if there are none."""
        spread = self.spread(measure)
        left = share * sum(spread.values())
        for second in sorted(spread):
            left -= spread[second]
            if left <= 1e-9:
                return second
        return None


Row = Any
"""The columns of the facts' rows, by name."""


@dataclass(frozen=True, slots=True)
class Column:
    """One number of a report."""

    name: str
    """In CSV and JSON."""
    title: str
    unit: Unit
    value: Callable[[Sums, Settings], Number]
    behind: Callable[[Row, Settings], ColumnElement[bool]] | None = None
    """Which of the facts' rows the number counts; of a share, those above the line. None: there are no single calls."""


@dataclass(frozen=True, slots=True)
class Picture:
    """How a report is drawn."""

    kind: Literal["stack", "bars", "line", "heat", "ranks", "none"]
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """One report. To add one, add it to :data:`ivr.reports.catalogue.REPORTS`."""

    name: str
    title: str
    brief: str
    """One line for the list. ``{T}`` and ``{S}`` stand for the settings, here and in the definition."""
    definition: tuple[str, ...]
    """What is counted, how it is worked out, what is left out."""
    facts: Facts | None
    """None: how many lines were busy, see :mod:`ivr.reports.occupancy`."""
    columns: tuple[Column, ...]
    keys: tuple[str, ...] = ()
    """What the rows are cut by whatever is asked: dimensions of the facts, or ``weekday`` and ``hour of day``."""
    cuts: tuple[By, ...] = ("hour", "day", "week", "flow", "number")
    """What they can be cut by if asked."""
    usual: By | Literal["time"] | None = "time"
    """What they are cut by unless asked; ``time``: hours of a day, days of a longer span; None: nothing."""
    sorted_by: str | None = None
    """The column whose largest numbers come first; unless given, rows come by their keys."""
    then_by: Callable[[Sums], float] | None = None
    """Which of equal rows comes first: that of the smallest."""
    total: bool = True
    """Whether a last row with everything in it makes sense."""
    picture: Picture = field(default_factory=lambda: Picture("none"))

    def told(self, settings: Settings) -> tuple[str, ...]:
        """The definition as it holds with these settings."""
        return tuple(_filled(sentence, settings) for sentence in self.definition)

    def said(self, settings: Settings) -> str:
        """The one line."""
        return _filled(self.brief, settings)

    def column(self, name: str) -> Column:
        """Raises KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


def _filled(words: str, settings: Settings) -> str:
    return words.replace("{T}", str(settings.threshold_s)).replace("{S}", str(settings.short_s))


# Ready-made columns. --------------------------------------------------------------------------------------


def count(name: str, title: str, measure: str | None = None) -> Column:
    """How often."""
    measure = measure or name
    return Column(name, title, "count", lambda sums, _: sums[measure], lambda row, _: row[measure] > 0)


def share(name: str, title: str, part: str, whole: str) -> Column:
    """Percent."""
    return Column(
        name, title, "percent", lambda sums, _: percent(sums[part], sums[whole]), lambda row, _: row[part] > 0
    )


def mean(name: str, title: str, total_ms: str, measure: str) -> Column:
    """Seconds for each."""
    return Column(
        name,
        title,
        "seconds",
        lambda sums, _: ratio(sums[total_ms] / 1000, sums[measure]),
        lambda row, _: row[measure] > 0,
    )


def percent(part: float, whole: float) -> float | None:
    return None if not whole else 100 * part / whole


def ratio(total: float, number: float) -> float | None:
    return None if not number else total / number
