"""Rows from events: the time line, and what must hold whatever the events are."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.records import derive as module
from ivr.records import model
from ivr.records.derive import CallRecord, Changes, Row, derive
from ivr.records.events import RecordEvent
from tests.records.calls import T0, Script, any_call, arrived, typical_call

KEYS = {
    "calls": (model.Call.__table__, 1),
    "legs": (model.Leg.__table__, 2),
    "segments": (model.Segment.__table__, 2),
    "flow_steps": (model.FlowStep.__table__, 2),
    "tags": (model.Tag.__table__, 2),
}


def named(changes: Changes, table: str) -> list[dict[str, object]]:
    columns = [column.name for column in KEYS[table][0].columns]
    return [dict(zip(columns, row, strict=True)) for row in getattr(changes, table)]


def tables(changes: list[Changes]) -> dict[str, dict[Row, Row]]:
    """What a database holds after these changes: the last row of each key."""
    held: dict[str, dict[Row, Row]] = {table: {} for table in KEYS}
    for change in changes:
        for table, (_, key_length) in KEYS.items():
            for row in getattr(change, table):
                held[table][row[:key_length]] = row
    return held


def timeline(events: list[RecordEvent]) -> list[tuple[object, float, object]]:
    """Kind, length in seconds and agent of every segment."""
    return [
        (row["kind"], (int(str(row["until_at"])) - int(str(row["from_at"]))) / 1000, row["agent"])
        for row in named(derive(events, "c1")[1], "segments")
    ]


def assert_without_gap(changes: Changes) -> None:
    [call] = named(changes, "calls")
    segments = named(changes, "segments")
    assert [row["seq"] for row in segments] == list(range(len(segments)))
    assert segments[0]["from_at"] == call["arrived_at"]
    for row, following in pairwise(segments):
        assert row["until_at"] == following["from_at"]
        assert int(str(row["from_at"])) <= int(str(row["until_at"]))
    assert segments[-1]["until_at"] == call["ended_at"]


# Calls as they come. --------------------------------------------------------------------------------------


def test_a_typical_call() -> None:
    events = typical_call("c1")
    assert timeline(events) == [
        ("ring", 0.1, None),
        ("ivr", 7.9, None),
        ("offer", 4, None),
        ("talk", 18, "seat1"),
        ("hold", 10, "seat1"),
        ("talk", 20, "seat1"),
    ]
    _, changes = derive(events, "c1")
    [call] = named(changes, "calls")
    assert call["answered_at"] == T0 + 100
    assert (call["ended_by"], call["end_cause"], call["last_block"], call["closed"]) == ("caller", "bye", "sales", 1)
    assert [leg["role"] for leg in named(changes, "legs")] == ["caller", "agent"]
    assert [step["block"] for step in named(changes, "flow_steps")] == ["welcome", "menu", "menu", "sales"]


def test_a_call_that_is_refused_after_early_media_was_not_answered() -> None:
    call = Script("c1").at(0, "call.arrived").at(0, "leg.created", "a", role="caller")
    call.at(1, "leg.early_media", "a").at(2, "leg.early_media", "a").at(3, "call.marked", disposition="closed")
    call.at(4, "call.ended", ended_by="flow", end_cause="rejected", sip_status=486)
    _, changes = derive(call.events, "c1")
    [leg], [row] = named(changes, "legs"), named(changes, "calls")
    assert (leg["early_media_at"], leg["answered_at"]) == (T0 + 1000, None)
    assert (row["answered_at"], row["sip_status"], row["disposition"]) == (None, 486, "closed")
    assert timeline(call.events) == [("ring", 4, None)]


def test_what_comes_after_the_answer_is_not_early() -> None:
    call = Script("c1").at(0, "call.arrived").at(1, "leg.answered", "a").at(2, "leg.early_media", "a")
    [leg] = named(derive(call.events, "c1")[1], "legs")
    assert leg["early_media_at"] is None


def test_an_offer_before_the_answer_counts_as_offer() -> None:
    call = Script("c1").at(0, "call.arrived").at(1, "offer.start").at(5, "offer.end", outcome="no_answer")
    call.at(6, "call.answered").at(8, "call.ended")
    assert timeline(call.events) == [("ring", 1, None), ("offer", 4, None), ("ring", 1, None), ("ivr", 2, None)]


def test_an_agent_who_left_is_not_talking() -> None:
    call = Script("c1").at(0, "call.arrived").at(0, "call.answered")
    call.at(0, "leg.created", "b", role="agent", kind="sip", account="seat1").at(1, "bridge.join", leg="b")
    call.at(4, "leg.ended", "b", hangup_by="remote").at(3600, "call.ended", ended_by="caller")
    assert timeline(call.events)[1:] == [("ivr", 1, None), ("talk", 3, "seat1"), ("ivr", 3596, None)]


def test_a_transfer_from_seat_to_seat() -> None:
    call = Script("c1").at(0, "call.arrived").at(0, "call.answered")
    call.at(0, "leg.created", "b", account="seat1").at(0, "leg.created", "d", account="seat2")
    call.at(0, "bridge.join", leg="b").at(5, "bridge.join", leg="d").at(9, "call.ended")
    assert timeline(call.events)[2:] == [("talk", 5, "seat1"), ("talk", 4, "seat2")]


def test_the_caller_can_hold_too_and_both_at_once() -> None:
    call = Script("c1").at(0, "call.arrived").at(0, "call.answered").at(0, "leg.created", "a", role="caller")
    call.at(0, "leg.created", "b", role="agent", account="seat1").at(1, "bridge.join", "b")
    call.at(2, "leg.held", "a").at(3, "leg.held", "b").at(4, "leg.retrieved", "a").at(6, "leg.retrieved", "b")
    call.at(7, "leg.held").at(8, "leg.retrieved").at(9, "call.ended")
    assert [(kind, length) for kind, length, _ in timeline(call.events)[2:]] == [
        ("talk", 1),
        ("hold", 4),
        ("talk", 1),
        ("hold", 1),
        ("talk", 1),
    ]


def test_taking_down_the_rest_adds_no_segment() -> None:
    call = Script("c1").at(0, "call.arrived").at(0, "call.answered").at(0, "leg.created", "a", role="caller")
    call.at(0, "leg.created", "b", account="seat1").at(1, "bridge.join", "b").at(5, "leg.ended", "a")
    call.at(5.01, "bridge.leave").at(5.02, "leg.ended", "b").at(5.03, "call.ended")
    assert timeline(call.events)[-1] == ("talk", 4.03, "seat1")


def test_a_clock_set_back_stands_still() -> None:
    call = Script("c1").at(10, "call.arrived").at(20, "call.answered").at(5, "offer.start").at(8, "offer.end")
    call.at(26, "call.ended")
    assert timeline(call.events) == [("ring", 10, None), ("ivr", 0, None), ("offer", 0, None), ("ivr", 6, None)]


def test_a_step_lies_within_the_call() -> None:
    call = Script("c1").at(0, "call.arrived").step(1, "menu", -5, 3).at(4, "call.ended")
    call.step(2, "late", 3, 9)
    steps = named(derive(call.events, "c1")[1], "flow_steps")
    assert [(step["from_at"], step["until_at"]) for step in steps] == [(T0, T0 + 3000), (T0 + 3000, T0 + 4000)]


def test_marks_hold_before_the_end_and_the_last_word_counts() -> None:
    call = Script("c1").at(0, "call.arrived", **arrived(language="en")).at(1, "call.marked", language="zh", variant="b")
    call.at(2, "call.marked", disposition="asked").at(3, "call.marked", disposition="sold", goal="told")
    row = named(derive(call.events, "c1")[1], "calls")[-1]
    assert (row["language"], row["variant"], row["disposition"], row["goal"]) == ("zh", "b", "sold", "told")


def test_a_leg_is_reported_twice() -> None:
    call = Script("c1").at(0, "call.arrived").at(0, "leg.created", "b", role="agent", kind="sip", account="seat1")
    call.at(3, "leg.ended", "b", hangup_by="remote", outcome="busy", sip_status=486)
    call.at(9, "leg.ended", "b", kind="pstn", codec="PCMA", rx_pkts=0).at(9, "call.ended")
    [leg] = named(derive(call.events, "c1")[1], "legs")
    assert leg["ended_at"] == T0 + 3000
    assert (leg["outcome"], leg["sip_status"], leg["kind"], leg["codec"]) == ("busy", 486, "pstn", "PCMA")


def test_the_end_of_the_call_ends_its_legs_and_late_reports_count() -> None:
    call = Script("c1").at(0, "call.arrived").at(0, "leg.created", "a", role="caller").at(5, "call.ended")
    call.at(7, "leg.ended", "a", rx_pkts=250).at(8, "tag", name="mood", value="good").at(9, "call.ended")
    record, changes = derive(call.events, "c1")
    [leg] = named(changes, "legs")
    assert (leg["ended_at"], leg["rx_pkts"]) == (T0 + 5000, 250)
    assert named(changes, "tags")[0]["value"] == "good"
    assert record.now == T0 + 5000


def test_a_call_whose_arrival_was_lost_has_its_row() -> None:
    call = Script("c1").at(3, "call.answered").at(5, "call.ended", ended_by="caller")
    [row] = named(derive(call.events, "c1")[1], "calls")
    assert (row["arrived_at"], row["ended_at"], row["mode"]) == (T0 + 3000, T0 + 5000, "ivr")


def test_values_of_the_wrong_kind_become_null() -> None:
    call = Script("c1").at(0, "call.arrived", **arrived(mode="fax", did=1000, caller="1\0\ud800", language=[1]))
    call.at(0, "leg.created", "b", kind="ship", role=7)
    call.at(1, "leg.ended", "b", rx_pkts=2**70, jitter_ms=float("nan"), sip_status="busy", lost_pkts=1.6)
    call.at(2, "call.ended", ended_by="nobody", sip_status=2**40)
    changes = derive(call.events, "c1")[1]
    [row] = named(changes, "calls")
    assert (row["mode"], row["did"], row["caller"], row["language"]) == ("ivr", "1000", "1?", "[1]")
    assert (row["ended_by"], row["sip_status"]) == ("system", None)
    [leg] = named(changes, "legs")
    assert [leg[name] for name in ("kind", "role", "rx_pkts", "jitter_ms", "sip_status", "lost_pkts")] == [
        *[None] * 5,
        2,
    ]


def test_a_call_that_tries_seats_all_night_does_not_grow() -> None:
    call = Script("c1").at(0, "call.arrived")
    for number in range(2_000):
        call.at(number, "leg.created", f"b{number}", role="agent", account=f"seat{number % 3}")
        call.at(number + 0.5, "leg.ended", f"b{number}", outcome="no_answer")
    call.at(3000, "leg.ended", "b0", rx_pkts=5)
    record, changes = derive(call.events, "c1")
    assert len(record._legs) <= module.LEGS_REMEMBERED
    legs = named(changes, "legs")
    assert len(legs) == 2_000
    assert {leg["outcome"] for leg in legs} == {"no_answer"}


# Whatever comes. ------------------------------------------------------------------------------------------


@given(any_call(whole=True))
def test_segments_add_up_to_the_call(events: list[RecordEvent]) -> None:
    assert_without_gap(derive(events, "c1")[1])


@given(any_call().filter(bool))
def test_an_open_call_has_one_open_segment_and_no_gap(events: list[RecordEvent]) -> None:
    _, changes = derive(events, "c1")
    [call] = named(changes, "calls")
    segments = named(changes, "segments")
    assert [row for row in segments if row["until_at"] is None] == ([] if call["closed"] else segments[-1:])
    for row, following in pairwise(segments):
        assert row["until_at"] == following["from_at"]


@given(any_call(whole=True))
def test_nothing_lies_outside_its_call(events: list[RecordEvent]) -> None:
    _, changes = derive(events, "c1")
    [call] = named(changes, "calls")
    for table in ("legs", "segments", "flow_steps"):
        for row in named(changes, table):
            for name, value in row.items():
                if name.endswith("_at") and value is not None:
                    assert int(str(call["arrived_at"])) <= int(str(value)) <= int(str(call["ended_at"])), name
    for leg in named(changes, "legs"):
        assert leg["ended_at"] is not None


@given(any_call(), st.data())
@settings(max_examples=200)
def test_rows_do_not_depend_on_when_they_are_written(events: list[RecordEvent], data: st.DataObject) -> None:
    whole = derive(events, "c1")[1]
    record = CallRecord("c1")
    pieces: list[Changes] = []
    for event in events:
        record.apply(event)
        if data.draw(st.booleans()):
            pieces.append(Changes())
            record.take_changes(pieces[-1])
    pieces.append(Changes())
    record.take_changes(pieces[-1])
    assert tables(pieces) == tables([whole])
