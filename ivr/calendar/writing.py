"""How periods and dates are written (``Mon-Fri 09:00-18:00``). What cannot be read is a ValueError in words."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from ivr.calendar.model import DAY, Span

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LONG: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SPAN: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})")

LONGEST: Final = 3_700
"""Days that one rule of dates may be for."""


def parse_period(text: str) -> tuple[frozenset[int], tuple[Span, ...]]:
    """``Mon-Fri 09:00-12:00, 13:00-18:00``; ``Sat,Sun 10:00-14:00``; ``daily 08:00-20:00``."""
    found = re.fullmatch(r"([A-Za-z][A-Za-z,\s-]*?)\s+([0-9].*)", text.strip())
    if found is None:
        raise ValueError(f"'{text[:40]}' is not days and times")
    return _days(found[1]), parse_spans(found[2])


def _days(text: str) -> frozenset[int]:
    if text.lower() == "daily":
        return frozenset(range(7))
    days: set[int] = set()
    for part in text.split(","):
        first, dash, last = (word.strip() for word in part.partition("-"))
        begin = _day(first)
        end = _day(last) if dash else begin
        days |= {(begin + step) % 7 for step in range((end - begin) % 7 + 1)}
    return frozenset(days)


def _day(text: str) -> int:
    word = text.lower()
    for number, (short, long) in enumerate(zip(_DAYS, _LONG, strict=True)):
        if word in (short, long):
            return number
    raise ValueError(f"'{text[:20]}' is not a day of the week")


def parse_spans(text: str) -> tuple[Span, ...]:
    """``09:00-12:00, 13:00-18:00``; ``22:00-06:00`` ends the next day; ``00:00-24:00`` is the whole day."""
    return tuple(_span(part.strip()) for part in text.split(","))


def _span(text: str) -> Span:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError(f"'{text[:30]}' is not a time from and to")
    hour, minute, last_hour, last_minute = (int(part) for part in found.groups())
    begins, ends = hour * 60 + minute, last_hour * 60 + last_minute
    if minute > 59 or last_minute > 59 or begins >= DAY or ends > DAY:
        raise ValueError(f"'{text}' has a time that there is not")
    if begins == ends:
        raise ValueError(f"'{text}' begins when it ends")
    return Span(begins, ends if ends > begins else ends + DAY)


def parse_dates(text: str) -> tuple[date, date]:
    """``2026-12-24``, or ``2026-10-01..2026-10-07``."""
    first, dots, last = (part.strip() for part in text.partition(".."))
    begin = _date(first)
    end = _date(last) if dots else begin
    if end < begin:
        raise ValueError(f"'{text[:30]}' ends before it begins")
    if (end - begin).days > LONGEST:
        raise ValueError(f"'{text[:30]}' is longer than ten years")
    return begin, end


def _date(text: str) -> date:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError(f"'{text[:30]}' is not a date")
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"there is no date {text}") from None
    if not 2000 <= found.year <= 2199:
        raise ValueError(f"{text} is too far away")
    return found
