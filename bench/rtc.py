"""What a browser bridged to a telephone costs, in ratio to rtpengine that does the same in the same run.

Three processes on 127.0.0.1: the far ends (browsers.py) and one subject at a time (relay.py), either the gateway's path
for media or rtpengine. Packets of both sides carry 20 ms, SRTP is AES_CM_128_HMAC_SHA1_80. PCMU is passed on; Opus
is transcoded to the telephone's PCMU and back. Every far end must hear the tone of the other, or the run is void.

Both subjects run under the same scheduling: ordinary, which is rtpengine's usual one, or with --realtime SCHED_RR,
which `ivr run` asks for: packets go out more evenly, and a thread that is woken up at once finds fewer of them.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Annotated, get_args

import typer
from browsers import FarEnds
from relay import Codec, SubjectName, relaying
from rich import box
from rich.console import Console
from rich.table import Table
from subject import percentile

TARGETS: dict[Codec, float] = {"PCMU": 1.0, "opus": 0.7}
PACKETS_PER_S = 50
FEWEST = 0.9
"""Of the packets due: with fewer at any far end, what was measured was not the work."""
SETTLES_S = 1.0

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True, slots=True)
class Point:
    """One subject under so many calls."""

    subject: SubjectName
    codec: Codec
    calls: int
    cpu_ms_per_call: float
    """CPU milliseconds for each second and call, both of its legs."""
    received: int
    lost: int
    """Packets that the far ends missed."""
    load: float
    """How many threads of the whole machine wanted a core, on average of the minute."""


@dataclass(frozen=True, slots=True)
class Run:
    """One subject from its first call to its last."""

    subject: SubjectName
    codec: Codec
    points: list[Point]
    set_up_ms: list[float]
    """From a browser's offer until both sides have heard a packet of the other, each call."""
    set_up_cpu_ms: float
    """Of the subject, each call."""
    kb_per_leg: float


async def measure(
    subject: SubjectName, codec: Codec, counts: Sequence[int], *, seconds: float, rate: float, realtime: bool
) -> Run:
    async with relaying(subject, realtime=realtime) as relay:
        far_ends = FarEnds(relay, codec)
        try:
            # What a first call brings along is no call's cost.
            await far_ends.hang_up(await far_ends.connect())
            points: list[Point] = []
            set_up: list[float] = []
            set_up_cpu_ms = 0.0
            before = relay.usage
            for count in counts:
                more = count - len(far_ends.calls)
                cpu, carried, began = relay.cpu_s, points[-1:], time.monotonic()
                placed = await far_ends.place(more, rate)
                carrying = sum(p.cpu_ms_per_call * p.calls for p in carried) * (time.monotonic() - began)
                if not points:
                    set_up_cpu_ms = ((relay.cpu_s - cpu) * 1000 - carrying) / more
                set_up += [call.set_up_ms for call in placed]
                await asyncio.sleep(SETTLES_S)
                load = os.getloadavg()[0]
                cpu = relay.cpu_s
                heard = await far_ends.hear(seconds)
                cost = (relay.cpu_s - cpu) * 1000 / heard.seconds / count
                due = PACKETS_PER_S * heard.seconds
                if heard.fewest < FEWEST * due:
                    raise SystemExit(
                        f"{subject}, {count} calls: {heard.fewest} packets came where {due:.0f} were due, "
                        f"at {heard.fewest_at}, {heard.packets / len(far_ends.calls) / 2:.0f} on average; "
                        f"the far ends were held up {heard.held_up} times"
                    )
                if deaf := await far_ends.without_sound():
                    raise SystemExit(f"{subject}, {count} calls: no clean tone at {', '.join(deaf[:5])} ({len(deaf)})")
                points.append(Point(subject, codec, count, cost, heard.packets, heard.lost, load))
            grown = relay.usage.rss_kb - before.rss_kb
            return Run(subject, codec, points, set_up, set_up_cpu_ms, grown / (2 * counts[-1]))
        finally:
            await far_ends.close()


def spread(values: Sequence[float]) -> str:
    """The median, and between what."""
    return f"{median(values):.2f}" + (f" ({min(values):.2f}-{max(values):.2f})" if len(values) > 1 else "")


def cost_at(at: int) -> Callable[[Run], float]:
    return lambda run: run.points[at].cpu_ms_per_call


