"""Asking the caller, who presses keys or speaks. How that goes is :mod:`ivr.run.input`; here is what is asked, and what
comes of it.

Every try is a row of its own. The row of a try that was not the last says ``no_input`` or ``no_match`` as its exit,
that of the last one the exit taken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, time
from typing import Final

from ivr.flow.expression import Expression
from ivr.flow.keys import Exact, KeyPatterns, NoMatch
from ivr.flow.model import InputSettings, Prompt, SpokenChoice, Step
from ivr.flow.nodes import questions
from ivr.flow.nodes.kinds import DigitCount
from ivr.flow.values import EvaluationError, as_number, as_type, as_yes_no
from ivr.hearing import Hypothesis, Phrase, SpokenType, Wanted
from ivr.run.actions import Log
from ivr.run.activity import Activity, Exit, Outcome
from ivr.run.conversation import Conversation, Heard, Row, StepError
from ivr.run.events import Event, HearingFailed, SpeechHeard, SpeechStarted
from ivr.run.input import (
    BeginListening,
    CutPrompt,
    Demand,
    Digits,
    EndListening,
    Failure,
    HearingLost,
    Input,
    Matcher,
    PlayPrompt,
    TryOver,
    Understanding,
)
from ivr.run.spoken import OfType, OneOf, phrases_of
from ivr.run.verbs.behaviour import Behaviour
from ivr.understanding.values import Value

DEAF: Final = 0.3
"""Seconds from the beginning of a prompt in which it may come back as an echo, before the line has learned of it."""


_NOT_HEARD: Final = "the caller cannot be heard: {}"


@dataclass(frozen=True, slots=True)
class Patterns:
    """Waits for keys of one of some patterns."""

    patterns: KeyPatterns

    def match(self, keys: str) -> str | None:
        found = self.patterns.match(keys)
        return found.pattern if isinstance(found, Exact) else None

    def goes_on(self, keys: str) -> bool:
        found = self.patterns.match(keys)
        return found.longer_possible if isinstance(found, Exact) else not isinstance(found, NoMatch)


@dataclass(frozen=True, slots=True)
class Question:
    """What the verbs have in common."""

    prompt: tuple[Prompt, ...]
    no_input: tuple[Prompt, ...]
    no_match: tuple[Prompt, ...]
    input: InputSettings
    secret: bool = False

    def said_after(self, failure: Failure) -> tuple[Prompt, ...]:
        return self.no_input if failure == "no_input" else self.no_match

    def wanted(
        self,
        language: str,
        phrases: tuple[Phrase, ...] = (),
        type: SpokenType | None = None,
        hints: tuple[str, ...] = (),
    ) -> Wanted:
        """What a recogniser is told to listen for."""
        return Wanted(language, phrases, type, hints, self.input.speech_timeout, self.input.longest_speech)


@dataclass(frozen=True, slots=True)
class Listening:
    """What can be said."""

    wanted: Wanted
    understanding: Understanding


class Asking(Activity):
    """One question, try after try."""

    def __init__(
        self,
        talk: Conversation,
        step: Step,
        question: Question,
        keys: Matcher | None,
        listening: Listening | None = None,
    ) -> None:
        super().__init__(talk, step)
        if keys is not None and not talk.environment.hears(talk.language):
            # The site can do without: the checks have told its operator.
            listening = None
        self._question = question
        self._wanted = listening.wanted if listening is not None else None
        self._input = Input(
            keys,
            question.input,
            talk.typed_ahead,
            speech=listening.understanding if listening is not None else None,
            prompts_after=lambda failure: len(question.said_after(failure)),
        )
        self._play_id: int | None = None
        self._heard_ms: int | None = None
        self._try_no = 1
        self._not_heard: str | None = None
        """Why nobody listens in this try."""

    def start(self, now: float) -> Outcome | None:
        self.talk.seat_left = None
        self.talk.secret_input = self._question.secret
        return self._do(self._input.start(now), now)

    def key(self, key: str, now: float) -> Outcome | None:
        return self._do(self._input.key(key, now), now)

    def handle(self, event: Event, now: float) -> Outcome | None:
        match event:
            case SpeechStarted(listen_id) if listen_id == self.talk.listening:
                return self._do(self._input.speech_started(now), now)
            case SpeechHeard(listen_id, recognition) if listen_id == self.talk.listening:
                self.talk.listening = None
                return self._do(self._input.speech_heard(recognition, now), now)
            case HearingFailed(listen_id, reason) if listen_id == self.talk.listening:
                self.talk.listening = None
                return self._do(self._input.hearing_failed(reason, now), now)
        return None

    def play_ended(self, now: float) -> Outcome | None:
        self._heard_ms = self.talk.playing_for_ms()
        return self._do(self._input.prompt_ended(now), now)

    def next_timer(self) -> float | None:
        return self._input.next_timer()

    def handle_timer(self, now: float) -> Outcome | None:
        return self._do(self._input.handle_timer(now), now)

    def cancel(self) -> None:
        self.talk.stop_listening()
        super().cancel()

    def row(self) -> Row:
        heard = self._heard_ms
        if heard is None and self._play_id is not None:
            heard = self.talk.playing_for_ms()
        row = Row(self._try_no, secret=self._question.secret, play_id=self._play_id, heard_ms=heard)
        return self._with_faults(row)

    def answered(self, over: TryOver) -> str:
        """Use what was entered or said. Returns the name of the exit."""
        raise NotImplementedError

    def first(self, over: TryOver) -> tuple[Step, ...]:
        """Steps that are done before the exit is taken."""
        return ()

    def _do(self, demands: Iterable[Demand], now: float) -> Outcome | None:
        waiting = deque(demands)
        while waiting:
            match waiting.popleft():
                case PlayPrompt() as prompt:
                    if not self._prompt(prompt):
                        waiting += self._input.prompt_ended(now)
                case CutPrompt():
                    self._heard_ms = self.talk.playing_for_ms()
                    self.talk.stop_playing()
                case BeginListening(with_prompt):
                    self._listen(DEAF if with_prompt and self._play_id is not None else 0.0)
                case EndListening():
                    self.talk.stop_listening()
                case HearingLost(reason, given_up):
                    self._not_heard = reason
                    if given_up:
                        raise StepError(_NOT_HEARD.format(reason))
                    self._log_not_heard(reason)
                case TryOver() as over:
                    outcome = self._try_over(over)
                    if outcome is not None:
                        return outcome
        return None

    def _prompt(self, prompt: PlayPrompt) -> bool:
        """Whether there is something to play."""
        prompts = self._question.prompt
        if prompt.after is not None:
            prompts = (*self._question.said_after(prompt.after)[prompt.item : prompt.item + 1], *prompts)
        self._try_no = prompt.try_no
        if prompts:
            self._play_id = self.talk.play(self.talk.items(prompts))
        return bool(prompts)

    def _listen(self, deaf_for: float) -> None:
        if self._wanted is not None:
            self.talk.listen(replace(self._wanted, deaf_for=deaf_for))

    def _with_faults(self, row: Row) -> Row:
        if self._not_heard is None:
            return row
        return replace(row, error=_NOT_HEARD.format(self._not_heard), detail={"not_heard": self._not_heard})

    def _log_not_heard(self, reason: str) -> None:
        flow, block = self.talk.where()
        place = self.step.place
        number = self.talk.here.step if self.talk.here is not None else 0
        where = f"{flow} {block} step {number} ({place.file}:{place.line})"
        text = f"{where}: {_NOT_HEARD.format(reason)} → keys only   call {self.talk.facts.call_id}"
        self.talk.do(Log(text, str(place), error=True))

    def _try_over(self, over: TryOver) -> Outcome | None:
        secret = self._question.secret
        heard = None
        if over.recognition is not None:
            heard = Heard(over.recognition, over.understood.hypothesis if over.understood is not None else None)
        self.talk.heard, self.talk.heard_secret = heard, secret
        row = Row(
            over.try_no,
            over.keys or None,
            heard,
            secret,
            over.barged_in,
            self._play_id,
            self._heard_ms if over.prompt_played or not self._question.prompt else 0,
        )
        row = self._with_faults(row)
        self._play_id = self._heard_ms = self._not_heard = None
        self._try_no = over.try_no + 1
        if over.outcome == "matched":
            entered = over.keys if over.understood is None else over.understood.hypothesis.text
            self.talk.input = None if secret else entered
            return Exit(self.answered(over), row=row, heard_from=True, first=self.first(over))
        if over.last:
            return Exit(over.outcome, row=row)
        self.talk.record(row, over.outcome, None)
        self.talk.next_try()
        return None


class Menu(Asking):
    """The exit of a choice is called like its pattern."""

    def answered(self, over: TryOver) -> str:
        return over.match or ""

    def first(self, over: TryOver) -> tuple[Step, ...]:
        settings: questions.Menu = self.step.settings
        return next((one.steps for one in settings.done if one.key == over.match), ())


class Confirm(Asking):
    def answered(self, over: TryOver) -> str:
        settings: questions.Confirm = self.step.settings
        yes = settings.yes_key if over.understood is None else "yes"
        return "yes" if over.match == yes else "no"


class Collect(Asking):
    """The digits, or what was said, become a value of the variable's type; digits keep their leading zeros."""

    def __init__(self, talk: Conversation, step: Step, question: Question) -> None:
        settings: questions.Collect = step.settings
        self._check: Expression | None = settings.check
        self._into = settings.into
        self._type = settings.speech
        self._digits = digits_of(settings)
        listening = None
        if settings.speech is not None:
            wanted = question.wanted(talk.language, type=settings.speech)
            today = talk.local_time().date()
            listening = Listening(wanted, OfType(settings.speech, talk.language, today, self._said))
        keys = Digits(self._digits.least, self._digits.most, self._entered)
        super().__init__(talk, step, question, keys, listening)

    def answered(self, over: TryOver) -> str:
        if self._question.secret:
            self.talk.secret_variables.add(self._into)
        said = over.understood
        value = entered(over.keys, self._type) if said is None else said.value
        self.talk.variables[self._into] = self._held(value)
        return "next"

    def _entered(self, keys: str) -> bool:
        value = entered(keys, self._type)
        return value is not None and self._holds(value, {"input": keys})

    def _said(self, value: Value, said: Hypothesis) -> bool:
        if self._type == "digits" and not self._digits.least <= len(str(value)) <= self._digits.most:
            return False
        heard = {"heard.text": said.text, "heard.confidence": as_number(round(said.confidence, 3))}
        return self._holds(value, {"input": said.text, **heard})

    def _holds(self, value: object, scope: Mapping[str, object]) -> bool:
        """Whether the check does."""
        if self._check is None:
            return True
        try:
            return as_yes_no(self._check.evaluate({**self.talk.scope(), **scope, self._into: self._held(value)}))
        except EvaluationError:
            if self._question.secret:
                # The error would quote what was entered.
                raise StepError("the check of a secret input cannot be computed") from None
            raise

    def _held(self, value: object) -> object:
        """As the variable holds it."""
        variable = self.talk.flow.variables.get(self._into)
        if self._type in (None, "digits", "text"):
            return as_number(value) if variable and variable.type in ("number", "money") else value
        return value if variable is None else as_type(value, variable.type)


