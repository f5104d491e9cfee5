"""What a piece of work leaves to Python's garbage collector: nothing that is ours has circles."""

from __future__ import annotations

import gc
from collections.abc import Callable


def left_by(work: Callable[[], object]) -> list[object]:
    """Objects of the program that are in circles, and so not freed, when the work is done."""
    gc.collect()
    was = gc.isenabled()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        work()
        gc.collect()
        return [one for one in gc.garbage if type(one).__module__.startswith("ivr.")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        (gc.enable if was else gc.disable)()
