"""What whisper hears: the logarithm of the energy in 80 mel bands, 100 times a second (Radford et al., 2022, 2.2)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = ["FRAMES_PER_SECOND", "SAMPLE_RATE", "log_mel"]

SAMPLE_RATE: Final = 16_000
FRAMES_PER_SECOND: Final = 100
_BANDS: Final = 80
_WINDOW: Final = 400
_HOP: Final = SAMPLE_RATE // FRAMES_PER_SECOND

Floats = NDArray[np.floating[Any]]


def log_mel(sound: Floats, frames: int) -> NDArray[np.float32]:
    """Of samples from -1 to 1 at :data:`SAMPLE_RATE`, of shape ``(1, bands, frames)``; silence fills the window."""
    samples = np.zeros(frames * _HOP, np.float32)
    known = sound[: len(samples)]
    samples[: len(known)] = known
    around = np.pad(samples, _WINDOW // 2, mode="reflect")
    windows = sliding_window_view(around, _WINDOW)[::_HOP][:frames] * _HANN
    power = np.abs(np.fft.rfft(windows, axis=1).astype(np.complex64)) ** 2
    energy = np.log10(np.maximum(_MEL @ power.T, 1e-10))
    energy = np.maximum(energy, energy.max() - 8)
    return np.ascontiguousarray(((energy + 4) / 4)[None].astype(np.float32))


def _mel_filters() -> NDArray[np.float32]:
    """Triangles of equal area on Slaney's scale: straight up to 1 kHz, logarithmic above."""
    step = np.log(6.4) / 27
    top = 15 + np.log(SAMPLE_RATE / 2 / 1000) / step
    mels = np.linspace(0, top, _BANDS + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(step * (mels - 15)))
    ramps = edges[:, None] - np.linspace(0, SAMPLE_RATE / 2, _WINDOW // 2 + 1)[None]
    widths = np.diff(edges)[:, None]
    triangles = np.maximum(0, np.minimum(-ramps[:-2] / widths[:-1], ramps[2:] / widths[1:]))
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


_MEL: Final = _mel_filters()
_HANN: Final = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
