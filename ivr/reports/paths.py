"""The way of a call through blocks, from the line that the database makes of its steps to words."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from ivr.records.way import way

STEP_END: Final = "\x1e"
"""Between steps; within a step, its flow, block, verb, exit and next block stand between :data:`PART_END`."""
PART_END: Final = "\x1f"
LONGEST: Final = 20
"""Blocks; what is longer is of interest as "and so on" only."""


class _Step(NamedTuple):
    flow: str | None
    block: str | None
    verb: str | None
    exit: str | None
    next_block: str | None


@lru_cache(4096)
def path_of(told: str) -> str:
    """``welcome > main_menu > workshop``, as ``ivr calls`` has it."""
    steps = [_Step(*(part or None for part in step.split(PART_END))) for step in told.split(STEP_END)]
    blocks = [visit.block for visit in way(steps, None)]
    return " > ".join(blocks[:LONGEST]) + (" > …" if len(blocks) > LONGEST else "")
