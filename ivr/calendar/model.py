"""What a calendar consists of. Times are those of the clock on the wall, in the calendar's zone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from ivr.flow.model import Place

DAY = 24 * 60
"""Minutes of a day on the clock on the wall, whatever was done to the clock in it."""

PublicHolidays = Callable[[int], Mapping[date, str]]
"""From a year to its public holidays."""


def no_holidays(year: int) -> Mapping[date, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes from midnight of the day it begins on; the end is not included and may lie in the next day."""

    begins: int
    ends: int

    def __post_init__(self) -> None:
        if not 0 <= self.begins < DAY or not self.begins < self.ends <= self.begins + DAY:
            raise ValueError(f"not a span: {self.begins} to {self.ends}")


@dataclass(frozen=True, slots=True)
class Period:
    """Spans that come every week."""

    days: frozenset[int]
    """0 is Monday."""
    spans: tuple[Span, ...]
    text: str
    """As written."""
    place: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class DatedRule:
    """Spans of certain dates, instead of all that would hold on them. No spans: closed."""

    first: date
    last: date
    """Included."""
    spans: tuple[Span, ...]
    text: str
    place: Place = field(compare=False)

    def on(self, day: date) -> bool:
        return self.first <= day <= self.last


@dataclass(frozen=True, slots=True)
class Calendar:
    name: str
    zone: ZoneInfo
    open: tuple[Period, ...]
    named: Mapping[str, tuple[Period, ...]] = field(default_factory=dict)
    """Parts of the week with a name of their own: lunch."""
    dated: tuple[DatedRule, ...] = ()
    holidays: PublicHolidays = field(default=no_holidays, compare=False)
    holidays_of: str = ""
    """Whose public holidays: ``CN``, ``DE-BY``; empty for none."""
    place: Place = field(default=Place("", 1), compare=False)


@dataclass(frozen=True, slots=True)
class Closing:
    """A calendar closed by hand."""

    since: datetime
    reason: str = ""
    until: datetime | None = None
    """It opens again then by itself; None: when it is opened by hand."""

    def holds(self, at: datetime) -> bool:
        return self.until is None or at < self.until
