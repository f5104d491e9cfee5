"""What is deleted when it is old, who is taken out, and what an audit finds."""

from __future__ import annotations

import json
import threading
import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, select

from ivr.records import model, nightly, retention
from ivr.records.audit import audit
from ivr.records.erasure import erase
from ivr.records.events import RecordEvent
from ivr.records.keeping import Retention
from ivr.records.nightly import Nightly, next_night
from ivr.records.recovery import rebuild
from ivr.records.retention import retain
from ivr.records.room import room, vacuum
from tests.records.calls import T0, Script, arrived, typical_call
from tests.records.tables import rows, scalar
from tests.records.test_recovery import write
from tests.records.test_writer import wait_until

DAY_MS = 86_400_000
DAY_S = 86_400.0
NOW = T0 + 100 * DAY_MS
CALLER = "+4930123456"


def count(engine: Engine, table: str) -> int:
    return int(str(scalar(engine, f"SELECT count(*) FROM {table}")))


def counts(engine: Engine) -> dict[str, int]:
    return {name: count(engine, name) for name in ("calls", "events", "flow_steps", "legs", "segments", "tags")}


def tagged(call_id: str, start: int) -> list[RecordEvent]:
    events = typical_call(call_id, start)
    events.insert(-1, RecordEvent(start + 59_000, "tag", call_id, None, {"name": "customer", "value": "K 4711"}))
    return events


# Deleting. ------------------------------------------------------------------------------------------------


@pytest.fixture
def aged(engine: Engine) -> Engine:
    """A call of each tenth day, oldest 100 days old, and one that is under way since then."""
    write(engine, *(tagged(f"c{age:03}", NOW - age * DAY_MS) for age in range(10, 101, 10)))
    write(engine, typical_call("open", NOW - 100 * DAY_MS)[:13])
    write(engine, [RecordEvent(NOW - age * DAY_MS, "flow.live", "", None, {"live": {}}) for age in (95, 5)])
    return engine


