"""Whether a site's voices can speak at all, and what they read of SSML: asked before anybody calls."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from ivr.speech.synthesis import Fault, Synthesizer, create
from ivr.speech.voice import DEFAULT_ENGINE, SpeechError, Voice, spoken_by, wanted_voice

__all__ = ["VoiceCheck"]


class VoiceCheck:
    """Tries voices in this process. Remembers what it found, and no model of a voice."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Voice], Fault | None] = {}

    def fault(self, language: str, voices: Mapping[str, Voice]) -> Fault | None:
        """What keeps a language from being spoken, and the remedy; None if nothing does."""
        key = language, wanted_voice(language, voices)
        if key not in self._found:
            self._found[key] = self._tried(language, voices)
        return self._found[key]

    def unread(
        self, language: str, voices: Mapping[str, Voice], element: str, attributes: Mapping[str, str]
    ) -> Fault | None:
        """What the voice of a language that is spoken passes over of a tag of SSML, and the remedy; None if nothing."""
        return _engine(wanted_voice(language, voices).engine).unread(element, attributes)

    def _tried(self, language: str, voices: Mapping[str, Voice]) -> Fault | None:
        wanted = wanted_voice(language, voices)
        try:
            engine = _engine(wanted.engine)
            known = engine.voices() if wanted.engine == DEFAULT_ENGINE else ()
            voice = spoken_by(language, voices, frozenset(known))
            # What an engine loads for a voice may be large, and goes when this is known.
            (engine if wanted.engine == DEFAULT_ENGINE else create(wanted.engine)).prepare(voice)
        except SpeechError as error:
            # The remedy stands behind the last semicolon of a voice's error.
            message, _, help = str(error).rpartition("; ")
            return (message, help) if message else (help, "name another voice, or leave it out")
        return None


@cache
def _engine(name: str) -> Synthesizer:
    """One for the process, as the library behind it is."""
    return create(name)
