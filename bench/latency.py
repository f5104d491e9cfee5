"""How long a caller waits: from the answer to the first sound, and from a key to the end of the prompt it cuts off.

Calls of our own callers, some at a time, who are heard from the answer on, as telephones are. Every time is the
kernel's: when a packet came out of, or went into, a socket on this machine. A packet carries 20 ms, so 20 ms is what a
perfect server could need for either.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import struct
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from phone import Telephones, received, stamped_socket
from rich import box
from rich.console import Console
from rich.table import Table
from subject import MENU, percentile, serving

from gateway.sdp import PCMU, AudioCapabilities, make_offer, parse_sdp
from gateway.sip.events import Event, SessionAnswered, SessionEnded, SessionFailed
from gateway.sip.session import Session

app = typer.Typer(add_completion=False, rich_markup_mode=None)

FIRST_PORT = 50_000
PACKET_MS = 20.0
KEYS = 101
SILENCE = frozenset((0xFF, 0x7F, 0xFE, 0x7E))
"""The smallest values of mu-law."""
GIVE_UP_S = 5.0


@dataclass(frozen=True, slots=True)
class Report:
    calls: int
    failed: int
    answer_to_sound_ms: dict[str, float]
    key_to_silence_ms: dict[str, float]
    """To the first packet that has nothing of the prompt."""
    key_to_last_sound_ms: dict[str, float]
    packet_ms: float = PACKET_MS


class Caller:
    """One call: listens, presses a key in the middle of the prompt, listens until it is silent, hangs up."""

    def __init__(self, port: int, loop: asyncio.AbstractEventLoop, over: Callable[[Caller], None]) -> None:
        self.session: Session | None = None
        self.answered: float | None = None
        self.first_sound: float | None = None
        self.last_sound: float | None = None
        self.pressed: float | None = None
        self.silent: float | None = None
        self._loop = loop
        self._over = over
        self._sequence = random.randrange(30_000)
        self._remote = ("", 0)
        self.socket = stamped_socket(port)
        loop.add_reader(self.socket, self._heard)
        self._patience = loop.call_later(GIVE_UP_S, self.done)
        offer = make_offer(AudioCapabilities("127.0.0.1", port, codecs=(PCMU,), telephone_event=KEYS), session_id=1)
        self.offer = offer.encode()

    @property
    def complete(self) -> bool:
        return None not in (self.answered, self.first_sound, self.pressed, self.silent)

    def connected(self, sdp: bytes, at: float) -> None:
        self.answered = at
        stream = parse_sdp(sdp)
        self._remote = (stream.connection or "", stream.media[0].port)
        self._talk(0)
        # Anywhere between two packets: no caller knows our grid.
        self._loop.call_later(0.4 + random.random() * 0.2, self._press)

    def done(self) -> None:
        self._patience.cancel()
        self._loop.remove_reader(self.socket)
        self.socket.close()
        self._over(self)

    def _heard(self) -> None:
        while (packet := received(self.socket)) is not None:
            data, at = packet
            sound = len(data) > 12 and not SILENCE.issuperset(data[12:])
            if sound:
                self.first_sound = self.first_sound or at
                self.last_sound = at
            elif self.pressed is not None:
                self.silent = at
                self.done()
                return

    def _talk(self, number: int) -> None:
        """A packet of silence every 20 ms, until a key is pressed."""
        if self.socket.fileno() < 0 or self.pressed is not None:
            return
        self._sequence += 1
        header = struct.pack("!BBHII", 0x80, 0, self._sequence, 160 * number, 77)
        with contextlib.suppress(ConnectionRefusedError):
            self.socket.sendto(header + b"\xff" * 160, self._remote)
        self._loop.call_later(PACKET_MS / 1000, self._talk, number + 1)

    def _press(self) -> None:
        """A key of 100 ms by RFC 4733; it counts from its first packet on."""
        if self.socket.fileno() < 0:
            return
        self.pressed = time.time()
        self._event(0)

    def _event(self, number: int) -> None:
        if self.socket.fileno() < 0:
            return
        self._sequence += 1
        ended = number >= 5
        header = struct.pack("!BBHII", 0x80, KEYS | (0x80 if number == 0 else 0), self._sequence, 40_000, 77)
        event = struct.pack("!BBH", 1, 10 | (0x80 if ended else 0), 160 * (min(number, 5)))
        try:
            self.socket.sendto(header + event, self._remote)
        except ConnectionRefusedError:
            return
        if number < 7:
            self._loop.call_later(0.02 if number < 5 else 0.0, self._event, number + 1)


async def measure(calls: int, at_once: int) -> list[Caller]:
    loop = asyncio.get_running_loop()
    waiting = asyncio.Semaphore(at_once)
    callers: dict[Session, Caller] = {}
    finished: list[Caller] = []

    def over(caller: Caller) -> None:
        finished.append(caller)
        if caller.session is not None:
            telephones.hang_up(caller.session)
        waiting.release()

    def happened(event: Event, at: float) -> None:
        match event:
            case SessionAnswered(session, sdp) if sdp is not None:
                callers[session].connected(sdp, at)
            case SessionFailed(session) | SessionEnded(session):
                callers.pop(session, None)
            case _:
                pass

    telephones = Telephones(happened)
    loop.add_reader(telephones.socket, telephones.poll)
    for number in range(calls):
        await waiting.acquire()
        caller = Caller(FIRST_PORT + 2 * number, loop, over)
        caller.session = telephones.place(caller.offer)
        callers[caller.session] = caller
        await asyncio.sleep(random.random() * 2 / at_once)
    while len(finished) < calls:
        await asyncio.sleep(0.1)
        telephones.poll()
    await asyncio.sleep(0.5)
    loop.remove_reader(telephones.socket)
    telephones.poll()
    return finished


def spread(milliseconds: list[float]) -> dict[str, float]:
    ordered = sorted(milliseconds)
    return {name: percentile(ordered, share) for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))}


def summed(callers: list[Caller]) -> Report:
    good = [caller for caller in callers if caller.complete]
    between = [
        (
            (caller.first_sound or 0.0) - (caller.answered or 0.0),
            (caller.silent or 0.0) - (caller.pressed or 0.0),
            max(0.0, (caller.last_sound or 0.0) - (caller.pressed or 0.0)),
        )
        for caller in good
    ]
    return Report(
        calls=len(callers),
        failed=len(callers) - len(good),
        answer_to_sound_ms=spread([first * 1000 for first, _, _ in between]),
        key_to_silence_ms=spread([silent * 1000 for _, silent, _ in between]),
        key_to_last_sound_ms=spread([last * 1000 for _, _, last in between]),
    )


def table(report: Report) -> Table:
    out = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for column in ("", "p50 ms", "p99 ms", "max ms", "p50 in packets", "p99 in packets"):
        out.add_column(column, justify="right" if column else "left", no_wrap=True)
    for name, times in (
        ("200 to first sound", report.answer_to_sound_ms),
        ("key to last sound", report.key_to_last_sound_ms),
        ("key to silence", report.key_to_silence_ms),
    ):
        packets = (f"{times[share] / PACKET_MS:.2f}" for share in ("p50", "p99"))
        out.add_row(name, *(f"{times[share]:.1f}" for share in ("p50", "p99", "max")), *packets)
    return out


@app.command(help=__doc__)
def bench(
    calls: Annotated[int, typer.Option(help="Calls to measure.")] = 300,
    at_once: Annotated[int, typer.Option(help="At a time.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    with serving(MENU, max_calls=4 * at_once + 20):
        report = summed(asyncio.run(measure(calls, at_once)))
    if as_json:
        print(json.dumps({**asdict(report), "time": time.time()}, indent=2))
    else:
        console = Console()
        console.print(
            f"{report.calls} calls, {at_once} at a time; {report.failed} failed; a packet is {PACKET_MS:.0f} ms"
        )
        console.print(table(report))
    if report.failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
