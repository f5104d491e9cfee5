"""Verbs of the beginning of a call: let it ring, take it, refuse it."""

from __future__ import annotations

from dataclasses import dataclass

from ivr.flow.kinds import Text, Whole
from ivr.flow.model import Step
from ivr.flow.nodes.steps import Steps
from ivr.flow.nodes.verb import NEXT, Exit, Verb
from ivr.flow.settings import setting


@dataclass(frozen=True, slots=True)
class Answer:
    """Take the call."""


@dataclass(frozen=True, slots=True)
class Ringing:
    """Tell the caller that it rings."""


@dataclass(frozen=True, slots=True)
class Early:
    """Let the caller hear something before the call is taken."""

    steps: tuple[Step, ...] = setting(Steps("early"), "play, say, music, pause, and steps that take no time")


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse the call with a SIP status."""

    code: int = setting(Whole(400, 699), "SIP status the caller's telephone is told", default=603)
    text: str = setting(Text("a short reason", 60), "reason sent beside the status", default="")

    def status(self, met: int | None) -> int:
        """What the caller is told, where the party rung last did not take the call with status ``met``."""
        return self.code


VERBS = (
    Verb(
        "answer",
        Answer,
        "Takes the call. Every verb that speaks answers too, if nothing did before.",
        (NEXT,),
        example="- answer",
    ),
    Verb(
        "ringing",
        Ringing,
        "Lets the caller hear that it rings. No effect once the call is answered.",
        (NEXT,),
        early=True,
        example="- ringing",
    ),
    Verb(
        "early",
        Early,
        "Lets the caller hear something before the call is taken: it costs nothing yet, and can still be refused. "
        "Not every network lets it through. Once the call is answered, the steps are done as usual.",
        (NEXT, Exit("failed", "one of the steps went wrong", "error")),
        short="steps",
        speaks=True,
        example="- early: [{play: closed_notice}, {pause: 1s}]",
    ),
    Verb(
        "reject",
        Reject,
        "Refuses the call; the caller pays nothing. A call that was answered is hung up.",
        short="code",
        ends=True,
        example="- reject: {code: 486, text: busy}",
    ),
)
