"""The verb that decides by opening hours. What is open when is said by the calendars of the site."""

# ruff: noqa: RUF009  (settings are declared by calls, as dataclasses.field is)

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ivr.flow.expression import Expression
from ivr.flow.kinds import Name
from ivr.flow.nodes.kinds import Condition
from ivr.flow.nodes.verb import Exit, Verb
from ivr.flow.settings import setting


@dataclass(frozen=True, slots=True)
class Hours:
    """Go where the opening hours lead."""

    calendar: str = setting(Name("the name of a calendar"), "a calendar of the site")
    at: Expression | None = setting(
        Condition("an expression"),
        "the time looked at, as a text: '2026-10-01 09:30', in the calendar's zone unless it names one; unset, now",
        default=None,
    )


EXITS: Final = (
    Exit("open", "the calendar is open"),
    Exit("closed", "it is not"),
    Exit("holiday", "it is closed because it is a public holiday", "closed"),
    Exit("emergency", "it was closed by hand (ivr close)", "closed"),
)

VERBS = (
    Verb(
        "hours",
        Hours,
        "Goes to a block by the opening hours of a calendar of the site.",
        EXITS,
        short="calendar",
        decides=True,
        further=(
            "the calendar's named periods (lunch); one that is not written leads where the calendar would without it: "
            "`open` or `closed`"
        ),
        example="- hours: {calendar: office, open: main_menu, closed: after_hours, holiday: after_hours}",
    ),
)
