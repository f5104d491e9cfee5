"""What the prompts of a site sound like, made one by one when wanted: for terminals, where waiting is no harm."""

from __future__ import annotations

from gateway.call import Clip
from ivr.run.actions import PlayItem, PlayRecording
from ivr.site import Site
from ivr.speech.recordings import RecordingError, RecordingLibrary
from ivr.speech.synthesis import Synthesizer, create
from ivr.speech.voice import DEFAULT_ENGINE, NothingToSay, SpeechError, Voice, spoken_by


class SiteSounds:
    """Recordings and texts of a site. Keeps what it made."""

    def __init__(self, site: Site) -> None:
        self._recordings = RecordingLibrary(site.prompts)
        self._site = site
        self._engines: dict[str, Synthesizer] = {}
        self._clips: dict[PlayItem, Clip | None] = {}
        self.faults: list[str] = []
        """What could not be made, in words; each once."""

    def clip(self, item: PlayItem) -> Clip | None:
        """The sound; None if it cannot be made, which is then among the faults."""
        if item not in self._clips:
            try:
                self._clips[item] = self._made(item)
            except NothingToSay:
                self._clips[item] = Clip(b"")
            except (SpeechError, RecordingError) as error:
                self._clips[item] = None
                self.faults.append(str(error))
        return self._clips[item]

    def seconds(self, item: PlayItem) -> float | None:
        """How long it is; None if it cannot be made."""
        clip = self.clip(item)
        # No prompt takes no time: what waits for its end must be able to begin.
        return None if clip is None else max(clip.duration_ms / 1000, 0.02)

    def _made(self, item: PlayItem) -> Clip:
        if not isinstance(item, PlayRecording):
            voice = self._voice(item.language)
            return self._engine(voice.engine).render(item.text, voice, ssml=item.ssml)
        return self._recordings.load(item.language, item.name)

    def _voice(self, language: str) -> Voice:
        return spoken_by(language, self._site.voices, self._engine(DEFAULT_ENGINE).voices())

    def _engine(self, name: str) -> Synthesizer:
        if name not in self._engines:
            self._engines[name] = create(name)
        return self._engines[name]
