"""Finished calls as others see them, and reading beside a writer."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import pytest
from sqlalchemy import Engine, select

from ivr.records import query
from ivr.records.database import open_database
from ivr.records.model import Leg
from ivr.records.query import finished_calls
from ivr.records.recovery import close_dead_calls
from ivr.records.writer import RecordWriter
from tests.records.calls import T0, Script, typical_call
from tests.records.test_recovery import write


def test_a_finished_call_in_json(engine: Engine) -> None:
    write(engine, typical_call("c1"))
    [call] = finished_calls(engine)
    quality: dict[str, object] = {"codec": "PCMU", "packets": 2400, "lost": 3, "jitter_ms": 1.25}
    quality |= {"ended_at": T0 + 60_000, "outcome": None, "sip_status": 200}
    quality |= dict.fromkeys(("invitation", "invitation_state", "invitation_error"))
    expected = {
        "call_id": "c1",
        "caller": "+4930123456",
        "did": "1000",
        "arrived_at": T0,
        "answered_at": T0 + 100,
        "ended_at": T0 + 60_000,
        "ended_by": "caller",
        "end_cause": "bye",
        "flow": "main",
        "path": ["welcome", "menu", "sales"],
        "legs": [
            {"kind": "sip", "role": "caller", "account": None, "answered_at": T0 + 100, **quality},
            {"kind": "sip", "role": "agent", "account": "seat1", "answered_at": T0 + 12_000, **quality},
        ],
    }
    assert json.loads(json.dumps(call.as_json())) == expected


def test_open_calls_are_not_finished(engine: Engine) -> None:
    write(engine, typical_call("c1")[:-1])
    assert list(finished_calls(engine)) == []
    close_dead_calls(engine, "node1")
    assert [call.end_cause for call in finished_calls(engine)] == ["node_lost"]


def test_what_is_done_after_the_caller_has_gone_is_not_on_the_path(engine: Engine) -> None:
    call = Script("c1").at(0, "call.arrived")
    call.step(1, "menu", 0, 1, step=1, next_block="sales").step(2, "sales", 1, 2, step=1)
    call.step(3, "tidy_up", 2, 2, step=1, verb="log").step(4, "tidy_up", 2, 2, step=2, next_block="tidier")
    call.step(5, "tidier", 2, 2, step=1, verb="end").at(2, "call.ended")
    write(engine, call.events)
    [found] = finished_calls(engine)
    assert found.path == ("menu", "sales")


def test_a_block_entered_again_is_there_again(engine: Engine) -> None:
    call = Script("c1").at(0, "call.arrived")
    call.step(1, "menu", 0, 1, step=1, verb="say").step(2, "menu", 1, 2, step=2, verb="menu", try_no=1)
    call.step(3, "menu", 2, 3, step=2, verb="menu", try_no=2, next_block="hours")
    call.step(4, "hours", 3, 4, step=1, next_block="menu")
    # The menu that leads to itself: said again from the start.
    call.step(5, "menu", 4, 5, step=2, exit="9", next_block="menu").step(6, "menu", 5, 6, step=1)
    call.step(7, "menu", 6, 7, step=2, exit="hangup").at(7, "call.ended")
    write(engine, call.events)
    [summary] = finished_calls(engine)
    assert summary.path == ("menu", "hours", "menu", "menu")


@pytest.mark.parametrize("at_a_time", [1, 3, 500])
def test_newest_last_since_and_limit(engine: Engine, monkeypatch: pytest.MonkeyPatch, at_a_time: int) -> None:
    monkeypatch.setattr(query, "_CALLS_AT_A_TIME", at_a_time)
    # Two each end at the same millisecond.
    write(engine, *(typical_call(f"c{number}", T0 - number // 2 * 1000) for number in range(8)))
    every = ["c6", "c7", "c4", "c5", "c2", "c3", "c0", "c1"]
    assert [call.call_id for call in finished_calls(engine)] == every
    for limit in range(10):
        assert [call.call_id for call in finished_calls(engine, limit=limit)] == every[max(0, 8 - limit) :]
    assert [call.call_id for call in finished_calls(engine, since=T0 + 59_000)] == every[4:]
    assert [call.call_id for call in finished_calls(engine, since=T0 + 59_000, limit=3)] == every[5:]
    assert [call.call_id for call in finished_calls(engine, since=T0 + 59_000, limit=30)] == every[4:]
    assert list(finished_calls(engine, since=T0 + 60_001)) == []


READER = """
import sys
from ivr.records.database import open_database
from ivr.records.model import Leg
from ivr.records.query import finished_calls
engine = open_database(sys.argv[1], writing=False)
seen = 0
print("reading", flush=True)
while seen < int(sys.argv[2]):
    calls = list(finished_calls(engine))
    assert len(calls) >= seen
    assert all(len(call.legs) == 2 and call.path == ("welcome", "menu", "sales") for call in calls)
    seen = len(calls)
print(seen)
"""


def test_another_process_reads_while_this_one_writes(url: str) -> None:
    writer = RecordWriter(url)
    with subprocess.Popen([sys.executable, "-c", READER, url, "300"], stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        for number in range(300):
            for event in typical_call(f"c{number}", T0 + number):
                writer.append(event)
            time.sleep(0.002)
        assert writer.flush(30)
        assert not writer.statistics.failing
        assert writer.statistics.last_error is None
        assert reader.stdout.read() == "300\n"
        assert reader.wait(30) == 0
    writer.close()


def test_a_reader_that_stops_halfway_holds_nobody_up(engine: Engine) -> None:
    write(engine, *(typical_call(f"c{number}") for number in range(5)))
    calls = finished_calls(engine)
    assert next(calls).call_id == "c0"
    done = threading.Event()

    def later() -> None:
        write(engine, typical_call("c9", T0 + 1000))
        done.set()

    threading.Thread(target=later).start()
    assert done.wait(10)
    assert [call.call_id for call in calls] == ["c1", "c2", "c3", "c4"]


def test_an_empty_database(url: str) -> None:
    open_database(url).dispose()
    engine = open_database(url, writing=False)
    assert list(finished_calls(engine)) == []
    engine.dispose()


def test_how_an_invitation_ended(engine: Engine) -> None:
    call = Script("c1").at(0, "call.arrived", mode="sip_to_rtc")
    call.at(0, "leg.created", "a", kind="sip", role="caller", account=None)
    call.at(1, "leg.created", "b", kind="rtc", role="agent", account="alice")
    call.at(2, "leg.ended", "b", hangup_by="remote", sip_status=486, outcome="busy")
    rtc = {"kind": "rtc", "invitation": "inv1", "rtc_channel": "chan1", "sip_call_id": None}
    call.at(3, "leg.ended", "a", sip_status=486, sip_call_id="i")
    call.at(3, "leg.ended", "b", sip_status=486, invitation_state="refused", invitation_error="busy", **rtc)
    call.at(3, "call.ended")
    write(engine, call.events)
    [found] = finished_calls(engine)
    caller, alice = found.legs
    assert (caller.invitation, caller.invitation_end) == (None, None)
    assert (alice.kind, alice.account, alice.outcome, alice.sip_status) == ("rtc", "alice", "busy", 486)
    assert (alice.invitation, alice.invitation_end) == ("inv1", "refused: busy")
    with engine.connect() as connection:
        query = select(Leg.rtc_channel, Leg.sip_call_id).order_by(Leg.leg_id)
        assert connection.execute(query).all() == [(None, "i"), ("chan1", None)]
