"""One party of a call, whatever protocol it speaks: the shape that a call sees. Signalling lives in its makers."""

from __future__ import annotations

from typing import Protocol, TypedDict

from gateway.call import DropReason, LegKind, LegOutcome, LegReport, LegRole
from gateway.media.engine import LegStatistics, MediaLeg


class Sound(TypedDict):
    """The part of a :class:`~gateway.call.LegReport` that the media engine counts."""

    packets_received: int
    packets_sent: int
    packets_lost: int
    jitter_ms: float
    round_trip_ms: float | None
    audio_received_ms: int
    audio_sent_ms: int


def sound_of(statistics: LegStatistics) -> Sound:
    """What a leg's counters say of its sound."""
    return Sound(
        packets_received=statistics.packets_received,
        packets_sent=statistics.packets_sent,
        packets_lost=statistics.lost,
        jitter_ms=statistics.jitter_ms,
        round_trip_ms=statistics.round_trip_ms,
        audio_received_ms=statistics.audio_received_ms,
        audio_sent_ms=statistics.audio_sent_ms,
    )


class Party(Protocol):
    """A party owns its signalling and its media leg, and tells :class:`PartyOwner` what happens to it."""

    @property
    def leg_id(self) -> str: ...
    @property
    def kind(self) -> LegKind: ...
    @property
    def role(self) -> LegRole: ...
    @property
    def media(self) -> MediaLeg: ...
    @property
    def legs(self) -> tuple[MediaLeg, ...]:
        """Its media leg, and those it would have had if another of its telephones had answered; always the same."""

    @property
    def answered(self) -> bool: ...
    @property
    def codec(self) -> str | None: ...

    def end(self, reason: DropReason) -> None:
        """Hang up, or stop ringing. Nothing is told to the owner afterwards but the report."""

    def media_lost(self) -> None:
        """No packet for so long that the party must be gone."""

    def report(self) -> LegReport:
        """What is known of it; how it ended, once it is over."""


class CallerParty(Party, Protocol):
    """The party that called us."""

    def ring(self) -> None:
        """Tell him that it rings. No effect once answered."""

    def early(self) -> bool:
        """Let him hear what is played although the call is not taken; whether he can. No effect once answered."""

    def answer(self) -> None:
        """Take the call. No effect once answered."""

    def reject(self, status: int, text: str) -> None:
        """Refuse the call that is not answered yet."""

    def refer(self, leg_id: str, address: str, *, wait: bool) -> None:
        """Ask him to call that address himself, once answered; what comes of it the owner is told under that name.

        Before the answer he is redirected there, and gone.
        """

    def forget_referral(self) -> None:
        """What comes of it does not matter any more."""


class PartyOwner(Protocol):
    """The call, as its parties see it."""

    def party_ringing(self, party: Party) -> None: ...
    def party_early_media(self, party: Party, on: bool) -> None:
        """The far end sends sound before it answers (announcements, its own ring-back), or does so no more."""

    def party_answered(self, party: Party) -> None: ...
    def party_failed(self, party: Party, outcome: LegOutcome, status: int | None, text: str) -> None:
        """A dialled party ended before it answered."""

    def referral_ringing(self, leg_id: str) -> None:
        """Whom the caller's telephone calls in our place rings."""

    def referral_taken(self, leg_id: str) -> None:
        """The caller is in good hands."""

    def referral_failed(self, leg_id: str, outcome: LegOutcome, status: int | None, text: str) -> None:
        """The caller's telephone cannot, will not, or met this."""

    def party_left(self, party: Party, *, network: bool, cause: str) -> None:
        """An answered party, or a caller at any time, is gone."""

    def party_held(self, party: Party, held: bool) -> None: ...
    def party_key(self, party: Party, key: str) -> None:
        """A key that came by signalling (SIP INFO)."""

    def hangup(self, cause: str = "normal") -> None:
        """End everything."""
