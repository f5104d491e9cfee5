"""Sound before the call is taken (183 with SDP): heard, refused, given up, taken, rung; and what the records say."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.acceptance.call_centre import MENU, CallCentre, site
from tests.peers.company import Company, Make
from tests.peers.rtp import Handset
from tests.peers.sipp import Sipp
from tests.peers.trace import Message

pytestmark = pytest.mark.peer

EARLY, NOTICE = 500, 600

FLOW = """\
flow: main
start: welcome
on_error: sorry
on_hangup: gone
blocks:
  welcome:
    - early: [{{play: notice}}, {{play: early}}]
{then}
  sorry:
    - hangup: fault
  gone:
    - tag: {{left: 'in {{last.block}}'}}
    - end
"""
REFUSED = "    - disposition: closed\n    - reject: {code: 486, text: Closed for today}\n"
TAKEN = "    - play: main_menu\n    - hangup\n"
LONG = "    - early: [{play: {prompt: early, loop: yes}}]\n    - reject: 480\n"
RUNG = (
    "    - transfer: {to: 'sip:2001', ring: 20s, answered: bye, busy: no, refused: no, no_answer: no, offline: no,\n"
    "                 failed: no}\n  no:\n    - reject: 486\n  bye:\n    - hangup\n"
)


def centre_with(company: Company, then: str) -> CallCentre:
    prompts = {"early": EARLY, "notice": NOTICE, "main_menu": MENU}
    flow = FLOW.format(then=then)
    return CallCentre(company, site(flows={"main": flow}, prompts=prompts, groups={}, prompt_s=1.0))


def recorded(centre: CallCentre, caller: str = "carl") -> dict[str, Any]:
    """The finished call as it stands in the database: its own columns, and those of the caller's leg."""
    centre.record(caller)
    with closing(sqlite3.connect(f"file:{centre.server.folder / 'records.db'}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        [call] = database.execute("SELECT * FROM calls WHERE caller = ?", [caller]).fetchall()
        of_call = [call["call_id"]]
        [leg] = database.execute("SELECT * FROM legs WHERE role = 'caller' AND call_id = ?", of_call).fetchall()
        segments = database.execute("SELECT kind FROM segments WHERE call_id = ? ORDER BY seq", of_call).fetchall()
        tags = database.execute("SELECT name, value FROM tags WHERE call_id = ?", of_call).fetchall()
    return {
        **{name: call[name] for name in ("ended_by", "end_cause", "disposition", "answered_at", "sip_status")},
        "leg": dict(leg),
        "segments": [row["kind"] for row in segments],
        "tags": {row["name"]: row["value"] for row in tags},
    }


def was_not_answered(call: dict[str, Any], *segments: str) -> None:
    leg = call["leg"]
    assert call["answered_at"] is None
    assert leg["answered_at"] is None
    assert leg["early_media_at"] is not None
    assert leg["created_at"] <= leg["early_media_at"] <= leg["ended_at"]
    assert leg["codec"] == "PCMU"
    assert leg["tx_pkts"] > 20
    assert call["segments"] == list(segments or ["ring"])


def body(message: Message) -> str:
    return message.text.partition("\n\n")[2].strip()


def hears_early(handset: Handset, caller: Sipp) -> None:
    early = caller.receives("SIP/2.0 183")
    assert "m=audio" in body(early)
    handset.hears(NOTICE)
    handset.hears(EARLY)
    assert not caller.received("SIP/2.0 180")


def test_heard_and_then_refused(company: Company) -> None:
    centre, handset = centre_with(company, REFUSED), company.handset()
    caller = centre.scripted_caller("caller_is_refused", caller="carl", handset=handset, status_code="486")
    hears_early(handset, caller)
    caller.finishes()
    assert caller.received("SIP/2.0 486")[0].start_line == "SIP/2.0 486 Closed for today"
    call = recorded(centre)
    was_not_answered(call)
    assert (call["ended_by"], call["sip_status"], call["disposition"]) == ("flow", 486, "closed")
    assert call["tags"] == {}


def test_given_up_while_it_is_heard(company: Company) -> None:
    centre, handset = centre_with(company, LONG), company.handset()
    caller = centre.scripted_caller(
        "caller_gives_up", caller="carl", handset=handset, provisional="183", ring_for="2500"
    )
    hears_early(handset, caller)
    # The scenario sees 200 to its CANCEL and 487 to its INVITE.
    caller.finishes()
    call = recorded(centre)
    was_not_answered(call)
    assert (call["ended_by"], call["end_cause"], call["sip_status"]) == ("caller", "cancel", 487)
    assert call["tags"] == {"left": "in welcome"}


def test_heard_and_then_taken(company: Company) -> None:
    centre, handset = centre_with(company, TAKEN), company.handset()
    caller = centre.scripted_caller(caller="carl", handset=handset)
    hears_early(handset, caller)
    handset.hears(MENU)
    caller.finishes()
    early, answer = caller.received("SIP/2.0 183")[0], caller.received("SIP/2.0 200")[0]
    assert body(early) == body(answer) != ""
    assert early.header("To") == answer.header("To")
    call = recorded(centre)
    assert call["leg"]["early_media_at"] < call["leg"]["answered_at"]
    assert call["segments"] == ["ring", "ivr"]
    assert (call["ended_by"], call["sip_status"]) == ("flow", 200)


@pytest.mark.parametrize("reliability", ["Require", "Supported"])
def test_reliably_to_whom_takes_it_so(company: Company, reliability: str) -> None:
    """The prompts do not wait for the PRACK; the answer comes without a second description."""
    centre, handset = centre_with(company, TAKEN), company.handset()
    caller = centre.scripted_caller(
        "caller_prack",
        caller="carl",
        handset=handset,
        reliability=reliability,
        provisional="183",
        prack_after="1800",
        options=["-pause_msg_ign"],
    )
    hears_early(handset, caller)
    handset.hears(MENU)
    caller.finishes()
    early = caller.received("SIP/2.0 183")
    # T1 and twice T1 after the first, until the PRACK.
    assert len(early) >= 3
    assert len({message.header("RSeq") for message in early}) == 1
    assert body(early[0]) == body(early[-1])
    sequence = [message.start_line for message in caller.messages() if message.sent or message.status != 183]
    assert [line.split()[0] for line in sequence if not line.startswith("SIP/2.0")][:3] == ["INVITE", "PRACK", "ACK"]
    answer = next(message for message in caller.received("SIP/2.0 200") if message.method == "INVITE")
    assert body(answer) == ""
    call = recorded(centre)
    assert call["leg"]["early_media_at"] < call["leg"]["answered_at"]
    assert call["leg"]["codec"] == "PCMU"


def test_who_does_not_know_it_is_not_asked_for_it(company: Company) -> None:
    centre, handset = centre_with(company, REFUSED), company.handset()
    caller = centre.scripted_caller("caller_is_refused", caller="carl", handset=handset, status_code="486")
    caller.finishes()
    early = caller.received("SIP/2.0 183")
    assert len(early) == 1
    assert not early[0].header("RSeq")
    assert not early[0].header("Require")


@pytest.mark.parametrize("reliability", ["Require", "Supported"])
def test_reliably_and_then_refused(company: Company, reliability: str) -> None:
    centre, handset = centre_with(company, REFUSED), company.handset()
    caller = centre.scripted_caller(
        "caller_prack_refused",
        caller="carl",
        handset=handset,
        reliability=reliability,
        provisional="183",
        status_code="486",
    )
    hears_early(handset, caller)
    caller.finishes()
    call = recorded(centre)
    was_not_answered(call)
    assert (call["sip_status"], call["disposition"]) == (486, "closed")


def test_who_has_made_no_offer_is_not_kept_waiting(company: Company) -> None:
    centre, handset = centre_with(company, TAKEN), company.handset()
    caller = centre.scripted_caller("caller_delayed_offer", caller="carl", handset=handset)
    handset.talks_to(*caller.media_address())
    handset.hears(MENU)
    caller.finishes()
    assert not caller.received("SIP/2.0 183")
    call = recorded(centre)
    assert call["leg"]["early_media_at"] is None
    assert call["leg"]["answered_at"] - call["leg"]["created_at"] < 1000


def test_a_seat_is_rung_meanwhile(company: Company) -> None:
    """The tone is ours then: nothing but what we send is heard."""
    centre, handset = centre_with(company, RUNG), company.handset()
    seat = centre.seat()
    caller = centre.scripted_caller(caller="carl", handset=handset)
    hears_early(handset, caller)
    seat.rings()
    handset.hears(425)
    seat.answers()
    caller.receives("SIP/2.0 200")
    handset.talks_to(*caller.media_address())
    handset.hears(seat.tone)
    seat.hears(handset.tone)
    seat.hangs_up()
    caller.finishes()
    assert centre.record("carl").agents() == {"2001": True}


def test_a_seat_that_is_busy_is_a_busy_line(company: Company) -> None:
    centre, handset = centre_with(company, RUNG), company.handset()
    centre.scripted_seat("seat_refuses", status="486 Busy Here")
    caller = centre.scripted_caller("caller_is_refused", caller="carl", handset=handset, status_code="486")
    hears_early(handset, caller)
    caller.finishes()
    call = recorded(centre)
    was_not_answered(call, "ring", "offer", "ring")
    assert call["sip_status"] == 486


@pytest.mark.parametrize(
    ("make", "required", "reliable"), [("pjsua", True, True), ("pjsua", False, True), ("baresip", False, False)]
)
def test_a_real_phone(company: Company, make: Make, required: bool, reliable: bool) -> None:
    centre = centre_with(company, TAKEN)
    caller = centre.caller(make=make, prack=required)
    caller.dials("1000")
    caller.hears(NOTICE)
    caller.hears(EARLY)
    caller.is_connected()
    caller.hears(MENU)
    caller.is_hung_up()
    assert any(message.method == "PRACK" and message.sent for message in caller.messages()) == reliable
