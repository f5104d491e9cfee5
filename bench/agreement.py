"""Whether the records and the reports agree with what SIPp has counted, to the call: thousands of calls that end at
random moments and in every way.

Callers press keys or none, hang up in the menu, while it rings or while they talk, give up before anybody answers, or
stay to the end; seats answer and hang up, are busy, refuse, or only ring. SIPp counts for itself what it saw at either
end; the rows of the records and the sums of `ivr report` must be the same numbers.

--postgresql keeps the records in a PostgreSQL that is stopped in the middle and started again. --kill N kills the
server (SIGKILL) at N random moments and starts it again; calls that were up then are lost, so that only this is asked:
every call that a caller saw answered is in the records, once, and closed.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from csv import DictReader
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, text
from subject import ROOT

sys.path.insert(0, str(ROOT))

from ivr.records.database import open_database
from tests.peers.company import Company
from tests.peers.server import Server, Site
from tests.peers.sipp import Sipp
from tests.records.conftest import Cluster, postgresql_programs

app = typer.Typer(add_completion=False, rich_markup_mode=None)

CALLS_PER_PROCESS = 15
"""Those of a process of SIPp's know two moments to hang up at; each process has its own."""
PROCESS_RATE = 3
"""Calls a second."""
STAYS = 60_000
"""To the end. A call that ends with the server would take as long: where that is killed, it is shorter."""
STAYS_KILLED = 8_000
PASSWORD = "of-every-seat"

FLOWS = {
    "main": """\
flow: main
languages: [en]
start: menu
input: {timeout: 20s, tries: 1}
blocks:
  menu:
    - answer
    - menu: {prompt: short, keys: {'1': quick, '2': slow, '3': busy, '4': refuses, '5': rings, '8': done, '9': bye},
             failed: bye}
  quick: [{transfer: {to: 'sip:2001', ring: 20s, answered: bye, busy: bye, refused: bye, no_answer: bye, offline: bye,
           failed: bye}}]
  slow: [{transfer: {to: 'sip:2002', ring: 20s, answered: bye, busy: bye, refused: bye, no_answer: bye, offline: bye,
           failed: bye}}]
  busy: [{transfer: {to: 'sip:2003', ring: 20s, answered: bye, busy: bye, refused: bye, no_answer: bye, offline: bye,
           failed: bye}}]
  refuses: [{transfer: {to: 'sip:2004', ring: 20s, answered: bye, busy: bye, refused: bye, no_answer: bye,
             offline: bye, failed: bye}}]
  rings: [{transfer: {to: 'sip:2005', ring: 1s, answered: bye, busy: bye, refused: bye, no_answer: bye, offline: bye,
           failed: bye}}]
  done: [{goal: helped}, {play: short}, hangup]
  bye: [{play: short}, hangup]
""",
    "straight": """\
flow: straight
languages: [en]
start: rings
blocks:
  rings: [{transfer: {to: 'sip:2002', ring: 20s, answered: bye, busy: bye, refused: bye, no_answer: bye, offline: bye,
           failed: bye}}]
  bye: [hangup]
""",
    "engaged": """\
flow: engaged
languages: [en]
start: rings
blocks:
  rings: [{transfer: {to: 'sip:2003', ring: 20s, answered: bye, busy: busy, refused: bye, no_answer: bye, offline: bye,
           failed: bye}}]
  busy: [hangup: {cause: busy}]
  bye: [hangup]
""",
}
QUICK_MS, SLOW_MS = 250, 900
"""How long seats 2001 and 2002 ring."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a caller means to do."""

    share: float
    number: str = "1000"
    key: str = "0"
    leave_after: tuple[int, int] = (STAYS, STAYS)
    """Milliseconds after the key, or after the answer if there is none."""
    patience: tuple[int, int] = (STAYS, STAYS)


