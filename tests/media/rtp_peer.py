"""A phone's media, scripted: sends what it is told to, keeps what it hears. Knows RTP, RFC 4733 and RTCP."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from gateway.media.engine import MediaLeg, RtpRemote
from tests.media.coders import PAYLOAD_TYPES, SCALES, Codec, G722Coder, OpusCoder, coder
from tests.media.spectrum import Samples

PATIENCE_S = 10.0
KEY_CODES = "0123456789*#ABCD"


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """RFC 3550 5.1, without CSRCs and extensions."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False
    arrival: float = 0.0
    """Monotonic seconds."""

    def __bytes__(self) -> bytes:
        second = self.payload_type | (0x80 if self.marker else 0)
        header = struct.pack("!BBHII", 0x80, second, self.sequence & 0xFFFF, self.timestamp & 0xFFFFFFFF, self.ssrc)
        return header + self.payload

    @classmethod
    def parse(cls, data: bytes, arrival: float = 0.0) -> RtpPacket:
        first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", data)
        assert first == 0x80
        return cls(second & 0x7F, sequence, timestamp, ssrc, data[12:], bool(second & 0x80), arrival)


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """The payload of RFC 4733 2.3."""

    key: str
    end: bool
    volume: int
    duration: int

    @classmethod
    def parse(cls, payload: bytes) -> KeyEvent:
        code, flags, duration = struct.unpack("!BBH", payload)
        return cls(KEY_CODES[code], bool(flags & 0x80), flags & 0x3F, duration)

    def __bytes__(self) -> bytes:
        flags = self.volume | (0x80 if self.end else 0)
        return struct.pack("!BBH", KEY_CODES.index(self.key), flags, self.duration)


