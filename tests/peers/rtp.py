"""G.711 speech and RFC 4733 keys as RTP packets: a handset for SIPp, which signals but neither speaks nor listens."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from tests.peers.patience import SLACK, until
from tests.peers.sound import RATE, Sound

__all__ = ["KEYS", "Handset", "Key", "Packet", "Speech", "Tone", "packets", "write_pcap"]

KEYS = "0123456789*#ABCD"
KEY_PAYLOAD = 101
_PTIME_S = 0.02
_SAMPLES = 160
# One key as telephones send it: 100 ms long, then the end told three times.
_KEY_PACKETS = 5
_KEY_ENDS = 3
_VOLUME = 10

Payload = Literal[0, 8]


@dataclass(frozen=True, slots=True)
class Tone:
    hz: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Key:
    key: str


@dataclass(frozen=True, slots=True)
class Packet:
    at_s: float
    """After the first."""
    data: bytes


class Speech:
    """One RTP stream, packet by packet: owns its sequence numbers and its clock."""

    def __init__(self, *, payload: Payload = 0, ssrc: int | None = None) -> None:
        self._payload: Payload = payload
        self._ssrc = random.getrandbits(32) if ssrc is None else ssrc
        self._sequence = random.getrandbits(15)
        self._marker = True
        self.ticks = 0
        """Packet times of 20 ms gone by."""

    def say(self, part: Tone | Key | Sound) -> Iterator[Packet]:
        if isinstance(part, Sound):
            samples = np.round(np.pad(part.samples, (0, -len(part.samples) % _SAMPLES)) * 32767).astype(np.int16)
            for at in range(0, len(samples), _SAMPLES):
                body = _encode(samples[at : at + _SAMPLES], self._payload)
                yield self._packet(self._payload, False, self.ticks, body)
            return
        if isinstance(part, Tone):
            for _ in range(round(part.seconds / _PTIME_S)):
                body = _tone_frame(part.hz, self.ticks, self._payload)
                yield self._packet(self._payload, self._marker, self.ticks, body)
                self._marker = False
            return
        start = self.ticks
        for nth in range(_KEY_PACKETS + _KEY_ENDS):
            ended = nth >= _KEY_PACKETS
            length = min(nth + 1, _KEY_PACKETS) * _SAMPLES
            body = struct.pack("!BBH", KEYS.index(part.key), ended << 7 | _VOLUME, length)
            yield self._packet(KEY_PAYLOAD, nth == 0, start, body)
        self._marker = True

    def _packet(self, kind: int, mark: bool, tick: int, body: bytes) -> Packet:
        timestamp = tick * _SAMPLES & 0xFFFFFFFF
        header = struct.pack("!BBHII", 0x80, kind | mark << 7, self._sequence & 0xFFFF, timestamp, self._ssrc)
        packet = Packet(self.ticks * _PTIME_S, header + body)
        self._sequence, self.ticks = self._sequence + 1, self.ticks + 1
        return packet


def packets(parts: Sequence[Tone | Key], *, payload: Payload = 0) -> Iterator[Packet]:
    """Tones and keys in the order given, as one stream."""
    speech = Speech(payload=payload)
    for part in parts:
        yield from speech.say(part)


def write_pcap(file: Path, stream: Iterator[Packet]) -> Path:
    """A capture as SIPp plays it: its addresses and ports do not matter, it puts in its own."""
    with file.open("wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for packet in stream:
            size = len(packet.data)
            ethernet = bytes(12) + b"\x08\x00"
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + size, 0, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\1")
            udp = struct.pack("!HHHH", 4000, 4002, 8 + size, 0)
            frame = ethernet + ip + udp + packet.data
            seconds, fraction = divmod(packet.at_s, 1)
            out.write(struct.pack("<IIII", int(seconds), round(fraction * 1e6), len(frame), len(frame)))
            out.write(frame)
    return file


class Handset:
    """A loudspeaker and a microphone on one UDP port; owns the socket, its sending and its receiving thread."""

    def __init__(self, port: int, *, tone: int, folder: Path, payload: Payload = 0) -> None:
        self.tone = tone
        self.port = port
        self._payload: Payload = payload
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self._file = folder / f"handset-{port}.wav"
        self._keys: list[str] = []
        self._said: list[Sound] = []
        self._closed = threading.Event()
        self._heard_s = 0.0
        self.payloads_heard: set[int] = set()
        self.heard_from: tuple[str, int] | None = None
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()

    def talks_to(self, host: str, port: int) -> None:
        """Start to send the tone there."""
        thread = threading.Thread(target=self._talk, args=((host, port),), daemon=True)
        self._threads.append(thread)
        thread.start()

    def presses(self, keys: str) -> None:
        self._keys.extend(keys)

    def says(self, sound: Sound) -> None:
        """Once, in place of the tone."""
        self._said.append(sound)

    def listens(self) -> None:
        self._heard_s = self.recorded().seconds

    def hears(self, hz: int, for_s: float = 0.4, within: float = SLACK) -> None:
        def heard() -> float | None:
            return self.recorded().after(self._heard_s).finds_tone(hz, for_s)

        def story() -> str:
            return f"handset did not hear {hz} Hz but: {list(map(str, self.recorded().after(self._heard_s).story()))}"

        self._heard_s += until(heard, story, within=within, every=0.2)

    def recorded(self) -> Sound:
        return Sound.read(self._file)

    def close(self) -> None:
        self._closed.set()
        # Wakes the receiving thread, which would otherwise wait for a packet.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as alarm:
            alarm.sendto(b"", ("127.0.0.1", self.port))
        for thread in self._threads:
            thread.join(2)
        self._socket.close()

    def _listen(self) -> None:
        with wave.open(str(self._file), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(RATE)
            while not self._closed.is_set():
                try:
                    data, source = self._socket.recvfrom(2048)
                except OSError:
                    # An earlier packet of ours was refused; that says nothing about what is to come.
                    continue
                if len(data) > 12 and data[1] & 0x7F in (0, 8):
                    self.heard_from = source
                    self.payloads_heard.add(data[1] & 0x7F)
                    table = _DECODE[data[1] & 0x7F]
                    # Straight to the file: what the module would hold back until the end is wanted now.
                    out.writeframesraw(table[np.frombuffer(data[12:], np.uint8)].tobytes())

    def _talk(self, to: tuple[str, int]) -> None:
        speech = Speech(payload=self._payload)
        begin = time.monotonic()
        while not self._closed.is_set():
            part: Tone | Key | Sound = Tone(self.tone, _PTIME_S)
            if self._keys:
                part = Key(self._keys.pop(0))
            elif self._said:
                part = self._said.pop(0)
            for packet in speech.say(part):
                try:
                    self._socket.sendto(packet.data, to)
                except OSError:
                    pass
                self._closed.wait(max(0.0, begin + speech.ticks * _PTIME_S - time.monotonic()))


def _tone_frame(hz: int, tick: int, payload: Payload) -> bytes:
    time_s = (np.arange(_SAMPLES) + tick * _SAMPLES) / RATE
    samples = np.round(np.sin(2 * np.pi * hz * time_s) * 11000).astype(np.int16)
    return _encode(samples, payload)


def _encode(samples: npt.NDArray[np.int16], payload: Payload) -> bytes:
    """The code whose value is nearest: slow, and right by construction."""
    order = np.argsort(_DECODE[payload], kind="stable")
    values = _DECODE[payload][order].astype(np.int32)
    edges = (values[1:] + values[:-1]) / 2
    return order[np.searchsorted(edges, samples)].astype(np.uint8).tobytes()


def _mu_law() -> npt.NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84
    return np.asarray(np.where(code & 0x80, -magnitude, magnitude), "<i2")


def _a_law() -> npt.NDArray[np.int16]:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    segment = (code >> 4) & 7
    magnitude = ((code & 0x0F) << 4) + np.where(segment > 0, 0x108, 8)
    magnitude = magnitude << np.maximum(segment - 1, 0)
    return np.asarray(np.where(code & 0x80, magnitude, -magnitude), "<i2")


_DECODE = {0: _mu_law(), 8: _a_law()}
