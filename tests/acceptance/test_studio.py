"""A prompt is recorded by telephone and heard by the next caller."""

from __future__ import annotations

import pytest

from ivr.prompts.numbers import numbered
from tests.acceptance.call_centre import MENU, CallCentre, site
from tests.peers.company import Company
from tests.peers.patience import until
from tests.peers.sound import Sound

pytestmark = pytest.mark.peer

FLOW = """\
flow: main
start: welcome
blocks:
  welcome:
    - play: main_menu
    - hangup
"""


def test_a_prompt_is_recorded_by_a_seat_and_by_nobody_else(company: Company) -> None:
    more = {"studio": {"number": "*900", "pin": "4711"}}
    centre = CallCentre(
        company, site(flows={"main": FLOW}, prompts={"main_menu": MENU}, groups={}, prompt_s=1.0, more=more)
    )
    stranger = centre.caller("stranger")
    stranger.dials("*900")
    stranger.is_refused(403)

    seat = centre.seat(make="pjsua")
    seat.dials("*900")
    seat.is_connected()
    number = numbered([("en", "main_menu")])["en", "main_menu"]
    seat.presses(f"4711#{number}")
    seat.hears(1000, for_s=0.15)
    # He talks all the time, in his own tone: a second and a half of it.
    seat.does_not_hear(MENU, for_s=1.5)
    target = centre.server.folder / "prompts" / "en" / "main_menu.wav"
    seat.presses("#")
    seat.hears(seat.tone)
    seat.presses("1")
    until(lambda: Sound.read(target).contains_tone(seat.tone), "the take is not there")
    # What was heard in every language stays for the others.
    assert Sound.read(centre.server.folder / "prompts" / "main_menu.wav").contains_tone(MENU)
    seat.hangs_up()
    assert centre.record("2001").ended_by == "caller"

    until(lambda: "main@2 live" in centre.server.does("status"), "the take is not live")
    caller = centre.caller()
    caller.dials("1000")
    caller.hears(seat.tone)
