"""The one face of the telephone side: what a call is, what can happen to it, what can be asked of it.

Signalling and media of every kind end here. Whoever owns a call (a flow, usually) gets the events below, one at
a time and in order, and answers by calling methods of :class:`Call`. No method waits and none fails because the
far end misbehaves: what comes of it arrives as a later event. No SIP, RTP or SDP is visible on this side.

Times are seconds of a monotonic clock unless a name says otherwise (``_ms``); keys are single characters of
``0123456789*#ABCD``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from gateway.config import (
    CODECS,
    Client,
    Codec,
    GatewayConfig,
    IceServer,
    ListenAddress,
    RtcConfig,
    RtcListen,
    Seat,
    SrtpPolicy,
    TlsConfig,
    Transport,
    Trunk,
)
from gateway.media.clip import Clip
from gateway.rtc.account_rule import AccountRule, AccountRuleError, parse_account_rule
from gateway.rtc.origins import OriginError, Origins
from gateway.rtc.rights import Rights, RightsError, check_pattern
from gateway.rtc.token import LONGEST_LIFETIME as LONGEST_TOKEN_LIFETIME
from gateway.rtc.token import SHORTEST_SECRET as SHORTEST_TOKEN_SECRET
from gateway.rtc.token import SecretError, Tokens, secret_in, token_secret_file

__all__ = [
    "CODECS",
    "LONGEST_TOKEN_LIFETIME",
    "SHORTEST_TOKEN_SECRET",
    "AccountRule",
    "AccountRuleError",
    "Answered",
    "Arrival",
    "AudioHeard",
    "Call",
    "CallEnded",
    "CallEvent",
    "CallOwner",
    "CallerHeld",
    "CallerLeft",
    "CallerRetrieved",
    "Client",
    "Clip",
    "Codec",
    "DropReason",
    "EarlyMedia",
    "GatewayConfig",
    "IceServer",
    "InvitationEnd",
    "KeyPressed",
    "KeySource",
    "LegAnswered",
    "LegEnded",
    "LegFailed",
    "LegHeld",
    "LegKind",
    "LegOutcome",
    "LegReport",
    "LegRetrieved",
    "LegRinging",
    "LegRole",
    "LegState",
    "LegView",
    "ListenAddress",
    "MediaStarted",
    "OriginError",
    "Origins",
    "PlayEnded",
    "Reception",
    "Refusal",
    "Rights",
    "RightsError",
    "RtcConfig",
    "RtcListen",
    "Seat",
    "SecretError",
    "SignallingLine",
    "SrtpPolicy",
    "Target",
    "TlsConfig",
    "Tokens",
    "Transport",
    "Trunk",
    "check_pattern",
    "parse_account_rule",
    "secret_in",
    "token_secret_file",
]

KeySource = Literal["rfc4733", "info", "inband"]
LegKind = Literal["sip", "pstn", "rtc"]
LegRole = Literal["caller", "agent"]
LegOutcome = Literal["busy", "refused", "no_answer", "offline", "failed"]
DropReason = Literal["answered_elsewhere", "cancelled", "no_answer", "refused", "ended"]
"""``refused``: the party has answered and would not take the call."""


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to dial: ``sip:SEAT`` (a seat of the site), ``tel:NUMBER`` (out through a trunk), ``rtc:USER``."""

    scheme: Literal["sip", "tel", "rtc"]
    name: str
    trunk: str | None = None
    """Through which trunk a number is called; None: the first that can be reached."""

    def __str__(self) -> str:
        return f"{self.scheme}:{self.name}"


@dataclass(frozen=True, slots=True)
class InvitationEnd:
    """How an RTC invitation ended, in its own words."""

    state: Literal["accepted", "refused", "cancelled", "failed"]
    error: str | None = None
    """Why: ``busy``, ``no_response``, ``answered_elsewhere``, ...; None of one that was accepted."""
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class LegReport:
    """What is known of a leg once it is over; goes into the records."""

    leg_id: str
    kind: LegKind
    role: LegRole
    account: str | None
    """The seat, trunk or RTC user, or None for a caller who is not one of ours."""
    remote: str
    """The far end's address of record or number, as signalled."""
    signalling_id: str
    """SIP Call-ID, or the invitation of an RTC leg."""
    status: int | None
    """Final SIP status, None if there was none; of an RTC leg, the one that says the same."""
    hangup_by: Literal["remote", "local", "network"]
    codec: str | None
    packets_received: int = 0
    packets_sent: int = 0
    packets_lost: int = 0
    jitter_ms: float = 0.0
    round_trip_ms: float | None = None
    audio_received_ms: int = 0
    audio_sent_ms: int = 0
    invitation: InvitationEnd | None = None
    """What became of the invitation of an RTC leg."""


