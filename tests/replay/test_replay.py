"""Recorded calls done again: the same way with the same flow, another with another, and honest where it cannot know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ivr.flow.loader import load_flows
from ivr.flow.model import Flow
from ivr.records.recorded import RecordedCall
from ivr.replay.comparison import AGAIN, END, Change, Verdict, compare, gather
from ivr.replay.driver import former_names, replay
from ivr.run.environment import Environment
from ivr.run.requests import Asked, HttpResponse, NoReply, Reply
from ivr.run.script import Script
from tests.replay.stage import acted, environment, flow

OFFICE = """\
flow: office
start: welcome
on_error: bye
on_hangup: gone
vars:
  order: digits
  pin: {type: digits, secret: yes}
  info: json
blocks:
  welcome:
    - answer
    - say: 'Welcome.'
    - goto: main_menu
  main_menu:
    - menu:
        prompt: {say: 'Sales, 1. Orders, 2. Desk, 0.'}
        keys: {'1': sales, '2': ask_order, '3': ask_pin, '0': desk}
        no_input: [{say: 'Please press a key.'}]
        failed: bye
  sales:
    - transfer: {to: 'sip:2001', ring: 20s, answered: bye, busy: desk, refused: desk, no_answer: desk, offline: bye}
  desk:
    - ring: {group: front_desk, strategy: order, ring: 10s, answered: bye, busy: bye, no_answer: bye}
  ask_order:
    - collect: {into: order, prompt: {say: 'Your order?'}, digits: 3..5}
    - http: {get: 'https://crm.example/{order}', into: info, ok: said, status: {'404': main_menu}, failed: bye}
  said:
    - say: 'It is {info.state}.'
    - goto: bye
  ask_pin:
    - collect: {into: pin, prompt: {say: 'Your code?'}, digits: 4}
    - goto: bye
  bye:
    - say: 'Goodbye.'
    - hangup
  gone:
    - log: 'gone'
    - end
