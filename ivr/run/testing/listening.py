"""What keys and words a step waits for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ivr.flow.model import SpokenChoice, Step
from ivr.flow.nodes import questions
from ivr.flow.values import TYPE_WORDS
from ivr.hearing import SpokenType, Wanted
from ivr.run.verbs.asking import digits_of

_ANYTHING: Final = "anything"
_FOR_EXAMPLE: Final[dict[SpokenType, tuple[str, ...]]] = {
    "digits": ("1", "1 2 3 4", "1 2 3 4 5 6 7 8"),
    "number": ("1", "12", "250"),
    "money": ("5", "12.50"),
    "date": ("2026-03-05",),
    "time": ("10:30",),
    "yes_no": ("yes", "no"),
    "text": ("what is this about",),
}
"""Values as a recogniser may write them."""
OUT_OF_PLACE: Final = ("well", "how much is the fish")
"""What no flow listens for."""


def key_patterns(step: Step | None) -> frozenset[str]:
    """Patterns of keys that answer it."""
    match step.settings if step is not None else None:
        case questions.Menu(keys=keys):
            return frozenset(keys.patterns)
        case questions.Confirm(yes_key=yes, no_key=no):
            return frozenset({yes, no})
        case questions.Collect(input=input) as collect:
            digits, finish = digits_of(collect), input.finish_key or ""
            return frozenset(
                "X" * length + (finish if length < digits.most else "")
                for length in {digits.least, digits.most, (digits.least + digits.most) // 2}
            )
        case _:
            return frozenset()


def listened_for(step: Step | None, language: str) -> tuple[str, ...]:
    """The same as one would say it, and what can be said."""
    return (*_keys(step), *_words(step, language))


def hears(step: Step | None, language: str) -> bool:
    """Whether the step listens to what the caller says."""
    return bool(_words(step, language))


def sayings(wanted: Wanted) -> tuple[str, ...]:
    """Words that answer what is listened for."""
    forms = tuple(form for phrase in wanted.phrases for form in phrase.forms)
    return forms if wanted.type is None else (*forms, *_FOR_EXAMPLE[wanted.type])


def _keys(step: Step | None) -> tuple[str, ...]:
    match step.settings if step is not None else None:
        case questions.Collect() as collect:
            digits = digits_of(collect)
            least = "" if digits.least == digits.most else f"{digits.least}.."
            return (f"{least}{digits.most} digits",)
        case questions.Menu(keys=keys):
            return keys.patterns
        case _:
            return tuple(sorted(key_patterns(step)))


def _words(step: Step | None, language: str) -> tuple[str, ...]:
    match step.settings if step is not None else None:
        case questions.Menu(speech=choices) | questions.Confirm(speech=choices):
            return _shown(choices, language)
        case questions.Collect(speech=str() as kind):
            return (f"{_ANYTHING if kind == 'text' else TYPE_WORDS[kind]} (said)",)
        case questions.Ask(choices=choices, into=into):
            return (*_shown(choices, language), *(() if into is None else (_ANYTHING,)))
        case _:
            return ()


def _shown(choices: Iterable[SpokenChoice], language: str) -> tuple[str, ...]:
    """The first way to say each choice: there may be fifty."""
    return tuple(f'"{forms[0]}"' for choice in choices if (forms := choice.spoken(language)))
