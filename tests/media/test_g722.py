"""The engine's G.722, bit by bit against FFmpeg's, in both directions."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
import pytest

from gateway.media import binding
from tests.media.coders import G722Coder
from tests.media.spectrum import Samples

RATE = 16000
COUNT = 2 * RATE
STATE = 4096
"""Bytes; more than the coder needs."""

chance = np.random.default_rng(1)
when = np.arange(COUNT) / RATE

SOUNDS: dict[str, Callable[[], Samples]] = {
    "a tone": lambda: as_samples(12000 * np.sin(2 * np.pi * 760 * when)),
    "a tone of the high band": lambda: as_samples(12000 * np.sin(2 * np.pi * 5600 * when)),
    "a sweep": lambda: as_samples(10000 * np.sin(2 * np.pi * 2000 * when**2)),
    "noise": lambda: as_samples(chance.normal(0, 8000, COUNT)),
    "more than there is room for": lambda: as_samples(chance.normal(0, 40000, COUNT)),
    "next to nothing": lambda: as_samples(chance.normal(0, 3, COUNT)),
    "bursts": lambda: as_samples(chance.normal(0, 9000, COUNT) * (when * 5 % 1 < 0.3)),
    "a square": lambda: as_samples(32767 * np.sign(np.sin(2 * np.pi * 130 * when))),
    "silence": lambda: as_samples(np.zeros(COUNT)),
}


def as_samples(sound: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Samples:
    return np.clip(sound, -32768, 32767).astype(np.int16)


class Engine:
    """The functions within the engine's library, and what they remember."""

    def __init__(self) -> None:
        self._native = binding.load()
        self._state = ctypes.create_string_buffer(STATE)
        self._native.g722_start(self._state)

    def encode(self, samples: Samples) -> bytes:
        out = ctypes.create_string_buffer(len(samples) // 2)
        self._native.g722_encode(self._state, samples.tobytes(), ctypes.c_size_t(len(samples) // 2), out)
        return out.raw

    def decode(self, payload: bytes) -> Samples:
        out = ctypes.create_string_buffer(len(payload) * 4)
        self._native.g722_decode(self._state, payload, ctypes.c_size_t(len(payload)), out)
        return np.frombuffer(out.raw, dtype=np.int16)


def in_pieces(decode: Callable[[bytes], Samples], data: bytes) -> Samples:
    return np.concatenate([decode(data[at : at + 160]) for at in range(0, len(data), 160)])


@pytest.mark.parametrize("sound", SOUNDS)
def test_encoded_alike(sound: str) -> None:
    samples = SOUNDS[sound]()
    assert Engine().encode(samples) == b"".join(G722Coder().encode_wide(samples))


@pytest.mark.parametrize("sound", SOUNDS)
def test_decoded_alike(sound: str) -> None:
    data = Engine().encode(SOUNDS[sound]())
    assert (in_pieces(Engine().decode, data) == in_pieces(G722Coder().decode_wide, data)).all()


def test_any_bytes_are_decoded_alike() -> None:
    data = chance.integers(0, 256, 40_000).astype(np.uint8).tobytes()
    assert (in_pieces(Engine().decode, data) == in_pieces(G722Coder().decode_wide, data)).all()


def test_what_goes_in_comes_out() -> None:
    samples = SOUNDS["a tone"]()
    back = Engine().decode(Engine().encode(samples)).astype(float)
    # 22 samples later: half of the filter on each side.
    late = np.argmax(np.correlate(back[1000:3000], samples[1000:2900].astype(float), "valid"))
    error = back[1000 + late : 30000 + late] - samples[1000:30000]
    assert 15 <= late <= 25
    assert 10 * np.log10(np.mean(samples[1000:30000].astype(float) ** 2) / np.mean(error**2)) > 35
