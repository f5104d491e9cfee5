"""Seats that are asked before they get a caller, and callers whose own telephone makes the call."""

from __future__ import annotations

import pytest

from tests.acceptance.call_centre import BUSY, GOODBYE, MENU, NO_ANSWER, REFUSED, CallCentre, site
from tests.peers.company import Company, Make
from tests.peers.phone import hear_each_other

pytestmark = pytest.mark.peer

WHISPER, RINGBACK = 2140, 425

_FLOWS = {
    "asked": """\
flow: asked
start: menu
on_error: bye
blocks:
  menu:
    - answer
    - ring: {group: everybody, ring: 20s, whisper: whisper, accept_key: '1', accept_within: 4s,
             headers: {X-Did: '{call.did}'}, max: 1h, answered: bye, busy: refused, no_answer: no_answer}
  refused:
    - play: refused
    - hangup
  no_answer:
    - play: no_answer
    - hangup
  bye:
    - play: goodbye
    - hangup
""",
    "referred": """\
flow: referred
start: menu
on_error: bye
blocks:
  menu:
    - answer
    - play: main_menu
    - transfer: {to: 'sip:2001', mode: refer, ring: 20s, busy: busy, refused: bye, no_answer: no_answer, offline: bye}
  busy:
    - play: busy
    - hangup
  no_answer:
    - play: no_answer
    - hangup
  bye:
    - play: goodbye
    - hangup
""",
}


@pytest.fixture
def asking(company: Company) -> CallCentre:
    usual = site()
    return CallCentre(
        company,
        site(
            flows={**usual.flows, **_FLOWS},
            prompts={**usual.prompts, "whisper": WHISPER},
            numbers={"1000": "main", "1001": "asked", "1002": "referred"},
        ),
    )


def test_who_presses_the_key_gets_the_caller_and_not_who_answers_first(asking: CallCentre) -> None:
    first, second = asking.seat("2001"), asking.seat("2002", make="pjsua")
    caller = asking.caller(make="pjsua")
    caller.dials("1001")
    for seat in (first, second):
        seat.rings()
        seat.answers()
        seat.hears(WHISPER)
    caller.hears(RINGBACK)
    caller.does_not_hear(WHISPER, 0.5)
    second.presses("1")
    hear_each_other(caller, second)
    first.is_hung_up()
    assert "cause=200" in first.receives("BYE").header("Reason")
    assert first.received("INVITE")[0].header("X-Did") == "1001"
    second.hangs_up()
    caller.hears(GOODBYE)
    caller.is_hung_up()
    record = asking.record()
    assert record.path == ("menu", "bye")
    assert record.agents() == {"2001": True, "2002": True, "2003": False}


@pytest.mark.parametrize("key", ["5", None])
def test_a_mailbox_never_gets_the_caller(asking: CallCentre, key: str | None) -> None:
    mailbox = asking.seat("2001")
    caller = asking.caller()
    caller.dials("1001")
    mailbox.rings()
    mailbox.answers()
    mailbox.hears(WHISPER)
    if key is not None:
        mailbox.presses(key)
    mailbox.is_hung_up()
    caller.hears(REFUSED)
    caller.is_hung_up()
    assert not mailbox.recorded().contains_tone(caller.tone, 0.1)
    assert asking.record().path == ("menu", "refused")


def test_a_seat_that_hangs_up_in_the_whisper(asking: CallCentre) -> None:
    seat = asking.seat("2001", make="pjsua")
    caller = asking.caller()
    caller.dials("1001")
    seat.rings()
    seat.answers()
    seat.hears(WHISPER, 0.2)
    seat.hangs_up()
    caller.hears(NO_ANSWER)
    caller.is_hung_up()
    assert asking.record().path == ("menu", "no_answer")


@pytest.mark.parametrize("make", ["baresip", "pjsua"])
def test_the_callers_own_telephone_makes_the_call(asking: CallCentre, make: Make) -> None:
    seat = asking.seat("2001", make="pjsua" if make == "baresip" else "baresip")
    caller = asking.caller(make=make)
    caller.dials("1002")
    caller.hears(MENU)
    seat.rings()
    seat.answers()
    record = asking.record()
    assert (record.ended_by, record.end_cause, record.path) == ("flow", "transferred", ("menu",))
    hear_each_other(caller, seat)
    assert seat.received("INVITE")[0].header("Via").split(";")[0].endswith(caller.address)
    seat.hangs_up()


@pytest.mark.parametrize("make", ["baresip", "pjsua"])
def test_whom_it_calls_is_busy_and_the_flow_goes_on(asking: CallCentre, make: Make) -> None:
    seat = asking.seat("2001", make="pjsua" if make == "baresip" else "baresip")
    caller = asking.caller(make=make)
    caller.dials("1002")
    caller.hears(MENU)
    seat.rings()
    seat.refuses()
    caller.hears(BUSY)
    assert asking.record().path == ("menu", "busy")
