"""Verbs that decide where the call goes next: variables, conditions, jumps, the end."""

from __future__ import annotations

from dataclasses import dataclass

from ivr.flow.expression import Expression
from ivr.flow.kinds import Name
from ivr.flow.nodes.kinds import Assignment, Assignments, Case, Cases, Condition
from ivr.flow.nodes.verb import NEXT, Exit, Verb
from ivr.flow.settings import setting


@dataclass(frozen=True, slots=True)
class Set:
    """Give variables values, one after the other."""

    values: tuple[Assignment, ...] = setting(
        Assignments(), "variables and the expressions that give their values"
    )


@dataclass(frozen=True, slots=True)
class If:
    """Go one way if something holds, the other if not."""

    when: Expression = setting(Condition(), "what must hold")


@dataclass(frozen=True, slots=True)
class Switch:
    """Go where the value of an expression says."""

    on: Expression = setting(Condition(), "what is looked at")
    cases: tuple[Case, ...] = setting(Cases(), "values and where they lead")


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


VERBS = (
    Verb(
        "set",
        Set,
        "Gives variables values. Each must stand under vars. A text stands in quotes within the expression.",
        (NEXT,),
        short="values",
        whole=True,
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
