"""Whether ten thousand calls leave more behind than the first thousand: memory, descriptors, threads, tasks, timers.

Short calls without sound, all of which must succeed. After each of the two counts it is waited until the server says
that it remembers nothing of them (SIGUSR1), which is when SIP has forgotten the last one, 32 s after its end.

Memory is compared at the same peak: at 30 calls a second a thousand take 33 s, so that as many calls are remembered at
a time in both parts. What a peak has taken stays with the process, whether or not anything is in it: Python gives an
arena of a megabyte back only when no object at all is left in it, and the C library keeps what lies between blocks in
use. At 100 calls a second ten thousand have three times the peak of a thousand, and the process was 42 MB larger after
them with 0.1 % more objects; in another run the twenty thousand calls after these took 5 MB more, and no object.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from subject import GREETING, SIP_PORT, Subject, call, serving

app = typer.Typer(add_completion=False, rich_markup_mode=None)

FORGOTTEN_S = 60.0
"""Patience, twice what SIP's timers take."""
LEAK_KB = 1.0
"""A call; one that is remembered takes 13. What is bounded but fills on after the first thousand takes 0.1 to 0.3."""
FORGOTTEN = (
    "flows_running",
    "events_waiting",
    "calls",
    "parties",
    "media_legs",
    "transactions",
    "dialogs",
    "sessions",
    "timers",
)


@dataclass(frozen=True, slots=True)
class State:
    calls: int
    """In the records, so far."""
    failed: int
    peak: int
    """Transactions that were remembered when the last call had ended."""
    rss_kb: int
    fds: int
    threads: int
    sizes: dict[str, int]


def after(subject: Subject, calls: int, rate: int, folder: Path) -> State:
    """The state once so many more calls are forgotten."""
    made = call(SIP_PORT, rate=rate, calls=calls, hold_ms=500, folder=folder)
    sizes = subject.sizes()
    peak = sizes["transactions"]
    deadline = time.monotonic() + FORGOTTEN_S
    while left := {name: sizes[name] for name in FORGOTTEN if sizes[name]}:
        if time.monotonic() > deadline:
            raise SystemExit(f"{FORGOTTEN_S:.0f} s after the last call the server still remembers {left}")
        time.sleep(1.0)
        sizes = subject.sizes()
    held = subject.usage
    return State(subject.records(), made.failed, peak, held.rss_kb, held.fds, held.threads, sizes)


def left_behind(first: State, last: State, kb_per_call: float) -> list[str]:
    """What there is more of than after the first calls."""
    before, now = ({"fds": s.fds, "threads": s.threads, **s.sizes} for s in (first, last))
    more = [f"{name}: {before[name]}, then {now[name]}" for name in now if now[name] > before[name]]
    return more + [f"memory: {kb_per_call:.2f} kB a call"] * (kb_per_call > LEAK_KB)


def table(states: list[State]) -> Table:
    out = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    out.add_column("")
    for state in states:
        out.add_column(f"{state.calls} calls", justify="right")
    rows = {name: [getattr(state, name) for state in states] for name in ("failed", "peak", "rss_kb", "fds", "threads")}
    rows |= {name: [state.sizes[name] for state in states] for name in states[0].sizes}
    for name, values in rows.items():
        out.add_row(name, *map(str, values))
    return out


@app.command(help=__doc__)
def bench(
    first: Annotated[int, typer.Option(help="Calls that warm it up.")] = 1000,
    then: Annotated[int, typer.Option(help="Further calls, that must leave nothing behind.")] = 9000,
    rate: Annotated[int, typer.Option(help="Calls a second.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    with serving(GREETING, max_calls=4 * rate) as subject, TemporaryDirectory() as name:
        states = [after(subject, calls, rate, Path(name) / "sipp") for calls in (first, then)]
    growth = (states[1].rss_kb - states[0].rss_kb) / then
    left = left_behind(states[0], states[1], growth)
    if as_json:
        report = {
            "rss_kb_per_call": growth,
            "left_behind": left,
            "states": [asdict(state) for state in states],
            "time": time.time(),
        }
        print(json.dumps(report, indent=2))
    else:
        console = Console()
        console.print(table(states))
        console.print(f"memory grew by {growth:.3f} kB a call, {states[1].rss_kb / states[0].rss_kb:.3f} times")
        for words in left:
            console.print(f"left behind: {words}")
    if left or any(state.failed for state in states):
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
