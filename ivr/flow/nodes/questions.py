"""Verbs that ask the caller, who presses keys or speaks: a choice, a value, yes or no, what he wants.

One set of rules for all of them.
"""

# ruff: noqa: RUF009  (settings are declared by calls, as dataclasses.field is)

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, get_args

from ivr.flow.expression import Expression
from ivr.flow.keys import KeyPatterns
from ivr.flow.kinds import Duration, ListOf, Name, OneOf, Share, Whole, YesNo
from ivr.flow.model import InputSettings, Prompt, SpokenChoice
from ivr.flow.nodes.kinds import Condition, DigitCount, Digits, KeyChoices, OneKey, OnePrompt
from ivr.flow.nodes.spoken import Intents, SpokenKeys, SpokenYesNo
from ivr.flow.nodes.steps import DoneFirst, KeySteps
from ivr.flow.nodes.verb import Exit, Fills, Verb
from ivr.flow.nodes.words import FORMS_LIMIT, Phrase
from ivr.flow.settings import Kind, Reader, Schema, setting, settings_group
from ivr.flow.source import MappingNode, Node, ScalarNode
from ivr.flow.values import YES_NO
from ivr.hearing import SpokenType

_PROMPT = ListOf(OnePrompt(), 0, 50)
_ASKED = "what is played before the caller answers"
_NO_INPUT = "played instead of the prompt after a try without any answer: one item per try, the last repeats"
_NO_MATCH = "played instead of the prompt after a try with an unusable answer: one item per try, the last repeats"

_EXITS = (
    Exit("failed", "all tries were used up", "on_error"),
    Exit("no_input", "all tries were used up and in the last one nothing was pressed or said", "failed"),
    Exit("no_match", "all tries were used up and in the last one the answer was of no use", "failed"),
)

SPOKEN_INTO: Final[Mapping[SpokenType, Fills]] = MappingProxyType(
    {
        "digits": Fills("digits", ("digits", "text", "number", "json")),
        "number": Fills("number", ("number", "money", "json")),
        "money": Fills("money", ("money", "number", "json")),
        "date": Fills("date", ("date",)),
        "time": Fills("time", ("time",)),
        "yes_no": Fills("yes_no", ("yes_no", "json")),
        "text": Fills("text", ("text", "json")),
    }
)
"""Variables into which what is said in a ``collect`` can be put, by what is listened for."""


@dataclass(frozen=True)
class BargeIn:
    """What cuts a prompt short. Gives whether keys do, and whether speech does."""

    def read(self, node: Node, reader: Reader) -> tuple[bool, bool] | None:
        word = node.text.lower() if isinstance(node, ScalarNode) else ""
        if word in YES_NO:
            return YES_NO[word], YES_NO[word]
        found = OneOf(("yes", "no", "keys", "speech")).read(node, reader)
        return None if found is None else (found == "keys", found == "speech")

    def schema(self) -> Schema:
        return {"anyOf": [YesNo().schema(), {"enum": ["keys", "speech"]}]}

    def describe(self) -> str:
        return "yes, no, keys or speech"


class InputGroup:
    """The settings of waiting for an answer; unset ones are the flow's."""

    names: Mapping[str, tuple[Kind[Any], str]] = MappingProxyType(
        {
            "timeout": (Duration(0.1, 120), "silence before the first key or word, from the end of the prompt"),
            "gap": (Duration(0.1, 60), "silence between keys"),
            "tries": (Whole(1, 20), "how often the caller is asked"),
            "barge_in": (BargeIn(), "what cuts the prompt short: keys and speech, nothing, or one of the two"),
            "finish_key": (OneKey(allow_none=True), "the key that ends the input; none for no such key"),
            "type_ahead": (OneOf(("keep", "clear")), "whether keys pressed before the prompt count"),
            "speech_timeout": (Duration(0.2, 5), "silence after which a caller has finished speaking"),
            "longest_speech": (Duration(1, 60), "speech after that is not listened to"),
            "min_confidence": (Share(), "how sure it must be what was said; below, it was not understood"),
        }
    )

    def __init__(self, *, without: Collection[str] = (), **own: object) -> None:
        """``without``: settings that the verb does not have."""
        if without:
            self.names = {name: one for name, one in self.names.items() if name not in without}
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
        if "barge_in" in changes:
            changes["barge_in"], changes["barge_in_speech"] = changes["barge_in"]
        return replace(reader.input, **changes)


_INPUT = InputGroup()
_INPUT_SPOKEN = InputGroup(without=("gap", "finish_key", "type_ahead"))
_INPUT_AFRESH = InputGroup(type_ahead="clear")


