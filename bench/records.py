"""What records cost: events a second beside calls with sound, late media slots with and without, CPU a call.

First one process with telephones' sound and a loop that appends events at a steady rate, as a server does: without
records, with them in SQLite and in PostgreSQL, and with a database that takes nothing, so that all of it waits in the
spool. Then the server itself, called by SIPp; what it has recorded is written once more, and its cost is the records'
share of a call.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from subject import GREETING, ROOT, SIP_PORT, call, percentile, serving

from gateway.media.engine import MediaEngine, RtpRemote
from gateway.media.tone import tone
from ivr.records.events import RecordEvent
from ivr.records.spool import Spool
from ivr.records.writer import RecordWriter

MEDIA_PORTS = (50_000, 59_998)
STEP_S = 0.005
CALLS_AT_A_TIME = 50

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True, slots=True)
class Run:
    """One database under one load."""

    records: str
    rate: int
    """Events a second that were to be appended."""
    appended: float
    """That were, a second."""
    in_tables: float
    """That were in the tables, a second, while it lasted."""
    behind_s: float
    """How long the tables took afterwards to have the rest."""
    late_slots: int
    missed_slots: int
    append_us: dict[str, float]
    step_late_ms: dict[str, float]
    """How much later than asked the loop woke up."""
    cpu_us: dict[str, float]
    """Of an event, by who used it."""


@dataclass(frozen=True, slots=True)
class Share:
    """Of the CPU of a call of the server."""

    calls: int
    failed: int
    events_per_call: float
    call_ms: float
    records_ms: float


def thread_cpu_s(thread_id: int | None) -> float:
    # Not /proc/*/stat: that counts ticks of 10 ms.
    return int(Path(f"/proc/self/task/{thread_id}/schedstat").read_text().split()[0]) / 1e9


@contextlib.contextmanager
def sound(legs: int) -> Iterator[MediaEngine]:
    """Legs that play to each other, 50 packets a second each way."""
    engine = MediaEngine(address="127.0.0.1", ports=MEDIA_PORTS, rest_s=0, media_timeout_s=0)
    engine.start()
    opened = [engine.open_leg() for _ in range(legs)]
    clip = tone(1000.0, 4000)
    for leg, peer in zip(opened, [*opened[1:], opened[0]], strict=True):
        leg.set_remote(RtpRemote("127.0.0.1", peer.port, "PCMU", 0))
        leg.play(1, [clip], loop=True)
    try:
        yield engine
    finally:
        engine.close()


def calls_without_end() -> Iterator[RecordEvent]:
    """Events of typical calls, many at a time."""
    from tests.records.calls import typical_call

    prefix = f"{time.time_ns():x}"
    for turn in itertools.count():
        some = [typical_call(f"{prefix}-{turn}-{n}") for n in range(CALLS_AT_A_TIME)]
        for events in zip(*some, strict=True):
            yield from events


def load(writer: RecordWriter | None, engine: MediaEngine, rate: int, seconds: float, name: str) -> Run:
    events = calls_without_end()
    ready = list(itertools.islice(events, int(rate * seconds) + 1))
    append_us: list[float] = []
    late_ms: list[float] = []
    before = engine.statistics()
    threads = {} if writer is None else {"spool": writer._intake.native_id, "tables": writer._tables.native_id}
    used = {who: thread_cpu_s(thread) for who, thread in threads.items()}
    begin, done = time.monotonic(), 0
    own = 0.0
    while (now := time.monotonic() - begin) < seconds:
        due = min(int(now * rate), len(ready))
        if writer is not None:
            started_cpu = time.thread_time()
            for event in ready[done:due]:
                started = time.perf_counter()
                writer.append(event)
                append_us.append((time.perf_counter() - started) * 1e6)
            own += time.thread_time() - started_cpu
        done = due
        woke = time.monotonic() + STEP_S
        time.sleep(STEP_S)
        late_ms.append((time.monotonic() - woke) * 1000)
    elapsed = time.monotonic() - begin
    after = engine.statistics()
    written = 0 if writer is None else writer.statistics.written
    finished = time.monotonic()
    if writer is not None and not writer.statistics.failing:
        writer.flush(120)
    cpu = {who: (thread_cpu_s(thread) - used[who]) * 1e6 / max(done, 1) for who, thread in threads.items()}
    append_us.sort()
    late_ms.sort()
    return Run(
        records=name,
        rate=rate,
        appended=done / elapsed,
        in_tables=written / elapsed,
        behind_s=time.monotonic() - finished,
        late_slots=after.late_slots - before.late_slots,
        missed_slots=after.missed_slots - before.missed_slots,
        append_us={
            "p50": percentile(append_us, 0.5),
            "p99": percentile(append_us, 0.99),
            "max": (append_us or [0.0])[-1],
        },
        step_late_ms={"p50": percentile(late_ms, 0.5), "p99": percentile(late_ms, 0.99), "max": late_ms[-1]},
        cpu_us={**cpu, **({} if writer is None else {"caller": own * 1e6 / max(done, 1)})},
    )


@contextlib.contextmanager
def databases(folder: Path) -> Iterator[dict[str, str]]:
    from tests.records.conftest import Cluster, postgresql_programs

    urls = {"SQLite": f"sqlite:///{folder}/records.db", "away": f"sqlite:///{folder}/locked.db"}
    programs = postgresql_programs()
    if programs is None:
        yield urls
        return
    with tempfile.TemporaryDirectory(prefix="ivr-pg-") as data:
        cluster = Cluster(programs, Path(data))
        try:
            yield {**urls, "PostgreSQL": cluster.new_database()}
        finally:
            cluster.stop()


def beside_sound(rates: list[int], seconds: float, legs: int, folder: Path) -> list[Run]:
    runs = []
    with databases(folder) as urls, sound(legs) as engine:
        time.sleep(1.0)
        for rate in rates:
            runs.append(load(None, engine, rate, seconds, "none"))
            for name, url in urls.items():
                writer = RecordWriter(url, spool=Spool(folder / f"spool-{name}-{rate}"), node_id="bench")
                locked = sqlite3.connect(folder / "locked.db", isolation_level=None)
                if name == "away":
                    locked.execute("BEGIN IMMEDIATE")
                runs.append(load(writer, engine, rate, seconds, name))
                locked.close()
                writer.close(120)
    return runs


def share(rate: int, seconds: int, folder: Path) -> Share:
    """Have the server called, then write what it recorded once more, as fast."""
    with serving(GREETING, max_calls=4 * rate + 100) as subject:
        before = subject.usage
        made = call(SIP_PORT, rate=rate, calls=rate * seconds, hold_ms=500, folder=folder / "sipp")
        time.sleep(1.0)
        whole = subject.usage.cpu_s - before.cpu_s
        with contextlib.closing(sqlite3.connect(subject.folder / "var" / "records.db")) as database:
            found = database.execute(
                "SELECT at, type, call_id, leg_id, data FROM events ORDER BY at, event_id"
            ).fetchall()
    events = [
        RecordEvent(at, kind, call_id or "", leg, json.loads(data or "{}")) for at, kind, call_id, leg, data in found
    ]
    writer = RecordWriter(f"sqlite:///{folder}/again.db", spool=Spool(folder / "spool-again"), node_id="bench")
    threads = (writer._intake.native_id, writer._tables.native_id)
    used = sum(map(thread_cpu_s, threads))
    own = 0.0
    begin, first = time.monotonic(), events[0].at
    for at, some in itertools.groupby(events, key=lambda event: event.at):
        time.sleep(max(0.0, begin + (at - first) / 1000 - time.monotonic()))
        started = time.thread_time()
        for event in some:
            writer.append(event)
        own += time.thread_time() - started
    writer.flush(60)
    records = sum(map(thread_cpu_s, threads)) - used + own
    writer.close(60)
    return Share(
        calls=made.made,
        failed=made.failed,
        events_per_call=len(events) / made.made,
        call_ms=whole * 1000 / made.made,
        records_ms=records * 1000 / made.made,
    )


def table(runs: list[Run]) -> Table:
    out = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    names = (
        "records",
        "events/s",
        "in tables/s",
        "rest s",
        "late",
        "missed",
        "append us p50",
        "p99",
        "max ms",
        "step p99 ms",
    )
    for column in (*names, "CPU us: spool", "tables", "caller"):
        out.add_column(column, justify="left" if column == "records" else "right")
    for run in runs:
        cpu = [f"{run.cpu_us[who]:.0f}" if who in run.cpu_us else "" for who in ("spool", "tables", "caller")]
        out.add_row(
            run.records,
            f"{run.appended:.0f}",
            f"{run.in_tables:.0f}",
            f"{run.behind_s:.1f}",
            str(run.late_slots),
            str(run.missed_slots),
            f"{run.append_us['p50']:.1f}",
            f"{run.append_us['p99']:.0f}",
            f"{run.append_us['max'] / 1000:.1f}",
            f"{run.step_late_ms['p99']:.1f}",
            *cpu,
        )
    return out


@app.command(help=__doc__)
def bench(
    rate: Annotated[list[int] | None, typer.Option(help="Events a second; 1000 and 5000 unless given.")] = None,
    seconds: Annotated[float, typer.Option(help="For so long each.")] = 10.0,
    legs: Annotated[int, typer.Option(help="Legs with sound meanwhile.")] = 100,
    calls: Annotated[int, typer.Option(help="Calls a second of the server; 0: leave it out.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        runs = beside_sound(rate or [1000, 5000], seconds, legs, Path(name))
        of_call = share(calls, max(5, int(seconds)), Path(name)) if calls else None
    if as_json:
        report = {"runs": [asdict(run) for run in runs], "share": of_call and asdict(of_call), "time": time.time()}
        print(json.dumps(report, indent=2))
        return
    console = Console(highlight=False, width=160)
    console.print(table(runs))
    if of_call is not None:
        console.print(
            f"{of_call.calls} calls of the server, {of_call.failed} failed: CPU {of_call.call_ms:.2f} ms each,"
            f" of which records {of_call.records_ms:.2f} ms ({of_call.records_ms / of_call.call_ms:.0%})"
            f" for {of_call.events_per_call:.1f} events"
        )


if __name__ == "__main__":
    import sys

    sys.path.insert(0, str(ROOT))
    app()
