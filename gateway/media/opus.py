"""Where libopus is: the engine loads it by path, and does without Opus where there is none."""

from __future__ import annotations

import ctypes.util
import importlib.util
from functools import lru_cache
from pathlib import Path

from gateway.media import binding

__all__ = ["library", "load"]


def library() -> str | None:
    """The path or name of libopus: PyAV's wheel ships one, and a system may have its own."""
    # Found without importing PyAV: that would load all of FFmpeg.
    spec = importlib.util.find_spec("av")
    for folder in spec.submodule_search_locations or () if spec else ():
        shipped = sorted(Path(folder).parent.glob("av.libs/libopus-*.so*"))
        if shipped:
            return str(shipped[-1])
    return ctypes.util.find_library("opus")


@lru_cache(1)
def load() -> bool:
    """Give libopus to the engine; False if there is none, and Opus cannot be offered."""
    path = library()
    return path is not None and binding.load().media_load_opus(path.encode()) == 0
