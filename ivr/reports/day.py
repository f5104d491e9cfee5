"""What belongs on the page of a day, the most asked for first; and the few numbers at its head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ivr.reports.answer import Answer, answer
from ivr.reports.catalogue import REPORTS
from ivr.reports.cells import Records
from ivr.reports.definition import Settings
from ivr.reports.occupancy import ALL_CALLS
from ivr.reports.span import DAY_MS, Span
from ivr.reports.words import NOTHING, shown

ORDER: Final = (
    "outcomes",
    "service-level",
    "answer-speed",
    "abandons",
    "volumes",
    "heat-map",
    "handling-time",
    "offers",
    "transfers",
    "containment",
    "funnel",
    "menu-quality",
    "paths",
    "repeats",
    "lines",
    "voice-quality",
)
_ROWS: Final = 40
"""Of a table that is not cut by time."""


def day_answers(records: Records, span: Span, settings: Settings) -> list[Answer]:
    """Every report of the span. Weekdays of a single day tell nothing: they are left out there."""
    names = [*ORDER, *(name for name in REPORTS if name not in ORDER)]
    if span.ends - span.begins < 2 * DAY_MS:
        names.remove("heat-map")
    found = []
    for name in names:
        one = answer(REPORTS[name], records, span, settings=settings)
        if one.report.sorted_by is not None and len(one.rows) > _ROWS:
            one = replace(one, rows=one.rows[:_ROWS], left_off=len(one.rows) - _ROWS)
        found.append(one)
    return found


@dataclass(frozen=True, slots=True)
class Headline:
    """One number at the head of the page."""

    title: str
    number: str
    remark: str
    report: str
    """Where it is told in full."""


def headlines(answers: Sequence[Answer]) -> list[Headline]:
    """The numbers that are asked for first, as far as their reports are among these."""
    by_name = {one.report.name: one for one in answers}
    found = []

    def add(title: str, report: str, column: str, remark: str) -> None:
        one = by_name.get(report)
        if one is not None and one.total is not None:
            number = shown(one.value(one.total, column), one.report.column(column), one.span)
            found.append(Headline(title, number, remark, report))

    threshold = answers[0].settings.threshold_s if answers else 0
    add("Calls", "volumes", "calls", "arrived")
    add("Talked to somebody", "outcomes", "answered", "calls that a person answered")
    add("Service level", "service-level", "of_offered", f"of offered calls answered within {threshold} s")
    add("Speed of answer", "answer-speed", "asa_s", "mean wait of answered calls (ASA)")
    add("Abandoned", "abandons", "rate", "of offered calls: the caller gave up")
    add("Handling time", "handling-time", "aht_s", "talk and hold for each handling (AHT)")
    add("Done in the menu", "containment", "contained_pct", "of calls to menus reached a goal there")
    lines = by_name.get("lines")
    if lines is not None:
        most = max(
            ((lines.value(row, "peak") or 0, row) for row in lines.rows if row.keys[-1] == ALL_CALLS),
            key=lambda pair: pair[0],
            default=None,
        )
        number = NOTHING if most is None else f"{most[0]:.0f}"
        at = None if most is None else lines.value(most[1], "peak_at")
        remark = "" if at is None else f"calls up, at {lines.span.local(int(at)):%H:%M}"
        found.append(Headline("Most at once", number, remark, "lines"))
    return found
