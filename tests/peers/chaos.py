"""Bad weather and NAT: a relay through which a telephone reaches the server, and nothing else.

The telephone lives in a network namespace that holds only a loopback. There the relay listens at the very addresses
the server has outside, SIP and media, so that neither side needs to be told anything and nothing is rewritten. For
the server the packets come from ports of the relay that the telephone knows nothing of: a port-restricted cone NAT.
On the way packets may be lost, doubled, overtaken and delayed, reproducibly by a seed.

(netem would be the kernel's way; its module is missing on many machines that run tests, this needs only root.)
"""

from __future__ import annotations

import ctypes
import heapq
import json
import os
import random
import selectors
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.peers.namespace import leave_for_a_new_one
from tests.peers.process import Child, require, unavailable

__all__ = ["CALM", "PRIVATE_HOST", "Relay", "Weather"]

PRIVATE_HOST = "127.7.7.7"
"""A telephone's own address behind the relay. A loopback address, so that a server which believes it harms nobody."""

_ROOT = Path(__file__).resolve().parents[2]
_FDS_PER_MESSAGE = 200


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to packets, each way; shares between 0 and 1."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    """Share that is held back by 30 ms, so that the next one or two overtake it."""
    delay_s: float = 0.0
    jitter_s: float = 0.0
    """Added evenly between nothing and this; delays of their own also reorder."""


CALM = Weather()


class Relay:
    """The test's side: owns the relay's process. Phones join by ``namespace`` and ``host=PRIVATE_HOST``."""

    def __init__(
        self,
        server: str,
        media_ports: Sequence[int],
        *,
        folder: Path,
        sip: Weather = CALM,
        media: Weather = CALM,
        seed: int = 1,
    ) -> None:
        if os.geteuid() != 0:
            unavailable("a network namespace of our own needs root")
        require("ip", package="iproute2")
        folder = folder / "relay"
        folder.mkdir()
        settings = {
            "sip_port": int(server.rpartition(":")[2]),
            "media_ports": list(media_ports),
            "sip": asdict(sip),
            "media": asdict(media),
            "seed": seed,
        }
        self.child = Child(
            "relay",
            [sys.executable, "-m", "tests.peers.chaos", json.dumps(settings)],
            folder=folder,
            cwd=_ROOT,
            piped=True,
        )
        started = self._answer()
        self.namespace: int = started["namespace"]

    def weather(self, *, sip: Weather | None = None, media: Weather | None = None) -> None:
        """Change it from now on."""
        self._ask({"sip": asdict(sip) if sip else None, "media": asdict(media) if media else None})

    def counts(self) -> dict[str, int]:
        """Packets so far: ``passed``, ``lost``, ``duplicated``, ``reordered``, ``unwanted`` (closed by the NAT)."""
        counts: dict[str, int] = self._ask({})["counts"]
        return counts

    def close(self) -> None:
        self.child.close()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self.child.process.stdin is not None
        self.child.process.stdin.write(json.dumps(question).encode() + b"\n")
        self.child.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.child.process.stdout is not None
        line = self.child.process.stdout.readline()
        if not line:
            self.child.process.wait()
            raise AssertionError(f"the relay ended:\n{self.child.said()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


# The relay's own process. ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Way:
    """One direction of one kind of traffic: its weather and its dice."""

    weather: Weather
    dice: random.Random


@dataclass(slots=True)
class _Mapping:
    """A telephone's socket as the outside sees it."""

    inside: tuple[str, int]
    outside: socket.socket
    spoken_to: set[int] = field(default_factory=set)
    """Ports of the server it has sent to: only those may send to it."""


@dataclass(slots=True)
class _Inside:
    """Where a port of the server appears to be, in the namespace."""

    port: int
    socket: socket.socket


