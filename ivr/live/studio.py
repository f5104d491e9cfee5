"""What a call that records prompts needs around :class:`ivr.prompts.studio.Studio`: sounds, an ear, the files."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Final

import numpy as np
from babel import Locale, UnknownLocaleError

from gateway.call import Clip
from ivr.hearing import Ear, EarEvent, Wanted
from ivr.prompts.importing import ImportFault, Order, store
from ivr.prompts.numbers import numbered
from ivr.prompts.studio import LONGEST_S, STORE, TAKE, TONE, Title
from ivr.run.actions import PlayItem, PlayRecording
from ivr.run.requests import Asked, NoReply, PluginCall, PluginResult, Reply
from ivr.site import Site
from ivr.speech.level import LINE_RATE, NoSound
from ivr.speech.mastering import Mastered, mastered
from ivr.speech.prompts import PromptItem, PromptLibrary

__all__ = ["StudioRoom", "titles_of"]

log = logging.getLogger("ivr.studio")

_CHUNK_BYTES: Final = 1600
_KEY_BYTES: Final = 2 * _CHUNK_BYTES
"""The end of a take, in which the key that ended it may be heard: 200 ms."""


def titles_of(sounds: Iterable[PromptItem]) -> dict[int, Title]:
    """The recordings among the sounds of a set of flows, by number."""
    recordings = [(language, name) for kind, name, language in sounds if kind == "recording"]
    return {
        number: Title(name, language, f"{name.replace('_', ' ')}, in {_language(language)}")
        for (language, name), number in numbered(recordings).items()
    }


class StudioRoom:
    """One call's. Owns the take; at most two minutes of it are kept."""

    def __init__(self, site: Site, prompts: PromptLibrary) -> None:
        self._site = site
        self._prompts = prompts
        self._take = bytearray()
        self._made: Mastered | None = None

    # As sounds ------------------------------------------------------------------------------------------

    def ready(self, item: PlayItem) -> Clip | None:
        return _tone() if item == TONE else None

    async def make(self, item: PlayItem) -> AsyncIterator[Clip]:
        if item == TAKE:
            self._made = None
            samples = np.frombuffer(bytes(self._take[:-_KEY_BYTES]), dtype=np.int16)
            # A few ms a second of sound; the first of a process takes longer.
            self._made = await asyncio.to_thread(_mastered, samples)
            yield Clip.from_pcm(self._made.samples, "take")
        elif isinstance(item, PlayRecording):
            raise LookupError(f"there is no sound '{item.name}'")
        else:
            async for clip in self._prompts.speak_on(item.text, item.language):
                yield clip

    # As ears --------------------------------------------------------------------------------------------

    def listen(self, wanted: Wanted, tell: Callable[[EarEvent], None]) -> Ear:
        self._take.clear()
        return _Recorder(self._take)

    # As the world outside -------------------------------------------------------------------------------

    async def perform(self, asked: Asked) -> Reply:
        made = self._made
        if not isinstance(asked, PluginCall) or asked.plugin != STORE or made is None:
            return NoReply("there is nothing to store")
        name, language = str(asked.arguments["name"]), str(asked.arguments["language"])
        order = Order(Path("(telephone)"), self._site.prompts / language / f"{name}.wav", name, language)
        try:
            await asyncio.to_thread(store, order, made, self._site.state / "replaced")
        except ImportFault as fault:
            return NoReply(str(fault))
        return PluginResult("stored")

    def send(self, asked: Asked, call_id: str) -> None:
        log.error("call %s: nothing is sent from here: %s", call_id, asked)


class _Recorder:
    """Writes down what the caller says."""

    def __init__(self, take: bytearray) -> None:
        self._take: bytearray | None = take

    def feed(self, pcm: bytes) -> None:
        if self._take is not None and len(self._take) < 2 * LINE_RATE * LONGEST_S:
            self._take += pcm

    def close(self) -> None:
        self._take = None


def _mastered(samples: np.ndarray[tuple[int], np.dtype[np.int16]]) -> Mastered:
    try:
        return mastered(samples.astype(np.float32) / np.float32(32768), LINE_RATE)
    except NoSound:
        raise LookupError("nothing was heard") from None


def _tone() -> Clip:
    """A beep: 1,000 Hz for 200 ms, 12 dB below full scale."""
    at = np.arange(LINE_RATE // 5) / LINE_RATE
    return Clip.from_pcm(np.round(np.sin(2 * np.pi * 1000 * at) * 8000).astype(np.int16), "tone")


def _language(code: str) -> str:
    try:
        return Locale.parse(code.replace("-", "_")).get_display_name("en") or code
    except (UnknownLocaleError, ValueError):
        return code
