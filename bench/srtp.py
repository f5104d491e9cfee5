"""What SRTP costs in the media engine: CPU a leg as a ratio to the same leg in the clear, in the same run.

Every leg is played a prompt and receives 50 packets a second. Two processes on 127.0.0.1, both of them engines: the one
that is measured, and its far ends.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from statistics import median
from typing import Annotated, get_args

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from gateway.media.engine import MediaEngine, RtpRemote, Srtp
from gateway.media.srtp import SrtpProfile, key_length
from gateway.media.tone import tone

TARGET_RATIO = 1.8
PLAIN = "in the clear"
NEAR_PORT, FAR_PORT = 61000, 63200
"""Above what the kernel gives to sockets that ask for any port; room for a thousand legs."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def keys(profile: SrtpProfile, number: int, *, near: bool) -> Srtp:
    """Of one leg and, the other way round, of its far end: both processes must come to the same."""
    one, other = (bytes([side]) + number.to_bytes(key_length(profile) - 1, "big") for side in (1, 2))
    return Srtp(profile, send=one, receive=other) if near else Srtp(profile, send=other, receive=one)


def serve(kind: str, legs: int, *, near: bool) -> None:
    """Be one side until standard input is closed, then tell what it cost and whether everybody was heard."""
    own, other = (NEAR_PORT, FAR_PORT) if near else (FAR_PORT, NEAR_PORT)
    engine = MediaEngine(address="127.0.0.1", ports=(own, own + 2 * legs), rest_s=0)
    engine.start()
    prompt = tone(440.0, 10_000)
    opened = []
    for number in range(legs):
        leg = engine.open_leg(ice=kind != PLAIN)
        port = other + (leg.port - own)
        leg.set_remote(RtpRemote("127.0.0.1", port, "PCMU", 0, telephone_event=101))
        for profile in get_args(SrtpProfile):
            if profile == kind:
                leg.secure(keys(profile, leg.port - own, near=near))
                leg.set_path("127.0.0.1", port)
        leg.play(number, [prompt], loop=True)
        opened.append(leg)
    print("READY", flush=True)
    sys.stdin.readline()
    before = resource.getrusage(resource.RUSAGE_SELF)
    received = sum(leg.statistics().packets_received for leg in opened)
    began = time.monotonic()
    sys.stdin.readline()
    after = resource.getrusage(resource.RUSAGE_SELF)
    took = time.monotonic() - began
    all_of_them = [leg.statistics() for leg in opened]
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        json.dumps(
            {
                "cpu_ms_per_leg": cpu_s * 1000 / took / legs,
                "packets_per_leg": (sum(one.packets_received for one in all_of_them) - received) / took / legs,
                "lost": sum(one.lost + one.unauthentic + one.replayed for one in all_of_them),
            }
        )
    )
    engine.close()


def measure(kind: str, legs: int, seconds: int) -> dict[str, float]:
    sides = [
        subprocess.Popen(
            [sys.executable, __file__, "--legs", str(legs), "--serve", kind, side],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for side in ("--near", "--far")
    ]
    for side in sides:
        assert side.stdout is not None
        if side.stdout.readline().strip() != "READY":
            raise SystemExit(f"{kind}: an engine did not start")

    def tell_all() -> None:
        for side in sides:
            assert side.stdin is not None
            side.stdin.write("\n")
            side.stdin.flush()

    time.sleep(1)
    tell_all()
    time.sleep(seconds)
    tell_all()
    near, far = (json.loads(side.communicate(timeout=30)[0]) for side in sides)
    if near["packets_per_leg"] < 45 or far["packets_per_leg"] < 45:
        raise SystemExit(f"{kind}: only {near['packets_per_leg']:.0f} packets a second came")
    return near | {"lost": near["lost"] + far["lost"]}


@app.command(help=__doc__)
def bench(
    legs: Annotated[int, typer.Option(help="Legs in each run.")] = 200,
    seconds: Annotated[int, typer.Option(help="Length of one run.")] = 5,
    rounds: Annotated[int, typer.Option(help="Runs of each, taken in turn; what counts is the median.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
    serve_kind: Annotated[str, typer.Option("--serve", hidden=True)] = "",
    near: Annotated[bool, typer.Option("--near/--far", hidden=True)] = True,
) -> None:
    if serve_kind:
        serve(serve_kind, legs, near=near)
        return
    kinds = [PLAIN, *get_args(SrtpProfile)]
    runs = [(kind, measure(kind, legs, seconds)) for _ in range(rounds) for kind in kinds]
    costs = {kind: median(run["cpu_ms_per_leg"] for name, run in runs if name == kind) for kind in kinds}
    lost = {kind: sum(run["lost"] for name, run in runs if name == kind) for kind in kinds}
    ratio = max(costs.values()) / costs[PLAIN]
    if as_json:
        print(
            json.dumps(
                {"legs": legs, "cpu_ms_per_leg": costs, "lost": lost, "ratio": ratio, "target": TARGET_RATIO}, indent=2
            )
        )
    else:
        out = Table(title=f"{legs} legs, {rounds} times {seconds} s each", box=box.SIMPLE, pad_edge=False)
        for column in ("", "ms/s/leg", "more", "ratio", "lost"):
            out.add_column(column, justify="right" if column else "left", no_wrap=True)
        for kind in kinds:
            more, own = costs[kind] - costs[PLAIN], costs[kind] / costs[PLAIN]
            out.add_row(kind, f"{costs[kind]:.3f}", f"{more:.3f}", f"{own:.2f}", f"{lost[kind]:.0f}")
        console = Console()
        console.print(out)
        verdict = "within" if ratio <= TARGET_RATIO else "beyond"
        console.print(f"ratio of CPU: {ratio:.2f} at most, {verdict} the target of {TARGET_RATIO}")
    if ratio > TARGET_RATIO:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
