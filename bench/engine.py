"""What the media engine costs: CPU a leg and evenness of what it sends, against the least that C can do.

Every leg is played a prompt and receives 50 packets a second. Three processes on 127.0.0.1: the load generator
(native/load.c), and either the engine under Python or the floor (native/floor.c), whose CPU time is taken from when
the load begins until it ends.
"""

from __future__ import annotations

import json
import resource
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from gateway.media.engine import KeyReceived, MediaEngine, RtpRemote

HERE = Path(__file__).parent
TARGET_RATIO = 1.5
# Above what the kernel gives to sockets that ask for any port, and where nobody expects a telephone; this leaves
# room for a thousand legs.
SERVER_PORT, PHONE_PORT = 61000, 63200

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True, slots=True)
class Run:
    """One subject under one load."""

    subject: str
    legs: int
    cpu_ms_per_leg: float
    """CPU milliseconds for each second and leg."""
    deviation_ms: dict[str, float]
    lost: int
    """Packets that the phones missed."""
    silent: int
    """Phones that heard nothing."""
    keys_pressed: int
    keys_reported: int
    late_slots: int
    latency_ms: dict[str, float]
    commands: dict[str, dict[str, float]]
    """Milliseconds: what commands took as Python sees them, how long they waited in the engine, and how long of that
    the media thread kept them out; and its longest hold and longest work at a stretch."""


