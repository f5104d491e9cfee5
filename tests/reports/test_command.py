"""``ivr report``, as a supervisor types it."""

from __future__ import annotations

import json
import shlex
from datetime import date
from pathlib import Path

import pytest

from ivr.records.database import open_database
from ivr.reports.catalogue import REPORTS
from tests.cli.commands import ivr
from tests.records.test_recovery import write
from tests.reports.busy_day import busy_day

DAY = ("--from", "2026-11-26", "--until", "2026-11-26")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    (folder / "flows").mkdir()
    (folder / "site.yaml").write_text("numbers: {'1000': main}\nzone: Europe/Berlin\nrecords: sqlite:///records.db\n")
    engine = open_database(f"sqlite:///{folder}/records.db")
    write(engine, *busy_day(date(2026, 11, 26)))
    engine.dispose()
    return folder


@pytest.fixture
def site(filled: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(filled)
    return filled


def test_alone_it_lists_the_reports_and_what_they_count() -> None:
    listed = ivr("report").stdout
    for name, report in REPORTS.items():
        assert f"\n{name}  " in f"\n{listed}"
        assert report.definition[0][:40] in " ".join(listed.split())
    assert "{T}" not in listed


def test_today_is_empty_and_says_so(site: Path) -> None:
    result = ivr("report", "funnel")
    assert result.exit_code == 0
    assert "Nothing to count in that time." in result.stdout
    assert "What" not in result.stderr


def test_a_number_leads_to_its_calls_by_the_command_it_names(site: Path) -> None:
    table = ivr("report", "outcomes", *DAY).stdout
    command = table.partition("The calls behind a number:  ")[2]
    words = shlex.split(command)[1:]
    assert words[:1] == ["report"]
    hour = words[words.index("--where") + 1]
    row = next(line for line in table.splitlines() if line.startswith(hour.removeprefix("hour=")))
    calls = ivr(*words).stdout.splitlines()
    assert len(calls) == 1 + int(row.split()[2])
    assert all("••••" in line for line in calls[1:])
    assert "••••" not in ivr(*words, "--show-numbers").stdout


def test_as_json_and_csv(site: Path) -> None:
    told = json.loads(ivr("report", "volumes", *DAY, "--by", "day", "--format", "json").stdout)
    assert told["zone"] == "Europe/Berlin"
    assert told["rows"][0]["calls"] == told["total"]["calls"] > 300
    text = ivr("report", "paths", *DAY, "-f", "csv", "--limit", "2").stdout
    assert len(text.splitlines()) == 3
    calls = json.loads(ivr("report", "paths", *DAY, "-f", "json", "--calls", "--limit", "3").stdout)
    assert [set(call) >= {"call_id", "arrived", "caller"} for call in calls] == [True] * 3


def test_the_ending_of_the_file_says_how(site: Path) -> None:
    for name, begins in (("out.png", b"\x89PNG"), ("out.csv", b"\xef\xbb\xbf"), ("out.json", b"{")):
        assert ivr("report", "outcomes", *DAY, "-o", site / name).exit_code == 0
        assert (site / name).read_bytes().startswith(begins)
    assert ivr("report", "transfers", *DAY, "-o", site / "out.html").exit_code == 0
    assert "<h1>Transfers, 2026-11-26</h1>" in (site / "out.html").read_text()


def test_the_database_can_be_named_without_a_site(
    filled: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "Europe/Berlin")
    result = ivr("report", "volumes", *DAY, "--by", "day", "--records", f"sqlite:///{filled}/records.db")
    assert result.exit_code == 0
    assert "\n2026-11-26    4" in result.stdout or "\n2026-11-26    3" in result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["funel"], "There is no report 'funel'; did you mean 'funnel'?"),
        (["volumes", "--from", "nonsense"], "'nonsense' is no time: write 2026-11-27"),
        (["volumes", "--by", "agent"], "'volumes' cannot be cut by agent: it can by hour, day"),
        (["volumes", "--where", "flow"], "--where 'flow' has no '=': write"),
        (["volumes", "--where", "seat=1"], "there is no 'seat' to look for"),
        (["volumes", "-o", "x.doc"], "'x.doc' has no known ending: .txt"),
        (["volumes", "-o", "/nowhere/x.csv"], "/nowhere/x.csv cannot be written: No such file"),
        (["volumes", "--calls", "-f", "png"], "a list of calls is not written as png"),
        (["day", "--by", "hour"], "the page of a day has no --by, --where or --calls"),
        (["day", "-f", "csv"], "the page of a day is not written as csv"),
        (["volumes", "--records", "sqlite:////nowhere/x.db"], "There are no records at /nowhere/x.db"),
    ],
)
def test_what_is_wrong_is_said(words: list[str], said: str, site: Path) -> None:
    result = ivr("report", *words)
    assert result.exit_code == 1
    assert said.lower() in result.stderr.lower()
    assert "Traceback" not in result.stderr
