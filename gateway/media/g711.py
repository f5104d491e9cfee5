"""G.711: 16-bit sound to and from the bytes of PCMU (mu-law) and PCMA (A-law); nothing of RTP lives here.

The tables are built from the segments of ITU-T G.711 (tables 1 and 2), scaled to 16 bits: the 14-bit values of
mu-law times 4, the 13-bit values of A-law times 8. A sample that lies on a decision value goes to the louder
interval, for both signs alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["decode_pcma", "decode_pcmu", "encode_pcma", "encode_pcmu"]

Samples = NDArray[np.int16]

_MU_BIAS = 132  # 33 on the 14-bit scale: makes every mu-law segment start at a power of two
_MU_CLIP = 32635  # the largest magnitude whose biased value stays below 32768


def _mu_decoder() -> Samples:
    code = np.arange(256, dtype=np.int32) ^ 0xFF
    segment, step = (code >> 4) & 7, code & 15
    magnitude = (((step << 3) + _MU_BIAS) << segment) - _MU_BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _a_decoder() -> Samples:
    # G.711 3.2: even bits are inverted on the line
    code = np.arange(256, dtype=np.int32) ^ 0x55
    segment, step = (code >> 4) & 7, code & 15
    lowest = (step << 4) + 8
    magnitude = np.where(segment == 0, lowest, (lowest + 256) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _samples_by_uint16() -> NDArray[np.int32]:
    """Every 16-bit sample at the index its bits have as an unsigned number."""
    return np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)


def _segment_of(magnitude: NDArray[np.int32], first: int) -> NDArray[np.int32]:
    """Which of eight doubling segments holds each value, the first one ending below ``2 * first``."""
    ends = np.array([first << n for n in range(1, 8)], dtype=np.int32)
    return np.searchsorted(ends, magnitude, side="right").astype(np.int32)


def _mu_encoder() -> NDArray[np.uint8]:
    sample = _samples_by_uint16()
    biased = np.minimum(np.abs(sample), _MU_CLIP) + _MU_BIAS
    segment = _segment_of(biased, 128)
    code = (segment << 4) | ((biased >> (segment + 3)) & 15) | np.where(sample < 0, 0x80, 0)
    encoder: NDArray[np.uint8] = (code ^ 0xFF).astype(np.uint8)
    return encoder


def _a_encoder() -> NDArray[np.uint8]:
    sample = _samples_by_uint16()
    magnitude = np.minimum(np.abs(sample), 32767)
    segment = np.where(magnitude < 256, 0, _segment_of(magnitude, 128))
    step = (magnitude >> np.maximum(segment + 3, 4)) & 15
    code = (segment << 4) | step | np.where(sample >= 0, 0x80, 0)
    encoder: NDArray[np.uint8] = (code ^ 0x55).astype(np.uint8)
    return encoder


_MU_DECODER, _A_DECODER = _mu_decoder(), _a_decoder()
_MU_ENCODER, _A_ENCODER = _mu_encoder(), _a_encoder()


def encode_pcmu(samples: ArrayLike) -> bytes:
    """Samples of 16 bits as mu-law bytes, one a sample; the sample rate is the caller's affair (8,000 Hz)."""
    return _MU_ENCODER[np.asarray(samples, dtype=np.int16).view(np.uint16)].tobytes()


def decode_pcmu(data: bytes) -> Samples:
    """Mu-law bytes as samples of 16 bits (-32,124 to 32,124)."""
    return _MU_DECODER[np.frombuffer(data, dtype=np.uint8)]


def encode_pcma(samples: ArrayLike) -> bytes:
    """Samples of 16 bits as A-law bytes, one a sample."""
    return _A_ENCODER[np.asarray(samples, dtype=np.int16).view(np.uint16)].tobytes()


def decode_pcma(data: bytes) -> Samples:
    """A-law bytes as samples of 16 bits (-32,256 to 32,256)."""
    return _A_DECODER[np.frombuffer(data, dtype=np.uint8)]