@dataclass(frozen=True, slots=True)
class SignallingLine:
    """A message about a leg, without anything secret that it held."""

    at: int
    """UTC epoch milliseconds."""
    direction: Literal["in", "out"]
    """``in``: it came to us."""
    peer: str
    """Whom it came from or went to: transport, address and port."""
    text: str
    """``INVITE sip:1000@192.0.2.1``, ``200 OK (INVITE)``."""
    number: int | None = None
    """CSeq: what belongs together has the same one."""
    sound: str | None = None
    """What the description in it says of sound, in short."""


LegState = Literal["ringing", "answered", "connected", "held"]
"""``connected``: the caller and it hear each other; ``held``: it has put the other on hold."""


@dataclass(frozen=True, slots=True)
class LegView:
    """A leg that is not over, for those who watch."""

    name: str
    """``caller``, or the name its owner dialled it under."""
    state: LegState
    report: LegReport
    """As far as it goes; how it ended is not known yet."""


# Events: what happened to the call. -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answered:
    """The caller's leg is up: the answer has been sent and media may flow."""


@dataclass(frozen=True, slots=True)
class EarlyMedia:
    """Sound before the answer has begun: the caller (``leg_id`` None) hears what is played although the call is not
    taken, or a dialled party sends sound before it answers."""

    leg_id: str | None = None


@dataclass(frozen=True, slots=True)
class MediaStarted:
    """The first valid packet came from the caller (``leg_id`` None) or from that leg."""

    leg_id: str | None = None


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """The caller (``leg_id`` None) or the party of that leg pressed a key; reported once per press."""

    key: str
    source: KeySource = "rfc4733"
    leg_id: str | None = None


@dataclass(frozen=True, slots=True)
class AudioHeard:
    """100 ms of what the caller says, while :meth:`Call.listen` is on: gaps are filled, whatever his codec."""

    pcm: bytes = field(repr=False)
    """800 samples of 16 bits at 8,000 Hz, native byte order."""


@dataclass(frozen=True, slots=True)
class PlayEnded:
    """What :meth:`Call.play` started is over: played to its end (``completed``), or stopped or replaced before."""

    play_id: int
    heard_ms: int
    completed: bool
    leg_id: str | None = None
    """Who heard it: the caller (None), or the party of that leg."""


@dataclass(frozen=True, slots=True)
class LegRinging:
    leg_id: str


