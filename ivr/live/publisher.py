"""Brings sets of flows live, one at a time: all of a set or nothing of it. What serves is one reference."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.call import Clip
from ivr.calendar.closings import ClosingFile
from ivr.collector import at_rest, bringing_in
from ivr.flow.loader import shown
from ivr.flow.model import Flow, Place
from ivr.flow.problem import Problem
from ivr.live.candidate import Candidate, Pin, Wanted, unpacked
from ivr.live.diff import changes
from ivr.live.listening import Listening
from ivr.live.release import Origin, Release, Version, next_versions
from ivr.live.worker import WorkerLost
from ivr.records import versions as store
from ivr.records.events import RecordEvent
from ivr.run.counting import RecentTimes
from ivr.site import Site
from ivr.site.environment import environment_of
from ivr.speech.prompts import Progress, PromptItem, PromptLibrary

log = logging.getLogger("ivr.live")

_SHOWN: Final = 50
"""Complaints that are kept and shown; of more, nobody reads them all."""
_MANY: Final = 20
"""New flows of one set that the collector is kept away from: to look through fewer takes it less than 20 ms."""


class Refused(Exception):
    """It does not go live; the text says why, ``complaints`` in detail."""

    def __init__(self, message: str, complaints: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.complaints = complaints


@dataclass(frozen=True)
class Disk:
    """What the last look at the files found."""

    differs_since: int | None = None
    """UTC epoch ms; None if what is there is live."""
    complaints: tuple[str, ...] = ()
    restart_for: tuple[str, ...] = ()
    pinned: tuple[str, ...] = ()
    """Files in whose place a version that was rolled back to serves."""


@dataclass(frozen=True)
class Outcome:
    """What a reload came to."""

    live: tuple[str, ...]
    """Versions that are new, as ``main@42``; empty if nothing changed."""
    removed: tuple[str, ...] = ()
    differences: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By flow."""
    tests_passed: int = 0
    restart_for: tuple[str, ...] = ()