"""

OFFICE_FLOW = flow(OFFICE)
Story = Callable[[Script], None]


def crm(asked: Asked) -> tuple[float, Reply]:
    return 0.4, HttpResponse(200, {"state": "sent"})


def no_crm(asked: Asked) -> tuple[float, Reply]:
    return 0.4, NoReply("timed out")


def no_such_order(asked: Asked) -> tuple[float, Reply]:
    return 0.1, HttpResponse(404)


def presses(*keys: str) -> Story:
    def story(call: Script) -> None:
        call.hears("Sales, 1. Orders, 2. Desk, 0.")
        for some in keys:
            call.presses(some)
            call.waits(5.0)

    return story


def sales_answers(call: Script) -> None:
    call.hears("Sales, 1. Orders, 2. Desk, 0.")
    call.seat("2001").answers()
    call.presses("1")
    call.waits(30.0)
    call.seat("2001").hangs_up()


def sales_is_busy(call: Script) -> None:
    call.hears("Sales, 1. Orders, 2. Desk, 0.")
    call.seat("2001").busy()
    call.presses("1")


def leaves(where: str) -> Story:
    def story(call: Script) -> None:
        call.hears(where)
        call.waits(0.5)
        call.hangs_up()

    return story


def leaves_while_it_rings(call: Script) -> None:
    call.hears("Sales, 1. Orders, 2. Desk, 0.")
    call.presses("1")
    call.waits(3.0)
    call.hangs_up()


def wakes_up(call: Script) -> None:
    call.waits(12.0)
    call.presses("0")


def is_silent(call: Script) -> None:
    call.waits(60.0)


RECORDED: dict[str, RecordedCall] = {
    "answered": acted(OFFICE_FLOW, sales_answers),
    "busy, then nobody": acted(OFFICE_FLOW, sales_is_busy),
    "nobody answers": acted(OFFICE_FLOW, presses("0")),
    "leaves in the welcome": acted(OFFICE_FLOW, leaves("Welcome.")),
    "leaves in the menu": acted(OFFICE_FLOW, leaves("Sales, 1. Orders, 2. Desk, 0.")),
    "leaves while it rings": acted(OFFICE_FLOW, leaves_while_it_rings),
    "silent": acted(OFFICE_FLOW, is_silent),
    "wrong key, then silence": acted(OFFICE_FLOW, presses("9")),
    "silence, then a key": acted(OFFICE_FLOW, wakes_up),
    "order": acted(OFFICE_FLOW, presses("2", "1234"), crm),
    "order, crm down": acted(OFFICE_FLOW, presses("2", "12345"), no_crm),
    "order not there, then desk": acted(OFFICE_FLOW, presses("2", "123", "0"), no_such_order),
}


@pytest.mark.parametrize("call", RECORDED.values(), ids=RECORDED)
def test_the_same_flow_leads_the_same_way(call: RecordedCall) -> None:
    again = replay(call, OFFICE_FLOW, environment(OFFICE_FLOW))
    assert (again.path, again.stop, again.reason) == (call.path, None, "")
    assert compare(call, again) == Verdict("c1", "same")


def verdict(name: str, old: str, new: str) -> Verdict:
    assert old in OFFICE
    edited = flow(OFFICE.replace(old, new))
    return compare(RECORDED[name], replay(RECORDED[name], edited, environment(edited)))


def change(block: str, by: str, before: str, after: str) -> Change:
    return Change("office", block, by, before, after)


def test_a_key_that_leads_elsewhere() -> None:
    found = verdict("nobody answers", "'0': desk", "'0': sales")
    assert found.change == change("main_menu", "menu, key 0", "desk", "sales")


def test_a_key_that_is_not_there_any_more() -> None:
    found = verdict("nobody answers", ", '0': desk", "")
    assert found.change == change("main_menu", "menu, key 0", "desk", AGAIN)


def test_only_those_who_went_there_notice() -> None:
    for name in ("answered", "silent", "order", "leaves in the menu"):
        assert verdict(name, "'0': desk", "'0': sales").outcome == "same"


def test_an_exit_that_leads_elsewhere() -> None:
    found = verdict("busy, then nobody", "busy: desk, refused", "busy: bye, refused")
    assert found.change == change("sales", "transfer, busy", "desk", "bye")


def test_the_call_ends_earlier_and_later() -> None:
    early = verdict("nobody answers", "  desk:\n    - ring:", "  desk:\n    - hangup\n  desk_once:\n    - ring:")
    assert early.change == change("desk", "ring, no_answer", "bye", END)
    late = verdict("silent", "    - hangup\n  gone:", "    - goto: gone\n  gone:")
    assert late.change == change("bye", "goto", END, "gone")


def test_another_text_changes_nothing() -> None:
    for name in RECORDED:
        assert verdict(name, "say: 'Welcome.'", "say: 'A very warm welcome to our office.'").outcome == "same", name


def test_a_new_question_cannot_be_answered() -> None:
    asks = "- confirm: {prompt: {say: 'Adult?'}, no: bye}\n    - goto: main_menu"
    found = verdict("answered", "- goto: main_menu", asks)
    assert (found.outcome, found.reason) == ("unknown", "block welcome asks what this caller was not asked there")


def test_fewer_keys_than_were_pressed() -> None:
    found = verdict("order", "digits: 3..5", "digits: 2")
    assert (found.outcome, found.reason) == (
        "unknown",
        "block ask_order takes the first 2 of the keys that were pressed",
    )


def test_another_service_was_not_asked() -> None:
    found = verdict("order", "crm.example/{order}", "crm.example/v2/{order}")
    assert (found.outcome, found.reason) == ("unknown", "block ask_order: what http was answered is not recorded")


def test_a_block_that_was_renamed() -> None:
    edited = flow(
        OFFICE.replace("'0': desk", "'0': reception")
        .replace("busy: desk, refused: desk, no_answer: desk", "busy: reception, refused: bye, no_answer: bye")
        .replace("  desk:\n    - ring:", "  reception:\n    renamed_from: desk\n    steps:\n    - ring:")
    )
    for name in ("nobody answers", "busy, then nobody"):
        again = replay(RECORDED[name], edited, environment(edited))
        assert compare(RECORDED[name], again, former_names(edited)).outcome == "same"


LIMIT = "- limit: {key: '{caller.number}', count: 1, per: 1h, over: bye}"


def test_limits_decide_as_they_did_and_chance_is_not_known() -> None:
    limited = flow(OFFICE.replace("- goto: main_menu", f"{LIMIT}\n    - goto: main_menu"))
    call = acted(limited, presses("0"))
    assert compare(call, replay(call, limited, environment(limited))).outcome == "same"
    before = RECORDED["nobody answers"]
    found = compare(before, replay(before, limited, environment(limited)))
    assert (found.outcome, "by chance" in found.reason) == ("unknown", True)


def test_secrets_are_not_known() -> None:
    call = acted(OFFICE_FLOW, presses("3", "4711"))
    found = compare(call, replay(call, OFFICE_FLOW, environment(OFFICE_FLOW)))
    assert (found.outcome, found.reason) == ("unknown", "what was answered in block ask_pin is secret")


def test_the_findings_count_the_most_frequent_first() -> None:
    one, other = change("a", "menu, key 1", "b", "c"), change("a", "menu, key 2", "b", "c")
    findings = gather(
        [
            Verdict("1", "changed", other),
            Verdict("2", "changed", one),
            Verdict("3", "same"),
            Verdict("4", "changed", one),
            Verdict("5", "unknown", reason="secret"),
        ]
    )
    assert (findings.calls, findings.changed_calls, findings.unknown_calls) == (5, 3, 1)
    assert list(findings.changed.items()) == [(one, ["2", "4"]), (other, ["1"])]


# Parties that are asked first, talks that are cut, callers who are handed over. ----------------------------

DESK = """\
flow: office
start: desk
languages: [en]
blocks:
  desk:
    - answer
    - transfer: {to: 'sip:2001', SETTINGS, answered: talked, busy: none, refused: none, no_answer: none, offline: none,
                 failed: none, max_reached: enough}
  talked: [{say: 'Talked.'}, hangup]
  none: [{say: 'None.'}, hangup]
  enough: [{say: 'Enough.'}, hangup]
