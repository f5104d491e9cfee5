"""Whisper, the key that takes the call, the longest talk, headers, steps, and callers who are handed over."""

from __future__ import annotations

import dataclasses

import pytest

from gateway.call import CallerLeft, KeyPressed, LegOutcome, Target
from ivr.flow.loader import load_text
from ivr.flow.model import Flow
from ivr.run.actions import Dial, Refer
from ivr.run.environment import Environment
from ivr.run.hunt import Member, RingStep
from ivr.run.script import Script
from tests.run.flows import flow

ANNA, BEN, CARL = Target("sip", "2001"), Target("sip", "2002"), Target("sip", "2003")
DESK: tuple[Member, ...] = (RingStep((ANNA, BEN)), RingStep((CARL,), 10.0))

EXITS = """
    answered: talked
    busy: busy
    refused: refused
    no_answer: no_answer
    offline: offline
    failed: failed
"""
KEY = "whisper: [new_call, {say: 'Press 1.'}], accept_key: '1'"


def transferring(settings: str, *, answer: bool = True, exits: str = EXITS, more: str = "") -> Flow:
    wires = ", ".join(line.strip() for line in exits.strip().splitlines())
    return flow(
        f"""\
vars: {{order: {{type: text, default: 'A-17'}}}}
blocks:
  welcome:
    {"- answer" if answer else "- ringing"}
    - transfer: {{to: 'sip:2001', {settings}, {wires}}}
{more}"""
        + "".join(
            f"  {name}:\n    - say: {name}\n    - hangup\n"
            for name in sorted({w.split(": ")[1] for w in wires.split(", ")})
        )
    )


def ringing(settings: str) -> Flow:
    return flow(
        f"""\
blocks:
  welcome:
    - answer
    - ring: {{group: desk, {settings}, answered: talked, busy: busy, no_answer: no_answer, failed: failed}}
"""
        + "".join(f"  {name}:\n    - say: {name}\n    - hangup\n" for name in ("talked", "busy", "no_answer", "failed"))
    )


def called(sample: Flow, **more: object) -> Script:
    environment = Environment({sample.name: sample}, {"desk": DESK}, shuffled=lambda targets: targets[::-1])
    return Script(sample, environment=environment, **more)  # type: ignore[arg-type]


# What the party hears first. ------------------------------------------------------------------------------


def test_a_whisper_is_heard_by_the_party_alone() -> None:
    call = called(transferring("whisper: new_call"), lengths={"new_call": 4.0})
    seat = call.seat("2001")
    seat.answers()
    assert (seat.asked, seat.talking, call.ringback) == (True, False, True)
    assert seat.whispered == ["new_call"]
    call.presses("1")
    call.waits(3.5)
    assert seat.asked, "neither the caller's keys nor anything else cut it"
    call.waits(0.5)
    assert (seat.talking, call.ringback) == (True, False)
    assert call.names == []
    assert call.longest_silence() == (0.0, 0.0)


@pytest.mark.parametrize("after", [1.0, 5.0, 13.9])
def test_the_key_takes_the_call(after: float) -> None:
    call = called(transferring(KEY))
    seat = call.seat("2001")
    seat.answers()
    call.waits(after)
    seat.presses("1")
    assert seat.talking
    seat.hangs_up()
    call.until_over()
    row = next(record for record in call.records if record.verb == "transfer")
    assert (row.exit, row.detail) == ("answered", {"asked": 1, "talk_ms": 0})


@pytest.mark.parametrize("key", ["2", "#", None])
def test_another_key_or_none_refuses(key: str | None) -> None:
    call = called(transferring(KEY))
    seat = call.seat("2001")
    seat.answers()
    if key is None:
        call.waits(13.9)
        assert seat.asked
        assert seat.whispered == ["new_call", "Press 1."] * 2
        call.waits(0.1)
    else:
        seat.presses(key)
    assert seat.dropped == ["refused"]
    assert not call.ringback
    assert call.path[-1] == "refused"


def test_a_shorter_time_for_the_key() -> None:
    call = called(transferring(f"{KEY}, accept_within: 2s"))
    call.seat("2001").answers()
    call.waits(5.9)
    assert call.seat("2001").asked
    call.waits(0.1)
    assert call.path[-1] == "refused"


def test_one_who_hangs_up_in_the_whisper_is_as_good_as_one_who_did_not_answer() -> None:
    call = called(transferring(KEY))
    call.seat("2001").answers()
    call.seat("2001").hangs_up()
    assert call.path[-1] == "no_answer"
    lost = called(transferring(KEY))
    lost.seat("2001").answers()
    lost.seat("2001").is_lost()
    assert lost.path[-1] == "failed"


