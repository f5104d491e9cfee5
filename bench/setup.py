"""What setting up a call costs: INVITE, 200, ACK, a short hold, BYE, without sound, at a steady rate.

The server answers, begins to play and writes its records; its peer in the same run is SIPp's own answering side,
which is C and does nothing but answer. Both are called by SIPp, in turn.
"""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from subject import GREETING, PEER_PORT, SIP_PORT, Calls, call, percentile, serving, sipp_program, usage

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True, slots=True)
class Run:
    subject: str
    calls: int
    failed: int
    retransmissions: int
    cpu_ms_per_call: float
    answer_ms: dict[str, float]
    """From INVITE to 200."""
    rss_kb_per_call: float
    """What it grew by: transactions are remembered for 32 s."""
    recorded: int | None


def summed(subject: str, made: Calls, cpu_s: float, rss_kb: int, recorded: int | None) -> Run:
    return Run(
        subject=subject,
        calls=made.made,
        failed=made.failed,
        retransmissions=made.retransmissions,
        cpu_ms_per_call=cpu_s * 1000 / made.made,
        answer_ms={name: percentile(made.answer_ms, share) for name, share in (("p50", 0.5), ("p99", 0.99))},
        rss_kb_per_call=rss_kb / made.made,
        recorded=recorded,
    )


def server(rate: int, seconds: int, hold_ms: int, folder: Path) -> Run:
    with serving(GREETING, max_calls=4 * rate + 100) as subject:
        before = subject.usage
        made = call(SIP_PORT, rate=rate, calls=rate * seconds, hold_ms=hold_ms, folder=folder)
        # The records of the last calls are part of the cost.
        time.sleep(1.0)
        after = subject.usage
        return summed("server", made, after.cpu_s - before.cpu_s, after.rss_kb - before.rss_kb, subject.records())


def peer(rate: int, seconds: int, hold_ms: int, folder: Path) -> Run:
    argv = [sipp_program(), "-sn", "uas", "-i", "127.0.0.1", "-p", str(PEER_PORT), "-nostdin"]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        before = usage(process.pid)
        made = call(PEER_PORT, rate=rate, calls=rate * seconds, hold_ms=hold_ms, folder=folder)
        after = usage(process.pid)
    finally:
        process.kill()
        process.wait()
    return summed("SIPp uas", made, after.cpu_s - before.cpu_s, after.rss_kb - before.rss_kb, None)


def table(runs: list[Run]) -> Table:
    """CPU and memory a call; milliseconds from INVITE to 200; requests sent again; calls in the records."""
    out = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for column in ("", "calls", "failed", "resent", "CPU ms", "200 p50", "p99 ms", "kB", "records"):
        out.add_column(column, justify="right" if column else "left", no_wrap=True)
    for run in runs:
        out.add_row(
            run.subject,
            str(run.calls),
            str(run.failed),
            str(run.retransmissions),
            f"{run.cpu_ms_per_call:.2f}",
            f"{run.answer_ms['p50']:.1f}",
            f"{run.answer_ms['p99']:.1f}",
            f"{run.rss_kb_per_call:.1f}",
            "" if run.recorded is None else str(run.recorded),
        )
    return out


@app.command(help=__doc__)
def bench(
    rate: Annotated[int, typer.Option(help="Calls a second.")] = 100,
    seconds: Annotated[int, typer.Option(help="For so long.")] = 30,
    hold: Annotated[int, typer.Option(help="Milliseconds from ACK to BYE.")] = 500,
    rounds: Annotated[int, typer.Option(help="Server and peer in turn; the ratio is of the medians.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    runs: list[Run] = []
    with TemporaryDirectory() as name:
        for _ in range(rounds):
            runs.append(peer(rate, max(10, seconds // 3), hold, Path(name) / "sipp"))
            runs.append(server(rate, seconds, hold, Path(name) / "sipp"))
    costs = {
        subject: sorted(run.cpu_ms_per_call for run in runs if run.subject == subject)[rounds // 2]
        for subject in ("server", "SIPp uas")
    }
    ratio = costs["server"] / costs["SIPp uas"]
    failed = sum(run.failed for run in runs)
    if as_json:
        report = {"ratio": ratio, "failed": failed, "runs": [asdict(run) for run in runs], "time": time.time()}
        print(json.dumps(report, indent=2))
    else:
        console = Console()
        console.print(f"{rate} calls a second, {hold} ms each")
        console.print(table(runs))
        console.print(f"ratio of CPU a call: {ratio:.1f} times the peer's; {failed} calls failed")
    if failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
