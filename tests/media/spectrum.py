"""What can be heard in samples of 16 bits at 8,000 Hz."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE = 8000
Samples = NDArray[np.int16]


def sine(frequency: float, duration_ms: int, *, peak: int = 8000) -> Samples:
    when = np.arange(duration_ms * RATE // 1000) / RATE
    return (peak * np.sin(2 * np.pi * frequency * when)).astype(np.int16)


def key_tones(low: float, high: float, duration_ms: int) -> Samples:
    return sine(low, duration_ms, peak=7000) + sine(high, duration_ms, peak=7000)


def share_at(samples: Samples, frequency: float, *, width: float = 25.0) -> float:
    """The share of all energy that lies within ``width`` Hz of ``frequency``; 0 for silence."""
    sound = samples.astype(np.float64)
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    frequencies = np.fft.rfftfreq(len(sound), 1 / RATE)
    total = power[1:].sum()
    return float(power[np.abs(frequencies - frequency) <= width].sum() / total) if total else 0.0


def loudness(samples: Samples) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) if len(samples) else 0.0
