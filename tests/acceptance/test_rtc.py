"""Browsers and telephones: real pages in Chromium call flows, seats, numbers and each other, and are called.

Sound is told apart by its pitch at both ends: each page and each telephone speaks a tone of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Playwright, sync_playwright

from tests.acceptance.call_centre import BUSY, GOODBYE, HOLD, MENU, NO_ANSWER, OFFLINE, REFUSED, CallCentre, site, trunk
from tests.peers.browser import Browser, Client
from tests.peers.company import Company
from tests.peers.patience import until
from tests.peers.ports import free_port
from tests.peers.process import require
from tests.peers.room import Room

pytestmark = pytest.mark.peer

_PASSWORD = "open sesame 1"
_TONES = {"alice": 2500, "bob": 2000, "carol": 3000}

_CLIENTS = """\
flow: clients
title: Clients
languages: [en]
start: menu
on_error: failed
input: {timeout: 10s, gap: 2s, tries: 3}
blocks:
  menu:
    - answer
    - menu:
        prompt: [main_menu, main_menu, main_menu]
        keys: {'1': alice, '2': both, '3': nobody}
        failed: bye
  alice:
    - transfer: {to: 'rtc:alice', ring: 8s, answered: bye, busy: busy, refused: refused,
                 no_answer: no_answer, offline: offline, failed: failed}
  both:
    - ring: {group: both, ring: 8s, answered: bye, busy: busy, no_answer: no_answer, failed: failed}
  nobody:
    - transfer: {to: 'rtc:carol', ring: 8s, answered: bye, busy: busy, refused: refused,
                 no_answer: no_answer, offline: offline, failed: failed}
  bye: [{play: goodbye}, hangup]
  busy: [{play: busy}, hangup]
  refused: [{play: refused}, hangup]
  no_answer: [{play: no_answer}, hangup]
  offline: [{play: offline}, hangup]
  failed: [{play: failed}, hangup]
"""


class WebCentre(CallCentre):
    """The call centre with browsers around it."""

    def __init__(
        self,
        company: Company,
        browser: Browser,
        *,
        carrier: int = 9,
        host: str = "127.0.0.1",
        port: int = 0,
        **rtc: Any,
    ) -> None:
        port = port or free_port()
        usual = site()
        super().__init__(
            company,
            site(
                flows={**usual.flows, "clients": _CLIENTS},
                numbers={"1000": "main", "1100": "clients"},
                groups={"both": ["sip:2001", "rtc:alice"], **usual.groups},
                trunks=trunk(carrier),
                more={
                    # Browsers elsewhere reach us at addresses that telephones here need not know.
                    "media": {"address": "127.0.0.1" if host == "127.0.0.1" else "0.0.0.0"},
                    "rtc": {
                        "listen": [f"http:{host}:{port}"],
                        "accounts": "2001;2002",
                        "pstn": {"prefix": "0", "trunk": "carrier"},
                        **rtc,
                    },
                    "clients": {
                        user: {"password": _PASSWORD, "name": user.title(), "number": number, "call_out": ["*"]}
                        for user, number in (("alice", "3001"), ("bob", "3002"), ("carol", "3003"))
                    },
                },
            ),
        )
        self.url = f"http://{host}:{port}"
        self._browser = browser

    def client(
        self, user: str = "alice", *, codec: str | None = None, tone: int | None = -1, relayed: bool = False
    ) -> Client:
        """Somebody at a browser, logged in; ``relayed`` by TURN, or not at all."""
        hz = _TONES[user] if tone == -1 else tone
        return self._browser.client(user, self.url, _PASSWORD, tone=hz, codec=codec, relayed=relayed)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """There can be one in a process at a time, and no event loop of anybody else's while it is there."""
    require("chromium", package="chromium")
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    with Browser(playwright) as browser:
        yield browser


@pytest.fixture
def web(company: Company, browser: Browser) -> Iterator[WebCentre]:
    yield WebCentre(company, browser)
    for client in browser.pages:
        client.closes()
    browser.pages.clear()


# A browser calls. -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["PCMU", "PCMA", "opus", "G722"])
def test_a_page_goes_through_a_menu_to_a_seat(web: WebCentre, codec: str) -> None:
    seat, alice = web.seat(), web.client(codec=codec)
    alice.dials("1000")
    alice.is_connected()
    alice.hears(MENU)
    alice.presses("1")
    seat.rings()
    seat.answers()
    seat.hears(alice.tone or 0)
    alice.hears(seat.tone)
    seat.hangs_up()
    alice.hears(GOODBYE)
    alice.is_over("hangup")
    record = web.record("3001")
    assert record.path == ("menu", "desk", "bye")
    assert record.agents() == {"2001": True}
    assert record.leg("caller").codec == codec