_DIGITS: Final[Mapping[SpokenType, DigitCount]] = {
    "date": DigitCount(8, 8),
    "time": DigitCount(4, 4),
    "yes_no": DigitCount(1, 1),
}
"""How many keys a value takes that has a form of its own: 20260305, 2230, 1 for yes and 2 for no."""


def digits_of(settings: questions.Collect) -> DigitCount:
    """How many keys are waited for."""
    return _DIGITS.get(settings.speech or "text", settings.digits)


def entered(keys: str, type: SpokenType | None) -> object | None:
    """Keys as a value of the type, None if they are none."""
    try:
        match type:
            case "date":
                return date.fromisoformat(f"{keys[:4]}-{keys[4:6]}-{keys[6:]}")
            case "time":
                return time.fromisoformat(f"{keys[:2]}:{keys[2:]}")
            case "yes_no":
                return {"1": True, "2": False}.get(keys)
            case "number" | "money":
                return as_number(keys)
            case _:
                return keys
    except (ValueError, EvaluationError):
        return None


class Ask(Asking):
    """The exit of an intent is called like it. What was said goes into the variable, whatever it meant."""

    def answered(self, over: TryOver) -> str:
        settings: questions.Ask = self.step.settings
        said = over.understood
        if settings.into is not None and said is not None:
            self.talk.variables[settings.into] = said.hypothesis.text
            if self._question.secret:
                self.talk.secret_variables.add(settings.into)
        return over.match or ""

    def first(self, over: TryOver) -> tuple[Step, ...]:
        settings: questions.Ask = self.step.settings
        return next((one.steps for one in settings.done if one.key == over.match), ())