KINDS = {
    "leaves in the menu": Kind(0.15, leave_after=(1, 1500)),
    "is done": Kind(0.08, key="8"),
    "ends": Kind(0.08, key="9"),
    "talks, or leaves before": Kind(0.2, key="1", leave_after=(100, 2500)),
    "waits, or leaves before": Kind(0.13, key="2", leave_after=(100, 2500)),
    "talks to the end": Kind(0.08, key="1"),
    "finds a busy seat": Kind(0.07, key="3"),
    "is refused": Kind(0.06, key="4"),
    "finds nobody": Kind(0.04, key="5"),
    # An answer that crosses the CANCEL could be counted either way: never near the moment of the answer.
    "gives up": Kind(0.04, number="1001", patience=(150, SLOW_MS - 400)),
    "waits for the answer": Kind(0.03, number="1001", leave_after=(100, 2500)),
    "is turned away": Kind(0.03, number="1002"),
    "dials a wrong number": Kind(0.01, number="1999"),
}


@dataclass
class Counts:
    """What SIPp's processes have counted."""

    created: int = 0
    failed: int = 0
    seen: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.created + other.created, self.failed + other.failed, self.seen + other.seen)

    def __getitem__(self, name: str) -> int:
        return self.seen[name]


def counted(sipp: Sipp) -> Counts:
    """From its file of statistics."""
    file = sipp.folder / "stat.csv"
    rows = list(DictReader(file.open(), delimiter=";")) if file.exists() else []
    if not rows:
        return Counts()
    last = {name.removesuffix("(C)"): value for name, value in rows[-1].items() if name and name.endswith("(C)")}
    names = ("answered", "hung_up", "left", "crossed", "gave_up", "refused", "talked", "cancelled", "late")
    seen = Counter({name: int(last[name]) for name in names if last.get(name)})
    # A BYE (CANCEL) that comes in the millisecond in which it is about to send its own (its answer): it says 200 and no
    # more, and calls that a failure.
    errors = sipp.folder / "error.log"
    told = errors.read_text(errors="replace") if errors.exists() else ""
    seen["met"], seen["cancelled_at_once"] = told.count("unexpected BYE"), told.count("unexpected CANCEL")
    failed = int(last["FailedCall"]) - seen["met"] - seen["cancelled_at_once"]
    return Counts(int(rows[-1]["TotalCallCreated"]), failed, seen)


def not_answered(seat: Counts) -> int:
    """Of calls to a seat that answers after a while."""
    return seat["cancelled"] + seat["late"] + seat["cancelled_at_once"]


