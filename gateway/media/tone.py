"""Sounds that need no recording: ring-back, busy and silence as clips. Defaults are those of most of Europe."""

from __future__ import annotations

import numpy as np

from gateway.media.clip import Clip
from gateway.media.g711 import encode_pcmu

__all__ = ["busy", "ringback", "silence", "tone"]

RATE = 8000
FADE_MS = 5
"""A tone that begins or ends at full loudness clicks."""


def tone(frequency: float, on_ms: int, off_ms: int = 0, *, level_dbm0: float = -13.0, name: str = "tone") -> Clip:
    """A sine of ``frequency`` Hz for ``on_ms``, then silence for ``off_ms``.

    The level is in dBm0: a sine that just fits PCMU is 3.17 dBm0 (ITU-T G.711 6), networks' tones are about -13.
    """
    samples = np.arange(on_ms * RATE // 1000)
    peak = 32124 * 10 ** ((level_dbm0 - 3.17) / 20)
    fade = FADE_MS * RATE // 1000
    edge = np.minimum(1.0, np.minimum(samples + 1, len(samples) - samples) / fade)
    sound = peak * edge * np.sin(2 * np.pi * frequency * samples / RATE)
    pause = np.zeros(off_ms * RATE // 1000)
    return Clip(encode_pcmu(np.concatenate([sound, pause]).round()), name)


def ringback(frequency: float = 425.0, on_ms: int = 1000, off_ms: int = 4000) -> Clip:
    """One ring; play it in a loop."""
    return tone(frequency, on_ms, off_ms, name="ring-back")


def busy(frequency: float = 425.0, on_ms: int = 500, off_ms: int = 500) -> Clip:
    """One beat of the busy tone; play it in a loop."""
    return tone(frequency, on_ms, off_ms, name="busy")


def silence(duration_ms: int) -> Clip:
    return Clip(encode_pcmu(np.zeros(duration_ms * RATE // 1000)), "silence")
