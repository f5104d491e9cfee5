"""Where speech begins and ends in what a caller's line carries. Sound in, events out: no clock, no I/O.

What is loud enough and judged to be voice (:mod:`ivr.speech.recognition.voice`) is *voiced*, in windows of 32 ms. Key
tones are muted first, with what is beside them.

=========  =============================================================================================================
state      what ends it
=========  =============================================================================================================
quiet      a voiced window: *doubtful*. Nothing counts before ``deaf_for`` is over; it is learnt how loud the line is
doubtful   250 ms voiced of half a second: the caller *speaks*, which may cut a prompt. Silence for ``speech_timeout``:
           a short word if at least 120 ms were voiced, else a noise; either way *quiet* again. ``longest`` ends it too
speaks     silence for ``speech_timeout``, or for less if that is :meth:`~Endpointer.enough`, or ``longest``: *over*
over       nothing
=========  =============================================================================================================

How loud is loud enough: 8 dB above the line's floor, and never below -45 dB of full scale. The floor is what four
fifths of the last 3 s stayed below, up to -36 dB. So an echo of our own prompt does not count as speech if it comes
back 20 dB quieter than it left: what there is of it above -45 dB raises the floor before it makes 250 ms. One that is
louder does count, and cuts the prompt: networks and telephones that echo like that are broken.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ivr.hearing import SpeechBegan
from ivr.speech.recognition.key_tones import is_key_tone

__all__ = ["EndpointEvent", "Endpointer", "Judge", "SpeechEnded", "SpeechPaused", "SpeechSound"]

WINDOW: Final = 256
"""Samples at 8,000 Hz that are judged at once."""
_WINDOW_MS: Final = 32
_BYTES: Final = 2 * WINDOW
_SILENCE: Final = bytes(_BYTES)

_PROBABLE: Final = 0.5
_STILL_PROBABLE: Final = 0.35
"""Once somebody speaks."""
_COUNTS: Final = 8
"""Voiced windows with which speech counts, 256 ms; of the last"""
_COUNTS_OF: Final = 16
_SHORTEST: Final = 4
"""Voiced windows of a word, 128 ms: "no" has 250 to 400 ms, a click or a knock one or two windows."""
_BEFORE: Final = 10
"""Windows from before the first voiced one that belong to the speech: it begins with what is hardly voiced."""
_AFTER: Final = 6
"""And after the last one. When they are over, it may be that he has finished."""

_FLOOR_OF: Final = 94
"""Windows that make the floor, 3 s."""
_FLOOR_SHARE: Final = 0.8
_FLOOR_START: Final = -60.0
_FLOOR_MOST: Final = -36.0
_ABOVE_FLOOR: Final = 8.0
_LOUD_ENOUGH: Final = -45.0
"""dB of full scale. Telephone networks put speech at -26 dB on the average."""


class Judge(Protocol):
    """Tells voice from everything else; :class:`ivr.speech.recognition.voice.Voice` is one."""

    def probability(self, pcm: bytes, samples: NDArray[np.float32]) -> float:
        """That there is speech in this window of 256 samples: their bytes, and the samples between -1 and 1."""


@dataclass(frozen=True, slots=True)
class SpeechSound:
    """Some of the speech for the recogniser, with a little from before its beginning and after its end."""

    pcm: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SpeechPaused:
    """It has been silent for a while: if the caller says no more, all of his speech has been given out."""

    pause: int
    """Names it for :meth:`Endpointer.enough`."""


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """All of the speech has been given out. Times count from the start of listening."""

    began_ms: int
    ended_ms: int
    counts: bool
    """False: a short word, of which :class:`SpeechBegan` told nothing; what comes next is listened to."""
    sound_from_ms: int
    """Where the sound that was given out begins."""


EndpointEvent = SpeechBegan | SpeechSound | SpeechPaused | SpeechEnded


class _Floor:
    """How loud the line is when nobody speaks."""

    def __init__(self) -> None:
        self._levels = deque([_FLOOR_START] * _FLOOR_OF)
        self._sorted = list(self._levels)

    def learn(self, level: float) -> None:
        level = max(level, _FLOOR_START)
        del self._sorted[bisect_left(self._sorted, self._levels.popleft())]
        self._levels.append(level)
        insort(self._sorted, level)

    def loud_enough(self) -> float:
        floor = min(self._sorted[int(_FLOOR_SHARE * _FLOOR_OF)], _FLOOR_MOST)
        return max(floor + _ABOVE_FLOOR, _LOUD_ENOUGH)


class Endpointer:
    """One caller's sound, from the start of listening until he has spoken. Times are seconds."""

    def __init__(self, judge: Judge, *, deaf_for: float, speech_timeout: float, longest: float) -> None:
        self._judge = judge
        self._deaf = _windows(deaf_for)
        self._timeout = max(1, _windows(speech_timeout))
        self._longest = max(1, _windows(longest))
        self._state: Literal["quiet", "doubtful", "speaks", "over"] = "quiet"
        self._floor = _Floor()
        self._rest = b""
        self._pending: tuple[bytes, NDArray[np.float32], bool] | None = None
        """The window before: whether it is heard depends on what comes after it."""
        self._key_before = False
        self._at = 0
        """Windows judged so far."""
        self._kept: deque[bytes] = deque()
        """While it is quiet, the last windows; otherwise what has not been given out."""
        self._first = self._last = 0
        """Voiced windows of what is being said."""
        self._kept_from = 0
        self._paused = False
        self._enough = (-1, 0)
        """A pause, and the windows of silence that end it."""
        self._recent: deque[bool] = deque(maxlen=_COUNTS_OF)
        self._voiced = 0

    @property
    def over(self) -> bool:
        return self._state == "over"

    def enough(self, pause: int, seconds: float) -> None:
        """What was said before that pause is enough: so much silence ends it, if he has said no more meanwhile.

        May be called from any thread.
        """
        self._enough = (pause, _windows(seconds))

    def feed(self, pcm: bytes) -> Iterator[EndpointEvent]:
        """Some more sound, 16-bit samples at 8,000 Hz, in pieces of any size."""
        data = self._rest + pcm
        whole = len(data) - len(data) % _BYTES
        self._rest = data[whole:]
        for start in range(0, whole, _BYTES):
            if self._state == "over":
                return
            yield from self._arrived(data[start : start + _BYTES])

    def _arrived(self, pcm: bytes) -> Iterator[EndpointEvent]:
        samples = np.frombuffer(pcm, np.int16).astype(np.float32)
        key = is_key_tone(samples)
        before, self._pending = self._pending, (pcm, samples, key)
        if before is None:
            return
        if self._key_before or before[2] or key:
            muted = np.zeros(WINDOW, np.float32)
            yield from self._judged(_SILENCE, muted, _FLOOR_START)
        else:
            level = 10 * np.log10(float(before[1] @ before[1]) / WINDOW + 1e-9) - 90.3
            yield from self._judged(before[0], before[1] / np.float32(32768), level)
        self._key_before = before[2]

    def _judged(self, pcm: bytes, samples: NDArray[np.float32], level: float) -> Iterator[EndpointEvent]:
        probable = self._judge.probability(pcm, samples)
        loud = level >= self._floor.loud_enough()
        voiced = (
            loud and probable >= (_STILL_PROBABLE if self._state == "speaks" else _PROBABLE) and self._at >= self._deaf
        )
        if self._state != "speaks":
            self._floor.learn(level)
        self._recent.append(voiced)
        self._kept.append(pcm)
        self._at += 1
        if voiced:
            yield from self._takes_voice()
        elif self._state == "quiet":
            if len(self._kept) > _BEFORE:
                self._kept.popleft()
        else:
            yield from self._is_silent(self._at - self._last)
        if self._state in ("speaks", "doubtful") and self._at - self._first >= self._longest:
            yield from self._ends()

    def _takes_voice(self) -> Iterator[EndpointEvent]:
        if self._state == "quiet":
            self._state = "doubtful"
            self._first = self._at - 1
            self._kept_from = self._at - len(self._kept)
            self._voiced = 0
        self._voiced += 1
        self._last = self._at
        self._paused = False
        if self._state == "doubtful" and sum(self._recent) >= _COUNTS:
            self._state = "speaks"
            yield SpeechBegan(self._first * _WINDOW_MS)
        if self._state == "speaks":
            yield SpeechSound(b"".join(self._kept))
            self._kept.clear()

    def _is_silent(self, windows: int) -> Iterator[EndpointEvent]:
        if windows == _AFTER and (self._state == "speaks" or self._voiced >= _SHORTEST):
            self._paused = True
            yield SpeechSound(b"".join(self._kept))
            yield SpeechPaused(self._last)
            self._kept.clear()
        of, enough = self._enough
        if windows >= (min(enough, self._timeout) if of == self._last else self._timeout):
            yield from self._ends()

    def _ends(self) -> Iterator[EndpointEvent]:
        counts = self._state == "speaks"
        if counts or self._voiced >= _SHORTEST:
            if not self._paused and self._kept:
                yield SpeechSound(b"".join(self._kept))
            yield SpeechEnded(
                self._first * _WINDOW_MS, self._last * _WINDOW_MS, counts, max(0, self._kept_from * _WINDOW_MS)
            )
        self._state = "over" if counts else "quiet"
        while len(self._kept) > _BEFORE:
            self._kept.popleft()


def _windows(seconds: float) -> int:
    return round(seconds * 1000 / _WINDOW_MS)
