"""When changed files are read: a machine of events and time. Touches no file itself; seconds of any steady clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

STILL: Final = 0.3
"""Seconds that a file must not change before it is read."""

_READ: Final = (".yaml", ".yml", ".flow", ".wav", ".csv", ".env")
_MOUNTED: Final = "..data"
"""Kubernetes: the link that every file of a mounted folder goes through; the whole folder changes with it."""
_EDITORS: Final = ("~", ".swp", ".swx", ".swo", ".tmp", ".bak", ".orig", ".part")


@dataclass(frozen=True, slots=True)
class Seen:
    """A file at a glance."""

    size: int
    mtime_ns: int
    inode: int = 0


Look = Callable[[str], Seen | None]
"""From a path to what is there now, None if nothing is."""


def matters(path: str) -> bool:
    """Whether a change of that path can change what callers hear: editors' and git's own files cannot."""
    name = PurePath(path).name
    if name == _MOUNTED:
        return True
    if name.startswith((".", "#", "~")) or name.endswith(_EDITORS):
        return False
    return PurePath(path).suffix.lower() in _READ


class Watching:
    """Turns changes of files and requests of people into one reload at a time.

    Tell it what happened, and ask :meth:`due` when to call :meth:`start` next.
    """

    def __init__(self, still: float = STILL) -> None:
        self._still = still
        self._changed: dict[str, tuple[Seen | None, float]] = {}
        """By path: how it looked, and since when."""
        self._asked = False
        self._running = False

    @property
    def running(self) -> bool:
        return self._running

    @property
    def waits_for(self) -> tuple[str, ...]:
        """Files that have changed and are not read yet."""
        return tuple(sorted(self._changed))

    def touched(self, path: str, seen: Seen | None, now: float) -> None:
        """Something happened to a path, a removal included."""
        if matters(path):
            known = self._changed.get(path)
            if known is None or known[0] != seen:
                self._changed[path] = (seen, now)

    def asked(self) -> None:
        """Somebody wants a reload; asked again before it begins, it is still one."""
        self._asked = True

    def due(self) -> float:
        """When to call :meth:`start`; infinity if only something new can make that necessary."""
        if self._running:
            return math.inf
        if self._changed:
            return max(since for _, since in self._changed.values()) + self._still
        return -math.inf if self._asked else math.inf

    def start(self, look: Look, now: float) -> bool:
        """Whether a reload begins now: nothing else runs, and every changed file has been still for long enough.

        If it does, :meth:`finished` must follow.
        """
        if self._running or not (self._asked or self._changed):
            return False
        for path, (before, _) in list(self._changed.items()):
            seen = look(path)
            if seen != before:
                self._changed[path] = (seen, now)
        if self.due() > now:
            return False
        self._changed.clear()
        self._asked = False
        self._running = True
        return True

    def finished(self) -> None:
        """The reload is over, well or not: what came meanwhile makes one more."""
        self._running = False
