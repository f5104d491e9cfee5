"""Whether ten thousand calls leave more behind than the five thousand before: memory, descriptors, tasks, tables.

Short calls without sound, all of which must succeed. After each of the two counts the server gets the 40 s after
which SIP has forgotten a call. The first are as many as SIP remembers at a time: memory that was needed once stays.
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

FORGOTTEN_S = 40.0


@dataclass(frozen=True, slots=True)
class State:
    calls: int
    """In the records, so far."""
    failed: int
    rss_kb: int
    fds: int
    threads: int
    sizes: dict[str, int]


def after(subject: Subject, calls: int, rate: int, folder: Path) -> State:
    """The state once so many more calls are forgotten."""
    made = call(SIP_PORT, rate=rate, calls=calls, hold_ms=500, folder=folder)
    time.sleep(FORGOTTEN_S)
    sizes = subject.sizes()
    held = subject.usage
    return State(subject.records(), made.failed, held.rss_kb, held.fds, held.threads, sizes)


def table(states: list[State]) -> Table:
    out = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    out.add_column("")
    for state in states:
        out.add_column(f"{state.calls} calls", justify="right")
    rows = {name: [getattr(state, name) for state in states] for name in ("failed", "rss_kb", "fds", "threads")}
    rows |= {name: [state.sizes[name] for state in states] for name in states[0].sizes}
    for name, values in rows.items():
        out.add_row(name, *map(str, values))
    return out


@app.command(help=__doc__)
def bench(
    first: Annotated[int, typer.Option(help="Calls that warm it up.")] = 5000,
    then: Annotated[int, typer.Option(help="Calls that must leave nothing behind.")] = 10_000,
    rate: Annotated[int, typer.Option(help="Calls a second.")] = 150,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    with serving(GREETING, max_calls=4 * rate) as subject, TemporaryDirectory() as name:
        states = [after(subject, calls, rate, Path(name) / "sipp") for calls in (first, then)]
    growth = (states[1].rss_kb - states[0].rss_kb) / then
    if as_json:
        report = {"rss_kb_per_call": growth, "states": [asdict(state) for state in states], "time": time.time()}
        print(json.dumps(report, indent=2))
    else:
        console = Console()
        console.print(table(states))
        console.print(f"memory grew by {growth:.3f} kB a call, {states[1].rss_kb / states[0].rss_kb:.2f} times")
    if any(state.failed for state in states):
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