class Town:
    """Owns the server, its seats, and those who call."""

    def __init__(self, company: Company, records: str | None, seed: int) -> None:
        self.company = company
        self._draw = random.Random(seed)
        self.server = company.server(
            Site(
                flows=FLOWS,
                prompts={"short": 700},
                numbers={"1000": "main", "1001": "straight", "1002": "engaged"},
                seats=dict.fromkeys(("2001", "2002", "2003", "2004", "2005"), PASSWORD),
                prompt_s=0.3,
                media_ports=2_000,
                more={
                    "limits": {"calls_per_second": 1_000, "drain": "1s"},
                    **({} if records is None else {"records": records}),
                },
            )
        )
        self.seats: dict[str, Sipp] = {}
        self.callers: dict[str, list[Sipp]] = {name: [] for name in KINDS}

    def open_seats(self) -> None:
        """Sign everybody in, from ports of their own."""
        for seat in self.seats.values():
            seat.close()
        quick, slow = ([str(self._draw.randint(200, 1800)) for _ in range(2)] for _ in range(2))
        for account, scenario, values in (
            ("2001", "seat_at_random", {"ring_for": str(QUICK_MS), **_talk(quick)}),
            ("2002", "seat_at_random", {"ring_for": str(SLOW_MS), **_talk(slow)}),
            ("2003", "seat_refuses", {"status": "486 Busy Here", "ring_for": "100"}),
            ("2004", "seat_refuses", {"status": "603 Decline", "ring_for": "150"}),
            ("2005", "seat_never_answers", {}),
        ):
            signing_in = self.company.sipp(
                "registers", server=self.server.address, caller=account, password=PASSWORD, expires="3600"
            )
            signing_in.finishes()
            self.seats[account] = self.company.sipp(
                scenario, port=signing_in.port, calls=1_000_000, at_once=1_000, within=36_000, **values
            )

    def call(self, calls: int, rate: float, *, killed: bool) -> None:
        """Have everybody call; returns when all are done. ``killed``: calls may be lost, and nobody waits for long."""
        options = ["-trace_logs", "-log_file", "said.log"]
        if killed:
            options += ["-max_invite_retrans", "4", "-max_non_invite_retrans", "4", "-recv_timeout", "10000"]
        stays = STAYS_KILLED if killed else STAYS

        def moment(span: tuple[int, int]) -> str:
            return str(min(stays, self._draw.randint(*span)))

        jobs = [
            (name, kind, size)
            for name, kind in KINDS.items()
            for size in _sizes(max(1, round(calls * kind.share)), CALLS_PER_PROCESS)
        ]
        self._draw.shuffle(jobs)
        running: list[Sipp] = []
        begun, called = time.monotonic(), 0
        for number, (name, kind, size) in enumerate(jobs):
            while (
                called > rate * (time.monotonic() - begun) or sum(one.child.is_running() for one in running) > 2 * rate
            ):
                time.sleep(0.1)
            sipp = self.company.sipp(
                "caller_at_random",
                server=self.server.address,
                number=kind.number,
                calls=size,
                at_once=200,
                rate=PROCESS_RATE,
                within=600,
                caller=f"k{number}",
                key=kind.key,
                # Where a seat may hang up at once, there is no time to lose.
                press_after=str(self._draw.randint(1, 1500) if kind.number == "1000" else 1),
                leave_after=moment(kind.leave_after),
                leave_later=moment(kind.leave_after),
                patience=moment(kind.patience),
                options=options,
            )
            self.callers[name].append(sipp)
            running.append(sipp)
            called += size
        for sipp in running:
            sipp.child.ends(700)

    def close_seats(self) -> dict[str, Counts]:
        """Let them end as SIPp ends by itself; what each has counted."""
        for seat in self.seats.values():
            seat.child.signals(signal.SIGUSR1)
        for seat in self.seats.values():
            seat.child.ends(60)
        return {account: counted(seat) for account, seat in self.seats.items()}

    def counts(self, *names: str) -> Counts:
        """Of callers: of those kinds, or of all but those whose number is nobody's."""
        wanted = names or tuple(name for name in KINDS if KINDS[name].number != "1999")
        total = Counts()
        for name in wanted:
            for sipp in self.callers[name]:
                total += counted(sipp)
        return total

    def said(self) -> dict[str, list[str]]:
        """By caller: what his telephone has written down."""
        told: dict[str, list[str]] = {}
        for sipp in (one for some in self.callers.values() for one in some):
            file = sipp.folder / "said.log"
            for line in file.read_text().splitlines() if file.exists() else ():
                caller, _, word = line.partition(" ")
                told.setdefault(caller, []).append(word)
        return told


def _talk(ends: Sequence[str]) -> dict[str, str]:
    return {"leave_after": ends[0], "leave_later": ends[1]}


def _sizes(total: int, most: int) -> Iterator[int]:
    while total > 0:
        yield min(total, most)
        total -= most


# What the records say. ------------------------------------------------------------------------------------


def number(engine: Engine, sql: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(sql)).scalar() or 0)


def report(server: Server, name: str) -> Mapping[str, Any]:
    """The total of a report over all that there is."""
    told = json.loads(server.does("report", name, "--from", "yesterday", "--until", "today", "--format", "json"))
    total: Mapping[str, Any] = told["total"]
    return total


GAPS = """SELECT count(*) FROM calls c WHERE ended_at - arrived_at <>
    (SELECT coalesce(sum(until_at - from_at), -1) FROM segments s WHERE s.call_id = c.call_id)"""


@dataclass(frozen=True, slots=True)
class Line:
    """One number that both must have."""

    what: str
    sipp: int
    ours: int


