"""Which phrase it is that was heard: texts compared without case, punctuation, width, and the spelling of numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ivr.hearing import Phrase
from ivr.understanding.english import SMALL
from ivr.understanding.words import plain

__all__ = ["Match", "matches", "normalised"]

_ENGLISH: Final = {word: str(value) for word, value in SMALL.items() if value <= 20}
_CHINESE: Final = str.maketrans("零一二三四五六七八九〇两兩", "0123456789022")


@dataclass(frozen=True, slots=True)
class Match:
    """A phrase in what was heard."""

    phrase: Phrase
    form: str
    share: float
    """Of what was heard, by characters: 1 if it was nothing else."""


def normalised(text: str, language: str) -> str:
    """The words with single spaces: small letters of one width, digits for the words of small numbers."""
    base = language.lower().replace("_", "-").partition("-")[0]
    said = re.sub(r"[^\w\s*#]+|_", " ", plain(text).replace("'", ""))
    words = said.split()
    if base == "en":
        words = [_ENGLISH.get(word, word) for word in words]
    elif base in ("zh", "cmn", "yue"):
        # Where the spaces stand says nothing: every character is a word, what is written in letters stays together.
        words = re.findall(r"[a-z0-9*#]+|\w", " ".join(words).translate(_CHINESE))
    return " ".join(words)


def matches(text: str, phrases: Sequence[Phrase], language: str) -> list[Match]:
    """The phrases that are said in the text, those that are most of it first.

    Said several times over is said once: "네 네". Of two ways to say a phrase the longer one counts.
    """
    said = _joined(normalised(text, language), language)
    found: list[Match] = []
    for phrase in phrases:
        best: Match | None = None
        for form in phrase.forms:
            share = _share(said, _joined(normalised(form, language), language), language)
            if share > (best.share if best else 0):
                best = Match(phrase, form, share)
        if best is not None:
            found.append(best)
    return sorted(found, key=lambda one: -one.share)


def _joined(said: str, language: str) -> str:
    # Korean and Japanese words are put together as one likes.
    return said.replace(" ", "") if language.lower()[:2] in ("ko", "ja") else said


def _share(said: str, form: str, language: str) -> float:
    if not form:
        return 0.0
    if said == form:
        return 1.0
    edge = "" if language.lower()[:2] in ("ko", "ja") else r"(?<!\S)|(?!\S)"
    before, _, after = edge.partition("|")
    count = len(re.findall(f"{before}{re.escape(form)}{after}", said))
    letters = _letters(said)
    return min(1.0, count * _letters(form) / letters) if letters else 0.0


def _letters(text: str) -> int:
    return sum(1 for character in text if not character.isspace() and unicodedata.category(character)[0] != "M") or len(
        text
    )
