"""What can be listened for in a caller's speech, and what comes of it: said once for flows, calls and recognisers.

Times are seconds unless a name says otherwise (``_ms``); a confidence is between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = [
    "Ear",
    "EarEvent",
    "Ears",
    "Hypothesis",
    "NotHeard",
    "Phrase",
    "Recognition",
    "SpeechBegan",
    "SpokenType",
    "Wanted",
    "Word",
]

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


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """The caller speaks: long and loud enough that it is no noise. A short word is known only when it is over."""

    at_ms: int
    """From the start of listening; some time ago."""


@dataclass(frozen=True, slots=True)
class NotHeard:
    """Nobody listens, or no longer."""

    reason: str
    """For the operator."""


EarEvent = SpeechBegan | Recognition | NotHeard


class Ear(Protocol):
    """Listens to one caller for one utterance. Neither method waits or fails."""

    def feed(self, pcm: bytes) -> None:
        """Some more of what he says: 16-bit samples at 8,000 Hz, native byte order. No effect once it is over."""

    def close(self) -> None:
        """It is no longer wanted: nothing more is told."""


class Ears(Protocol):
    """Whoever listens to callers."""

    def listen(self, wanted: Wanted, tell: Callable[[EarEvent], None]) -> Ear:
        """Begin. Told, on the event loop and later than now: SpeechBegan at most once, then Recognition or NotHeard,
        which is the last."""