def compare(town: Town, engine: Engine, seats: Mapping[str, Counts]) -> Iterator[Line]:
    callers = town.counts()

    def calls(where: str) -> int:
        return number(engine, f"SELECT count(*) FROM calls WHERE {where}")

    def legs(account: str, where: str) -> int:
        return number(engine, f"SELECT count(*) FROM legs WHERE role = 'agent' AND account = '{account}' AND ({where})")

    yield Line("calls", callers.created, calls("true"))
    yield Line("calls, each once (caller)", callers.created, number(engine, "SELECT count(DISTINCT caller) FROM calls"))
    yield Line("calls that are closed", callers.created, calls("closed = 1"))
    yield Line("answered", callers["answered"], calls("answered_at IS NOT NULL"))
    yield Line("never answered", callers["gave_up"] + callers["refused"], calls("answered_at IS NULL"))
    yield Line("told that there is nobody (480)", callers["refused"], calls("sip_status = 480"))
    by_caller = callers["left"] - callers["crossed"] + callers["gave_up"]
    yield Line("ended by the caller", by_caller, calls("ended_by = 'caller'"))
    by_us = callers["hung_up"] + callers["crossed"] + callers["met"] + callers["refused"]
    yield Line("ended by the flow, or a seat", by_us, calls("ended_by IN ('flow', 'agent')"))
    yield Line("calls whose segments do not add up", 0, number(engine, GAPS))
    for account in ("2001", "2002"):
        seat = seats[account]
        yield Line(f"{account}: rung", seat.created, legs(account, "true"))
        yield Line(f"{account}: answered", seat["talked"], legs(account, "answered_at IS NOT NULL"))
        yield Line(f"{account}: not answered", not_answered(seat), legs(account, "answered_at IS NULL"))
        own = seat["left"] - seat["crossed"]
        yield Line(f"{account}: hung up", own, legs(account, "hangup_by = 'remote'"))
    for account, outcome, status in (("2003", "busy", 486), ("2004", "refused", 603)):
        there = legs(account, f"outcome = '{outcome}' AND sip_status = {status}")
        yield Line(f"{account}: {outcome}", seats[account].created, there)
    yield Line("2005: no answer", seats["2005"].created, legs("2005", "outcome = 'no_answer'"))
    volumes, outcomes = report(town.server, "volumes"), report(town.server, "outcomes")
    talked = seats["2001"]["talked"] + seats["2002"]["talked"]
    rung = sum(not_answered(seats[account]) for account in ("2001", "2002"))
    unanswered = sum(seats[account].created for account in ("2003", "2004", "2005"))
    yield Line("report volumes: calls", callers.created, volumes["calls"])
    yield Line("report volumes: taken", callers["answered"], volumes["taken"])
    yield Line("report volumes: not taken", callers["gave_up"] + callers["refused"], volumes["not_taken"])
    yield Line("report outcomes: answered", talked, outcomes["answered"])
    yield Line("report outcomes: abandoned", rung, outcomes["abandoned"])
    yield Line("report outcomes: unanswered", unanswered, outcomes["unanswered"])
    yield Line("report outcomes: contained", town.counts("is done").created, outcomes["contained"])
    yield Line("report outcomes: dropped", town.counts("leaves in the menu").created, outcomes["dropped"])
    yield Line("report outcomes: ended", town.counts("ends").created, outcomes["ended"])
    yield Line("report outcomes: failed", callers.failed, outcomes["failed"])
    everybody = town.counts(*KINDS)
    yield Line("calls that SIPp calls failed", 0, everybody.failed + sum(seat.failed for seat in seats.values()))


def compare_killed(town: Town, engine: Engine) -> Iterator[Line]:
    """What holds although calls were lost."""
    said = town.said()
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT caller, answered_at, closed, end_cause FROM calls")).all()
    recorded = Counter(row.caller for row in rows)
    answered = {caller for caller, words in said.items() if "answered" in words}
    taken = {row.caller for row in rows if row.answered_at is not None}
    lost = {row.caller for row in rows if row.end_cause == "node_lost"}
    over = {caller for caller, words in said.items() if words[-1] != "answered" and caller in answered}
    Console(highlight=False).print(
        f"{len(rows)} calls in the records, {len(lost)} of them lost with the server; {len(answered)} were seen "
        f"answered, {len(over)} of these seen to end, of which {len(over & lost)} are recorded as lost"
    )
    yield Line("seen answered, and missing", 0, len(answered - recorded.keys()))
    yield Line("seen answered, and recorded as not answered", 0, len((answered & recorded.keys()) - taken))
    yield Line("recorded twice", 0, sum(count > 1 for count in recorded.values()))
    yield Line("recorded, and nobody called", 0, sum(not (caller or "").startswith("k") for caller in recorded))
    yield Line("not closed", 0, sum(not row.closed for row in rows))
    yield Line("calls whose segments do not add up", 0, number(engine, GAPS))


