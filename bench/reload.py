"""What reloads cost the calls that run: how far packets are from their grid of 20 ms, without and with reloads.

The callers are a process of sockets that do little but listen; their times are the kernel's. All in one run: the same
calls hear the server first in peace, then while its files are edited all the time. Then: what is left of old sets.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from phone import Telephones, received, stamped_socket
from rich.console import Console
from subject import GREETING, Subject, percentile, serving

from gateway.sdp import PCMU, AudioCapabilities, make_offer, parse_sdp
from gateway.sip.events import Event, SessionAnswered, SessionEnded, SessionFailed
from gateway.sip.session import Session
from ivr.live.control import ask

HERE = Path(__file__).parent
FIRST_PORT = 50_000
PACKET_MS = 20.0
CALLS_PER_SECOND = 25
SPEAK_EVERY_S = 2.0
TARGET_MS = 5.0
"""As much later may the latest of a hundred packets be."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True, slots=True)
class Heard:
    """What all callers heard in one phase."""

    packets: int
    lost: int
    deviation_ms: dict[str, float]
    """From the grid of 20 ms of each call, laid through the median."""
    latest_s: float
    """When the packet that was furthest away came, seconds from the beginning of the phase."""


@dataclass(frozen=True, slots=True)
class Report:
    calls: int
    seconds: int
    reloads: int
    """That went live."""
    failed: int
    quiet: Heard
    reloading: Heard
    beyond_p99_ms: float
    ratio_p99: float
    reload_cpu_ms: float
    """CPU of the server for each reload, that of the calls left out; the process that reads files has its own."""
    rss_kb: dict[str, int]
    fds: dict[str, int]
    threads: dict[str, int]


# The callers. ------------------------------------------------------------------------------------------------


class Listener:
    """One call's ears."""

    def __init__(self, port: int) -> None:
        self.socket: socket.socket = stamped_socket(port)
        offer = make_offer(AudioCapabilities("127.0.0.1", port, codecs=(PCMU,)), session_id=1)
        self.offer = offer.encode()
        self.arrivals: list[tuple[int, float]] = []
        """Number of the packet, and when it came."""
        self.remote: tuple[str, int] | None = None
        self._sent = 0

    def speak(self) -> None:
        """One packet of silence: who sends nothing at all is taken for gone."""
        if self.remote is not None:
            self._sent += 1
            header = struct.pack("!BBHII", 0x80, 0, self._sent, self._sent * 8000, 77)
            self.socket.sendto(header + b"\xff" * 160, self.remote)

    def listen(self) -> None:
        while (packet := received(self.socket)) is not None:
            data, at = packet
            number = int.from_bytes(data[2:4], "big")
            before = self.arrivals[-1][0] if self.arrivals else number
            # Numbers begin again after 65,535.
            self.arrivals.append((before + (number - before + 0x8000) % 0x10000 - 0x8000, at))

    def heard(self) -> tuple[list[tuple[float, float]], int]:
        """How far each packet was from its grid (ms) and when it came; and how many did not come. Begins anew."""
        arrivals, self.arrivals = self.arrivals, []
        if not arrivals:
            return [], 0
        on_grid = [(at * 1000 - number * PACKET_MS, at) for number, at in arrivals]
        median = percentile(sorted(place for place, _ in on_grid), 0.5)
        first, last = arrivals[0][0], arrivals[-1][0]
        return [(abs(place - median), at) for place, at in on_grid], last - first + 1 - len({n for n, _ in arrivals})


def be_callers(calls: int) -> None:
    """Place calls, say so; tell at each line of standard input what was heard since the last; hang up at its end."""
    failed = 0
    hanging_up = False

    def happened(event: Event, at: float) -> None:
        nonlocal failed
        match event:
            case SessionAnswered(session, sdp) if sdp is not None:
                stream = parse_sdp(sdp)
                calling[session].remote = (stream.connection or "", stream.media[0].port)
            case SessionFailed():
                failed += 1
            case SessionEnded() if not hanging_up:
                failed += 1
            case _:
                pass

    telephones = Telephones(happened)
    listeners: list[Listener] = []
    calling: dict[Session, Listener] = {}
    spoke = 0.0

    def attend(seconds: float) -> bool:
        """Whether somebody waits for an answer."""
        nonlocal spoke
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            sockets = [each.socket for each in listeners]
            ready, _, _ = select.select([telephones.socket, sys.stdin, *sockets], [], [], min(left, 0.05))
            telephones.poll()
            for each in listeners:
                if each.socket in ready:
                    each.listen()
            if time.monotonic() - spoke > SPEAK_EVERY_S:
                spoke = time.monotonic()
                for each in listeners:
                    each.speak()
            if sys.stdin in ready:
                return True
        return False

    for number in range(calls):
        listeners.append(Listener(FIRST_PORT + 2 * number))
        calling[telephones.place(listeners[-1].offer)] = listeners[-1]
        attend(1 / CALLS_PER_SECOND)
    attend(2.0)
    print("UP", flush=True)
    begin = time.time()
    while True:
        while not attend(60.0):
            pass
        if not sys.stdin.readline():
            break
        judged: list[tuple[float, float]] = []
        lost = 0
        for each in listeners:
            deviations, missing = each.heard()
            judged += deviations
            lost += missing
        judged.sort()
        ordered = [deviation for deviation, _ in judged]
        spread = {name: percentile(ordered, share) for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999))}
        spread["max"] = ordered[-1] if ordered else 0.0
        heard = Heard(len(judged), lost, spread, (judged[-1][1] if judged else begin) - begin)
        begin = time.time()
        print(json.dumps({"failed": failed, "heard": asdict(heard)}), flush=True)
    hanging_up = True
    for session in calling:
        telephones.hang_up(session)
        attend(0.002)


