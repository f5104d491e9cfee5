"""Asking the caller for keys. How that goes is :mod:`ivr.run.input`; here is what is asked, and what comes of it.

Every try is a row of its own. The row of a try that was not the last says ``no_input`` or ``no_match`` as its exit,
that of the last one the exit taken.
"""

from __future__ import annotations

from dataclasses import dataclass

from ivr.flow.expression import Expression
from ivr.flow.keys import Exact, KeyPatterns, NoMatch
from ivr.flow.model import InputSettings, Prompt, Step
from ivr.flow.nodes import questions
from ivr.flow.values import EvaluationError, as_number, as_yes_no
from ivr.run.activity import Activity, Exit, Outcome
from ivr.run.conversation import Conversation, Row, StepError
from ivr.run.input import Ask, CutPrompt, Digits, Failure, Input, Matcher, PlayPrompt, TryOver
from ivr.run.verbs.behaviour import Behaviour


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
    """What the three verbs have in common."""

    prompt: tuple[Prompt, ...]
    no_input: tuple[Prompt, ...]
    no_match: tuple[Prompt, ...]
    input: InputSettings
    secret: bool = False

    def said_after(self, failure: Failure) -> tuple[Prompt, ...]:
        return self.no_input if failure == "no_input" else self.no_match


class Asking(Activity):
    """One question, try after try."""

    def __init__(self, talk: Conversation, step: Step, question: Question, matcher: Matcher) -> None:
        super().__init__(talk, step)
        self._question = question
        self._input = Input(
            matcher,
            question.input,
            talk.typed_ahead,
            prompts_after=lambda failure: len(question.said_after(failure)),
        )
        self._play_id: int | None = None
        self._heard_ms: int | None = None
        self._try_no = 1

    def start(self, now: float) -> Outcome | None:
        self.talk.seat_left = None
        self.talk.secret_input = self._question.secret
        return self._do(self._input.start(now), now)

    def key(self, key: str, now: float) -> Outcome | None:
        return self._do(self._input.key(key, now), now)

    def play_ended(self, now: float) -> Outcome | None:
        self._heard_ms = self.talk.playing_for_ms()
        return self._do(self._input.prompt_ended(now), now)

    def next_timer(self) -> float | None:
        return self._input.next_timer()

    def handle_timer(self, now: float) -> Outcome | None:
        return self._do(self._input.handle_timer(now), now)

    def row(self) -> Row:
        heard = self._heard_ms
        if heard is None and self._play_id is not None:
            heard = self.talk.playing_for_ms()
        return Row(self._try_no, secret=self._question.secret, play_id=self._play_id, heard_ms=heard)

    def answered(self, over: TryOver) -> str:
        """Use what was entered. Returns the name of the exit."""
        raise NotImplementedError

    def first(self, over: TryOver) -> tuple[Step, ...]:
        """Steps that are done before the exit is taken."""
        return ()

    def _do(self, asks: list[Ask], now: float) -> Outcome | None:
        for ask in asks:
            match ask:
                case PlayPrompt():
                    outcome = self._prompt(ask, now)
                case CutPrompt():
                    self._heard_ms = self.talk.playing_for_ms()
                    self.talk.stop_playing()
                    outcome = None
                case TryOver():
                    outcome = self._try_over(ask, now)
            if outcome is not None:
                return outcome
        return None

    def _prompt(self, prompt: PlayPrompt, now: float) -> Outcome | None:
        prompts = self._question.prompt
        if prompt.after is not None:
            prompts = (*self._question.said_after(prompt.after)[prompt.item : prompt.item + 1], *prompts)
        self._try_no = prompt.try_no
        if prompts:
            self._play_id = self.talk.play(self.talk.items(prompts))
            return None
        return self._do(self._input.prompt_ended(now), now)

    def _try_over(self, over: TryOver, now: float) -> Outcome | None:
        heard = self._heard_ms if over.prompt_played or not self._question.prompt else 0
        row = Row(over.try_no, over.keys or None, self._question.secret, over.barged_in, self._play_id, heard)
        self._play_id = self._heard_ms = None
        self._try_no = over.try_no + 1
        if over.outcome == "matched":
            self.talk.input = None if self._question.secret else over.keys
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
        return "yes" if over.match == settings.yes_key else "no"


class Collect(Asking):
    """The digits become a value of the variable's type; digits keep their leading zeros."""

    def __init__(self, talk: Conversation, step: Step, question: Question) -> None:
        settings: questions.Collect = step.settings
        super().__init__(talk, step, question, Digits(settings.digits.least, settings.digits.most, self._checked))
        self._check: Expression | None = settings.check
        self._into = settings.into

    def answered(self, over: TryOver) -> str:
        if self._question.secret:
            self.talk.secret_variables.add(self._into)
        self.talk.variables[self._into] = self._value(over.keys)
        return "next"

    def _checked(self, entered: str) -> bool:
        if self._check is None:
            return True
        try:
            scope = {**self.talk.scope(), self._into: self._value(entered), "input": entered}
            return as_yes_no(self._check.evaluate(scope))
        except EvaluationError:
            if self._question.secret:
                # The error would quote what was entered.
                raise StepError("the check of a secret input cannot be computed") from None
            raise

    def _value(self, entered: str) -> object:
        variable = self.talk.flow.variables.get(self._into)
        return as_number(entered) if variable and variable.type in ("number", "money") else entered


def menu(talk: Conversation, step: Step) -> Activity:
    settings: questions.Menu = step.settings
    question = Question(settings.prompt, settings.no_input, settings.no_match, settings.input)
    return Menu(talk, step, question, Patterns(settings.keys))


def confirm(talk: Conversation, step: Step) -> Activity:
    settings: questions.Confirm = step.settings
    question = Question(settings.prompt, settings.no_input, settings.no_match, settings.input)
    return Confirm(talk, step, question, Patterns(KeyPatterns((settings.yes_key, settings.no_key))))


def collect(talk: Conversation, step: Step) -> Activity:
    settings: questions.Collect = step.settings
    secret = settings.secret or settings.into in talk.secret_variables
    question = Question(settings.prompt, settings.no_input, settings.no_match, settings.input, secret)
    return Collect(talk, step, question)


BEHAVIOURS = {
    "menu": Behaviour(menu, needs_answer=True),
    "collect": Behaviour(collect, needs_answer=True),
    "confirm": Behaviour(confirm, needs_answer=True),
}
