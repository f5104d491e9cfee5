"""Bringing somebody else into the call.

While somebody is rung the caller hears that it rings; keys pressed then, before, or while the two talk count for
nothing. That goes on while whoever has answered is asked whether to take the call.
If the call has not been taken yet, it is taken when a party takes it, and the two are connected when that is done.

With ``mode: refer`` or ``blind`` the caller's own telephone rings the target; once he is in good hands the flow ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from gateway.call import Answered, LegEnded, LegFailed, LegOutcome, Target
from ivr.flow.model import Step
from ivr.flow.nodes import dialling
from ivr.flow.template import Template
from ivr.run.acceptance import Terms
from ivr.run.actions import Action, Connect, Dial, Drop, Log, Refer, Ringback
from ivr.run.activity import Activity, Exit, Finish, Outcome
from ivr.run.conversation import Conversation, Row, StepError
from ivr.run.events import Event, PlayFailed
from ivr.run.hunt import Hunt, RingStep, steps_of
from ivr.run.verbs.behaviour import Behaviour

RING_EXITS: dict[LegOutcome, str] = {"refused": "busy", "offline": "no_answer"}
"""``ring`` has fewer exits than a hunt has outcomes."""

BLIND_SECONDS = 40.0
"""Longer than any request of SIP goes without an answer."""

_SEAT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,63}")
_NUMBER = re.compile(r"\+?[0-9*#]{1,32}")


def target(text: str) -> Target:
    """``sip:SEAT``, ``tel:NUMBER`` or ``rtc:USER``. Raises StepError."""
    scheme, _, name = text.strip().partition(":")
    name = name.strip()
    match scheme:
        case "sip" if _SEAT.fullmatch(name):
            return Target("sip", name)
        case "rtc" if _USER.fullmatch(name):
            return Target("rtc", name)
        case "tel" if _NUMBER.fullmatch(number := re.sub(r"[ ().-]", "", name)):
            return Target("tel", number)
    raise StepError(f"'{text[:80]}' cannot be rung")


class _Hunting(Activity):
    """A hunt, and what it comes to."""

    def __init__(self, talk: Conversation, step: Step, hunt: Hunt, exits: dict[LegOutcome, str] | None = None) -> None:
        super().__init__(talk, step)
        self._hunt = hunt
        self._exits = exits or {}
        self._trouble = ""

    def key(self, key: str, now: float) -> Outcome | None:
        return None

    def next_timer(self) -> float | None:
        return self._hunt.next_timer()

    def handle_timer(self, now: float) -> Outcome | None:
        self.talk.do(*self._hunt.handle_timer(now))
        return self._judged()

    def _told(self, event: Event, now: float) -> None:
        if isinstance(event, LegFailed):
            self.talk.met = event.status
        if isinstance(event, LegFailed) and event.outcome == "failed":
            self._trouble = f"{event.status or ''} {event.text}".strip()
        self.talk.do(*self._hunt.handle(event, now))

    def _judged(self) -> Outcome | None:
        match self._hunt.outcome:
            case None:
                return None
            case "answered":
                return self._taken()
            case "failed":
                self._given_up()
                trouble = f"it could not be rung: {self._trouble or 'nobody is there'}"
                return Exit("failed", error=trouble, row=self.row())
            case outcome:
                self._given_up()
                return Exit(self._exits.get(outcome, outcome), row=self.row())

    def _taken(self) -> Outcome | None:
        """Somebody takes the call."""
        raise NotImplementedError

    def _given_up(self) -> None:
        """Nobody does."""


class Dialling(_Hunting):
    """Rings, asks, connects, and lasts until the party hangs up or the time is over."""

    def __init__(
        self,
        talk: Conversation,
        step: Step,
        hunt: Hunt,
        exits: dict[LegOutcome, str] | None = None,
        *,
        longest: float | None,
    ) -> None:
        super().__init__(talk, step, hunt, exits)
        self._longest = longest
        self._connected: str | None = None
        self._since: float | None = None
        """When they were connected."""

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
                return Exit("answered", heard_from=True, row=self.row())
            return None
        if isinstance(event, PlayFailed):
            # The caller is to be served all the same; whoever must press a key and hears nothing lets it pass.
            text = f"the whisper cannot be played: {event.reason}"
            self.talk.do(Log(self.talk.masked(text), str(self.step.place), error=True))
        self._told(event, now)
        if isinstance(event, Answered) and self._hunt.winner is not None:
            self._connect(self._hunt.winner)
        return self._judged()

    def next_timer(self) -> float | None:
        if self._connected is None:
            return super().next_timer()
        return None if self._longest is None or self._since is None else self._since + self._longest

    def handle_timer(self, now: float) -> Outcome | None:
        if self._connected is None:
            return super().handle_timer(now)
        due = self.next_timer()
        if due is None or now < due:
            return None
        self.talk.do(Drop(self._connected, "ended"))
        self._connected = None
        return Exit("max_reached", heard_from=True, row=self.row())

    def cancel(self) -> None:
        if self._connected is not None:
            self.talk.do(Drop(self._connected, "ended"))
        else:
            self.talk.do(*self._hunt.cancel(), Ringback(False))

    def row(self) -> Row:
        detail: dict[str, object] = {"asked": self._hunt.asked} if self._hunt.asked else {}
        if self._since is not None:
            detail["talk_ms"] = round((self.talk.now - self._since) * 1000)
        return Row(detail=detail or None)

    def _taken(self) -> Outcome | None:
        if self._connected is None and self._hunt.winner is not None:
            if self.talk.answered:
                self._connect(self._hunt.winner)
            else:
                self.talk.answer()
        return None

    def _given_up(self) -> None:
        self.talk.do(Ringback(False))

    def _connect(self, leg: str) -> None:
        self._connected, self._since = leg, self.talk.now
        self.talk.do(Ringback(False), Connect(leg), *self._hunt.connected())


class Referring(_Hunting):
    """Lets the caller's own telephone do it, and lasts until that has succeeded or failed."""

    def __init__(self, talk: Conversation, step: Step, hunt: Hunt, mode: dialling.Mode) -> None:
        super().__init__(talk, step, hunt)
        self._mode = mode

    def start(self, now: float) -> Outcome | None:
        self.talk.typed_ahead.clear()
        self.talk.do(*self._hunt.start(now))
        return self._judged()

    def handle(self, event: Event, now: float) -> Outcome | None:
        self._told(event, now)
        return self._judged()

    def cancel(self) -> None:
        self.talk.do(*self._hunt.cancel())

    def row(self) -> Row:
        return Row(detail={"mode": self._mode, "outcome": self._hunt.outcome})

    def _taken(self) -> Outcome | None:
        # One who was not answered yet has been redirected: of him nothing is left to hang up.
        return Finish("transferred", rejected=not self.talk.answered, row=self.row())


