"""What is wrong with a server, and what is said of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.view import TrunkView
from ivr.observe.now import Now, alarms_of
from tests.observe.looks import CALL, QUIET, look


def names(now: Now, before: Now | None = None) -> list[str]:
    return [alarm.name for alarm in alarms_of(now, before)]


def test_a_quiet_server_has_no_alarm_and_is_ready() -> None:
    assert names(QUIET, QUIET) == []
    assert QUIET.ready


@pytest.mark.parametrize(
    ("changes", "name", "says"),
    [
        ({"failing": True, "last_error": "disk full", "queued": 12}, "records_failing", "12 events wait in var/spool"),
        ({"spool_error": "No space left on device"}, "spool_failing", "No space left on device; a crash would cost"),
        ({"spool_filling": 0.61}, "spool_filling", "61% of var/spool"),
        ({"trunks": (TrunkView("carrier", "failed", 403),)}, "trunk_not_registered", "carrier"),
        ({"trunks": (TrunkView("carrier", "failed", None),)}, "trunk_not_registered", "does not answer"),
        ({"hearing": {"en": True, "ko": False}}, "hearing_down", "callers in ko"),
        ({"calls": (CALL,) * 10}, "calls_at_limit", "limits: calls:"),
        ({"complaints": ("flows/main.yaml:1:1: error",)}, "flows_broken", "1 mistake and"),
        ({"complaints": ("a", "b")}, "flows_broken", "2 mistakes"),
        ({"draining": True}, "draining", "no new calls"),
        ({"realtime": False}, "media_not_realtime", "CAP_SYS_NICE"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], name: str, says: str) -> None:
    (alarm,) = alarms_of(look(**changes))
    assert alarm.name == name
    assert says in alarm.text


@pytest.mark.parametrize(
    ("changes", "name"),
    [({"dropped": 3}, "records_dropped"), ({"lost": 3}, "spool_damaged"), ({"missed_slots": 2}, "media_late")],
)
def test_what_has_grown_is_an_alarm_until_it_grows_no_more(changes: dict[str, Any], name: str) -> None:
    worse = look(**changes)
    assert names(worse, QUIET) == [name]
    assert names(worse, worse) == []
    # Whoever looks for the first time does not know whether that was a year ago.
    assert names(worse) == []


def test_the_worst_comes_first() -> None:
    assert names(look(complaints=("a",), failing=True)) == ["records_failing", "flows_broken"]


def test_a_server_that_is_full_or_stops_is_not_ready() -> None:
    assert not look(calls=(CALL,) * 10).ready
    assert not look(draining=True).ready


def test_a_look_is_json_and_tells_how_a_leg_sounds() -> None:
    told = json.loads(json.dumps(look(calls=(CALL,)).as_json()))
    (call,) = told["calls"]
    assert (call["state"], call["block"], call["place"]) == ("in_flow", "main_menu", "flows/main.yaml:27:7")
    (leg,) = call["legs"]
    assert (leg["name"], leg["codec"], leg["packets_lost"], leg["jitter_ms"]) == ("caller", "PCMU", 10, 3.0)
    assert told["seats"][0]["telephones"] == ["a phone at 10.0.0.7:5060"]