"""
KEY = "whisper: new_call, accept_key: '1'"
REFER = "mode: refer"


def desk(settings: str) -> Flow:
    return flow(DESK.replace("SETTINGS", settings))


def talks(seconds: float) -> Story:
    def story(call: Script) -> None:
        call.seat("2001").answers()
        call.waits(2.0)
        call.seat("2001").takes_call()
        call.waits(seconds)
        call.seat("2001").hangs_up()

    return story


def leaves_while_talking(call: Script) -> None:
    call.seat("2001").answers()
    call.waits(90.0)
    call.hangs_up()


def is_busy(call: Script) -> None:
    call.seat("2001").busy()


def is_put_off(call: Script) -> None:
    call.seat("2001").answers()
    call.seat("2001").passes_up()


def is_connected_by_his_telephone(call: Script) -> None:
    call.waits(4.0)
    call.seat("2001").answers()


@pytest.mark.parametrize(
    ("before", "story", "after", "path"),
    [
        (KEY, talks(30.0), KEY, ("desk", "talked")),
        (KEY, talks(30.0), "ring: 20s", ("desk", "talked")),
        ("ring: 20s", talks(30.0), f"{KEY}, max: 60s", ("desk", "talked")),
        ("ring: 20s", talks(90.0), f"{KEY}, max: 60s", ("desk", "enough")),
        ("max: 60s", talks(90.0), "max: 60s", ("desk", "enough")),
        ("max: 60s", talks(90.0), "max: 30s", ("desk", "enough")),
        ("max: 60s", talks(90.0), "ring: 20s", ("desk", "talked")),
        (KEY, is_put_off, KEY, ("desk", "none")),
        ("ring: 20s", leaves_while_talking, KEY, ("desk",)),
        ("ring: 20s", leaves_while_talking, "max: 60s", ("desk", "enough")),
        (REFER, is_connected_by_his_telephone, REFER, ("desk",)),
        (REFER, is_busy, REFER, ("desk", "none")),
        (REFER, is_busy, KEY, ("desk", "none")),
        ("ring: 20s", talks(30.0), REFER, ("desk",)),
    ],
)
def test_what_was_answered_is_answered_again(before: str, story: Story, after: str, path: tuple[str, ...]) -> None:
    call = acted(desk(before), story)
    new = desk(after)
    again = replay(call, new, environment(new))
    assert (again.path, again.stop, again.reason) == (path, None, "")


def test_whom_his_telephone_called_may_have_talked_for_any_time() -> None:
    call = acted(desk(REFER), is_connected_by_his_telephone)
    new = desk(KEY)
    again = replay(call, new, environment(new))
    assert (again.stop, again.reason) == ("unknown", "block desk connects whom the caller's own telephone called then")


def test_by_chance_the_same_is_rung() -> None:
    rings = """\
flow: office
start: desk
languages: [en]
blocks:
  desk:
    - answer
    - ring: {group: front_desk, strategy: random, answered: talked, busy: none, no_answer: none, failed: none}
  talked: [{say: 'Talked.'}, hangup]
  none: [{say: 'None.'}, hangup]
"""

    def one_answers(call: Script) -> None:
        seat = call.seat(call.ringing[0])
        seat.answers()
        call.waits(10.0)
        seat.hangs_up()

    sample = flow(rings)
    call = acted(sample, one_answers)
    for rung in ("sip:2001", "sip:2002"):
        again = replay(replace(call, rung=((0, rung),)), sample, environment(sample))
        assert (again.path, again.stop) == (("desk", "talked"), None)


def test_flows_that_are_called(tmp_path: Path) -> None:
    asking = (
        "flow: asking\nstart: ask\nblocks:\n  ask:\n    - menu: {prompt: {say: 'One or two?'}, KEYS, failed: back}\n"
    )
    asking += "  more: [{say: 'More.'}, return]\n  back: [return]\n"
    office = "flow: office\nstart: begin\non_error: bye\nblocks:\n  begin: [{call: {flow: asking}}, {goto: choose}]\n"
    office += "  choose:\n    - menu: {prompt: {say: 'Now?'}, keys: {'1': bye}, failed: bye}\n  bye: [hangup]\n"

    def flows(keys: str) -> Environment:
        (tmp_path / "office.yaml").write_text(office, encoding="utf-8")
        (tmp_path / "asking.yaml").write_text(asking.replace("KEYS", f"keys: {keys}"), encoding="utf-8")
        loaded = load_flows([tmp_path])
        assert loaded.ok, loaded.problems
        return Environment(loaded.flows)

    def story(call: Script) -> None:
        call.presses("2", after="One or two?")
        call.presses("1", after="Now?")

    before = flows("{'1': back, '2': more}")
    call = acted(before.flows["office"], story, flows=before.flows)
    assert call.path == ("begin", "asking.ask", "asking.more", "choose", "bye")
    assert compare(call, replay(call, before.flows["office"], before)).outcome == "same"
    after = flows("{'1': more, '2': back}")
    found = compare(call, replay(call, after.flows["office"], after))
    assert found.change == change("asking.ask", "menu, key 2", "asking.more", "asking.back")
