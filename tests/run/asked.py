"""A caller whom the input itself asks, without a flow: presses keys, speaks, waits, remembers what was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ivr.flow.model import InputSettings
from ivr.hearing import Hypothesis, Recognition
from ivr.run.input import (
    BeginListening,
    Demand,
    EndListening,
    HearingLost,
    Input,
    Matcher,
    PlayPrompt,
    TryOver,
    Understood,
)
from ivr.run.typed_ahead import TypedAhead

SETTINGS = InputSettings(timeout=5.0, gap=3.0, tries=3)


@dataclass
class Keys:
    """Waits for one of some exact key sequences."""

    wanted: tuple[str, ...]

    def match(self, keys: str) -> str | None:
        return keys if keys in self.wanted else None

    def goes_on(self, keys: str) -> bool:
        return any(len(wanted) > len(keys) and wanted.startswith(keys) for wanted in self.wanted)


@dataclass
class Words:
    """Waits for one of some words."""

    wanted: tuple[str, ...]

    def understand(self, hypothesis: Hypothesis) -> Understood | None:
        return Understood(hypothesis.text, hypothesis) if hypothesis.text in self.wanted else None


@dataclass
class Caller:
    """Prompts end when :meth:`hears_all` says so. Whoever listens hears only what the methods say."""

    matcher: Matcher | None
    settings: InputSettings = SETTINGS
    typed: str = ""
    items: int = 2
    finish_empty: bool = False
    words: Words | None = None
    now: float = 100.0
    asks: list[Demand] = field(default_factory=list)
    listening: bool = False

    def __post_init__(self) -> None:
        self.typed_ahead = TypedAhead()
        for key in self.typed:
            self.typed_ahead.push(key)
        self.input = Input(
            self.matcher,
            self.settings,
            self.typed_ahead,
            speech=self.words,
            prompts_after=lambda _: self.items,
            finish_empty=self.finish_empty,
        )
        self._take(self.input.start(self.now))

    def presses(self, keys: str, *, gap: float = 0.2) -> None:
        for key in keys:
            self.waits(gap)
            if not self.typed_ahead.forgives(key, self.now):
                self._take(self.input.key(key, self.now))

    def hears_all(self) -> None:
        self.now += 2.0
        self._take(self.input.prompt_ended(self.now))

    def waits(self, seconds: float) -> None:
        until = self.now + seconds
        while (timer := self.input.next_timer()) is not None and timer <= until:
            self.now = max(self.now, timer)
            self._take(self.input.handle_timer(self.now))
        self.now = until

    def begins_to_speak(self) -> None:
        self._take(self.input.speech_started(self.now))

    def is_understood(self, *hypotheses: Hypothesis) -> None:
        """The recogniser says what it heard, as the owner of the call tells only what is still owed."""
        if self.listening:
            self.listening = False
            self._take(self.input.speech_heard(Recognition(hypotheses, 0, 900, 120), self.now))

    def says(self, words: str, confidence: float = 0.9) -> None:
        self.begins_to_speak()
        self.waits(1.0)
        self.is_understood(Hypothesis(words, confidence))

    def is_not_heard(self, reason: str = "it died") -> None:
        if self.listening:
            self.listening = False
            self._take(self.input.hearing_failed(reason, self.now))

    def _take(self, demands: Iterable[Demand]) -> None:
        for demand in demands:
            match demand:
                case BeginListening():
                    assert not self.listening, "one at a time"
                    self.listening = True
                case EndListening():
                    assert self.listening, "nobody listens"
                    self.listening = False
            self.asks.append(demand)

    @property
    def prompts(self) -> list[PlayPrompt]:
        return [ask for ask in self.asks if isinstance(ask, PlayPrompt)]

    @property
    def tries(self) -> list[TryOver]:
        return [ask for ask in self.asks if isinstance(ask, TryOver)]

    @property
    def lost(self) -> list[HearingLost]:
        return [ask for ask in self.asks if isinstance(ask, HearingLost)]

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        return [(over.outcome, over.keys) for over in self.tries]

    @property
    def meant(self) -> list[tuple[str, str | None]]:
        """How the tries ended, and what was meant."""
        return [(over.outcome, over.match) for over in self.tries]

    @property
    def left_over(self) -> str:
        left = ""
        while self.typed_ahead:
            left += self.typed_ahead.pop()
        return left
