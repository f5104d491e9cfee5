"""What is heard first: never cut at its beginning, never late, and a long text before all of it is spoken."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from tests.acceptance.call_centre import MENU, CallCentre, site
from tests.peers.company import Company, Make
from tests.peers.patience import until
from tests.peers.rtp import Handset

pytestmark = pytest.mark.peer

GREETING = """\
flow: main
start: welcome
blocks:
  welcome:
    - play: main_menu
    - hangup
"""
LONG = """\
flow: long
start: welcome
on_error: bye
blocks:
  welcome:
    - say: 'You have called {call.did}. Your order is ready. Goodbye.'
    - hangup
  bye:
    - hangup
"""
SECONDS = 1.0


def centre_with(company: Company, **media: str) -> CallCentre:
    more = {"media": media} if media else {}
    flows = {"main": GREETING, "long": LONG}
    numbers = {"1000": "main", "1100": "long"}
    prompts = {"main_menu": MENU}
    return CallCentre(
        company, site(flows=flows, prompts=prompts, numbers=numbers, groups={}, prompt_s=SECONDS, more=more)
    )


def silent_s(handset: Handset) -> float:
    """Seconds before the first sound, counted in packets; all of it if there is none."""
    samples = np.abs(handset.recorded().samples)
    loud = np.flatnonzero(samples > 0.02)
    return float(loud[0] if len(loud) else len(samples)) / 8000


def test_a_greeting_begins_when_the_caller_is_heard_and_is_whole(company: Company) -> None:
    centre, handset = centre_with(company, greeting_wait="5s"), company.handset()
    caller = centre.scripted_caller(caller="carl", handset=handset)
    where = caller.media_address()
    until(lambda: handset.recorded().seconds > 0.6, "the line is dead")
    assert silent_s(handset) == handset.recorded().seconds
    handset.talks_to(*where)
    handset.hears(MENU, for_s=SECONDS - 0.1)
    caller.finishes()
    assert silent_s(handset) < 4


def test_nobody_waits_for_long(company: Company) -> None:
    """Not a caller who is never heard, not telephones, and not for the end of a long text to be spoken."""
    centre = centre_with(company)
    silent = company.handset()
    centre.scripted_caller(caller="carl", handset=silent).finishes()
    assert silent_s(silent) == pytest.approx(0.5, abs=0.03)
    silent.hears(MENU, for_s=SECONDS - 0.1)

    makes: tuple[Make, ...] = ("baresip", "pjsua")
    for make in makes:
        telephone = centre.caller(make, make=make)
        telephone.dials("1000")
        telephone.hears(MENU, for_s=SECONDS - 0.15)
        telephone.is_hung_up()

    handset = company.handset()
    caller = centre.scripted_caller(caller="dora", number="1100", handset=handset)
    handset.talks_to(*caller.media_address())
    caller.finishes()
    assert centre.record("dora").ended_by == "flow"
    with closing(sqlite3.connect(f"file:{centre.server.folder / 'records.db'}?mode=ro", uri=True)) as database:
        (heard_ms,) = database.execute("SELECT heard_ms FROM flow_steps WHERE verb = 'say'").fetchone()
    heard = handset.recorded()
    assert 2000 < heard_ms < 10_000
    # Sentences are parted by as much as a voice pauses between them.
    pauses = [end - begin for begin, end in heard.silences(0.2) if begin > 0.6 and end < heard.seconds - 0.05]
    assert len(pauses) >= 2
    assert max(pauses) < 0.7
