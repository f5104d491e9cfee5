"""How long records are kept, and how much of them may wait: what the site decides. Needs no database to be read."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

__all__ = ["SPOOL_BOUND", "Retention"]

SPOOL_BOUND: Final = 1_000_000_000
"""Bytes that the spool may take, unless the site says otherwise: about three million events."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what is kept, in seconds from the end of a call; None: for ever."""

    events: float | None = None
    """What happened: without them a call can neither be traced nor derived again."""
    flow_steps: float | None = None
    tags: float | None = None
    calls: float | None = None
    """Everything of a call."""

    def __bool__(self) -> bool:
        return any(getattr(self, one.name) is not None for one in fields(self))