def test_each_table_keeps_what_it_may(aged: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_CALLS_AT_A_TIME", 2)
    wanted = Retention(events=35 * DAY_S, flow_steps=55 * DAY_S, tags=15 * DAY_S, calls=85 * DAY_S)
    before = counts(aged)
    would = retain(aged, wanted, NOW, dry_run=True)
    assert counts(aged) == before
    assert retain(aged, wanted, NOW) == would
    after = counts(aged)
    assert {table: before[table] - after[table] for table in would} == would
    # Of the calls 90 and 100 days old nothing, of those under 35 everything but tags; the one under way stays.
    assert after == {
        "calls": 9,
        "events": 3 * 21 + 13 + 1,
        "flow_steps": 5 * 4 + 3,
        "legs": 8 * 2 + 2,
        "segments": 8 * 6 + 3,
        "tags": 1,
    }
    kept = rows(aged)
    rebuild(aged)
    again = rows(aged)
    # What has its events can be derived again, tags and steps too, until the next night.
    assert {**again, "tags": [], "flow_steps": []} == {**kept, "tags": [], "flow_steps": []}
    retain(aged, wanted, NOW)
    assert rows(aged) == kept


def test_nothing_is_deleted_that_is_not_asked_for(aged: Engine) -> None:
    before = rows(aged)
    assert retain(aged, Retention(), NOW) == {}
    assert not Retention()
    retain(aged, Retention(calls=3650 * DAY_S), NOW)
    assert rows(aged) == before


def test_deleting_is_ended_between_two_batches(aged: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_CALLS_AT_A_TIME", 1)
    stop = threading.Event()
    retain(aged, Retention(calls=DAY_S), NOW, stop=stop, told=lambda table, rows: stop.set())
    assert count(aged, "calls") == 10


def test_it_is_done_every_night(
    aged: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(nightly, "next_night", lambda now, zone: now + 0.05)
    caplog.set_level("INFO", "ivr.records")
    nights = Nightly(aged, lambda: (Retention(calls=DAY_S), ZoneInfo("Europe/Berlin")))
    nights.start()
    wait_until(lambda: "deleted as too old: 210 of events" in caplog.text)
    nights.stop()
    assert not nights._thread.is_alive()
    assert count(aged, "calls") == 1


def test_a_night_without_a_database_is_not_the_last(
    aged: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(nightly, "next_night", lambda now, zone: now + 0.05)
    with aged.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE tags RENAME TO gone")
    nights = Nightly(aged, lambda: (Retention(tags=DAY_S), ZoneInfo("UTC")))
    nights.start()
    wait_until(lambda: "the next night has another try" in caplog.text)
    with aged.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE gone RENAME TO tags")
    wait_until(lambda: count(aged, "tags") == 0)
    nights.stop()


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-27T02:00:00+01:00", "2026-11-27T03:17:00+01:00"),
        ("2026-11-27T03:17:00+01:00", "2026-11-28T03:17:00+01:00"),
        # The night in which the clock is put back, and the one in which it is put forward.
        ("2026-10-24T12:00:00+02:00", "2026-10-25T03:17:00+01:00"),
        ("2026-03-28T12:00:00+01:00", "2026-03-29T03:17:00+02:00"),
    ],
)
def test_night_is_by_the_clock_of_the_site(now: str, due: str) -> None:
    seconds = datetime.fromisoformat(now).timestamp()
    assert next_night(seconds, ZoneInfo("Europe/Berlin")) == datetime.fromisoformat(due).timestamp()


# Taking out. ----------------------------------------------------------------------------------------------


def talkative(call_id: str, caller: str = CALLER) -> list[RecordEvent]:
    """A call in which everything is said that the records could repeat."""
    call = Script(call_id)
    call.at(0, "call.arrived", **arrived(caller=caller, caller_name="Zoë Müller", trace_id="t1"))
    call.at(0, "leg.created", "a", kind="sip", role="caller", remote=f"sip:{caller}@x", sip_call_id="i@phone-of-zoe")
    call.at(0.1, "call.answered").at(0.1, "leg.answered", "a", codec="PCMU")
    call.step(0, "who", 0, 4, verb="ask", input_mode="keys", input="19830217", try_no=1, exit="next")
    alternatives = [{"text": "zoe mueller", "confidence": 0.8}]
    call.step(1, "name", 4, 8, verb="ask", input_mode="speech", input="zoe mueller", confidence=0.8, exit="next",
              detail={"took_ms": 80, "alternatives": alternatives})  # fmt: skip
    call.at(8, "speech", hypotheses=1, confidence=0.8, transcript="zoe mueller")
    call.at(8, "key", key="7", source="info")
    call.at(9, "tag", name="customer", value="Zoë Müller, 19830217")
    call.at(9, "log", text=f"crm says {caller} is zoe mueller").at(9, "error", text="zoe mueller not found")
    call.at(9, "call.marked", goal="booked")
    call.at(10, "leg.created", "b", kind="sip", role="agent", account="seat1", remote="sip:seat1@x")
    call.at(11, "leg.answered", "b").at(11, "bridge.join", leg="b")
    call.at(20, "leg.ended", "a", remote=f"sip:{caller}@x", rx_pkts=99).at(20, "leg.ended", "b", rx_pkts=98)
    call.at(20, "call.ended", ended_by="caller", end_cause="bye", goal="booked")
    call.at(21, "leg.signalling", "a", lines=[[T0, "in", "udp x:5060", f"INVITE from={caller}", 1, None]])
    return call.events


TOLD = ("30123456", "Zo\\u00eb", "Zoë", "zoe", "1983", "phone-of")


def everything(engine: Engine) -> str:
    with engine.connect() as connection:
        events = [tuple(row) for row in connection.execute(select(model.Event.__table__))]
    return repr((rows(engine), events))


@pytest.mark.parametrize("spelt", [CALLER, "4930123456", "0049 30 / 123456"])
def test_a_caller_is_taken_out_and_still_counted(engine: Engine, spelt: str) -> None:
    write(engine, talkative("his"), talkative("hers", "+4930123457"), typical_call("other", caller="4711"))
    others = [row for row in rows(engine)["calls"] if row[0] != "his"]
    looked = erase(engine, spelt, NOW, dry_run=True)
    assert any(word in everything(engine) for word in TOLD)
    erased = erase(engine, spelt, NOW)
    assert erased == looked
    assert (erased.calls, erased.steps, erased.tags, erased.legs) == (["his"], 2, 1, 1)
    assert erased.events == 11
    with engine.connect() as connection:
        left = [str(row.data) for row in connection.execute(select(model.Event).where(model.Event.call_id == "his"))]
    with engine.connect() as connection:
        columns = model.Call.__table__.columns
        call = connection.execute(select(*columns).where(columns.call_id == "his")).one()
    assert not [word for word in TOLD if word in repr(left) + repr(call)]
    his = [row for table in rows(engine).values() for row in table if row[0] == "his"]
    assert len(his) > 8
    assert not [word for word in TOLD if word in repr(his)]
    assert (call.caller, call.caller_name) == (None, None)
    # How it went is still known, and that of others untouched.
    assert (call.goal, call.flow, call.did, call.ended_at - call.arrived_at) == ("booked", "main", "1000", 20_000)
    assert [row for row in rows(engine)["calls"] if row[0] != "his"] == others
    before = rows(engine)
    rebuild(engine)
    assert rows(engine) == before
    assert erase(engine, spelt, NOW).calls == []


def test_a_number_that_was_called_is_taken_out_of_those_calls(engine: Engine) -> None:
    call = Script("out").at(0, "call.arrived", **arrived(caller="seat9", did=CALLER, mode="rtc_to_sip"))
    call.at(1, "leg.created", "b", kind="pstn", role="agent", remote=f"sip:{CALLER}@carrier", account=CALLER)
    call.step(1, "ring", 0, 9, verb="transfer", exit="answered", detail={"to": f"tel:{CALLER}", "ref": "x4930123456y"})
    call.at(9, "call.ended", ended_by="caller")
    write(engine, call.events, typical_call("other", caller="4711"))
    before = [row for row in rows(engine)["calls"] if row[0] == "other"]
    erased = erase(engine, CALLER, NOW)
    assert (erased.calls, erased.mentions) == ([], ["out"])
    assert CALLER not in everything(engine)
    # Not what only looks like it.
    assert "x4930123456y" in everything(engine)
    assert [row for row in rows(engine)["calls"] if row[0] == "other"] == before
    kept = rows(engine)
    rebuild(engine)
    assert rows(engine) == kept


def test_calls_under_way_are_left_alone_and_told(sqlite: Engine) -> None:
    write(sqlite, typical_call("now")[:10], typical_call("just"))
    before = rows(sqlite)
    erased = erase(sqlite, CALLER, T0 + 90_000)
    assert sorted(erased.under_way) == ["just", "now"]
    assert rows(sqlite) == before


def test_no_number_is_no_caller(sqlite: Engine) -> None:
    with pytest.raises(ValueError, match="no number"):
        erase(sqlite, "  ", NOW)


# Checking. ------------------------------------------------------------------------------------------------


def test_records_that_are_whole(engine: Engine) -> None:
    write(engine, typical_call("c1"), talkative("c2"))
    looked: list[int] = []
    assert list(audit(engine, NOW, looked=looked.append)) == []
    assert looked == [2]


HARMS = (
    ("UPDATE segments SET from_at = from_at + 70 WHERE seq = 2", "a gap of 70 ms before segment 2 (offer)"),
    ("UPDATE segments SET until_at = until_at + 70 WHERE seq = 2", "overlap by 70 ms before segment 3 (talk)"),
    ("DELETE FROM segments WHERE seq = 1", "segment 1 is missing"),
    ("DELETE FROM segments", "has no segments"),
    ("UPDATE segments SET until_at = until_at - 70 WHERE seq = 5", "its segments end 70 ms before the call does"),
    ("UPDATE segments SET until_at = NULL WHERE seq = 5", "its last segment has no end"),
    ("UPDATE segments SET until_at = NULL WHERE seq = 3", "segment 3 has no end, and another follows it"),
    ("UPDATE legs SET ended_at = ended_at + 70 WHERE leg_id = 'b'", "leg b ends 70 ms after the call ended"),
    ("UPDATE legs SET created_at = created_at - 70 WHERE leg_id = 'a'", "leg a is created 70 ms before the call"),
    ("UPDATE legs SET ended_at = NULL WHERE leg_id = 'b'", "leg b has no end"),
    ("UPDATE legs SET answered_at = ended_at + 1, ended_at = answered_at WHERE leg_id = 'b'", "ends before it"),
    ("UPDATE calls SET ended_at = arrived_at - 1", "ended before it arrived"),
    ("UPDATE calls SET ended_by = NULL", "was ended by nobody"),
    ("UPDATE calls SET answered_at = ended_at + 1", "was answered before it arrived or after it ended"),
    ("UPDATE calls SET closed = 0, ended_at = NULL", "has not ended, and node node1 does not run"),
)


def test_what_is_not_whole_is_named(engine: Engine) -> None:
    write(engine, typical_call("c1"))
    for harm, what in HARMS:
        with engine.begin() as connection:
            connection.exec_driver_sql(harm)
        found = [finding for finding in audit(engine, NOW) if what in finding.what]
        assert [(finding.call_id, finding.arrived_at, finding.caller) for finding in found] == [("c1", T0, CALLER)], (
            harm
        )
        # Rows derive from events: whatever was done to them is put right.
        rebuild(engine)
        assert list(audit(engine, NOW)) == []
    assert list(audit(engine, NOW, since=T0 + 1)) == []


def test_a_call_under_way_is_in_order_while_its_node_runs(sqlite: Engine) -> None:
    write(sqlite, typical_call("c1")[:13])
    assert [finding.what for finding in audit(sqlite, NOW)] == ["has not ended, and node node1 does not run"]
    with sqlite.begin() as connection:
        connection.exec_driver_sql(
            f"INSERT INTO spools(spool, node_id, position, seen_at) VALUES ('s', 'node1', 1, {NOW - 60_000})"
        )
    assert list(audit(sqlite, NOW)) == []
    assert len(list(audit(sqlite, NOW + 3_600_000))) == 1


def test_events_without_a_row_are_found(sqlite: Engine) -> None:
    write(sqlite, typical_call("c1"))
    with sqlite.begin() as connection:
        for table in ("tags", "flow_steps", "segments", "legs", "calls"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    assert [(finding.call_id, finding.arrived_at) for finding in audit(sqlite, NOW)] == [("c1", T0)]


# Room. ----------------------------------------------------------------------------------------------------


def test_room_is_told_and_given_back(engine: Engine) -> None:
    write(engine, *(typical_call(f"c{number}") for number in range(200)))
    told = {one.table: one for one in room(engine)}
    assert (told["events"].rows, told["events"].oldest, told["calls"].rows) == (4_000, T0, 200)
    retain(engine, Retention(calls=DAY_S), NOW)
    before, after = vacuum(engine)
    assert 0 < after < before
    assert json.dumps([one.rows for one in room(engine) if one.table == "events"]) == "[0]"


def test_erasing_and_deleting_wait_for_no_calls(engine: Engine) -> None:
    """A server writes meanwhile: neither is in the other's way."""
    write(engine, *(talkative(f"c{number}") for number in range(60)))
    done = threading.Event()

    def clear() -> None:
        erase(engine, CALLER, NOW)
        retain(engine, Retention(events=DAY_S), NOW)
        done.set()

    worker = threading.Thread(target=clear)
    worker.start()
    end = time.monotonic() + 30
    number = 0
    while not done.is_set() and time.monotonic() < end:
        write(engine, typical_call(f"new{number}", NOW, caller="4711"))
        number += 1
    worker.join(30)
    assert done.is_set()
    assert count(engine, "calls") == 60 + number
    assert count(engine, "events") == 20 * number
