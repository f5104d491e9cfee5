"""Deciding by opening hours. The rule that decided goes into the record."""

from __future__ import annotations

from datetime import datetime, time

from ivr.calendar import Calendar, decide
from ivr.flow.model import Step
from ivr.flow.nodes import opening
from ivr.flow.values import EvaluationError, as_text
from ivr.run.activity import Exit, Outcome
from ivr.run.conversation import Conversation, Row, StepError
from ivr.run.verbs.behaviour import Behaviour

_DECLARED = frozenset(exit.name for exit in opening.EXITS)


def hours(talk: Conversation, step: Step) -> Outcome:
    settings: opening.Hours = step.settings
    calendar = talk.environment.calendars.get(settings.calendar)
    if calendar is None:
        raise StepError(f"the site has no calendar '{settings.calendar}'")
    at = talk.local_time() if settings.at is None else _moment(settings.at.evaluate(talk.scope()), calendar, talk)
    decision = decide(calendar, at, talk.environment.closings.closing(calendar.name))
    # A period with a name that the flow does not use is what the calendar would be without the name.
    named = decision.state in _DECLARED or decision.state in step.exits
    detail = {"calendar": calendar.name, "state": decision.state, "rule": decision.rule, "at": at.isoformat()}
    return Exit(decision.state if named else decision.otherwise, row=Row(detail=detail))


def _moment(value: object, calendar: Calendar, talk: Conversation) -> datetime:
    if isinstance(value, time):
        return datetime.combine(talk.local_time().date(), value, talk.local_time().tzinfo)
    text = as_text(value)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise EvaluationError(f"'{text[:40]}' is not a day and time: 2026-10-01 09:30") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=calendar.zone)


BEHAVIOURS = {"hours": Behaviour(hours)}
