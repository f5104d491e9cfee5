"""Ears for tests: what a clip sounds like, in numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gateway.call import Clip
from gateway.media.g711 import decode_pcmu

RATE = 8000


def samples(clip: Clip) -> NDArray[np.float64]:
    """The clip as samples from -1 to 1."""
    return decode_pcmu(clip.pcmu) / 32768


def energy(clip: Clip, low: float, high: float) -> float:
    """The share of the clip's energy between two frequencies in Hz."""
    sound = samples(clip)
    power = np.abs(np.fft.rfft(sound)) ** 2
    frequency = np.fft.rfftfreq(len(sound), 1 / RATE)
    return float(power[(frequency >= low) & (frequency < high)].sum() / power.sum())


def loudest_frequency(clip: Clip) -> float:
    """Hz."""
    sound = samples(clip)
    return float(np.fft.rfftfreq(len(sound), 1 / RATE)[np.abs(np.fft.rfft(sound * np.hanning(len(sound)))).argmax()])


def level(clip: Clip) -> float:
    """RMS of the loud parts in dB below full scale (negative)."""
    sound = samples(clip)
    blocks = sound[: len(sound) // 160 * 160].reshape(-1, 160)
    rms = np.sqrt((blocks**2).mean(axis=1))
    active = rms[rms > rms.max() * 10 ** (-25 / 20)]
    return float(20 * np.log10(np.sqrt((active**2).mean())))


def peak(clip: Clip) -> float:
    """Highest sample in dB below full scale (negative)."""
    return float(20 * np.log10(np.abs(samples(clip)).max()))


def silence_before(clip: Clip) -> float:
    """Milliseconds until something can be heard."""
    return float(np.flatnonzero(np.abs(samples(clip)) > 0.01)[0] / RATE * 1000)


def silence_after(clip: Clip) -> float:
    """Milliseconds after the last thing to be heard."""
    sound = np.abs(samples(clip)) > 0.01
    return float(np.flatnonzero(sound[::-1])[0] / RATE * 1000)


def tone(frequency: float, seconds: float, rate: int, amplitude: float = 0.5) -> NDArray[np.float64]:
    """A sine to be recorded."""
    wave: NDArray[np.float64] = amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)
    return wave
