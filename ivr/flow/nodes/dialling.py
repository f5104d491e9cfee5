"""Verbs that bring somebody else into the call: one target, or a group of seats."""

# ruff: noqa: RUF009  (settings are declared by calls, as dataclasses.field is)

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ivr.flow.kinds import Duration, Name, OneOf
from ivr.flow.nodes.kinds import TargetText, TemplateText
from ivr.flow.nodes.verb import Exit, Verb
from ivr.flow.settings import setting
from ivr.flow.template import Template

_RING = Duration(1, 600)
_CALLER_ID = "the number the party called sees; unset, the caller's own"

_ANSWERED = Exit("answered", "they have talked, and the caller is still there", needs_caller=True)
_BUSY = Exit("busy", "busy")
_NO_ANSWER = Exit("no_answer", "nobody answered in time")
_FAILED = Exit("failed", "it could not be rung: a network or configuration fault", "on_error")


@dataclass(frozen=True, slots=True)
class Transfer:
    """Ring one target and connect the caller to it."""

    to: Template = setting(TargetText(), "whom to ring: a seat of the site, or a number through a trunk")
    ring: float = setting(_RING, "how long it rings", default=25.0)
    caller_id: Template | None = setting(TemplateText("a number"), _CALLER_ID, default=None)


@dataclass(frozen=True, slots=True)
class Ring:
    """Ring the seats of a group and connect the caller to the first that answers."""

    group: str = setting(Name("the name of a group"), "a group of the site")
    strategy: Literal["all", "order"] = setting(
        OneOf(("all", "order"), later=("steps", "random", "longest_idle")),
        "all at once, or one after the other in the group's order",
        default="all",
    )
    ring: float = setting(_RING, "how long they ring; with order, each of them", default=25.0)
    caller_id: Template | None = setting(TemplateText("a number"), _CALLER_ID, default=None)


VERBS = (
    Verb(
        "transfer",
        Transfer,
        "Rings one target and connects the caller. The caller hears it ring.",
        (
            _ANSWERED,
            _BUSY,
            Exit("refused", "the party refused"),
            _NO_ANSWER,
            Exit("offline", "the seat is not registered"),
            _FAILED,
        ),
        speaks=True,
        example="""\
- transfer: {to: 'sip:2001', ring: 20s, answered: bye, busy: voicemail, refused: voicemail,
             no_answer: voicemail, offline: voicemail, failed: operator}""",
        later=("whisper", "accept_key", "max", "headers", "mode"),
    ),
    Verb(
        "ring",
        Ring,
        "Rings the seats of a group; the first that answers gets the caller, the others stop.",
        (
            _ANSWERED,
            Exit("busy", "every seat was busy or refused"),
            Exit("no_answer", "nobody answered in time, or nobody is signed in"),
            _FAILED,
        ),
        speaks=True,
        example="- ring: {group: front_desk, strategy: all, ring: 25s, answered: bye, busy: sorry, no_answer: sorry}",
        later=("whisper", "accept_key"),
    ),
)
