"""From a recording as it came to one as callers should hear it: one channel, one loudness, no waiting before it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ivr.speech.level import HIGHEST_PEAK, LINE_RATE, NoSound, Sound, resample, to_int16
from ivr.speech.loudness import SILENT, loudness, true_peaks

__all__ = ["LOUDNESS", "Mastered", "cancels_out", "mastered", "mono", "silence_around"]

LOUDNESS: Final = -22.0
"""LUFS, as callers hear it: as loud as texts that are spoken, which come out between -21 and -23.5."""

KEPT_BEFORE_S: Final = 0.06
"""Silence that stays before the first sound: a soft consonant begins before it is loud enough to count."""
KEPT_AFTER_S: Final = 0.1
"""Silence that stays after the last sound: a reply that follows at once should not sound cut."""

_BLOCK: Final = LINE_RATE // 100
_QUIETEST = 10 ** (-38 / 20)  # of the loudest 10 ms: breath and the ends of words are above it
_NOISE = 10 ** (6 / 20)  # above what the quiet parts have
_NOISIEST = 10 ** (-26 / 20)  # where nothing is quiet, words are not taken for noise
_FADE: Final = LINE_RATE // 200
_AHEAD: Final = LINE_RATE // 200
"""Samples over which the limiter gets ready for a peak and lets go of it: faster would crackle."""
_ROUNDS: Final = 6
_CLOSE_LU: Final = 0.05


@dataclass(frozen=True, slots=True)
class Mastered:
    """What became of a recording."""

    samples: NDArray[np.int16] = field(repr=False)
    """At :data:`ivr.speech.level.LINE_RATE`."""
    was: float
    """Loudness before, LUFS."""
    loudness: float
    """Loudness now, LUFS; lower than :data:`LOUDNESS` only if a few peaks are much louder than all else."""
    cut: float
    """Seconds of silence that are gone."""

    @property
    def seconds(self) -> float:
        return len(self.samples) / LINE_RATE


def mastered(sound: Sound, rate: int) -> Mastered:
    """A whole recording (frames first, any number of channels), ready to be played. Raises NoSound for silence."""
    whole = resample(mono(sound), rate)
    was = loudness(whole, LINE_RATE)
    first, last = _bounds(whole)
    if was <= SILENT or last <= first:
        raise NoSound("silence")
    first = max(first - round(KEPT_BEFORE_S * LINE_RATE), 0)
    last = min(last + round(KEPT_AFTER_S * LINE_RATE), len(whole))
    kept = _faded(whole[first:last])
    gain, result = LOUDNESS - loudness(kept, LINE_RATE), kept
    for _ in range(_ROUNDS):
        result = _limited(kept * np.float32(10 ** (gain / 20)), HIGHEST_PEAK)
        # What the limiter takes away is given back, of which it takes a part again.
        short = LOUDNESS - loudness(result, LINE_RATE)
        if abs(short) < _CLOSE_LU:
            break
        gain += short
    return Mastered(to_int16(result), was, loudness(result, LINE_RATE), (len(whole) - len(kept)) / LINE_RATE)


def mono(sound: Sound) -> Sound:
    """All channels in one: their mean, or the loudest alone where they cancel each other out."""
    if sound.ndim == 1:
        return sound
    if cancels_out(sound):
        loudest: Sound = sound[:, int(np.argmax((sound**2).mean(axis=0)))]
        return loudest
    mixed: Sound = sound.mean(axis=1, dtype=np.float32)
    return mixed


def cancels_out(sound: Sound) -> bool:
    """Whether channels are each other's opposite, as behind a wrongly wired plug: mixed, little is left of them."""
    if sound.ndim == 1 or sound.shape[1] < 2:
        return False
    each = float((sound**2).mean())
    # Channels that have nothing to do with each other lose half of their power, of which a third more is chance.
    return each > 0 and float((sound.mean(axis=1) ** 2).mean()) < each / (3 * sound.shape[1])


def silence_around(sound: Sound) -> tuple[float, float]:
    """Seconds of silence before and after what is to be heard, at the line's rate; all of it before if nothing is."""
    first, last = _bounds(sound)
    return first / LINE_RATE, (len(sound) - last) / LINE_RATE


def _bounds(sound: Sound) -> tuple[int, int]:
    """The first sample of what is to be heard, and the one after the last; equal if nothing is."""
    whole = len(sound) // _BLOCK * _BLOCK
    levels = np.sqrt(np.mean(sound[:whole].reshape(-1, _BLOCK).astype(np.float64) ** 2, axis=1))
    if not len(levels):
        return (0, len(sound)) if np.abs(sound).max(initial=0) > 10 ** (SILENT / 20) else (len(sound), len(sound))
    loudest = float(levels.max())
    if loudest < 10 ** (SILENT / 20):
        return len(sound), len(sound)
    noise = float(np.percentile(levels, 5)) * _NOISE
    audible = np.flatnonzero(levels > max(loudest * _QUIETEST, min(noise, loudest * _NOISIEST)))
    last = int(audible[-1]) + 1
    # What does not fill a block at the end belongs to the last one.
    return int(audible[0]) * _BLOCK, len(sound) if last == len(levels) else last * _BLOCK


def _faded(sound: Sound) -> Sound:
    faded = sound.copy()
    ramp = np.linspace(0, 1, min(_FADE, len(sound)), dtype=np.float32)
    faded[: len(ramp)] *= ramp
    faded[len(faded) - len(ramp) :] *= ramp[::-1]
    return faded


def _limited(sound: Sound, highest: float) -> Sound:
    """The sound with nothing above ``highest``, between its samples too; what is below keeps its shape."""
    limited = sound
    # A gain that moves moves what is between samples too, by a little: looked at again.
    for _ in range(3):
        peaks = true_peaks(limited)
        if float(peaks.max(initial=0)) <= highest:
            return limited
        wanted = np.minimum(1, highest * 0.998 / np.maximum(peaks, 1e-9))
        # The lowest gain wanted in reach, held; then its mean: nowhere above what is wanted, and without a step.
        reach = np.pad(wanted, 2 * _AHEAD, constant_values=1)
        lowest = np.lib.stride_tricks.sliding_window_view(reach, 2 * _AHEAD + 1).min(axis=1)
        gain = np.convolve(lowest, np.full(2 * _AHEAD + 1, 1 / (2 * _AHEAD + 1)), mode="valid")
        limited = (limited * gain).astype(np.float32)
    return limited * np.float32(min(1.0, highest / max(float(true_peaks(limited).max()), math.ulp(1))))
