"""The spool: what is written to it comes back once and in order, as far as the disk has kept it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from ivr.records import model, spool, tables
from ivr.records.database import RecordsError, open_database
from ivr.records.events import RecordEvent
from ivr.records.recovery import rebuild
from ivr.records.spool import Numbered, Spool, line, numbered, parsed
from ivr.records.writer import RecordWriter
from tests.peers import disk
from tests.records.calls import T0, arrived, typical_call
from tests.records.conftest import Cluster
from tests.records.tables import rows, scalar
from tests.records.test_writer import losing_answers, wait_until


def put(into: Spool, *numbers: int, text: str = "x") -> bool:
    lines = b"".join(line(numbered(number, RecordEvent(T0, "log", "c1", None, {"text": text}))) for number in numbers)
    return into.write(lines, through=numbers[-1])


def numbers(entries: list[Numbered]) -> list[int]:
    return [entry.number for entry in entries]


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def dead(left: Spool) -> None:
    """As the sudden end of the process leaves it."""
    left.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


# Files. ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        RecordEvent(T0, "call.arrived", "c1", None, arrived()),
        RecordEvent(T0, "key", "c1", "c1-caller"),
        RecordEvent(-1, "tag", "\ud800\0é", "\n", {"a": [1, None, {"b": 2.5}], "é\n": "\U0001f600"}),
        RecordEvent("now", "tag", 5, None, {"n": float("inf")}),  # type: ignore[arg-type]
    ],
)
def test_an_event_comes_back_as_it_was(event: RecordEvent) -> None:
    text = line(numbered(7, event))
    assert text.count(b"\n") == 1
    entry = parsed(text.removesuffix(b"\n"))
    assert entry is not None
    assert (entry.number, entry.event, entry.data) == (7, event, numbered(7, event).data)


def test_what_was_written_is_read_in_order_across_segments_and_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_SEGMENT", 400)
    monkeypatch.setattr(spool, "_FIRST_SEGMENTS", 400)
    first = Spool(folder)
    first.begin(after=0)
    for number in range(1, 40):
        assert put(first, number)
    dead(first)
    second = Spool(folder)
    second.begin(after=3)
    assert second.name == first.name
    assert second.last == 39
    assert put(second, 40, 41)
    assert len(files(folder)) > 5
    assert numbers(second.read(3, 1000)) == list(range(4, 42))
    assert numbers(second.read(3, 1000, before=9)) == [4, 5, 6, 7, 8]
    taken: list[int] = []
    while entries := second.read(taken[-1] if taken else 0, 7):
        taken += numbers(entries)
    assert taken == list(range(1, 42))
    second.discard(20)
    assert numbers(second.read(20, 1000)) == list(range(21, 42))
    second.discard(41, idle=True)
    assert second.empty
    assert [path.stat().st_size for path in files(folder)] == [0]
    second.close()


def test_numbers_go_on_though_the_spool_was_emptied(folder: Path) -> None:
    first = Spool(folder)
    first.begin(after=0)
    put(first, 1, 2, 3)
    first.discard(3, idle=True)
    first.close()
    again = Spool(folder)
    assert again.last == 3
    again.begin(after=9)
    assert again.last == 9
    again.close()


@pytest.mark.parametrize("cut", [2, 30])
def test_a_line_that_was_cut_off_is_left_out_and_told(folder: Path, cut: int, caplog: pytest.LogCaptureFixture) -> None:
    first = Spool(folder)
    first.begin(after=0)
    put(first, 1, 2, 3)
    dead(first)
    (path,) = files(folder)
    os.truncate(path, path.stat().st_size - cut)
    second = Spool(folder)
    second.begin(after=0)
    put(second, second.last + 1)
    # The number of what was lost is given again: the database never got it.
    assert numbers(second.read(0, 100)) == [1, 2, 3]
    assert second.read(2, 100)[0].event.data == {"text": "x"}
    assert "1 lines" in caplog.text
    second.close()


def test_a_line_without_its_end_is_whole(folder: Path) -> None:
    first = Spool(folder)
    first.begin(after=0)
    put(first, 1, 2, 3)
    dead(first)
    (path,) = files(folder)
    os.truncate(path, path.stat().st_size - 1)
    second = Spool(folder)
    second.begin(after=0)
    assert numbers(second.read(0, 100)) == [1, 2, 3]
    second.close()


def test_damage_costs_its_line_only_and_is_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = Spool(folder)
    first.begin(after=0)
    put(first, *range(1, 11))
    dead(first)
    (path,) = files(folder)
    content = bytearray(path.read_bytes())
    starts = [0, *(index + 1 for index, byte in enumerate(content) if byte == 10)]
    content[starts[2] + 20] ^= 1
    content[starts[6] - 1] = 0
    path.write_bytes(content)
    second = Spool(folder)
    second.begin(after=0)
    assert numbers(second.read(0, 100)) == [1, 2, 4, 5, 8, 9, 10]
    assert f"2 lines of {path} are damaged" in caplog.text
    second.close()


def test_a_segment_of_which_nothing_can_be_read_harms_no_other(folder: Path) -> None:
    first = Spool(folder)
    first.begin(after=0)
    put(first, 1)
    dead(first)
    (path,) = files(folder)
    path.write_bytes(os.urandom(5_000))
    second = Spool(folder)
    second.begin(after=0)
    put(second, second.last + 1)
    assert len(second.read(0, 100)) == 1
    second.close()


def test_one_spool_one_process(folder: Path) -> None:
    mine = Spool(folder)
    code = f"from pathlib import Path; from ivr.records.spool import Spool; Spool(Path({str(folder)!r}))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Another server of this site runs" in other.stderr
    mine.close()


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordsError, match="cannot be used") as caught:
        Spool(tmp_path / "file" / "spool")
    assert caught.value.remedy


def test_the_bound_holds(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    small = Spool(folder, bound=1_000)
    small.begin(after=0)
    written = [put(small, number) for number in range(1, 30)]
    assert written == sorted(written, reverse=True)
    assert small.size <= 1_000
    assert "bound" in str(small.error)
    small.discard(29, idle=True)
    assert put(small, 30)
    assert small.error is None
    assert len([record for record in caplog.records if "takes nothing" in record.message]) == 1
    small.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with disk.small_disk(tmp_path, "64k") as small:
        yield small


def test_a_full_disk_leaves_whole_lines_only(small_disk: Path) -> None:
    full = Spool(small_disk / "spool")
    full.begin(after=0)
    number = 0
    while put(full, number + 1, text="x" * 700):
        number += 1
    assert number > 50
    assert "No space left" in str(full.error)
    assert numbers(full.read(0, 1000)) == list(range(1, number + 1))
    disk.grow(small_disk, "1m")
    assert put(full, number + 2)
    assert full.error is None
    assert numbers(full.read(number, 1000)) == [number + 2]
    full.close()


# On the way to the tables. --------------------------------------------------------------------------------


def stored(engine: Engine) -> dict[str, list[int | None]]:
    """By call the places of its events."""
    found: dict[str, list[int | None]] = {}
    events = model.Event
    with engine.connect() as connection:
        for call_id, seq in connection.execute(select(events.call_id, events.seq).order_by(events.event_id)):
            found.setdefault(str(call_id), []).append(seq)
    return found


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlite3.Connection]:
    """A database that takes nothing until it is rolled back."""
    monkeypatch.setattr("ivr.records.database.BUSY_TIMEOUT_S", 0.05)
    open_database(f"sqlite:///{tmp_path}/records.db").dispose()
    other = sqlite3.connect(tmp_path / "records.db", isolation_level=None)
    yield other
    other.close()


def test_what_a_dead_process_left_is_taken_over_once(engine: Engine, folder: Path) -> None:
    left = Spool(folder)
    left.begin(after=0)
    events = [*typical_call("done"), *typical_call("dead")[:13]]
    left.write(b"".join(line(numbered(number, event)) for number, event in enumerate(events, 1)), through=33)
    dead(left)
    for _ in range(2):
        writer = RecordWriter(engine, spool=Spool(folder), node_id="node1")
        assert writer.caught_up(20)
        assert writer.close(20)
        # One more: the end of the call that the process did not see.
        assert stored(engine) == {"done": list(range(20)), "dead": list(range(14))}
    assert scalar(engine, "SELECT end_cause FROM calls WHERE call_id = 'dead'") == "node_lost"
    before = rows(engine)
    rebuild(engine)
    assert rows(engine) == before


def test_new_calls_come_after_those_of_the_last_run(sqlite: Engine, folder: Path) -> None:
    left = Spool(folder)
    left.begin(after=0)
    left.write(b"".join(line(numbered(n, event)) for n, event in enumerate(typical_call("dead")[:13], 1)), through=13)
    dead(left)
    writer = RecordWriter(sqlite, spool=Spool(folder), node_id="node1")
    for event in typical_call("new")[:5]:
        writer.append(event)
    assert writer.flush(20)
    assert scalar(sqlite, "SELECT closed FROM calls WHERE call_id = 'dead'") == 1
    assert scalar(sqlite, "SELECT closed FROM calls WHERE call_id = 'new'") == 0
    assert writer.close(20)


def test_more_than_memory_holds_waits_in_the_spool(
    tmp_path: Path, folder: Path, locked: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_AHEAD_BOUND", 100)
    monkeypatch.setattr(tables, "_BATCH_BOUND", 30)
    monkeypatch.setattr(spool, "_SEGMENT", 20_000)
    monkeypatch.setattr(spool, "_FIRST_SEGMENTS", 10_000)
    writer = RecordWriter(f"sqlite:///{tmp_path}/records.db", spool=Spool(folder), bound=200)
    locked.execute("BEGIN IMMEDIATE")
    for number in range(40):
        for event in typical_call(f"c{number}"):
            writer.append(event)
        # As fast as calls come, the spool has what memory has no room for.
        wait_until(lambda: writer._intake.queue.empty())
    wait_until(lambda: writer.statistics.failing)
    assert writer.statistics.dropped == 0
    assert writer.statistics.queued == 800
    locked.execute("ROLLBACK")
    for number in range(40, 60):
        for event in typical_call(f"c{number}"):
            writer.append(event)
        wait_until(lambda: writer._intake.queue.empty())
    assert writer.flush(30)
    assert writer.statistics.lost == 0
    assert writer.close(20)
    engine = open_database(f"sqlite:///{tmp_path}/records.db")
    assert stored(engine) == {f"c{number}": list(range(20)) for number in range(60)}
    engine.dispose()
    assert sum(path.stat().st_size for path in files(folder)) == 0


def test_the_spool_stays_small_while_the_database_is_there(sqlite: Engine, folder: Path) -> None:
    held = Spool(folder)
    writer = RecordWriter(sqlite, spool=held)
    largest = 0
    for number in range(400):
        for event in typical_call(f"c{number}"):
            writer.append(event)
        if number % 20 == 0:
            assert writer.flush(20)
            largest = max(largest, held.size)
    assert writer.close(20)
    assert 100_000 < largest < 700_000


def test_a_stop_while_the_database_is_away_loses_nothing(
    tmp_path: Path, folder: Path, locked: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path}/records.db"
    writer = RecordWriter(url, spool=Spool(folder))
    locked.execute("BEGIN IMMEDIATE")
    for event in typical_call("c1"):
        writer.append(event)
    assert not writer.close(0.3)
    assert "are in the spool for the next start" in caplog.text
    locked.execute("ROLLBACK")
    again = RecordWriter(url, spool=Spool(folder))
    assert again.flush(10)
    assert again.close(10)
    engine = open_database(url)
    assert stored(engine) == {"c1": list(range(20))}
    engine.dispose()


def test_a_server_that_stops_and_starts_again(cluster: Cluster, folder: Path) -> None:
    engine = open_database(cluster.new_database())
    writer = RecordWriter(engine, spool=Spool(folder))
    for event in typical_call("before"):
        writer.append(event)
    assert writer.flush(10)
    cluster.stop()
    try:
        for event in typical_call("meanwhile"):
            writer.append(event)
        wait_until(lambda: writer.statistics.failing)
        assert not writer.close(0.2)
    finally:
        cluster.start()
    again = RecordWriter(engine, spool=Spool(folder))
    assert again.flush(20)
    assert again.close(10)
    assert stored(engine) == {"before": list(range(20)), "meanwhile": list(range(20))}
    engine.dispose()


def test_a_full_spool_stops_no_call(
    tmp_path: Path, small_disk: Path, locked: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """Database and spool take nothing: events stay in memory, and those that were answered wait for nothing."""
    writer = RecordWriter(f"sqlite:///{tmp_path}/records.db", spool=Spool(small_disk / "spool"))
    locked.execute("BEGIN IMMEDIATE")
    for number in range(60):
        for event in typical_call(f"c{number}"):
            writer.append(event)
    wait_until(lambda: writer.statistics.spool_error is not None)
    assert "No space left" in str(writer.statistics.spool_error)
    locked.execute("ROLLBACK")
    assert writer.flush(20)
    assert writer.statistics.lost == 0
    # The spool has room again as soon as the database has what was in it.
    writer.append(RecordEvent(T0, "call.arrived", "late"))
    wait_until(lambda: writer.statistics.spool_error is None)
    assert writer.close(10)
    engine = open_database(f"sqlite:///{tmp_path}/records.db")
    assert stored(engine) == {**{f"c{number}": list(range(20)) for number in range(60)}, "late": [0]}
    engine.dispose()
    assert "the spool takes nothing" in caplog.text


def test_detail_is_given_up_when_the_spool_is_nearly_full(
    tmp_path: Path, folder: Path, locked: sqlite3.Connection
) -> None:
    writer = RecordWriter(f"sqlite:///{tmp_path}/records.db", spool=Spool(folder, bound=10_000), bound=50)
    locked.execute("BEGIN IMMEDIATE")
    for number in range(200):
        writer.append(RecordEvent(T0, "log", f"c{number}", None, {"text": "x"}))
        wait_until(lambda: writer._intake.queue.empty())
    assert 0 < writer.statistics.dropped < 200
    told = writer.statistics.queued
    writer.append(RecordEvent(T0, "call.answered", "c1"))
    assert writer.statistics.queued == told + 1
    locked.execute("ROLLBACK")
    assert writer.flush(10)
    writer.close()


def test_an_answered_call_is_on_the_disk_before_anybody_hears_it(
    sqlite: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Spool, "discard", lambda *_, **__: None)
    writer = RecordWriter(sqlite, spool=Spool(folder))
    in_time = 0
    for number in range(25):
        writer.append(RecordEvent(T0, "call.arrived", f"c{number}", None, arrived()))
        writer.append(RecordEvent(T0, "call.answered", f"c{number}"))
        if writer.in_time:
            there = b"".join(path.read_bytes() for path in files(folder))
            assert f'"call.answered","c{number}"'.encode() in there
            in_time += 1
        assert writer.flush(10)
    # Of a busy machine some may keep one waiting too long.
    assert in_time > 5
    assert writer.close(10)
    assert len(stored(sqlite)) == 25


def test_a_disk_that_keeps_one_waiting_keeps_no_call(
    sqlite: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled, asked = threading.Event(), threading.Event()
    write = Spool.write

    def wait(self: Spool, lines: bytes, through: int) -> bool:
        asked.set()
        assert stalled.wait(30)
        return write(self, lines, through)

    monkeypatch.setattr(Spool, "write", wait)
    writer = RecordWriter(sqlite, spool=Spool(folder))
    began = time.monotonic()
    for number in range(1_000):
        writer.append(RecordEvent(T0, "call.answered", f"c{number}"))
    # All of them together would have waited for 20 s.
    assert not writer.in_time
    assert writer.statistics.queued == 1_000
    assert time.monotonic() - began < 5
    stalled.set()
    assert asked.is_set()
    assert writer.flush(20)
    assert writer.close(10)


def test_a_repeated_commit_writes_nothing_twice(engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = losing_answers(monkeypatch)
    writer = RecordWriter(engine, spool=Spool(folder))
    for event in [*typical_call("c1"), RecordEvent(T0, "flow.live", "", None, {"live": {}})]:
        writer.append(event)
    assert writer.flush(10)
    writer.close()
    assert lost
    # What belongs to no call has no place of its own that would make it harmless.
    assert stored(engine) == {"c1": list(range(20)), "None": [None]}
