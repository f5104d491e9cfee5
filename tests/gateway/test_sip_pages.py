"""Browsers as SIP telephones: JsSIP and SIP.js in Chromium register, call, are called, hold, and hang up.

Sound is told apart by its pitch at both ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.call import CallerLeft, KeyPressed, LegAnswered, LegEnded, LegFailed, LegHeld, LegRetrieved, TlsConfig
from gateway.config import RtcConfig, RtcListen
from gateway.media.tone import tone
from tests.gateway.calls import HELLO_HZ, rings_a_seat, says_hello
from tests.gateway.exchange import PASSWORD, Exchange, Owned
from tests.peers.company import Company
from tests.peers.patience import until
from tests.peers.sip_page import Library, SipBrowser, SipPage

pytestmark = pytest.mark.peer

LIBRARIES: tuple[Library, ...] = ("jssip", "sipjs")
PAGE_HZ, MUSIC_HZ = 1900, 620


@pytest.fixture(scope="module")
def browser() -> Iterator[SipBrowser]:
    with SipBrowser() as browser:
        yield browser


@pytest.fixture
def exchange(open_exchange: Callable[..., Exchange], tmp_path: Path) -> Exchange:
    return open_exchange(
        rtc=RtcConfig(listen=(RtcListen("http", "127.0.0.1", 0),), state=tmp_path, secret="s" * 40),
        hold_music=tone(MUSIC_HZ, 5000),
    )


@pytest.fixture
def page(browser: SipBrowser, exchange: Exchange) -> Iterator[Callable[[Library], SipPage]]:
    """Registers a page as seat 2001."""
    made: list[SipPage] = []

    def make(library: Library) -> SipPage:
        address = exchange.gateway.rtc_addresses[0]
        url = f"http://{address.host}:{address.port}"
        made.append(browser.page(library, "2001", PASSWORD, url=url, tone=PAGE_HZ))
        made[-1].is_registered()
        return made[-1]

    yield make
    for each in made:
        if not each.page.is_closed():
            each.page.context.close()


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_page_calls_in(exchange: Exchange, page: Callable[[Library], SipPage], library: Library) -> None:
    exchange.greets = says_hello
    seat = page(library)
    seat.dials("1000")
    seat.is_connected()
    owned = exchange.takes()
    assert owned.call.caller_account == "2001"
    seat.hears(HELLO_HZ)
    seat.presses("5")
    assert owned.hears(KeyPressed).key == "5"
    owned.asks(lambda call: call.hangup())
    seat.is_over()
    exchange.is_clean()


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_page_hears_before_it_is_answered(
    exchange: Exchange, page: Callable[[Library], SipPage], library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.rtc.peer._CONNECT_TIMEOUT", 2.0)

    def says_hello_early(owned: Owned) -> None:
        owned.call.early()
        owned.call.play(1, [tone(HELLO_HZ, 60_000)])

    exchange.greets = says_hello_early
    seat = page(library)
    seat.dials("1000")
    seat.hears_ringing()
    if library == "jssip":
        seat.hears(HELLO_HZ)
    # SIP.js looks at the description with the answer only, however long that takes.
    exchange.awaits(asyncio.sleep(2.5))
    exchange.takes().asks(lambda call: call.answer())
    seat.is_connected()
    seat.hears(HELLO_HZ)
    seat.hangs_up()
    owned = exchange.takes()
    owned.hears(CallerLeft)
    owned.asks(lambda call: call.hangup())
    exchange.is_clean()


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_telephone_calls_a_page(
    exchange: Exchange, company: Company, page: Callable[[Library], SipPage], library: Library
) -> None:
    exchange.greets = rings_a_seat("2001")
    seat = page(library)
    phone = company.phone("2002", exchange.address, password=PASSWORD, domain="localhost")
    phone.register()
    phone.dials("1001")
    owned = exchange.takes()
    seat.rings()
    seat.answers()
    phone.is_connected()
    owned.hears(LegAnswered)
    seat.hears(phone.tone)
    phone.hears(PAGE_HZ)
    seat.holds()
    owned.hears(LegHeld)
    phone.hears(MUSIC_HZ)
    seat.retrieves()
    owned.hears(LegRetrieved)
    phone.hears(PAGE_HZ)
    seat.hears(phone.tone)
    seat.hangs_up()
    phone.is_hung_up()
    seat.is_over()
    assert owned.hears(LegEnded).by == "agent"
    exchange.is_clean()


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_page_calls_a_telephone(
    exchange: Exchange, company: Company, page: Callable[[Library], SipPage], library: Library
) -> None:
    exchange.greets = rings_a_seat("2002", answering=False)
    seat = page(library)
    phone = company.phone("2002", exchange.address, password=PASSWORD, domain="localhost")
    phone.register()
    seat.dials("1002")
    phone.rings()
    seat.hears_ringing()
    phone.answers()
    seat.is_connected()
    seat.hears(phone.tone)
    phone.hears(PAGE_HZ)
    seat.presses("7")
    assert phone.pressed(1) == "7"
    phone.hangs_up()
    seat.is_over()
    exchange.is_clean()


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_page_refuses(exchange: Exchange, page: Callable[[Library], SipPage], library: Library) -> None:
    exchange.greets = rings_a_seat("2001", answering=False)
    seat = page(library)
    caller = exchange.wire()
    dialled = caller.invite("1001")
    owned = exchange.takes()
    seat.rings()
    seat.refuses()
    # 486 by one, 480 by the other.
    assert owned.hears(LegFailed).outcome in ("busy", "offline")
    owned.asks(lambda call: call.hangup())
    caller.is_refused(dialled, 480)
    exchange.is_clean()


def test_a_page_and_a_desk_telephone_ring_together(
    exchange: Exchange, company: Company, page: Callable[[Library], SipPage]
) -> None:
    exchange.greets = rings_a_seat("2001")
    seat = page("jssip")
    desk = company.phone("2001", exchange.address, password=PASSWORD, domain="localhost")
    desk.register()
    caller = company.phone("2002", exchange.address, password=PASSWORD, domain="localhost", make="pjsua")
    caller.register()
    caller.dials("1001")
    desk.rings()
    seat.rings()
    seat.answers()
    desk.is_hung_up()
    caller.hears(PAGE_HZ)
    seat.hears(caller.tone)
    caller.hangs_up()
    seat.is_over()
    caller.dials("1001")
    seat.rings()
    desk.rings()
    desk.answers()
    seat.is_over()
    caller.hears(desk.tone)
    desk.hears(caller.tone)
    desk.hangs_up()
    caller.is_hung_up()
    exchange.is_clean()


def test_a_call_outlives_the_connection(
    exchange: Exchange, page: Callable[[Library], SipPage], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Shorter than it takes the page to connect again: it is heard meanwhile.
    monkeypatch.setattr("gateway.telephones._DESERTED_AFTER", 0.5)
    monkeypatch.setattr("gateway.telephones._LISTEN_EVERY", 0.25)
    exchange.greets = says_hello
    seat = page("jssip")
    seat.dials("1000")
    seat.is_connected()
    seat.hears(HELLO_HZ)
    seat.loses_connection()
    until(lambda: not exchange.gateway.registered_seats, "the seat is still reachable")
    seat.is_registered()
    seat.hears(HELLO_HZ)
    exchange.takes().asks(lambda call: call.hangup())
    seat.is_over()
    assert seat.reason == "Terminated by remote"
    exchange.is_clean()


def test_a_closed_tab_is_a_lost_call(
    exchange: Exchange, page: Callable[[Library], SipPage], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Consent would be missed after half a minute.
    monkeypatch.setattr("gateway.telephones._DESERTED_AFTER", 0.5)
    monkeypatch.setattr("gateway.telephones._LISTEN_EVERY", 0.25)
    exchange.greets = says_hello
    seat = page("jssip")
    seat.dials("1000")
    seat.is_connected()
    seat.hears(HELLO_HZ)
    seat.closes()
    assert exchange.takes().hears(CallerLeft).by == "network"
    until(lambda: not exchange.gateway.registered_seats, "the seat is still reachable")
    exchange.is_clean()


def test_a_page_over_tls(open_exchange: Callable[..., Exchange], browser: SipBrowser, tmp_path: Path) -> None:
    exchange = open_exchange(
        rtc=RtcConfig(listen=(RtcListen("https", "127.0.0.1", 0),), state=tmp_path, secret="s" * 40),
        tls=TlsConfig(state=tmp_path),
    )
    exchange.greets = says_hello
    address = exchange.gateway.rtc_addresses[0]
    seat = browser.page("jssip", "2001", PASSWORD, url=f"https://{address.host}:{address.port}", tone=PAGE_HZ)
    seat.is_registered()
    seat.dials("1000")
    seat.is_connected()
    seat.hears(HELLO_HZ)
    seat.hangs_up()
    assert exchange.takes().hears(CallerLeft).by == "caller"
    exchange.is_clean()
    seat.page.context.close()
