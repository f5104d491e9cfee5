"""Numbers, keys and callers as people read them."""

from __future__ import annotations

from ivr.reports.answer import ReportRow
from ivr.reports.definition import Column, Number
from ivr.reports.span import Span

NOTHING = "–"
"""In place of a number that there is none of: nothing to divide by."""


def shown(value: Number, column: Column, span: Span) -> str:
    """With its unit."""
    if value is None:
        return NOTHING
    match column.unit:
        case "count":
            return f"{value:,.0f}".replace(",", " ")
        case "percent":
            return f"{value:.1f} %"
        case "seconds":
            return f"{value:.1f} s" if value < 100 else f"{value // 60:.0f}:{value % 60:02.0f}"
        case "time":
            return moment(int(value), span)
        case _:
            return f"{value:.2f}"


def moment(at: int, span: Span) -> str:
    return f"{span.local(at):%Y-%m-%d %H:%M:%S}"


def keys_of(row: ReportRow) -> tuple[str, ...]:
    """The row's keys; the total says so."""
    return row.keys or ("all",)


def exact(value: Number, column: Column, span: Span) -> str | int | float | None:
    """For programs: whole numbers whole, shares and seconds to a thousandth, times as ISO 8601."""
    if value is None or (isinstance(value, int) and column.unit != "time"):
        return value
    if column.unit == "time":
        return iso(int(value), span)
    return round(value, 3)


def iso(at: int | None, span: Span) -> str | None:
    return None if at is None else span.local(at).isoformat(timespec="seconds")
