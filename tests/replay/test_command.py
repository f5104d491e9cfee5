"""``ivr replay`` on real records."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Engine

from ivr.records.database import open_database
from ivr.records.recorded import recorded_calls
from ivr.site import load_site
from tests.cli.commands import ivr
from tests.records.test_recovery import write
from tests.replay.stage import events
from tests.replay.test_replay import OFFICE, RECORDED

SITE = (
    "flows: flows\nrecords: sqlite:///records.db\nnumbers: {'1000': office}\nseats: {'2001': {password: abcdefgh1}}\n"
)
GROUPS = "groups: {front_desk: ['sip:2001']}\n"


def fill(engine: Engine, count: int) -> None:
    now = round(time.time() * 1000) - 3_600_000
    for number in range(count):
        for name, call in RECORDED.items():
            at = now + number * 1000
            write(engine, events(replace(call, call_id=f"{name} {number}", arrived_ms=at)))


def a_site(folder: Path, office: str) -> Path:
    (folder / "flows").mkdir()
    (folder / "flows/office.yaml").write_text(office)
    site = folder / "site.yaml"
    site.write_text(SITE + GROUPS)
    loaded = load_site(site).site
    assert loaded is not None
    engine = open_database(loaded.records)
    fill(engine, 3)
    engine.dispose()
    return site


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'records.db'}")
    fill(engine, 1)
    read = {call.call_id.rpartition(" ")[0]: call for call in recorded_calls(engine, 0)}
    for name, call in RECORDED.items():
        assert replace(read[name], call_id="c1", arrived_ms=call.arrived_ms) == call
    assert not list(recorded_calls(engine, round(time.time() * 1000)))
    assert not list(recorded_calls(engine, 0, "another"))
    engine.dispose()


def test_an_edit(tmp_path: Path) -> None:
    site = a_site(tmp_path, OFFICE.replace("'0': desk", "'0': sales"))
    shown = ivr("replay", "--site", site)
    assert shown.exit_code == 0, shown.output
    assert f"{3 * len(RECORDED)} calls of the last 7d: " in shown.stdout
    told = json.loads(ivr("replay", "--site", site, "--json").stdout)
    [change] = told["changed"]
    assert (change["block"], change["by"], change["before"], change["after"]) == (
        "main_menu",
        "menu, key 0",
        "desk",
        "sales",
    )
    assert len(change["calls"]) == 9
    assert ivr("replay", "--site", site, "--fail-over", "10").exit_code == 1
    assert ivr("replay", "--site", site, "--fail-over", "50").exit_code == 0


def test_no_edit(tmp_path: Path) -> None:
    site = a_site(tmp_path, OFFICE)
    assert "36 go the same way, 0 another" in ivr("replay", "office", "--site", site, "--since", "24h").stdout
    assert "No call was recorded" in ivr("replay", "other", "--site", site).stdout
    assert ivr("replay", "--site", site, "--since", "soon").exit_code == 1
