"""Python's garbage collector and what stays: to look through a large set of flows stops everything for 0.2 s.

Flows have no circles, so that a set which nobody holds any more is freed without the collector.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def at_rest() -> Iterator[None]:
    """Nothing is looked for meanwhile: what is made is there to stay."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def bringing_in() -> Iterator[None]:
    """What is made meanwhile stays, and is never looked through: nor is all else that is there at the end.

    What is garbage before is found first; of what becomes garbage later, only circles would never be freed.
    """
    gc.collect()
    with at_rest():
        yield
        gc.freeze()
