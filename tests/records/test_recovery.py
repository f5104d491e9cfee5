"""After a crash, and after rows were lost."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from ivr.records import recovery
from ivr.records.events import RecordEvent
from ivr.records.recovery import close_dead_calls, rebuild
from ivr.records.writer import RecordWriter
from tests.records.calls import T0, Script, arrived, typical_call
from tests.records.tables import rows, scalar


def write(engine: Engine, *calls: list[RecordEvent]) -> None:
    writer = RecordWriter(engine)
    for call in calls:
        for event in call:
            writer.append(event)
    assert writer.close(30)


def test_dead_calls_are_closed_at_their_last_event(engine: Engine) -> None:
    write(engine, typical_call("dead")[:13], typical_call("done"), typical_call("other", node_id="node2")[:13])
    assert scalar(engine, "SELECT count(*) FROM calls WHERE closed = 0") == 2
    assert close_dead_calls(engine, "node1") == 1
    assert close_dead_calls(engine, "node1") == 0
    with engine.connect() as connection:
        call = connection.exec_driver_sql(
            "SELECT ended_at - arrived_at, ended_by, end_cause, last_block, closed FROM calls WHERE call_id = 'dead'"
        ).one()
        legs = connection.exec_driver_sql("SELECT ended_at - created_at FROM legs WHERE call_id = 'dead'").all()
        segments = connection.exec_driver_sql(
            "SELECT sum(until_at - from_at), count(*), count(until_at) FROM segments WHERE call_id = 'dead'"
        ).one()
    assert tuple(call) == (12_000, "system", "node_lost", "menu", 1)
    assert sorted(leg[0] for leg in legs) == [4_000, 12_000]
    assert segments[0] == 12_000
    assert segments[1] == segments[2]
    assert scalar(engine, "SELECT closed FROM calls WHERE call_id = 'other'") == 0
    before = rows(engine)
    rebuild(engine)
    assert rows(engine) == before


def test_a_call_that_never_said_its_node_is_closed_too(engine: Engine) -> None:
    write(engine, Script("c1").at(5, "call.answered").events)
    assert close_dead_calls(engine, "node1") == 1


def test_many_dead_calls(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "_CALLS_AT_A_TIME", 7)
    write(engine, *(typical_call(f"c{number}")[: number % 12 + 1] for number in range(50)))
    assert close_dead_calls(engine, "node1") == 50
    assert scalar(engine, "SELECT count(*) FROM legs WHERE ended_at IS NULL") == 0


def test_lost_rows_come_back(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "_CALLS_AT_A_TIME", 7)
    write(engine, *(typical_call(f"c{number:02}")[: number + 1] for number in range(25)))
    before = rows(engine)
    with engine.begin() as connection:
        for table in ("tags", "flow_steps", "segments", "legs", "calls"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    assert rebuild(engine) == 25
    assert rows(engine) == before


def test_rows_that_no_event_explains_go_and_calls_without_events_stay(engine: Engine) -> None:
    write(engine, typical_call("c1"), typical_call("old"))
    before = rows(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM events WHERE call_id = 'old'")
        connection.exec_driver_sql("INSERT INTO legs(call_id, leg_id) VALUES ('c1', 'ghost')")
        connection.exec_driver_sql("UPDATE calls SET caller = 'nonsense' WHERE call_id = 'c1'")
    assert rebuild(engine) == 1
    assert rows(engine) == before


def test_calls_under_way_can_be_left_to_their_node(engine: Engine) -> None:
    write(engine, typical_call("done"), Script("c1").at(0, "call.arrived", **arrived()).events)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE calls SET arrived_at = {T0 - 5}")
    assert rebuild(engine, ended_before=T0 + 61_000) == 1
    assert scalar(engine, "SELECT arrived_at FROM calls WHERE call_id = 'c1'") == T0 - 5
    assert scalar(engine, "SELECT arrived_at FROM calls WHERE call_id = 'done'") == T0
