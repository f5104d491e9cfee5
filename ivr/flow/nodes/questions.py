"""Verbs that ask the caller for keys: a choice, digits, yes or no. One set of rules for all of them."""

# ruff: noqa: RUF009  (settings are declared by calls, as dataclasses.field is)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from ivr.flow.expression import Expression
from ivr.flow.keys import KeyPatterns
from ivr.flow.kinds import Duration, ListOf, Name, OneOf, Whole, YesNo
from ivr.flow.model import InputSettings, Prompt
from ivr.flow.nodes.kinds import Condition, DigitCount, Digits, KeyChoices, OneKey, OnePrompt
from ivr.flow.nodes.steps import DoneFirst, KeySteps
from ivr.flow.nodes.verb import Exit, Fills, Verb
from ivr.flow.settings import Kind, Reader, setting, settings_group
from ivr.flow.source import MappingNode

_PROMPT = ListOf(OnePrompt(), 0, 50)
_ASKED = "what is played before the keys are awaited"
_NO_INPUT = "played instead of the prompt after a try without any key: one item per try, the last repeats"
_NO_MATCH = "played instead of the prompt after a try with unusable keys: one item per try, the last repeats"

_EXITS = (
    Exit("failed", "all tries were used up", "on_error"),
    Exit("no_input", "all tries were used up and in the last one no key was pressed", "failed"),
    Exit("no_match", "all tries were used up and in the last one the keys were of no use", "failed"),
)


class InputGroup:
    """The settings of waiting for keys; unset ones are the flow's."""

    names: Mapping[str, tuple[Kind[Any], str]] = MappingProxyType(
        {
            "timeout": (Duration(0.1, 120), "silence before the first key, from the end of the prompt"),
            "gap": (Duration(0.1, 60), "silence between keys"),
            "tries": (Whole(1, 20), "how often the caller is asked"),
            "barge_in": (YesNo(), "whether a key cuts the prompt short"),
            "finish_key": (OneKey(allow_none=True), "the key that ends the input; none for no such key"),
            "type_ahead": (OneOf(("keep", "clear")), "whether keys pressed before the prompt count"),
        }
    )

    def __init__(self, **own: object) -> None:
        self._own = own
        """Defaults of the verb, stronger than the flow's."""

    def read_from(self, node: MappingNode, reader: Reader) -> InputSettings | None:
        written = {key.text: value for key, value in node.entries if key.text in self.names}
        if not written and not self._own:
            return reader.input
        changes: dict[str, Any] = dict(self._own)
        for name, (kind, _) in self.names.items():
            if name not in written:
                continue
            value = kind.read(written[name], reader)
            if value is None:
                return None
            changes[name] = value
        if changes.get("finish_key") == "":
            changes["finish_key"] = None
        return replace(reader.input, **changes)


_INPUT = InputGroup()
_INPUT_AFRESH = InputGroup(type_ahead="clear")


@dataclass(frozen=True, slots=True)
class Menu:
    """Let the caller choose with a key."""

    prompt: tuple[Prompt, ...] = setting(_PROMPT, _ASKED)
    keys: KeyPatterns = setting(KeyChoices(), "the keys and where they lead")
    no_input: tuple[Prompt, ...] = setting(_PROMPT, _NO_INPUT, default=())
    no_match: tuple[Prompt, ...] = setting(_PROMPT, _NO_MATCH, default=())
    input: InputSettings = settings_group(_INPUT, InputSettings())
    done: tuple[KeySteps, ...] = settings_group(DoneFirst(), ())
    """What keys do before they lead on."""


@dataclass(frozen=True, slots=True)
class Collect:
    """Take digits from the caller into a variable."""

    into: str = setting(Name("the name of a variable"), "the variable that gets the digits")
    prompt: tuple[Prompt, ...] = setting(_PROMPT, _ASKED)
    digits: DigitCount = setting(Digits(), "how many digits", default=DigitCount(1, 20))
    check: Expression | None = setting(
        Condition(), "what must hold of the digits, else the try was unusable", default=None
    )
    secret: bool = setting(YesNo(), "whether the digits are kept out of traces and records", default=False)
    no_input: tuple[Prompt, ...] = setting(_PROMPT, _NO_INPUT, default=())
    no_match: tuple[Prompt, ...] = setting(_PROMPT, _NO_MATCH, default=())
    input: InputSettings = settings_group(_INPUT, InputSettings())


@dataclass(frozen=True, slots=True)
class Confirm:
    """Ask for yes or no."""

    prompt: tuple[Prompt, ...] = setting(_PROMPT, _ASKED)
    yes_key: str = setting(OneKey(), "the key for yes", default="1")
    no_key: str = setting(OneKey(), "the key for no", default="2")
    no_input: tuple[Prompt, ...] = setting(_PROMPT, _NO_INPUT, default=())
    no_match: tuple[Prompt, ...] = setting(_PROMPT, _NO_MATCH, default=())
    input: InputSettings = settings_group(_INPUT_AFRESH, InputSettings(type_ahead="clear"))


_LATER = ("speech", "say", "voice", "hints")

VERBS = (
    Verb(
        "menu",
        Menu,
        "Plays a prompt and lets the caller choose with a key.",
        _EXITS,
        wires_keys=True,
        speaks=True,
        example="""\
- menu:
    prompt: main_menu
    keys:
      '1': sales
      '2': support
    no_input: [still_there, main_menu]
    failed: operator""",
        later=_LATER,
    ),
    Verb(
        "collect",
        Collect,
        "Plays a prompt and takes digits into a variable, which need not stand under vars.",
        (Exit("next", "the digits are there", "next", needs_caller=True), *_EXITS),
        order=("into", "prompt"),
        speaks=True,
        fills=Fills("digits", ("digits", "text", "number", "json"), ("failed", "no_input", "no_match")),
        example="- collect: {into: order, prompt: enter_order, digits: 8, check: luhn(order), failed: operator}",
        later=_LATER,
    ),
    Verb(
        "confirm",
        Confirm,
        "Plays a prompt and takes yes or no. Keys pressed before it do not count, unless type_ahead says so.",
        (Exit("yes", "yes", "next", needs_caller=True), Exit("no", "no", needs_caller=True), *_EXITS),
        speaks=True,
        example="- confirm: {prompt: {say: 'Is {order:digits} right?'}, yes: go_on, no: ask_order, failed: operator}",
        later=_LATER,
    ),
)
