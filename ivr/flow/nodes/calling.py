"""Verbs that use a flow, or a block, within another and come back."""

# ruff: noqa: RUF009  (settings are declared by calls, as dataclasses.field is)

from __future__ import annotations

from dataclasses import dataclass

from ivr.flow.expression import Expression
from ivr.flow.kinds import Name
from ivr.flow.nodes.kinds import Assignment, Assignments, Condition
from ivr.flow.nodes.verb import Exit, Fills, Verb
from ivr.flow.settings import setting


@dataclass(frozen=True, slots=True)
class Call:
    """Go through another flow, or a block of this one, and come back."""

    flow: str | None = setting(Name("the name of a flow"), "another flow, which has variables of its own", default=None)
    block: str | None = setting(
        Name("the name of a block"), "instead: a block of this flow, which shares its variables", default=None
    )
    args: tuple[Assignment, ...] = setting(
        Assignments(), "values for the variables that the other flow marks with param: yes", default=()
    )
    into: str | None = setting(Name("the name of a variable"), "the variable that gets what is returned", default=None)


@dataclass(frozen=True, slots=True)
class Return:
    """Go back to where this flow or block was called."""

    value: Expression | None = setting(Condition(), "what is given back", default=None)


VERBS = (
    Verb(
        "call",
        Call,
        "Goes through another flow, or a block of this one, until it comes to return. A called flow has its own "
        "variables, on_error and on_hangup, and goes on in the language spoken; a fault that its on_error does not "
        "deal with leaves by failed, and so does a call more than 16 deep. If the caller leaves, its on_hangup runs "
        "first, then those of the flows that called it.",
        (
            Exit("next", "it has returned", "next", needs_caller=True),
            Exit("failed", "it could not be called, or went wrong", "error"),
        ),
        short="flow",
        fills=Fills("json"),
        example="""- call: {flow: identify, args: {reason: "'order'"}, into: order, failed: sorry}""",
    ),
    Verb(
        "return",
        Return,
        "Goes back to where this flow or block was called, with a value if one is given. In a flow that nobody called, "
        "ends the call.",
        short="value",
        ends=True,
        example="- return: order",
    ),
)
