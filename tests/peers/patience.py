"""Waiting for something to happen: always for an event, never for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["SLACK", "until"]

T = TypeVar("T")

SLACK = 20.0
"""Seconds anything may take on a machine that is busy with something else. Only failures ever wait that long."""


def until(
    happens: Callable[[], T | None], what: str | Callable[[], str], *, within: float = SLACK, every: float = 0.02
) -> T:
    """Return what ``happens`` returns once that is neither None nor False; fail in words otherwise."""
    deadline = time.monotonic() + within
    while True:
        got = happens()
        if got is not None and got is not False:
            return got
        if time.monotonic() > deadline:
            words = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {within:g} s: {words}")
        time.sleep(every)
