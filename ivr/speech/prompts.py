"""What callers hear, by name or by text: made ready before a set of flows serves, then at hand without waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.call import Clip
from ivr.speech.cache import RecentClips, SpeechCache, cache_key
from ivr.speech.music import default_music
from ivr.speech.recordings import RecordingError, RecordingLibrary
from ivr.speech.sentences import pause_ms, sentences
from ivr.speech.voice import (
    DEFAULT_ENGINE,
    NothingToSay,
    SpeechError,
    SpeechTimeout,
    UnknownVoice,
    Voice,
    spoken_by,
    wanted_voice,
)
from ivr.speech.worker import SpeechWorker

__all__ = ["DEFAULT_MUSIC", "Progress", "PromptItem", "PromptKind", "PromptLibrary", "PromptProblem", "PromptSet"]

PromptKind = Literal["recording", "text", "ssml", "music"]
PromptItem = tuple[PromptKind, str, str]
"""Kind, name or text (``ssml``: a text that is a document), language (empty for music)."""

Progress = Callable[[int, int], None]
"""Called with how many prompts are ready, and of how many."""

DEFAULT_MUSIC = "default"
"""The name of the hold music that needs no file; a file of that name takes its place."""

# A live call's text waits behind these at most; more would not be faster with one process that speaks.
_AT_A_TIME = 4
# An announcement prepared ahead has no caller waiting for it, and may stand behind many others.
_PREPARE_DEADLINE_S = 300.0
# Sound for a text in which there is nothing to say (a variable that is empty): one frame of silence.
_SILENCE = b"\xff" * 160


@dataclass(frozen=True, slots=True)
class PromptProblem:
    """A prompt that would not be heard, in words for the operator."""

    item: PromptItem
    message: str


@dataclass(frozen=True, slots=True)
class PromptSet:
    """All prompts of a set of flows, ready; a call may hold on to the set it started with."""

    clips: Mapping[PromptItem, Clip] = field(default_factory=dict)
    problems: tuple[PromptProblem, ...] = ()


class PromptLibrary:
    """Recordings, texts and hold music of a site. Belongs to one event loop; owns what it renders, not its parts."""

    def __init__(
        self,
        recordings: RecordingLibrary,
        worker: SpeechWorker,
        cache: SpeechCache | None = None,
        *,
        voices: Mapping[str, Voice] | None = None,
        recent: RecentClips | None = None,
    ) -> None:
        """``voices``: the site's voices by language code, instead of the usual ones; each may leave its name open."""
        self._recordings = recordings
        self._worker = worker
        self._cache = cache
        self._voices = dict(voices or {})
        self._recent = recent or RecentClips()
        self._known: dict[str, frozenset[str]] = {}
        """Names of voices by engine."""
        self._versions: dict[Voice, str] = {}
        """Of voices that are ready to speak."""
        self._rendering: dict[str, asyncio.Task[Clip]] = {}
        self._storing: set[asyncio.Task[None]] = set()
        self._default_music: Clip | None = None
        # Calls in progress finish on the prompts they started with: one set back is kept.
        self._current, self._previous = PromptSet(), PromptSet()

    async def preload(self, items: Iterable[PromptItem], progress: Progress | None = None) -> PromptSet:
        """:meth:`prepare`, and :meth:`use` the result if it has no problems; it is returned either way."""
        prepared = await self.prepare(items, progress)
        if not prepared.problems:
            self.use(prepared)
        return prepared

    async def prepare(self, items: Iterable[PromptItem], progress: Progress | None = None) -> PromptSet:
        """Make prompts ready without touching those in use: all of them are tried, problems are collected.

        Recordings are read again, so that a new take is heard after a reload. Does not raise for a bad prompt.
        """
        wanted: list[PromptItem] = list(dict.fromkeys([*items, ("music", DEFAULT_MUSIC, "")]))
        clips: dict[PromptItem, Clip] = {}
        problems: dict[PromptItem, str] = {}
        # A language that cannot be spoken is found out once, not with every text.
        voices: dict[str, Voice | str] = {}
        for language in dict.fromkeys(item[2] for item in wanted if item[0] in ("text", "ssml")):
            try:
                voices[language] = await self._voice(language)
            except SpeechError as error:
                voices[language] = str(error)
        rest = iter(wanted)

        async def prepare_some() -> None:
            for item in rest:
                try:
                    clips[item] = await self._prepare_one(item, voices.get(item[2]))
                except (SpeechError, RecordingError) as error:
                    problems[item] = str(error)
                if progress is not None:
                    progress(len(clips) + len(problems), len(wanted))

        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_A_TIME):
                group.create_task(prepare_some())
        return PromptSet(clips, tuple(PromptProblem(item, problems[item]) for item in wanted if item in problems))

    def use(self, prepared: PromptSet) -> None:
        """Let calls hear these prompts from now on; those of the set before stay within reach."""
        self._previous, self._current = self._current, prepared

    def get(self, *, language: str = "", recording: str | None = None, text: str | None = None) -> Clip | None:
        """What was preloaded under that name or text, at once; None if nothing was."""
        if recording is not None:
            return self._ready(("recording", recording, language))
        if text is not None:
            return self._ready(("text", text, language))
        raise TypeError("get() takes a recording or a text")

    def music(self, name: str = DEFAULT_MUSIC) -> Clip:
        """Hold music that was preloaded, at once. Raises RecordingError if it was not."""
        clip = self._ready(("music", name, ""))
        if clip is None:
            raise RecordingError(f"hold music {name!r} was not preloaded")
        return clip

    async def speak(self, text: str, language: str, *, ssml: bool = False, deadline: float = 10.0) -> Clip:
        """A text, with ``ssml`` a document, as sound: preloaded, kept from before, or rendered within ``deadline``
        seconds.

        A text without anything to say gives a moment of silence. Raises :class:`SpeechError` otherwise. Several
        callers of one text have it rendered once; one of them leaving does not take it from the others.
        """
        ready = self._ready(("ssml" if ssml else "text", text, language))
        if ready is not None:
            return ready
        try:
            # Not kept on disk: a live text may hold what a caller would not want to be found there.
            return await self._spoken(text, await self._voice(language), deadline, ssml=ssml, keep=False)
        except NothingToSay:
            return Clip(_SILENCE, text[:60])

    async def speak_on(self, text: str, language: str) -> AsyncIterator[Clip]:
        """A text as sound, sentence by sentence as they are rendered: the first can be heard while the rest is not made
        yet. One clip if all of it is at hand. Raises as :meth:`speak`, also after some of it."""
        ready = self._ready(("text", text, language))
        parts = sentences(text, language)
        if ready is not None or len(parts) < 2:
            yield ready or await self.speak(text, language)
            return
        pause = _SILENCE[:1] * (8 * pause_ms((await self._voice(language)).rate))
        for number, part in enumerate(parts, 1):
            clip = await self.speak(part, language)
            yield clip if number == len(parts) else Clip(clip.pcmu + pause, clip.name)

    async def start(self) -> None:
        """Start the speech process, so that the first call's text does not wait for it. Raises SpeechError."""
        await self._voices_of(DEFAULT_ENGINE)

    async def close(self) -> None:
        """Give up what is being rendered. The worker is its owner's to close."""
        tasks = list(self._rendering.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *self._storing, return_exceptions=True)

    def _ready(self, item: PromptItem) -> Clip | None:
        return self._current.clips.get(item) or self._previous.clips.get(item)

    async def _prepare_one(self, item: PromptItem, voice: Voice | str | None) -> Clip:
        kind, name, language = item
        if kind in ("text", "ssml"):
            if not isinstance(voice, Voice):
                raise UnknownVoice(voice)
            return await self._spoken(name, voice, _PREPARE_DEADLINE_S, ssml=kind == "ssml", keep=True)
        if kind == "recording":
            return await asyncio.to_thread(self._recordings.load, language, name)
        return await asyncio.to_thread(self._load_music, name)

    def _load_music(self, name: str) -> Clip:
        if name == DEFAULT_MUSIC and self._recordings.find("", f"music/{name}") is None:
            self._default_music = self._default_music or default_music()
            return self._default_music
        return self._recordings.load("", f"music/{name}")

    async def _voice(self, language: str) -> Voice:
        """Who speaks a language, ready to. Raises SpeechError."""
        known = frozenset() if wanted_voice(language, self._voices).voice else await self._voices_of(DEFAULT_ENGINE)
        voice = spoken_by(language, self._voices, known)
        if voice not in self._versions:
            self._versions[voice] = await self._worker.prepare(voice)
        return voice

    async def _voices_of(self, engine: str) -> frozenset[str]:
        if engine not in self._known:
            self._known[engine] = await self._worker.voices(engine)
        return self._known[engine]

    async def _spoken(self, text: str, voice: Voice, deadline: float, *, ssml: bool, keep: bool) -> Clip:
        key = cache_key(text, voice, self._versions[voice], ssml=ssml)
        clip = self._recent.get(key)
        if clip is not None:
            return clip
        task = self._rendering.get(key)
        if task is None:
            task = asyncio.create_task(self._render(key, text, voice, ssml, keep), name=f"speaking {text[:30]!r}")
            self._rendering[key] = task
            task.add_done_callback(lambda done: self._rendered(key, done))
        try:
            async with asyncio.timeout(deadline):
                return await asyncio.shield(task)
        except TimeoutError:
            raise SpeechTimeout(f"not spoken within {deadline:g} s: {text[:60]!r}") from None

    async def _render(self, key: str, text: str, voice: Voice, ssml: bool, keep: bool) -> Clip:
        clip = await asyncio.to_thread(self._cache.get, key) if self._cache is not None else None
        if clip is None:
            clip = await self._worker.synthesize(text, voice, ssml=ssml, deadline=_PREPARE_DEADLINE_S)
            if self._cache is not None and keep:
                # No caller waits for the disk.
                storing = asyncio.create_task(asyncio.to_thread(self._cache.put, key, clip))
                self._storing.add(storing)
                storing.add_done_callback(self._storing.discard)
        self._recent.put(key, clip)
        return clip

    def _rendered(self, key: str, task: asyncio.Task[Clip]) -> None:
        del self._rendering[key]
        if not task.cancelled():
            # Those who waited may all have left: looked at, the error is not reported as forgotten.
            task.exception()
