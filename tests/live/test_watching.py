"""When changed files are read, in virtual time."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from ivr.live.watching import STILL, Seen, Watching, matters


class Disk:
    def __init__(self) -> None:
        self.files: dict[str, Seen] = {}
        self.watching = Watching()

    def writes(self, path: str, size: int, now: float) -> None:
        self.files[path] = Seen(size, int(now * 1e9))
        self.watching.touched(path, self.files[path], now)

    def starts(self, now: float) -> bool:
        return self.watching.start(self.files.get, now)


def test_a_file_is_read_when_it_has_been_still_for_300_ms() -> None:
    disk = Disk()
    disk.writes("flows/main.yaml", 10, 1.0)
    assert disk.watching.due() == 1.0 + STILL
    assert not disk.starts(1.29)
    assert disk.starts(1.3)
    assert disk.watching.due() == math.inf


def test_a_file_that_grows_without_notice_is_waited_for() -> None:
    disk = Disk()
    disk.writes("main.yaml", 10, 1.0)
    disk.files["main.yaml"] = Seen(20, 2)
    assert not disk.starts(1.3)
    assert disk.watching.due() == 1.3 + STILL
    assert disk.starts(1.6)


def test_many_files_make_one_reload() -> None:
    disk = Disk()
    for number in range(200):
        disk.writes(f"flow{number}.yaml", 10, 1.0 + number / 1000)
    assert not disk.starts(1.4)
    assert disk.starts(1.5)
    disk.watching.finished()
    assert not disk.starts(9.0)


def test_changes_and_requests_during_a_reload_make_one_more() -> None:
    disk = Disk()
    disk.watching.asked()
    assert disk.starts(0.0)
    disk.writes("main.yaml", 1, 0.1)
    disk.writes("main.yaml", 2, 0.2)
    disk.watching.asked()
    disk.watching.asked()
    assert not disk.starts(5.0)
    disk.watching.finished()
    assert disk.starts(5.0)
    disk.watching.finished()
    assert not disk.starts(9.0)


def test_a_removed_file_makes_a_reload() -> None:
    disk = Disk()
    disk.watching.touched("main.yaml", None, 1.0)
    assert disk.starts(1.3)


def test_files_of_editors_and_of_git_are_not_looked_at() -> None:
    for name in (
        ".main.yaml.swp",
        "main.yaml~",
        "#main.yaml#",
        ".git/index.lock",
        "4913",
        "main.yaml.tmp",
        "records.db",
    ):
        assert not matters(f"/site/{name}"), name
    for name in ("main.yaml", "main.test.yaml", "menu.flow", "en/Welcome.WAV", "site.yml", "vip.csv", "..data"):
        assert matters(f"/site/{name}"), name


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.001, 1.0)), min_size=1, max_size=30))
def test_whatever_is_written_is_read_once_all_of_it_is_still(writes: list[tuple[str, float]]) -> None:
    disk, now, started = Disk(), 0.0, 0
    last_write: dict[str, float] = {}
    for size, (name, pause) in enumerate(writes):
        now += pause
        if disk.starts(now):
            assert all(now - at >= STILL - 1e-9 for at in last_write.values())
            disk.watching.finished()
            started += 1
        disk.writes(f"{name}.yaml", size, now)
        last_write[name] = now
    assert disk.starts(now + STILL + 1e-6)
    assert started < len(writes)
