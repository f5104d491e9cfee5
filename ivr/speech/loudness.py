"""How loud a sound is to people, by ITU-R BS.1770-4 and EBU R 128, and its true peak; one channel, at any rate."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

__all__ = ["SILENT", "loudness", "true_peak", "true_peaks"]

Sound = NDArray[np.float32]

SILENT: Final = -70.0
"""LUFS below which nothing counts as sound (BS.1770-4, the absolute gate)."""

_BLOCK_S: Final = 0.4
_STEP_S: Final = 0.1
_RELATIVE_GATE_LU: Final = 10.0
_OVERSAMPLING: Final = 4
# The lowest filter has died away by then: sound at the end does not come round to the beginning.
_PADDING_S: Final = 0.5
# Weighted piece by piece, ten minutes of studio sound take no gigabytes.
_PIECE_S: Final = 20.0


def loudness(sound: Sound, rate: int) -> float:
    """Integrated loudness in LUFS, pauses not counted; minus infinity if there is nothing to hear.

    Of what is shorter than one block of 400 ms, all of it is one block.
    """
    power = _block_powers(sound, rate)
    power = power[power > _power(SILENT)]
    if not len(power):
        return -math.inf
    gate = _power(_lufs(float(power.mean())) - _RELATIVE_GATE_LU)
    return _lufs(float(power[power > gate].mean()))


def true_peak(sound: Sound) -> float:
    """The highest level between samples too, in dBTP; minus infinity for silence (BS.1770-4, annex 2)."""
    peak = float(true_peaks(sound).max(initial=0))
    return 20 * math.log10(peak) if peak > 0 else -math.inf


def true_peaks(sound: Sound) -> Sound:
    """For every sample, the highest level from it to the next, full scale being 1."""
    if not len(sound):
        return sound
    finer = np.abs(soxr.resample(sound, 1, _OVERSAMPLING, quality="HQ"))
    finer = np.pad(finer, (0, max(len(sound) * _OVERSAMPLING - len(finer), 0)))[: len(sound) * _OVERSAMPLING]
    between = finer.reshape(-1, _OVERSAMPLING).max(axis=1)
    peaks: Sound = np.maximum(between, np.abs(sound)).astype(np.float32)
    return peaks


def _block_powers(sound: Sound, rate: int) -> NDArray[np.float64]:
    """The mean square of every 400 ms after weighting, four blocks overlapping."""
    step = round(_STEP_S * rate)
    steps: list[NDArray[np.float64]] = []
    piece = step * round(_PIECE_S / _STEP_S)
    before = round(_PADDING_S * rate)
    if len(sound) < step * round(_BLOCK_S / _STEP_S):
        return np.array([np.mean(_weighted(sound, rate) ** 2)]) if len(sound) else np.zeros(0)
    for start in range(0, len(sound), piece):
        # The filters remember what was before.
        lead = min(before, start)
        weighted = _weighted(sound[start - lead : start + piece], rate)[lead:]
        whole = len(weighted) // step * step
        steps.append((weighted[:whole].reshape(-1, step) ** 2).mean(axis=1))
    means = np.concatenate(steps)
    summed = np.concatenate(([0.0], np.cumsum(means)))
    width = round(_BLOCK_S / _STEP_S)
    powers: NDArray[np.float64] = (summed[width:] - summed[:-width]) / width
    return powers


def _weighted(sound: Sound, rate: int) -> NDArray[np.float64]:
    """The sound as heads and ears weight it (the K filters), which is a product in the domain of frequencies."""
    size = 1 << (len(sound) + round(_PADDING_S * rate) - 1).bit_length()
    weighted: NDArray[np.float64] = np.fft.irfft(np.fft.rfft(sound, size) * _response(rate, size), size)[: len(sound)]
    return weighted


@lru_cache(maxsize=4)
def _response(rate: int, size: int) -> NDArray[np.complex128]:
    """What the filters make of each frequency of a transform of ``size`` samples."""
    turn = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    response = np.ones(len(turn), np.complex128)
    for numerator, denominator in _k_filters(rate):
        response *= np.polyval(numerator[::-1], turn) / np.polyval(denominator[::-1], turn)
    return response


def _k_filters(rate: int) -> tuple[tuple[list[float], list[float]], tuple[list[float], list[float]]]:
    """Numerator and denominator of both filters.

    BS.1770-4 gives coefficients at 48 kHz only; these are the analogue filters behind them, brought to the rate by
    the bilinear transform. At 48 kHz they agree with its tables 1 and 2.
    """
    # Table 1, a high shelf of 4 dB: the head is an obstacle.
    k = math.tan(math.pi * 1681.974450955533 / rate)
    q, high = 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    scale = 1 + k / q + k * k
    shelf = (
        [(high + band * k / q + k * k) / scale, 2 * (k * k - high) / scale, (high - band * k / q + k * k) / scale],
        [1.0, 2 * (k * k - 1) / scale, (1 - k / q + k * k) / scale],
    )
    # Table 2, a high pass: ears are dull to the lowest tones.
    k = math.tan(math.pi * 38.13547087602444 / rate)
    q = 0.5003270373238773
    scale = 1 + k / q + k * k
    return shelf, ([1.0, -2.0, 1.0], [1.0, 2 * (k * k - 1) / scale, (1 - k / q + k * k) / scale])


def _lufs(power: float) -> float:
    return -0.691 + 10 * math.log10(power)


def _power(lufs: float) -> float:
    return float(10 ** ((lufs + 0.691) / 10))
