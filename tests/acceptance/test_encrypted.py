"""A browser that signs in by SIP over WebSocket, and a telephone that encrypts or does not talk: a menu, by TLS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.call_centre import GOODBYE, MENU, PASSWORDS, CallCentre, site
from tests.peers.company import Company
from tests.peers.ports import free_port
from tests.peers.sip_page import SipBrowser

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def browser() -> Iterator[SipBrowser]:
    with SipBrowser() as browser:
        yield browser


def test_a_browser_and_a_telephone_over_tls(company: Company, browser: SipBrowser) -> None:
    tls, https = free_port(), free_port()
    centre = CallCentre(
        company,
        site(
            more={
                "sip": {"listen": [f"tls:127.0.0.1:{tls}"]},
                "rtc": {"listen": [f"https:127.0.0.1:{https}"]},
                "seats": {"2001": {"password": PASSWORDS["2001"], "srtp": "require"}},
            }
        ),
    )
    telephone = company.phone(
        "2001",
        f"127.0.0.1:{tls}",
        password=PASSWORDS["2001"],
        domain="localhost",
        transport="tls",
        srtp=True,
    )
    telephone.register()
    page = browser.page("jssip", "2003", PASSWORDS["2003"], url=f"https://127.0.0.1:{https}", tone=540)
    page.is_registered()
    page.dials("1000")
    page.is_connected()
    page.hears(MENU)
    page.presses("1")
    telephone.rings()
    telephone.answers()
    telephone.hears(page.tone)
    page.hears(telephone.tone)
    telephone.hangs_up()
    page.hears(GOODBYE)
    page.is_over()
    record = centre.record("2003")
    assert record.path == ("menu", "desk", "bye")
    assert record.agents() == {"2001": True}
    assert {leg.codec for leg in record.legs} == {"PCMU"}
    said = centre.server.child.said()
    assert f"tls:127.0.0.1:{tls}" in said
    assert "no certificate is configured" in said