def test_a_caller_who_leaves_stops_the_whisper() -> None:
    call = called(transferring(KEY))
    call.seat("2001").answers()
    call.hangs_up()
    assert call.seat("2001").dropped == ["cancelled"]
    assert call.ended_by == "caller"
    assert next(record for record in call.records if record.verb == "transfer").detail == {"asked": 1}


def test_a_call_that_was_not_taken_is_taken_when_the_key_is_pressed() -> None:
    call = called(transferring(KEY, answer=False))
    call.seat("2001").answers()
    before = call.run.answered
    call.seat("2001").takes_call()
    assert (before, call.run.answered) == (False, True)
    assert call.talking == ["2001"]


def test_a_whisper_that_is_missing_costs_the_caller_nothing() -> None:
    call = called(transferring("whisper: new_call"), missing={"new_call"})
    call.seat("2001").answers()
    assert call.seat("2001").talking
    assert call.logs == ["the whisper cannot be played: 'new_call' is missing"]


def test_values_are_worded_in_a_whisper() -> None:
    call = called(transferring("whisper: {say: 'Order {order:spell}.'}"))
    call.seat("2001").answers()
    assert call.seat("2001").whispered == ["Order A, dash, 1, 7."]


def test_in_a_group_whoever_presses_first_has_the_call() -> None:
    call = called(ringing(KEY))
    first, second, third = (call.seat(name) for name in ("2001", "2002", "2003"))
    first.answers()
    second.answers()
    call.waits(1.0)
    second.takes_call()
    assert call.talking == ["2002"]
    assert (first.dropped, third.dropped) == (["answered_elsewhere"], ["answered_elsewhere"])


def test_in_a_group_nobody_presses() -> None:
    call = called(ringing(KEY))
    for name in ("2001", "2002", "2003"):
        call.seat(name).answers()
    call.waits(30.0)
    assert call.path[-1] == "busy"


# How long they may talk. ----------------------------------------------------------------------------------


@pytest.mark.parametrize("wired", [True, False])
def test_the_time_is_over(wired: bool) -> None:
    exits = EXITS + ("    max_reached: enough\n" if wired else "")
    call = called(transferring("max: 60s", exits=exits))
    seat = call.seat("2001")
    call.waits(5.0)
    seat.answers()
    call.waits(59.9)
    assert seat.talking
    call.waits(0.1)
    assert seat.dropped == ["ended"]
    assert call.path[-1] == ("enough" if wired else "talked")
    row = next(record for record in call.records if record.verb == "transfer")
    assert (row.exit, row.detail) == ("max_reached" if wired else "answered", {"talk_ms": 60_000})
    call.until_over()
    assert call.ended_by == "flow"


def test_the_time_counts_from_when_they_talk() -> None:
    call = called(transferring(f"{KEY}, max: 60s"))
    call.seat("2001").answers()
    call.waits(10.0)
    call.seat("2001").takes_call()
    call.waits(59.9)
    assert call.seat("2001").talking
    call.seat("2001").hangs_up()
    assert call.path[-1] == "talked"


# Headers. -------------------------------------------------------------------------------------------------


def test_headers_carry_values_of_the_call() -> None:
    call = called(transferring("headers: {X-Order: '{order} / {caller.number}', subject: 'A call', X-None: ''}"))
    dial = next(action for action in call.actions if isinstance(action, Dial))
    assert dial.headers == (("X-Order", "A-17 / +8613800000000"), ("Subject", "A call"))


@pytest.mark.parametrize("value", ["a\r\nTo: <sip:evil@evil.example>", "a\nb", "a\0b", "a\u2028b", "x" * 257])
def test_a_value_never_begins_another_header(value: str) -> None:
    sample = transferring("headers: {X-Order: '{order}'}")
    order = dataclasses.replace(sample.variables["order"], default=value)
    sample = dataclasses.replace(sample, variables={"order": order})
    call = called(sample)
    assert not any(isinstance(action, Dial) for action in call.actions)
    assert call.path[-1] == "failed"


# Who rings when. ------------------------------------------------------------------------------------------


def test_steps() -> None:
    call = called(ringing("strategy: steps, ring: 25s"))
    assert call.ringing == ["2001", "2002"]
    call.waits(10.0)
    assert call.ringing == ["2001", "2002", "2003"]
    call.waits(15.0)
    assert call.ringing == ["2003"]
    call.waits(10.0)
    assert call.path[-1] == "no_answer"


