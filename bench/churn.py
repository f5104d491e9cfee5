"""Whether browsers that come and go leave anything behind in the gateway: legs, peers, tasks, descriptors, memory.

Every call is ICE, DTLS and sound at both ends, and is then hung up, in turn by the browser (close_notify) and by the
gateway. All must succeed. After each round it is waited until nothing of it is remembered. Far ends and gateway are two
processes, as in bench/rtc.py. What is judged is memory in use: blocks of Python's and what malloc has given out. What
the process holds besides (rss_kb, after malloc_trim) is a peak that is kept, and levels off: --rounds 4 shows it.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Annotated

import typer
from browsers import FarEnds
from relay import Relay, relaying
from rich import box
from rich.console import Console
from rich.table import Table

FORGOTTEN_S = 30.0
FORGOTTEN = ("calls", "peers", "media_legs")
LEAKS = {"objects": 0.1, "blocks": 0.5, "malloc_kb": 0.1}
"""More than this a call is a leak: of Python objects, so that what is kept for one call in ten is seen; of blocks,
of which texts and numbers take some too. A peer that is remembered takes 60 kB."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True, slots=True)
class State:
    calls: int
    """So far."""
    rss_kb: int
    fds: int
    threads: int
    sizes: dict[str, int]


async def come_and_go(far_ends: FarEnds, calls: int, at_once: int) -> None:
    numbers = iter(range(calls))

    async def one_after_the_other() -> None:
        for number in numbers:
            call = await far_ends.connect()
            await far_ends.hang_up(call, relay_first=number % 2 == 0)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(one_after_the_other())


async def state(relay: Relay, calls: int) -> State:
    """Once all is forgotten."""
    deadline = time.monotonic() + FORGOTTEN_S
    while True:
        answer = await relay.ask("query")
        sizes = {name: int(size) for name, size in answer.items() if name != "result"}
        left = {name: sizes[name] for name in FORGOTTEN if sizes[name]}
        if not left:
            break
        if time.monotonic() > deadline:
            raise SystemExit(f"{FORGOTTEN_S:.0f} s after the last call the gateway still remembers {left}")
        await asyncio.sleep(0.5)
    # A handshake that is given up ends its task a moment later than its call.
    await asyncio.sleep(1.0)
    answer = await relay.ask("query")
    sizes = {name: int(size) for name, size in answer.items() if name != "result"}
    held = relay.usage
    return State(calls, held.rss_kb, held.fds, held.threads, sizes)


async def measure(first: int, then: int, rounds: int, at_once: int) -> list[State]:
    async with relaying("gateway") as relay:
        far_ends = FarEnds(relay, "PCMU")
        try:
            states: list[State] = []
            for calls in (first, *[then] * rounds):
                await come_and_go(far_ends, calls, at_once)
                states.append(await state(relay, (states[-1].calls if states else 0) + calls))
            return states
        finally:
            await far_ends.close()


def left_behind(first: State, last: State) -> list[str]:
    """What there is more of than after the first calls."""
    calls = last.calls - first.calls
    counted = [name for name in last.sizes if name not in LEAKS]
    before, now = ({"fds": s.fds, "threads": s.threads, **{n: s.sizes[n] for n in counted}} for s in (first, last))
    more = [f"{name}: {before[name]}, then {now[name]}" for name in now if now[name] > before[name]]
    grown = {name: (last.sizes[name] - first.sizes[name]) / calls for name in LEAKS}
    return more + [f"{name}: {grown[name]:.2f} a call" for name, most in LEAKS.items() if grown[name] > most]


def table(states: list[State]) -> Table:
    out = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    out.add_column("")
    for each in states:
        out.add_column(f"{each.calls:,} calls", justify="right")
    rows = {name: [getattr(each, name) for each in states] for name in ("rss_kb", "fds", "threads")}
    rows |= {name: [each.sizes[name] for each in states] for name in states[0].sizes}
    for name, values in rows.items():
        out.add_row(name, *map(str, values))
    return out


@app.command(help=__doc__)
def bench(
    first: Annotated[int, typer.Option(help="Calls that warm it up.")] = 200,
    then: Annotated[int, typer.Option(help="Further calls a round, that must leave nothing behind.")] = 800,
    rounds: Annotated[int, typer.Option(help="Of further calls.", min=1)] = 1,
    at_once: Annotated[int, typer.Option(help="Calls at a time.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    states = asyncio.run(measure(first, then, rounds, at_once))
    growth = [(now.rss_kb - before.rss_kb) / then for before, now in pairwise(states)]
    left = left_behind(states[0], states[-1])
    if as_json:
        report = {"rss_kb_per_call": growth, "left_behind": left, "states": [asdict(each) for each in states]}
        print(json.dumps({**report, "time": time.time()}, indent=2))
    else:
        console = Console()
        console.print(table(states))
        console.print("the process grew by", ", ".join(f"{each:.3f}" for each in growth), "kB a call")
        for words in left:
            console.print(f"left behind: {words}")
    if left:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
