"""Plug-ins of a shop: what its flows need and no web service can be asked for."""

from datetime import date, timedelta

from ivr.plugin import Leave, plugin

DAYS = {"2": 1, "3": 2}
"""Working days that a parcel takes, by the first digit of the postcode."""


@plugin(exits=("too_far",), timeout=2.0)
def delivery_day(postcode: str, ordered: date) -> Leave:
    """The day a parcel is there; too_far where we do not deliver."""
    days = DAYS.get(postcode[:1])
    if days is None:
        return Leave("too_far")
    day = ordered
    while days:
        day += timedelta(days=1)
        days -= day.weekday() < 5
    return Leave(value=day)