class RtpPeer:
    """One far end: two sockets, and a thread that takes in what arrives."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        *,
        codec: Codec = "PCMU",
        telephone_event: int | None = 101,
        ssrc: int = 0x1000,
        sequence: int = 65500,
        timestamp: int = 4294960000,
    ) -> None:
        self.host = host
        self.codec: Codec = codec
        self.scale = SCALES[codec]
        self._coder = coder(codec)
        self.telephone_event = telephone_event
        self.ssrc, self.sequence, self.timestamp = ssrc, sequence, timestamp
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.rtp, self.rtcp = self._pair(family)
        self.port: int = self.rtp.getsockname()[1]
        self._packets: list[RtpPacket] = []
        self._reports: list[tuple[bytes, float]] = []
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._silenced = threading.Event()
        self._speaker: threading.Thread | None = None
        self._leg: MediaLeg | None = None
        self._listener = threading.Thread(target=self._take_in, daemon=True)
        self._listener.start()

    def _pair(self, family: socket.AddressFamily) -> tuple[socket.socket, socket.socket]:
        for _ in range(50):
            one = socket.socket(family, socket.SOCK_DGRAM)
            one.bind((self.host, 0))
            other = socket.socket(family, socket.SOCK_DGRAM)
            with contextlib.suppress(OSError, OverflowError):
                other.bind((self.host, one.getsockname()[1] + 1))
                return one, other
            one.close()
            other.close()
        raise OSError("no two ports side by side")

    def close(self) -> None:
        self.falls_silent()
        self._ending.set()
        self._listener.join()
        self.rtp.close()
        self.rtcp.close()

    # Signalling ------------------------------------------------------------------------------------------

    def description(self, **changes: Any) -> RtpRemote:
        """What its SDP would say."""
        values: dict[str, Any] = {
            "address": self.host,
            "port": self.port,
            "codec": self.codec,
            "payload_type": self.payload_type,
            "telephone_event": self.telephone_event,
        }
        return RtpRemote(**values | changes)

    def talks_to(self, leg: MediaLeg, **changes: Any) -> None:
        """Offer and answer, seen from both sides."""
        self._leg = leg
        leg.set_remote(self.description(**changes))

    def aims_at(self, leg: MediaLeg) -> None:
        """Send there, though nobody has agreed on it."""
        self._leg = leg

    @property
    def payload_type(self) -> int:
        return PAYLOAD_TYPES[self.codec]

    # Sending ---------------------------------------------------------------------------------------------

    def sends(self, data: bytes) -> None:
        assert self._leg is not None
        self.rtp.sendto(data, (self._leg.address, self._leg.port))

    def sends_rtcp(self, data: bytes) -> None:
        assert self._leg is not None
        self.rtcp.sendto(data, (self._leg.address, self._leg.port + 1))

    def sends_all(self, packets: Iterable[RtpPacket]) -> None:
        for packet in packets:
            self.sends(bytes(packet))

    def sends_paced(self, packets: Iterable[RtpPacket], *, ahead_ms: int = 0) -> None:
        """At the times that their timestamps say, ``ahead_ms`` of them at once; comes back when all are sent."""
        packets = list(packets)
        began = time.monotonic() - ahead_ms / 1000
        for packet in packets:
            since = ((packet.timestamp - packets[0].timestamp) & 0xFFFFFFFF) / (8000 * self.scale)
            time.sleep(max(0.0, began + since - time.monotonic()))
            self.sends(bytes(packet))

    def frames(self, samples: Samples, *, ptime_ms: int = 20) -> list[RtpPacket]:
        """The sound as packets that continue its stream."""
        return [self.packet(payload, ms=ptime_ms) for payload in self._coder.encode(samples, ptime_ms)]

    def packet(self, payload: bytes, *, payload_type: int | None = None, ms: float | None = None) -> RtpPacket:
        """The next packet of its stream; without ``ms`` a byte is a sample."""
        number = self.payload_type if payload_type is None else payload_type
        made = RtpPacket(number, self.sequence, self.timestamp, self.ssrc, payload)
        self.sequence = (self.sequence + 1) & 0xFFFF
        samples = len(payload) if ms is None else int(ms * 8)
        self.timestamp = (self.timestamp + samples * self.scale) & 0xFFFFFFFF
        return made

    def key_packets(self, key: str, *, held_ms: int = 100, gap_ms: int = 60) -> list[RtpPacket]:
        """A press as RFC 4733 2.5.1 sends it: marker first, a packet each 20 ms, the end three times."""
        assert self.telephone_event is not None
        updates = held_ms // 20
        steps = [min(step, updates) for step in range(1, updates + 3)]
        packets = []
        for index, step in enumerate(steps):
            event = KeyEvent(key, end=step == updates, volume=10, duration=step * 160 * self.scale)
            packets.append(
                RtpPacket(
                    self.telephone_event,
                    self.sequence,
                    self.timestamp,
                    self.ssrc,
                    bytes(event),
                    marker=index == 0,
                )
            )
            self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + (held_ms + gap_ms) * 8 * self.scale) & 0xFFFFFFFF
        return packets

    def presses(self, keys: str) -> None:
        for key in keys:
            self.sends_all(self.key_packets(key))

    def says(self, samples: Samples, *, ptime_ms: int = 20, repeat: bool = False, ahead_ms: int = 0) -> None:
        """Begin to send sound in its own time; until it is over, or :meth:`falls_silent`.

        ``ahead_ms`` of it are sent at once: what a jitter buffer may live on while this thread is held up.
        """
        self._speaks(lambda: self.frames(samples, ptime_ms=ptime_ms), ptime_ms, repeat, ahead_ms)

    def says_wide(self, samples: Samples, *, ahead_ms: int = 0) -> None:
        """The same with sound at 16,000 Hz; not for G.711."""
        coder = self._coder
        assert isinstance(coder, OpusCoder | G722Coder)
        self._speaks(lambda: [self.packet(data, ms=20) for data in coder.encode_wide(samples)], 20, False, ahead_ms)

    def says_stereo(self, samples: Samples) -> None:
        """The same on two channels, by Opus."""
        encoder = OpusCoder(channels=2)
        self._speaks(lambda: [self.packet(data, ms=20) for data in encoder.encode(samples, 20)], 20, False, 0)

    def _speaks(self, frames: Callable[[], list[RtpPacket]], ptime_ms: int, repeat: bool, ahead_ms: int) -> None:
        self.falls_silent()
        self._silenced.clear()

        def speak() -> None:
            due = time.monotonic() - ahead_ms / 1000
            while not self._silenced.is_set():
                for packet in frames():
                    if self._silenced.wait(max(0.0, due - time.monotonic())):
                        return
                    self.sends(bytes(packet))
                    due += ptime_ms / 1000
                if not repeat:
                    return

        self._speaker = threading.Thread(target=speak, daemon=True)
        self._speaker.start()

    def falls_silent(self) -> None:
        self._silenced.set()
        if self._speaker is not None:
            self._speaker.join()

    def has_said_it(self) -> None:
        """Wait until what it says is over."""
        assert self._speaker is not None
        self._speaker.join(PATIENCE_S)
        assert not self._speaker.is_alive()

    # Hearing ---------------------------------------------------------------------------------------------

    def _take_in(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self.rtp, selectors.EVENT_READ)
            selector.register(self.rtcp, selectors.EVENT_READ)
            while not self._ending.is_set():
                for key, _ in selector.select(0.05):
                    with contextlib.suppress(ConnectionError):
                        data = key.fileobj.recv(2048)  # type: ignore[union-attr]
                        self._arrived(data, rtcp=key.fileobj is self.rtcp or 192 <= data[1] <= 223)

    def _arrived(self, data: bytes, *, rtcp: bool) -> None:
        now = time.monotonic()
        with self._changed:
            if rtcp:
                self._reports.append((data, now))
            else:
                self._packets.append(RtpPacket.parse(data, now))
            self._changed.notify_all()

    @property
    def packets(self) -> list[RtpPacket]:
        with self._changed:
            return list(self._packets)

    def forgets(self) -> None:
        with self._changed:
            self._packets.clear()
            self._reports.clear()

    def waits_for(
        self, enough: Callable[[list[RtpPacket]], bool], *, patience_s: float = PATIENCE_S
    ) -> list[RtpPacket]:
        """All packets so far, once they are enough."""
        with self._changed:
            assert self._changed.wait_for(lambda: enough(self._packets), patience_s), (
                f"only {len(self._packets)} packets came"
            )
            return list(self._packets)

    def receives(self, count: int, *, more: bool = False) -> list[RtpPacket]:
        """The first ``count`` packets, or with ``more`` that many beyond those it has."""
        wanted = count + (len(self.packets) if more else 0)
        return self.waits_for(lambda packets: len(packets) >= wanted)[:wanted]

    def receives_report(self, count: int = 1) -> list[bytes]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._reports) >= count, PATIENCE_S), "no RTCP came"
            return [data for data, _ in self._reports]

    def sound(self, packets: Iterable[RtpPacket] | None = None) -> Samples:
        """What those packets, or all so far, sound like."""
        decoder = coder(self.codec)
        parts = [
            decoder.decode(packet.payload)
            for packet in (self.packets if packets is None else packets)
            if packet.payload_type == self.payload_type
        ]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int16)

    def hears(self, enough: Callable[[Samples], bool]) -> Samples:
        """Everything it has heard, once that is enough."""
        self.waits_for(lambda packets: enough(self.sound(packets)))
        return self.sound()


def assert_continuous(packets: list[RtpPacket], *, samples: int = 160) -> None:
    """One SSRC, sequence numbers by one, timestamps by the length of a packet: nobody hears a switch."""
    for before, after in pairwise(packets):
        assert after.ssrc == before.ssrc
        assert (after.sequence - before.sequence) & 0xFFFF == 1, (before, after)
        assert (after.timestamp - before.timestamp) & 0xFFFFFFFF == samples, (before, after)
