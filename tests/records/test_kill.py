"""The process dies without a word, fifty times in a row: what was promised stands, once, and rows derive from it."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import groupby
from pathlib import Path

from sqlalchemy import select

from ivr.records import model
from ivr.records.audit import audit
from ivr.records.database import open_database
from ivr.records.recovery import rebuild
from ivr.records.spool import Spool
from ivr.records.writer import RecordWriter
from tests.records.killing import EVENTS
from tests.records.tables import rows

KILLS = {"sqlite": 50, "postgresql": 15}


def test_killed_at_any_moment(url: str, tmp_path: Path) -> None:
    open_database(url).dispose()
    spool = tmp_path / "spool"
    kills = KILLS[url.partition(":")[0]]
    killing = [sys.executable, "-m", "tests.records.killing", url, str(spool), str(kills), "7"]
    said = subprocess.run(killing, stdout=subprocess.PIPE, text=True, check=True, timeout=300).stdout.splitlines()
    promised = {call_id: (count, answered) for call_id, count, answered in map(json.loads, said)}
    assert len(promised) > 100
    assert len({call_id.partition("-")[0] for call_id in promised}) > kills // 4

    engine = open_database(url)
    last = RecordWriter(engine, spool=Spool(spool), node_id="node1")
    assert last.caught_up(60)
    assert last.statistics.lost == 0
    assert last.close(20)

    events = model.Event
    with engine.connect() as connection:
        found = connection.execute(
            select(events.call_id, events.seq, events.type).order_by(events.call_id, events.seq)
        ).all()
        answered = set(connection.scalars(select(model.Call.call_id).where(model.Call.answered_at.is_not(None))))
    there: dict[str, int] = {}
    for call_id, of_call in groupby(found, key=lambda row: str(row.call_id)):
        seqs, types = zip(*((row.seq, row.type) for row in of_call), strict=True)
        whole = len(types) == len(EVENTS)
        # None is missing in between, none is there twice, and the end of the process ended what it left open.
        assert seqs == tuple(range(len(types)))
        assert list(types) == (EVENTS if whole else [*EVENTS[: len(types) - 1], "call.ended"])
        there[call_id] = len(types) if whole else len(types) - 1
    missing = {call_id: count for call_id, (count, _) in promised.items() if there.get(call_id, 0) < count}
    assert not missing
    assert {call_id for call_id, (_, was) in promised.items() if was} <= answered

    assert list(audit(engine, 0)) == []
    before = rows(engine)
    rebuild(engine)
    assert rows(engine) == before
    engine.dispose()