def test_by_chance() -> None:
    call = called(ringing("strategy: random, ring: 5s"))
    assert call.ringing == ["2003"]
    call.waits(5.0)
    assert call.ringing == ["2002"]


def test_chance_is_fair() -> None:
    first = {Environment().shuffled((ANNA, BEN, CARL))[0] for _ in range(200)}
    assert first == {ANNA, BEN, CARL}


# Handed over. ---------------------------------------------------------------------------------------------

REFERRED = EXITS.replace("    answered: talked\n", "")


def test_a_caller_in_good_hands_has_left() -> None:
    call = called(transferring("mode: refer, headers: {X-Order: '{order}'}", exits=REFERRED))
    assert [action for action in call.actions if isinstance(action, Refer)] == [
        Refer("leg1", ANNA, True, (("X-Order", "A-17"),))
    ]
    assert not call.ringback
    call.waits(5.0)
    call.seat("2001").answers()
    assert call.ended is not None
    assert (call.ended.by, call.ended.cause) == ("flow", "transferred")
    assert call.longest_silence() == (0.0, 0.0)
    row = call.records[-1]
    assert (row.verb, row.exit, row.detail) == ("transfer", None, {"mode": "refer", "outcome": "answered"})


@pytest.mark.parametrize("outcome", ["busy", "refused", "no_answer", "offline", "failed"])
def test_what_his_telephone_met(outcome: LegOutcome) -> None:
    call = called(transferring("mode: refer", exits=REFERRED))
    call.seat("2001").fails(outcome)
    assert call.path[-1] == outcome
    row = next(record for record in call.records if record.verb == "transfer")
    assert row.detail == {"mode": "refer", "outcome": outcome}


def test_nobody_waits_for_ever() -> None:
    call = called(transferring("mode: refer, ring: 20s", exits=REFERRED))
    call.waits(20.0)
    assert call.seat("2001").dropped == ["no_answer"]
    assert call.path[-1] == "no_answer"


def test_without_waiting() -> None:
    call = called(transferring("mode: blind", exits="offline: offline\nfailed: failed"))
    assert call.seat("2001").rang == 0
    assert (call.ended_by, call.records[-1].detail) == ("flow", {"mode": "blind", "outcome": "answered"})
    away = called(transferring("mode: blind", exits="offline: offline\nfailed: failed"), signed_in=())
    assert away.path[-1] == "offline"


@pytest.mark.parametrize("mode", ["refer", "blind"])
def test_a_caller_who_is_not_answered_is_redirected(mode: str) -> None:
    exits = REFERRED if mode == "refer" else "offline: offline\nfailed: failed"
    call = called(transferring(f"mode: {mode}", answer=False, exits=exits))
    assert any("the caller is redirected to sip:2001" in line for line in call.transcript)
    assert not call.run.answered
    assert call.ended is not None
    assert call.ended.cause == "transferred"


def test_a_caller_who_leaves_while_his_telephone_calls() -> None:
    call = called(transferring("mode: refer", exits=REFERRED))
    call.happens(KeyPressed("1"))
    call.happens(CallerLeft("caller", "bye"))
    assert (call.ended_by, call.seat("2001").dropped) == ("caller", ["cancelled"])
    assert call.records[-1].detail == {"mode": "refer", "outcome": None}


# The DSL. -------------------------------------------------------------------------------------------------


def test_both_spellings_are_one() -> None:
    yaml = transferring(f"ring: 20s, {KEY}, accept_within: 5s, max: 5m, headers: {{X-Order: '{{order}}'}}")
    text = """\
flow sample "Sample"
languages en
start welcome
var order: text = "A-17"
block welcome {
  answer
  transfer "sip:2001" ring 20s accept_key "1" accept_within 5s max 5m {
    whisper @new_call, "Press 1."
    headers { X-Order "{order}" }
    answered -> talked  busy -> busy  refused -> refused  no_answer -> no_answer  offline -> offline  failed -> failed
  }
}
""" + "".join(
        f'block {n} {{\n  say "{n}"\n  hangup\n}}\n'
        for n in ("busy", "failed", "no_answer", "offline", "refused", "talked")
    )
    found = load_text(text, "x.flow")
    assert found.ok, "\n".join(map(str, found.problems))
    assert next(iter(found.flows.values())).digest == yaml.digest
