"""What telephones do besides calling and hanging up: hold, offer late, want reliability, repeat themselves, vanish."""

from __future__ import annotations

import pytest

from tests.acceptance.call_centre import HOLD, MENU, CallCentre, site
from tests.peers.baresip import Baresip
from tests.peers.company import Company, Make
from tests.peers.patience import until
from tests.peers.phone import Phone, hear_each_other

pytestmark = pytest.mark.peer

RINGING = """\
flow: main
start: wait
blocks:
  wait:
    - ringing
    - pause: 2s
    - answer
    - play: main_menu
    - hangup
"""


def _talk(centre: CallCentre, caller: Phone, seat: Phone) -> None:
    centre.reaches_menu(caller)
    caller.presses("1")
    seat.rings()
    seat.answers()
    hear_each_other(caller, seat)


@pytest.mark.parametrize("who", ["caller", "seat"])
def test_hold_and_retrieve(centre: CallCentre, who: str) -> None:
    seat, caller = centre.seat(make="pjsua"), centre.caller(make="pjsua")
    _talk(centre, caller, seat)
    holding, waiting = (caller, seat) if who == "caller" else (seat, caller)
    holding.holds()
    waiting.hears(HOLD)
    waiting.does_not_hear(holding.tone)
    holding.resumes()
    hear_each_other(caller, seat)
    caller.hangs_up()
    seat.is_hung_up()
    assert centre.record().ended_by == "caller"


@pytest.mark.parametrize("who", ["caller", "seat"])
def test_hold_and_retrieve_by_baresip(centre: CallCentre, who: str) -> None:
    """Its recorder does not come back after its own hold, but its count of audio does."""
    make: tuple[Make, Make] = ("baresip", "pjsua") if who == "caller" else ("pjsua", "baresip")
    caller, seat = centre.caller(make=make[0]), centre.seat(make=make[1])
    _talk(centre, caller, seat)
    holding, waiting = (caller, seat) if who == "caller" else (seat, caller)
    holding.holds()
    waiting.hears(HOLD)
    waiting.does_not_hear(holding.tone)
    holding.resumes()
    waiting.hears(holding.tone)
    assert isinstance(holding, Baresip)
    holding.receives_audio()
    waiting.hangs_up()
    holding.is_hung_up()


def test_hold_in_the_menu(centre: CallCentre) -> None:
    caller = centre.reaches_menu(centre.caller(make="pjsua"))
    caller.holds()
    caller.resumes()
    caller.listens()
    caller.hears(MENU)
    caller.presses("9")
    caller.is_hung_up()
    assert centre.record().path == ("menu", "bye")


def test_a_scripted_hold(centre: CallCentre) -> None:
    """The directions of the answers are checked by the scenario."""
    caller = centre.scripted_caller("caller_holds", caller="carl", hold_for="600", leave_after="600")
    caller.finishes()


def test_a_caller_without_an_offer(centre: CallCentre) -> None:
    handset = centre.company.handset()
    caller = centre.scripted_caller("caller_delayed_offer", caller="carl", handset=handset)
    handset.talks_to(*caller.media_address())
    handset.hears(MENU)
    handset.presses("9")
    caller.finishes()
    assert centre.record("carl").path == ("menu", "bye")


def test_a_caller_that_requires_reliable_provisionals(company: Company) -> None:
    centre = CallCentre(company, site(flows={"main": RINGING}))
    handset = company.handset()
    caller = centre.scripted_caller("caller_prack", caller="carl", handset=handset)
    handset.talks_to(*caller.media_address())
    handset.hears(MENU)
    caller.finishes()
    assert len({message.header("RSeq") for message in caller.received("SIP/2.0 180")} - {""}) == 1


def test_a_real_phone_that_requires_reliable_provisionals(company: Company) -> None:
    centre = CallCentre(company, site(flows={"main": RINGING}))
    caller = centre.caller(make="pjsua", prack=True)
    caller.dials("1000")
    caller.hears_ringing()
    caller.is_connected()
    caller.hears(MENU)
    caller.is_hung_up()
    assert any(message.method == "PRACK" and message.sent for message in caller.messages())


def test_a_caller_gives_up_before_the_answer(company: Company) -> None:
    centre = CallCentre(company, site(flows={"main": RINGING}))
    caller = centre.scripted_caller("caller_gives_up", caller="carl", ring_for="300")
    caller.finishes()
    record = centre.record("carl")
    assert record.ended_by == "caller"
    assert not record.answered


def test_an_invite_that_comes_five_times_is_one_call(centre: CallCentre) -> None:
    caller = centre.scripted_caller(
        "caller_repeats_invite", caller="carl", leave_after="700", options=["-pause_msg_ign"]
    )
    caller.finishes()
    assert centre.record("carl").ended_by == "caller"
    assert [call.caller for call in centre.server.calls()] == ["carl"]
    tags = {message.header("To") for message in caller.received("SIP/2.0 200")}
    assert len(tags) == 1


def test_a_caller_that_never_acknowledges(centre: CallCentre) -> None:
    caller = centre.scripted_caller("caller_never_acks", caller="carl")
    caller.finishes()
    # T1, doubled up to T2, for 64*T1: eleven times with the first.
    assert len([m for m in caller.received("SIP/2.0 200") if m.method == "INVITE"]) >= 8
    assert centre.record("carl").ended_by in ("network", "caller")


def test_a_caller_that_is_told_the_seat_is_a_seat(centre: CallCentre) -> None:
    """A seat that calls has to prove that it is one."""
    seat = centre.seat("2002")
    seat.dials("1000")
    seat.is_connected()
    seat.hears(MENU)
    seat.presses("9")
    seat.is_hung_up()
    assert centre.record("2002").leg("caller").account == "2002"


def test_short_calls_one_after_the_other(company: Company) -> None:
    # Every call needs ports that have not been used for a while.
    centre = CallCentre(company, site(media_ports=400))
    caller = centre.scripted_caller(caller="carl", calls=100, at_once=40, rate=20, leave_after="500")
    assert caller.finishes().successful == 100
    assert caller.statistics().retransmissions <= 2

    def recorded() -> int:
        return sum(call.caller == "carl" for call in centre.server.calls())

    until(lambda: recorded() == 100, lambda: f"{recorded()} of 100 calls are in the records", every=0.3)