def test_a_page_calls_a_seat_which_rings_before_it_is_answered(web: WebCentre) -> None:
    seat, alice = web.seat(make="pjsua"), web.client()
    alice.dials("2001")
    seat.rings()
    alice.hears_ringing()
    assert alice.state == "received_by_remote"
    seat.answers()
    alice.is_connected()
    seat.hears(alice.tone or 0)
    alice.hears(seat.tone)
    alice.holds()
    alice.holds(False)
    alice.hears(seat.tone)
    alice.hangs_up()
    seat.is_hung_up()


def test_a_seat_that_is_busy_and_one_that_is_not_there(web: WebCentre) -> None:
    seat, alice = web.seat(), web.client()
    alice.dials("2001")
    seat.rings()
    seat.refuses()
    alice.is_over("busy")
    alice.dials("2002")
    alice.is_over("offline")


def test_a_page_that_gives_up_while_it_rings(web: WebCentre) -> None:
    seat, alice = web.seat(), web.client()
    alice.dials("2001")
    seat.rings()
    alice.hears_ringing()
    alice.hangs_up()
    seat.is_hung_up()
    assert web.record("3001").ended_by == "caller"


def test_out_through_the_trunk(company: Company, browser: Browser) -> None:
    handset = company.handset()
    carrier = company.sipp("carrier", handset=handset)
    web = WebCentre(company, browser, carrier=carrier.port)
    alice = web.client()
    alice.dials("013800138000")
    handset.talks_to(*carrier.media_address())
    alice.is_connected()
    alice.hears(handset.tone)
    handset.hears(alice.tone or 0)
    alice.hangs_up()
    carrier.finishes()


# A browser is called. -------------------------------------------------------------------------------------


def test_a_telephone_calls_a_page(web: WebCentre) -> None:
    alice, anna = web.client(), web.caller()
    anna.dials("3001")
    alice.rings()
    anna.hears_ringing()
    alice.answers()
    anna.is_connected()
    anna.hears(alice.tone or 0)
    alice.hears(anna.tone)
    alice.presses("5")
    alice.hangs_up()
    anna.is_hung_up()
    record = web.record()
    assert record.agents() == {"alice": True}


def test_a_caller_is_put_through_to_a_page(web: WebCentre) -> None:
    alice, anna = web.client(), web.caller()
    anna.dials("1100")
    anna.is_connected()
    anna.hears(MENU)
    anna.presses("1")
    alice.answers()
    anna.hears(alice.tone or 0)
    alice.hears(anna.tone)
    anna.hangs_up()
    alice.is_over("hangup")


def test_a_page_refuses_is_busy_or_does_not_answer(web: WebCentre) -> None:
    alice, anna = web.client(), web.caller()
    for response, prompt in ((None, REFUSED), ("busy", BUSY)):
        anna.dials("1100")
        anna.is_connected()
        anna.presses("1")
        alice.refuses(response)
        anna.hears(prompt)
        anna.is_hung_up()
    anna.dials("1100")
    anna.is_connected()
    anna.presses("1")
    alice.rings()
    anna.hears(NO_ANSWER)
    alice.is_over("cancelled")
    anna.dials("3001")
    alice.refuses()
    anna.is_refused(603)
    anna.dials("1100")
    anna.is_connected()
    anna.presses("3")
    anna.hears(OFFLINE)


def test_a_telephone_that_gives_up_before_the_page_answers(web: WebCentre) -> None:
    alice, anna = web.client(), web.caller()
    anna.dials("3001")
    alice.rings()
    anna.hangs_up()
    alice.is_over("cancelled")


def test_a_group_of_a_seat_and_a_page(web: WebCentre) -> None:
    seat, alice, anna = web.seat(), web.client(), web.caller()
    anna.dials("1100")
    anna.is_connected()
    anna.presses("2")
    seat.rings()
    alice.answers()
    anna.hears(alice.tone or 0)
    seat.is_hung_up()
    anna.hangs_up()
    alice.is_over()
    assert web.record().agents() == {"2001": False, "alice": True}


def test_two_devices_ring_and_one_answers(web: WebCentre) -> None:
    desk, mobile, anna = web.client(), web.client(), web.caller()
    anna.dials("3001")
    desk.rings()
    mobile.answers()
    desk.is_over("answered_elsewhere")
    anna.hears(mobile.tone or 0)
    anna.hangs_up()
    mobile.is_over()


def test_pages_call_each_other(web: WebCentre) -> None:
    alice, bob = web.client("alice"), web.client("bob")
    alice.dials("bob")
    bob.answers()
    alice.is_connected()
    alice.hears(bob.tone or 0)
    bob.hears(alice.tone or 0)
    bob.hangs_up()
    alice.is_over("hangup")


