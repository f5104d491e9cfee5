"""A caller and the parties dialled for him, joined and parted: the :class:`~gateway.call.Call` that owners hold.

Knows no protocol. Parties tell it what happened; it tells its owner, and moves sound in the media engine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from gateway.call import (
    Answered,
    AudioHeard,
    CallEnded,
    CallerHeld,
    CallerLeft,
    CallerRetrieved,
    CallEvent,
    CallOwner,
    Clip,
    DropReason,
    EarlyMedia,
    KeyPressed,
    KeySource,
    LegAnswered,
    LegEnded,
    LegFailed,
    LegHeld,
    LegKind,
    LegOutcome,
    LegReport,
    LegRetrieved,
    LegRinging,
    LegState,
    LegView,
    MediaStarted,
    PlayEnded,
    Target,
)
from gateway.media.mix import Mix
from gateway.party import CallerParty, Party

log = logging.getLogger(__name__)

# Sounds that the call plays of itself; the owner's play ids are positive.
_RINGBACK = -1
_HOLD = -2

_MEMBERS_MAX = 14
"""Besides the two: more than anybody can follow on a telephone."""

Headers = Sequence[tuple[str, str]]
MakeParty = Callable[["BridgedCall", str, Target, str | None, Headers], Party | LegFailed]
FindAddress = Callable[[Target, Headers], str | LegFailed]
"""What the caller's own telephone would have to call; or why there is nothing."""
Post = Callable[["BridgedCall", CallEvent], None]


