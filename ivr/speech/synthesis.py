"""Engines that turn a text into a clip, by name. They are slow and may crash: calls use :mod:`ivr.speech.worker`.

A new engine is one more entry of :data:`ENGINES`, or an entry point of the group :data:`ENTRY_POINTS` in another
package: a class without arguments that fits :class:`Synthesizer`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points, version
from typing import Protocol

import numpy as np
import pyttsx3

from gateway.call import Clip
from ivr.speech import espeak_driver, espeak_ssml
from ivr.speech.level import NoSound, for_telephone
from ivr.speech.voice import NothingToSay, SpeechError, UnknownVoice, Voice, nearest

__all__ = [
    "ENGINES",
    "ENTRY_POINTS",
    "EspeakSynthesizer",
    "Fault",
    "Synthesizer",
    "check_length",
    "create",
    "engine_names",
]

ENTRY_POINTS = "ivr.synthesizers"
ENGINES = {"espeak": "ivr.speech.synthesis:EspeakSynthesizer", "piper": "ivr.speech.piper:PiperSynthesizer"}

_REMEDIES = {"piper": "pip install piper-tts"}
"""Of engines that do not come along."""

LONGEST_TEXT = 5000
"""Characters of one prompt: about six minutes of speech, which no caller listens to."""


Fault = tuple[str, str]
"""What is wrong, and the remedy."""


class Synthesizer(Protocol):
    """One engine. Used by one thread of one process; blocks."""

    def voices(self) -> Sequence[str]:
        """Every name that :attr:`Voice.voice` may have, without variants (what follows a ``+``); empty if not known."""

    def prepare(self, voice: Voice) -> str:
        """Load what the voice needs; how it sounds, in a word: cached sound of another word is not used.

        Raises :class:`SpeechError` with the remedy, if the engine cannot speak like that.
        """

    def unread(self, element: str, attributes: Mapping[str, str]) -> Fault | None:
        """Why the engine's voices pass over an element of SSML (with its attributes), None if they do as it says."""

    def render(self, text: str, voice: Voice, *, ssml: bool = False) -> Clip:
        """The whole text as a clip at telephone level; with ``ssml`` it is a document. Raises :class:`SpeechError`."""


def create(engine: str) -> Synthesizer:
    """The engine of that name, loaded. Raises :class:`SpeechError` if there is none or it does not start."""
    target = ENGINES.get(engine, engine)
    try:
        if ":" in target:
            factory = EntryPoint(name=engine, value=target, group=ENTRY_POINTS).load()
        else:
            (found,) = entry_points(group=ENTRY_POINTS, name=engine)
            factory = found.load()
    except ValueError:
        names = engine_names()
        raise SpeechError(
            f"no speech engine {engine!r}{nearest(engine, names)}; there are {', '.join(names)}"
        ) from None
    except (ImportError, AttributeError) as error:
        help = f"; {_REMEDIES[engine]}" if engine in _REMEDIES else ""
        raise SpeechError(f"speech engine {engine!r} does not load: {error}{help}") from error
    try:
        synthesizer: Synthesizer = factory()
    except Exception as error:
        raise SpeechError(f"speech engine {engine!r} does not start: {error}") from error
    return synthesizer


def check_length(text: str) -> None:
    """Raises SpeechError for a text that is empty or too long for a prompt."""
    if not text.strip():
        raise NothingToSay("the text is empty")
    if len(text) > LONGEST_TEXT:
        raise SpeechError(f"the text has {len(text)} characters; {LONGEST_TEXT} is the most")


def engine_names() -> list[str]:
    """Every engine there is."""
    return sorted({*ENGINES, *(point.name for point in entry_points(group=ENTRY_POINTS))})


class EspeakSynthesizer:
    """eSpeak NG through pyttsx3, with the driver of :mod:`ivr.speech.espeak_driver`."""

    def __init__(self) -> None:
        """Raises OSError if the library cannot be loaded."""
        self._engine = pyttsx3.init(espeak_driver.register())
        self._errors: list[Exception] = []
        self._engine.connect("error", lambda name, exception: self._errors.append(exception))
        self._voices = sorted(espeak_driver.espeak().names)

    def voices(self) -> Sequence[str]:
        return self._voices

    def prepare(self, voice: Voice) -> str:
        try:
            espeak_driver.espeak().set_voice(voice.voice)
        except ValueError as error:
            raise UnknownVoice(str(error)) from None
        return f"{espeak_driver.espeak().version} pyttsx3 {version('pyttsx3')}"

    def unread(self, element: str, attributes: Mapping[str, str]) -> Fault | None:
        return espeak_ssml.unread(element, attributes, self._voices)

    def render(self, text: str, voice: Voice, *, ssml: bool = False) -> Clip:
        check_length(text)
        wav = io.BytesIO()
        self._errors.clear()
        self._engine.setProperty("ssml", ssml)
        self._engine.setProperty("voice", voice.voice)
        self._engine.setProperty("rate", voice.rate)
        self._engine.setProperty("pitch", voice.pitch)
        self._engine.save_to_file(text, wav)
        self._engine.runAndWait()
        if self._errors:
            error = self._errors[0]
            raise (UnknownVoice if isinstance(error, ValueError) else SpeechError)(str(error)) from error
        samples = np.frombuffer(wav.getvalue()[_WAV_HEADER:], dtype="<i2")
        try:
            sound = for_telephone(samples, espeak_driver.SAMPLE_RATE, voice.volume)
        except NoSound:
            raise NothingToSay(f"voice {voice.voice} has no sound for the text {text[:60]!r}") from None
        return Clip.from_pcm(sound, text[:60])


_WAV_HEADER = 44  # as the module wave writes it for PCM
