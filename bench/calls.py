"""The whole server with many calls at a time, each hearing a recording and sending 50 packets a second.

The callers are a process of the server's own stack. Server and callers are compared with what moves the same packets
and does nothing else: the floor in C that bench/engine.py measures in the same run.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from subject import GREETING, Subject, serving

HERE = Path(__file__).parent
PHONE_MEDIA = (50_000, 59_998)
CALLS_PER_SECOND = 50

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True, slots=True)
class Heard:
    """What the callers have to say afterwards."""

    placed: int
    failed: int
    silent: int
    """Connected and heard nothing."""
    received: int
    """Packets in all."""
    lost: int


@dataclass(frozen=True, slots=True)
class Report:
    calls: int
    seconds: int
    failed: int
    silent: int
    lost: int
    received_per_call_s: float
    cpu_ms_per_call_s: float
    """CPU milliseconds for each second and call."""
    floor_ms_per_call_s: float
    ratio: float
    rss_kb_per_call: float
    set_up_cpu_ms: float
    """For each call, with what it costs to carry those that are up already left out."""


# The callers. ------------------------------------------------------------------------------------------------


def be_callers(calls: int) -> None:
    """Place calls, say so, keep them until standard input says something, hang up, report."""
    from phone import Telephones

    from gateway.media.engine import MediaEngine, MediaLeg, RtpRemote
    from gateway.media.tone import tone
    from gateway.sdp import PCMU, AudioCapabilities, make_offer, parse_sdp
    from gateway.sip.events import Event, SessionAnswered, SessionEnded, SessionFailed
    from gateway.sip.session import Session

    engine = MediaEngine(address="127.0.0.1", ports=PHONE_MEDIA, rest_s=0, realtime=False, media_timeout_s=0)
    engine.start()
    speech = tone(1000.0, 4000)
    legs: dict[Session, MediaLeg] = {}
    ended: Counter[str] = Counter()
    hanging_up = False

    def happened(event: Event, at: float) -> None:
        match event:
            case SessionAnswered(session, sdp) if sdp is not None:
                stream = parse_sdp(sdp)
                legs[session].set_remote(RtpRemote(stream.connection or "", stream.media[0].port, "PCMU", 0))
                legs[session].play(1, [speech], loop=True)
                ended["answered"] += 1
            case SessionFailed():
                ended["failed"] += 1
            case SessionEnded() if not hanging_up:
                ended["failed"] += 1
            case _:
                pass

    telephones = Telephones(happened)

    def attend(seconds: float, *others: int) -> list[int]:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            ready, _, _ = select.select([telephones.socket, engine.event_fd, *others], [], [], min(left, 0.05))
            telephones.poll()
            engine.events()
            if any(other in ready for other in others):
                return list(others)
        return []

    for _ in range(calls):
        leg = engine.open_leg()
        offer = make_offer(AudioCapabilities("127.0.0.1", leg.port, codecs=(PCMU,)), session_id=1)
        legs[telephones.place(offer.encode())] = leg
        attend(1 / CALLS_PER_SECOND)
    attend(2.0)
    print("UP", flush=True)
    while not attend(60.0, sys.stdin.fileno()):
        pass
    statistics = [leg.statistics() for leg in legs.values()]
    hanging_up = True
    for session in legs:
        telephones.hang_up(session)
        attend(0.002)
    attend(2.0)
    engine.close()
    heard = Heard(
        placed=calls,
        failed=calls - ended["answered"] + ended["failed"],
        silent=sum(each.packets_received == 0 for each in statistics),
        received=sum(each.packets_received for each in statistics),
        lost=sum(each.lost for each in statistics),
    )
    print(json.dumps(asdict(heard)), flush=True)


# The measurement. --------------------------------------------------------------------------------------------


def measure(subject: Subject, calls: int, seconds: int) -> dict[str, Any]:
    empty = subject.usage
    argv = [sys.executable, __file__, "--callers", str(calls)]
    callers = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE)
    assert callers.stdin is not None
    assert callers.stdout is not None
    if callers.stdout.readline().strip() != "UP":
        raise SystemExit("the callers ended too early")
    begin = subject.usage
    time.sleep(seconds)
    end = subject.usage
    callers.stdin.write("\n")
    callers.stdin.flush()
    heard = Heard(**json.loads(callers.stdout.readline()))
    callers.wait(30)
    running = (end.cpu_s - begin.cpu_s) * 1000 / seconds / calls
    # While calls come in, on average half of them are up.
    coming_s = calls / CALLS_PER_SECOND
    carried = running * calls * (coming_s / 2 + 2.0)
    return {
        "calls": calls,
        "seconds": seconds,
        "failed": heard.failed,
        "silent": heard.silent,
        "lost": heard.lost,
        "received_per_call_s": heard.received / calls / (seconds + 2.0 + coming_s / 2),
        "cpu_ms_per_call_s": running,
        "rss_kb_per_call": (begin.rss_kb - empty.rss_kb) / calls,
        "set_up_cpu_ms": ((begin.cpu_s - empty.cpu_s) * 1000 - carried) / calls,
    }


def floor(calls: int) -> float:
    """CPU milliseconds for each second and call of the floor in C, as bench/engine.py has it."""
    argv = [sys.executable, str(HERE / "engine.py"), "--json", "--rounds", "1", "--seconds", "8", "--growth", ""]
    done = subprocess.run([*argv, "--legs", str(calls)], stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    report = json.loads(done.stdout)
    return next(float(run["cpu_ms_per_leg"]) for run in report["compared"] if run["subject"] == "floor")


def words(report: Report) -> str:
    return (
        f"{report.calls} calls for {report.seconds} s: {report.failed} failed, {report.silent} heard nothing, "
        f"{report.received_per_call_s:.1f} packets a second and call received, {report.lost} lost\n"
        f"CPU of the server {report.cpu_ms_per_call_s:.3f} ms a second and call: [bold]{report.ratio:.2f}[/] times "
        f"the floor's {report.floor_ms_per_call_s:.3f}; {1000 / report.cpu_ms_per_call_s:,.0f} calls a core\n"
        f"memory {report.rss_kb_per_call:.0f} kB a call; setting one up {report.set_up_cpu_ms:.1f} ms"
    )


@app.command(help=__doc__)
def bench(
    calls: Annotated[int, typer.Option(help="Calls at a time.")] = 400,
    seconds: Annotated[int, typer.Option(help="For so long, once all are up.")] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
    callers: Annotated[int, typer.Option(hidden=True)] = 0,
) -> None:
    if callers:
        be_callers(callers)
        return
    with serving(GREETING, max_calls=calls + 10, prompt_s=seconds + calls / CALLS_PER_SECOND + 30) as subject:
        measured = measure(subject, calls, seconds)
    least = floor(calls)
    report = Report(**measured, floor_ms_per_call_s=least, ratio=measured["cpu_ms_per_call_s"] / least)
    if as_json:
        print(json.dumps({**asdict(report), "time": time.time()}, indent=2))
    else:
        Console(highlight=False).print(words(report))
    if report.failed or report.silent:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