@dataclass(frozen=True, slots=True)
class Menu:
    """Let the caller choose with a key or a word."""

    prompt: tuple[Prompt, ...] = setting(_PROMPT, _ASKED)
    keys: KeyPatterns = setting(KeyChoices(), "the keys and where they lead")
    no_input: tuple[Prompt, ...] = setting(_PROMPT, _NO_INPUT, default=())
    no_match: tuple[Prompt, ...] = setting(_PROMPT, _NO_MATCH, default=())
    input: InputSettings = settings_group(_INPUT, InputSettings())
    done: tuple[KeySteps, ...] = settings_group(DoneFirst("keys"), ())
    """What choices do before they lead on."""
    speech: tuple[SpokenChoice, ...] = settings_group(SpokenKeys(), ())
    """What can be said instead of keys; nothing: the step does not listen."""


@dataclass(frozen=True, slots=True)
class Collect:
    """Take digits, or what is said, from the caller into a variable."""

    into: str = setting(Name("the name of a variable"), "the variable that gets the digits, or what was said")
    prompt: tuple[Prompt, ...] = setting(_PROMPT, _ASKED)
    digits: DigitCount = setting(Digits(), "how many digits", default=DigitCount(1, 20))
    check: Expression | None = setting(
        Condition(), "what must hold of the answer, else the try was unusable", default=None
    )
    secret: bool = setting(YesNo(), "whether the answer is kept out of traces and records", default=False)
    speech: SpokenType | None = setting(
        OneOf(get_args(SpokenType)), "what can be said instead of keys; without it, nothing", default=None
    )
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
    speech: tuple[SpokenChoice, ...] = settings_group(SpokenYesNo(), ())
    """What can be said instead of keys; nothing: the step does not listen."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Let the caller say what he wants."""

    prompt: tuple[Prompt, ...] = setting(_PROMPT, _ASKED)
    choices: tuple[SpokenChoice, ...] = setting(
        Intents(("next", "failed", "no_input", "no_match")),
        "what callers may want, and where it leads",
        name="intents",
        default=(),
    )
    into: str | None = setting(
        Name("the name of a variable"),
        "the variable that gets what was said; without intents, or if it is none of them, the next step comes",
        default=None,
    )
    hints: tuple[str, ...] = setting(
        ListOf(Phrase(), 1, FORMS_LIMIT), "with into: words that are likely in what is said", default=()
    )
    no_input: tuple[Prompt, ...] = setting(_PROMPT, _NO_INPUT, default=())
    no_match: tuple[Prompt, ...] = setting(_PROMPT, _NO_MATCH, default=())
    input: InputSettings = settings_group(_INPUT_SPOKEN, InputSettings())
    done: tuple[KeySteps, ...] = settings_group(DoneFirst("intents"), ())
    """What intents do before they lead on."""


VERBS = (
    Verb(
        "menu",
        Menu,
        "Plays a prompt and lets the caller choose with a key, or with a word where keys have words.",
        _EXITS,
        wires_keys=True,
        speaks=True,
        example="""\
- menu:
    prompt: main_menu
    keys:
      '1': {say: {en: [sales, new order], zh: 销售}, go: sales}
      '2': {say: {en: support, zh: 客服}, go: support}
      '*': main_menu
    no_input: [still_there, main_menu]
    failed: operator""",
    ),
    Verb(
        "collect",
        Collect,
        "Plays a prompt and takes digits into a variable, which need not stand under vars; or what was said.",
        (Exit("next", "the answer is there", "next", needs_caller=True), *_EXITS),
        order=("into", "prompt"),
        speaks=True,
        fills=Fills("digits", ("digits", "text", "number", "json"), ("failed", "no_input", "no_match")),
        example="""\
- collect: {into: order, prompt: enter_order, digits: 8, check: luhn(order), speech: digits, failed: operator}""",
    ),
    Verb(
        "confirm",
        Confirm,
        "Plays a prompt and takes yes or no. Keys pressed before it do not count, unless type_ahead says so.",
        (Exit("yes", "yes", "next", needs_caller=True), Exit("no", "no", needs_caller=True), *_EXITS),
        speaks=True,
        example="""\
- confirm: {prompt: {say: 'Is {order:digits} right?'}, speech: yes, yes: go_on, no: ask_order, failed: operator}""",
    ),
    Verb(
        "ask",
        Ask,
        "Plays a prompt and lets the caller say what he wants: one of some intents, or anything, into a variable.",
        (
            Exit("next", "what was said is in the variable", "next", needs_caller=True, never=("into", (None,))),
            *_EXITS,
        ),
        wires_keys=True,
        speaks=True,
        fills=Fills("text", ("text", "json"), ("failed", "no_input", "no_match")),
        example="""\
- ask:
    prompt: {say: 'What can I do for you?'}
    intents:
      sales: {say: [buy a bicycle, new bicycle], go: sales}
      repair: {say: [repair, broken, is my bicycle ready], go: repair}
    no_match: {say: 'Please say: new bicycle, or repair.'}
    failed: operator""",
    ),
)
