"""What reports take on a month of 100,000 calls a day: three million calls, on SQLite and on PostgreSQL.

The calls are made by the database itself, which takes a minute or two; they are calls as the program writes them,
without the events they derive from. Each report is asked for a month with the sums of its days kept, as the server does
every night, and for one day straight from the rows, as it is done for today.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from sqlalchemy import Engine

sys.path.insert(0, str(Path(__file__).parents[1]))
from ivr.records.database import open_database
from ivr.reports import occupancy
from ivr.reports.answer import answer
from ivr.reports.catalogue import REPORTS
from ivr.reports.cells import Records
from ivr.reports.span import DAY_MS, Span
from tests.records.conftest import Cluster, postgresql_programs

TARGET_S = 2.0
FIRST_DAY = 1_761_955_200_000
"""2025-11-01 in UTC."""
OPEN_MS, HOURS_OPEN = 7 * 3_600_000, 13

app = typer.Typer(add_completion=False, rich_markup_mode=None)

# Chance that stays the same: the time of arrival, stirred. What becomes of a call is a number below 100.
_FATE = "(c.arrived_at * 48271 % 2147483647) % 100"
_CHANCE = "(c.arrived_at * 69621 % 2147483647)"
_TALKED, _OFFERED, _CONTAINED, _DROPPED = 45, 55, 75, 98

_IVR_MS = f"(6000 + {_CHANCE} % 20000)"
_OFFER_MS = f"(2000 + {_CHANCE} % 37000)"
_TALK_MS = f"(20000 + {_CHANCE} % 400000)"


def _sql(calls: int, per_day: int) -> Iterator[str]:
    gap = HOURS_OPEN * 3_600_000 // per_day
    at = f"{FIRST_DAY} + i / {per_day} * {DAY_MS} + {OPEN_MS} + i % {per_day} * {gap}"
    yield f"""
        INSERT INTO calls (call_id, conversation_id, mode, node_id, did, caller, flow, flow_version, language,
                           arrived_at, answered_at, ended_at, ended_by, goal, last_block, closed)
        WITH RECURSIVE n(i) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {calls - 1}),
          c AS (SELECT i, {at} AS arrived_at FROM n)
        SELECT 'b' || c.arrived_at || '-' || i, 'b' || c.arrived_at || '-' || i, 'ivr', 'bench',
          '10' || (i * 48271 % 97 % 20), '+4930' || (1000000 + i * 69621 % 2147483647 % 600000),
          'flow' || (i * 48271 % 97 % 20 / 4), '1-abc', 'en', c.arrived_at, c.arrived_at + 200,
          c.arrived_at + 200 + {_IVR_MS} + CASE WHEN {_FATE} < {_OFFERED} THEN {_OFFER_MS} ELSE 0 END
            + CASE WHEN {_FATE} < {_TALKED} THEN {_TALK_MS} ELSE 0 END,
          CASE WHEN {_FATE} < 50 THEN 'caller' WHEN {_FATE} < {_CONTAINED} THEN 'flow'
            WHEN {_FATE} < {_DROPPED} THEN 'caller' ELSE 'system' END,
          CASE WHEN {_FATE} >= {_OFFERED} AND {_FATE} < {_CONTAINED} THEN 'told' END,
          CASE WHEN {_FATE} < {_OFFERED} THEN 'sales' WHEN {_FATE} < {_CONTAINED} THEN 'told' ELSE 'menu' END, 1
        FROM c"""
    four = "(SELECT 0 AS k UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3) AS part"
    begins = f"""c.arrived_at + CASE WHEN k > 0 THEN 200 ELSE 0 END + CASE WHEN k > 1 THEN {_IVR_MS} ELSE 0 END
        + CASE WHEN k > 2 THEN {_OFFER_MS} ELSE 0 END"""
    ends = f"""c.arrived_at + 200 + CASE WHEN k > 0 THEN {_IVR_MS} ELSE 0 END
        + CASE WHEN k > 1 THEN {_OFFER_MS} ELSE 0 END + CASE WHEN k > 2 THEN {_TALK_MS} ELSE 0 END"""
    yield f"""
        INSERT INTO segments (call_id, seq, kind, from_at, until_at, agent, leg_id)
        SELECT c.call_id, k, CASE k WHEN 0 THEN 'ring' WHEN 1 THEN 'ivr' WHEN 2 THEN 'offer' ELSE 'talk' END,
          {begins}, {ends}, CASE WHEN k = 3 THEN 'seat' || ({_CHANCE} % 60) END, CASE WHEN k = 3 THEN 'b' END
        FROM calls AS c CROSS JOIN {four}
        WHERE k < 2 OR k = 2 AND {_FATE} < {_OFFERED} OR k = 3 AND {_FATE} < {_TALKED}"""
    yield f"""
        INSERT INTO legs (call_id, leg_id, kind, role, account, created_at, answered_at, ended_at, outcome, codec,
                          rx_pkts, tx_pkts, lost_pkts, jitter_ms, audio_rx_ms, audio_tx_ms)
        SELECT c.call_id, CASE k WHEN 0 THEN 'a' ELSE 'b' END, CASE k WHEN 0 THEN 'pstn' ELSE 'sip' END,
          CASE k WHEN 0 THEN 'caller' ELSE 'agent' END,
          CASE k WHEN 0 THEN 'carrier' || ({_CHANCE} % 3) ELSE 'seat' || ({_CHANCE} % 60) END,
          CASE k WHEN 0 THEN c.arrived_at ELSE c.arrived_at + 200 + {_IVR_MS} END,
          CASE WHEN k = 0 THEN c.arrived_at + 200
            WHEN {_FATE} < {_TALKED} THEN c.arrived_at + 200 + {_IVR_MS} + {_OFFER_MS} END,
          c.ended_at, CASE WHEN k = 1 AND {_FATE} >= 50 THEN 'no_answer' END, 'PCMA',
          (c.ended_at - c.arrived_at) / 20, (c.ended_at - c.arrived_at) / 20, {_CHANCE} % 7, 1.5, 20000, 20000
        FROM calls AS c CROSS JOIN (SELECT 0 AS k UNION ALL SELECT 1) AS part WHERE k = 0 OR {_FATE} < {_OFFERED}"""
    yield f"""
        INSERT INTO flow_steps (call_id, seq, flow, flow_version, block, step, verb, line, from_at, until_at, try_no,
                                input_mode, input, barged_in, heard_ms, exit, next_block)
        SELECT c.call_id, k, c.flow, '1-abc', CASE k WHEN 0 THEN 'welcome' WHEN 3 THEN c.last_block ELSE 'menu' END, 1,
          CASE k WHEN 0 THEN 'say' WHEN 3 THEN CASE WHEN {_FATE} < {_OFFERED} THEN 'transfer' ELSE 'say' END
            ELSE 'menu' END,
          k + 3, c.arrived_at + 200 + CASE WHEN k > 0 THEN 3000 * k ELSE 0 END,
          CASE k WHEN 3 THEN c.ended_at ELSE c.arrived_at + 3200 + 3000 * k END,
          CASE WHEN k IN (1, 2) THEN k END, CASE WHEN k IN (1, 2) THEN 'keys' END, CASE WHEN k IN (1, 2) THEN '1' END,
          {_CHANCE} % 2, 2000,
          CASE k WHEN 0 THEN 'next' WHEN 1 THEN CASE WHEN {_CHANCE} % 3 = 0 THEN 'no_match' ELSE '1' END
            WHEN 2 THEN CASE WHEN {_FATE} < {_CONTAINED} THEN '1' END ELSE 'next' END,
          CASE k WHEN 0 THEN 'menu' WHEN 1 THEN CASE WHEN {_CHANCE} % 3 <> 0 THEN c.last_block END
            WHEN 2 THEN CASE WHEN {_FATE} < {_CONTAINED} THEN c.last_block END END
        FROM calls AS c CROSS JOIN {four}
        WHERE k = 0 OR k = 1 OR k = 2 AND {_CHANCE} % 3 = 0 OR k = 3 AND {_FATE} < {_CONTAINED}"""


def build(engine: Engine, calls: int, per_day: int) -> None:
    """Fill an empty database."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            for pragma in ("synchronous = OFF", "cache_size = -2000000", "temp_store = MEMORY", "foreign_keys = OFF"):
                connection.exec_driver_sql(f"PRAGMA {pragma}")
        for statement in _sql(calls, per_day):
            connection.exec_driver_sql(
                statement.replace("%", "%%") if engine.dialect.name == "postgresql" else statement
            )
            connection.commit()
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