def _one_of(question: Question, talk: Conversation, choices: Iterable[SpokenChoice]) -> Listening | None:
    """Listening for choices; none if they have no words in the language of the call."""
    phrases = phrases_of(choices, talk.language)
    return Listening(question.wanted(talk.language, phrases), OneOf(phrases, talk.language)) if phrases else None


def menu(talk: Conversation, step: Step) -> Activity:
    settings: questions.Menu = step.settings
    question = Question(settings.prompt, settings.no_input, settings.no_match, settings.input)
    return Menu(talk, step, question, Patterns(settings.keys), _one_of(question, talk, settings.speech))


def confirm(talk: Conversation, step: Step) -> Activity:
    settings: questions.Confirm = step.settings
    question = Question(settings.prompt, settings.no_input, settings.no_match, settings.input)
    keys = Patterns(KeyPatterns((settings.yes_key, settings.no_key)))
    return Confirm(talk, step, question, keys, _one_of(question, talk, settings.speech))


def collect(talk: Conversation, step: Step) -> Activity:
    settings: questions.Collect = step.settings
    secret = settings.secret or settings.into in talk.secret_variables
    question = Question(settings.prompt, settings.no_input, settings.no_match, settings.input, secret)
    return Collect(talk, step, question)


def ask(talk: Conversation, step: Step) -> Activity:
    settings: questions.Ask = step.settings
    secret = settings.into is not None and settings.into in talk.secret_variables
    question = Question(settings.prompt, settings.no_input, settings.no_match, settings.input, secret)
    if settings.into is None:
        listening = _one_of(question, talk, settings.choices)
        if listening is None:
            raise StepError(f"there are no words to listen for in language '{talk.language}'")
    else:
        phrases = phrases_of(settings.choices, talk.language)
        wanted = question.wanted(talk.language, phrases, "text", settings.hints)
        listening = Listening(wanted, OneOf(phrases, talk.language, otherwise=True))
    return Ask(talk, step, question, None, listening)


BEHAVIOURS = {
    "menu": Behaviour(menu, needs_answer=True),
    "collect": Behaviour(collect, needs_answer=True),
    "confirm": Behaviour(confirm, needs_answer=True),
    "ask": Behaviour(ask, needs_answer=True),
}