class _Router:
    def __init__(self, settings: dict[str, Any], inside: dict[int, socket.socket]) -> None:
        self._sip_port = settings["sip_port"]
        self._inside = inside
        self._mappings: dict[tuple[str, int], _Mapping] = {}
        self._counts = dict.fromkeys(("passed", "lost", "duplicated", "reordered", "unwanted"), 0)
        seed = settings["seed"]
        self._ways = {
            (kind, outward): _Way(Weather(**settings[kind]), random.Random(f"{seed} {kind} {outward}"))
            for kind in ("sip", "media")
            for outward in (True, False)
        }
        self._due: list[tuple[float, int, socket.socket, bytes, tuple[str, int]]] = []
        self._order = 0
        self._selector = selectors.DefaultSelector()
        for port, each in inside.items():
            each.setblocking(False)
            self._selector.register(each, selectors.EVENT_READ, _Inside(port, each))
        self._selector.register(sys.stdin, selectors.EVENT_READ, None)

    def run(self) -> None:
        while True:
            wait = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            for key, _ in self._selector.select(wait):
                match key.data:
                    case _Inside() as inside:
                        self._from_phone(inside)
                    case _Mapping() as mapping:
                        self._from_server(mapping)
                    case _:
                        line = sys.stdin.readline()
                        if not line:
                            return
                        self._told(json.loads(line))
            while self._due and self._due[0][0] <= time.monotonic():
                _, _, out, data, to = heapq.heappop(self._due)
                try:
                    out.sendto(data, to)
                except OSError:
                    # Refused: the phone or the server has closed that port.
                    pass

    def _from_phone(self, inside: _Inside) -> None:
        for data, source in _received(inside.socket):
            mapping = self._mappings.get(source)
            if mapping is None:
                outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                outside.bind(("127.0.0.1", 0))
                outside.setblocking(False)
                mapping = self._mappings[source] = _Mapping(source, outside)
                self._selector.register(outside, selectors.EVENT_READ, mapping)
            mapping.spoken_to.add(inside.port)
            self._forward(inside.port, True, mapping.outside, data, ("127.0.0.1", inside.port))

    def _from_server(self, mapping: _Mapping) -> None:
        for data, (_, port) in _received(mapping.outside):
            if port not in mapping.spoken_to:
                self._counts["unwanted"] += 1
                continue
            self._forward(port, False, self._inside[port], data, mapping.inside)

    def _forward(self, port: int, outward: bool, out: socket.socket, data: bytes, to: tuple[str, int]) -> None:
        way = self._ways["sip" if port == self._sip_port else "media", outward]
        weather, dice = way.weather, way.dice
        # Every packet rolls the same dice, so that the weather of one does not depend on that of another.
        lost, doubled, late, jitter = (dice.random() for _ in range(4))
        if lost < weather.loss:
            self._counts["lost"] += 1
            return
        delay = weather.delay_s + weather.jitter_s * jitter
        if late < weather.reorder:
            self._counts["reordered"] += 1
            delay += 0.03
        self._counts["passed"] += 1
        at = time.monotonic() + delay
        for _ in range(2 if doubled < weather.duplicate else 1):
            self._order += 1
            heapq.heappush(self._due, (at, self._order, out, data, to))
        self._counts["duplicated"] += doubled < weather.duplicate

    def _told(self, question: dict[str, Any]) -> None:
        for (kind, _), way in self._ways.items():
            if question.get(kind):
                way.weather = Weather(**question[kind])
        _say({"counts": self._counts})


def _received(source: socket.socket) -> list[tuple[bytes, tuple[str, int]]]:
    packets = []
    while True:
        try:
            packets.append(source.recvfrom(65536))
        except BlockingIOError:
            return packets
        except OSError:
            # An earlier packet of ours was refused.
            continue


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _hold_namespace(channel: socket.socket, ports: Sequence[int]) -> None:
    """In a process of its own: make the namespace, listen in it, hand over the sockets, and keep it alive."""
    death = 1
    ctypes.CDLL(None).prctl(death, signal.SIGKILL)
    leave_for_a_new_one()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", f"{PRIVATE_HOST}/32", "dev", "lo"], check=True)
    sockets = []
    for port in ports:
        each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        each.bind(("127.0.0.1", port))
        sockets.append(each)
    for first in range(0, len(ports), _FDS_PER_MESSAGE):
        part = slice(first, first + _FDS_PER_MESSAGE)
        socket.send_fds(channel, [b"x"], [each.fileno() for each in sockets[part]])
        channel.recv(1)
    channel.recv(1)


def _main(settings: dict[str, Any]) -> None:
    ports = [settings["sip_port"], *settings["media_ports"]]
    ours, theirs = socket.socketpair()
    holder = os.fork()
    if holder == 0:
        ours.close()
        try:
            _hold_namespace(theirs, ports)
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(0)
    theirs.close()
    descriptors: list[int] = []
    while len(descriptors) < len(ports):
        data, some, _, _ = socket.recv_fds(ours, 1, _FDS_PER_MESSAGE)
        if not data:
            raise SystemExit("no namespace of our own")
        descriptors.extend(some)
        ours.send(b"x")
    inside = {port: socket.socket(fileno=each) for port, each in zip(ports, descriptors, strict=True)}
    _say({"namespace": holder})
    _Router(settings, inside).run()


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