def test_three_pages_and_a_telephone_in_one_channel(web: WebCentre) -> None:
    alice, bob, carol, anna = web.client("alice"), web.client("bob"), web.client("carol"), web.caller()
    anna.dials("3001")
    alice.answers()
    channel = alice.does("test.call.channel")
    bob.dials("3001", channel=channel)
    bob.is_connected()
    carol.dials("3001", channel=channel)
    carol.is_connected()
    everybody = {"alice": alice, "bob": bob, "carol": carol}
    for name, client in everybody.items():
        client.hears(anna.tone, *(_TONES[other] for other in everybody if other != name))
        assert client.is_silent(_TONES[name]), f"{name} hears himself"
    until(
        lambda: all(anna.recorded().share_of(tone) > 0.1 for tone in _TONES.values()),
        lambda: f"anna hears {[anna.recorded().share_of(tone) for tone in _TONES.values()]}",
        every=0.3,
    )
    # Who was called hangs up: the others talk on.
    alice.hangs_up()
    bob.hears(anna.tone, _TONES["carol"])
    anna.hangs_up()
    bob.is_over("hangup")
    carol.is_over("hangup")


# What goes wrong. -----------------------------------------------------------------------------------------


def test_a_closed_tab_ends_the_call(web: WebCentre) -> None:
    alice, anna = web.client(), web.caller()
    anna.dials("3001")
    alice.answers()
    anna.hears(alice.tone or 0)
    alice.closes()
    anna.is_hung_up()


def test_signalling_that_is_lost_and_comes_back_keeps_the_call(web: WebCentre) -> None:
    alice, anna = web.client(), web.caller()
    anna.dials("3001")
    alice.answers()
    anna.hears(alice.tone or 0)
    alice.does("test.client._socket.close()")
    until(lambda: alice.does("test.client.state") == "reconnecting", "the page does not notice")
    until(lambda: alice.does("test.client.state") == "online", "the page does not come back")
    anna.hears(alice.tone or 0)
    alice.hears(anna.tone)
    alice.hangs_up()
    anna.is_hung_up()


def test_a_new_path_for_the_sound(web: WebCentre) -> None:
    """ICE restart: what a page does when its network changes."""
    alice, anna = web.client(), web.caller()
    anna.dials("3001")
    alice.answers()
    anna.hears(alice.tone or 0)
    before = alice.does("test.call._peer.localDescription.sdp.match(/ice-ufrag:(.*)/)[1]")
    alice.does("test.call.restartIce()")
    until(
        lambda: (
            alice.does("test.call._peer.localDescription.sdp.match(/ice-ufrag:(.*)/)[1]") != before
            and alice.does("test.call._peer.signalingState") == "stable"
        ),
        "no new generation of ICE",
    )
    anna.hears(alice.tone or 0)
    alice.hears(anna.tone)
    anna.hangs_up()
    alice.is_over("hangup")


def test_the_microphone_of_the_browser_itself(web: WebCentre) -> None:
    """Chromium's fake microphone beeps: getUserMedia and its processing are the browser's own here."""
    alice, anna = web.client(tone=None), web.caller()
    anna.dials("3001")
    alice.answers()
    until(lambda: any(anna.recorded().contains_tone(hz, 0.05) for hz in range(200, 1200, 50)), "no beep")
    alice.hears(anna.tone)
    anna.hangs_up()
    alice.is_over()


def test_a_network_that_goes_and_comes_back_and_one_that_changes(
    company: Company, playwright: Playwright, tmp_path: Path
) -> None:
    port = free_port()
    room = Room(tmp_path)
    # Browsers give the microphone to pages of https, and of this machine.
    secure = f"--unsafely-treat-insecure-origin-as-secure=http://{room.server}:{port}"
    try:
        with Browser(playwright, secure, room=room) as browser:
            web = WebCentre(company, browser, host=room.server, port=port)
            alice, anna = web.client(), web.caller()
            anna.dials("3001")
            alice.answers()
            anna.hears(alice.tone or 0)
            alice.hears(anna.tone)
            room.pulls()
            # Nobody is left to silence: there is music until she is back.
            anna.hears(HOLD, within=40)
            room.plugs_in()
            anna.hears(alice.tone or 0, within=40)
            until(lambda: alice.does("test.client.state") == "online", "the page does not come back", within=40)
            alice.hears(anna.tone)
            room.moves()
            anna.listens()
            anna.hears(alice.tone or 0, for_s=1.0, within=60)
            until(lambda: alice.does("test.client.state") == "online", "the page does not come back", within=60)
            anna.hears(alice.tone or 0, for_s=2.0)
            alice.hears(anna.tone)
            anna.hangs_up()
            alice.is_over("hangup")
    finally:
        room.close()


def test_a_page_that_reaches_us_by_a_turn_server_only(company: Company, browser: Browser) -> None:
    turn = company.turn_server("caller", "turn secret")
    server = {"urls": f"turn:{turn.address}?transport=udp", "username": "caller", "credential": "turn secret"}
    web = WebCentre(company, browser, ice_servers=[server])
    alice, anna = web.client(relayed=True), web.caller()
    anna.dials("3001")
    alice.answers()
    anna.hears(alice.tone or 0)
    alice.hears(anna.tone)
    assert alice.local_candidate() == "relay"
    anna.hangs_up()
    alice.is_over("hangup")
