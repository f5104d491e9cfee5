"""A mix of legs: each of them hears all the others, and not itself."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from gateway.media import binding

if TYPE_CHECKING:
    from gateway.media.engine import MediaEngine, MediaLeg

__all__ = ["MEMBERS_MAX", "Mix"]

MEMBERS_MAX = 32

_native = binding.load()


class Mix:
    """Up to 32 legs of any codecs that hear each other. Made by :meth:`gateway.media.engine.MediaEngine.open_mix`.

    A leg that plays hears its play and is still heard. One whose far end has put us on hold neither hears nor is heard,
    one whose far end sends nothing hears. Keys by RFC 4733 are reported, and heard by nobody. Very quiet legs are left
    out, so that the noise of many lines does not add up.
    """

    def __init__(self, engine: MediaEngine, mix_id: int) -> None:
        self._engine = engine
        self.id = mix_id
        """Never given to another mix of this engine."""

    def add(self, leg: MediaLeg) -> None:
        """Let the leg in; a bridge or another mix that it was in is over. Raises ValueError when the mix is full."""
        if leg._engine is not self._engine:
            raise ValueError("legs of two engines cannot be mixed")
        if self._call("media_mix_add", leg.id) == -errno.ENOBUFS:
            raise ValueError(f"a mix has {MEMBERS_MAX} legs at most")

    def remove(self, leg: MediaLeg) -> None:
        """Take the leg out, which is sent silence from then on; without effect if it is not in this mix."""
        self._call("media_mix_remove", leg.id)

    def close(self) -> None:
        """Take all legs out. The mix is of no more use; again: without effect."""
        self._call("media_mix_close")

    def _call(self, name: str, *arguments: int) -> int:
        handle = self._engine._handle
        if handle is None:
            return -errno.ENOENT
        result: int = getattr(_native, name)(handle, self.id, *arguments)
        if result < 0 and result not in (-errno.ENOENT, -errno.ENOBUFS):
            raise OSError(-result, os.strerror(-result))
        return result
