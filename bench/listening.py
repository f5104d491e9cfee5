"""Callers who speak, all at once: how long after their last word the next prompt comes, what listening costs, and
whether packets of calls come late because of it.

Every caller says phrases of a menu, in turn, in voices that are not the program's (flite). The same callers do the
same again with a flow that does not listen, and press a key where they had finished speaking: whatever packets come
late then, is not listening's doing. Times are the kernel's; the time-out after the last word is part of the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sqlite3
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from phone import Telephones, received, stamped_socket
from rich.console import Console
from subject import ROOT, Subject, percentile, serving, usage

sys.path.insert(0, str(ROOT))

from gateway.media.g711 import encode_pcmu
from gateway.sdp import PCMU, AudioCapabilities, make_offer, parse_sdp
from gateway.sip.events import Event, SessionAnswered, SessionEnded, SessionFailed
from gateway.sip.session import Session
from tests.peers.speakers import VOICES, says

app = typer.Typer(add_completion=False, rich_markup_mode=None)

FIRST_PORT = 52_000
FRAME = 160
KEYS = 101
SILENCE = frozenset((0xFF, 0x7F, 0xFE, 0x7E))
PHRASES = ("sales", "the state of my repair", "opening hours", "speak to somebody", "cancel my order")
LATE_S = 0.005
"""From when it was due by the packets before: a jitter buffer has 20 ms and more for it."""

FLOW = """\
flow: main
languages: [en]
start: menu
blocks:
  menu:
    - answer
    - menu:
        prompt: tone
        keys: {KEYS}
        timeout: 10s
        tries: 9
        SPEECH
        failed: menu
"""


def flow(listens: bool, speech_timeout: float) -> str:
    keys = ", ".join(
        f"'{number}': {{say: '{phrase}', go: menu}}" if listens else f"'{number}': menu"
        for number, phrase in enumerate(PHRASES, 1)
    )
    speech = f"speech_timeout: {speech_timeout}s" if listens else ""
    return FLOW.replace("KEYS", keys).replace("SPEECH", speech)


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one run."""

    answers: int
    end_to_prompt_ms: dict[str, float]
    """From the last of the speech, or the key, to the first packet of the next prompt."""
    packets: int
    late: int
    lateness_ms: dict[str, float]
    server_cpu_ms_per_caller_s: float
    hearing_cpu_ms_per_caller_s: float
    hearing_rss_mb: float
    took_ms: dict[str, float] = field(default_factory=dict)
    """From the end of the time-out until the recogniser had the words, as the server records it."""
    exits: dict[str, int] = field(default_factory=dict)
    """How tries of the menu ended, as the server records them."""
    failures: int = 0


