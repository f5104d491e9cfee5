"""What can be listened for in a caller's speech, and what comes of it: said once for flows, calls and recognisers.

Times are seconds unless a name says otherwise (``_ms``); a confidence is between 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Hypothesis", "Phrase", "Recognition", "SpokenType", "Wanted", "Word"]

SpokenType = Literal["digits", "number", "money", "date", "time", "yes_no", "text"]
"""What is said when it is not one of some phrases; ``text`` is anything."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """One thing a caller may say, in any of some ways."""

    name: str
    """What is meant: the key of a menu's choice, the name of an intent, ``yes`` or ``no``."""
    forms: tuple[str, ...]
    """As the operator wrote them; at least one."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a step listens for: one of some phrases, or something of a type."""

    language: str
    phrases: tuple[Phrase, ...] = ()
    type: SpokenType | None = None
    """None: one of the phrases."""
    hints: tuple[str, ...] = ()
    """Words that are likely in what is said freely."""
    speech_timeout: float = 0.7
    """Silence after which the caller counts as having finished."""
    longest: float = 15.0
    """Of speech; what comes after is not listened to."""
    deaf_for: float = 0.0
    """From the start of listening, in which no speech counts: a prompt has just begun."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word as it was heard. Times count from the start of listening."""

    text: str
    confidence: float
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What the caller may have said."""

    text: str
    """As heard: of a phrase, the form that fits best as it is written; else the words."""
    confidence: float
    """That this, and nothing else, was said. Engines scale theirs so that 0.5 is where accepting begins to pay."""
    name: str | None = None
    """Of the phrase; None if a type was asked for."""
    words: tuple[Word, ...] = ()
    """Where the engine knows them."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """What came of one utterance. Times count from the start of listening."""

    hypotheses: tuple[Hypothesis, ...]
    """Best first, at most five; none if nothing was understood."""
    began_ms: int
    ended_ms: int
    """The end of the speech, not of the silence after it."""
    took_ms: int
    """From the moment at which the speech counted as finished until this was known."""
