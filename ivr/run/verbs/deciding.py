"""Variables, conditions, jumps."""

from __future__ import annotations

from decimal import Decimal

from ivr.flow.model import Step
from ivr.flow.nodes import control
from ivr.flow.values import EvaluationError, as_number, as_text, as_yes_no
from ivr.run.activity import Exit, Outcome
from ivr.run.conversation import Conversation
from ivr.run.verbs.behaviour import Behaviour


def set_(talk: Conversation, step: Step) -> Outcome:
    settings: control.Set = step.settings
    for assignment in settings.values:
        talk.variables[assignment.name] = assignment.value.evaluate(talk.scope())
        if assignment.value.names & talk.secret_variables:
            talk.secret_variables.add(assignment.name)
    return Exit()


def if_(talk: Conversation, step: Step) -> Outcome:
    settings: control.If = step.settings
    return Exit("then" if as_yes_no(settings.when.evaluate(talk.scope())) else "else")


def switch(talk: Conversation, step: Step) -> Outcome:
    settings: control.Switch = step.settings
    value = settings.on.evaluate(talk.scope())
    for case in settings.cases:
        if _is(value, case.value):
            return Exit(case.exit)
    return Exit("default")


def _is(value: object, written: str) -> bool:
    """Whether a value is what stands beside a case: 1.50 is 1.5, but digits keep their zeros."""
    if isinstance(value, Decimal):
        try:
            return value == as_number(written)
        except EvaluationError:
            return False
    return as_text(value) == written


def goto(talk: Conversation, step: Step) -> Outcome:
    return Exit()


BEHAVIOURS = {
    "set": Behaviour(set_),
    "if": Behaviour(if_),
    "switch": Behaviour(switch),
    "goto": Behaviour(goto),
}
