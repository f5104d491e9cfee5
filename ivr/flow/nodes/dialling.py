"""Verbs that bring somebody else into the call: one target, or a group of seats."""

# ruff: noqa: RUF009  (settings are declared by calls, as dataclasses.field is)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from ivr.flow.kinds import Duration, ListOf, Name, OneOf
from ivr.flow.model import Prompt
from ivr.flow.nodes.kinds import OneKey, OnePrompt, TargetText, TemplateText
from ivr.flow.nodes.sip_headers import SipHeader, SipHeaders
from ivr.flow.nodes.verb import Exit, Verb
from ivr.flow.settings import Kind, Reader, setting, settings_group
from ivr.flow.source import MappingNode
from ivr.flow.template import Template

Strategy = Literal["all", "order", "steps", "random"]
Mode = Literal["bridge", "refer", "blind"]

_RING = Duration(1, 600)
_TALK = Duration(1, 4 * 3600)
_CALLER_ID = "the number the party called sees; unset, the caller's own"
_MAX = "the longest the two may talk; then the party is hung up, and the caller goes on by `max_reached`"
_HEADERS = "SIP headers that the party called gets; one whose text comes out empty is left out"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What a party that has answered hears and does before it gets the caller."""

    whisper: tuple[Prompt, ...] = ()
    key: str | None = None
    within: float = 10.0
    """Seconds, from the end of the whisper."""


class AcceptanceGroup:
    """The settings of asking a party first; a key is asked for only where something is said."""

    names: Mapping[str, tuple[Kind[Any], str]] = MappingProxyType(
        {
            "whisper": (
                ListOf(OnePrompt(), 1, 20),
                "what the party alone hears once it has answered, before it is connected",
            ),
            "accept_key": (
                OneKey(),
                "the key the party must press, while or after it hears the whisper, to take the call; another one "
                "refuses",
            ),
            "accept_within": (
                Duration(1, 60),
                "the time for that key, from the end of the whisper on, which is repeated meanwhile; unset, 10s",
            ),
        }
    )

    def read_from(self, node: MappingNode, reader: Reader) -> Acceptance | None:
        found: dict[str, Any] = {}
        for key, value in node.entries:
            if key.text in self.names:
                found[key.text] = self.names[key.text][0].read(value, reader)
        if any(value is None for value in found.values()):
            return None
        for name, needed, help in (
            ("accept_key", "whisper", "the party must hear which key: add whisper: {say: 'Press 1 to take a call.'}"),
            ("accept_within", "accept_key", "without a key there is nothing to wait for: add accept_key: '1'"),
        ):
            written = next((key for key, _ in node.entries if key.text == name), None)
            if written is not None and needed not in found:
                reader.problem("E115", written, f"'{name}' needs '{needed}' beside it", help)
        return Acceptance(found.get("whisper", ()), found.get("accept_key"), found.get("accept_within", 10.0))


class ModeGroup:
    """Who makes the call: we, or the caller's own telephone; then nothing can be asked of the call that is made."""

    words: Final = OneOf(("bridge", "refer", "blind"))
    names: Mapping[str, tuple[Kind[Any], str]] = MappingProxyType(
        {
            "mode": (
                words,
                "who makes the call. bridge, if not written: we do, and stay in between. refer: the caller's own "
                "telephone or trunk does, and the call here ends when it has succeeded. blind: the same without "
                "waiting for how it goes",
            )
        }
    )
    _OURS: Final = ("whisper", "accept_key", "accept_within", "max", "caller_id", "trunk")

    def read_from(self, node: MappingNode, reader: Reader) -> Mode | None:
        value = node.get("mode")
        if value is None:
            return "bridge"
        mode = self.words.read(value, reader)
        if mode is None or mode == "bridge":
            return None if mode is None else "bridge"
        wrong = self._OURS if mode == "refer" else (*self._OURS, "ring")
        clashing = [key for key, _ in node.entries if key.text in wrong]
        for key in clashing:
            help = "leave it out: the caller's own telephone makes the call" + (
                ", and nobody waits for it" if key.text == "ring" else ""
            )
            reader.problem("E115", key, f"'{key.text}' does not go with mode: {mode}", help)
        return "refer" if mode == "refer" else "blind"


