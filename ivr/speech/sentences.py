"""A text in sentences, each of which can be spoken by itself, and the pause between two that are."""

from __future__ import annotations

import math
from typing import Final

import sentencex

__all__ = ["pause_ms", "sentences"]

_OWN_SILENCE_MS: Final = 165
"""What a clip has at its beginning and end, see :mod:`ivr.speech.level`."""
_PAUSE_MS: Final = 400
"""Between two sentences at 150 words a minute, in a text that eSpeak NG speaks as a whole."""


def sentences(text: str, language: str) -> list[str]:
    """The sentences of a text, in order, without what is blank around them. Abbreviations and numbers stay whole."""
    found: list[str] = []
    for part in sentencex.segment(language.replace("_", "-").partition("-")[0].lower(), text):
        sentence = part.strip()
        if not sentence:
            continue
        # An abbreviation that the language's list lacks: "Mon. to Fri."
        if found and sentence[0].islower():
            found[-1] += f" {sentence}"
        else:
            found.append(sentence)
    return found


def pause_ms(rate: int) -> int:
    """Silence to put between the clips of two sentences, so that it sounds as if spoken in one go.

    ``rate``: words a minute. Slow voices pause longer: 558 ms at 100 and none at 250 were measured.
    """
    return max(0, round(_PAUSE_MS * math.pow(150 / rate, 1.5)) - _OWN_SILENCE_MS)
