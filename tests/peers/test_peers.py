"""The peers among themselves, without the program under test: what fails here is not its fault."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.peers.chaos import Weather
from tests.peers.company import Company, Make
from tests.peers.digest import proves_password
from tests.peers.phone import KeyMode, hear_each_other
from tests.peers.rtp import Key, Tone

pytestmark = pytest.mark.peer

MAKES: tuple[Make, ...] = ("baresip", "pjsua")
TRANSPORTS: tuple[Literal["udp", "tcp"], ...] = ("udp", "tcp")
REPEATS = ["-pause_msg_ign"]
NOWHERE = "127.0.0.1:9"
KEYS: tuple[KeyMode, ...] = ("rfc4733", "info")


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_phone_calls_a_seat(company: Company, make: Make, transport: Literal["udp", "tcp"]) -> None:
    handset = company.handset()
    seat = company.sipp("seat", handset=handset, transport=transport)
    phone = company.phone("anna", seat.address, make=make, transport=transport)
    phone.dials("2001")
    phone.hears_ringing()
    phone.is_connected()
    handset.talks_to(*seat.media_address())
    phone.hears(handset.tone)
    handset.hears(phone.tone)
    phone.hangs_up()
    phone.is_hung_up()
    assert seat.finishes().successful == 1


@pytest.mark.parametrize("make", MAKES)
def test_a_phone_is_called(company: Company, make: Make) -> None:
    phone = company.phone("bob", NOWHERE, make=make)
    caller = company.sipp(
        "caller", server=phone.address, number="bob", says=[Tone(700, 1.0), Key("4"), Key("2"), Tone(700, 30)]
    )
    phone.rings()
    phone.answers()
    phone.hears(700)
    assert phone.pressed(2) == "42"
    phone.hangs_up()
    assert caller.finishes().successful == 1
    assert [message.status for message in caller.received("SIP/2.0")][-2:] == [180, 200]


@pytest.mark.parametrize("keys", KEYS)
def test_two_phones_hear_each_other(company: Company, keys: KeyMode) -> None:
    bob = company.phone("bob", NOWHERE)
    anna = company.phone("anna", bob.address, make="pjsua", keys=keys)
    anna.dials("bob")
    bob.rings()
    bob.answers()
    anna.is_connected()
    hear_each_other(anna, bob)
    anna.presses("7*")
    assert bob.pressed(2) == "7*"
    bob.presses("#0")
    assert anna.pressed(2) == "#0"
    anna.holds()
    bob.does_not_hear(anna.tone)
    anna.resumes()
    anna.hears(bob.tone)
    bob.hangs_up()
    anna.is_hung_up()


@pytest.mark.parametrize("make", MAKES)
def test_a_call_is_refused(company: Company, make: Make) -> None:
    seat = company.sipp("seat_refuses", status="603 Decline")
    phone = company.phone("anna", seat.address, make=make)
    phone.dials("2001")
    phone.is_refused(603)
    seat.finishes()


@pytest.mark.parametrize("make", MAKES)
def test_a_phone_refuses(company: Company, make: Make) -> None:
    phone = company.phone("bob", NOWHERE, make=make)
    caller = company.sipp("caller_is_refused", server=phone.address, number="bob")
    phone.rings()
    phone.refuses()
    caller.finishes()


@pytest.mark.parametrize("make", MAKES)
def test_a_caller_gives_up(company: Company, make: Make) -> None:
    phone = company.phone("bob", NOWHERE, make=make)
    caller = company.sipp("caller_gives_up", server=phone.address, number="bob", ring_for="500")
    phone.rings()
    phone.is_hung_up()
    phone.receives("CANCEL")
    caller.finishes()


@pytest.mark.parametrize("make", MAKES)
def test_a_phone_gives_up(company: Company, make: Make) -> None:
    seat = company.sipp("seat_never_answers")
    phone = company.phone("anna", seat.address, make=make)
    phone.dials("2001")
    phone.hears_ringing()
    phone.hangs_up()
    phone.is_hung_up()
    seat.finishes()


@pytest.mark.parametrize("make", MAKES)
def test_a_phone_registers(company: Company, make: Make) -> None:
    registrar = company.sipp("carrier_registrar", user="2001", password="right")
    phone = company.phone("2001", registrar.address, make=make, password="right")
    phone.register()
    registrar.finishes()


@pytest.mark.parametrize("make", MAKES)
def test_a_wrong_password_is_noticed(company: Company, make: Make) -> None:
    registrar = company.sipp("carrier_registrar", user="2001", password="right")
    phone = company.phone("2001", registrar.address, make=make, password="wrong")
    phone.register(refused=True)
    registrar.finishes()


def test_a_carrier_wants_a_password(company: Company) -> None:
    carrier = company.sipp("carrier", leave_after="500", qop="auth")
    caller = company.sipp("caller_with_password", server=carrier.address, caller="anna", password="right")
    carrier.finishes()
    caller.finishes()
    proof = carrier.received("INVITE")[1]
    assert proves_password(proof, "anna", "right")
    assert not proves_password(proof, "anna", "wrong")


@pytest.mark.parametrize("make", MAKES)
def test_a_caller_without_an_offer(company: Company, make: Make) -> None:
    phone = company.phone("bob", NOWHERE, make=make)
    handset = company.handset()
    caller = company.sipp("caller_delayed_offer", server=phone.address, number="bob", handset=handset)
    phone.rings()
    phone.answers()
    handset.talks_to(*caller.media_address())
    phone.hears(handset.tone)
    handset.hears(phone.tone)
    phone.hangs_up()
    caller.finishes()


@pytest.mark.parametrize("make", MAKES)
def test_a_caller_holds(company: Company, make: Make) -> None:
    phone = company.phone("bob", NOWHERE, make=make)
    caller = company.sipp("caller_holds", server=phone.address, number="bob", hold_for="500", leave_after="500")
    phone.rings()
    phone.answers()
    phone.is_hung_up()
    caller.finishes()


def test_a_caller_requires_reliable_provisionals(company: Company) -> None:
    phone = company.phone("bob", NOWHERE, make="pjsua", prack=True)
    caller = company.sipp("caller_prack", server=phone.address, number="bob")
    phone.rings()
    caller.receives("SIP/2.0 200")
    phone.answers()
    phone.hangs_up()
    caller.finishes()


def test_a_key_by_info(company: Company) -> None:
    phone = company.phone("bob", NOWHERE)
    caller = company.sipp("caller_info_keys", server=phone.address, number="bob", key="5", press_after="200")
    phone.rings()
    phone.answers()
    assert phone.pressed(1) == "5"
    phone.hangs_up()
    caller.finishes()


def test_an_invite_that_comes_five_times_is_one_call(company: Company) -> None:
    phone = company.phone("bob", NOWHERE)
    caller = company.sipp(
        "caller_repeats_invite", server=phone.address, number="bob", leave_after="1000", options=REPEATS
    )
    phone.rings()
    phone.answers()
    phone.is_hung_up()
    caller.finishes()
    assert not phone.has_rung()
    assert len({message.header("To") for message in caller.received("SIP/2.0 200")}) == 1


def test_an_answer_that_crosses_the_cancel(company: Company) -> None:
    seat = company.sipp("seat_answers_too_late")
    phone = company.phone("anna", seat.address, make="pjsua")
    phone.dials("2001")
    phone.hears_ringing()
    phone.hangs_up()
    seat.finishes()


@pytest.mark.parametrize("make", MAKES)
def test_a_phone_behind_a_nat_in_bad_weather(company: Company, make: Make) -> None:
    handset = company.handset()
    seat = company.sipp("seat", handset=handset)
    relay = company.relay(
        seat.address,
        [handset.port],
        sip=Weather(loss=0.1, duplicate=0.2, delay_s=0.01, jitter_s=0.02),
        media=Weather(loss=0.05, duplicate=0.05, reorder=0.05, delay_s=0.01),
    )
    phone = company.phone("anna", seat.address, make=make, behind=relay)
    phone.dials("2001")
    phone.is_connected()
    assert "127.7.7.7" in seat.received("INVITE")[0].header("Contact")
    handset.hears(phone.tone, for_s=2.0)
    counts = relay.counts()
    assert counts["lost"]
    assert counts["duplicated"]
    assert counts["reordered"]
    relay.weather(sip=Weather(), media=Weather(loss=1.0))
    handset.listens()
    phone.hangs_up()
    phone.is_hung_up()
    seat.finishes()


def test_what_nobody_asked_for_does_not_pass_the_nat(company: Company) -> None:
    handset, stranger = company.handset(), company.handset()
    seat = company.sipp("seat", handset=handset)
    relay = company.relay(seat.address, [handset.port, stranger.port])
    phone = company.phone("anna", seat.address, behind=relay)
    phone.dials("2001")
    phone.is_connected()
    handset.hears(phone.tone)
    assert handset.heard_from is not None
    stranger.talks_to(*handset.heard_from)
    handset.talks_to(*handset.heard_from)
    phone.hears(handset.tone)
    assert relay.counts()["unwanted"]
    phone.hangs_up()
    seat.finishes()


def test_many_short_calls(company: Company) -> None:
    seat = company.sipp("seat", calls=200, ring_for="0")
    caller = company.sipp("caller", server=seat.address, calls=200, at_once=100, rate=50, leave_after="100")
    assert caller.finishes().successful == 200
    assert seat.finishes().failed == 0
