"""Calls to and from a carrier, played by SIPp."""

from __future__ import annotations

import pytest

from tests.acceptance.call_centre import BUSY, FAILED, GOODBYE, NO_ANSWER, REFUSED, CallCentre, site, trunk
from tests.peers.company import Company
from tests.peers.digest import proves_password
from tests.peers.ports import free_port
from tests.peers.rtp import Key, Tone

pytestmark = pytest.mark.peer

NUMBERS = {"1000": "main", "4008200000": "main"}


def _centre(company: Company, port: int, *, register: bool = False) -> CallCentre:
    return CallCentre(company, site(numbers=NUMBERS, trunks=trunk(port, register=register)))


def test_the_server_registers_with_its_carrier(company: Company) -> None:
    registrar = company.sipp("carrier_registrar", user="acme", password="trunk secret")
    _centre(company, registrar.port, register=True)
    registrar.finishes()
    register = registrar.received("REGISTER")[-1]
    assert "acme" in register.header("To")
    assert register.header("Contact")


def test_out_through_a_carrier_that_wants_a_password(company: Company) -> None:
    handset = company.handset()
    carrier = company.sipp("carrier", handset=handset)
    centre = _centre(company, carrier.port)
    caller = centre.reaches_menu(centre.caller())
    caller.presses("4")
    handset.talks_to(*carrier.media_address())
    caller.hears(handset.tone)
    handset.hears(caller.tone)
    caller.hangs_up()
    carrier.finishes()
    first, second = (m for m in carrier.received("INVITE"))
    assert first.start_line.startswith("INVITE sip:13800138000@")
    assert not first.header("Proxy-Authorization")
    assert proves_password(second, "acme", "trunk secret")
    record = centre.record()
    assert record.path == ("menu", "outside")
    assert record.leg("agent").answered


def test_the_carrier_hangs_up(company: Company) -> None:
    carrier = company.sipp("carrier", leave_after="800", says=[Tone(540, 10)])
    centre = _centre(company, carrier.port)
    caller = centre.reaches_menu(centre.caller())
    caller.presses("4")
    caller.hears(GOODBYE)
    caller.is_hung_up()
    carrier.finishes()
    assert centre.record().path == ("menu", "outside", "bye")


@pytest.mark.parametrize(
    ("status", "prompt"),
    [
        ("486 Busy Here", BUSY),
        ("600 Busy Everywhere", BUSY),
        ("603 Decline", REFUSED),
        ("503 Service Unavailable", FAILED),
        ("484 Address Incomplete", FAILED),
    ],
)
def test_the_carrier_refuses(company: Company, status: str, prompt: int) -> None:
    carrier = company.sipp("seat_refuses", status=status)
    centre = _centre(company, carrier.port)
    caller = centre.reaches_menu(centre.caller())
    caller.presses("4")
    caller.hears(prompt)
    caller.is_hung_up()
    carrier.finishes()


def test_the_far_end_of_the_carrier_never_answers(company: Company) -> None:
    carrier = company.sipp("seat_never_answers")
    centre = _centre(company, carrier.port)
    caller = centre.reaches_menu(centre.caller())
    caller.presses("4")
    carrier.finishes()
    caller.hears(NO_ANSWER)


def test_in_from_a_carrier(company: Company) -> None:
    port = free_port()
    centre = _centre(company, port)
    seat = centre.seat()
    caller = centre.scripted_caller(
        caller="13800138000", number="4008200000", port=port, says=[Tone(540, 1.5), Key("1"), Tone(540, 60)]
    )
    seat.rings()
    seat.answers()
    seat.hears(540)
    seat.hangs_up()
    caller.finishes()
    record = centre.record("13800138000")
    assert record.did == "4008200000"
    assert record.path == ("menu", "desk", "bye")
    assert record.leg("caller").account == "carrier"
