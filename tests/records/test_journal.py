"""Not one call that was answered is lost, whenever the process dies."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from ivr.records import model
from ivr.records.database import open_database
from ivr.records.events import RecordEvent
from ivr.records.journal import CallJournal, take_over
from ivr.records.recovery import close_dead_calls
from ivr.records.writer import RecordWriter

# Says that a call is answered as soon as append() has returned, as a 200 does.
SENDER = """
import itertools, sys, time
from pathlib import Path
from ivr.records.events import RecordEvent
from ivr.records.journal import CallJournal
from ivr.records.writer import RecordWriter
writer = RecordWriter(sys.argv[1], journal=CallJournal(Path(sys.argv[2])))
for number in itertools.count():
    call_id = f"c{number:06}"
    writer.append(RecordEvent(1000 + number, "call.arrived", call_id, None, {"caller": "3001", "node_id": "n"}))
    writer.append(RecordEvent(1001 + number, "call.answered", call_id))
    sys.stdout.write(call_id + "\\n")
    sys.stdout.flush()
    time.sleep(0.0005)
"""


@pytest.mark.parametrize("seed", range(4))
def test_no_answered_call_is_lost(url: str, tmp_path: Path, seed: int) -> None:
    open_database(url).dispose()
    with subprocess.Popen([sys.executable, "-c", SENDER, url, tmp_path], stdout=subprocess.PIPE, text=True) as sender:
        assert sender.stdout is not None
        said = [sender.stdout.readline().strip()]
        time.sleep(0.15 * (seed + 1))
        sender.kill()
        said += [line for line in sender.stdout.read().split("\n")[:-1] if line]
    engine = open_database(url)
    take_over(engine, tmp_path)
    close_dead_calls(engine, "n")
    with engine.connect() as connection:
        rows = {row.call_id: row for row in connection.execute(select(model.Call.__table__))}
    assert len(said) > 20
    for number, call_id in enumerate(said):
        row = rows[call_id]
        assert (row.arrived_at, row.answered_at, row.end_cause) == (1000 + number, 1001 + number, "node_lost")


def test_what_is_in_the_database_is_not_taken_over_again(engine: Engine, tmp_path: Path) -> None:
    writer = RecordWriter(engine, journal=CallJournal(tmp_path))
    writer.append(RecordEvent(1, "call.arrived", "c1", None, {"caller": "3001"}))
    writer.append(RecordEvent(2, "call.answered", "c1"))
    assert writer.flush(10)
    lines = b'[1, "call.arrived", "c1", {}]\n[2, "call.answered", "c1", {}]\n[3, "call.arrived", "c2", {}]\n[4, "ca'
    assert writer.close()
    assert all(path.read_bytes() == b"" for path in tmp_path.glob("journal-*"))
    (tmp_path / "journal-1.jsonl").write_bytes(lines)
    assert take_over(engine, tmp_path) == 1
    assert take_over(engine, tmp_path) == 0
    with engine.connect() as connection:
        assert set(connection.scalars(select(model.Call.call_id))) == {"c1", "c2"}
        assert len(list(connection.scalars(select(model.Event.event_id)))) == 3


def test_without_a_journal_there_is_nothing_to_take_over(engine: Engine, tmp_path: Path) -> None:
    assert take_over(engine, tmp_path / "absent") == 0


def test_the_files_do_not_grow(engine: Engine, tmp_path: Path) -> None:
    writer = RecordWriter(engine, journal=CallJournal(tmp_path))
    for number in range(3_000):
        writer.append(RecordEvent(number, "call.arrived", f"c{number}"))
        if number % 500 == 0:
            assert writer.flush(20)
    assert writer.flush(20)
    sizes = sum(path.stat().st_size for path in tmp_path.glob("journal-*"))
    assert writer.close(20)
    assert sizes < 3_000 * 40