# The run. -------------------------------------------------------------------------------------------------


def settled(engine: Engine, calls: int, within: float = 120.0) -> None:
    """Wait until so many calls are closed in the records; at the end what is there is compared in any case."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if number(engine, "SELECT count(*) FROM calls WHERE closed = 1") >= calls:
            return
        time.sleep(0.5)


def at_moments(moments: Sequence[float], act: Callable[[], None], over: threading.Event) -> threading.Thread:
    """Do that so many seconds from now, each time, unless it is over before."""

    def run() -> None:
        begun = time.monotonic()
        for moment in moments:
            if over.wait(max(0.0, moment - (time.monotonic() - begun))):
                return
            act()

    thread = threading.Thread(target=run, name="trouble")
    thread.start()
    return thread


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    programs = postgresql_programs()
    if programs is None:
        raise SystemExit("PostgreSQL is needed: apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="agreement-pg-") as folder:
        running = Cluster(programs, Path(folder))
        try:
            yield running
        finally:
            running.stop()


def shown(lines: Sequence[Line]) -> Table:
    out = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    out.add_column("")
    out.add_column("SIPp", justify="right")
    out.add_column("ivr", justify="right")
    out.add_column("")
    for line in lines:
        out.add_row(line.what, str(line.sipp), str(line.ours), "" if line.sipp == line.ours else "DIFFERS")
    return out


@app.command(help=__doc__)
def bench(
    calls: Annotated[int, typer.Option(help="So many, give or take a few.")] = 2_000,
    rate: Annotated[float, typer.Option(help="Calls a second.")] = 12.0,
    postgresql: Annotated[bool, typer.Option(help="Records in PostgreSQL, stopped in the middle.")] = False,
    down: Annotated[float, typer.Option(help="For so many seconds.")] = 20.0,
    kill: Annotated[int, typer.Option(help="Kill the server so many times.")] = 0,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 1,
    keep: Annotated[bool, typer.Option(help="Keep the folder of the run.")] = False,
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="agreement-"))
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(cluster()) if postgresql else None
        company = Company(folder)
        stack.callback(company.close)
        address = None if database is None else database.new_database()
        town = Town(company, address, seed)
        town.open_seats()
        over = threading.Event()
        console = Console(highlight=False)

        def killed() -> None:
            console.print(f"the server is killed; {sum(len(some) for some in town.callers.values())} callers so far")
            town.server.kill()
            town.server.starts_again()
            town.open_seats()

        def stopped() -> None:
            assert database is not None
            console.print("PostgreSQL is stopped")
            database.stop()
            over.wait(down)
            database.start()
            console.print("PostgreSQL is started")

        moments = sorted(random.Random(seed).uniform(0.1, 0.9) * calls / rate for _ in range(kill))
        trouble = [at_moments(moments, killed, over)]
        if database is not None:
            trouble.append(at_moments([0.4 * calls / rate], stopped, over))
        begun = time.monotonic()
        town.call(calls, rate, killed=kill > 0)
        over.set()
        for thread in trouble:
            thread.join()
        console.print(f"{town.counts(*KINDS).created} calls in {time.monotonic() - begun:.0f} s")
        url = address or f"sqlite:///{town.server.folder / 'records.db'}"
        seats = {} if kill else town.close_seats()
        engine = open_database(url, writing=False)
        settled(engine, 0 if kill else town.counts().created)
        if kill:
            town.server.terminate()
            town.server.ends(60)
        lines = list(compare_killed(town, engine) if kill else compare(town, engine, seats))
        engine.dispose()
    console.print(shown(lines))
    differences = [line for line in lines if line.sipp != line.ours]
    if keep or differences:
        console.print(f"what was said is in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    if differences:
        raise typer.Exit(1)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(ROOT))
    app()
