"""What is told of sets that serve, in made-up time."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, cast

from ivr.live.publisher import Disk
from ivr.live.release import Release, Version
from ivr.live.status import OLD_S, Holding, status

NOW = 1_000_000.0


def release(number: int) -> Release:
    """A set of one flow; what serves calls is of no interest here."""
    nothing = cast(Any, None)
    version = Version("main", number, "0" * 64)
    return Release(number, 0, "anna", "file", nothing, nothing, {"main": version}, {"main": 1000 * number}, {})


def told(*holding: Holding, live: Release, disk: Disk | None = None) -> dict[str, Any]:
    found = status(live, disk or Disk(), ("main.yaml",), holding, NOW)
    versions = MappingProxyType({one["version"]: one for one in found["versions"]})
    return {**found, "versions": versions}


def test_calls_that_hold_an_old_set_for_more_than_four_hours_are_named() -> None:
    first, second, third = release(1), release(2), release(3)
    found = told(
        Holding("a", "main", first, NOW - OLD_S - 1),
        Holding("b", "main", first, NOW - OLD_S + 1),
        Holding("c", "main", second, NOW - 60),
        Holding("d", "main", third, NOW - OLD_S - 5),
        live=third,
    )["versions"]
    assert found["main@1"]["old_calls"] == ["a"]
    assert found["main@1"]["calls"] == 2
    assert found["main@1"]["oldest_s"] == OLD_S + 1
    assert found["main@1"]["live_since"] is None
    assert found["main@2"]["old_calls"] == []
    # It holds what is live: nothing old.
    assert found["main@3"]["old_calls"] == []
    assert found["main@3"]["live_since"] == 3000


def test_a_version_without_calls_is_told_only_if_it_is_live() -> None:
    found = told(live=release(2))["versions"]
    assert dict(found) == {
        "main@2": {"version": "main@2", "live_since": 2000, "calls": 0, "oldest_s": None, "old_calls": []}
    }


def test_the_files_are_told_as_they_were_found() -> None:
    disk = Disk(5, ("main.yaml:1:1: error",), ("limits",), ("main.yaml",))
    assert told(live=release(1), disk=disk)["disk"] == {
        "differs_since": 5,
        "complaints": ["main.yaml:1:1: error"],
        "restart_for": ["limits"],
        "rolled_back": ["main.yaml"],
        "waits_for": ["main.yaml"],
    }
