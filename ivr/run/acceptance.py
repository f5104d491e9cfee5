"""Asking one party that has answered whether it takes the call: what it hears, the key it has to press.

Protects from mailboxes and from pockets: neither presses the right key. The whisper is played; without a key its end
is the consent. With one, the party may press it from the first word on, and has ``within`` seconds from the end of the
whisper, which is repeated after pauses. Another key refuses, and so does none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from gateway.call import KeyPressed, PlayEnded
from ivr.run.actions import Action, PlayItem, Whisper
from ivr.run.events import Event, PlayFailed

PAUSE: Final = 3.0
"""Seconds of silence before the whisper is repeated: time to find the key."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked of whoever answers."""

    items: tuple[PlayItem, ...] = ()
    """The whisper."""
    key: str | None = None
    within: float = 10.0
    """Seconds."""

    @property
    def none(self) -> bool:
        """Whoever answers has the call."""
        return not self.items and self.key is None


class Asking:
    """Owns the question to one leg, from its answer to its :attr:`verdict`."""

    def __init__(self, leg: str, terms: Terms, new_play: Callable[[], int]) -> None:
        self._leg = leg
        self._terms = terms
        self._new_play = new_play
        self._play: int | None = None
        self._until: float | None = None
        self._again: float | None = None
        self.verdict: Literal["accepted", "refused"] | None = None

    def start(self, now: float) -> list[Action]:
        if self._terms.items:
            return self._whisper()
        self._heard(now)
        return []

    def handle(self, event: Event, now: float) -> list[Action]:
        """Take an event; those of other legs and plays are passed over."""
        match event:
            case PlayEnded(play_id=play_id) | PlayFailed(play_id=play_id) if play_id == self._play:
                self._play = None
                self._heard(now)
            case KeyPressed(key=key, leg_id=leg) if leg == self._leg and self._terms.key is not None:
                self.verdict = "accepted" if key == self._terms.key else "refused"
        return []

    def next_timer(self) -> float | None:
        return min((due for due in (self._until, self._again) if due is not None), default=None)

    def handle_timer(self, now: float) -> list[Action]:
        if self._until is not None and now >= self._until:
            self.verdict = "refused"
        elif self._again is not None and now >= self._again:
            self._again = None
            return self._whisper()
        return []

    def _whisper(self) -> list[Action]:
        self._play = self._new_play()
        return [Whisper(self._leg, self._play, self._terms.items)]

    def _heard(self, now: float) -> None:
        if self._terms.key is None:
            self.verdict = "accepted"
            return
        if self._until is None:
            self._until = now + self._terms.within
        if self._terms.items:
            self._again = now + PAUSE
