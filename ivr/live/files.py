"""Watches the files of a site and has them read when they are still: the edge of :mod:`ivr.live.watching`."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from watchfiles import awatch

from ivr.live.watching import Seen, Watching
from ivr.site import Site
from ivr.table import Table

log = logging.getLogger("ivr.live")

# It tells of every change; told in a log beside the site file, that would be the next change.
logging.getLogger("watchfiles").setLevel(logging.WARNING)

_LISTEN_MS = 1000


class FileWatcher:
    """Calls ``reload`` after changes, one at a time."""

    def __init__(self, reload: Callable[[], Awaitable[None]]) -> None:
        self._reload = reload
        self.watching = Watching()
        self._news = asyncio.Event()

    async def run(self, site: Callable[[], Site]) -> None:
        """Until cancelled. ``site`` is asked again after each reload: its folders may be others."""
        while True:
            folders = watched(site())
            listening = [asyncio.create_task(self._listen(folders.beside, False), name="watching the site file")]
            if folders.whole:
                listening.append(asyncio.create_task(self._listen(folders.whole, True), name="watching files"))
            try:
                while watched(site()) == folders and not any(task.done() for task in listening):
                    await self._step()
            finally:
                for task in listening:
                    task.cancel()
                results = await asyncio.gather(*listening, return_exceptions=True)
            for result in results:
                if isinstance(result, Exception):
                    log.error("files cannot be watched (%s): use 'ivr publish'", result)
                    await asyncio.sleep(10.0)

    async def _listen(self, folders: Iterable[Path], recursive: bool) -> None:
        changes = awatch(
            *folders,
            watch_filter=None,
            debounce=100,
            step=50,
            recursive=recursive,
            rust_timeout=_LISTEN_MS,
            yield_on_timeout=True,
        )
        listening = False
        async for found in changes:
            now = asyncio.get_running_loop().time()
            for _, path in found:
                self.watching.touched(path, look(path), now)
            if not listening:
                # What changed between the last reading and the first moment of listening was not heard of.
                self.watching.asked()
            if found or not listening:
                self._news.set()
            listening = True

    async def _step(self) -> None:
        loop = asyncio.get_running_loop()
        due = self.watching.due()
        self._news.clear()
        try:
            async with asyncio.timeout(None if due == math.inf else max(0.0, due - loop.time())):
                await self._news.wait()
        except TimeoutError:
            if self.watching.start(look, loop.time()):
                try:
                    await self._reload()
                finally:
                    self.watching.finished()


@dataclass(frozen=True, slots=True)
class Watched:
    """The folders in which something can change what callers hear."""

    whole: frozenset[Path]
    """With all that is below."""
    beside: frozenset[Path]
    """Single files lie there, as the site file, and beside them may lie anything, a whole home."""


def watched(site: Site) -> Watched:
    """What there is of them now."""
    whole = {path.resolve() for path in (*site.flows, site.prompts) if path.is_dir()}
    files = [site.file, *(path for path in site.flows if not path.is_dir())]
    files += [table.file for table in site.tables.values() if isinstance(table, Table) and table.file is not None]
    beside = {file.resolve().parent for file in files}
    return Watched(frozenset(whole), frozenset(folder for folder in beside if folder.is_dir()))


def look(path: str) -> Seen | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return Seen(found.st_size, found.st_mtime_ns, found.st_ino)
