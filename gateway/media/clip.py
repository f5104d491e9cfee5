"""Sound that is ready for the wire: made once, played by any number of legs at the same time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Mono sound at 8,000 Hz as G.711 mu-law (PCMU) bytes, one byte a sample, 160 bytes a 20 ms frame.

    A leg that speaks PCMA is given the same bytes through a table in the engine.
    """

    pcmu: bytes
    name: str = ""
    """What it is, for logs and traces; a recording's name or the beginning of a text."""

    @property
    def duration_ms(self) -> int:
        return len(self.pcmu) // 8
