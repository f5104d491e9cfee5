"""Sound that is ready for the wire: made once, played by any number of legs at the same time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Table look-ups hold the interpreter's lock: ten seconds of sound at a time hold it for about a millisecond.
_SAMPLES_AT_A_TIME = 80_000


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

    @classmethod
    def from_pcm(cls, samples: NDArray[np.int16], name: str = "") -> Self:
        """A clip of 16-bit samples at 8,000 Hz, one channel. Raises ValueError for any other shape or type."""
        # Calls carry clips without ever making one: numpy is for those who do.
        from gateway.media.g711 import encode_pcmu

        if samples.ndim != 1 or samples.dtype.name != "int16":
            raise ValueError(f"a clip is one channel of int16, not {samples.ndim} dimensions of {samples.dtype}")
        blocks = (samples[at : at + _SAMPLES_AT_A_TIME] for at in range(0, len(samples), _SAMPLES_AT_A_TIME))
        return cls(b"".join(encode_pcmu(block) for block in blocks), name)

    def to_pcm(self) -> NDArray[np.int16]:
        """The sound as 16-bit samples at 8,000 Hz."""
        from gateway.media.g711 import decode_pcmu

        return decode_pcmu(self.pcmu)
