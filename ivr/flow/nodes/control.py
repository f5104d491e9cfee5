"""Verbs that decide where the call goes next: variables, conditions, jumps, the end."""

# ruff: noqa: RUF009  (settings are declared by calls, as dataclasses.field is)

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from ivr.flow.expression import Expression
from ivr.flow.kinds import Name
from ivr.flow.nodes.kinds import Assignment, Assignments, Case, Cases, Condition
from ivr.flow.nodes.verb import NEXT, Exit, Verb
from ivr.flow.settings import setting
from ivr.flow.values import YES_NO, EvaluationError, as_number, as_text, plain


@dataclass(frozen=True, slots=True)
class Set:
    """Give variables values, one after the other."""

    values: tuple[Assignment, ...] = setting(Assignments(), "variables and the expressions that give their values")


@dataclass(frozen=True, slots=True)
class If:
    """Go one way if something holds, the other if not."""

    when: Expression = setting(Condition(), "what must hold")


@dataclass(frozen=True, slots=True)
class Switch:
    """Go where the value of an expression says."""

    on: Expression = setting(Condition(), "what is looked at")
    cases: tuple[Case, ...] = setting(Cases(), "values and where they lead")

    def exit_for(self, value: object) -> str:
        """The exit for what ``on`` came to: that of the first case that is the same value, or ``default``."""
        text = as_text(value)
        for case in self.cases:
            if text == case.value or _same_value(plain(value), case.value):
                return case.exit
        return "default"


@dataclass(frozen=True, slots=True)
class Goto:
    """Go to a block."""


@dataclass(frozen=True, slots=True)
class Hangup:
    """End the call."""

    cause: str = setting(Name("a word"), "a word for the records", default="normal")


@dataclass(frozen=True, slots=True)
class End:
    """Leave a handler; in a call that is still up, end it."""


def _same_value(value: object, written: str) -> bool:
    """A number or yes/no may be written in several ways."""
    if isinstance(value, bool):
        return YES_NO.get(written.lower()) is value
    try:
        return isinstance(value, Decimal) and as_number(written) == value
    except EvaluationError:
        return False


VERBS = (
    Verb(
        "set",
        Set,
        "Gives variables values. Each must stand under vars. A text stands in quotes within the expression.",
        (NEXT,),
        short="values",
        whole=True,
        at_once=True,
        example="""- set: {visits: visits + 1, tier: "'gold'"}""",
    ),
    Verb(
        "if",
        If,
        "Goes to a block if an expression holds.",
        (Exit("then", "the expression holds"), Exit("else", "it does not hold", "next")),
        decides=True,
        example="- if: {when: tier == 'gold', then: sales_gold}",
    ),
    Verb(
        "switch",
        Switch,
        "Goes to the block that stands beside the value of an expression.",
        (Exit("default", "no case fits", "next"),),
        wires_keys=True,
        decides=True,
        example="- switch: {on: tier, cases: {gold: sales_gold, silver: sales}, default: operator}",
    ),
    Verb(
        "goto",
        Goto,
        "Goes to a block. The step names it: - goto: main_menu",
        (Exit("next", "always"),),
        short="next",
        example="- goto: main_menu",
    ),
    Verb("hangup", Hangup, "Ends the call.", short="cause", ends=True, example="- hangup"),
    Verb(
        "end",
        End,
        "Ends what on_hangup started; in a call that is still up, hangs up.",
        ends=True,
        example="- end",
    ),
)
