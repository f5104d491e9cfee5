"""Lost, doubled and late packets; telephones behind a NAT; telephones that are gone."""

from __future__ import annotations

import pytest

from tests.acceptance.call_centre import CallCentre, site
from tests.peers.chaos import Weather
from tests.peers.company import Company, Make
from tests.peers.phone import hear_each_other

pytestmark = pytest.mark.peer

BAD = Weather(loss=0.05, duplicate=0.05, reorder=0.05, delay_s=0.01, jitter_s=0.01)


@pytest.mark.parametrize(("caller_make", "seat_make"), [("baresip", "pjsua"), ("pjsua", "baresip")])
def test_two_phones_behind_a_nat(centre: CallCentre, caller_make: Make, seat_make: Make) -> None:
    """Their Contact, Via and SDP name an address that leads nowhere."""
    nat = centre.relay()
    seat = centre.seat(make=seat_make, behind=nat)
    caller = centre.caller(make=caller_make, behind=nat)
    centre.reaches_menu(caller)
    caller.presses("1")
    seat.rings()
    seat.answers()
    hear_each_other(caller, seat)
    seat.hangs_up()
    caller.is_hung_up()
    assert centre.record().agents() == {"2001": True}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_call_in_bad_weather(centre: CallCentre, seed: int) -> None:
    relay = centre.relay(sip=BAD, media=BAD, seed=seed)
    seat = centre.seat(behind=relay)
    caller = centre.caller(make="pjsua", behind=relay)
    centre.reaches_menu(caller)
    caller.presses("1")
    seat.rings()
    seat.answers()
    hear_each_other(caller, seat, for_s=2.0)
    caller.hangs_up()
    seat.is_hung_up(within=40)
    record = centre.record()
    assert record.path == ("menu", "desk")
    assert record.agents() == {"2001": True}
    counts = relay.counts()
    assert min(counts["lost"], counts["duplicated"], counts["reordered"]) > 0


def test_every_packet_comes_twice(centre: CallCentre) -> None:
    relay = centre.relay(sip=Weather(duplicate=1.0), media=Weather(duplicate=1.0))
    seat = centre.seat(behind=relay)
    caller = centre.caller(make="pjsua", behind=relay)
    centre.reaches_menu(caller)
    caller.presses("1")
    seat.rings()
    seat.answers()
    hear_each_other(caller, seat)
    caller.hangs_up()
    seat.is_hung_up()
    assert not seat.has_rung()
    assert centre.record().path == ("menu", "desk")
    assert len(centre.server.calls()) == 1


def test_a_seat_that_has_vanished_is_not_waited_for_long(centre: CallCentre) -> None:
    """Registered, but neither answers nor refuses: the ring time is the flow's."""
    relay = centre.relay()
    centre.seat(behind=relay)
    caller = centre.reaches_menu(centre.caller())
    relay.weather(sip=Weather(loss=1.0))
    caller.presses("1")
    caller.is_hung_up()
    assert centre.record().path[:2] == ("menu", "desk")
    assert centre.record().path[2] in ("offline", "no_answer", "failed")


def test_a_caller_that_has_vanished(company: Company) -> None:
    centre = CallCentre(company, site(more={"media": {"timeout": "5s"}}))
    relay = centre.relay()
    seat = centre.seat()
    caller = centre.caller(behind=relay)
    centre.reaches_menu(caller)
    caller.presses("1")
    seat.rings()
    seat.answers()
    hear_each_other(caller, seat)
    relay.weather(sip=Weather(loss=1.0), media=Weather(loss=1.0))
    # So long without audio is what it takes: a minute, if the site does not say.
    seat.is_hung_up(within=40)
    assert centre.record().ended_by == "network"
