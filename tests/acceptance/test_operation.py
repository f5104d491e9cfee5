"""Stopping, being killed, starting again: what happens to calls and to their records."""

from __future__ import annotations

import os
import signal

import pytest

from tests.acceptance.call_centre import MENU, CallCentre
from tests.peers.patience import SLACK, until
from tests.peers.phone import hear_each_other
from tests.peers.process import Child
from tests.peers.server import program

pytestmark = pytest.mark.peer


def test_a_terminated_server_lets_its_calls_end(centre: CallCentre) -> None:
    seat = centre.seat()
    caller = centre.reaches_menu(centre.caller())
    caller.presses("1")
    seat.rings()
    seat.answers()
    hear_each_other(caller, seat)
    centre.server.terminate()
    late = centre.scripted_caller("caller_is_refused", caller="carl", status_code="503")
    late.finishes()
    assert late.received("SIP/2.0 503")[0].header("Retry-After")
    hear_each_other(caller, seat)
    assert centre.server.child.is_running()
    caller.hangs_up()
    seat.is_hung_up()
    assert centre.server.ends() == 0
    record = centre.record()
    assert record.ended_by == "caller"
    assert record.agents() == {"2001": True}


def test_a_terminated_server_without_calls_ends_at_once(centre: CallCentre) -> None:
    centre.server.terminate()
    assert centre.server.ends(within=10) == 0


def test_the_command_itself(centre: CallCentre) -> None:
    """As an operator types it; all other servers of the tests are forked from a program that is there already."""
    server = centre.server
    server.terminate()
    assert server.ends() == 0
    # What it says must be in the file at once, whatever it thinks of a file.
    said_at_once = {**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
    words = [*program(), "run", "--site", str(server.folder / "site.yaml")]
    child = Child("command", words, folder=server.folder, env=said_at_once)
    try:
        until(lambda: any(line.startswith("ready") for line in child.said().splitlines()), child.said, within=40)
        child.signals(signal.SIGTERM)
        assert child.ends(SLACK) == 0, child.said()
        assert server.does("calls") == "No call has ended yet.\n"
    finally:
        child.close()


def test_calls_of_a_killed_server_are_in_the_records(centre: CallCentre) -> None:
    seat = centre.seat()
    talking = centre.reaches_menu(centre.caller("anna"))
    talking.presses("1")
    seat.rings()
    seat.answers()
    hear_each_other(talking, seat)
    choosing = centre.reaches_menu(centre.caller("berta", make="pjsua"))
    gone = centre.reaches_menu(centre.caller("clara"))
    gone.hangs_up()
    assert centre.record("clara").ended_by == "caller"
    centre.server.kill()
    centre.server.starts_again()
    records = {call.caller: call for call in centre.server.calls()}
    assert set(records) == {"anna", "berta", "clara"}
    assert records["clara"].end_cause != "node_lost"
    for caller in ("anna", "berta"):
        assert records[caller].end_cause == "node_lost"
        assert records[caller].ended_by == "system"
    assert records["anna"].path == ("menu", "desk")
    assert records["anna"].agents() == {"2001": True}
    del choosing
    again = centre.caller("dora")
    again.dials("1000")
    again.is_connected()
    again.hears(MENU)
