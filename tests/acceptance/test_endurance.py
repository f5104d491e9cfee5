"""What thousands of calls leave behind: nothing. The long form is bench/endurance.py."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.call_centre import CallCentre, site
from tests.peers.company import Company
from tests.peers.patience import until

pytestmark = pytest.mark.peer

CALLS = 1200
RATE = 100
FORGOTTEN_S = 33.0
"""SIP remembers a call for 64*T1, to know what comes twice."""
LEAK_KB = 5.0
"""For each call. One that is remembered takes 13; what is bounded, but not full after the first calls, up to 3."""


@dataclass(frozen=True)
class Remains:
    sizes: dict[str, int]
    fds: int
    threads: int
    rss_kb: int


def _sizes(centre: CallCentre) -> dict[str, int]:
    child = centre.server.child
    marker = "remembered: "
    before = child.said().count(marker)
    child.signals(signal.SIGUSR1)
    until(lambda: child.said().count(marker) > before, "the server says what it remembers")
    last = child.said().rpartition(marker)[2].partition("\n")[0]
    sizes: dict[str, int] = json.loads(last)
    return sizes


def _after(centre: CallCentre, calls: int) -> Remains:
    """Have that many short calls, wait until they are forgotten, see what is left."""
    caller = centre.scripted_caller(calls=calls, rate=RATE, at_once=4 * RATE, leave_after="500", within=90.0)
    assert caller.finishes().failed == 0
    until(
        lambda: not _sizes(centre)["transactions"],
        lambda: f"still remembered: {_sizes(centre)}",
        within=FORGOTTEN_S + 20,
        every=1.0,
    )
    pid = centre.server.child.pid
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return Remains(
        _sizes(centre), len(os.listdir(f"/proc/{pid}/fd")), int(status["Threads"]), int(status["VmRSS"].split()[0])
    )


@pytest.mark.timeout(300)
def test_twice_as_many_calls_leave_no_more_behind(company: Company) -> None:
    limits = {"calls": 4 * RATE, "calls_per_second": 4 * RATE}
    centre = CallCentre(company, site(media_ports=20 * RATE, more={"limits": limits}))
    once = _after(centre, CALLS)
    twice = _after(centre, CALLS)
    nothing = ("flows_running", "events_waiting", "calls", "parties", "media_legs", "dialogs", "sessions", "timers")
    assert {name: once.sizes[name] for name in nothing} == dict.fromkeys(nothing, 0)
    assert twice.sizes == once.sizes
    assert (twice.fds, twice.threads) == (once.fds, once.threads)
    assert (twice.rss_kb - once.rss_kb) / CALLS < LEAK_KB
    assert len(centre.server.calls()) == 2 * CALLS
