"""How much of a flow its tests went through: blocks, and exits of steps that can end in several ways."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ivr.flow.model import Flow, Step
from ivr.flow.nodes import VERBS
from ivr.flow.nodes.verb import CONTINUE
from ivr.run.actions import StepRecord
from ivr.run.testing.model import Floor

_TRIED_AGAIN = ("no_input", "no_match")
"""Exits that are also written into the row of a try that was not the last."""


@dataclass(frozen=True, slots=True)
class Coverage:
    blocks_seen: int
    blocks: int
    exits_seen: int
    exits: int
    not_seen: tuple[str, ...]
    """``block``, ``block.exit``, or ``block.step 2.exit`` where a block has several such steps; in the file's order."""

    def below(self, floor: Floor) -> tuple[str, ...]:
        """What is less than it must be, in words."""
        found = []
        for what, seen, all_, least in (
            ("blocks", self.blocks_seen, self.blocks, floor.blocks),
            ("exits", self.exits_seen, self.exits, floor.exits),
        ):
            share = 100.0 * seen / all_ if all_ else 100.0
            if share < least:
                found.append(f"the tests go through {seen} of {all_} {what}, {share:.0f}%: {least:g}% is asked for")
        return tuple(found)

    def __str__(self) -> str:
        return f"blocks {self.blocks_seen}/{self.blocks}  exits {self.exits_seen}/{self.exits}"


def exits_of(step: Step) -> tuple[str, ...]:
    """The ways out of a step that tests can tell apart; none if there is only one."""
    verb = VERBS.get(step.verb)
    # A failure that leads on unless it is written is not waited for either: nobody sees it.
    declared = [
        exit.name
        for exit in (verb.exits if verb else ())
        if exit.possible(step.settings)
        and (exit.unwired == "on_error" or (exit.unwired == "next" and exit.name != "failed"))
    ]
    # All parts of failed lead somewhere: nothing is left that would leave by failed itself.
    divided = verb is not None and verb.parts("failed") and all(part in step.exits for part in verb.parts("failed"))
    found = tuple(exit for exit in dict.fromkeys([*step.exits, *declared]) if not (exit == "failed" and divided))
    return found if len(found) > 1 else ()


def coverage(flow: Flow, records: Iterable[StepRecord], paths: Iterable[tuple[str, ...]]) -> Coverage:
    """What the calls of these records and paths have seen of the flow."""
    blocks = {block for path in paths for block in path}
    exits: set[tuple[str, int, str]] = set()
    for record in records:
        if record.flow != flow.name:
            continue
        blocks.add(record.block)
        if record.exit is not None and _taken(flow, record):
            exits.add((record.block, record.step, record.exit))
    wanted = list(_exits(flow))
    missing = {
        (block, number, exit): name for block, number, exit, name in wanted if (block, number, exit) not in exits
    }
    unseen = [block for block in flow.blocks if block not in blocks]
    names = (*unseen, *(name for (block, _, _), name in missing.items() if block not in unseen))
    return Coverage(len(flow.blocks) - len(unseen), len(flow.blocks), len(wanted) - len(missing), len(wanted), names)


def _exits(flow: Flow) -> Iterator[tuple[str, int, str, str]]:
    for block in flow.blocks.values():
        several = sum(bool(exits_of(step)) for step in block.steps) > 1
        for number, step in enumerate(block.steps, 1):
            for exit in exits_of(step):
                name = f"{block.name}.step {number}.{exit}" if several else f"{block.name}.{exit}"
                yield block.name, number, exit, name


def _taken(flow: Flow, record: StepRecord) -> bool:
    """Whether the exit of the row is one of the numbered step, and was taken: not that of a try before the last, nor
    that of a step within it."""
    block = flow.blocks.get(record.block)
    step = block.steps[record.step - 1] if block is not None and record.step <= len(block.steps) else None
    if step is None or step.verb != record.verb:
        return False
    if record.exit not in _TRIED_AGAIN or record.next_block is not None:
        return True
    return step.exits.get(record.exit) == CONTINUE
