"""What a running flow is told: the events of the telephone side, and what only the owner of the call can know."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.call import CallEvent
from ivr.hearing import Recognition
from ivr.run.requests import Reply


@dataclass(frozen=True, slots=True)
class PlayFailed:
    """A play could not be made ready: a recording is missing, a text could not be spoken. Instead of ``PlayEnded``."""

    play_id: int
    reason: str
    leg_id: str | None = None
    """Who should have heard it, as in ``PlayEnded``."""
    heard_ms: int = 0
    """What was heard of it before that was known."""


@dataclass(frozen=True, slots=True)
class RequestDone:
    """What came of a request."""

    request_id: int
    reply: Reply
    seconds: float = 0.0
    """How long it took."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller is speaking: long and loud enough that it is no noise."""

    listen_id: int


@dataclass(frozen=True, slots=True)
class SpeechHeard:
    """The caller has spoken, and this is what came of it."""

    listen_id: int
    recognition: Recognition


@dataclass(frozen=True, slots=True)
class HearingFailed:
    """Nobody listens: there is no capacity, no model, or the recogniser died."""

    listen_id: int
    reason: str


Event = CallEvent | PlayFailed | RequestDone | SpeechStarted | SpeechHeard | HearingFailed
