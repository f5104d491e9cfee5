"""A server with a call in it, watched by HTTP and in the terminal."""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ivr.log import JsonLines
from tests.cli.commands import ivr
from tests.live.served import BROKEN, Running
from tests.peers.company import Company
from tests.peers.patience import until
from tests.peers.ports import free_port


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path, monitoring={"listen": f"http:127.0.0.1:{free_port()}"}, limits={"calls": 1})
    yield running
    running.close()


def get(running: Running, path: str) -> tuple[int, str]:
    address = running.settings["monitoring"]["listen"].removeprefix("http:")
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def metric(running: Running, name: str, **labels: str) -> float | None:
    status, text = get(running, "/metrics")
    assert status == 200
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if (sample.name, sample.labels) == (name, labels):
                return sample.value
    return None


@pytest.mark.peer
def test_a_call_is_seen_while_it_is_there_and_counted_afterwards(watched: Running, company: Company) -> None:
    assert get(watched, "/healthz")[0] == 200
    assert json.loads(get(watched, "/readyz")[1])["ready"] is True
    caller = company.phone("4930123456", watched.address)
    caller.dials("1000")
    caller.is_connected()
    caller.hears(700)
    (call,) = json.loads(ivr("top", "--site", watched.file, "--json").stdout)["calls"]
    assert (call["caller"], call["did"], call["state"], call["block"]) == ("•••••••456", "1000", "in_flow", "menu")
    assert call["verb"] == "menu"
    assert call["place"].endswith("main.yaml:6:7")
    (leg,) = call["legs"]
    assert (leg["name"], leg["state"], leg["codec"]) == ("caller", "answered", "PCMU")
    assert leg["packets_received"] > 0
    assert "456" in leg["remote"]
    assert "4930123456" not in leg["remote"]
    shown = ivr("top", "--site", watched.file, "--once", "--show-numbers").stdout
    assert "4930123456" in shown
    assert "main › menu menu (main.yaml:6)" in shown
    assert "in the menu" in shown
    # One call is all that is allowed.
    assert "ALARM" in shown
    assert get(watched, "/readyz")[0] == 503
    assert metric(watched, "ivr_calls", state="in_flow") == 1
    caller.presses("1")
    caller.is_hung_up()
    ended = {"mode": "ivr", "flow": "main", "ended_by": "flow", "answered": "yes"}
    until(lambda: metric(watched, "ivr_calls_ended_total", **ended) == 1, "the call is not counted")
    assert metric(watched, "ivr_calls", state="in_flow") == 0
    assert metric(watched, "ivr_legs_ended_total", kind="sip", role="caller", outcome="answered") == 1
    assert "No calls now." in ivr("top", "--site", watched.file, "--once").stdout
    assert get(watched, "/readyz")[0] == 200


def test_broken_flows_are_an_alarm_everywhere(watched: Running) -> None:
    watched.main.write_text(BROKEN)
    # While the files are read once more, nothing is known against them.
    until(
        lambda: "ivr check names them" in ivr("top", "--site", watched.file, "--once").stdout,
        "the change is not seen",
        every=0.2,
    )
    assert metric(watched, "ivr_alarm", alarm="flows_broken", severity="warning") == 1
    # Callers are served all the same.
    assert get(watched, "/readyz")[0] == 200


def test_top_without_a_server_says_what_to_do(tmp_path: Path) -> None:
    result = ivr("top", "--site", tmp_path / "site.yaml", "--once")
    assert result.exit_code == 1
    assert "ivr run --site" in result.stderr


def test_lines_for_programs_name_the_call() -> None:
    record = logging.LogRecord("ivr.call", logging.INFO, "", 1, "call %s: ended by %s", ("c1", "caller"), None)
    record.event, record.data = "call.ended", {"ended_by": "caller"}
    line = json.loads(JsonLines().format(record))
    assert line["time"].endswith("+00:00")
    del line["time"]
    assert line == {
        "level": "INFO",
        "logger": "ivr.call",
        "message": "call c1: ended by caller",
        "call": "c1",
        "event": "call.ended",
        "data": {"ended_by": "caller"},
    }
