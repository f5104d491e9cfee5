"""The events a call leaves behind: what happened, when, to which call and leg. Rows of every table derive from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

EventType = Literal[
    "call.arrived",
    "call.answered",
    "call.ended",
    "leg.created",
    "leg.ringing",
    "leg.answered",
    "leg.held",
    "leg.retrieved",
    "leg.ended",
    "flow.step",
    "key",
    "prompt.end",
    "offer.start",
    "offer.end",
    "bridge.join",
    "bridge.leave",
    "tag",
    "log",
    "error",
]


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """One thing that happened. ``at`` is UTC epoch milliseconds; ``data`` holds JSON values only."""

    at: int
    type: EventType
    call_id: str
    leg_id: str | None = None
    data: Mapping[str, object] = field(default_factory=dict)
