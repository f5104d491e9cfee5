"""Who listens to callers, before a set of flows goes live and afterwards: every model that it needs is loaded first."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from ivr.flow.loader import shown
from ivr.hearing import Ear, EarEvent, Wanted
from ivr.site import Site
from ivr.speech.recognition.choice import EngineChoice, choice_for, remedy
from ivr.speech.recognition.port import RecognitionError
from ivr.speech.recognition.service import Hearing, Progress

__all__ = ["Listening"]

log = logging.getLogger("ivr.live")


class Listening:
    """Owns the processes that listen. What calls get changes with :meth:`use` only."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing
        self._prepared: Mapping[str, EngineChoice] = {}
        self._told: set[str] = set()

    async def prepare(self, site: Site, several: Sequence[Wanted], progress: Progress | None = None) -> tuple[str, ...]:
        """Have all loaded that it takes to listen for this; what is in the way, for the operator."""
        by_language: dict[str, list[Wanted]] = {}
        for one in several:
            by_language.setdefault(one.language, []).append(one)
        file = shown(site.file)
        engines: dict[str, EngineChoice] = {}
        for language in sorted(by_language):
            engine = choice_for(language, site.recognition)
            if engine is not None:
                engines[language] = engine
            else:
                # Where there were no keys either, the checks would have refused the flows.
                self._tell_once(
                    f"nothing hears {language}, so that callers can answer by keys only: {remedy(language)}"
                )
        missing = await self._hearing.prepare(engines, progress)
        problems = [f"{file}: recognition: {language}: {why}" for language, why in missing.items()]
        if problems:
            await self.tidy_up()
            return tuple(problems)
        await self._warn(engines, by_language)
        self._prepared = engines
        return ()

    async def use(self) -> None:
        """What was prepared last is what the next callers are listened to with."""
        self._hearing.use(self._prepared)
        await self.tidy_up()

    async def tidy_up(self) -> None:
        """What was prepared in vain, or has been replaced, is unloaded."""
        await self._hearing.tidy_up()

    async def _warn(self, engines: Mapping[str, EngineChoice], by_language: Mapping[str, Sequence[Wanted]]) -> None:
        """Nothing goes wrong if a word is not heard that has others beside it: it is told, and no more."""
        for language, engine in engines.items():
            try:
                found = await self._hearing.complaints(engine, by_language[language])
            except RecognitionError as error:
                log.error("listening in %s: what cannot be heard is not known: %s", language, error)
                continue
            for complaint in (f"listening in {language}: {one}" for complaints in found for one in complaints):
                self._tell_once(complaint)

    def _tell_once(self, complaint: str) -> None:
        if complaint not in self._told:
            self._told.add(complaint)
            log.warning(complaint)

    def listen(self, wanted: Wanted, tell: Callable[[EarEvent], None]) -> Ear:
        """As :class:`ivr.hearing.Ears` has it."""
        return self._hearing.listen(wanted, tell)

    @property
    def pids(self) -> Mapping[str, int | None]:
        """The processes, by language; None for one that is being started again."""
        return self._hearing.pids

    @property
    def callers(self) -> int:
        """Those who are listened to now."""
        return self._hearing.listening

    async def close(self) -> None:
        await self._hearing.close()