class BridgedCall:
    """Owns the caller's party and every party dialled for him, and who hears whom."""

    def __init__(
        self,
        *,
        call_id: str,
        did: str,
        caller: str,
        caller_name: str,
        caller_account: str | None,
        pstn: bool = False,
        make_party: MakeParty,
        open_mix: Callable[[], Mix],
        find_address: FindAddress,
        post: Post,
        acted: Callable[[], None],
        forget: Callable[[Party], None],
        ringback_tone: Clip,
        hold_music: Clip,
        greeting_wait: float = 0.0,
    ) -> None:
        self.call_id = call_id
        self.did = did
        self.caller = caller
        self.caller_name = caller_name
        self.caller_account = caller_account
        self.pstn = pstn
        self.caller_kind: LegKind = "sip"
        self.owner: CallOwner | None = None
        self._make_party = make_party
        self._open_mix = open_mix
        self._find_address = find_address
        self._post = post
        self._acted = acted
        self._forget = forget
        self._ringback_tone = ringback_tone
        self._hold_music = hold_music
        self._greeting_wait_ms = round(greeting_wait * 1000)
        self._caller: CallerParty | None = None
        self._legs: dict[str, Party] = {}
        self._connected: Party | None = None
        self._members: list[Party] = []
        """Who joined the two that talk: then all are mixed."""
        self._mix: Mix | None = None
        self._held: set[str] = set()
        self._early: Party | None = None
        self._referral: str | None = None
        """The name under which the caller's telephone calls somebody in our place."""
        self._ringback = False
        self._listening = False
        """The owner wants to hear what the caller says."""
        self._heard_early = False
        """The caller hears what is played although the call is not taken."""
        self._unheard = False
        """Early media was asked for and cannot be: the caller has made no offer."""
        self._reports: list[LegReport] = []
        self._status: int | None = None
        self._over = False

    def attach_caller(self, party: CallerParty) -> None:
        self._caller = party
        self.caller_kind = party.kind

    @property
    def over(self) -> bool:
        return self._over

    @property
    def codec(self) -> str | None:
        """What the caller speaks, once that is agreed."""
        return None if self._caller is None else self._caller.codec

    def legs(self) -> tuple[LegView, ...]:
        """The caller, whom he hears or who is being rung, and who joined; as they are now."""
        named: list[tuple[str, Party]] = [] if self._caller is None else [("caller", self._caller)]
        named += self._legs.items()
        named += [(member.leg_id, member) for member in self._members]
        return tuple(LegView(name, self._state(party), party.report()) for name, party in named)

    def _state(self, party: Party) -> LegState:
        if not party.answered:
            return "ringing"
        if party.leg_id in self._held:
            return "held"
        talks = self._connected is not None and party in (self._caller, self._connected, *self._members)
        return "connected" if talks else "answered"

    # What the owner asks for --------------------------------------------------------------------------

    def ringing(self) -> None:
        if self._caller is not None and not self._caller.answered:
            self._caller.ring()
            self._acted()

    def early(self) -> None:
        caller = self._caller
        if caller is None or caller.answered or self._heard_early:
            return
        self._heard_early = caller.early()
        self._unheard = not self._heard_early
        self._acted()
        if self._heard_early:
            self._tell(EarlyMedia())
            if self._ringback:
                self._start_ringback()

    def answer(self) -> None:
        caller = self._caller
        if caller is not None and not caller.answered:
            caller.answer()
            caller.media.wait_for_far_end(self._greeting_wait_ms)
            self._acted()
            self._tell(Answered())
            if self._ringback and not self._heard_early:
                self._start_ringback()

    def reject(self, status: int, text: str = "") -> None:
        caller = self._caller
        if caller is None:
            return
        if caller.answered:
            self.hangup("rejected")
            return
        caller.reject(status, text)
        self._status = status
        self._end_all("ended", "rejected")

    def hangup(self, cause: str = "normal") -> None:
        log.debug("call %s: hang up (%s)", self.call_id, cause)
        self._end_all("ended", cause)

    def play(
        self,
        play_id: int,
        clips: Sequence[Clip],
        *,
        loop: bool = False,
        more: bool = False,
        leg_id: str | None = None,
    ) -> None:
        if leg_id is not None:
            party = self._legs.get(leg_id)
            if party is not None and party.answered and party is not self._connected:
                party.media.play(play_id, clips, loop=loop)
            return
        caller = self._caller
        if caller is None:
            return
        if not self._unheard or caller.answered:
            caller.media.play(play_id, clips, loop=loop, more=more)
        elif not loop:
            # There is nobody to play it to, so no packet would ever end it.
            self._tell(PlayEnded(play_id, 0, True))

    def extend_play(self, play_id: int, clips: Sequence[Clip], *, more: bool) -> None:
        if self._caller is not None:
            self._caller.media.extend_play(play_id, clips, more=more)

    def stop_playing(self) -> None:
        if self._caller is not None:
            self._caller.media.stop_playing()

    def send_keys(self, keys: str, *, duration_ms: int = 100, gap_ms: int = 100) -> None:
        if self._caller is None or not self._caller.answered:
            return
        try:
            self._caller.media.send_keys(keys, duration_ms=duration_ms, gap_ms=gap_ms)
        except ValueError as error:
            log.warning("call %s: keys are not sent: %s", self.call_id, error)

    def listen(self, on: bool) -> None:
        if self._caller is not None and on != self._listening:
            self._listening = on
            self._caller.media.listen(on)

    def ringback(self, on: bool) -> None:
        caller = self._caller
        if caller is None or on == self._ringback:
            return
        self._ringback = on
        if not on:
            if self._hears(caller) and self._connected is None:
                caller.media.unbridge()
                caller.media.stop_playing()
            self._early = None
        elif self._hears(caller):
            self._start_ringback()
        else:
            caller.ring()
            self._acted()

    def dial(self, leg_id: str, target: Target, *, caller_id: str | None = None, headers: Headers = ()) -> None:
        if self._over or leg_id in self._legs:
            return
        party = self._make_party(self, leg_id, target, caller_id, headers)
        self._acted()
        if isinstance(party, LegFailed):
            self._tell(party)
        else:
            self._legs[leg_id] = party

    def refer(self, leg_id: str, target: Target, *, wait: bool = True, headers: Headers = ()) -> None:
        caller = self._caller
        if self._over or caller is None:
            return
        address = self._find_address(target, headers)
        if isinstance(address, LegFailed):
            self._tell(LegFailed(leg_id, address.outcome, address.status, address.text))
        else:
            self._referral = leg_id
            caller.refer(leg_id, address, wait=wait)
        self._acted()

    def drop(self, leg_id: str, reason: DropReason) -> None:
        if leg_id == self._referral:
            self._referral = None
            if self._caller is not None:
                self._caller.forget_referral()
        party = self._legs.pop(leg_id, None)
        if party is None:
            return
        if party is self._connected:
            self.disconnect()
        self._part_early(party)
        party.end(reason)
        self._report(party)
        self._held.discard(party.leg_id)
        self._acted()

    def connect(self, leg_id: str) -> None:
        party = self._legs.get(leg_id)
        caller = self._caller
        if party is None or caller is None or not party.answered or not caller.answered:
            return
        if self._connected is not None:
            self.disconnect()
        self._ringback = False
        self._early = None
        for media in (caller.media, party.media):
            media.stop_playing()
        self._connected = party
        self._rejoin()

    def join(self, party: CallerParty) -> None:
        """Let one more party in who has called this call itself: all hear each other from now on.

        Only a call in which two talk can be joined; otherwise, and when there is no room, he is refused.
        """
        if self._connected is None or self._caller is None or len(self._members) >= _MEMBERS_MAX:
            party.reject(480 if self._connected is None else 486, "")
            self._report(party)
            return
        party.answer()
        self._members.append(party)
        self._rejoin()
        self._acted()

    def disconnect(self) -> None:
        party, self._connected = self._connected, None
        self._dismiss()
        if party is not None and self._caller is not None:
            self._caller.media.unbridge()
            for media in (self._caller.media, party.media):
                media.stop_playing()

    # What parties tell --------------------------------------------------------------------------------

    def party_ringing(self, party: Party) -> None:
        self._tell(LegRinging(party.leg_id))

    def party_early_media(self, party: Party, on: bool) -> None:
        caller = self._caller
        if not on:
            self._part_early(party)
            return
        self._tell(EarlyMedia(party.leg_id))
        if self._ringback and caller is not None and self._connected is None and self._early is None:
            # What the far end plays (an announcement, its own ring-back) is truer than our tone (RFC 3960).
            if not self._hears(caller):
                self._heard_early = caller.early()
                if not self._heard_early:
                    return
                self._tell(EarlyMedia())
            self._early = party
            caller.media.stop_playing()
            caller.media.bridge(party.media)
            self._acted()

    def party_answered(self, party: Party) -> None:
        if party.role == "agent":
            self._part_early(party)
            party.media.wait_for_far_end(self._greeting_wait_ms)
            self._tell(LegAnswered(party.leg_id))

    def party_failed(self, party: Party, outcome: LegOutcome, status: int | None, text: str) -> None:
        if self._legs.pop(party.leg_id, None) is not None:
            self._part_early(party)
            self._report(party)
            self._tell(LegFailed(party.leg_id, outcome, status, text))

    def party_left(self, party: Party, *, network: bool, cause: str) -> None:
        if party is self._caller:
            self._tell(CallerLeft("network" if network else "caller", cause))
            self._caller_gone(party)
        elif party in self._members:
            self._members.remove(party)
            self._held.discard(party.leg_id)
            self._report(party)
            self._rejoin()
        elif (name := self._name_of(party)) is not None:
            self._held.discard(party.leg_id)
            if party is self._connected and self._members:
                # The others talk on: one of them stands for the leg that the owner knows.
                self._legs[name] = self._connected = self._members.pop(0)
                self._report(party)
                self._rejoin()
                return
            del self._legs[name]
            if party is self._connected:
                self.disconnect()
            self._report(party)
            self._tell(LegEnded(name, "network" if network else "agent"))

    def referral_ringing(self, leg_id: str) -> None:
        if leg_id == self._referral:
            self._tell(LegRinging(leg_id))

    def referral_taken(self, leg_id: str) -> None:
        if leg_id == self._referral:
            self._referral = None
            self._tell(LegAnswered(leg_id))

    def referral_failed(self, leg_id: str, outcome: LegOutcome, status: int | None, text: str) -> None:
        if leg_id == self._referral:
            self._referral = None
            self._tell(LegFailed(leg_id, outcome, status, text))

    def party_held(self, party: Party, held: bool) -> None:
        if held == (party.leg_id in self._held):
            return
        (self._held.add if held else self._held.discard)(party.leg_id)
        if party is self._caller:
            self._tell(CallerHeld() if held else CallerRetrieved())
        elif (name := self._name_of(party)) is not None:
            self._tell(LegHeld(name) if held else LegRetrieved(name))
        if self._connected is not None:
            self._rejoin()

    def party_key(self, party: Party, key: str) -> None:
        self._key(party, key, "info")

    # What the media engine tells ----------------------------------------------------------------------

    def media_started(self, party: Party) -> None:
        if party not in self._members:
            self._tell(MediaStarted(self._leg_name(party)))

    def media_key(self, party: Party, key: str, inband: bool) -> None:
        self._key(party, key, "inband" if inband else "rfc4733")

    def media_audio(self, party: Party, pcm: bytes) -> None:
        # Some may have been on its way when listening ended.
        if self._listening and party is self._caller:
            self._tell(AudioHeard(pcm))

    def media_play_ended(self, party: Party, play_id: int, heard_ms: int, completed: bool) -> None:
        if play_id > 0:
            self._tell(PlayEnded(play_id, heard_ms, completed, self._leg_name(party)))

    # --------------------------------------------------------------------------------------------------

    def _tell(self, event: CallEvent) -> None:
        if not self._over:
            self._post(self, event)

    def _leg_name(self, party: Party) -> str | None:
        """As events have it: None for the caller."""
        return None if party is self._caller else self._name_of(party) or party.leg_id

    def _name_of(self, party: Party) -> str | None:
        """The leg that a dialled party is to the owner; None for one who joined, and for one who is gone."""
        if self._legs.get(party.leg_id) is party:
            return party.leg_id
        return next((name for name, leg in self._legs.items() if leg is party), None)

    def _key(self, party: Party, key: str, source: KeySource) -> None:
        if party in self._members:
            return
        self._tell(KeyPressed(key, source, self._leg_name(party)))
        self._pass_on(party, key, source)

    def _pass_on(self, party: Party, key: str, source: KeySource) -> None:
        """Let the party on the other side have a key that the engine does not carry there by itself."""
        caller, connected = self._caller, self._connected
        if caller is None or connected is None or self._held or party not in (caller, connected):
            return
        other = connected if party is caller else caller
        if source == "info" or (source == "rfc4733" and not other.media.takes_key_events):
            try:
                other.media.send_keys(key)
            except ValueError:
                log.debug("call %s: key %s is not passed on: too many are waiting", self.call_id, key)

    def _hears(self, caller: CallerParty) -> bool:
        return caller.answered or self._heard_early

    def _start_ringback(self) -> None:
        assert self._caller is not None
        self._caller.media.play(_RINGBACK, [self._ringback_tone], loop=True)

    def _part_early(self, party: Party) -> None:
        if party is self._early and self._caller is not None:
            self._early = None
            self._caller.media.unbridge()
            if self._ringback:
                self._start_ringback()

    def _rejoin(self) -> None:
        """Let those who talk hear each other, and him hear music whom the other has on hold."""
        caller, party = self._caller, self._connected
        assert caller is not None
        assert party is not None
        if self._members:
            self._remix([caller, party, *self._members])
            return
        self._end_mix()
        if not self._held & {caller.leg_id, party.leg_id}:
            for media in (caller.media, party.media):
                media.stop_playing()
            caller.media.bridge(party.media)
            return
        caller.media.unbridge()
        for waiting, other in ((caller, party), (party, caller)):
            if other.leg_id in self._held and waiting.leg_id not in self._held:
                waiting.media.play(_HOLD, [self._hold_music], loop=True)

    def _remix(self, parties: Sequence[Party]) -> None:
        """Who holds is left out, and the others talk on; music is for one who waits alone."""
        if self._mix is None:
            self._mix = self._open_mix()
        talking = [party for party in parties if party.leg_id not in self._held]
        for party in parties:
            if party not in talking:
                self._mix.remove(party.media)
            elif len(talking) > 1:
                party.media.stop_playing()
                self._mix.add(party.media)
            else:
                party.media.play(_HOLD, [self._hold_music], loop=True)

    def _end_mix(self) -> None:
        mix, self._mix = self._mix, None
        if mix is not None:
            mix.close()

    def _dismiss(self) -> None:
        """Who joined leaves with the two he joined."""
        members, self._members = self._members, []
        self._end_mix()
        for member in members:
            member.end("ended")
            self._held.discard(member.leg_id)
            self._report(member)

    def _caller_gone(self, party: Party) -> None:
        """The caller has left; legs stay until the owner drops them, which it does on CallerLeft."""
        self.disconnect()
        self._ringback = False
        self._referral = None
        self._report(party)
        self._caller = None
        self._status = self._reports[-1].status

    def _report(self, party: Party) -> None:
        self._reports.append(party.report())
        self._forget(party)

    def _end_all(self, reason: DropReason, cause: str) -> None:
        if self._over:
            return
        self.disconnect()
        for leg_id in list(self._legs):
            party = self._legs[leg_id]
            self.drop(leg_id, "ended" if party.answered else "cancelled")
        caller, self._caller = self._caller, None
        if caller is not None:
            caller.end(reason)
            self._report(caller)
            if self._status is None:
                self._status = self._reports[-1].status
        self._tell(CallEnded(self._status, tuple(self._reports), cause))
        self._over = True
        self._acted()
