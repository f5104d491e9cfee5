"""A caller, a menu, a key, a seat: with every make of telephone at either end."""

from __future__ import annotations

import pytest

from tests.acceptance.call_centre import GOODBYE, MENU, CallCentre
from tests.peers.company import Make
from tests.peers.patience import until
from tests.peers.phone import KeyMode, hear_each_other
from tests.peers.rtp import Key, Tone

pytestmark = pytest.mark.peer

CALLERS: list[tuple[Make, KeyMode]] = [("baresip", "rfc4733"), ("pjsua", "rfc4733"), ("pjsua", "info")]


@pytest.mark.parametrize(("make", "keys"), CALLERS)
def test_a_key_leads_to_a_seat_and_the_seat_hangs_up(centre: CallCentre, make: Make, keys: KeyMode) -> None:
    seat = centre.seat(make="pjsua" if make == "baresip" else "baresip")
    caller = centre.caller(make=make, keys=keys)
    centre.reaches_menu(caller)
    caller.presses("1")
    seat.rings()
    seat.answers()
    hear_each_other(caller, seat)
    seat.hangs_up()
    caller.hears(GOODBYE)
    caller.is_hung_up()
    record = centre.record()
    assert record.did == "1000"
    assert record.path == ("menu", "desk", "bye")
    assert record.ended_by == "flow"
    assert record.agents() == {"2001": True}
    assert {leg.codec for leg in record.legs} == {"PCMU"}
    is_told(centre)


def is_told(centre: CallCentre) -> None:
    """The call as its operator reads it: its story, and every message to the last answer."""

    def told() -> str | None:
        words = centre.server.does("trace", "last", "--sip")
        return words if words.rstrip().endswith("│") and words.count("200 OK (BYE)") == 2 else None

    story = until(told, lambda: centre.server.does("trace", "last", "--sip"), every=0.3)
    for words in ("→ desk", "calls sip:2001", "sip:2001 rings", "talks with sip:2001", "sip:2001 hangs up", "→ bye"):
        assert words in story, story
    for message in ("INVITE sip:1000@", "INVITE sip:2001", "180 Ringing (INVITE)", "200 OK (INVITE)", "BYE "):
        assert message in story, story


@pytest.mark.parametrize("make", ["baresip", "pjsua"])
def test_the_caller_hangs_up(centre: CallCentre, make: Make) -> None:
    seat, caller = centre.seat(make=make), centre.caller(make=make)
    centre.reaches_menu(caller)
    caller.presses("1")
    seat.rings()
    seat.answers()
    hear_each_other(caller, seat)
    caller.hangs_up()
    seat.is_hung_up()
    record = centre.record()
    assert record.ended_by == "caller"
    assert record.path == ("menu", "desk")
    assert record.agents() == {"2001": True}


def test_keys_from_a_capture(centre: CallCentre) -> None:
    seat = centre.seat()
    caller = centre.scripted_caller(caller="carl", says=[Tone(540, 1.5), Key("1"), Tone(540, 60)])
    seat.rings()
    seat.answers()
    seat.hears(540)
    seat.hangs_up()
    assert caller.finishes().successful == 1
    assert centre.record("carl").path == ("menu", "desk", "bye")


def test_a_scripted_caller_hears_and_is_heard(centre: CallCentre) -> None:
    seat, handset = centre.seat(), centre.company.handset()
    caller = centre.scripted_caller(caller="carl", handset=handset)
    handset.talks_to(*caller.media_address())
    handset.hears(MENU)
    handset.presses("1")
    seat.rings()
    seat.answers()
    handset.hears(seat.tone)
    seat.hears(handset.tone)
    seat.hangs_up()
    handset.hears(GOODBYE)
    caller.finishes()


def test_a_key_by_info(centre: CallCentre) -> None:
    seat = centre.seat()
    caller = centre.scripted_caller("caller_info_keys", caller="carl", key="1")
    seat.rings()
    seat.answers()
    seat.hangs_up()
    caller.finishes()
    assert centre.record("carl").path == ("menu", "desk", "bye")


def test_a_key_that_leads_nowhere_is_asked_again(centre: CallCentre) -> None:
    caller = centre.reaches_menu(centre.caller())
    caller.presses("7")
    caller.hears(MENU, for_s=1.0)
    caller.presses("9")
    caller.hears(GOODBYE)
    caller.is_hung_up()
    record = centre.record()
    assert record.path == ("menu", "bye")
    assert record.ended_by == "flow"


def test_the_menu_is_heard_without_a_hole(centre: CallCentre) -> None:
    caller = centre.reaches_menu(centre.caller())
    # Three times the prompt, but for the word that it began.
    caller.hears(MENU, for_s=3.0)
    heard = caller.recorded().after(0.1)
    assert not heard.silences(0.15), f"{caller.recorded().story()}"
    caller.hangs_up()
    assert centre.record().ended_by == "caller"


def test_the_caller_hears_that_it_rings(centre: CallCentre) -> None:
    seat = centre.seat()
    caller = centre.reaches_menu(centre.caller())
    caller.presses("1")
    seat.rings()
    caller.does_not_hear(MENU, for_s=0.5)
    seat.answers()
    hear_each_other(caller, seat)


@pytest.mark.parametrize("transport", ["seat", "caller", "both"])
def test_over_tcp(centre: CallCentre, transport: str) -> None:
    seat = centre.seat(transport="udp" if transport == "caller" else "tcp")
    caller = centre.caller(make="pjsua", transport="udp" if transport == "seat" else "tcp")
    centre.reaches_menu(caller)
    caller.presses("1")
    seat.rings()
    seat.answers()
    hear_each_other(caller, seat)
    caller.hangs_up()
    seat.is_hung_up()
    assert centre.record().agents() == {"2001": True}


@pytest.mark.parametrize("make", ["baresip", "pjsua"])
def test_phones_without_a_common_codec(centre: CallCentre, make: Make) -> None:
    seat = centre.seat(make=make, codecs=("PCMA",))
    caller = centre.caller(make=make, codecs=("PCMU",))
    centre.reaches_menu(caller)
    caller.presses("1")
    seat.rings()
    seat.answers()
    hear_each_other(caller, seat)
    caller.hangs_up()
    record = centre.record()
    assert record.leg("caller").codec == "PCMU"
    assert record.leg("agent").codec == "PCMA"


def test_no_transcoding_where_both_speak_a_law(centre: CallCentre) -> None:
    seat = centre.seat()
    caller = centre.caller(codecs=("PCMA",))
    centre.reaches_menu(caller)
    caller.presses("1")
    seat.rings()
    seat.answers()
    hear_each_other(caller, seat)
    caller.hangs_up()
    assert {leg.codec for leg in centre.record().legs} == {"PCMA"}


def test_a_domain_that_is_not_the_address(centre: CallCentre) -> None:
    seat = centre.seat(domain="localhost")
    caller = centre.reaches_menu(centre.caller())
    caller.presses("1")
    seat.rings()
    seat.answers()
    hear_each_other(caller, seat)
