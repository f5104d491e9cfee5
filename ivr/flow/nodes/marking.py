"""Verbs that leave something behind for those who read records, and that the caller does not notice."""

# ruff: noqa: RUF009  (settings are declared by calls, as dataclasses.field is)

from __future__ import annotations

from dataclasses import dataclass

from ivr.flow.kinds import Name
from ivr.flow.nodes.kinds import TagValue, TagValues, TemplateText
from ivr.flow.nodes.verb import NEXT, Verb
from ivr.flow.settings import setting
from ivr.flow.template import Template


@dataclass(frozen=True, slots=True)
class Log:
    """Write a line into the trace of the call."""

    text: Template = setting(TemplateText(), "the line")


@dataclass(frozen=True, slots=True)
class Tag:
    """Mark the call with names and values that reports can count."""

    values: tuple[TagValue, ...] = setting(TagValues(), "names and texts")


@dataclass(frozen=True, slots=True)
class Disposition:
    """Say what came of the call."""

    name: str = setting(Name("one word"), "what came of it: sold, complaint, wrong_number")


@dataclass(frozen=True, slots=True)
class Goal:
    """Say that the call has reached what it was for."""

    name: str = setting(Name("one word"), "the goal: order_told")


VERBS = (
    Verb(
        "log",
        Log,
        "Writes a line into the trace of the call.",
        (NEXT,),
        short="text",
        at_once=True,
        example="- log: 'order {order}'",
    ),
    Verb(
        "tag",
        Tag,
        "Marks the call with names and values that reports can count.",
        (NEXT,),
        short="values",
        whole=True,
        at_once=True,
        example="- tag: {topic: sales, order: '{order}'}",
    ),
    Verb(
        "disposition",
        Disposition,
        "Writes into the record what came of the call. One a call: the last counts.",
        (NEXT,),
        short="name",
        at_once=True,
        example="- disposition: sold",
    ),
    Verb(
        "goal",
        Goal,
        "Writes into the record that the call has reached what it was for. One a call: the last counts.",
        (NEXT,),
        short="name",
        at_once=True,
        example="- goal: order_told",
    ),
)
