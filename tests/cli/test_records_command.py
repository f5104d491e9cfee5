"""``ivr records``: what it prints, what it keeps to itself, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from ivr.cli import app
from ivr.records.database import open_database
from ivr.records.writer import RecordWriter
from tests.records.calls import typical_call
from tests.records.tables import rows, scalar

CALLER = "+4930123456"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "flows").mkdir()
    (tmp_path / "site.yaml").write_text(
        "numbers: {'1000': main}\nrecords: sqlite:///records.db\nretention: {events: 30d, calls: 2y}\n"
    )
    writer = RecordWriter(f"sqlite:///{tmp_path}/records.db")
    for event in [*typical_call("c1"), *typical_call("c2", caller="4711")]:
        writer.append(event)
    assert writer.close(20)
    return tmp_path / "site.yaml"


@pytest.fixture
def engine(site: Path) -> Engine:
    return open_database(f"sqlite:///{site.parent}/records.db")


def says(site: Path, *arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["records", *arguments, "--site", str(site)])
    assert result.exit_code == code, result.output
    return result.output


def test_rows_are_derived_again(site: Path, engine: Engine) -> None:
    before = rows(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE legs SET codec = 'PCMA'")
    assert "2 calls were derived again" in says(site, "rebuild")
    assert rows(engine) == before


def test_an_audit_of_whole_records(site: Path) -> None:
    assert "2 calls, no mistakes" in says(site, "audit")
    assert says(site, "audit", "--json") == ""


def test_an_audit_names_calls_and_keeps_numbers_to_itself(site: Path, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE segments SET until_at = until_at + 5 WHERE call_id = 'c1' AND seq = 1")
    said = says(site, "audit", code=1)
    assert "c1 (2025-06-15" in said
    assert "segments overlap by 5 ms before segment 2 (offer)" in said
    assert "2 calls, 1 mistake" in said
    assert CALLER not in said
    assert CALLER in says(site, "audit", "--show-numbers", code=1)
    told = json.loads(says(site, "audit", "--json", code=1))
    assert (told["call_id"], told["caller"]) == ("c1", "••••••••456")
    assert "0 calls, no mistakes" in says(site, "audit", "--last", "24h")


def test_what_is_too_old_is_told_first_and_then_deleted(site: Path, engine: Engine) -> None:
    said = says(site, "retain", "--dry-run")
    assert "events of calls that ended more than 30 days ago" in said
    assert "40 rows of events would be deleted" in said
    assert scalar(engine, "SELECT count(*) FROM events") == 40
    assert "40 rows of events were deleted" in says(site, "retain")
    assert scalar(engine, "SELECT count(*) FROM events") == 0
    assert scalar(engine, "SELECT count(*) FROM calls") == 2


def test_without_retention_there_is_a_remedy(site: Path) -> None:
    site.write_text("numbers: {'1000': main}\nrecords: sqlite:///records.db\n")
    assert "Write retention: {events: 30d, calls: 2y}" in says(site, "retain", code=1)


def test_a_caller_is_erased(site: Path, engine: Engine) -> None:
    assert "1 calls of •••••••456 would be cleared" in says(site, "erase", "4930123456", "--dry-run")
    assert scalar(engine, "SELECT caller FROM calls WHERE call_id = 'c1'") == CALLER
    said = says(site, "erase", CALLER)
    assert "1 calls of ••••••••456 were cleared" in said
    assert "2 answers" in said
    assert scalar(engine, "SELECT caller FROM calls WHERE call_id = 'c1'") is None
    assert json.loads(says(site, "erase", CALLER, "--json"))["calls"] == []
    says(site, "erase", " ", code=1)


def test_sizes(site: Path) -> None:
    assert "events" in says(site, "size")
    told = {one["table"]: one for one in json.loads(says(site, "size", "--json"))}
    assert (told["calls"]["rows"], told["events"]["rows"]) == (2, 40)
    assert "MB now" in says(site, "vacuum")


def test_records_that_are_not_there(site: Path) -> None:
    (site.parent / "records.db").unlink()
    assert "There are no records at" in says(site, "audit", code=1)
