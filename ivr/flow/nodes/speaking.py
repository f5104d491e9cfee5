"""Verbs the caller hears without being asked anything: recordings, speech, music, silence."""

# ruff: noqa: RUF009  (settings are declared by calls, as dataclasses.field is)

from __future__ import annotations

from dataclasses import dataclass

from ivr.flow.kinds import Duration, LanguageCode, ListOf, YesNo
from ivr.flow.model import Prompt, Recording
from ivr.flow.nodes.kinds import KeysText, OnePrompt, RecordingName, SpokenText
from ivr.flow.nodes.verb import NEXT, Exit, Verb
from ivr.flow.settings import setting
from ivr.flow.template import Template

_CUT = "whether a key cuts it short; the key is kept for the next question"
_FAILED = Exit("failed", "the speech could not be made", "error")
_MISSING = Exit("missing", "the recording cannot be played", "error")


@dataclass(frozen=True, slots=True)
class Play:
    """Play prompts, one after the other."""

    prompt: tuple[Prompt, ...] = setting(ListOf(OnePrompt(), 1, 50), "what is played, in order")
    loop: bool = setting(YesNo(), "begin again at the end, until the caller presses a key or hangs up", default=False)
    barge_in: bool = setting(YesNo(), _CUT, default=True, inherits=True)


@dataclass(frozen=True, slots=True)
class Say:
    """Speak a text."""

    text: Template = setting(SpokenText(), "what is spoken; in SSML if it begins with `<speak>`")
    barge_in: bool = setting(YesNo(), _CUT, default=True, inherits=True)


@dataclass(frozen=True, slots=True)
class Music:
    """Play a recording over and over for a while."""

    recording: Recording = setting(RecordingName(), "the music: a recording, found like every other")
    duration: float = setting(Duration(1, 3600), "how long", name="for")


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence. Keys pressed meanwhile are kept for the next question."""

    duration: float = setting(Duration(0.02, 600), "how long", name="for")


@dataclass(frozen=True, slots=True)
class KeysOut:
    """Press keys for the caller's end to hear."""

    keys: Template = setting(KeysText(), "the keys")
    length: float = setting(Duration(0.04, 2), "how long each is pressed", default=0.1)
    gap: float = setting(Duration(0.04, 5), "silence between them", default=0.1)


@dataclass(frozen=True, slots=True)
class Language:
    """Speak another language from here on."""

    code: str = setting(LanguageCode(), "one of the flow's languages")


VERBS = (
    Verb(
        "play",
        Play,
        "Plays recordings: prompts/LANGUAGE/NAME.wav, else prompts/NAME.wav.",
        (NEXT, _MISSING),
        short="prompt",
        speaks=True,
        early=True,
        example="- play: [welcome, {say: 'You called {call.did:digits}.'}]",
    ),
    Verb(
        "say",
        Say,
        "Speaks a text, in the language of the call.",
        (NEXT, _FAILED),
        short="text",
        speaks=True,
        early=True,
        example="- say: 'Your order is {order:digits}.'",
        later=("voice",),
    ),
    Verb(
        "music",
        Music,
        "Plays a recording again and again for a while.",
        (NEXT, _MISSING),
        speaks=True,
        early=True,
        example="- music: {recording: hold_music, for: 20s}",
    ),
    Verb("pause", Pause, "Waits in silence.", (NEXT,), short="for", speaks=True, early=True, example="- pause: 2s"),
    Verb(
        "keys_out",
        KeysOut,
        "Presses keys, as the caller's end hears them: for machines that call, or a door that opens by a key.",
        (NEXT, Exit("failed", "what comes of the text are no keys, or too many", "error")),
        short="keys",
        speaks=True,
        example="- keys_out: '123#'",
    ),
    Verb(
        "language",
        Language,
        "Changes the language of the call: of recordings, of speech, of how values are said.",
        (NEXT,),
        short="code",
        at_once=True,
        example="- language: zh",
    ),
)
