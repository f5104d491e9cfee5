"""What callers mean by what they said: one of the phrases that a step listens for, or a value of a type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from ivr.flow.model import SpokenChoice
from ivr.hearing import Hypothesis, Phrase, SpokenType
from ivr.run.input import Understood
from ivr.understanding.phrases import Match, matches, normalised
from ivr.understanding.values import Value, meaning

ANYTHING: Final = "next"
"""Names an answer that is none of the choices."""


def phrases_of(choices: Iterable[SpokenChoice], language: str) -> tuple[Phrase, ...]:
    """The choices that have words in that language."""
    return tuple(Phrase(choice.name, forms) for choice in choices if (forms := choice.spoken(language)))


def phrase_in(text: str, phrases: Sequence[Phrase], language: str) -> Phrase | None:
    """The phrase that the text is, or has in it.

    Of several in it, it is the one within whose words all others lie (``new order`` before ``order``); otherwise
    nobody knows which is meant, and it is none.
    """
    found = matches(text, phrases, language)
    if not found:
        return None
    best, *others = found
    return best.phrase if all(_within(one, best, language) for one in others) else None


def _within(one: Match, other: Match, language: str) -> bool:
    less, more = (f" {normalised(match.form, language)} " for match in (one, other))
    return less != more and less in more


@dataclass(frozen=True, slots=True)
class OneOf:
    """Waits for one of some phrases; ``otherwise`` also for any other words, which are the value then."""

    phrases: tuple[Phrase, ...]
    language: str
    otherwise: bool = False

    def understand(self, hypothesis: Hypothesis) -> Understood | None:
        if any(phrase.name == hypothesis.name for phrase in self.phrases):
            return Understood(str(hypothesis.name), hypothesis)
        # An engine that hears freely, and a test, know words only.
        phrase = phrase_in(hypothesis.text, self.phrases, self.language)
        if phrase is not None:
            return Understood(phrase.name, hypothesis)
        return Understood(ANYTHING, hypothesis, hypothesis.text) if self.otherwise else None


@dataclass(frozen=True, slots=True)
class OfType:
    """Waits for something of a type that passes a further check."""

    type: SpokenType
    language: str
    today: date
    accepts: Callable[[Value, Hypothesis], bool] = lambda *_: True

    def understand(self, hypothesis: Hypothesis) -> Understood | None:
        value = meaning(hypothesis.text, self.type, self.language, self.today)
        if value is None or not self.accepts(value, hypothesis):
            return None
        return Understood(ANYTHING, hypothesis, value)
