"""Parties without a protocol and media without sound: they write down what is asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from gateway.bridge import BridgedCall
from gateway.call import CallEvent, Clip, DropReason, LegFailed, LegKind, LegReport, LegRole, Target
from gateway.media.engine import MediaLeg
from gateway.media.mix import Mix
from gateway.party import Party

RINGBACK, MUSIC = Clip(b"\x01" * 160), Clip(b"\x02" * 160)


class Media:
    """What a leg would play, and whom it would hear."""

    def __init__(self, number: int) -> None:
        self.id = number
        self.playing: tuple[int, tuple[Clip, ...], bool] | None = None
        self.heard: Media | None = None
        self.keys = ""
        self.loops = 0
        """How often an endless play was begun."""
        self.takes_key_events = True
        self.listening: list[bool] = []
        """What was asked, in order."""
        self.closed = False
        self.waits_ms = 0

    def play(self, play_id: int, clips: Sequence[Clip], *, loop: bool = False, more: bool = False) -> None:
        self.playing = (play_id, tuple(clips), loop)
        self.loops += loop

    def extend_play(self, play_id: int, clips: Sequence[Clip], *, more: bool) -> None:
        if self.playing is not None and self.playing[0] == play_id:
            self.playing = (play_id, (*self.playing[1], *clips), False)

    def wait_for_far_end(self, milliseconds: int) -> None:
        self.waits_ms = milliseconds

    def stop_playing(self) -> None:
        self.playing = None

    def listen(self, on: bool) -> None:
        self.listening.append(on)

    def send_keys(self, keys: str, *, duration_ms: int = 100, gap_ms: int = 100) -> None:
        if len(self.keys + keys) > 128:
            raise ValueError("too many")
        self.keys += keys

    def bridge(self, other: Media) -> None:
        for one in (self, other):
            one.unbridge()
        self.heard, other.heard = other, self

    def unbridge(self) -> None:
        if self.heard is not None:
            self.heard.heard = None
        self.heard = None

    @property
    def plays(self) -> Clip | None:
        return self.playing[1][0] if self.playing else None


class FakeMix:
    """Who hears everybody else."""

    def __init__(self) -> None:
        self.members: list[Media] = []
        self.closed = False

    def add(self, media: Media) -> None:
        media.unbridge()
        if media not in self.members:
            self.members.append(media)

    def remove(self, media: Media) -> None:
        if media in self.members:
            self.members.remove(media)

    def close(self) -> None:
        self.members.clear()
        self.closed = True


class FakeParty:
    """One side of a call; the test says what happens to it."""

    def __init__(self, leg_id: str, role: LegRole, number: int) -> None:
        self.leg_id = leg_id
        self.role: LegRole = role
        self.kind: LegKind = "sip"
        self.answered = False
        self.codec: str | None = "PCMU"
        self.fake = Media(number)
        self.media = cast(MediaLeg, self.fake)
        self.legs = (self.media,)
        self.asked: list[str] = []
        self.hears_early = True
        """Whether he has made an offer that early media can go to."""

    def ring(self) -> None:
        self.asked.append("ring")

    def early(self) -> bool:
        self.asked.append("early")
        return self.hears_early

    def answer(self) -> None:
        self.answered = True
        self.asked.append("answer")

    def refer(self, leg_id: str, address: str, *, wait: bool) -> None:
        self.asked.append(f"refer {leg_id} {address}{'' if wait else ' blind'}")

    def forget_referral(self) -> None:
        self.asked.append("forget referral")

    def reject(self, status: int, text: str) -> None:
        self.asked.append(f"reject {status}")
        self.fake.closed = True

    def end(self, reason: DropReason) -> None:
        if not self.fake.closed:
            self.asked.append(f"end {reason}")
            self.fake.closed = True

    def media_lost(self) -> None:
        self.asked.append("media lost")

    def report(self) -> LegReport:
        return LegReport(self.leg_id, "sip", self.role, None, "", "", 200 if self.answered else None, "local", None)


class Switchboard:
    """A call, its caller, whom it dialled, and what its owner heard. Stands where the gateway would."""

    def __init__(self) -> None:
        self.told: list[CallEvent] = []
        self.dialled: dict[str, FakeParty] = {}
        self.forgotten: list[Party] = []
        self.mixes: list[FakeMix] = []
        self.nobody: LegFailed | None = None
        self.nowhere: LegFailed | None = None
        """Why the caller's telephone cannot call whom it is to call in our place."""
        self.headers: dict[str, Sequence[tuple[str, str]]] = {}
        """What was sent along with each call."""
        self.call = BridgedCall(
            call_id="c",
            did="1000",
            caller="anna",
            caller_name="",
            caller_account=None,
            make_party=self._make,
            open_mix=self._open_mix,
            find_address=lambda target, headers: self.nowhere or f"{target}@192.0.2.9",
            post=lambda _, event: self.told.append(event),
            acted=lambda: None,
            forget=self.forgotten.append,
            ringback_tone=RINGBACK,
            hold_music=MUSIC,
            greeting_wait=0.5,
        )
        self.caller = FakeParty("caller", "caller", 1)
        self.call.attach_caller(self.caller)

    def _open_mix(self) -> Mix:
        self.mixes.append(FakeMix())
        return cast(Mix, self.mixes[-1])

    def joins(self, leg_id: str, number: int) -> FakeParty:
        """Somebody calls the call itself."""
        member = FakeParty(leg_id, "caller", number)
        self.call.join(member)
        return member

    def _make(
        self,
        call: BridgedCall,
        leg_id: str,
        target: Target,
        caller_id: str | None,
        headers: Sequence[tuple[str, str]],
    ) -> Party | LegFailed:
        self.headers[leg_id] = headers
        if self.nobody is not None:
            return self.nobody
        party = self.dialled[leg_id] = FakeParty(leg_id, "agent", 2 + len(self.dialled))
        return party

    def dials(self, leg_id: str) -> FakeParty:
        self.call.dial(leg_id, Target("sip", leg_id))
        return self.dialled[leg_id]

    def answers(self, party: FakeParty) -> None:
        party.answered = True
        self.call.party_answered(party)

    def talk(self, leg_id: str = "leg1") -> FakeParty:
        """Answered and connected."""
        self.call.answer()
        party = self.dials(leg_id)
        self.answers(party)
        self.call.connect(leg_id)
        return party
