"""Callers who speak, in voices that are not the program's own, and what they reach by it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Playwright, sync_playwright

from tests.acceptance.call_centre import CallCentre, site
from tests.acceptance.test_company import ALWAYS, Shop, hears
from tests.peers.browser import Browser
from tests.peers.chaos import Weather
from tests.peers.company import Company, Make
from tests.peers.patience import until
from tests.peers.phone import Phone
from tests.peers.ports import free_port
from tests.peers.process import require
from tests.peers.sound import Sound
from tests.peers.speakers import Voice, noisy, says
from tests.peers.speech import spoken

pytestmark = pytest.mark.peer

ASKED, SUPPORT, SALES, TAKEN, SORRY, GOODBYE = 700, 880, 1060, 1240, 1420, 1600

_ENGLISH = """\
flow: main
title: By voice
languages: [en]
start: menu
on_error: sorry
input: {timeout: 15s, tries: 3}
blocks:
  menu:
    - answer
    - ask:
        prompt: [asked, asked]
        intents:
          support: {say: [support, technical support], go: support}
          sales: {say: [sales, a new order], go: sales}
        failed: sorry
  support: [{play: support}, {goto: order}]
  sales: [{play: sales}, {goto: order}]
  order:
    - collect: {into: order, prompt: asked, digits: 4, speech: digits, speech_timeout: 1s, failed: sorry}
    - if: {when: order == '4711', then: taken, else: sorry}
  taken: [{play: taken}, hangup]
  sorry: [{play: sorry}, hangup]
vars: {order: digits}
"""
_KOREAN = """\
flow: main
title: By voice, in Korean
languages: [ko]
start: menu
on_error: sorry
input: {timeout: 15s, tries: 3}
blocks:
  menu:
    - answer
    - menu:
        prompt: [asked, asked]
        keys:
          '1': {say: 상담원 연결, go: support}
          '2': {say: [환불, 예약], go: sales}
        failed: sorry
  support: [{play: support}, hangup]
  sales: [{play: sales}, hangup]
  sorry: [{play: sorry}, hangup]
"""


class VoiceCentre(CallCentre):
    """Flows that are answered by voice, with tones for prompts."""

    def __init__(self, company: Company, flow: str = _ENGLISH) -> None:
        self.port = free_port()
        super().__init__(
            company,
            site(
                flows={"main": flow},
                prompts={
                    "asked": ASKED,
                    "support": SUPPORT,
                    "sales": SALES,
                    "taken": TAKEN,
                    "sorry": SORRY,
                },
                numbers={"1000": "main"},
                more={
                    "rtc": {"listen": [f"http:127.0.0.1:{self.port}"]},
                    "clients": {"alice": {"password": "open sesame 1", "call_out": ["*"]}},
                },
            ),
        )

    def speaker(self, name: str = "anna", **more: object) -> Phone:
        """A caller who says nothing but what he is told to, and hears the question."""
        caller = self.company.phone(name, self.server.address, make="pjsua", silent=True, **more)  # type: ignore[arg-type]
        caller.dials("1000")
        caller.is_connected()
        # Nobody answers a question in its first moment, and none is listened to then.
        caller.hears(ASKED, 0.6)
        return caller


@pytest.fixture
def voices(company: Company) -> VoiceCentre:
    return VoiceCentre(company)


@pytest.mark.parametrize(("make", "voice", "noise_db"), [("pjsua", "slt", None), ("baresip", "rms", 30.0)])
def test_the_sample_line_is_walked_by_voice(company: Company, make: Make, voice: Voice, noise_db: float | None) -> None:
    shop = Shop(company, opens=ALWAYS)
    support = shop.seat("2002")
    anna = company.phone("+4930123456", shop.server.address, make=make, silent=True)
    anna.dials("1000")
    anna.is_connected()
    hears(anna, "Welcome to the demonstration line.")
    anna.hears_something()
    words = says("technical support", voice)
    anna.says(words if noise_db is None else noisy(words, noise_db))
    hears(anna, "One moment, I am calling support.")
    support.rings()
    support.answers()
    anna.hangs_up()
    support.is_hung_up()
    assert shop.server.record("+4930123456").path == ("welcome", "main_menu", "support")


def test_words_and_digits_over_a_line_that_is_noisy_and_loses_packets(voices: VoiceCentre) -> None:
    relay = voices.relay(media=Weather(loss=0.03))
    anna = voices.speaker(behind=relay)
    anna.says(noisy(says("a new order", "slt"), 20))
    anna.hears(SALES)
    anna.hears(ASKED, 0.6)
    anna.says(noisy(says("four seven one one", "rms"), 30))
    anna.hears(TAKEN)
    anna.is_hung_up()
    told = voices.server.does("trace", "last")
    assert 'said "a new order"' in told, told
    assert "cutting the prompt" in told, told
    assert relay.counts()["lost"] > 0


def test_korean_by_another_engine(company: Company) -> None:
    voices = VoiceCentre(company, _KOREAN)
    anna = voices.speaker()
    anna.says(spoken("상담원 연결", "ko"))
    anna.hears(SUPPORT)
    anna.is_hung_up()
    assert voices.record().path == ("menu", "support")


def test_a_recogniser_that_is_killed_fails_its_call_and_hears_the_next(voices: VoiceCentre) -> None:
    anna = voices.speaker()
    for pid in hearing(voices):
        os.kill(pid, signal.SIGKILL)
    anna.hears(SORRY)
    anna.is_hung_up()
    until(lambda: json.loads(voices.server.does("top", "--json"))["hearing"] == {"en": True}, "nobody listens again")
    again = voices.speaker("carl")
    again.says(says("support", "slt"))
    again.hears(SUPPORT)
    again.hangs_up()


def hearing(centre: CallCentre) -> list[int]:
    """The processes of the server that listen."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(centre.server.child.process.pid)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if "ivr.speech.recognition" in line]


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    require("chromium", package="chromium")
    with sync_playwright() as playwright:
        yield playwright


def test_a_browser_is_heard(voices: VoiceCentre, playwright: Playwright) -> None:
    with Browser(playwright) as browser:
        alice = browser.client("alice", f"http://127.0.0.1:{voices.port}", "open sesame 1", tone=0, codec="opus")
        alice.dials("1000")
        alice.is_connected()
        alice.hears(ASKED)
        alice.says(loud(says("technical support", "awb")))
        alice.hears(SUPPORT)
        alice.hangs_up()
        alice.is_over()
    record = voices.record("alice")
    assert record.path[:2] == ("menu", "support")


def loud(sound: Sound) -> Sound:
    """As a microphone close by gives it."""
    return Sound(sound.samples * 2)
