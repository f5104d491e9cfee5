"""What a call is while its flow runs: its facts, variables, language, what plays, what was typed ahead.

Steps act on a call only through a :class:`Conversation`; it collects what they ask for, in order. Where in the flow
the call is, and what comes next, is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from ivr.country import country_of
from ivr.flow.model import Flow, Prompt, Recording
from ivr.flow.saying import worded
from ivr.flow.ssml import escaped
from ivr.flow.template import Template
from ivr.flow.values import as_number, as_text
from ivr.hearing import Hypothesis, Recognition, Wanted
from ivr.run.actions import (
    Action,
    Answer,
    CancelRequest,
    Early,
    Listen,
    Mark,
    Play,
    PlayItem,
    PlayRecording,
    PlayText,
    Request,
    StepRecord,
    StopListening,
    StopPlaying,
)
from ivr.run.environment import Environment
from ivr.run.ledger import Ledger
from ivr.run.requests import Asked
from ivr.run.typed_ahead import TypedAhead

MASK = "********"
"""Stands for a secret value, whatever its length."""

SHORTEST_SECRET = 3
"""Characters. Looking for shorter ones in the text of an error would mask line numbers and tell more than it hides."""


class StepError(Exception):
    """A step cannot be done. The text is for the operator: what happened, without the place and the call."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known of a call when it arrives."""

    call_id: str
    caller: str
    caller_name: str
    caller_account: str | None
    did: str
    at: datetime
    """Start of the call, aware, in the zone in which the flow's times are meant."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a caller said."""

    recognition: Recognition
    meant: Hypothesis | None = None
    """What of it was taken for the answer; None if nothing was."""

    @property
    def best(self) -> Hypothesis | None:
        """What was taken for the answer, else what was most likely said; None if nothing was understood."""
        return self.meant or next(iter(self.recognition.hypotheses), None)

    def detail(self, *, secret: bool) -> Mapping[str, object]:
        """For the record. What is secret is left out, misheard or not."""
        found: dict[str, object] = {"took_ms": self.recognition.took_ms}
        if not secret:
            found["speech_ms"] = self.recognition.ended_ms - self.recognition.began_ms
            found["alternatives"] = [
                {"text": one.text, "confidence": round(one.confidence, 3), **({"name": one.name} if one.name else {})}
                for one in self.recognition.hypotheses
            ]
        return found


@dataclass(frozen=True, slots=True)
class Row:
    """What a step adds to its record."""

    try_no: int | None = None
    keys: str | None = None
    """What was entered; None if nothing was, or nothing was asked."""
    heard: Heard | None = None
    """What was said; None unless speech was the answer."""
    secret: bool = False
    """The answer must not be written down."""
    barged_in: bool | None = None
    play_id: int | None = None
    """The play whose heard time belongs to the row."""
    heard_ms: int | None = None
    """Heard time without, or before, word of the play."""
    detail: Mapping[str, object] | None = None
    """What came of it outside, or what decided; without secrets."""
    error: str | None = None
    """What went wrong although the step went on."""


@dataclass(frozen=True, slots=True)
class Here:
    """The step that is being done."""

    block: str
    step: int
    """From 1."""
    verb: str
    line: int
    began: float


