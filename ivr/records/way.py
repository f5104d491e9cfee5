"""The way of a call through blocks, from the rows of its steps: what was entered, and what led there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar


class Row(Protocol):
    """One step, or one try of a step that asks. Rows follow each other as the steps ended."""

    @property
    def flow(self) -> str | None: ...
    @property
    def block(self) -> str | None: ...
    @property
    def verb(self) -> str | None: ...
    @property
    def exit(self) -> str | None: ...
    @property
    def next_block(self) -> str | None: ...


R = TypeVar("R", bound=Row)


@dataclass(slots=True)
class Visit(Generic[R]):
    """A block that was entered."""

    flow: str | None
    name: str
    """Within its flow."""
    block: str
    """As paths have it: with its flow before it if that is not the one the call began in."""
    led: R | None
    """The step that led there; None for the first block, and for one that was called."""
    steps: list[R] = field(default_factory=list)
    inside: int = 0
    """How many visits there were when something called from this one was entered."""

    def of(self, row: R) -> bool:
        return (self.flow, self.name) == (row.flow, row.block)


def way(rows: Iterable[R], first_flow: str | None) -> list[Visit[R]]:
    """The blocks that the caller went through, in order; those of ``on_hangup`` are not among them.

    A step that calls a flow or a block is written down when it is over, behind what was done in there. ``on_hangup``
    is entered without being led to as well, but behind a step that was cut short.
    """
    walk = _Walk[R](first_flow)
    for row in rows:
        if row.block is not None and not walk.takes(row, row.block):
            return walk.found
    if walk.led is not None and walk.led.next_block is not None:
        # Nothing of the last block was finished: the program was ended.
        walk.enter(walk.led.flow, walk.led.next_block, walk.led)
    return walk.found


class _Walk(Generic[R]):
    """What is known of a call, row by row."""

    def __init__(self, first_flow: str | None) -> None:
        self.found: list[Visit[R]] = []
        self.led: R | None = None
        """The last row, if it led on."""
        self._first_flow = first_flow
        self._callers: list[Visit[R]] = []
        self._here: Visit[R] | None = None
        self._cut = False
        """The last step was not gone through to its end."""

    def takes(self, row: R, block: str) -> bool:
        """Whether the caller was still there."""
        if self._here is None:
            self._first_flow = self._first_flow or row.flow
            self._here = self.enter(row.flow, block, None)
        elif self.led is not None or not self._here.of(row):
            visit = self._next(row, block, self._here)
            if visit is None:
                return False
            self._here = visit
        self._here.steps.append(row)
        self.led = row if row.next_block is not None else None
        self._cut = row.next_block is None and row.exit is None and row.verb != "return"
        return True

    def _next(self, row: R, block: str, here: Visit[R]) -> Visit[R] | None:
        led = self.led
        if led is not None and (led.flow, led.next_block) == (row.flow, block):
            return self.enter(row.flow, block, led)
        if any(visit.of(row) for visit in self._callers):
            while not (visit := self._callers.pop()).of(row):
                pass
            return visit
        if row.verb == "call":
            # What it called was the first thing done in its block.
            return self.enter(row.flow, block, None, self._callers[-1].inside if self._callers else 0)
        if self._cut:
            return None
        if led is not None and led.next_block is not None:
            here = self.enter(led.flow, led.next_block, led)
        here.inside = len(self.found)
        self._callers.append(here)
        return self.enter(row.flow, block, None)

    def enter(self, flow: str | None, name: str, led: R | None, at: int | None = None) -> Visit[R]:
        visit = Visit(flow, name, name if flow in (None, self._first_flow) else f"{flow}.{name}", led)
        self.found.insert(len(self.found) if at is None else at, visit)
        return visit
