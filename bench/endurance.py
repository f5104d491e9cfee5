"""Whether ten thousand calls leave more behind than the first thousand: memory, descriptors, tasks, timers, tables.

Short calls without sound, all of which must succeed. After each of the two counts it is waited until the server has
forgotten them: SIP remembers a call for 32 s. The rate is such that the first thousand take as long as that, so that
as many are remembered at a time in both parts: memory that was needed once stays with the process.
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
    deadline = time.monotonic() + FORGOTTEN_S
    while (sizes := subject.sizes())["transactions"] and time.monotonic() < deadline:
        time.sleep(1.0)
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
    first: Annotated[int, typer.Option(help="Calls that warm it up.")] = 1000,
    then: Annotated[int, typer.Option(help="Calls that must leave nothing behind.")] = 9000,
    rate: Annotated[int, typer.Option(help="Calls a second.")] = 30,
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
