"""How whisper may write a phrase, and how alike two texts sound: what its scores and its own words are compared by."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Final

import jellyfish

from ivr.understanding.phrases import normalised

__all__ = ["alike", "sounds_alike", "spellings", "syllables", "without_repeats"]

_DIGITS: Final = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_NUMERALS: Final = frozenset("0123456789")


def spellings(form: str, language: str) -> tuple[str, ...]:
    """A phrase as a sentence; a digit also as a word and a word for a digit as the digit.

    >>> spellings("four", "en")
    ('Four.', '4.')
    """
    text = form.strip().rstrip(".!?")
    ways = [_sentence(text)]
    if language.partition("-")[0].lower() == "en":
        said = text.casefold().split()
        numerals = [str(_DIGITS.index(word)) if word in _DIGITS else word for word in said]
        spoken = [_spelt_out(word) for word in said]
        ways += [_sentence(" ".join(one)) for one in (numerals, spoken) if one != said]
    return tuple(dict.fromkeys(ways))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def without_repeats(text: str, language: str) -> str:
    """``Sales. Sales. Sales.`` is ``sales``: at the end of a short window a decoder begins again."""
    words = normalised(text, language).split()
    for length in range(1, len(words) // 2 + 1):
        if all(word == words[place % length] for place, word in enumerate(words)):
            return " ".join(words[:length])
    return " ".join(words)


@lru_cache(maxsize=4096)
def alike(first: str, second: str) -> float:
    """How much of two texts is the same, letter by letter in order: 0 to 1."""
    return SequenceMatcher(None, first.replace(" ", ""), second.replace(" ", ""), autojunk=False).ratio()


def sounds_alike(first: str, second: str) -> float:
    """The same of their consonants as English has them."""
    return alike(_consonants(first), _consonants(second))


@lru_cache(maxsize=4096)
def _consonants(text: str) -> str:
    return "".join(jellyfish.metaphone(_spelt_out(word)) for word in text.split())


def _spelt_out(word: str) -> str:
    return _DIGITS[int(word)] if word in _NUMERALS else word


def syllables(text: str) -> int:
    """About how many there are, in Latin letters: groups of vowels but a silent e; at least one."""
    words = [_spelt_out(word) for word in re.findall(r"[^\W_]+", text.casefold())]
    return max(1, sum(_vowels(word) for word in words))


def _vowels(word: str) -> int:
    return max(1, len(re.findall("[aeiouyàâäáãåæèêëéìîïíòôöóõøœùûüúÿý]+", re.sub("(?<=..)e$", "", word))))