@dataclass(frozen=True, slots=True)
class LegAnswered:
    """The dialled party answered. It hears silence until :meth:`Call.connect`."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class LegFailed:
    """A dialled leg ended before it was answered, for a reason that is not our own drop()."""

    leg_id: str
    outcome: LegOutcome
    status: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class LegEnded:
    """An answered leg ended: the party hung up (``agent``), or it vanished (``network``). Not sent after drop()."""

    leg_id: str
    by: Literal["agent", "network"]


@dataclass(frozen=True, slots=True)
class LegHeld:
    leg_id: str


@dataclass(frozen=True, slots=True)
class LegRetrieved:
    leg_id: str


@dataclass(frozen=True, slots=True)
class CallerHeld:
    """The caller put us on hold."""


@dataclass(frozen=True, slots=True)
class CallerRetrieved:
    """The caller took us off hold."""


@dataclass(frozen=True, slots=True)
class CallerLeft:
    """The caller hung up or gave up (``caller``), or was lost (``network``). Nothing can be played any more."""

    by: Literal["caller", "network"]
    cause: str
    """A short word for the records: ``bye``, ``cancel``, ``media_timeout``, ``session_expired``, ``no_ack``, ..."""


@dataclass(frozen=True, slots=True)
class CallEnded:
    """Every leg is gone and reported: the last event of a call, sent exactly once."""

    status: int | None
    legs: tuple[LegReport, ...]
    cause: str = "normal"
    """What :meth:`Call.hangup` was given: by the owner, or by the telephone side that ended the call of itself."""


CallEvent = (
    Answered
    | EarlyMedia
    | MediaStarted
    | KeyPressed
    | AudioHeard
    | PlayEnded
    | LegRinging
    | LegAnswered
    | LegFailed
    | LegEnded
    | LegHeld
    | LegRetrieved
    | CallerHeld
    | CallerRetrieved
    | CallerLeft
    | CallEnded
)


class CallOwner(Protocol):
    """Whoever decides what the call does next."""

    def call_event(self, event: CallEvent) -> None:
        """Take the next event. Called on the event loop; must not block."""


class Call(Protocol):
    """One caller and the legs dialled for him."""

    @property
    def call_id(self) -> str: ...
    @property
    def caller(self) -> str:
        """The caller's number or user name as signalled; empty if withheld."""

    @property
    def caller_name(self) -> str: ...
    @property
    def caller_account(self) -> str | None:
        """The seat the caller proved to be, if any; or the trunk he came through."""

    @property
    def caller_kind(self) -> LegKind:
        """What the caller calls with."""

    @property
    def did(self) -> str:
        """The number that was dialled."""

    @property
    def pstn(self) -> bool:
        """As :attr:`Arrival.pstn`."""

    def legs(self) -> tuple[LegView, ...]:
        """The caller, and who hears him, is being rung or has joined; as they are now."""

    def ringing(self) -> None:
        """Tell the caller that it rings (180). No effect once answered."""

    def early(self) -> None:
        """Let the caller hear what is played before the call is taken (183 with SDP). No effect once answered.
        :class:`EarlyMedia` follows.

        A caller who made no offer cannot hear it: what is played before the answer is over at once.
        """

    def answer(self) -> None:
        """Take the call. :class:`Answered` follows. No effect once answered."""

    def reject(self, status: int, text: str = "") -> None:
        """Refuse the unanswered call with a SIP status (300-699); an answered one is hung up instead."""

    def hangup(self, cause: str = "normal") -> None:
        """End the caller's leg and every other leg. :class:`CallEnded` follows."""

    def play(
        self,
        play_id: int,
        clips: Sequence[Clip],
        *,
        loop: bool = False,
        more: bool = False,
        leg_id: str | None = None,
    ) -> None:
        """Play clips one after the other to the caller; replaces what is playing. :class:`PlayEnded` follows.

        With ``more`` the play is not over after them: he hears silence until :meth:`extend_play`. What is played
        first after the answer waits for his first packet, see :attr:`GatewayConfig.greeting_wait`.

        With ``leg_id`` they are played to the party of that leg, which has answered and is not connected: what
        the caller hears goes on. No effect on any other leg; :meth:`connect` and :meth:`drop` end it.
        """

    def extend_play(self, play_id: int, clips: Sequence[Clip], *, more: bool) -> None:
        """Let clips follow those of a play that was begun with ``more``; the last ones come without. No effect on a
        play that is over."""

    def stop_playing(self) -> None:
        """Stop at once. :class:`PlayEnded` tells how much was heard."""

    def send_keys(self, keys: str, *, duration_ms: int = 100, gap_ms: int = 100) -> None:
        """Press keys for the caller's end to hear, one after the other; no effect before the answer.

        At most 128 can be waiting, 40 to 8,000 ms each; what is beyond is not sent.
        """

    def listen(self, on: bool) -> None:
        """Tell what the caller says, as :class:`AudioHeard`, from now on or no longer; off at first.

        It comes from his first packet on, whatever he hears and whoever he is connected to, until he is gone.
        """

    def ringback(self, on: bool) -> None:
        """Let the caller hear that somebody is being rung: the tone if he hears what is played, 180 if not."""

    def dial(
        self,
        leg_id: str,
        target: Target,
        *,
        caller_id: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Start a leg. It rings until answered, failed or dropped: ring time belongs to the owner.

        ``headers`` are sent to the party beside the usual ones, where its protocol has such.
        """

    def refer(self, leg_id: str, target: Target, *, wait: bool = True, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Ask the caller's own telephone, or the trunk he came through, to call ``target`` in our place.

        What comes of it is told as of a dialled leg: :class:`LegRinging`; :class:`LegAnswered` once the caller is in
        good hands and can be hung up; :class:`LegFailed` with what the telephone met, or ``failed`` if it cannot or
        will not do that. Without ``wait`` it is enough that it takes the task. :meth:`drop` gives up waiting: the
        telephone may still succeed. A caller who is not answered yet is redirected, which ends his leg at once.
        """

    def drop(self, leg_id: str, reason: DropReason) -> None:
        """End a leg in whatever state it is; nothing more is heard of it but its report in CallEnded."""

    def connect(self, leg_id: str) -> None:
        """Let the caller and an answered leg hear each other; stops ring-back and what is playing."""

    def disconnect(self) -> None:
        """Part the caller from the leg he is connected to; both legs stay."""


# Reception: who takes the calls. --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arrival:
    """A call that knocks, before anything has been set aside for it."""

    did: str
    caller: str
    account: str | None
    """The seat whose password was given, or the trunk the call came through."""
    trunk: bool
    rights: Rights | None = None
    """What an RTC client may call; None: a telephone calls."""
    pstn: bool = False
    """The client says that the number is one of the public network, whatever the plan makes of it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call is not taken: a SIP status and words for the log."""

    status: int
    text: str
    retry_after: int | None = None
    """Seconds."""


class Reception(Protocol):
    """Decides which calls are taken and who owns them."""

    def screen(self, arrival: Arrival) -> Refusal | Literal["authenticate"] | None:
        """None to take the call, ``authenticate`` to ask for a seat's password first. Cheap: floods end here."""

    def call_arrived(self, call: Call) -> CallOwner:
        """A call was taken. The owner's first act is usually answer() or ringing()."""

    def call_signalled(self, call_id: str, leg_id: str, lines: tuple[SignallingLine, ...]) -> None:
        """All that was said about a leg. Comes once, a moment after its end, which may be after the call's."""
