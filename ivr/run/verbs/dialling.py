"""Bringing somebody else into the call.

While somebody is rung the caller hears that it rings; keys pressed then, before, or while the two talk count for
nothing.
If the call has not been taken yet, it is taken when a party answers, and the two are connected when that is done.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.call import Answered, LegEnded, LegFailed, LegOutcome, Target
from ivr.flow.model import Step
from ivr.flow.nodes import dialling
from ivr.flow.template import Template
from ivr.run.actions import Connect, Drop, Ringback
from ivr.run.activity import Activity, Exit, Outcome
from ivr.run.conversation import Conversation, StepError
from ivr.run.events import Event
from ivr.run.hunt import Hunt, Strategy
from ivr.run.verbs.behaviour import Behaviour

RING_EXITS: dict[LegOutcome, str] = {"refused": "busy", "offline": "no_answer"}
"""``ring`` has fewer exits than a hunt has outcomes."""

_SEAT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")
_NUMBER = re.compile(r"\+?[0-9*#]{1,32}")


def target(text: str) -> Target:
    """``sip:SEAT``, ``tel:NUMBER`` or ``rtc:USER``. Raises StepError."""
    scheme, _, name = text.strip().partition(":")
    name = name.strip()
    match scheme:
        case "sip" if _SEAT.fullmatch(name):
            return Target("sip", name)
        case "rtc" if _SEAT.fullmatch(name):
            return Target("rtc", name)
        case "tel" if _NUMBER.fullmatch(number := re.sub(r"[ ().-]", "", name)):
            return Target("tel", number)
    raise StepError(f"'{text[:80]}' cannot be rung")


class Dialling(Activity):
    """Rings, connects, and lasts until the party hangs up."""

    def __init__(
        self,
        talk: Conversation,
        step: Step,
        targets: Sequence[Target],
        *,
        ring: float,
        caller_id: str | None,
        strategy: Strategy = "all",
        exits: dict[LegOutcome, str] | None = None,
    ) -> None:
        super().__init__(talk, step)
        self._exits = exits or {}
        self._hunt = Hunt(
            targets,
            ring=ring,
            new_leg=talk.new_leg,
            strategy=strategy,
            caller_id=lambda _: caller_id,
        )
        self._connected: str | None = None
        self._trouble = ""

    def start(self, now: float) -> Outcome | None:
        # What was typed ahead was meant for the next question, not for one that comes after half a minute of ringing.
        self.talk.typed_ahead.clear()
        self.talk.do(Ringback(True), *self._hunt.start(now))
        return self._judged()

    def handle(self, event: Event, now: float) -> Outcome | None:
        if self._connected is not None:
            if isinstance(event, LegEnded | LegFailed) and event.leg_id == self._connected:
                self._connected = None
                self.talk.seat_left = event.by if isinstance(event, LegEnded) else "network"
                return Exit("answered", heard_from=True)
            return None
        if isinstance(event, LegFailed) and event.outcome == "failed":
            self._trouble = f"{event.status or ''} {event.text}".strip()
        self.talk.do(*self._hunt.handle(event, now))
        if isinstance(event, Answered) and self._hunt.winner is not None:
            self._connect(self._hunt.winner)
        return self._judged()

    def key(self, key: str, now: float) -> Outcome | None:
        return None

    def next_timer(self) -> float | None:
        return self._hunt.next_timer()

    def handle_timer(self, now: float) -> Outcome | None:
        self.talk.do(*self._hunt.handle_timer(now))
        return self._judged()

    def cancel(self) -> None:
        if self._connected is not None:
            self.talk.do(Drop(self._connected, "ended"))
        else:
            self.talk.do(*self._hunt.cancel(), Ringback(False))

    def _judged(self) -> Outcome | None:
        match self._hunt.outcome:
            case None:
                return None
            case "answered":
                if self._connected is None and self._hunt.winner is not None:
                    if self.talk.answered:
                        self._connect(self._hunt.winner)
                    else:
                        self.talk.answer()
                return None
            case "failed":
                self.talk.do(Ringback(False))
                return Exit("failed", error=f"it could not be rung: {self._trouble or 'nobody is there'}")
            case outcome:
                self.talk.do(Ringback(False))
                return Exit(self._exits.get(outcome, outcome))

    def _connect(self, leg: str) -> None:
        self._connected = leg
        self.talk.do(Ringback(False), Connect(leg), *self._hunt.connected())


def _caller_id(talk: Conversation, template: Template | None) -> str | None:
    return talk.facts.caller or None if template is None else template.fill(talk.scope())


def transfer(talk: Conversation, step: Step) -> Activity:
    settings: dialling.Transfer = step.settings
    return Dialling(
        talk,
        step,
        (target(settings.to.fill(talk.scope())),),
        ring=settings.ring,
        caller_id=_caller_id(talk, settings.caller_id),
    )


def ring(talk: Conversation, step: Step) -> Activity:
    settings: dialling.Ring = step.settings
    members = talk.environment.groups.get(settings.group)
    if members is None:
        raise StepError(f"the site has no group '{settings.group}'")
    return Dialling(
        talk,
        step,
        members,
        ring=settings.ring,
        caller_id=_caller_id(talk, settings.caller_id),
        strategy=settings.strategy,
        exits=RING_EXITS,
    )


BEHAVIOURS = {"transfer": Behaviour(transfer), "ring": Behaviour(ring)}
