"""The hold music that needs no file: computed, so nobody has rights in it.

Slow chords with a few soft notes above them, quiet enough to talk over, made to be repeated without a seam.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gateway.call import Clip
from ivr.speech.level import LINE_RATE, to_int16

__all__ = ["default_music"]

LEVEL = 10 ** (-27 / 20)
"""RMS: seven decibels under speech, for nobody chose to hear it."""

_BEAT_S = 0.75
_BEATS_A_CHORD = 8
# Notes as semitones from A3 (220 Hz), which is about where a telephone starts to carry a fundamental well.
_CHORDS = (
    (3, 7, 10, 14),  # C major with its ninth
    (0, 3, 7, 10),  # A minor seventh
    (-4, 0, 3, 10),  # F major with its sixth and ninth
    (-2, 3, 5, 10),  # G, waiting to go home
)
# Which note of the chord sounds an octave above on which beat; None is a rest.
_MELODY = (0, None, 2, 1, 3, None, 2, None), (2, None, 1, None, 3, 2, None, None)
_PARTIALS = ((1, 1.0), (2, 0.35), (3, 0.12), (4, 0.05))


def default_music() -> Clip:
    """A loop of 24 s. Takes some 0.2 s to make."""
    length = round(len(_CHORDS) * _BEATS_A_CHORD * _BEAT_S * LINE_RATE)
    sound = np.zeros(length)
    for number, chord in enumerate(_CHORDS):
        start = number * _BEATS_A_CHORD
        for note in chord:
            _add(sound, start, _note(note, _BEATS_A_CHORD + 2, attack_s=1.5, decay_s=6.0))
        for beat, chosen in enumerate(_MELODY[number % len(_MELODY)]):
            if chosen is not None:
                _add(sound, start + beat, 0.8 * _note(chord[chosen] + 12, 4, attack_s=0.03, decay_s=0.7))
    sound *= LEVEL / np.sqrt(np.mean(sound * sound))
    return Clip.from_pcm(to_int16(sound.astype(np.float32)), "music/default")


def _note(semitones: int, beats: int, *, attack_s: float, decay_s: float) -> NDArray[np.float64]:
    time = np.arange(round(beats * _BEAT_S * LINE_RATE)) / LINE_RATE
    pitch = 220 * 2 ** (semitones / 12)
    tone = np.zeros(len(time))
    for partial, strength in _PARTIALS:
        tone += strength * np.sin(2 * np.pi * pitch * partial * time)
    envelope: NDArray[np.float64] = np.minimum(time / attack_s, 1) * np.exp(-time / decay_s)
    # The end of an exponential is never zero, and a step is heard as a click.
    envelope *= np.minimum((time[-1] - time) / 0.5, 1)
    tone *= envelope
    return tone


def _add(sound: NDArray[np.float64], beat: int, note: NDArray[np.float64]) -> None:
    """Mix a note in; what rings on beyond the end goes to the beginning, where the loop continues."""
    at = round(beat * _BEAT_S * LINE_RATE)
    within = note[: len(sound) - at]
    sound[at : at + len(within)] += within
    sound[: len(note) - len(within)] += note[len(within) :]
