"""Which day is meant: of what a caller leaves out, the next that there is."""

from __future__ import annotations

from datetime import date, timedelta

__all__ = ["next_day_of_month", "next_month_day", "next_weekday", "real_day"]


def real_day(year: int, month: int, day: int) -> date | None:
    """None for what no calendar has."""
    try:
        return date(year, month, day)
    except ValueError:
        return None


def next_month_day(today: date, month: int, day: int) -> date | None:
    """That day of this year, or of the next one that has it and in which it is not over; the 29th of February may
    take eight."""
    days = (real_day(year, month, day) for year in range(today.year, min(today.year + 9, 10_000)))
    return next((one for one in days if one is not None and one >= today), None)


def next_day_of_month(today: date, day: int) -> date | None:
    """That day of this month or of the next one that has it."""
    for months in range(3):
        index = today.year * 12 + today.month - 1 + months
        found = real_day(index // 12, index % 12 + 1, day)
        if found is not None and found >= today:
            return found
    return None


def next_weekday(today: date, weekday: int, weeks: int = 0) -> date:
    """The next such day from tomorrow on (Monday is 0); with ``weeks``, that of so many calendar weeks ahead."""
    if weeks:
        return today - timedelta(days=today.weekday()) + timedelta(days=weekday, weeks=weeks)
    return today + timedelta(days=(weekday - today.weekday() - 1) % 7 + 1)