@contextmanager
def databases(kinds: list[str], folder: Path) -> Iterator[dict[str, str]]:
    """URLs of empty databases."""
    urls = {}
    cluster = None
    if "sqlite" in kinds:
        urls["sqlite"] = f"sqlite:///{folder}/records.db"
    if "postgresql" in kinds:
        programs = postgresql_programs()
        assert programs is not None, "PostgreSQL is not installed"
        data = folder / "postgresql"
        data.mkdir()
        cluster = Cluster(programs, data)
        urls["postgresql"] = cluster.new_database()
    try:
        yield urls
    finally:
        if cluster is not None:
            cluster.stop()


def measure(engine: Engine, days: int, per_day: int, console: Console) -> dict[str, dict[str, float]]:
    """Seconds of every report: of the whole span with the sums kept, and of a day from the rows.

    In brackets: processor time of this process alone, which on SQLite is all there is.
    """
    records = Records(engine, FIRST_DAY + (days + 3) * DAY_MS)
    zone = ZoneInfo("UTC")
    whole = Span(FIRST_DAY, FIRST_DAY + days * DAY_MS, zone)
    day = Span(FIRST_DAY + (days - 1) * DAY_MS, FIRST_DAY + days * DAY_MS, zone)
    began = time.perf_counter()
    made = records.summarise(FIRST_DAY) + occupancy.summarise(records, FIRST_DAY)
    console.print(f"{engine.dialect.name}: {made} sums of days made in {time.perf_counter() - began:.0f} s")
    found = {}
    for name, report in REPORTS.items():
        times, own = [], []
        # One each: those of one page share what they have counted.
        for keep, span in ((True, whole), (False, day)):
            asked = Records(engine, records.now, keep)
            began, used = time.perf_counter(), time.process_time()
            answer(report, asked, span)
            times.append(time.perf_counter() - began)
            own.append(time.process_time() - used)
        found[name] = {"days": times[0], "today": times[1], "days_own": own[0], "today_own": own[1]}
        console.print(
            f"  {name:16} {days} days {times[0]:5.2f} s ({own[0]:.2f})   one day from its rows {times[1]:5.2f} s "
            f"({own[1]:.2f})"
        )
    return found


@app.command()
def main(
    days: Annotated[int, typer.Option(help="Days of calls.")] = 30,
    per_day: Annotated[int, typer.Option(help="Calls a day.")] = 100_000,
    on: Annotated[list[str] | None, typer.Option(help="sqlite, postgresql; both unless given.")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Build the calls and time every report."""
    console = Console(stderr=as_json, highlight=False)
    with tempfile.TemporaryDirectory(prefix="ivr-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with databases(on or ["sqlite", "postgresql"], folder) as urls:
            results = {}
            for kind, url in urls.items():
                engine = open_database(url)
                began = time.perf_counter()
                build(engine, days * per_day, per_day)
                console.print(f"{kind}: {days * per_day:,} calls made in {time.perf_counter() - began:.0f} s")
                results[kind] = measure(engine, days, per_day, console)
                engine.dispose()
    slowest = {kind: max(times, key=lambda name: times[name]["days"]) for kind, times in results.items()}
    if as_json:
        print(json.dumps(results))
    for kind, name in slowest.items():
        took = results[kind][name]["days"]
        console.print(f"{kind}: slowest over {days} days is {name}, {took:.2f} s (aim: below {TARGET_S:.0f})")


if __name__ == "__main__":
    app()