class Publisher:
    """Owns the set that serves. Belongs to one event loop; ``make`` does its work elsewhere."""

    def __init__(
        self,
        *,
        site: Site,
        make: Callable[[Wanted], Awaitable[Candidate]],
        prompts: PromptLibrary,
        listening: Listening,
        engine: Engine,
        record: Callable[[RecordEvent], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._site = site
        self._closings = ClosingFile(site.state)
        self._counts = RecentTimes()
        """What limits have counted outlives a reload."""
        self._make = make
        self._prompts = prompts
        self._listening = listening
        self._engine = engine
        self._record = record
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._progress: Progress | None = None
        self._models: Progress | None = None
        self._stored: Mapping[str, Version] = {}
        self._last_number = 0
        self._highest: dict[str, int] = {}
        self._pins: dict[str, Pin] = {}
        self._digests: dict[PromptItem, str] = {}
        """Of the recordings that are live."""
        self.release: Release | None = None
        self.disk = Disk()

    async def start(self, progress: Progress | None = None, models: Progress | None = None) -> Release:
        """Bring live what is on disk; if that is broken, what was live last. Raises Refused if there is neither."""
        await asyncio.to_thread(self._remember)
        self._progress, self._models = progress, models
        try:
            await self.reload("start", "")
        except Refused as refused:
            texts = await asyncio.to_thread(self._last_good)
            if not texts:
                raise
            complaints = refused.complaints
            log.error("the flows on disk are broken: those that were live last serve")
            await self._bring("start", "", "the flows on disk were broken", texts=texts)
            self.disk = Disk(self._now(), complaints[:_SHOWN])
        self._progress = self._models = None
        assert self.release is not None
        return self.release

    async def reload(self, origin: Origin, author: str, comment: str = "", *, only_look: bool = False) -> Outcome:
        """Bring live what is on disk. Raises Refused, and nothing has changed then."""
        return await self._bring(origin, author, comment, only_look=only_look)

    async def roll_back(self, flow: str, number: int, author: str, comment: str = "") -> Outcome:
        """Bring an old version live as a new one. Files stay as they are; the next change of that file wins.

        Raises Refused.
        """
        old = await asyncio.to_thread(store.version, self._engine, flow, number)
        if old is None:
            raise Refused(f"there is no version {flow}@{number}: 'ivr history {flow}' lists them")
        return await self._bring("rollback", author, comment or f"back to {flow}@{number}", back_to=old)

    async def _bring(
        self,
        origin: Origin,
        author: str,
        comment: str,
        *,
        texts: Mapping[str, str] | None = None,
        back_to: store.StoredVersion | None = None,
        only_look: bool = False,
    ) -> Outcome:
        async with self._one_at_a_time:
            live = self.release
            pins = dict(self._pins)
            if back_to is not None:
                now_there = await self._made(self._wanted(live, pins, None))
                pins[back_to.file] = Pin(back_to.text, now_there.on_disk.get(back_to.file, ""))
            candidate = await self._made(self._wanted(live, pins, texts))
            complaints = candidate.complaints
            clips: dict[PromptItem, Clip] = {}
            if candidate.ok:
                clips, silent = await self._clips(candidate, live)
                complaints += silent
            if not complaints and candidate.site is not None:
                complaints += await self._listening.prepare(candidate.site, candidate.heard, self._models)
            author = author or candidate.author or "unknown"
            if complaints:
                aside = only_look or back_to is not None
                known = origin == "file" and complaints[:_SHOWN] == self.disk.complaints
                self._reject(candidate, complaints, author, aside=aside, known=known)
            return await self._take(candidate, clips, origin, author, comment, pins, back_to, only_look)

    async def _made(self, wanted: Wanted) -> Candidate:
        try:
            return await self._make(wanted)
        except WorkerLost as error:
            # As if the files were broken: all who are told of that are told of this.
            return Candidate((Problem("E010", Place(shown(self._site.file), 1), str(error), "try 'ivr publish'"),))

    def _wanted(self, live: Release | None, pins: Mapping[str, Pin], texts: Mapping[str, str] | None) -> Wanted:
        if live is None:
            return Wanted(self._site, pins, texts)
        return Wanted(
            self._site,
            pins,
            texts,
            frozenset(flow.digest for flow in live.flows.values()),
            frozenset(self._digests.values()),
        )

    async def _clips(
        self, candidate: Candidate, live: Release | None
    ) -> tuple[dict[PromptItem, Clip], tuple[str, ...]]:
        """Every sound of the set by what it is asked for, those that serve already taken over; and what is silent."""
        before = live.clips if live is not None else {}
        by_digest = {self._digests[item]: before[item] for item in self._digests if item in before}
        by_digest.update(candidate.clips)
        clips = {item: by_digest[digest] for item, digest in candidate.recordings.items()}
        clips.update((item, before[item]) for item in candidate.spoken if item in before)
        prepared = await self._prompts.prepare((item for item in candidate.spoken if item not in clips), self._progress)
        clips.update(prepared.clips)
        return clips, tuple(problem.message for problem in prepared.problems)

    def _reject(
        self, candidate: Candidate, complaints: tuple[str, ...], author: str, *, aside: bool, known: bool
    ) -> None:
        """Shout. ``aside``: it was not the files that were to go live; ``known``: the same was shouted before."""
        if not aside:
            self.disk = Disk(self.disk.differs_since or self._now(), complaints[:_SHOWN], candidate.restart_for)
        if not aside and not known:
            log.error(
                "not live: there are mistakes (%d) in what %s saved; callers hear what they heard before.\n%s",
                len(complaints),
                author,
                "\n".join(complaints[:_SHOWN]),
            )
            data: dict[str, object] = {"author": author, "complaints": list(complaints[:_SHOWN])}
            data["tests"] = {"passed": candidate.tests_passed, "failed": list(candidate.tests_failed[:_SHOWN])}
            self._record(RecordEvent(self._now(), "flow.rejected", "", None, data))
        raise Refused("nothing went live: callers hear what they heard before", complaints)

    async def _take(
        self,
        candidate: Candidate,
        clips: Mapping[PromptItem, Clip],
        origin: Origin,
        author: str,
        comment: str,
        pins: dict[str, Pin],
        back_to: store.StoredVersion | None,
        only_look: bool,
    ) -> Outcome:
        live, site = self.release, candidate.site
        assert site is not None
        flows = await self._flows(candidate, live)
        before = dict(live.versions) if live is not None else self._stored
        found = next_versions(candidate.digests, before, self._highest)
        new = [version for name, version in found.items() if before.get(name) != version]
        removed = tuple(sorted(before.keys() - found.keys()))
        old_flows = live.flows if live is not None else {}
        differences = {}
        for one in new:
            differences[one.flow] = changes(old_flows.get(one.flow), flows[one.flow])
            await asyncio.sleep(0)
        outcome = Outcome(
            tuple(str(one) for one in new), removed, differences, candidate.tests_passed, candidate.restart_for
        )
        if only_look:
            await self._listening.tidy_up()
            return outcome
        await self._listening.use()
        at = self._now()
        # A pin ends when its file changes: the file won.
        self._pins = {file: pin for file, pin in pins.items() if candidate.on_disk.get(file, "") == pin.over}
        same = live is not None and not new and not removed and live.site == site
        if not same:
            number = await self._stored_as(candidate, found, new, removed, at, origin, author, comment, back_to)
            since = {
                name: live.since[name] if live is not None and live.versions.get(name) == one else at
                for name, one in found.items()
            }
            environment = environment_of(site, flows, self._closings, self._counts)
            self.release = Release(number, at, author, origin, site, environment, found, since, clips, comment)
            self._digests = dict(candidate.recordings)
            self._highest.update((one.flow, max(one.number, self._highest.get(one.flow, 0))) for one in new)
        if self.disk.complaints and same:
            log.info("the files are right again, and are what is live")
        pinned = tuple(sorted(self._pins))
        self.disk = Disk((self.disk.differs_since or at) if pinned else None, (), candidate.restart_for, pinned)
        if new or removed:
            log.info("live: %s by %s%s", ", ".join(outcome.live) or "-", author, f" ({comment})" if comment else "")
            data: dict[str, object] = {"author": author, "origin": origin, "live": list(outcome.live)}
            data |= {"removed": list(removed), "tests": {"passed": candidate.tests_passed, "failed": []}}
            data["differences"] = {name: list(lines[:_SHOWN]) for name, lines in differences.items()}
            self._record(RecordEvent(at, "flow.live", "", None, data))
        if candidate.restart_for:
            log.warning("changed in the site file, waits for a restart: %s", ", ".join(candidate.restart_for))
        return outcome

    async def _flows(self, candidate: Candidate, live: Release | None) -> dict[str, Flow]:
        """The flows of the set; those that did not change are the ones that serve. A moment for calls after each."""
        known = {flow.digest: flow for flow in live.flows.values()} if live is not None else {}
        flows = {}
        with bringing_in() if len(candidate.flows) >= _MANY else at_rest():
            for name, digest in candidate.graphs.items():
                old = known.get(digest)
                if old is None or name in candidate.flows:
                    flows[name] = unpacked(candidate.flows[name])
                    await asyncio.sleep(0)
                else:
                    flows[name] = old
        return flows

    async def _stored_as(
        self,
        candidate: Candidate,
        found: Mapping[str, Version],
        new: list[Version],
        removed: tuple[str, ...],
        at: int,
        origin: Origin,
        author: str,
        comment: str,
        back_to: store.StoredVersion | None,
    ) -> int:
        """The number of the release. A database that is away does not keep a correction from callers."""
        if not new and not removed and self._last_number:
            return self._last_number
        self._last_number += 1
        kept = store.StoredRelease(
            self._last_number,
            at,
            author,
            origin,
            comment,
            {"passed": candidate.tests_passed, "failed": []},
            {name: one.number for name, one in found.items()},
        )
        rows = []
        for one in new:
            file = candidate.files[one.flow]
            pin = self._pins.get(file)
            text = candidate.texts[file]
            rows.append(
                store.StoredVersion(one.flow, one.number, one.digest, file, text, None if pin is None else pin.over)
            )
        try:
            await asyncio.to_thread(store.add_release, self._engine, kept, rows)
        except SQLAlchemyError as error:
            log.error("release %d is live, but is not in the history: %s", kept.number, error)
        return kept.number

    # What was live before this program started. -----------------------------------------------------------

    def _remember(self) -> None:
        self._highest = store.highest(self._engine)
        last = store.releases(self._engine)
        if last:
            self._last_number = last[0].number
            kept = store.contents_of(self._engine, last[0])
            self._stored = {one.flow: Version(one.flow, one.number, one.digest) for one in kept}
            self._pins = {one.file: Pin(one.text, one.pinned_over) for one in kept if one.pinned_over is not None}

    def _last_good(self) -> dict[str, str]:
        last = store.releases(self._engine)
        return {one.file: one.text for one in store.contents_of(self._engine, last[0])} if last else {}

    def _now(self) -> int:
        return int(self._clock() * 1000)
