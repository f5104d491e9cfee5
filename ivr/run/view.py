"""What a call looks like at one moment: for those who watch. Nothing here changes anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.call import LegView

CallState = Literal["ringing", "in_flow", "offering", "talking", "on_hold"]
"""``ringing``: not answered; ``offering``: somebody is being rung for the caller; ``on_hold``: one of the two holds."""


@dataclass(frozen=True, slots=True)
class CallView:
    call_id: str
    caller: str
    caller_name: str
    did: str
    mode: str
    flow: str
    flow_version: str
    language: str
    state: CallState
    block: str
    verb: str | None
    """The step that takes time now; None if none does."""
    place: str
    """Of that step, ``file:line:column``."""
    arrived_at: int
    """UTC epoch milliseconds, as the next."""
    step_since: int
    """When that step, or the last one, began."""
    legs: tuple[LegView, ...]
