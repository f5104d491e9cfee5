"""Reports that are made beside the calls, by processes of their own."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ivr.records.database import open_database
from ivr.reports.runner import SUM_UP_AFTER_S, ReportRunner
from ivr.reports.schedule import ReportJob, parse_when
from ivr.reports.span import DAY_MS
from tests.records.eight_calls import ivr
from tests.records.tables import scalar
from tests.records.test_recovery import write

BERLIN = ZoneInfo("Europe/Berlin")
SEVEN = datetime(2026, 11, 27, 7, tzinfo=BERLIN).timestamp()
JOB = ReportJob("daily", "containment", parse_when("07:00"), ("out/{date}.csv",))


def runner(folder: Path, now: list[float], command: tuple[str, ...] | None = None) -> ReportRunner:
    def jobs() -> tuple[Mapping[str, ReportJob], ZoneInfo]:
        return {"daily": JOB}, BERLIN

    more = {} if command is None else {"command": command}
    return ReportRunner(folder / "site.yaml", folder / "var", jobs, clock=lambda: now[0], **more)


def test_it_is_made_when_it_is_due_and_once_over_restarts(tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    (tmp_path / "site.yaml").write_text(
        "numbers: {'1000': main}\nrecords: sqlite:///records.db\nzone: Europe/Berlin\n"
        "reports: {daily: {report: containment, when: '07:00', to: 'out/{date}.csv'}}\n"
    )
    engine = open_database(f"sqlite:///{tmp_path}/records.db")
    ten_days_ago = round(time.time() * 1000) - 10 * DAY_MS
    write(engine, ivr("c1", "1", ten_days_ago).at(9, "call.ended", ended_by="caller").events)
    now = [SEVEN - 60]
    first = runner(tmp_path, now)
    asyncio.run(first.look())
    assert not (tmp_path / "out").exists()
    now[0] = SEVEN + 1
    asyncio.run(first.look())
    made = tmp_path / "out/2026-11-26.csv"
    assert made.read_text(encoding="utf-8-sig").startswith("flow,calls,contained")
    made.unlink()
    asyncio.run(runner(tmp_path, now).look())
    assert not made.exists()
    assert json.loads((tmp_path / "var/reports.json").read_text()) == {"daily": SEVEN}
    # A little later the sums of days gone by are made.
    funnels = "SELECT count(*) FROM report_days WHERE facts = 'blocks/flow,block'"
    assert scalar(engine, funnels) == 0
    now[0] += SUM_UP_AFTER_S
    asyncio.run(first.look())
    assert scalar(engine, funnels)
    engine.dispose()


def test_what_fails_is_told_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var/reports.json").write_text(json.dumps({"daily": SEVEN - 86_400}))
    now = [SEVEN]
    failing = runner(tmp_path, now, ("/bin/sh", "-c", "echo the disk is full >&2; exit 1"))
    with caplog.at_level(logging.INFO):
        asyncio.run(failing.look())
        asyncio.run(failing.look())
    assert [record.getMessage() for record in caplog.records] == [
        "report 'daily' could not be made, and is tried again in 5 minutes: the disk is full"
    ]
    now[0] += 300
    asyncio.run(failing.look())
    assert len(caplog.records) == 2


def test_a_file_of_nonsense_is_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var/reports.json").write_text("[1, 2")
    asyncio.run(runner(tmp_path, [SEVEN]).look())
    assert "cannot be read, and is begun anew" in caplog.text
    assert json.loads((tmp_path / "var/reports.json").read_text()) == {"daily": SEVEN}


def test_at_the_end_nothing_is_left_running(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var/reports.json").write_text(json.dumps({"daily": SEVEN - 86_400}))
    started, mark = tmp_path / "started", "echo $$ > "
    slow = runner(
        tmp_path, [SEVEN], ("/bin/sh", "-c", f"{mark} {started}.new; mv {started}.new {started}; exec sleep 60")
    )

    async def is_cancelled() -> None:
        task = asyncio.create_task(slow.run())
        while not started.exists():  # noqa: ASYNC110  (another process makes it)
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(is_cancelled())
    assert not Path(f"/proc/{started.read_text().strip()}").exists()
