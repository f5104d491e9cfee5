"""Time as reports cut it: a span of whole quarters of an hour, in buckets of the clock on the wall of one zone.

The records are in UTC milliseconds, in which every time zone of today begins its days and hours on a quarter of an
hour (a *slot*). A slot belongs to one bucket; days of 23 and 25 hours need no further thought, and the hour that comes
twice when the clock is set back is two buckets, told apart by their distance from UTC.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

SLOT_MS: Final = 15 * 60 * 1000
DAY_MS: Final = 24 * 60 * 60 * 1000

Bucketing = Literal["hour", "day", "week"]
BUCKETINGS: Final[tuple[Bucketing, ...]] = ("hour", "day", "week")


class SpanError(Exception):
    """What was written is no span of time: what is wrong with it, and how it is written."""


@dataclass(frozen=True, slots=True)
class Span:
    """From ``begins``, before ``ends``: UTC epoch milliseconds, both on a quarter of an hour. Never empty."""

    begins: int
    ends: int
    zone: ZoneInfo

    def local(self, at: int) -> datetime:
        return datetime.fromtimestamp(at / 1000, self.zone)

    def slots(self) -> range:
        return range(self.begins, self.ends, SLOT_MS)

    def until(self, now: int) -> Span:
        """As far as it has come: without the slots that have not begun. One slot is left at least."""
        ends = max(self.begins + SLOT_MS, min(self.ends, now + SLOT_MS - now % SLOT_MS))
        return Span(self.begins, ends, self.zone)

    def __str__(self) -> str:
        """``2026-11-27``, ``2026-11-01 to 2026-11-30`` or with times, if it does not consist of days."""
        first, last = self.local(self.begins), self.local(self.ends - 1)
        midnight = time(0)
        if first.time() == midnight and self.local(self.ends).time() == midnight:
            return f"{first:%Y-%m-%d}" + ("" if first.date() == last.date() else f" to {last:%Y-%m-%d}")
        return f"{first:%Y-%m-%d %H:%M} to {self.local(self.ends):%Y-%m-%d %H:%M}"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A part of a span: ``2026-11-27``, ``2026-11-27 09:00``, ``2026-W48``."""

    label: str
    begins: int
    """UTC epoch milliseconds of its first slot within the span."""


def buckets(span: Span, by: Bucketing) -> dict[int, Bucket]:
    """From every slot of the span to its bucket, in the order of time."""
    found: dict[str, Bucket] = {}
    of: dict[int, Bucket] = {}
    for slot in span.slots():
        label = _label(span.local(slot), by)
        if label not in found:
            found[label] = Bucket(label, slot)
        of[slot] = found[label]
    return of


def _label(local: datetime, by: Bucketing) -> str:
    match by:
        case "hour":
            quarters = [local.replace(minute=minute) for minute in (0, 15, 30, 45)]
            twice = any(one.replace(fold=0).utcoffset() != one.replace(fold=1).utcoffset() for one in quarters)
            return f"{local:%Y-%m-%d %H}:00" + (_offset(local) if twice else "")
        case "day":
            return f"{local:%Y-%m-%d}"
        case "week":
            year, week, _ = local.isocalendar()
            return f"{year}-W{week:02d}"


def _offset(local: datetime) -> str:
    """``+02:00``"""
    return local.isoformat()[-6:]


# As people write it. --------------------------------------------------------------------------------------


def span_of(begins: str | None, ends: str | None, zone: ZoneInfo, now: int) -> Span:
    """The span that ``--from`` and ``--until`` mean. Neither: today.

    A day as the end is included; a time is the end itself.

    Raises SpanError.
    """
    today = datetime.fromtimestamp(now / 1000, zone).date()
    if begins is None:
        first = _moment(ends, zone, today)[0] if ends is not None else today
        begins_at = _midnight(first, zone)
    else:
        begins_at = _epoch_ms(*_moment(begins, zone, today), zone, begins)
    if ends is None:
        ends_at = max(_midnight(today + timedelta(1), zone), begins_at + SLOT_MS)
    else:
        day, clock = _moment(ends, zone, today)
        ends_at = _midnight(day + timedelta(1), zone) if clock is None else _epoch_ms(day, clock, zone, ends)
    if ends_at <= begins_at:
        raise SpanError(f"the span ends before it begins: from {begins or 'that day'} until {ends}")
    if ends_at - begins_at > 10 * 366 * DAY_MS:
        raise SpanError("the span is longer than ten years")
    return Span(begins_at, ends_at, zone)


_WRITTEN: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(Z|[+-]\d\d:\d\d)?)?")


def _moment(text: str, zone: ZoneInfo, today: date) -> tuple[date, time | datetime | None]:
    """The day, and the time on it if there was one: with its own offset, a datetime."""
    if text in ("today", "yesterday"):
        return today - timedelta(text == "yesterday"), None
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        raise SpanError(f"'{text}' is no time: write 2026-11-27, '2026-11-27 09:00', today or yesterday")
    try:
        day = date.fromisoformat(found[1])
        if found[2] is None:
            return day, None
        clock = time.fromisoformat(found[2])
        if found[3] is not None:
            return day, datetime.fromisoformat(f"{found[1]}T{found[2]}{found[3]}")
    except ValueError as error:
        raise SpanError(f"'{text}' is no time: {error}") from None
    return day, clock


def _midnight(day: date, zone: ZoneInfo) -> int:
    # Where the clock is set forward at midnight, the day begins with what is there then.
    return round(datetime.combine(day, time(0), zone).timestamp() * 1000)


def _epoch_ms(day: date, clock: time | datetime | None, zone: ZoneInfo, written: str) -> int:
    if clock is None:
        return _midnight(day, zone)
    local = clock if isinstance(clock, datetime) else datetime.combine(day, clock, zone)
    at = round(local.timestamp() * 1000)
    if at % SLOT_MS:
        raise SpanError(f"'{written}' is not on a quarter of an hour: write :00, :15, :30 or :45")
    if not isinstance(clock, datetime) and datetime.fromtimestamp(at / 1000, zone).time() != clock:
        raise SpanError(f"'{written}' did not happen: the clock was set forward then")
    return at


# The zone of this machine. --------------------------------------------------------------------------------


def machine_zone() -> ZoneInfo:
    """The time zone that the machine is set to; UTC if that cannot be told."""
    for name in _names():
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return ZoneInfo("UTC")


def _names() -> Iterator[str]:
    if name := os.environ.get("TZ", "").lstrip(":"):
        yield name
    try:
        _, found, name = str(Path("/etc/localtime").resolve()).partition("zoneinfo/")
        if found:
            yield name
        yield Path("/etc/timezone").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        pass
