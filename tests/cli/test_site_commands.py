"""What an administrator types, and reads."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from ivr.records.database import open_database
from ivr.records.query import CallSummary
from ivr.records.versions import StoredRelease, StoredVersion, add_release
from ivr.site import load_site
from tests.cli.commands import ivr
from tests.records.calls import T0, arrived
from tests.records.calls import Script as Story
from tests.records.test_recovery import write


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    assert ivr("init", tmp_path / "site").exit_code == 0
    monkeypatch.chdir(tmp_path / "site")
    return tmp_path / "site"


def test_a_new_site_has_no_mistakes_and_passwords_of_its_own(site: Path) -> None:
    checked = ivr("check")
    assert (checked.exit_code, checked.stdout) == (0, "no mistakes\n")
    loaded = load_site(site / "site.yaml").site
    assert loaded is not None
    passwords = [seat.password for seat in loaded.seats.values()]
    passwords += [client.password or "" for client in loaded.clients.values()]
    assert len(passwords) == 4
    assert len({*passwords, "change-me-2001", "change-me-alice"}) == len(passwords) + 2
    assert "CHANGE" not in (site / "site.yaml").read_text()
    assert stat.S_IMODE((site / "secrets.yaml").stat().st_mode) == 0o600


def test_a_check_keeps_what_it_checked_where_the_state_of_the_site_is(site: Path) -> None:
    assert ivr("check").exit_code == 0
    assert not (site / "var").exists()
    (site / "var").mkdir()
    ivr("check")
    kept = sorted((site / "var" / "flows").iterdir())
    assert len(kept) > 10
    checked = ivr("check")
    assert (checked.exit_code, checked.stdout) == (0, "no mistakes\n")
    assert sorted((site / "var" / "flows").iterdir()) == kept
    with (site / "flows" / "main.yaml").open("a") as file:
        file.write("mistake: yes\n")
    assert ivr("check").exit_code == 1


def test_init_tells_the_passwords_and_how_to_start(tmp_path: Path) -> None:
    printed = ivr("init", tmp_path / "[new]").stdout
    loaded = load_site(tmp_path / "[new]" / "site.yaml").site
    assert loaded is not None
    for seat in loaded.seats.values():
        assert f"  user {seat.name}  password {seat.password}\n" in printed
    assert f"  user alice  password {loaded.clients['alice'].password}\n" in printed
    assert f"run --site {tmp_path}/[new]/site.yaml" in printed


def test_init_overwrites_nothing(site: Path) -> None:
    before = (site / "site.yaml").read_bytes()
    result = ivr("init", site)
    assert result.exit_code == 1
    assert "has site.yaml, secrets.yaml, flows, prompts already" in result.stderr
    assert (site / "site.yaml").read_bytes() == before


def test_without_calls_there_is_nothing_to_list(site: Path) -> None:
    result = ivr("calls")
    assert result.exit_code == 1
    assert "There are no records at" in result.stderr
    (site / "var").mkdir()
    open_database(f"sqlite:///{site}/var/records.db").dispose()
    assert ivr("calls").stdout == "No call has ended yet.\n"
    assert ivr("calls", "--json").stdout == ""


CALL = CallSummary(
    "c1", "+4930123", "1000", 1_700_000_000_000, 1_700_000_001_000, 1_700_000_075_400, "flow", "normal", "main",
    ("welcome", "main_menu", "goodbye"), (),
)  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        (
            200,
            [
                "arrived              caller    number  lasted  talked with  ended by       path",
                "2023-11-14 22:13:20  +4930123  1000    1:15    -            flow (normal)"
                "  welcome > main_menu > goodbye",
                "2023-11-14 22:13:20  +4930123  *900    1:15    -            flow (normal)",
            ],
        ),
        (
            80,
            [
                "arrived              caller    number  lasted  talked with  ended by",
                "2023-11-14 22:13:20  +4930123  1000    1:15    -            flow (normal)",
                "    welcome > main_menu > goodbye",
                "2023-11-14 22:13:20  +4930123  *900    1:15    -            flow (normal)",
            ],
        ),
    ],
)
def test_paths_stand_where_there_is_room(
    columns: int, lines: list[str], site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    module = import_module("ivr.cli.calls")  # Its name in the package is the command's.
    monkeypatch.setattr(module, "open_database", lambda *_, **__: None)
    monkeypatch.setattr(module, "finished_calls", lambda *_, **__: [CALL, replace(CALL, did="*900", path=())])
    monkeypatch.setattr(module, "_local", lambda _: "2023-11-14 22:13:20")
    assert ivr("calls").stdout.splitlines() == lines


def test_brackets_in_messages_are_no_markup(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (site / "site.yaml").read_text().replace("sqlite:///var/records.db", "postgresql://ivr@127.0.0.1:1/ivr")
    (site / "site.yaml").write_text(text)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    result = ivr("calls")
    assert result.exit_code == 1
    assert "The PostgreSQL driver is not installed. Type: pip install 'psycopg[binary]" in result.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert ivr("init", tmp_path / "site").exit_code == 1


def test_help_names_every_command() -> None:
    printed = ivr("--help").stdout
    assert all(name in printed for name in ("run", "init", "check", "test", "calls"))


def test_check_takes_the_folder_of_a_site(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(site.parent)
    checked = ivr("check", "site", "site/flows", "site/flows/main.yaml", "site/site.yaml")
    assert (checked.exit_code, checked.stdout) == (0, "no mistakes\n")


def test_flows_may_lie_beside_the_site_file(site: Path) -> None:
    for file in (site / "flows").iterdir():
        file.rename(site / file.name)
    text = (site / "site.yaml").read_text()
    (site / "site.yaml").write_text(text.replace("flows: flows", "flows: .").replace("csv: flows/", "csv: "))
    checked = ivr("check")
    assert (checked.exit_code, checked.stdout) == (0, "no mistakes\n")
    # Something that begins as a flow does is one, whatever else is wrong with it.
    (site / "extension.yaml").write_text("blocks: {}\n")
    assert "E102 this flow has no name" in ivr("check").stdout


def test_what_is_not_needed_of_the_samples_can_go(site: Path) -> None:
    shutil.rmtree(site / "flows" / "features")
    text = re.sub(r"^  (?:# Small flows|'13).*\n", "", (site / "site.yaml").read_text(), flags=re.M)
    (site / "site.yaml").write_text(text)
    assert ivr("check").stdout == "no mistakes\n"
    for name in ("company.flow", "company.yaml", "company.test.yaml", "repairs.csv"):
        (site / "flows" / name).unlink()
    text = re.sub(r"^  '120.*\n|^  repairs: .*\n|^tables:\n", "", text, flags=re.M)
    (site / "site.yaml").write_text(text)
    assert ivr("check").stdout == "no mistakes\n"


def test_recordings_and_seats_are_checked_in_flows_with_other_mistakes_too(site: Path) -> None:
    (site / "prompts" / "hello.wav").write_text("no sound")
    (site / "flows" / "extension.yaml").write_text(
        "flow: extension\nstart: ring\nblocks:\n  ring:\n    - play: [hello, nothing]\n"
        "    - transfer: {to: 'sip:2009', answered: rong}\n"
    )
    found = ivr("check").stdout
    assert "5:14: error E150 prompts/hello.wav is not a sound file" in found
    assert "5:21: error E150 prompt 'nothing' has no recording for en" in found
    assert "looked for prompts/en/nothing.wav and prompts/nothing.wav" in found
    assert "6:7: error E140 the site has no seat '2009'" in found
    assert "E101 no block 'rong'" in found
    assert "E110 transfer does not say what happens on 'busy'" in found


def test_steps_stand_under_their_call_with_their_lines(site: Path) -> None:
    """What keys do is there too, before the menu that they belong to."""
    loaded = load_site(Path("site.yaml")).site
    assert loaded is not None
    engine = open_database(loaded.records)
    version = StoredVersion("main", 3, "a1b2c3d4e5f6", "flows/main.yaml", "flow: main")
    add_release(engine, StoredRelease(1, T0, "-", "start", "", {}, {"main": 3}), [version])
    named = {"flow_version": "3-a1b2c3d4", "step": 1}
    story = Story("c1").at(0, "call.arrived", **arrived(flow_version="3-a1b2c3d4"))
    story.step(1, "welcome", 0, 2, verb="play", line=9, exit="next", next_block="menu", **named)
    story.step(2, "menu", 5, 5, verb="language", line=14, exit="next", **named)
    story.step(3, "menu", 2, 5, verb="menu", line=12, input="9", exit="9", next_block="called", **named)
    spoken = {"verb": "ask", "line": 16, "input_mode": "speech"}
    story.step(4, "ask", 5, 6, **spoken, input="the workshop", confidence=0.375, exit="no_match", **named)
    story.step(5, "ask", 6, 7, **spoken, exit="repair", next_block="ask", **named)
    story.step(6, "ask", 5, 6, verb="set", line=4, exit="failed", error="'x' is no number", **{**named, "flow": "id"})
    story.at(0, "leg.created", "a", role="caller", kind="sip", account=None).at(0, "leg.answered", "a", codec="PCMA")
    story.at(5, "leg.created", "b", role="agent", kind="rtc", account="alice")
    refused = {"invitation_state": "refused", "invitation_error": "busy"}
    story.at(6, "leg.ended", "b", outcome="busy", sip_status=486, **refused)
    story.at(6, "call.ended", ended_by="caller", end_cause="bye")
    write(engine, story.events)
    lines = ivr("calls", "--steps").stdout.splitlines()
    assert lines[-8:] == [
        "    0.0  welcome  main.yaml:9   play      → menu",
        "    5.0  menu     main.yaml:14  language",
        '    2.0  menu     main.yaml:12  menu      "9"  → called',
        '    5.0  ask      main.yaml:16  ask       said "the workshop" 0.38  no_match',
        "    6.0  ask      main.yaml:16  ask       said something  repair  → ask",
        "    5.0  ask      id:4          set       failed  ('x' is no number)",
        "    caller sip: answered, PCMA",
        "    agent rtc alice: busy, 486, invitation refused: busy",
    ]
    steps = json.loads(ivr("calls", "--steps", "--json").stdout)["steps"]
    assert [(step["file"], step["line"], step["block"], step["verb"]) for step in steps] == [
        ("flows/main.yaml", 9, "welcome", "play"),
        ("flows/main.yaml", 14, "menu", "language"),
        ("flows/main.yaml", 12, "menu", "menu"),
        ("flows/main.yaml", 16, "ask", "ask"),
        ("flows/main.yaml", 16, "ask", "ask"),
        (None, 4, "ask", "set"),
    ]
    assert [(step["input_mode"], step["input"], step["confidence"]) for step in steps[3:5]] == [
        ("speech", "the workshop", 0.375),
        ("speech", None, None),
    ]


def test_a_call_without_steps_has_none_to_show(site: Path) -> None:
    loaded = load_site(Path("site.yaml")).site
    assert loaded is not None
    write(open_database(loaded.records), Story("c1").at(0, "call.arrived").at(1, "call.ended").events)
    assert len(ivr("calls", "--steps").stdout.splitlines()) == 2
    assert json.loads(ivr("calls", "--steps", "--json").stdout)["steps"] == []
