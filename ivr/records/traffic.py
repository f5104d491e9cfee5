"""How many callers came through each block of a flow, and where they hung up. Counted by the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Engine, distinct, func, select

from ivr.records import model


@dataclass(frozen=True, slots=True)
class Traffic:
    """Of one flow."""

    calls: int = 0
    """Calls that went through the flow."""
    blocks: Mapping[str, int] = field(default_factory=dict)
    """Calls that came to the block, each counted once."""
    arrows: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """How often a call went from one block to the other."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Calls whose caller hung up, or was lost, in the block."""


def traffic(engine: Engine, flow: str, since: int) -> Traffic:
    """What callers did since then (UTC epoch ms), whichever version of the flow they met."""
    steps, calls = model.FlowStep, model.Call
    within: tuple[ColumnElement[bool], ...] = (steps.flow == flow, steps.from_at >= since, steps.block.is_not(None))
    callers = func.count(distinct(steps.call_id))
    with engine.connect() as connection:
        total = connection.execute(select(callers).where(*within)).scalar_one()
        blocks = connection.execute(select(steps.block, callers).where(*within).group_by(steps.block))
        came = {str(block): int(count) for block, count in blocks}
        ways = connection.execute(
            select(steps.block, steps.next_block, func.count())
            .where(*within, steps.next_block.is_not(None))
            .group_by(steps.block, steps.next_block)
        )
        arrows = {(str(block), str(following)): int(count) for block, following, count in ways}
        left = connection.execute(
            select(calls.last_block, func.count())
            .where(
                calls.flow == flow,
                calls.arrived_at >= since,
                calls.ended_by.in_(("caller", "network")),
                calls.last_block.is_not(None),
            )
            .group_by(calls.last_block)
        )
        dropped = {str(block): int(count) for block, count in left}
    return Traffic(int(total), came, arrows, dropped)
