"""A call told as a story, from its events, on both databases."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from sqlalchemy import Engine

from ivr.picture.ladder import as_svg, as_text
from ivr.records.trace import NoSuchCall, SeveralCalls, TracedCall, traced
from tests.records.calls import T0, Script, arrived, typical_call
from tests.records.test_recovery import write

INVITE = "INVITE sip:1000@x;from=+4930123456"


def signalled(call_id: str = "c1") -> Script:
    """What was said about both legs of a typical call, which comes when it is over."""
    call = Script(call_id)
    first = [T0 - 2, "in", "udp x:5060", INVITE, 1, "PCMU 10.0.0.7:4000"]
    call.at(62, "leg.signalling", "a", lines=[first, [T0 + 90, "out", "udp x:5060", "200 OK (INVITE)", 1, None]])
    first = [T0 + 8000, "out", "udp y:5060", "INVITE sip:seat1@y", 7, None]
    last = [T0 + 8100, "in", "udp y:5060", "486 Busy <&> (INVITE)", 7, None]
    return call.at(62, "leg.signalling", "b", lines=[first, last])


def told(call: TracedCall) -> list[str]:
    return [f"{line.at_ms / 1000:g} {line.kind} {line.place} {line.what}".replace("  ", " ") for line in call.lines]


def test_a_call_is_told_in_order(engine: Engine) -> None:
    write(engine, [*typical_call("c1"), *signalled().events])
    call = traced(engine, "c1")
    assert told(call) == [
        "0.1 ivr answered",
        "0.1 ivr main:4 say heard 2.9 s → menu",
        "3 ivr main:9 menu try 1: key '9' (RFC 4733), no_match",
        "5 ivr main:None menu try 2: cutting the prompt → sales",
        "8 offer calls sip:seat1@x",
        "8 ivr main:None dial hangup",
        "8.2 offer sip:seat1@x rings",
        "12 offer sip:seat1@x answers",
        "12 talk talks with sip:seat1@x",
        "30 hold sip:seat1@x holds",
        "40 talk sip:seat1@x is back",
        "60 talk ended by caller (bye)",
    ]
    assert (call.caller, call.did) == ("••••••••456", "1000")
    assert [ladder.leg for ladder in call.ladders] == ["caller", "b"]
    assert call.ladders[0].messages[0].text == "INVITE sip:1000@x;from=••••••••456"


def test_what_was_said_is_told_as_far_as_it_may_be(engine: Engine) -> None:
    call = Script("c1").at(0, "call.arrived", **arrived())
    spoken = {"verb": "menu", "input_mode": "speech", "line": 4, "step": 1}
    likely = {"took_ms": 90, "alternatives": [{"text": "sales", "confidence": 0.82}]}
    call.step(1, "menu", 0, 1, **spoken, try_no=1, detail={"took_ms": 90, "alternatives": []}, exit="no_match")
    call.step(2, "menu", 1, 2, **spoken, try_no=2, detail={"took_ms": 90}, confidence=0.9, exit="no_match")
    found = {"confidence": 0.82, "input": "sales", "exit": "1", "next_block": "sales", "heard_ms": 1500}
    call.step(3, "menu", 2, 3, **spoken, try_no=3, detail=likely, **found)
    write(engine, call.events)
    assert told(traced(engine, "c1")) == [
        "0 ivr main:4 menu try 1: said what nobody understood, no_match",
        "1 ivr main:4 menu try 2: said what is secret 0.90, no_match",
        '2 ivr main:4 menu try 3: said "sales" 0.82, prompt heard 1.5 s, 1 → sales',
    ]


def test_whole_numbers_only_where_they_are_asked_for(engine: Engine) -> None:
    write(engine, [*typical_call("c1"), *signalled().events])
    assert "4930123456" not in repr(traced(engine, "c1"))
    assert traced(engine, "c1", numbers=True).ladders[0].messages[0].text == INVITE


def test_a_call_is_found_by_part_of_its_id(engine: Engine) -> None:
    for number, call_id in enumerate(("abc123", "abd456", "xyz%")):
        write(engine, typical_call(call_id, T0 + number))
    assert traced(engine, "abc").call_id == "abc123"
    assert traced(engine, "456").call_id == "abd456"
    assert traced(engine, "last").call_id == "xyz%"
    with pytest.raises(SeveralCalls) as several:
        traced(engine, "ab")
    assert several.value.args == ("abc123", "abd456")
    for unknown in ("nothing", "", "%b", "_"):
        with pytest.raises(NoSuchCall):
            traced(engine, unknown)


def test_a_call_under_way_and_one_of_which_little_is_known(engine: Engine) -> None:
    running = Script("c1").at(0, "call.arrived", **arrived())
    odd = Script("c2").at(0, "flow.step", verb=None, detail={"seconds": 1.5, "method": "GET"}).at(1, "leg.ended", None)
    write(engine, running.events)
    write(engine, odd.events)
    assert traced(engine, "c1").ended_at is None
    assert traced(engine, "c2").call_id == "c2"


def test_the_ladder_is_drawn_with_every_party_and_message(engine: Engine) -> None:
    write(engine, [*typical_call("c1"), *signalled().events])
    ladders = traced(engine, "c1").ladders
    text = as_text(ladders)
    head, *rows = text.splitlines()
    assert "••••••••456" in head
    assert "this server" in head
    assert [row.split()[0] for row in rows] == ["-0.002", "0.090", "8.000", "8.100"]
    assert rows[0].index("▶") < rows[2].index("▶")
    assert "◀" in rows[1]
    assert rows[0].endswith("PCMU 10.0.0.7:4000")
    drawn = ElementTree.fromstring(as_svg(ladders, "Call <c1>"))
    words = [element.text for element in drawn.iter() if element.text]
    assert "486 Busy <&> (INVITE)" in words
    assert "Call <c1>" in words
