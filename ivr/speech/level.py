"""From what an engine says to what a telephone should carry: 8,000 Hz, one level, no waiting for the first word."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

__all__ = ["LINE_RATE", "NoSound", "for_telephone", "resample", "to_int16"]

LINE_RATE = 8000
"""Samples a second on a G.711 line."""

Sound = NDArray[np.float32]
"""One channel; full scale is -1 to 1."""

SPEECH_LEVEL = 10 ** (-20 / 20)
"""RMS of active speech: what telephone networks are planned for (about -20 dB below full scale)."""
HIGHEST_PEAK = 10 ** (-4 / 20)
"""Leaves a decibel to the quantising of G.711 below the -3 dB that trunks and echo cancellers take without harm."""

_BLOCK = LINE_RATE // 100
_AUDIBLE = 10 ** (-50 / 20)
_LEAD_IN_BLOCKS = 2  # a soft consonant begins before it is loud enough to count
_TAIL_BLOCKS = 15  # a reply that follows at once should not sound cut
_FADE = LINE_RATE // 200


class NoSound(ValueError):
    """There is nothing to hear in it."""


def for_telephone(samples: NDArray[np.int16], rate: int, volume: float = 1.0) -> NDArray[np.int16]:
    """A whole utterance at :data:`LINE_RATE`, at the level of telephone speech times ``volume`` (0 to 1).

    Silence before it is cut to 20 ms, after it to 150 ms. Raises :class:`NoSound` for silence.
    """
    sound = resample(samples.astype(np.float32) / np.float32(32768), rate)
    sound = _trimmed(sound * _gain(sound))
    return to_int16(sound * volume)


def resample(sound: NDArray[np.float32], rate: int) -> Sound:
    """The same sound (whole, frames first) at :data:`LINE_RATE`, without what a line cannot carry."""
    if rate == LINE_RATE:
        return sound
    # The better filters hold back sound in streams, but not when all of it is given at once.
    resampled: Sound = soxr.resample(sound, rate, LINE_RATE, quality="HQ")
    return resampled


def to_int16(sound: Sound) -> NDArray[np.int16]:
    """Samples of 16 bits; what is beyond full scale is clipped."""
    clipped: NDArray[np.int16] = np.clip(np.rint(sound * 32767), -32768, 32767).astype(np.int16)
    return clipped


def _block_levels(sound: Sound) -> NDArray[np.float32]:
    """RMS of every 10 ms."""
    padded = np.pad(sound, (0, -len(sound) % _BLOCK)).reshape(-1, _BLOCK)
    levels: NDArray[np.float32] = np.sqrt(np.mean(padded * padded, axis=1))
    return levels


def _gain(sound: Sound) -> float:
    """What brings active speech to :data:`SPEECH_LEVEL`, or less if a peak would pass :data:`HIGHEST_PEAK`."""
    levels = _block_levels(sound)
    loudest = float(levels.max(initial=0))
    if loudest < 1e-4:
        raise NoSound("silence")
    # Pauses and breath would make the text look quieter than its words are.
    active = levels[levels > loudest * 10 ** (-25 / 20)]
    gain = SPEECH_LEVEL / float(np.sqrt(np.mean(active * active)))
    return min(gain, HIGHEST_PEAK / float(np.abs(sound).max()))


def _trimmed(sound: Sound) -> Sound:
    audible = np.flatnonzero(_block_levels(sound) > _AUDIBLE)
    first = max(int(audible[0]) - _LEAD_IN_BLOCKS, 0)
    last = int(audible[-1]) + 1 + _TAIL_BLOCKS
    kept = sound[first * _BLOCK : last * _BLOCK].copy()
    ramp = np.linspace(0, 1, min(_FADE, len(kept)), dtype=np.float32)
    kept[: len(ramp)] *= ramp
    kept[len(kept) - len(ramp) :] *= ramp[::-1]
    return kept
