"""What many reloads leave behind: nothing that the first has not left."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref

import pytest
import yaml

from ivr.live.control import ask
from ivr.live.publisher import Refused
from tests.live.served import BROKEN, FLOW, OTHER, Running
from tests.peers.patience import until
from tests.peers.sound import write_tone
from tests.peers.wire import Wire

RELOADS = 20
FOR_RELOADING = 24
"""Descriptors: two watchers, two pipes to the process that reads, its end, connections to the database."""


def descriptors() -> list[str]:
    """What each is, by where it leads."""
    found = []
    for one in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{one}").partition(":[")[0])
        except FileNotFoundError:
            continue
    return sorted(found)


async def tasks() -> list[str]:
    """Names of what waits in the loop, the one that asks aside."""
    asking = asyncio.current_task()
    names = (task.get_name() for task in asyncio.all_tasks() if task is not asking)
    return sorted("a task" if name.startswith("Task-") else name for name in names)


def warm(running: Running) -> None:
    """Everything that reloading needs is there: both watchers have heard something, the process has answered."""
    running.main.write_text(FLOW.replace("CAUSE", "warm"))
    running.goes_live("main@2")
    (running.folder / "flows" / "other.yaml").write_text(OTHER)
    until(lambda: "other" in running.service.release.flows, "the other flow is not there", within=30)
    running.settings["numbers"]["2000"] = "other"
    running.file.write_text(yaml.safe_dump(running.settings))
    until(lambda: running.service.release.site.route("2000") is not None, "the number is not there", within=30)


def settles(running: Running, before: tuple[list[str], list[str], int]) -> None:
    def now() -> tuple[list[str], list[str], int]:
        gc.collect()
        return descriptors(), running.awaits(tasks()), threading.active_count()

    until(
        lambda: all(len(one) <= len(was) for one, was in zip(now()[:2], before[:2], strict=True)),
        lambda: f"now {now()}, before {before}",
        within=15,
        every=0.2,
    )
    assert now()[2] <= before[2] + 2


def test_reloads_leave_no_descriptors_tasks_and_threads(running: Running) -> None:
    at_first = len(descriptors())
    warm(running)
    before = descriptors(), running.awaits(tasks()), threading.active_count()
    assert len(before[0]) <= at_first + FOR_RELOADING
    for number in range(RELOADS // 2):
        running.main.write_text(FLOW.replace("CAUSE", f"edit_{number}"))
        running.goes_live(f"main@{number + 3}")
    for number in range(RELOADS // 4):
        running.main.write_text(BROKEN + f"# {number}\n")
        with pytest.raises(Refused):
            ask(running.file, "publish")
        ask(running.file, "rollback", flow="main", number=number + 1)
        ask(running.file, "status")
    settles(running, before)


def test_other_folders_are_watched_in_place_of_the_old_ones(running: Running) -> None:
    warm(running)
    before = descriptors(), running.awaits(tasks()), threading.active_count()
    for number in range(4):
        folder = running.folder / f"prompts{number}"
        write_tone(folder / "hello.wav", 300 + 100 * number, 0.5)
        running.settings["prompts"] = folder.name
        running.file.write_text(yaml.safe_dump(running.settings))
        running.goes_live(f"main@{2 * number + 3}")
        write_tone(folder / "hello.wav", 350 + 100 * number, 0.5)
        running.goes_live(f"main@{2 * number + 4}")
    settles(running, before)


def test_the_end_of_a_service_frees_all_of_it(running: Running, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A second one beside the first, which has loaded what is loaded once."""
    warm(running)
    before = descriptors()
    second = Running(tmp_path_factory.mktemp("second"))
    warm(second)
    second.close()
    until(
        lambda: gc.collect() is not None and len(descriptors()) <= len(before),
        lambda: f"now {descriptors()}, before {before}",
        within=15,
        every=0.2,
    )


def test_a_call_and_its_set_leave_nothing_to_the_collector(running: Running) -> None:
    """What is there when many flows are brought in is never looked through again: circles would stay for good."""
    wire = Wire(running.address)

    def called() -> None:
        dialled = wire.invite()
        wire.is_answered(dialled)
        wire.hangs_up(dialled)
        wire.sees("SIP/2.0 200", dialled.call_id)
        until(lambda: running.service.calls == 0, "the call is not over")

    called()
    gc.collect()
    was = gc.isenabled()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(5):
            called()
        first = weakref.ref(running.service.release)
        running.main.write_text(FLOW.replace("CAUSE", "second"))
        running.goes_live("main@2")
        until(lambda: first() is None, "somebody holds the set that was live", within=10)
        gc.collect()
        left = [one for one in gc.garbage if type(one).__module__.startswith(("ivr.", "gateway."))]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        (gc.enable if was else gc.disable)()
    wire.close()
    assert left == []