class Caller:
    """Hears the prompt, says something (or presses a key), hears the next one, and so on."""

    def __init__(self, number: int, loop: asyncio.AbstractEventLoop, *, speaks: bool) -> None:
        self.socket = stamped_socket(FIRST_PORT + 2 * number)
        self.answers: list[float] = []
        self.lateness: list[float] = []
        self.failed = False
        self._loop = loop
        self._speaks = speaks
        self._chance = random.Random(number)
        self._remote = ("", 0)
        self._sequence = self._timestamp = 0
        self._due = 0.0
        self._say: list[bytes] = []
        self._said_at: float | None = None
        self._quiet = 0
        self._thinks = 15
        """Packets of silence after the prompt."""
        self._prompted = False
        self._grid: float | None = None
        self._last = 0
        loop.add_reader(self.socket, self._heard)
        offer = make_offer(
            AudioCapabilities("127.0.0.1", FIRST_PORT + 2 * number, codecs=(PCMU,), telephone_event=KEYS), session_id=1
        )
        self.offer = offer.encode()
        self._voice = VOICES[number % len(VOICES)]

    def connected(self, sdp: bytes) -> None:
        stream = parse_sdp(sdp)
        self._remote = (stream.connection or "", stream.media[0].port)
        self._due = self._loop.time()
        self._talk()

    def close(self) -> None:
        self._loop.remove_reader(self.socket)
        self.socket.close()

    def _talk(self) -> None:
        """A packet every 20 ms: speech, or a little noise, as lines have."""
        if self.socket.fileno() < 0:
            return
        payload = self._say.pop(0) if self._say else NOISE[self._sequence % len(NOISE)]
        if self._say and self._say[0] == b"":
            self._say.pop(0)
            self._said_at = time.time()
            if not self._speaks:
                self._press()
        self._send(0, self._timestamp, payload)
        self._timestamp += FRAME
        self._due += 0.02
        self._loop.call_at(self._due, self._talk)

    def _press(self) -> None:
        at = self._timestamp
        for ended in (0, 0x80, 0x80, 0x80):
            self._send(KEYS, at, struct.pack("!BBH", 1, 10 | ended, 800))

    def _send(self, kind: int, timestamp: int, payload: bytes) -> None:
        header = struct.pack("!BBHII", 0x80, kind, self._sequence & 0xFFFF, timestamp & 0xFFFFFFFF, 77)
        self._sequence += 1
        with contextlib.suppress(OSError):
            self.socket.sendto(header + payload, self._remote)

    def _heard(self) -> None:
        while (packet := received(self.socket)) is not None:
            data, at = packet
            self._time(int.from_bytes(data[2:4], "big"), at)
            if SILENCE.issuperset(data[12:]):
                self._quiet += 1
                # The prompt is over, and the caller thinks a moment.
                if self._prompted and self._quiet >= self._thinks:
                    self._prompted = False
                    self._thinks = 15 + self._chance.randrange(20)
                    self._say = spoken(self._chance.choice(PHRASES), self._voice)
                continue
            self._quiet = 0
            if self._said_at is not None:
                self.answers.append(at - self._said_at)
                self._said_at = None
            self._prompted = True

    def _time(self, sequence: int, at: float) -> None:
        """How long after the moment at which it was due, by the packets before, a packet has come."""
        if self._grid is not None and sequence == (self._last + 1) & 0xFFFF:
            due = self._grid + 0.02
            self.lateness.append(at - due)
            # The grid creeps after clocks that differ, and is never moved by a packet that is late.
            self._grid = min(due + 0.00001, at) if at < due else due + 0.00001
        else:
            self._grid = at
        self._last = sequence


NOISE = [encode_pcmu(np.random.default_rng(number).normal(0, 20, FRAME).astype(np.int16)) for number in range(50)]


def spoken(text: str, voice: str) -> list[bytes]:
    """Packets of it; an empty one where it ends."""
    samples = says(text, voice).samples  # type: ignore[arg-type]
    loud = np.flatnonzero(np.abs(samples) > 0.03 * np.abs(samples).max())
    samples = samples[loud[0] : loud[-1] + 1]
    pcm = (np.pad(samples, (0, -len(samples) % FRAME)) * 32767).astype(np.int16)
    return [encode_pcmu(pcm[at : at + FRAME]) for at in range(0, len(pcm), FRAME)] + [b"", NOISE[0]]


async def talk(callers: int, seconds: float, *, speaks: bool, up: Callable[[], None]) -> list[Caller]:
    loop = asyncio.get_running_loop()
    by_session: dict[Session, Caller] = {}
    hanging_up = False

    def happened(event: Event, at: float) -> None:
        match event:
            case SessionAnswered(session, sdp) if sdp is not None:
                by_session[session].connected(sdp)
            case SessionFailed(session) | SessionEnded(session) if not hanging_up:
                by_session[session].failed = True
            case _:
                pass

    telephones = Telephones(happened)
    loop.add_reader(telephones.socket, telephones.poll)
    for number in range(callers):
        caller = Caller(number, loop, speaks=speaks)
        by_session[telephones.place(caller.offer)] = caller
        await asyncio.sleep(0.07)
    up()
    deadline = loop.time() + seconds
    while loop.time() < deadline:
        await asyncio.sleep(0.1)
        telephones.poll()
    hanging_up = True
    for session, caller in by_session.items():
        telephones.hang_up(session)
        caller.close()
    await asyncio.sleep(1.0)
    loop.remove_reader(telephones.socket)
    telephones.socket.close()
    return list(by_session.values())


