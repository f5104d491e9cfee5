"""Making tones and finding them again in what a telephone has recorded."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import wave
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["RATE", "Sound", "Stretch", "tone_file", "write_tone"]

RATE = 8000
_FRAME = 320
_HOP = 160
_HOP_S = _HOP / RATE
_SPECTRUM = 2048
# A frame below this is silence: far under the quietest tone we make, far over G.711's idle noise.
_SILENCE = 10 ** (-45 / 20)
# A tone counts as heard if this share of its time shows it: the rest may be lost packets and what conceals them.
_SHARE = 0.8
# How speech is compared: so many bands, looked at every so many samples.
_BANDS = 16
_STEP = 80
# The same text rendered again is above 0.97, one that shares most of its words at 0.75, another below 0.6.
_LIKENESS = 0.85

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a sound in which nothing changes. ``hz`` is 0 for silence."""

    hz: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.hz} Hz {self.seconds:.2f} s" if self.hz else f"silence {self.seconds:.2f} s"


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono samples between -1 and 1 at 8 kHz."""

    samples: Samples

    @classmethod
    def read(cls, *files: Path) -> Sound:
        """The files one after the other. They may still be growing: the lengths in their headers are not believed."""
        parts = [_pcm(file.read_bytes(), file) for file in files if file.exists()]
        return cls(np.concatenate(parts) if parts else np.zeros(0, np.float32))

    def then_silence(self, seconds: float) -> Sound:
        return Sound(np.pad(self.samples, (0, round(seconds * RATE))))

    def write(self, file: Path) -> Path:
        """As a WAV file."""
        return _write(file, self.samples)

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE

    def after(self, seconds: float) -> Sound:
        return Sound(self.samples[int(seconds * RATE) :])

    def frequencies(self) -> npt.NDArray[np.float64]:
        """The loudest frequency of every 20 ms, 0 where there is silence."""
        if len(self.samples) < _FRAME:
            return np.zeros(0)
        frames = np.lib.stride_tricks.sliding_window_view(self.samples, _FRAME)[::_HOP]
        level = np.sqrt(np.mean(frames.astype(np.float64) ** 2, axis=1))
        spectra = np.abs(np.fft.rfft(frames * np.hanning(_FRAME), _SPECTRUM, axis=1))
        spectra[:, : _SPECTRUM * 60 // RATE] = 0
        loudest: npt.NDArray[np.float64] = spectra.argmax(axis=1) * RATE / _SPECTRUM
        loudest[level < _SILENCE] = 0
        return loudest

    def finds_tone(self, hz: float, at_least_s: float = 0.4) -> float | None:
        """When (seconds from the start) the tone has been heard for that long; None if it has not."""
        near = np.abs(self.frequencies() - hz) <= max(12.0, 0.02 * hz)
        wanted = max(1, round(at_least_s / _HOP_S))
        if len(near) < wanted:
            return None
        heard = np.convolve(near, np.ones(wanted), "valid") >= _SHARE * wanted
        first = int(heard.argmax())
        return (first + wanted) * _HOP_S if heard[first] else None

    def share_of(self, hz: float) -> float:
        """The part of the power of the last second that lies within 20 Hz of a frequency; 0 when it is silent."""
        last = self.samples[-RATE:].astype(np.float64)
        if len(last) < RATE or np.sqrt(np.mean(last**2)) < _SILENCE:
            return 0.0
        power = np.abs(np.fft.rfft(last * np.hanning(RATE))) ** 2
        return float(power[int(hz) - 20 : int(hz) + 21].sum() / power[60:].sum())

    def contains_tone(self, hz: float, at_least_s: float = 0.4) -> bool:
        return self.finds_tone(hz, at_least_s) is not None

    def finds(self, known: Sound) -> float | None:
        """When (seconds from the start) another sound has been heard whole; None if it has not.

        What is compared is how loud each part of the spectrum is, from one hundredth of a second to the next: speech is
        not the same wave each time it is rendered, and neither level nor a lost packet counts for much.
        """
        wanted, heard = known._shape(), self._shape()
        if not len(wanted) or len(heard) < len(wanted):
            return None
        likeness = _likeness(heard, wanted)
        place = int(likeness.argmax())
        return place * _STEP / RATE + known.seconds if likeness[place] >= _LIKENESS else None

    def _shape(self) -> npt.NDArray[np.float64]:
        """The level in each band (columns), in dB, at each step (rows)."""
        if len(self.samples) < _FRAME:
            return np.zeros((0, _BANDS))
        frames = np.lib.stride_tricks.sliding_window_view(self.samples, _FRAME)[::_STEP]
        power = np.abs(np.fft.rfft(frames * np.hanning(_FRAME), axis=1)) ** 2
        edges = np.geomspace(4, power.shape[1], _BANDS + 1).astype(int)
        return 10 * np.log10(np.add.reduceat(power, edges[:-1], axis=1) + 1e-3)

    def silences(self, at_least_s: float) -> list[tuple[float, float]]:
        """From when until when (seconds) there is nothing to hear, for gaps of at least that length."""
        gaps, at = [], 0
        for silent, run in groupby(self.frequencies() == 0):
            length = len(list(run))
            if silent and length * _HOP_S >= at_least_s:
                gaps.append((at * _HOP_S, (at + length) * _HOP_S))
            at += length
        return gaps

    def story(self) -> list[Stretch]:
        """What there is to hear from start to end, for a failure's message."""
        rounded = (round(hz / 20) * 20 for hz in self.frequencies())
        runs = [Stretch(hz, len(list(run)) * _HOP_S) for hz, run in groupby(rounded)]
        return [run for run in runs if run.seconds > _HOP_S] or runs