class Conversation:
    """The state of one call that outlives a step. Times are seconds, as ``now`` is handed in."""

    def __init__(self, flow: Flow, facts: CallFacts, environment: Environment) -> None:
        self.flow = flow
        self.facts = facts
        self.environment = environment
        self.language = flow.languages[0] if flow.languages else "en"
        self.variables: dict[str, object] = {name: variable.default for name, variable in flow.variables.items()}
        self.secret_variables = {name for name, variable in flow.variables.items() if variable.secret}
        self.typed_ahead = TypedAhead()
        self.input: str | None = None
        """The keys, or the words, that matched last."""
        self.heard: Heard | None = None
        """What was said last, if the last answer was speech."""
        self.heard_secret = False
        self.previous_block: str | None = None
        self.started = 0.0
        self.now = 0.0
        self.here: Here | None = None
        self.answer_asked = False
        self._early_asked = False
        self.answered = False
        """The caller's leg is up."""
        self.over = False
        """The caller has gone: what takes time cannot be waited for."""
        self.secret_input = False
        """The keys pressed now must not be written down."""
        self.seat_left: Literal["agent", "network"] | None = None
        """How the last party left the caller, if he has heard, been asked and been offered nothing since."""
        self.met: int | None = None
        """The SIP status with which the party rung last did not take the call; None if it had none."""
        self.playing: int | None = None
        """The play that has neither ended nor been stopped."""
        self.listening: int | None = None
        """The listening of which nothing has come yet, and which has not been stopped."""
        self._play_began = 0.0
        self._actions: list[Action] = []
        self._ledger = Ledger()
        self._country: str | None = None
        self._plays = 0
        self._listenings = 0
        self._legs = 0
        self._requests = 0

    # What is asked of the owner of the call.

    def do(self, *actions: Action) -> None:
        self._actions += actions

    def taken(self) -> list[Action]:
        """Everything asked for since the last time."""
        actions, self._actions = self._actions, []
        return actions

    def answer(self) -> None:
        """Take the call, unless that has been asked already."""
        if not self.answer_asked:
            self.answer_asked = True
            self.do(Answer())

    def early(self) -> None:
        """Be heard before the call is taken, unless it is or that has been asked already."""
        if not self.answer_asked and not self._early_asked:
            self._early_asked = True
            self.do(Early())

    def speak(self, language: str) -> None:
        """Use another language from here on."""
        if language != self.language:
            self.language = language
            self.do(Mark("language", language))

    def play(self, items: Sequence[PlayItem], *, loop: bool = False) -> int:
        """Play in place of whatever plays. Returns the number of the play."""
        self.stop_playing()
        self.seat_left = None
        self._play_began = self.now
        self.playing = self.new_play()
        self.do(Play(self._plays, tuple(items), loop))
        return self._plays

    def new_play(self) -> int:
        """A number for something about to be played; no other play of this call has it."""
        self._plays += 1
        return self._plays

    def stop_playing(self) -> None:
        if self.playing is not None:
            self.playing = None
            self.do(StopPlaying())

    def playing_for_ms(self) -> int:
        """How long ago the last play was asked for."""
        return round((self.now - self._play_began) * 1000)

    def play_over(self, play_id: int, heard_ms: int) -> None:
        """The owner says that a play is over, by itself or because it was stopped."""
        if play_id == self.playing:
            self.playing = None
        self.do(*self._ledger.heard(play_id, max(0, heard_ms)))

    def listen(self, wanted: Wanted) -> None:
        """Listen to the caller for one utterance, in place of whatever is listened for."""
        self.stop_listening()
        self._listenings += 1
        self.listening = self._listenings
        self.do(Listen(self.listening, wanted))

    def stop_listening(self) -> None:
        if self.listening is not None:
            self.do(StopListening(self.listening))
            self.listening = None

    def new_leg(self) -> str:
        """A name for a leg about to be dialled; no other of this call has it."""
        self._legs += 1
        self.seat_left = None
        return f"leg{self._legs}"

    def request(self, asked: Asked) -> int:
        """Ask the world outside. Returns the number under which the answer comes."""
        self._requests += 1
        self.do(Request(self._requests, asked))
        return self._requests

    def tell(self, asked: Asked) -> None:
        """Ask the world outside for something of which nothing is to be heard again; it outlives the call."""
        self._requests += 1
        self.do(Request(self._requests, asked, detached=True))

    def local_time(self) -> datetime:
        """The time now, in the zone in which the flow's times are meant."""
        return self.facts.at + timedelta(seconds=self.now - self.started)

    def cancel_request(self, request_id: int) -> None:
        self.do(CancelRequest(request_id))

    def where(self) -> tuple[str, str]:
        """The flow and the block."""
        return self.flow.name, self.here.block if self.here is not None else ""

    # What steps say and compute.

    def scope(self) -> dict[str, object]:
        """What expressions see."""
        return {
            **self.variables,
            "caller.number": self.facts.caller,
            "caller.name": self.facts.caller_name,
            "caller.country": self._caller_country(),
            "call.id": self.facts.call_id,
            "call.did": self.facts.did,
            "call.at": self.facts.at,
            "input": self.input,
            **self._heard_scope(),
            "last.block": self.previous_block,
            "now": self.local_time(),
        }

    def _heard_scope(self) -> dict[str, object]:
        heard = self.heard
        best = heard.best if heard is not None else None
        if heard is None or best is None:
            return {"heard.text": None, "heard.confidence": None, "heard.alternatives": None}
        texts = tuple(one.text for one in heard.recognition.hypotheses)
        return {
            "heard.text": None if self.heard_secret else best.text,
            "heard.confidence": as_number(round(best.confidence, 3)),
            "heard.alternatives": None if self.heard_secret else texts,
        }

    def _caller_country(self) -> str:
        if self._country is None:
            self._country = country_of(self.facts.caller, self.environment.country)
        return self._country

    def public_scope(self) -> dict[str, object]:
        """The same for what is written down: secret values are masked."""
        scope = self.scope()
        for name in self.secret_variables:
            if scope.get(name) is not None:
                scope[name] = MASK
        return scope

    def masked(self, text: str) -> str:
        """An error's text without the secrets it may quote."""
        for name in self.secret_variables:
            value = self.variables.get(name)
            if isinstance(value, str | Decimal) and len(as_text(value)) >= SHORTEST_SECRET:
                text = text.replace(as_text(value), MASK)
        return text

    def items(self, prompts: Sequence[Prompt]) -> list[PlayItem]:
        """Prompts as things to play, in the language of the call. Raises EvaluationError."""
        return [
            PlayRecording(prompt.name, self.language)
            if isinstance(prompt, Recording)
            else PlayText(self.words(prompt.text), self.language, ssml=bool(prompt.text.ssml))
            for prompt in prompts
        ]

    def words(self, template: Template) -> str:
        """A text with its values worded for the ear. Raises EvaluationError."""
        if template.fixed is not None:
            return template.fixed
        scope = self.scope()
        spelt = escaped if template.ssml else str
        return "".join(
            part
            if isinstance(part, str)
            else spelt(worded(part.expression.evaluate(scope), part.format, part.argument, self.language))
            for part in template.parts
        )

    # What is written down.

    def record(self, row: Row, exit: str | None, next_block: str | None, error: str | None = None) -> None:
        """Write a row for the present step, which began at ``here.began`` and ends now."""
        here = self.here
        if here is None:
            return
        best = row.heard.best if row.heard is not None else None
        spoken = None if best is None else best.text
        detail = row.detail
        if row.heard is not None:
            detail = {**(detail or {}), **row.heard.detail(secret=row.secret)}
        record = StepRecord(
            self._ledger.next_seq(),
            self.flow.name,
            here.block,
            here.step,
            here.verb,
            here.line,
            here.began,
            self.now,
            try_no=row.try_no,
            input_mode="speech" if row.heard is not None else None if row.keys is None else "keys",
            input=None if row.secret else row.keys if row.heard is None else spoken,
            confidence=None if best is None else round(best.confidence, 3),
            barged_in=row.barged_in,
            heard_ms=row.heard_ms,
            exit=exit,
            next_block=next_block,
            error=error or row.error,
            detail=detail,
        )
        self.do(*self._ledger.add(record, row.play_id))

    def next_try(self) -> None:
        """What is recorded next for the present step begins now."""
        if self.here is not None:
            self.here = replace(self.here, began=self.now)

    def close(self) -> None:
        """Give out the rows that still wait."""
        self.do(*self._ledger.close())
