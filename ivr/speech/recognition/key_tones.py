"""Which of the sound is a key being pressed: the eight frequencies of ITU-T Q.23, so that no key is taken for a word.

The media engine tells keys to the call; what is left of them in the sound (all of an in-band key, the first moments of
one that RFC 4733 carries) must neither count as speech nor reach a recogniser.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["is_key_tone"]

_FREQUENCIES: Final = (697, 770, 852, 941, 1209, 1336, 1477, 1633)
# The same judgement as gateway/media/native/tones.c: share of the energy, and how loud a tone may be beside the other.
_SHARE: Final = 0.75
_TWIST_LOW: Final = 8.0
_TWIST_HIGH: Final = 4.0
_QUIETEST: Final = 1e4
"""Mean square of samples: -70 dB of full scale in each tone is nothing that anybody presses."""

_waves: dict[int, NDArray[np.complex64]] = {}


def is_key_tone(samples: NDArray[np.float32]) -> bool:
    """Whether nearly all of these samples, 20 to 40 ms of them at 8,000 Hz on the scale of 16 bits, is one key."""
    count = len(samples)
    energy = float(samples @ samples)
    if energy < count * _QUIETEST:
        return False
    waves = _waves.get(count)
    if waves is None:
        when = np.arange(count) / 8000
        waves = np.exp(-2j * np.pi * np.outer(_FREQUENCIES, when)).astype(np.complex64)
        _waves[count] = waves
    found = waves @ samples
    power = found.real**2 + found.imag**2
    low, high = float(power[:4].max()), float(power[4:].max())
    return low + high >= _SHARE * energy * count / 2 and low <= _TWIST_LOW * high and high <= _TWIST_HIGH * low
