"""Guests: who may call what without an account, and how often."""

from __future__ import annotations

import asyncio
from itertools import count

import aiohttp
import pytest

from gateway.rtc.guests import GuestNumberError, GuestRefused, Guests
from gateway.rtc.rights import Rights
from tests.rtc.edge import connected, serving


def _guests(*numbers: str) -> Guests:
    ids = count(1)
    return Guests(numbers, new_id=lambda: str(next(ids)), guests_per_second=0.1, guests_at_once=3.0)


def test_a_guest_may_call_that_number_and_do_nothing_else() -> None:
    guest = _guests("1000", "+4930123").admit("+4930123", "192.0.2.1", 0.0)
    assert guest.user == "guest-1"
    assert guest.rights == Rights(call_out=("+4930123",))
    assert guest.rights.may_call_out("+4930123")
    assert not guest.rights.may_call_out("1000")
    assert not guest.rights.may_call_out("+49301234")


def test_every_guest_is_somebody_else() -> None:
    guests = _guests("1000")
    assert len({guests.admit("1000", "192.0.2.1", 0.0).user for _ in range(3)}) == 3


def test_other_numbers_are_refused_with_the_remedy() -> None:
    with pytest.raises(GuestRefused, match=r"rtc\.guests") as refusal:
        _guests("1000").admit("1001", "192.0.2.1", 0.0)
    assert refusal.value.retry_ms is None


def test_an_address_brings_so_many_guests_and_others_do_not_suffer() -> None:
    guests = _guests("1000")
    for _ in range(3):
        guests.admit("1000", "192.0.2.1", 0.0)
    with pytest.raises(GuestRefused) as refusal:
        guests.admit("1000", "192.0.2.1", 1.0)
    assert refusal.value.retry_ms == pytest.approx(9000, abs=2)
    guests.admit("1000", "192.0.2.2", 1.0)
    guests.admit("1000", "192.0.2.1", 10.1)


def test_wrong_numbers_use_up_tries_too() -> None:
    guests = _guests("1000")
    for number in ("1001", "1002", "1003"):
        with pytest.raises(GuestRefused):
            guests.admit(number, "192.0.2.1", 0.0)
    with pytest.raises(GuestRefused, match="too many"):
        guests.admit("1000", "192.0.2.1", 0.0)


def test_addresses_are_forgotten() -> None:
    guests = _guests("1000")
    for host in range(50):
        guests.admit("1000", f"192.0.2.{host}", 0.0)
    assert len(guests) == 50
    guests.admit("1000", "198.51.100.1", 1000.0)
    assert len(guests) == 1


@pytest.mark.parametrize("number", ["", "10XX", "0*", "tel:0", "bob", "+", "1" * 65, "10 00"])
def test_what_is_more_than_a_number_is_refused(number: str) -> None:
    with pytest.raises(GuestNumberError, match="write digits"):
        _guests(number)


def test_a_guest_gets_a_token_at_the_edge() -> None:
    async def story() -> None:
        async with serving(guests=_guests("1000")) as edge, aiohttp.ClientSession() as session:
            url = f"{edge.url}/rtc/token"
            async with session.post(url, json={"to": "1000"}) as response:
                assert response.status == 200
                token = (await response.json())["token"]
            async with connected(edge) as page:
                login = await page.asks("login", token=token, device="web")
                assert login["user"].startswith("guest-")
                nothing = {"call_in": False, "be_called": False, "peers": False}
                assert login["rights"] == {"call_out": ["1000"], **nothing}
            async with session.post(url, json={"to": "1001"}) as response:
                assert (response.status, (await response.json())["code"]) == (403, "not_allowed")
            async with session.post(url, json={"to": "1000"}) as response:
                assert response.status == 200
            async with session.post(url, json={"to": "1000"}) as response:
                assert response.status == 429
                assert int(response.headers["Retry-After"]) >= 9
            async with session.post(url, json={"to": 1000}) as response:
                assert response.status == 400
            # Who has a password is not kept out by guests.
            async with session.post(url, json={"user": "alice", "password": "right"}) as response:
                assert response.status == 200

    asyncio.run(story())


def test_a_site_without_guests_has_none() -> None:
    async def story() -> None:
        async with serving() as edge, aiohttp.ClientSession() as session:
            answer = await session.post(f"{edge.url}/rtc/token", json={"to": "1000"})
            assert answer.status == 404
            assert "rtc.guests" in (await answer.json())["text"]

    asyncio.run(story())