def _likeness(heard: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The correlation, -1 to 1, of a shape with what is heard from each step on."""
    count = len(wanted)
    size = 1 << (len(heard) + count).bit_length()
    wanted = wanted - wanted.mean(axis=0)
    spectra = np.fft.rfft(heard, size, axis=0) * np.conj(np.fft.rfft(wanted, size, axis=0))
    products = np.fft.irfft(spectra.sum(axis=1), size)[: len(heard) - count + 1]
    sums, squares = (np.cumsum(np.vstack([np.zeros(_BANDS), part]), axis=0) for part in (heard, heard**2))
    spread = squares[count:] - squares[:-count] - (sums[count:] - sums[:-count]) ** 2 / count
    norm = np.sqrt(np.maximum(spread.sum(axis=1), 1e-9) * (wanted**2).sum())
    likeness: npt.NDArray[np.float64] = products / norm
    return likeness


def _pcm(data: bytes, file: Path) -> Samples:
    at = 12
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind == b"fmt " and at + 24 <= len(data):
            form, channels = data[at + 8], data[at + 10]
            rate = int.from_bytes(data[at + 12 : at + 16], "little")
            if (form, channels, rate) != (1, 1, RATE):
                raise ValueError(f"{file} is not mono PCM at {RATE} Hz (format {form}, {channels}, {rate})")
        if kind == b"data":
            body = data[at + 8 :]
            return np.frombuffer(body[: len(body) & ~1], "<i2").astype(np.float32) / np.float32(32768)
        at += 8 + size + (size & 1)
    return np.zeros(0, np.float32)


def write_tone(file: Path, hz: float, seconds: float, *, level_db: float = -9.0) -> Path:
    """A WAV file with one pure tone; whole numbers of both make it loop without a click."""
    time = np.arange(round(seconds * RATE)) / RATE
    return _write(file, (np.sin(2 * np.pi * hz * time) * 10 ** (level_db / 20)).astype(np.float32))


def _write(file: Path, samples: Samples) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return file


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="tones-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def tone_file(hz: int, seconds: int = 150) -> Path:
    """A shared file with a tone that outlasts every test: what a telephone of ours says; 0 Hz is silence."""
    return write_tone(_folder() / f"{hz}-{seconds}.wav", hz, seconds)
