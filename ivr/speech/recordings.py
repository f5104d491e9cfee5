"""Sound files that people record: where they are looked for, and how any WAV becomes a clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from gateway.call import Clip
from ivr.flow.loader import shown
from ivr.speech.level import LINE_RATE, resample, to_int16

__all__ = ["LONGEST_S", "RecordingError", "RecordingLibrary", "doubt", "fault", "length", "read_sound"]

LONGEST_S = 600.0
"""Seconds one recording may last."""
SHORTEST_S = 0.1
"""Seconds below which nobody hears what it was: an empty take, or a slip of the knife."""
LONG_S = 60.0
"""Seconds after which callers hang up, unless it is music."""


class RecordingError(Exception):
    """A recording cannot be used; the message names the file and is meant for the operator."""


class RecordingLibrary:
    """A folder of recordings: ``LANGUAGE/NAME.wav``, else ``NAME.wav`` for all languages."""

    def __init__(self, folder: Path, *, longest_s: float = LONGEST_S) -> None:
        """``longest_s``: seconds one recording may last."""
        self._folder = folder
        self._longest_s = longest_s

    def looked_for(self, language: str, name: str) -> list[Path]:
        """Where a recording may be, best place first. Raises RecordingError for a name that leaves the folder."""
        places = [*([self._folder / language] if language else []), self._folder]
        for part in (language, name):
            if part.startswith(("/", "~")) or "\\" in part or "\0" in part or ".." in Path(part).parts:
                raise RecordingError(f"{part!r} is no name of a recording: it leaves {self._folder}")
        if not Path(name).name:
            raise RecordingError("a recording needs a name")
        return [place / f"{name.removesuffix('.wav')}.wav" for place in places]

    def find(self, language: str, name: str) -> Path | None:
        """The file that will be played, None if there is none in any place."""
        return next((path for path in self.looked_for(language, name) if path.is_file()), None)

    def load(self, language: str, name: str) -> Clip:
        """Read and convert a recording: blocks for the time that takes (about 5 ms a second of studio sound).

        Raises RecordingError if it is missing or no usable sound.
        """
        path = self.find(language, name)
        if path is None:
            places = ", ".join(str(place) for place in self.looked_for(language, name))
            raise RecordingError(f"recording {name!r} is missing (looked for {places})")
        return self._read(path, name)

    def _read(self, path: Path, name: str) -> Clip:
        sound, rate = read_sound(path, longest_s=self._longest_s)
        return Clip.from_pcm(to_int16(_unclipped(resample(sound.mean(axis=1), rate))), name)


def read_sound(path: Path, *, longest_s: float = LONGEST_S) -> tuple[NDArray[np.float32], int]:
    """All of a sound file, frames first and one column a channel, and its rate in Hz.

    Raises RecordingError, which names the file, if it is no usable sound or longer than ``longest_s`` seconds.
    """
    try:
        with path.open("rb") as opened, soundfile.SoundFile(opened) as file:
            # Known from the header: a day of sound is refused before it takes a gigabyte.
            if file.frames > longest_s * file.samplerate:
                seconds = file.frames / file.samplerate
                raise RecordingError(f"{path}: {seconds:.0f} s long, {longest_s:.0f} s is the most")
            sound: NDArray[np.float32] = file.read(dtype="float32", always_2d=True)
            rate = int(file.samplerate)
    except soundfile.LibsndfileError as error:
        raise RecordingError(f"{path}: not a sound file ({error.error_string.strip()})") from error
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not len(sound):
        raise RecordingError(f"{path}: empty, there is no sound in it")
    if not np.isfinite(sound).all():
        raise RecordingError(f"{path}: damaged, some of its samples are not numbers")
    return sound, rate


def fault(path: Path) -> str | None:
    """What keeps a file from being played, as far as its beginning tells; None if nothing does."""
    try:
        with path.open("rb") as opened, soundfile.SoundFile(opened) as file:
            return None if file.frames else f"{shown(path)} is empty, there is no sound in it"
    except soundfile.LibsndfileError as error:
        return f"{shown(path)} is not a sound file ({error.error_string.strip().rstrip('.')})"
    except OSError as error:
        return f"{shown(path)} cannot be read ({error.strerror or error})"


def length(path: Path) -> float | None:
    """Seconds a file plays, as its beginning tells; None if it is no sound."""
    try:
        with path.open("rb") as opened, soundfile.SoundFile(opened) as file:
            return float(file.frames / file.samplerate)
    except (soundfile.LibsndfileError, OSError):
        return None


def doubt(path: Path) -> tuple[str, str] | None:
    """What callers may not like in a file that can be played, as far as its beginning tells, and the remedy."""
    try:
        with path.open("rb") as opened, soundfile.SoundFile(opened) as file:
            seconds, rate = file.frames / file.samplerate, int(file.samplerate)
    except (soundfile.LibsndfileError, OSError):
        return None
    if 0 < seconds < SHORTEST_S:
        return f"{shown(path)} lasts {seconds * 1000:.0f} ms, too short to be heard", "record it again"
    if rate < LINE_RATE:
        words = f"{shown(path)} has {rate} samples a second, less than a telephone carries: it sounds muffled"
        return words, f"record it at {LINE_RATE} or more; 48000 is usual"
    return None


def _unclipped(sound: np.ndarray[tuple[int], np.dtype[np.float32]]) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """The sound, made quieter only if a peak is beyond full scale: filters and float files overshoot."""
    peak = float(np.abs(sound).max(initial=0))
    return sound / np.float32(peak) if peak > 1 else sound
