"""A file of tests as the program sees it: calls, what is acted in each, what must come of it. Seconds; no file words.

How each is written stands beside it, as in the verbs of flows. Nothing here acts a call: see
:mod:`ivr.run.testing.acting`.
"""

# ruff: noqa: RUF009  (settings are declared by calls, as dataclasses.field is)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from ivr.flow.kinds import Duration, ListOf, Name, OneOf, Text, YesNo
from ivr.flow.model import Flow, Place
from ivr.flow.settings import setting
from ivr.run.actions import EndedBy
from ivr.run.testing.hearing import Cue, Sound, SoundName, Words
from ivr.run.testing.kinds import BlockName, BlockTries, Keys, Moment, Party, PartyName, Share, Texts, VariableTexts
from ivr.run.testing.mocks import Mock
from ivr.run.testing.speech import Said, SaidKind

_AFTER = "first wait for this block, recording or text"
_TALKS_OVER = "whether over what plays, not when it is over"

Deed = Literal["answer", "accept", "busy", "refuse", "no_answer", "offline", "fail", "hangup"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls what, and when."""

    number: str = setting(Text("a number", 64), "the caller's number; '' hides it", name="from", default="4930123456")
    did: str = setting(Text("a number", 64), "the number called", name="to", default="1000")
    at: datetime = setting(Moment(), "when the call comes", default=datetime(2026, 3, 2, 10, 0, tzinfo=UTC))
    chance: float = setting(Share(), "where chance puts the call in every split; 0% is the first variant", default=0.0)


# Steps ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hears:
    """Wait until a recording or a text begins that has not been heard by an earlier step."""

    place: Place = field(compare=False)
    sound: Sound = setting(SoundName(), "a recording, or {say: 'the whole text'}", name="hears")


@dataclass(frozen=True, slots=True)
class HearsText:
    """Wait until a text begins that has these words in it."""

    place: Place = field(compare=False)
    words: str = setting(Words(), "words of a spoken text", name="hears_text")


@dataclass(frozen=True, slots=True)
class Press:
    """Press keys, one every fifth of a second."""

    place: Place = field(compare=False)
    keys: str = setting(Keys(), "the keys", name="press")
    after: Sound | str | None = setting(Cue(), _AFTER, default=None)


@dataclass(frozen=True, slots=True)
class Says:
    """Say something as soon as nothing plays any more; it is lost if nobody listens then."""

    place: Place = field(compare=False)
    said: Said = setting(SaidKind(), "the words, or {text: operator, confidence: 0.4}", name="says")
    after: Sound | str | None = setting(Cue(), _AFTER, default=None)
    talks_over: bool = setting(YesNo(), _TALKS_OVER, default=False)


@dataclass(frozen=True, slots=True)
class Mumbles:
    """Say something that nobody understands."""

    place: Place = field(compare=False)
    seconds: float = setting(Duration(0.3, 60), "how long", name="mumbles")
    after: Sound | str | None = setting(Cue(), _AFTER, default=None)
    talks_over: bool = setting(YesNo(), _TALKS_OVER, default=False)


@dataclass(frozen=True, slots=True)
class Hearing:
    """Whether anybody can listen to the caller from here on: a recogniser can fail."""

    place: Place = field(compare=False)
    state: Literal["works", "fails"] = setting(OneOf(("works", "fails")), "whether anybody can listen", name="hearing")


@dataclass(frozen=True, slots=True)
class PromptCut:
    """Whether the last key, or what was last said, cut what was playing."""

    place: Place = field(compare=False)
    cut: bool = setting(YesNo(), "whether it was cut", name="prompt_cut")


@dataclass(frozen=True, slots=True)
class Wait:
    """Let time pass."""

    place: Place = field(compare=False)
    seconds: float = setting(Duration(0.02), "how long", name="wait")


@dataclass(frozen=True, slots=True)
class AtBlock:
    """Wait until the call is in a block."""

    place: Place = field(compare=False)
    block: str = setting(BlockName(), "the block", name="at_block")


@dataclass(frozen=True, slots=True)
class Rings:
    """Wait until a seat rings, or any of a group."""

    place: Place = field(compare=False)
    party: Party = setting(PartyName(groups=True), "a seat or a group", name="rings")


@dataclass(frozen=True, slots=True)
class SeatDoes:
    """Wait until a seat rings (has answered, for ``hangup`` and ``accept``), and let it do something.

    ``accept`` presses the key that takes the call. ``refuse`` and ``no_answer`` of one that is asked for that key press
    another one, and none.
    """

    place: Place = field(compare=False)
    seat: Party = setting(PartyName(), "the seat")
    deed: Deed = setting(
        OneOf(("answer", "accept", "busy", "refuse", "no_answer", "offline", "fail", "hangup")),
        "what it does",
        name="does",
    )


@dataclass(frozen=True, slots=True)
class Whispered:
    """Wait until a seat alone hears a recording or a text."""

    place: Place = field(compare=False)
    sound: Sound = setting(SoundName(), "a recording, or {say: 'the whole text'}", name="whisper")
    seat: Party = setting(PartyName(), "the seat", name="to")


@dataclass(frozen=True, slots=True)
class Bridged:
    """Wait until a seat and the caller talk."""

    place: Place = field(compare=False)
    seat: Party = setting(PartyName(), "the seat", name="bridged")


@dataclass(frozen=True, slots=True)
class MaxSilence:
    """From here on the caller is never left without a sound for longer."""

    place: Place = field(compare=False)
    seconds: float = setting(Duration(0.1, 3600), "how long at most", name="max_silence")


@dataclass(frozen=True, slots=True)
class HangUp:
    """The caller hangs up."""

    place: Place = field(compare=False)
    who: Literal["caller"] = setting(OneOf(("caller",)), "who", name="hangup")


Step = (
    Hears
    | HearsText
    | Press
    | Says
    | Mumbles
    | Hearing
    | PromptCut
    | Wait
    | AtBlock
    | Rings
    | SeatDoes
    | Whispered
    | Bridged
    | MaxSilence
    | HangUp
)

STEPS: Mapping[str, type[Step]] = {
    "hears": Hears,
    "hears_text": HearsText,
    "press": Press,
    "says": Says,
    "mumbles": Mumbles,
    "hearing": Hearing,
    "prompt_cut": PromptCut,
    "wait": Wait,
    "at_block": AtBlock,
    "rings": Rings,
    "seat": SeatDoes,
    "whisper": Whispered,
    "bridged": Bridged,
    "max_silence": MaxSilence,
    "hangup": HangUp,
}
"""The word a step begins with, and what it is."""


# What holds for every call --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Never:
    """What no call may do."""

    place: Place = field(compare=False)
    silence_longer_than: float | None = setting(Duration(0.1, 3600), "no caller hears nothing for longer", default=None)
    speak_after: Literal["hangup"] | None = setting(
        OneOf(("hangup",)), "nothing is said to a caller who has gone", default=None
    )


@dataclass(frozen=True, slots=True)
class Always:
    """What every call does."""

    place: Place = field(compare=False)
    end_within: float | None = setting(Duration(1, 86_400), "every call is over by then", default=None)
    every_call_has: Literal["ended_by"] | None = setting(
        OneOf(("ended_by",)), "it is known who ended each call", default=None
    )


Property = Never | Always

PROPERTIES: Mapping[str, type[Property]] = {"never": Never, "always": Always}


# Tests ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Expect:
    """What must be so when the steps are over.

    With ``ended_by`` or ``last_block``, and in a test without steps, the call goes on to its end first.
    """

    place: Place = field(compare=False)
    path: tuple[str, ...] | None = setting(ListOf(BlockName(), 1), "all blocks gone through, in order", default=None)
    path_starts: tuple[str, ...] | None = setting(ListOf(BlockName(), 1), "the first blocks", default=None)
    at_block: str | None = setting(BlockName(), "the block the call is in, still up", default=None)
    last_block: str | None = setting(BlockName(), "the block the call ended in", default=None)
    ended_by: EndedBy | None = setting(
        OneOf(("caller", "agent", "flow", "system", "network")), "who ended the call", default=None
    )
    tries: Mapping[str, int] | None = setting(BlockTries(), "how often the caller was asked, by block", default=None)
    goal: str | None = setting(Name("a word"), "the goal that the call reached", default=None)
    disposition: str | None = setting(Name("a word"), "what came of the call", default=None)
    tags: Mapping[str, str] | None = setting(Texts(), "tags that the call has", default=None)
    logs: tuple[str, ...] | None = setting(ListOf(Words(), 1), "words of lines that were logged", default=None)
    variables: Mapping[str, str] | None = setting(VariableTexts(), "values of variables, as text", default=None)


@dataclass(frozen=True, slots=True)
class Case:
    """One test: one call."""

    name: str
    flow: Flow = field(repr=False)
    caller: Caller
    lengths: Mapping[str, float]
    """Seconds of prompts that do not take the usual time, by recording or text."""
    steps: tuple[Step, ...]
    expect: Expect | None
    place: Place
    mocks: tuple[Mock, ...] = ()
    """What answers for the world outside, the first that fits; those of ``defaults`` come last."""
    gate: bool = False
    """Whether a reload that would break it must not happen."""
    closed: frozenset[str] = frozenset()
    """Calendars that are closed by hand."""
    properties: tuple[Property, ...] = ()
    """What must hold of the whole call besides."""


@dataclass(frozen=True, slots=True)
class Floor:
    """How much of the flow the tests must go through, per cent."""

    blocks: float = setting(Share(), "of the blocks", default=0.0)
    exits: float = setting(Share(), "of the exits of steps that can end in several ways", default=0.0)