def ratios(runs: Sequence[Run], of: Callable[[Run], float]) -> list[float]:
    """Ours to the peer's, of each pair that ran one after the other."""
    ours, theirs = ([of(run) for run in runs if run.subject == name] for name in get_args(SubjectName))
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def table_of_costs(runs: Sequence[Run], counts: Sequence[int]) -> Table:
    out = Table(title="CPU ms a second and call", box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for column in ("", "calls", *get_args(SubjectName), "ratio", "lost", "of"):
        out.add_column(column, justify="right" if column else "left", no_wrap=True)
    for codec in dict.fromkeys(run.codec for run in runs):
        mine = [run for run in runs if run.codec == codec]
        for at, count in enumerate(counts):
            costs = (
                f"{median(run.points[at].cpu_ms_per_call for run in mine if run.subject == name):.2f}"
                for name in get_args(SubjectName)
            )
            points = [run.points[at] for run in mine]
            ratio = spread(ratios(mine, cost_at(at)))
            lost = " / ".join(str(sum(p.lost for p in points if p.subject == n)) for n in get_args(SubjectName))
            out.add_row(codec, str(count), *costs, ratio, lost, f"{sum(p.received for p in points) // 2:,}")
    return out


def table_of_beginnings(runs: Sequence[Run]) -> Table:
    out = Table(title="Offer to sound at both ends, and memory", box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for column in ("", "codec", "calls", "p50 ms", "p99 ms", "CPU ms", "kB a leg"):
        out.add_column(column, justify="right" if column not in ("", "codec") else "left", no_wrap=True)
    for codec in dict.fromkeys(run.codec for run in runs):
        for name in get_args(SubjectName):
            mine = [run for run in runs if (run.codec, run.subject) == (codec, name)]
            times = sorted(time for run in mine for time in run.set_up_ms)
            out.add_row(
                name,
                codec,
                str(len(times)),
                *(f"{percentile(times, share):.0f}" for share in (0.5, 0.99)),
                f"{median(run.set_up_cpu_ms for run in mine):.1f}",
                f"{median(run.kb_per_leg for run in mine):.0f}",
            )
    return out


def verdicts(runs: Sequence[Run], counts: Sequence[int]) -> dict[Codec, float]:
    """The worst ratio at any number of calls; each is the median of the rounds."""
    return {
        codec: max(
            median(ratios([run for run in runs if run.codec == codec], cost_at(at))) for at in range(len(counts))
        )
        for codec in dict.fromkeys(run.codec for run in runs)
    }


@app.command(help=__doc__)
def bench(
    calls: Annotated[str, typer.Option(help="Calls at a time, growing.")] = "20,50,100",
    codecs: Annotated[str, typer.Option(help="What the browsers speak.")] = "PCMU,opus",
    seconds: Annotated[float, typer.Option(help="Length of one measurement.")] = 10,
    rounds: Annotated[int, typer.Option(help="Comparisons, taken in turn; what counts is the median.")] = 1,
    rate: Annotated[float, typer.Option(help="Calls placed a second.")] = 5,
    realtime: Annotated[bool, typer.Option(help="Let the threads for media run under SCHED_RR.")] = False,
    short: Annotated[bool, typer.Option("--short", help="A quick look: 20 calls for 3 s, not to be quoted.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    if short:
        calls, seconds, rounds = "20", 3, 1
    counts = sorted(int(count) for count in calls.split(","))
    wanted = [codec for codec in get_args(Codec) if codec in codecs.split(",")]
    console = Console(stderr=as_json)
    runs: list[Run] = []
    for number in range(rounds):
        for codec in wanted:
            for subject in get_args(SubjectName):
                with console.status(f"{subject}, {codec}, round {number + 1} of {rounds}"):
                    work = measure(subject, codec, counts, seconds=seconds, rate=rate, realtime=realtime)
                    runs.append(asyncio.run(work))
    found = verdicts(runs, counts)
    if as_json:
        report = {"ratios": found, "targets": TARGETS, "runs": [asdict(run) for run in runs], "time": time.time()}
        print(json.dumps(report, indent=2))
    else:
        console.print(table_of_costs(runs, counts))
        console.print(table_of_beginnings(runs))
        for codec, ratio in found.items():
            verdict = "within" if ratio <= TARGETS[codec] else "beyond"
            console.print(f"{codec}: at most {ratio:.2f} times rtpengine, {verdict} the target of {TARGETS[codec]}")
        load, cores = max(point.load for run in runs for point in run.points), os.cpu_count() or 1
        if load > cores:
            console.print(f"The machine was busy ({load:.1f} threads for {cores} cores): quote nothing but ratios")
    if any(ratio > TARGETS[codec] for codec, ratio in found.items()):
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
