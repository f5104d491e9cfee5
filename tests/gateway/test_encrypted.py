"""Telephones over TLS with SRTP by SDES: baresip and pjsip call and are called, and nothing of it is in the clear."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.call import LegFailed, ListenAddress, Seat, TlsConfig
from gateway.config import SrtpPolicy
from tests.gateway.calls import HELLO_HZ, rings_a_seat, says_hello
from tests.gateway.exchange import PASSWORD, Exchange
from tests.peers.baresip import Baresip
from tests.peers.company import Company, Make
from tests.peers.phone import Phone

pytestmark = pytest.mark.peer

MAKES: tuple[Make, ...] = ("baresip", "pjsua")


@pytest.fixture
def exchange(open_exchange: Callable[..., Exchange], tmp_path: Path) -> Exchange:
    return over_tls(open_exchange, tmp_path, "require")


def over_tls(open_exchange: Callable[..., Exchange], folder: Path, srtp: SrtpPolicy) -> Exchange:
    return open_exchange(
        listen=(ListenAddress("tls", "127.0.0.1", 0), ListenAddress("udp", "127.0.0.1", 0)),
        tls=TlsConfig(state=folder),
        seats={name: Seat(name, PASSWORD, srtp=srtp) for name in ("2001", "2002")},
    )


def seat(company: Company, exchange: Exchange, account: str, make: Make, *, srtp: bool = True) -> Phone:
    phone = company.phone(
        account, exchange.address, make=make, password=PASSWORD, domain="localhost", transport="tls", srtp=srtp
    )
    phone.register()
    return phone


@pytest.mark.parametrize("make", MAKES)
def test_a_telephone_calls_in(exchange: Exchange, company: Company, make: Make) -> None:
    exchange.screens = lambda arrival: "authenticate"
    exchange.greets = says_hello
    phone = seat(company, exchange, "2001", make)
    phone.dials("1000")
    phone.is_connected()
    phone.hears(HELLO_HZ)
    phone.hangs_up()
    exchange.is_clean()


@pytest.mark.parametrize("make", MAKES)
def test_a_telephone_is_called(exchange: Exchange, company: Company, make: Make) -> None:
    exchange.greets = rings_a_seat("2001")
    exchange.screens = lambda arrival: "authenticate"
    caller = seat(company, exchange, "2002", "pjsua" if make == "baresip" else "baresip")
    phone = seat(company, exchange, "2001", make)
    caller.dials("1001")
    phone.rings()
    phone.answers()
    caller.is_connected()
    phone.hears(caller.tone)
    caller.hears(phone.tone)
    caller.holds()
    caller.resumes()
    phone.listens()
    phone.hears(caller.tone)
    if isinstance(caller, Baresip):
        # After a hold of its own it hears, and records nothing.
        caller.receives_audio()
    else:
        caller.listens()
        caller.hears(phone.tone)
    phone.hangs_up()
    caller.is_hung_up()
    exchange.is_clean()


def test_a_telephone_without_encryption_is_refused(exchange: Exchange, company: Company) -> None:
    exchange.screens = lambda arrival: "authenticate"
    exchange.greets = rings_a_seat("2001")
    plain = seat(company, exchange, "2001", "baresip", srtp=False)
    plain.dials("1000")
    plain.is_refused(488)
    caller = seat(company, exchange, "2002", "pjsua")
    caller.dials("1001")
    owned = exchange.takes()
    assert owned.hears(LegFailed).status == 488
    caller.hangs_up()
    exchange.is_clean()


@pytest.mark.parametrize("srtp", [True, False])
def test_where_it_is_only_preferred_both_are_served(
    open_exchange: Callable[..., Exchange], company: Company, tmp_path: Path, srtp: bool
) -> None:
    exchange = over_tls(open_exchange, tmp_path, "prefer")
    exchange.screens = lambda arrival: "authenticate"
    exchange.greets = rings_a_seat("2001")
    phone = seat(company, exchange, "2001", "baresip", srtp=srtp)
    caller = seat(company, exchange, "2002", "pjsua", srtp=not srtp)
    caller.dials("1001")
    phone.rings()
    phone.answers()
    caller.is_connected()
    phone.hears(caller.tone)
    caller.hears(phone.tone)
    phone.hangs_up()
    exchange.is_clean()
