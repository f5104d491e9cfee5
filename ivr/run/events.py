"""What a running flow is told: the events of the telephone side, and what only the owner of the call can know."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.call import CallEvent


@dataclass(frozen=True, slots=True)
class PlayFailed:
    """A play could not be made ready: a recording is missing, a text could not be spoken. Instead of ``PlayEnded``."""

    play_id: int
    reason: str


Event = CallEvent | PlayFailed
