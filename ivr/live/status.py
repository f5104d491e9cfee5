"""What ``ivr status`` tells: which versions serve, which calls still hold older ones, how the files differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from ivr.live.publisher import Disk
from ivr.live.release import Release

OLD_S: Final = 4 * 3600.0
"""Seconds after which calls that hold an older set are named one by one; nobody but an operator ends them."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A call, and the set it holds."""

    call_id: str
    flow: str
    release: Release
    began: float
    """Epoch seconds."""


def status(
    live: Release, disk: Disk, waits_for: tuple[str, ...], holding: Iterable[Holding], now: float
) -> dict[str, Any]:
    """JSON values only; times are UTC epoch milliseconds, ages seconds."""
    by_version: dict[str, list[Holding]] = {str(one): [] for one in live.versions.values()}
    for one in holding:
        by_version.setdefault(str(one.release.versions[one.flow]), []).append(one)
    current = {str(one): live.since[name] for name, one in live.versions.items()}
    return {
        "release": live.number,
        "author": live.author,
        "origin": live.origin,
        "comment": live.comment,
        "versions": [
            {
                "version": version,
                "live_since": current.get(version),
                "calls": len(calls),
                "oldest_s": max((now - one.began for one in calls), default=None),
                "old_calls": [one.call_id for one in calls if version not in current and now - one.began > OLD_S],
            }
            for version, calls in by_version.items()
        ],
        "disk": {
            "differs_since": disk.differs_since,
            "complaints": list(disk.complaints),
            "restart_for": list(disk.restart_for),
            "rolled_back": list(disk.pinned),
            "waits_for": list(waits_for),
        },
    }
