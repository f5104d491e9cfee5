"""What a calendar says of a moment, by which rule, and when that changes.

The first of these that has something to say decides: closed by hand; a dated rule; a public holiday; the named
periods of the week; the open ones. A span belongs to the day it begins on, past midnight too: what is open from
Friday 22:00 to 06:00 is so on a Saturday morning that is a holiday, and the night that would begin on the holiday is
not.

Everything is compared on the clock on the wall, so the days on which clocks are changed need no rules of their own:
an hour that the clock skips is nobody's, one that it shows twice is open twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from ivr.calendar.model import DAY, Calendar, Closing, DatedRule, Period, Span
from ivr.flow.model import Place

State = str
"""``open``, ``closed``, ``holiday``, ``emergency``, or the name of a period."""

HORIZON = 400
"""Days looked ahead for a change."""


@dataclass(frozen=True, slots=True)
class Decision:
    state: State
    rule: str
    """For people: what decided."""
    otherwise: Literal["open", "closed"]
    """What it would be without the name."""
    place: Place | None = None
    """Where the rule stands."""


def decide(calendar: Calendar, at: datetime, closing: Closing | None = None) -> Decision:
    """What the calendar says of an aware point in time."""
    if closing is not None and closing.holds(at):
        reason = f": {closing.reason}" if closing.reason else ""
        return Decision("emergency", f"closed by hand since {closing.since:%Y-%m-%d %H:%M}{reason}", "closed")
    local = at.astimezone(calendar.zone)
    return _on_the_wall(calendar, local.date(), local.hour * 60 + local.minute)


def next_change(calendar: Calendar, at: datetime, closing: Closing | None = None) -> datetime | None:
    """The first moment after ``at`` at which the state is another one; None if that is not within ``HORIZON`` days."""
    state = decide(calendar, at, closing).state
    for moment in _moments(calendar, at, closing):
        if decide(calendar, moment, closing).state != state:
            return moment.astimezone(calendar.zone)
    return None


def _on_the_wall(calendar: Calendar, day: date, minute: int) -> Decision:
    before = day - timedelta(days=1)
    for dated, at, _on in ((_dated(calendar, day), minute, day), (_dated(calendar, before), minute + DAY, before)):
        span = _within(dated.spans, at) if dated is not None else None
        if dated is not None and span is not None:
            return Decision("open", f"{_days(dated)} {dated.text}", "open", dated.place)
    carried = _weekly(calendar, before, minute + DAY)
    if carried is not None:
        return carried
    today = _dated(calendar, day)
    if today is not None:
        return Decision("closed", f"{_days(today)} {today.text}", "closed", today.place)
    holiday = calendar.holidays(day.year).get(day)
    if holiday is not None:
        return Decision("holiday", f"{holiday} ({calendar.holidays_of})", "closed", calendar.place)
    weekly = _weekly(calendar, day, minute)
    return weekly or Decision("closed", "no period fits", "closed", calendar.place)


def _weekly(calendar: Calendar, day: date, minute: int) -> Decision | None:
    """What the periods of the week that begin on this day say; None if nothing, or if the day has its own rules."""
    if _dated(calendar, day) is not None or day in calendar.holidays(day.year):
        return None
    open_ = _period(calendar.open, day, minute)
    for name, periods in calendar.named.items():
        found = _period(periods, day, minute)
        if found is not None:
            return Decision(name, f"{name} {found.text}", "closed" if open_ is None else "open", found.place)
    return None if open_ is None else Decision("open", open_.text, "open", open_.place)


def _period(periods: tuple[Period, ...], day: date, minute: int) -> Period | None:
    weekday = day.weekday()
    return next((one for one in periods if weekday in one.days and _within(one.spans, minute) is not None), None)


def _dated(calendar: Calendar, day: date) -> DatedRule | None:
    """The rule of that date: the one for the fewest days."""
    rules = [rule for rule in calendar.dated if rule.on(day)]
    return min(rules, key=lambda rule: rule.last - rule.first, default=None)


def _within(spans: tuple[Span, ...], minute: int) -> Span | None:
    return next((span for span in spans if span.begins <= minute < span.ends), None)


def _days(rule: DatedRule) -> str:
    return str(rule.first) if rule.first == rule.last else f"{rule.first}..{rule.last}"


# When something can change. -------------------------------------------------------------------------------


def _moments(calendar: Calendar, at: datetime, closing: Closing | None) -> Iterator[datetime]:
    """Every moment after ``at`` at which the state may change, in order."""
    until = closing.until if closing is not None else None
    first = at.astimezone(calendar.zone).date() - timedelta(days=1)
    for number in range(HORIZON + 2):
        day = first + timedelta(days=number)
        found = set(_of_day(calendar, day))
        if until is not None and until.astimezone(calendar.zone).date() == day:
            found.add(until.astimezone(UTC))
        yield from (moment for moment in sorted(found) if moment > at)


def _of_day(calendar: Calendar, day: date) -> Iterator[datetime]:
    minutes = {0}
    for on, shift in ((day, 0), (day - timedelta(days=1), DAY)):
        for span in _spans(calendar, on):
            minutes |= {edge - shift for edge in (span.begins, span.ends) if 0 <= edge - shift < DAY}
    for minute in minutes:
        for fold in (0, 1):
            wall = datetime.combine(day, time(minute // 60, minute % 60), calendar.zone).replace(fold=fold)
            moment = wall.astimezone(UTC)
            # A time that the clock skips is no moment at all; the jump itself is one, and comes below.
            if moment.astimezone(calendar.zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
                yield moment
    yield from _jump(calendar, day)


def _spans(calendar: Calendar, day: date) -> Iterator[Span]:
    dated = _dated(calendar, day)
    if dated is not None:
        yield from dated.spans
        return
    for periods in (calendar.open, *calendar.named.values()):
        for period in periods:
            if day.weekday() in period.days:
                yield from period.spans


def _jump(calendar: Calendar, day: date) -> Iterator[datetime]:
    """The moment of that day at which the clocks are changed, if they are."""
    low = datetime.combine(day, time(), calendar.zone).astimezone(UTC)
    high = datetime.combine(day + timedelta(days=1), time(), calendar.zone).astimezone(UTC)
    before, after = (moment.astimezone(calendar.zone).utcoffset() for moment in (low, high))
    if before == after:
        return
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        if middle.astimezone(calendar.zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    yield high.replace(microsecond=0)