def compile_native(folder: Path) -> dict[str, Path]:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise SystemExit("a C compiler is needed: apt-get install gcc")
    programs = {}
    for name in ("floor", "load", "stall"):
        programs[name] = folder / name
        source = HERE / "native" / f"{name}.c"
        subprocess.run(
            [compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", str(programs[name]), str(source), "-lm"],
            check=True,
        )
    return programs


def measure(subject: str, command: list[str], load: Path, legs: int, seconds: int) -> Run:
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    if server.stdout.readline().strip() != "READY":
        raise SystemExit(f"{subject} did not start")
    phones = subprocess.run(
        [str(load), str(legs), str(seconds), str(SERVER_PORT), str(PHONE_PORT)],
        stdout=subprocess.PIPE,
        text=True,
    )
    out, _ = server.communicate(timeout=30)
    if phones.returncode or server.returncode:
        raise SystemExit(f"the run of {subject} with {legs} legs failed")
    heard, cost = json.loads(phones.stdout), json.loads(out)
    return Run(
        subject=subject,
        legs=legs,
        cpu_ms_per_leg=cost["cpu_s"] * 1000 / seconds / legs,
        deviation_ms=heard["deviation_ms"],
        lost=heard["lost"],
        silent=heard["silent"],
        keys_pressed=heard["keys"],
        keys_reported=cost["keys"],
        late_slots=cost["late_slots"],
        latency_ms=heard["latency_ms"],
        commands=cost.get("commands", {}),
    )


class Commands:
    """Commands given one after the other, and how long each took."""

    def __init__(self, engine: MediaEngine) -> None:
        self._engine = engine
        self._took: list[float] = []
        self._waited: list[float] = []
        self._kept_out: list[float] = []

    def give(self, selector: selectors.BaseSelector) -> None:
        """Until there are events, a thousand a second. Asking for the statistics is a command like any other, and
        its own wait is what the sums have grown by."""
        before = self._engine.statistics()
        while not selector.select(0.001):
            began = time.perf_counter()
            now = self._engine.statistics()
            self._took.append((time.perf_counter() - began) * 1000)
            self._waited.append(now.waited_ms - before.waited_ms)
            self._kept_out.append(now.kept_out_ms - before.kept_out_ms)
            before = now

    def report(self) -> dict[str, dict[str, float]]:
        last = self._engine.statistics()
        spreads = {"took": self._took, "waited": self._waited, "kept_out": self._kept_out}
        return {name: spread(times) for name, times in spreads.items()} | {
            "thread": {"hold": last.longest_hold_ms, "work": last.longest_work_ms}
        }


def spread(times: list[float]) -> dict[str, float]:
    times = sorted(times)
    shares = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {name: times[min(int(share * len(times)), len(times) - 1)] for name, share in shares.items()}


def serve(legs: int, bridged: bool, realtime: bool, commands: bool, *, mixed: int = 0) -> None:
    """Be the engine under test until standard input is closed; its ports are in the order of the phones.

    With ``mixed`` so many legs at a time are in one mix."""
    from gateway.media.tone import tone

    engine = MediaEngine(address="127.0.0.1", ports=(SERVER_PORT, SERVER_PORT + 2 * legs), rest_s=0, realtime=realtime)
    engine.start()
    prompt = tone(440.0, 10_000)
    opened = []
    for number in range(legs):
        leg = engine.open_leg()
        leg.set_remote(RtpRemote("127.0.0.1", PHONE_PORT + 2 * number, "PCMU", 0, telephone_event=101))
        if not bridged and not mixed:
            leg.play(number, [prompt], loop=True)
        opened.append(leg)
    if bridged:
        for one, other in zip(opened[::2], opened[1::2], strict=False):
            one.bridge(other)
    for first in range(0, len(opened), mixed) if mixed else ():
        mix = engine.open_mix()
        for leg in opened[first : first + mixed]:
            mix.add(leg)
    keys = 0
    selector = selectors.DefaultSelector()
    selector.register(engine.event_fd, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    print("READY", flush=True)
    before = resource.getrusage(resource.RUSAGE_SELF)
    running = True
    giving = Commands(engine)
    while running:
        if commands:
            giving.give(selector)
        running = all(key.fileobj is not sys.stdin for key, _ in selector.select())
        keys += sum(isinstance(event, KeyReceived) for event in engine.events())
    after = resource.getrusage(resource.RUSAGE_SELF)
    statistics = engine.statistics()
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    told: dict[str, Any] = {"cpu_s": cpu_s, "keys": keys, "late_slots": statistics.late_slots + statistics.missed_slots}
    if commands:
        told["commands"] = giving.report()
    print(json.dumps(told))
    engine.close()


def table(title: str, runs: list[Run]) -> Table:
    """CPU a second and leg, legs on one core, deviation from the 20 ms grid in ms; packets the phones missed, slots
    that were late; keys pressed and reported."""
    columns = ("", "legs", "ms/s/leg", "a core", "p50", "p99", "max", "lost", "late", "pressed", "told")
    out = Table(title=title, box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for column in columns:
        out.add_column(column, justify="right" if column else "left", no_wrap=True)
    for run in runs:
        spread = (f"{run.deviation_ms[name]:.2f}" for name in ("p50", "p99", "max"))
        out.add_row(
            run.subject,
            str(run.legs),
            f"{run.cpu_ms_per_leg:.3f}",
            f"{1000 / run.cpu_ms_per_leg:,.0f}",
            *spread,
            str(run.lost),
            str(run.late_slots),
            str(run.keys_pressed),
            str(run.keys_reported),
        )
    return out


def table_of_commands(runs: list[Run]) -> Table:
    """Milliseconds. The engine answers for what it works; that a thread is off its core, or slow to wake up, and that
    a hypervisor takes the core away, are the machine's: how much of that there is, the loop below shows."""
    out = Table(title="Commands beside that, a thousand a second", box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for column in ("legs", "", "p50", "p99", "p99.9", "max"):
        out.add_column(column, justify="right" if column else "left", no_wrap=True)
    rows = {
        "took": "a command in Python",
        "waited": "of that, waiting in the engine",
        "kept_out": "of that, for the media thread",
    }
    for run in runs:
        for name, words in rows.items():
            times = run.commands[name]
            out.add_row(str(run.legs), words, *(f"{times[share]:.3f}" for share in ("p50", "p99", "p99.9", "max")))
        for name, words in {"hold": "the thread's longest hold", "work": "the longest by its work alone"}.items():
            out.add_row(str(run.legs), words, "", "", "", f"{run.commands['thread'][name]:.3f}")
    return out


@app.command(help=__doc__)
def bench(
    legs: Annotated[int, typer.Option(help="Legs for the comparison with the floor.")] = 400,
    seconds: Annotated[int, typer.Option(help="Length of one run.")] = 10,
    rounds: Annotated[int, typer.Option(help="Comparisons, taken in turn; the ratio is of the medians.")] = 3,
    growth: Annotated[str, typer.Option(help="Legs for the runs that show growth; empty for none.")] = (
        "100,200,400,800,1000"
    ),
    bridged: Annotated[bool, typer.Option(help="Also measure bridged legs, with their latency.")] = False,
    realtime: Annotated[bool, typer.Option(help="Let the engine ask for SCHED_RR.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    serve_legs: Annotated[int, typer.Option("--serve", hidden=True)] = 0,
    commands: Annotated[bool, typer.Option("--commands", hidden=True)] = False,
) -> None:
    if serve_legs:
        serve(serve_legs, bridged, realtime, commands)
        return
    with tempfile.TemporaryDirectory() as folder:
        programs = compile_native(Path(folder))

        def floor(count: int) -> Run:
            command = [str(programs["floor"]), str(count), str(SERVER_PORT), str(PHONE_PORT)]
            return measure("floor", command, programs["load"], count, seconds)

        def engine(count: int, bridge: bool = False, commands: bool = False) -> Run:
            command = [sys.executable, __file__, "--serve", str(count)]
            command += ["--bridged"] * bridge + ["--no-realtime"] * (not realtime)
            command += ["--commands"] * commands
            return measure("bridged" if bridge else "engine", command, programs["load"], count, seconds)

        compared = [run for _ in range(rounds) for run in (floor(legs), engine(legs))]
        grown = [engine(int(count)) for count in growth.split(",") if count]
        bridges = [engine(legs, True)] if bridged else []
        commanded = [engine(count, commands=True) for count in (legs, 1000)]
        stalls = json.loads(subprocess.check_output([programs["stall"], str(seconds)]))
    costs = {
        subject: sorted(run.cpu_ms_per_leg for run in compared if run.subject == subject)[(rounds - 1) // 2]
        for subject in ("floor", "engine")
    }
    ratio = costs["engine"] / costs["floor"]
    if as_json:
        report: dict[str, Any] = {
            "ratio": ratio,
            "target": TARGET_RATIO,
            "compared": [asdict(run) for run in compared],
            "growth": [asdict(run) for run in grown],
            "bridged": [asdict(run) for run in bridges],
            "commands": [asdict(run) for run in commanded],
            "stalls": stalls,
            "time": time.time(),
        }
        print(json.dumps(report, indent=2))
    else:
        console = Console()
        console.print(table(f"Engine and floor, {seconds} s each", compared))
        verdict = "within" if ratio <= TARGET_RATIO else "beyond"
        console.print(f"ratio of CPU: {ratio:.2f}, {verdict} the target of {TARGET_RATIO}")
        if grown:
            console.print(table("Growth", grown))
        console.print(table_of_commands(commanded))
        console.print(
            f"A loop that only looks at the clock, {seconds} s, stood still for 0.2 ms or longer: "
            f"{stalls['own']['gaps']} times (longest {stalls['own']['longest']:.1f} ms) in what counts as its time, "
            f"{stalls['others']['gaps']} times ({stalls['others']['longest']:.1f} ms) because others ran",
            soft_wrap=True,
        )
        for run in bridges:
            console.print(table("Bridged", [run]))
            console.print("latency through the bridge, ms: " + str(run.latency_ms))
    if ratio > TARGET_RATIO:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