def hearing_processes(server: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == server and b"recognition.worker_process" in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
    return found


def run(callers: int, seconds: float, *, listens: bool, speech_timeout: float) -> Run:
    with serving(flow(listens, speech_timeout), max_calls=callers + 20, prompt_s=0.6) as subject:
        pids = hearing_processes(subject.process.pid)
        before: list[float] = []

        def used() -> list[float]:
            return [subject.usage.cpu_s, sum(usage(pid).cpu_s for pid in pids)]

        talked = asyncio.run(talk(callers, seconds, speaks=listens, up=lambda: before.extend(used())))
        after = used()
        rss = sum(usage(pid).rss_kb for pid in pids) / 1024
        time.sleep(0.5)
        took, exits = recorded(subject)
    share = 1000 / callers / seconds
    lateness = sorted(one * 1000 for caller in talked for one in caller.lateness)
    answers = sorted(one * 1000 for caller in talked for one in caller.answers)
    return Run(
        answers=len(answers),
        end_to_prompt_ms=spread(answers),
        packets=len(lateness),
        late=sum(one > LATE_S * 1000 for one in lateness),
        lateness_ms={"p99": percentile(lateness, 0.99), "p999": percentile(lateness, 0.999), "max": lateness[-1]},
        server_cpu_ms_per_caller_s=(after[0] - before[0]) * share,
        hearing_cpu_ms_per_caller_s=(after[1] - before[1]) * share,
        hearing_rss_mb=rss,
        took_ms=spread(took),
        exits=exits,
        failures=sum(caller.failed for caller in talked),
    )


def spread(ordered: list[float]) -> dict[str, float]:
    return {name: percentile(ordered, share) for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))}


def recorded(subject: Subject) -> tuple[list[float], dict[str, int]]:
    with contextlib.closing(sqlite3.connect(subject.folder / "var" / "records.db")) as database:
        speech = [json.loads(text) for (text,) in database.execute("SELECT data FROM events WHERE type = 'speech'")]
        exits = dict(
            database.execute(
                "SELECT coalesce(input_mode || ' ', '') || coalesce(exit, 'cut short'), count(*) FROM flow_steps"
                " WHERE verb = 'menu' GROUP BY 1 ORDER BY 1"
            ).fetchall()
        )
    failed = sum("error" in one for one in speech)
    return sorted(float(one["took_ms"]) for one in speech if "took_ms" in one), exits | (
        {"not heard": failed} if failed else {}
    )


def lines(callers: int, speech_timeout: float, with_it: Run, without: Run) -> Iterator[str]:
    times, took = with_it.end_to_prompt_ms, with_it.took_ms
    yield (
        f"{callers} callers who speak, {with_it.answers} answers, {with_it.failures} calls failed; exits "
        + ", ".join(f"{name} {count}" for name, count in with_it.exits.items())
    )
    yield (
        f"last word to next prompt: p50 [bold]{times['p50']:.0f}[/], p90 {times['p90']:.0f}, p99 {times['p99']:.0f} ms; "
        f"of it the time-out {speech_timeout * 1000:.0f} ms and recognition p50 {took['p50']:.0f}, "
        f"p99 {took['p99']:.0f} ms (a key without listening: p50 {without.end_to_prompt_ms['p50']:.0f} ms)"
    )
    yield (
        f"CPU a second and caller: the process that listens {with_it.hearing_cpu_ms_per_caller_s:.1f} ms "
        f"({with_it.hearing_rss_mb:.0f} MB), the server {with_it.server_cpu_ms_per_caller_s:.2f} "
        f"(without listening {without.server_cpu_ms_per_caller_s:.2f})"
    )
    for name, one in (("with", with_it), ("without", without)):
        late = one.lateness_ms
        yield (
            f"packets {name} listening: {one.packets}, more than {LATE_S * 1000:.0f} ms late {one.late}; "
            f"p99 {late['p99']:.2f}, p99.9 {late['p999']:.2f}, worst {late['max']:.1f} ms"
        )


@app.command(help=__doc__)
def bench(
    callers: Annotated[int, typer.Option(help="Who speak, all at once.")] = 20,
    seconds: Annotated[float, typer.Option(help="For so long.")] = 30,
    speech_timeout: Annotated[float, typer.Option(help="Silence after which a caller has finished, seconds.")] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    without = run(callers, seconds, listens=False, speech_timeout=speech_timeout)
    with_it = run(callers, seconds, listens=True, speech_timeout=speech_timeout)
    if as_json:
        report = {"callers": callers, "speech_timeout": speech_timeout, "with": asdict(with_it)}
        print(json.dumps({**report, "without": asdict(without), "load": os.getloadavg()[0]}, indent=2))
    else:
        console = Console(soft_wrap=True)
        for line in lines(callers, speech_timeout, with_it, without):
            console.print(line, highlight=False)
    if with_it.failures or without.failures or not with_it.answers:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
