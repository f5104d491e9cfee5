"""People for the telephones of the tests: voices of another synthesiser than the program's own, and bad lines."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import soxr

from tests.peers.process import require
from tests.peers.sound import RATE, Sound

__all__ = ["VOICES", "Voice", "noisy", "says"]

Voice = Literal["kal16", "awb", "rms", "slt"]
VOICES: tuple[Voice, ...] = ("kal16", "awb", "rms", "slt")
"""Of flite, all English: an early synthetic one, a Scot, and two Americans, the last a woman."""

_LEVEL_DB = -26
# Of active speech, as telephone networks are levelled (ITU-T P.56).


@cache
def says(text: str, voice: Voice = "slt") -> Sound:
    """The text as that speaker says it, at the level of a telephone line."""
    program = require("flite", package="flite")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "said.wav"
        subprocess.run([program, "-voice", voice, "-t", text, "-o", str(file)], check=True, timeout=60)
        data = file.read_bytes()
    rate = int.from_bytes(data[24:28], "little")
    samples = np.frombuffer(data[44:], "<i2").astype(np.float32) / 32768
    samples = soxr.resample(samples, rate, RATE)
    loud = np.abs(samples) > 0.02 * np.abs(samples).max()
    level = np.sqrt(np.mean(samples[loud] ** 2))
    return Sound((samples * 10 ** (_LEVEL_DB / 20) / level).astype(np.float32))


def noisy(sound: Sound, below_db: float, *, before_s: float = 0.3, after_s: float = 2.0, seed: int = 1) -> Sound:
    """The sound in white noise so many dB below the speech, which is there before and afterwards too."""
    noise = np.random.default_rng(seed)
    samples = np.pad(sound.samples, (round(before_s * RATE), round(after_s * RATE)))
    level = 10 ** ((_LEVEL_DB - below_db) / 20)
    return Sound((samples + noise.normal(0, level, len(samples))).astype(np.float32))
