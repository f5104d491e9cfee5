"""Whoever listens to the callers of a site: a process for each language in which its flows listen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from ivr.hearing import Ear, EarEvent, NotHeard, Wanted
from ivr.speech.recognition.choice import EngineChoice
from ivr.speech.recognition.port import RecognitionError
from ivr.speech.recognition.worker import MOST_SESSIONS, HearingProcess

__all__ = ["Hearing", "Progress"]

log = logging.getLogger("ivr.hearing")

Progress = Callable[[int, int], None]
"""How many are ready, and of how many."""


class Hearing:
    """Owns the processes. Belongs to one event loop; :meth:`close` it."""

    def __init__(self, *, most: int = MOST_SESSIONS) -> None:
        """``most``: callers listened to in one language at once."""
        self._most = most
        self._processes: dict[tuple[str, EngineChoice], HearingProcess] = {}
        self._by_language: dict[str, HearingProcess] = {}

    async def prepare(self, engines: Mapping[str, EngineChoice], progress: Progress | None = None) -> Mapping[str, str]:
        """Have the models of these languages loaded, if they are not; what is in the way, by language.

        What listens already goes on: nothing changes for callers before :meth:`use`.
        """
        new = {(language, engine) for language, engine in engines.items()} - self._processes.keys()
        problems: dict[str, str] = {}
        # One after the other: each takes seconds of a core, and more memory while it loads than afterwards.
        for done, (language, engine) in enumerate(sorted(new, key=lambda one: one[0])):
            if progress is not None:
                progress(done, len(new))
            process = HearingProcess(language, engine, most=self._most)
            try:
                version = await process.start()
            except RecognitionError as error:
                problems[language] = str(error)
            else:
                self._processes[language, engine] = process
                log.info("listening in %s by %s", language, version)
        if progress is not None and new:
            progress(len(new), len(new))
        return problems

    def use(self, engines: Mapping[str, EngineChoice]) -> None:
        """From now on listen in these languages, each with its engine, which has been prepared.

        Others go on as they are: calls that began before may still listen in them.
        """
        for language, engine in engines.items():
            self._by_language[language] = self._processes[language, engine]

    async def tidy_up(self) -> None:
        """End processes that are not in use and listen to nobody."""
        idle = [
            key
            for key, process in self._processes.items()
            if process not in self._by_language.values() and not process.listening
        ]
        await asyncio.gather(*(self._processes.pop(key).close() for key in idle))

    async def complaints(self, engine: EngineChoice, several: Sequence[Wanted]) -> tuple[tuple[str, ...], ...]:
        """For each of one language, what the engine, which has been prepared, cannot hear of it.

        Raises :class:`RecognitionError`.
        """
        language = several[0].language
        return await self._processes[language, engine].complaints(several)

    def listen(self, wanted: Wanted, tell: Callable[[EarEvent], None]) -> Ear:
        """As :class:`ivr.hearing.Ears` has it."""
        process = self._by_language.get(wanted.language)
        if process is None:
            return _Deaf(NotHeard(f"nothing listens in {wanted.language}"), tell)
        return process.listen(wanted, tell)

    @property
    def pids(self) -> Mapping[str, int | None]:
        """The processes that listen, by language; None for one that is being started again."""
        return {language: process.pid for language, process in self._by_language.items()}

    @property
    def listening(self) -> int:
        """Callers."""
        return sum(process.listening for process in self._processes.values())

    async def close(self) -> None:
        """End all processes. Who is being listened to is told."""
        processes, self._processes, self._by_language = self._processes, {}, {}
        await asyncio.gather(*(process.close() for process in processes.values()))


class _Deaf:
    """Tells that nobody listens, and is over."""

    def __init__(self, why: NotHeard, tell: Callable[[EarEvent], None]) -> None:
        self._told = asyncio.get_running_loop().call_soon(tell, why)

    def feed(self, pcm: bytes) -> None:
        pass

    def close(self) -> None:
        self._told.cancel()
