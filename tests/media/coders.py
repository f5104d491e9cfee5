"""The codecs of far ends: G.711 by the product's own tables, G.722 and Opus by FFmpeg and libopus."""

from __future__ import annotations

from typing import Literal, Protocol

import av
import numpy as np
import soxr

from gateway.media.g711 import decode_pcma, decode_pcmu, encode_pcma, encode_pcmu
from tests.media.spectrum import RATE, Samples

Codec = Literal["PCMU", "PCMA", "G722", "opus"]
PAYLOAD_TYPES: dict[Codec, int] = {"PCMU": 0, "PCMA": 8, "G722": 9, "opus": 111}
SCALES: dict[Codec, int] = {"PCMU": 1, "PCMA": 1, "G722": 1, "opus": 6}
"""RTP timestamp units to a sample at 8,000 Hz."""


class Coder(Protocol):
    """One direction each of one far end: both remember what went before."""

    def encode(self, samples: Samples, ptime_ms: int) -> list[bytes]:
        """Payloads; what is no whole packet is left out."""

    def decode(self, payload: bytes) -> Samples:
        """At 8,000 Hz; a resampler may hold some of it back."""


def coder(codec: Codec) -> Coder:
    return {"opus": OpusCoder, "G722": G722Coder}[codec]() if codec in ("opus", "G722") else G711Coder(codec)


class G711Coder:
    def __init__(self, codec: Codec) -> None:
        self._pcmu = codec == "PCMU"

    def encode(self, samples: Samples, ptime_ms: int) -> list[bytes]:
        data = (encode_pcmu if self._pcmu else encode_pcma)(samples)
        return in_parts(data, ptime_ms * 8)

    def decode(self, payload: bytes) -> Samples:
        return (decode_pcmu if self._pcmu else decode_pcma)(payload)


class G722Coder:
    rate = 16000

    def __init__(self) -> None:
        self._encoder = av.CodecContext.create("g722", "w")
        self._decoder = av.CodecContext.create("g722", "r")
        for context in (self._encoder, self._decoder):
            context.sample_rate, context.layout = self.rate, "mono"
        self._encoder.format = "s16"
        self._down = soxr.ResampleStream(self.rate, RATE, 1, dtype="int16")

    def encode(self, samples: Samples, ptime_ms: int) -> list[bytes]:
        return in_parts(b"".join(self.encode_wide(soxr.resample(samples, RATE, self.rate))), ptime_ms * 8)

    def encode_wide(self, wide: Samples) -> list[bytes]:
        """20 ms each of sound at 16,000 Hz."""
        return [encoded(self._encoder, wide[at : at + 320], self.rate) for at in range(0, len(wide), 320)]

    def decode(self, payload: bytes) -> Samples:
        down: Samples = self._down.resample_chunk(self.decode_wide(payload))
        return down

    def decode_wide(self, payload: bytes) -> Samples:
        """At 16,000 Hz."""
        return decoded(self._decoder, payload)


class OpusCoder:
    """As a browser has it: 48,000 Hz, 32 kbit/s, with what helps against loss."""

    rate = 48000

    def __init__(self, *, channels: int = 1) -> None:
        self._channels = channels
        self._encoders: dict[int, av.CodecContext] = {}
        self._decoder = av.CodecContext.create("libopus", "r")
        self._decoder.sample_rate, self._decoder.layout = self.rate, "mono"
        self._down = soxr.ResampleStream(self.rate, RATE, 1, dtype="int16")

    def _encoder(self, ptime_ms: int) -> av.CodecContext:
        if ptime_ms not in self._encoders:
            made = av.CodecContext.create("libopus", "w")
            made.sample_rate, made.format = self.rate, "s16"
            made.layout = "stereo" if self._channels == 2 else "mono"
            made.bit_rate = 32000
            options = {"application": "voip", "frame_duration": str(ptime_ms), "fec": "1", "packet_loss": "10"}
            made.options = options
            self._encoders[ptime_ms] = made
        return self._encoders[ptime_ms]

    def encode(self, samples: Samples, ptime_ms: int) -> list[bytes]:
        return self._encode(soxr.resample(samples, RATE, self.rate), ptime_ms)

    def encode_wide(self, wide: Samples) -> list[bytes]:
        """20 ms each of sound at 16,000 Hz."""
        return self._encode(soxr.resample(wide, 16000, self.rate), 20)

    def _encode(self, full: Samples, ptime_ms: int) -> list[bytes]:
        size = ptime_ms * 48
        parts = (full[at : at + size] for at in range(0, len(full) - size + 1, size))
        return [encoded(self._encoder(ptime_ms), part, self.rate, self._channels) for part in parts]

    def decode(self, payload: bytes) -> Samples:
        down: Samples = self._down.resample_chunk(decoded(self._decoder, payload))
        return down


def in_parts(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data) - size + 1, size)]


def encoded(context: av.CodecContext, samples: Samples, rate: int, channels: int = 1) -> bytes:
    layout = "stereo" if channels == 2 else "mono"
    frame = av.AudioFrame.from_ndarray(samples.repeat(channels).reshape(1, -1), format="s16", layout=layout)
    frame.sample_rate = rate
    return b"".join(bytes(packet) for packet in context.encode(frame))  # type: ignore[attr-defined]


def decoded(context: av.CodecContext, payload: bytes) -> Samples:
    frames = context.decode(av.Packet(payload))  # type: ignore[attr-defined]
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames] or [np.zeros(0, dtype=np.int16)])
