"""The process dies without a word: what was appended a moment ago stands."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import pytest
from sqlalchemy import select

from ivr.records import model
from ivr.records.database import open_database
from ivr.records.recovery import close_dead_calls, rebuild
from tests.records.tables import rows, scalar

# Says after each append which call it was and when, on the clock that all processes share.
SENDER = """
import itertools, sys, time
from ivr.records.writer import RecordWriter
from tests.records.calls import typical_call
writer = RecordWriter(sys.argv[1])
out = sys.stdout
for number in itertools.count():
    call_id = f"c{number:06}"
    for event in typical_call(call_id)[: number % 20 + 1]:
        writer.append(event)
    print(call_id, number % 20 + 1, time.monotonic(), flush=True)
    time.sleep(0.002)
"""

LOSS_S = 0.2


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment(url: str, seed: int) -> None:
    open_database(url).dispose()
    moment = random.Random(seed).uniform(0.3, 1.2)
    with subprocess.Popen([sys.executable, "-c", SENDER, url], stdout=subprocess.PIPE, text=True) as sender:
        assert sender.stdout is not None
        said = [sender.stdout.readline()]
        time.sleep(moment)
        killed = time.monotonic()
        sender.kill()
        said += sender.stdout.read().splitlines()
    appended = [(call_id, int(count), float(at)) for call_id, count, at in (line.split() for line in said[:-1])]
    due = {call_id: count for call_id, count, at in appended if at < killed - LOSS_S}
    assert len(due) > 20

    engine = open_database(url)
    with engine.connect() as connection:
        standing = set(connection.scalars(select(model.Call.call_id)))
        events = list(connection.scalars(select(model.Event.call_id)))
    assert set(due) <= standing
    assert all(events.count(call_id) == count for call_id, count in due.items())

    close_dead_calls(engine, "node1")
    assert scalar(engine, "SELECT count(*) FROM calls WHERE closed = 0") == 0
    gaps = """SELECT count(*) FROM calls c WHERE ended_at - arrived_at <>
        (SELECT sum(until_at - from_at) FROM segments s WHERE s.call_id = c.call_id)"""
    assert scalar(engine, gaps) == 0
    before = rows(engine)
    rebuild(engine)
    assert rows(engine) == before
    engine.dispose()