# The measurement. --------------------------------------------------------------------------------------------


def edit(subject: Subject, seconds: int, reloads: int) -> int:
    """Edit that often, evenly; how many versions more there are."""
    site, flow = subject.folder / "site.yaml", subject.folder / "flows" / "main.yaml"

    def live() -> int:
        return int(ask(site, "status")["versions"][0]["version"].partition("@")[2])

    before, begin = live(), time.monotonic()
    for number in range(reloads):
        flow.write_text(GREETING + f"  edit:\n    - play: tone\n    - log: '{number}'\n    - hangup\n")
        ask(site, "publish")
        time.sleep(max(0.0, begin + (number + 1) * seconds / reloads - time.monotonic()))
    return live() - before


def measure(subject: Subject, calls: int, seconds: int, reloads: int) -> Report:
    argv = [sys.executable, __file__, "--callers", str(calls)]
    callers = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE)
    assert callers.stdin is not None
    assert callers.stdout is not None

    def heard() -> tuple[int, Heard]:
        assert callers.stdin is not None
        assert callers.stdout is not None
        callers.stdin.write("\n")
        callers.stdin.flush()
        told = json.loads(callers.stdout.readline())
        return told["failed"], Heard(**told["heard"])

    if callers.stdout.readline().strip() != "UP":
        raise SystemExit("the callers ended too early")
    # The process that reads files starts with the first reload, as it does in every server that reloads at all.
    ask(subject.folder / "site.yaml", "publish")
    heard()
    first = subject.usage
    time.sleep(seconds)
    _, quiet = heard()
    before = subject.usage
    done = edit(subject, seconds, reloads)
    failed, reloading = heard()
    after = subject.usage
    callers.stdin.close()
    callers.wait(30)
    calls_cpu, both_cpu = before.cpu_s - first.cpu_s, after.cpu_s - before.cpu_s
    quiet_p99, reloading_p99 = quiet.deviation_ms["p99"], reloading.deviation_ms["p99"]
    return Report(
        calls=calls,
        seconds=seconds,
        reloads=done,
        failed=failed,
        quiet=quiet,
        reloading=reloading,
        beyond_p99_ms=reloading_p99 - quiet_p99,
        ratio_p99=reloading_p99 / quiet_p99,
        reload_cpu_ms=(both_cpu - calls_cpu) * 1000 / max(1, done),
        rss_kb={"before": before.rss_kb, "after": after.rss_kb},
        fds={"before": before.fds, "after": after.fds},
        threads={"before": before.threads, "after": after.threads},
    )


def words(report: Report) -> str:
    lines = [
        f"{report.calls} calls, {report.seconds} s in peace and {report.seconds} s with {report.reloads} reloads; "
        f"{report.failed} calls failed"
    ]
    for name, heard in (("in peace", report.quiet), ("reloading", report.reloading)):
        spread = ", ".join(f"{share} {ms:.2f}" for share, ms in heard.deviation_ms.items())
        lines.append(f"{name:<10} deviation ms {spread} (after {heard.latest_s:.0f} s); {heard.lost} lost")
    lines += [
        f"p99 [bold]{report.beyond_p99_ms:+.2f} ms[/], {report.ratio_p99:.2f} times; target: +{TARGET_MS:.0f} ms",
        f"CPU of the server {report.reload_cpu_ms:.1f} ms a reload; "
        + "; ".join(
            f"{name} {sizes['before']} before, {sizes['after']} after"
            for name, sizes in (("kB", report.rss_kb), ("descriptors", report.fds), ("threads", report.threads))
        ),
    ]
    return "\n".join(lines)


@app.command(help=__doc__)
def bench(
    calls: Annotated[int, typer.Option(help="Calls at a time.")] = 50,
    seconds: Annotated[int, typer.Option(help="In peace, and as long with reloads.")] = 60,
    reloads: Annotated[int, typer.Option(help="In that time.")] = 100,
    flows: Annotated[int, typer.Option(help="Flows beside the one that is edited.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
    callers: Annotated[int, typer.Option(hidden=True)] = 0,
) -> None:
    if callers:
        be_callers(callers)
        return
    with serving(GREETING, max_calls=calls + 10, prompt_s=2 * seconds + 60) as subject:
        for number in range(flows):
            text = GREETING.replace("flow: main", f"flow: other_{number}")
            (subject.folder / "flows" / f"other_{number}.yaml").write_text(text)
        ask(subject.folder / "site.yaml", "publish")
        report = measure(subject, calls, seconds, reloads)
    if as_json:
        print(json.dumps({**asdict(report), "time": time.time()}, indent=2))
    else:
        Console(highlight=False).print(words(report))
    if report.failed or report.beyond_p99_ms > TARGET_MS:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
