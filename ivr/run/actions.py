"""What a running flow asks of whoever owns the call, in the order in which it is to be done. Nothing here acts.

The first group is the calls of :class:`gateway.call.Call` as data; the second is for the records. Times are seconds
of the clock handed in as ``now``; heard times are milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gateway.call import DropReason, LegOutcome, Target
from ivr.flow.ssml import words_of
from ivr.hearing import Wanted
from ivr.run.requests import Asked

EndedBy = Literal["caller", "agent", "flow", "system", "network"]
OfferOutcome = LegOutcome | Literal["answered", "cancelled"]


# What the caller hears. -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlayRecording:
    """A sound file: ``prompts/LANGUAGE/NAME.wav``, then ``prompts/NAME.wav``."""

    name: str
    language: str


@dataclass(frozen=True, slots=True)
class PlayText:
    """Words to be spoken, written out as they are to be read."""

    text: str
    language: str
    ssml: bool = False
    """The text is a document in SSML."""

    @property
    def words(self) -> str:
        """What is said, without what says how."""
        return words_of(self.text) if self.ssml else self.text


PlayItem = PlayRecording | PlayText


# What is done to the call. --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """Take the call; the flow goes on with ``gateway.call.Answered``."""


@dataclass(frozen=True, slots=True)
class Ringing:
    """Tell the caller that it rings."""


@dataclass(frozen=True, slots=True)
class Early:
    """Let the caller hear what is played before the call is taken."""


@dataclass(frozen=True, slots=True)
class SendKeys:
    """Press keys for the caller's end to hear."""

    keys: str
    duration_ms: int
    gap_ms: int


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse the unanswered call with a SIP status."""

    status: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Hangup:
    """End the caller's leg and all others."""

    cause: str = "normal"


@dataclass(frozen=True, slots=True)
class Play:
    """Play the items one after the other. Owed for it, once: ``PlayEnded`` or :class:`ivr.run.events.PlayFailed`.

    There is never more than one play that has neither ended nor been stopped.
    """

    play_id: int
    items: tuple[PlayItem, ...]
    loop: bool = False


@dataclass(frozen=True, slots=True)
class Whisper:
    """Play to the answered party of a leg alone. Owed for it as for :class:`Play`, unless the leg is connected or over.

    Its number is one of the plays'. What the caller hears goes on.
    """

    leg_id: str
    play_id: int
    items: tuple[PlayItem, ...]


@dataclass(frozen=True, slots=True)
class StopPlaying:
    """Stop what plays, or is about to; ``PlayEnded`` is still owed and tells how much was heard."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Listen to the caller for one utterance. Owed for it, once: ``SpeechHeard`` or ``HearingFailed``.

    Nothing is owed after :class:`StopListening`. There is never more than one that has neither ended nor been stopped.
    """

    listen_id: int
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class StopListening:
    """What the caller says is no longer wanted."""

    listen_id: int


@dataclass(frozen=True, slots=True)
class Ringback:
    """Let the caller hear, or no longer hear, that somebody is being rung."""

    on: bool


@dataclass(frozen=True, slots=True)
class Dial:
    """Start a leg. It rings until answered, failed or dropped."""

    leg_id: str
    target: Target
    caller_id: str | None = None
    """Number to show, None for whatever the telephone side shows on that way."""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Refer:
    """Ask the caller's telephone to make the call; told of like a leg that is dialled, see ``gateway.call``."""

    leg_id: str
    target: Target
    wait: bool = True
    """Until it is known what came of it."""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Drop:
    """End a leg in whatever state it is. No event of it is waited for afterwards."""

    leg_id: str
    reason: DropReason


@dataclass(frozen=True, slots=True)
class Connect:
    """Let the caller and an answered leg hear each other."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Part the caller from the leg he is connected to."""


@dataclass(frozen=True, slots=True)
class Request:
    """Ask the world outside. Owed for it, once: :class:`ivr.run.events.RequestDone`; nothing after a cancellation."""

    request_id: int
    asked: Asked
    detached: bool = False
    """Nothing is owed for it, and it outlives the call."""


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """The answer is no longer wanted."""

    request_id: int


# What is written down. ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Log:
    """A line an operator or the interpreter wrote; secret values are already masked."""

    text: str
    place: str
    """``file:line:column`` of the step."""
    error: bool = False
    """True for a run-time error, False for what a ``log`` step says."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A name and a value for the call's record; secret values are already masked."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Mark:
    """What the call's own record says of it from here on; the last word of a kind counts."""

    kind: Literal["language", "variant", "goal", "disposition"]
    value: str


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step as it was gone through, or one try of a step that asks; a row of ``flow_steps``."""

    seq: int
    """Counts from 1 in every call."""
    flow: str
    block: str
    step: int
    """Number of the step in its block, from 1."""
    verb: str
    line: int
    began: float
    """Seconds, as ``now``."""
    ended: float
    try_no: int | None = None
    """From 1; None for a step that does not ask."""
    input_mode: Literal["keys", "speech"] | None = None
    """How the caller answered; None if not at all."""
    input: str | None = None
    """The keys, or the words as they were heard; None if there were none, or they are secret or not understood."""
    confidence: float | None = None
    """That these words were said, 0 to 1; None unless words were understood."""
    barged_in: bool | None = None
    """Whether speech or a key cut (or, typed ahead, skipped) the prompt; None for a step without a prompt."""
    heard_ms: int | None = None
    """How much of the prompt was heard; None for a step without a prompt."""
    exit: str | None = None
    """Name of the exit taken; ``no_input`` or ``no_match`` for a try that was not the last; None if cut short."""
    next_block: str | None = None
    """None: the next step, another try, or the end of the call."""
    error: str | None = None
    """What went wrong; the step may have gone on in spite of it."""
    detail: Mapping[str, object] | None = None
    """What came of it outside, what decided, what else may have been said; without secrets."""


@dataclass(frozen=True, slots=True)
class StepDone:
    """A row is complete. Rows come in the order of their numbers."""

    record: StepRecord


@dataclass(frozen=True, slots=True)
class OfferStarted:
    """A party is being rung; comes just before its :class:`Dial` or :class:`Refer`."""

    leg_id: str
    target: Target


@dataclass(frozen=True, slots=True)
class OfferEnded:
    """The ringing of that leg is over. Follows every :class:`OfferStarted`, once."""

    leg_id: str
    outcome: OfferOutcome


@dataclass(frozen=True, slots=True)
class Ended:
    """The conversation is over. The last action of a call, exactly once."""

    by: EndedBy
    """Who ended it, see :mod:`ivr.run.flow_run`."""
    cause: str
    """A short word for the records: the caller's (``bye``, ``cancel``, ...), the step's, or why the system did."""
    last_block: str


Action = (
    Answer
    | Ringing
    | Early
    | SendKeys
    | Reject
    | Hangup
    | Play
    | Whisper
    | StopPlaying
    | Listen
    | StopListening
    | Ringback
    | Dial
    | Refer
    | Drop
    | Connect
    | Disconnect
    | Request
    | CancelRequest
    | Log
    | Tag
    | Mark
    | StepDone
    | OfferStarted
    | OfferEnded
    | Ended
)
