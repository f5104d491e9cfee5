"""What the program's voice sounds like, rendered by the tests themselves: to be found in what a telephone heard."""

from __future__ import annotations

from functools import cache

import numpy as np

from gateway.media.g711 import decode_pcmu
from ivr.speech.synthesis import EspeakSynthesizer
from ivr.speech.voice import usual_voice
from tests.peers.sound import Sound

__all__ = ["spoken"]


@cache
def _engine() -> EspeakSynthesizer:
    return EspeakSynthesizer()


@cache
def spoken(text: str, language: str = "en") -> Sound:
    """The text in the voice that a site which names none has for the language."""
    engine = _engine()
    clip = engine.render(text, usual_voice(language, engine.voices()))
    return Sound((decode_pcmu(clip.pcmu) / 32768).astype(np.float32))
