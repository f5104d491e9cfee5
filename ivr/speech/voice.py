"""Who speaks: the settings of a voice, the voices that languages get unless a site says otherwise, what can fail."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TypeVar

__all__ = [
    "DEFAULT_ENGINE",
    "NothingToSay",
    "SpeechBusy",
    "SpeechError",
    "SpeechTimeout",
    "UnknownVoice",
    "Voice",
    "nearest",
    "nearest_code",
    "spoken_by",
    "usual_voice",
    "wanted_voice",
]


DEFAULT_ENGINE = "espeak"
"""The one that has a voice for most languages, and needs none to be named."""

T = TypeVar("T")


class SpeechError(Exception):
    """A text could not be made into sound; the message is meant for the operator."""


class NothingToSay(SpeechError):
    """The text holds nothing that the voice can pronounce (empty, or punctuation only)."""


class UnknownVoice(SpeechError):
    """The engine has no such voice."""


class SpeechTimeout(SpeechError):
    """The text was not spoken within its time."""


class SpeechBusy(SpeechError):
    """Too many texts are waiting to be spoken."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One way of speaking. Raises ValueError for values that no engine takes."""

    engine: str = DEFAULT_ENGINE
    """A name of :data:`ivr.speech.synthesis.ENGINES`, of an entry point, or ``module:attribute``."""
    voice: str = "en-us"
    """What the engine calls it: of eSpeak NG, with a variant if wanted (``en-us+f3``); of Piper, the path of a model.
    Empty: the one that :func:`spoken_by` chooses for a language."""
    rate: int = 150
    """Words a minute, 80 to 450; at 150 a voice of Piper speaks as fast as it was made to."""
    volume: float = 1.0
    """0 to 1, of the level that all speech is brought to."""
    pitch: int = 50
    """0 to 99; an engine whose voices cannot be tuned takes 50 only."""

    def __post_init__(self) -> None:
        if not 80 <= self.rate <= 450:
            raise ValueError(f"a voice speaks 80 to 450 words a minute, not {self.rate}")
        if not 0 <= self.volume <= 1:
            raise ValueError(f"a voice's volume is 0 to 1, not {self.volume}")
        if not 0 <= self.pitch <= 99:
            raise ValueError(f"a voice's pitch is 0 to 99, not {self.pitch}")


# Language codes (ISO 639-1, or what people write) that eSpeak NG does not know, or not as the voice to have for them.
_ESPEAK_NAMES = {
    "en": "en-us",
    "en-au": "en-gb",
    "en-nz": "en-gb",
    "es-ar": "es-419",
    "es-co": "es-419",
    "es-us": "es-419",
    "iw": "he",
    "nn": "nb",
    "zh": "cmn",
    "zh-hk": "yue",
}


def spoken_by(language: str, voices: Mapping[str, Voice], known: Collection[str]) -> Voice:
    """Who speaks a language: the site's voice for it among ``voices`` by code (``zh-TW``'s own, else that of ``zh``).

    Where the site names none, it is one of eSpeak NG's, whose voices are ``known``. Raises :class:`UnknownVoice` if
    there is none.
    """
    voice = wanted_voice(language, voices)
    if voice.voice:
        return voice
    if voice.engine != DEFAULT_ENGINE:
        raise UnknownVoice(f"engine {voice.engine} has no voice of its own for {language!r}; name one by voice:")
    return replace(voice, voice=usual_voice(language, known).voice)


def wanted_voice(language: str, voices: Mapping[str, Voice]) -> Voice:
    """What a site says of a language's voice; its name may be left open."""
    return nearest_code(language, voices) or Voice(voice="")


def nearest_code(language: str, values: Mapping[str, T]) -> T | None:
    """The value for a language among those by language code: its own, else that of the language it is a part of."""
    by_code = {"-".join(_parts(code)): value for code, value in values.items()}
    return next((by_code[code] for code in _codes(language) if code in by_code), None)


def usual_voice(language: str, known: Collection[str]) -> Voice:
    """The voice of a language for which a site names none: one of eSpeak NG's, whose voices are ``known``.

    Raises :class:`UnknownVoice` if it has none for the language.
    """
    names = [_ESPEAK_NAMES.get(code, code) for code in _codes(language)]
    for name in names:
        if name in known:
            return Voice(voice=name)
    raise UnknownVoice(f"no voice for language {language!r}{nearest(names[0], known)}; name one under voices")


def _parts(language: str) -> list[str]:
    return language.lower().replace("_", "-").split("-")


def _codes(language: str) -> list[str]:
    """A language's code and those it is a part of, nearest first: ``zh-hant-tw``, ``zh-hant``, ``zh``."""
    parts = _parts(language)
    return ["-".join(parts[:count]) for count in range(len(parts), 0, -1)]


def nearest(name: str, known: Collection[str]) -> str:
    """A clause with the names most like ``name``, for the end of a message; empty if nothing is like it."""
    matches = get_close_matches(name.lower(), sorted(set(known)), n=3, cutoff=0.5)
    return f" (nearest: {', '.join(matches)})" if matches else ""