def _caller_id(talk: Conversation, template: Template | None) -> str | None:
    return talk.facts.caller or None if template is None else template.fill(talk.scope())


def _headers(talk: Conversation, settings: dialling.Transfer | dialling.Ring) -> tuple[tuple[str, str], ...]:
    filled = (header.fill(talk.scope()) for header in settings.headers)
    return tuple((name, text) for name, text in filled if text)


def _dialling(
    talk: Conversation,
    step: Step,
    settings: dialling.Transfer | dialling.Ring,
    steps: Iterable[RingStep],
    exits: dict[LegOutcome, str] | None = None,
) -> Activity:
    caller_id, headers = _caller_id(talk, settings.caller_id), _headers(talk, settings)
    asked = settings.acceptance
    hunt = Hunt(
        steps,
        ring=settings.ring,
        new_leg=talk.new_leg,
        dial=lambda leg, target: Dial(leg, target, caller_id, headers),
        terms=Terms(tuple(talk.items(asked.whisper)), asked.key, asked.within),
        new_play=talk.new_play,
    )
    return Dialling(talk, step, hunt, exits, longest=settings.longest)


def _referring(talk: Conversation, step: Step, settings: dialling.Transfer, to: Target) -> Activity:
    wait, headers = settings.mode == "refer", _headers(talk, settings)

    def refer(leg: str, target: Target) -> Action:
        return Refer(leg, target, wait, headers)

    ring = settings.ring if wait else BLIND_SECONDS
    return Referring(talk, step, Hunt([RingStep((to,))], ring=ring, new_leg=talk.new_leg, dial=refer), settings.mode)


def transfer(talk: Conversation, step: Step) -> Activity:
    settings: dialling.Transfer = step.settings
    to = target(settings.to.fill(talk.scope()))
    if settings.trunk is not None and to.scheme == "tel":
        to = replace(to, trunk=settings.trunk)
    if settings.mode != "bridge":
        return _referring(talk, step, settings, to)
    return _dialling(talk, step, settings, [RingStep((to,))])


def ring(talk: Conversation, step: Step) -> Activity:
    settings: dialling.Ring = step.settings
    members = talk.environment.groups.get(settings.group)
    if members is None:
        raise StepError(f"the site has no group '{settings.group}'")
    steps = steps_of(members, settings.strategy, talk.environment.shuffled)
    return _dialling(talk, step, settings, steps, RING_EXITS)


BEHAVIOURS = {"transfer": Behaviour(transfer), "ring": Behaviour(ring)}
