"""What a recording is like, in numbers: how long, how loud, clipped or not, with how much silence around it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ivr.speech.level import LINE_RATE, Sound, resample
from ivr.speech.loudness import SILENT, loudness, true_peak
from ivr.speech.mastering import cancels_out, mono, silence_around
from ivr.speech.recordings import read_sound

__all__ = ["Measured", "measure"]

_FULL: Final = 0.997
"""Of full scale: what counts as its end, mu-law's and 8 bits' coarse steps included."""
_FLAT: Final = 4
"""Samples in a row at the end of the scale that no voice makes."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One recording. Level and silence are those that callers get: mixed to one channel, at the line's rate."""

    seconds: float
    rate: int
    """Hz, of the file."""
    channels: int
    loudness: float
    """LUFS; minus infinity for silence."""
    true_peak: float
    """dBTP; minus infinity for silence."""
    clipped: int
    """Places where the wave is cut off at the end of the scale."""
    before: float
    """Seconds of silence at the beginning."""
    after: float
    """Seconds of silence at the end."""
    cancels_out: bool
    """Whether its channels are each other's opposite: mixed, little is left of them."""

    @property
    def silent(self) -> bool:
        return self.loudness <= SILENT


def measure(path: Path) -> Measured:
    """Read all of a file and measure it. Raises RecordingError, which names the file."""
    sound, rate = read_sound(path)
    opposite = cancels_out(sound)
    heard = resample(mono(sound), rate)
    before, after = silence_around(heard)
    lufs = loudness(heard, LINE_RATE)
    return Measured(
        seconds=len(sound) / rate,
        rate=rate,
        channels=sound.shape[1],
        loudness=lufs if lufs > SILENT else -math.inf,
        true_peak=true_peak(heard),
        clipped=max(_clipped(channel) for channel in sound.T),
        before=before,
        after=after,
        cancels_out=opposite,
    )


def _clipped(sound: Sound) -> int:
    # Files of floats go beyond full scale, and are made quieter when they are played.
    full = max(float(np.abs(sound).max(initial=0)), 1.0) * _FULL
    return _runs(sound >= full) + _runs(sound <= -full)


def _runs(at_the_end: NDArray[np.bool_]) -> int:
    """How many runs of at least :data:`_FLAT` there are."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], at_the_end, [False])).astype(np.int8)))
    return int(np.count_nonzero(edges[1::2] - edges[::2] >= _FLAT))
