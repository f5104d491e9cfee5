"""Whether two phrases are the same when they are spoken, or could be taken for each other. No recogniser is asked.

English is compared by Metaphone, Korean by the letters of its syllables, the rest by the letters without accents. It
is a guess: what it finds is worth another word, what it does not find may still be confused.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from ivr.flow.saying import worded
from ivr.flow.values import EvaluationError, as_number
from ivr.understanding.phrases import normalised

_HANGUL: Final = re.compile(r"[\uac00-\ud7a3 ]+")
_SYLLABLES: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
"""Scripts of which a character is a syllable."""
_JAMO_ALIKE: Final = str.maketrans({"\u1162": "\u1166", "\u1164": "\u1168", "\u116b": "\u116c", "\u1170": "\u116c"})
"""Vowels that most people say alike (ae and e, yae and ye, wae, we and oe)."""
_FIRST_JAMO: Final = 0x1100
_PRIVATE: Final = 0xE000
_SILENT: Final = "\u110b"
"""The letter that only shows that a syllable begins with its vowel."""


def spoken(phrase: str, language: str) -> str:
    """The phrase as it is spoken, numbers in words. Two that are equal cannot be told apart."""
    text = re.sub(r"[0-9]{1,18}", lambda found: f" {_in_words(found[0], language)} ", normalised(phrase, language))
    # Korean and Japanese words are put together as one likes.
    return " ".join(text.split()) if language[:2] not in ("ko", "ja") else "".join(text.split())


@lru_cache(maxsize=500)
def _in_words(digits: str, language: str) -> str:
    try:
        return re.sub(r"\W+", " ", worded(as_number(digits), "number", "", language).casefold())
    except EvaluationError:
        return digits


def alike(one: str, other: str, language: str) -> bool:
    """Whether two phrases, as :func:`spoken` gives them, sound so much alike that they can be confused."""
    # Loaded only where there are words to compare.
    from jellyfish import levenshtein_distance, metaphone

    if language.partition("-")[0] == "en" and one.isascii() and other.isascii():
        letters = levenshtein_distance(one, other)
        longer = max(len(one), len(other))
        sounds, others = (metaphone(text).replace(" ", "") for text in (one, other))
        if sounds == others:
            return letters <= max(2, longer // 3)
        return min(len(sounds), len(others)) > 2 and levenshtein_distance(sounds, others) < 2 and letters <= longer // 4
    first, second = _letters(one), _letters(other)
    return levenshtein_distance(first, second) <= max(len(first), len(second)) // 4


def _letters(text: str) -> str:
    letters = unicodedata.normalize("NFD", text.replace(" ", ""))
    if _HANGUL.fullmatch(text):
        # The library counts the letters of a syllable as one; letters of nobody's script it does not put together.
        sounds = letters.replace(_SILENT, "").translate(_JAMO_ALIKE)
        return "".join(chr(ord(letter) - _FIRST_JAMO + _PRIVATE) for letter in sounds)
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def is_short(phrase: str) -> bool:
    """Whether a phrase, as :func:`spoken` gives it, is so short that noise can be taken for it."""
    letters = phrase.replace(" ", "")
    if _SYLLABLES.search(letters):
        return len(letters) < 2
    return len(letters) < 4 and len(re.findall("[aeiouy\u00e0-\u00ff]+", letters)) < 2


def words_of(phrase: str) -> int:
    """How many words it has, roughly; in scripts without spaces between them, two characters count as one."""
    return len(_SYLLABLES.sub(" ", phrase).split()) + len(_SYLLABLES.findall(phrase)) // 2
