"""Browsers as SIP telephones: JsSIP and SIP.js in Chromium register, call, are called, hold, and hang up.

Sound is told apart by its pitch at both ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.call import CallEvent, KeyPressed, LegAnswered, LegEnded, LegHeld, LegRetrieved, Target
from gateway.config import RtcConfig, RtcListen
from gateway.media.tone import tone
from tests.gateway.exchange import PASSWORD, Exchange, Owned
from tests.peers.company import Company
from tests.peers.patience import until
from tests.peers.sip_page import Library, SipBrowser, SipPage

pytestmark = pytest.mark.peer

LIBRARIES: tuple[Library, ...] = ("jssip", "sipjs")
HELLO_HZ, PAGE_HZ, MUSIC_HZ = 440, 1900, 620


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


def says_hello(owned: Owned) -> None:
    owned.call.answer()
    owned.call.play(1, [tone(HELLO_HZ, 60_000)])


def rings_the_seat(owned: Owned) -> None:
    """Ring seat 2001 and put it through."""

    def react(event: CallEvent) -> None:
        if isinstance(event, LegAnswered):
            owned.call.connect("seat")
        elif isinstance(event, LegEnded):
            owned.call.hangup()

    owned.react = react
    owned.call.answer()
    owned.call.dial("seat", Target("sip", "2001"))


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
