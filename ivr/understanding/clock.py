"""Which time of day is meant by an hour that is said on the clock of twelve."""

from __future__ import annotations

from datetime import time

__all__ = ["afternoon", "time_of_day"]


def afternoon(hour: int) -> bool | None:
    """Whether it is after noon where nobody says so: few call about what is between one and seven at night."""
    return True if 1 <= hour <= 6 else None


def time_of_day(hour: int, minute: int, late: bool | None) -> time | None:
    """``late``: afternoon or evening, morning or night, or not said. None for what no clock shows."""
    if late is not None and hour <= 12:
        hour = hour % 12 + (12 if late else 0)
    if hour == 24 and minute == 0:
        hour = 0
    return time(hour, minute) if 0 <= hour < 24 and 0 <= minute < 60 else None
