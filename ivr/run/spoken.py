"""What callers mean by what they said: one of the phrases that a step listens for, or a value of a type."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from ivr.flow.model import SpokenChoice
from ivr.flow.values import EvaluationError, as_date, as_number, as_time
from ivr.hearing import Hypothesis, Phrase, SpokenType
from ivr.run.input import Understood
from ivr.understanding.yes_no import usual_yes_no

ANYTHING: Final = "next"
"""Names an answer that is none of the choices."""

_UNSPACED: Final = re.compile(r"([\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])")
"""Scripts that have no spaces between words: every character counts as one."""


def phrases_of(choices: Iterable[SpokenChoice], language: str) -> tuple[Phrase, ...]:
    """The choices that have words in that language."""
    return tuple(Phrase(choice.name, forms) for choice in choices if (forms := choice.spoken(language)))


def words_of(text: str) -> tuple[str, ...]:
    """A text as it is compared: its words, without case and punctuation."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    kept = "".join(
        one if one.isalnum() or unicodedata.category(one) in ("Mn", "Mc") or one == "'" else " " for one in plain
    )
    return tuple(word.strip("'") for word in _UNSPACED.sub(r" \1 ", kept).split() if word.strip("'"))


def phrase_in(text: str, phrases: Sequence[Phrase]) -> Phrase | None:
    """The phrase that the text is, or has in it as whole words.

    Of several in it, it is the one within whose words all others lie (``new order`` before ``order``); otherwise
    nobody knows which is meant, and it is none.
    """
    said = words_of(text)
    found: list[tuple[int, int, Phrase]] = []
    for phrase in phrases:
        for form in phrase.forms:
            words = words_of(form)
            if words == said:
                return phrase
            spans = (at for at in range(len(said) - len(words) + 1) if words and said[at : at + len(words)] == words)
            found += [(at, at + len(words), phrase) for at in spans]
    longest = max(found, key=lambda one: one[1] - one[0], default=None)
    if longest is None:
        return None
    begin, end, meant = longest
    inside = all(begin <= at and until <= end for at, until, phrase in found if phrase.name != meant.name)
    rivals = any((at, until) == (begin, end) for at, until, phrase in found if phrase.name != meant.name)
    return meant if inside and not rivals else None


def value_of(text: str, type: SpokenType, language: str, today: date) -> object | None:
    """What was said as a value of the type; None if it is none."""
    try:
        match type:
            case "text":
                return text
            case "digits":
                digits = re.sub(r"[\s.,-]", "", unicodedata.normalize("NFKC", text))
                return digits if re.fullmatch("[0-9]+", digits) else None
            case "number" | "money":
                return as_number(text)
            case "date":
                return as_date(text)
            case "time":
                return as_time(text)
            case "yes_no":
                usual = usual_yes_no(language)
                phrases = (Phrase("yes", usual.yes), Phrase("no", usual.no)) if usual else ()
                said = phrase_in(text, phrases)
                return None if said is None else said.name == "yes"
    except (EvaluationError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class OneOf:
    """Waits for one of some phrases; ``otherwise`` also for any other words, which are the value then."""

    phrases: tuple[Phrase, ...]
    otherwise: bool = False

    def understand(self, hypothesis: Hypothesis) -> Understood | None:
        names = {phrase.name for phrase in self.phrases}
        if hypothesis.name in names:
            return Understood(str(hypothesis.name), hypothesis)
        # An engine that hears freely, and a test, know words only.
        phrase = phrase_in(hypothesis.text, self.phrases)
        if phrase is not None:
            return Understood(phrase.name, hypothesis)
        return Understood(ANYTHING, hypothesis, hypothesis.text) if self.otherwise else None


@dataclass(frozen=True, slots=True)
class Value:
    """Waits for something of a type that passes a further check."""

    type: SpokenType
    language: str
    today: date
    accepts: Callable[[object, Hypothesis], bool] = lambda *_: True

    def understand(self, hypothesis: Hypothesis) -> Understood | None:
        value = value_of(hypothesis.text, self.type, self.language, self.today)
        if value is None or not self.accepts(value, hypothesis):
            return None
        return Understood(ANYTHING, hypothesis, value)