_ASKED_FIRST = AcceptanceGroup()

_ANSWERED = Exit(
    "answered",
    "they have talked, and the caller is still there",
    needs_caller=True,
    never=("mode", ("refer", "blind")),
)
_BUSY = Exit("busy", "busy", never=("mode", ("blind",)))
_NO_ANSWER = Exit("no_answer", "nobody answered in time, or whoever did hung up during the whisper",
                  never=("mode", ("blind",)))  # fmt: skip
_FAILED = Exit("failed", "it could not be rung: a network or configuration fault", "on_error")
_MAX_REACHED = Exit("max_reached", "they have talked as long as `max` allows", "answered", needs_caller=True)


@dataclass(frozen=True, slots=True)
class Transfer:
    """Ring one target and connect the caller to it."""

    to: Template = setting(
        TargetText(), "whom to ring: a seat or an RTC client of the site, or a number through a trunk"
    )
    ring: float = setting(_RING, "how long it rings", default=25.0)
    caller_id: Template | None = setting(TemplateText("a number"), _CALLER_ID, default=None)
    trunk: str | None = setting(
        Name("the name of a trunk"),
        "the trunk that a number is called through; unset, the first that works",
        default=None,
    )
    longest: float | None = setting(_TALK, _MAX, default=None, name="max")
    headers: tuple[SipHeader, ...] = setting(SipHeaders(), _HEADERS, default=())
    mode: Mode = settings_group(ModeGroup(), "bridge")
    acceptance: Acceptance = settings_group(_ASKED_FIRST, Acceptance())


@dataclass(frozen=True, slots=True)
class Ring:
    """Ring the seats of a group and connect the caller to the first that answers."""

    group: str = setting(Name("the name of a group"), "a group of the site")
    strategy: Strategy = setting(
        OneOf(("all", "order", "steps", "random"), later=("longest_idle",)),
        "all at once; one after the other, in the group's order; step by step, as the group has them; one after the "
        "other, by chance",
        default="all",
    )
    ring: float = setting(_RING, "how long they ring; unless all ring at once, each of them", default=25.0)
    caller_id: Template | None = setting(TemplateText("a number"), _CALLER_ID, default=None)
    longest: float | None = setting(_TALK, _MAX, default=None, name="max")
    headers: tuple[SipHeader, ...] = setting(SipHeaders(), _HEADERS, default=())
    acceptance: Acceptance = settings_group(_ASKED_FIRST, Acceptance())


VERBS = (
    Verb(
        "transfer",
        Transfer,
        "Rings one target and connects the caller, who hears it ring meanwhile. With a whisper the party hears that "
        "first, and with `accept_key` it has to press the key to get the caller. With `mode: refer` or `blind` the "
        "caller's own telephone or trunk is asked to make the call (SIP REFER; 302 before the call is taken).",
        (
            _ANSWERED,
            _MAX_REACHED,
            _BUSY,
            Exit("refused", "the party refused, or did not press `accept_key`", never=("mode", ("blind",))),
            _NO_ANSWER,
            Exit("offline", "the seat is not registered, or the client not there"),
            _FAILED,
        ),
        speaks=True,
        example="""\
- transfer: {to: 'sip:2001', ring: 20s, whisper: {say: 'A call from {caller.number:digits}. Press 1.'},
             accept_key: '1', max: 30m, headers: {X-Order: '{call.did}'}, answered: bye, busy: voicemail,
             refused: voicemail, no_answer: voicemail, offline: voicemail, failed: operator}""",
    ),
    Verb(
        "ring",
        Ring,
        "Rings the seats of a group; the first that answers gets the caller, the others stop. Where `accept_key` is "
        "asked for, it is the first that presses it.",
        (
            Exit("answered", _ANSWERED.meaning, needs_caller=True),
            _MAX_REACHED,
            Exit("busy", "every seat was busy or refused"),
            Exit("no_answer", "nobody answered in time, or nobody is signed in"),
            _FAILED,
        ),
        speaks=True,
        example="- ring: {group: front_desk, strategy: steps, ring: 25s, answered: bye, busy: sorry, no_answer: sorry}",
    ),
)
