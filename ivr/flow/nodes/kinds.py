"""Kinds of settings that only verbs have: prompts, texts with holes, expressions, keys, cases, assignments."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

from ivr.flow.expression import Expression, parse_expression
from ivr.flow.keys import KeyPatternError, KeyPatterns, parse_pattern
from ivr.flow.kinds import NAME, Name, bad_name
from ivr.flow.model import Place, Prompt, Recording, Speech
from ivr.flow.nodes.words import Words
from ivr.flow.problem import Problem
from ivr.flow.settings import Reader, Schema, scalar, text_schema
from ivr.flow.source import MappingNode, Node, ScalarNode, SequenceNode
from ivr.flow.ssml import check_plain, is_ssml, read_ssml, words_of
from ivr.flow.template import Template, parse_template

KEYS_LIMIT: Final = 200
"""Of one menu: every pattern is compared with every other."""

KEYS: Final = frozenset("0123456789*#ABCD")
_DIGITS: Final = r"([0-9]{1,3})(?:\s*\.\.\s*([0-9]{1,3}))?"
_SOUND_FILE: Final = re.compile(r"(?P<name>[^/]*)\.(?:wav|opus|mp3|ogg|flac)")


@dataclass(frozen=True)
class TemplateText:
    """A text with holes."""

    dsl: ClassVar[str] = "text"

    of: str = "a text, with {variable} where values go"

    def read(self, node: Node, reader: Reader) -> Template | None:
        text = scalar(node, reader, self.of)
        if text is None:
            return None
        template, problems = parse_template(text.text, text.place_at)
        reader.problems.extend(problems)
        return None if problems else template

    def schema(self) -> Schema:
        return text_schema()

    def describe(self) -> str:
        return self.of


@dataclass(frozen=True)
class SpokenText(TemplateText):
    """A text with holes that is spoken; one that begins with <speak> is a document in SSML."""

    def read(self, node: Node, reader: Reader) -> Template | None:
        template = super().read(node, reader)
        if template is None or not isinstance(node, ScalarNode):
            return None
        if is_ssml(template.text):
            elements, problem = read_ssml(template.text, [hole.span for hole in template.holes], node.place_at)
            template = replace(template, ssml=elements)
        else:
            problem = check_plain(template.text, node.place_at)
        if problem is not None:
            reader.problems.append(problem)
            return None
        if _says_nothing(template):
            # A voice makes no sound of it, and a flow with it does not go live.
            help = "write what is said, or the step pause: 1s for silence"
            reader.problem("E153", node, "there is nothing to say in this text", help)
            return None
        return template


_NO_WORDS: Final = frozenset(" \t\r\n.,;:!?…-–—'\"()")


def _says_nothing(template: Template) -> bool:
    if template.holes or any(element.name == "break" for element in template.ssml):
        return False
    words = words_of(template.text) if template.ssml else template.text
    return _NO_WORDS.issuperset(words)


KEYS_SENT: Final = 64
"""At most, by one step."""


@dataclass(frozen=True)
class KeysText(TemplateText):
    """Keys to be pressed, with holes for values."""

    of: str = "keys, in quotes: '123#'; {variable} where values go"

    def read(self, node: Node, reader: Reader) -> Template | None:
        template = super().read(node, reader)
        if template is None:
            return None
        wrong = next((key for part in template.parts if isinstance(part, str) for key in part if key not in KEYS), None)
        if wrong is not None:
            reader.problem("E121", node, f"'{wrong}' is not a key", "keys are 0-9 * # A-D")
            return None
        if template.fixed is not None and len(template.fixed) > KEYS_SENT:
            reader.problem("E025", node, f"these are {len(template.fixed)} keys", f"at most {KEYS_SENT}")
            return None
        return template


@dataclass(frozen=True)
class Condition:
    """An expression."""

    dsl: ClassVar[str] = "expression"

    of: str = "an expression"

    def read(self, node: Node, reader: Reader) -> Expression | None:
        text = scalar(node, reader, self.of)
        if text is None:
            return None
        expression = parse_expression(text.text, text.place_at)
        if isinstance(expression, Problem):
            reader.problems.append(expression)
            return None
        return expression

    def schema(self) -> Schema:
        return text_schema()

    def describe(self) -> str:
        return self.of


@dataclass(frozen=True)
class OnePrompt:
    """A bare name is a recording; ``{say: 'text'}`` is spoken."""

    dsl: ClassVar[str] = "prompt"

    def read(self, node: Node, reader: Reader) -> Prompt | None:
        if isinstance(node, MappingNode):
            return self._speech(node, reader)
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        if NAME.fullmatch(text.text):
            return Recording(text.text, text.place)
        sound_file = _SOUND_FILE.fullmatch(text.text)
        if sound_file is not None:
            help = f"write '{sound_file['name']}': the file is found by the call's language"
            reader.problem("E026", text, "a recording is named without the ending of its file", help)
        elif text.text.startswith("@"):
            reader.problem("E026", text, "a recording is named without @ in this spelling", f"write {text.text[1:]}")
        elif " " in text.text:
            help = f"write {{say: '{text.text[:40]}'}} to have it spoken"
            reader.problem("E026", text, "this is a text, not the name of a recording", help)
        else:
            bad_name(text, reader)
        return None

    def _speech(self, node: MappingNode, reader: Reader) -> Prompt | None:
        if [key.text for key, _ in node.entries] != ["say"]:
            reader.problem(
                "E026",
                node,
                "a prompt is a recording or {say: 'text'}",
                "write the name of a recording, or {say: 'text'}",
            )
            return None
        text = SpokenText("a text to speak").read(node.entries[0][1], reader)
        return None if text is None else Speech(text, node.place)

    def schema(self) -> Schema:
        speech = {
            "type": "object",
            "properties": {"say": SpokenText("a text to speak").schema()},
            "required": ["say"],
            "additionalProperties": False,
        }
        return {"anyOf": [RecordingName().schema(), speech]}

    def describe(self) -> str:
        return "a recording, or {say: 'text'}"


@dataclass(frozen=True)
class KeyChoices:
    """Keys and where each leads: an exit per pattern. Gives the patterns, compiled."""

    entry: ClassVar[tuple[str, ...]] = ("key", "say", "do")

    def read(self, node: Node, reader: Reader) -> KeyPatterns | None:
        if not isinstance(node, MappingNode) or not node.entries:
            reader.problem("E020", node, "keys are missing", "write '1': block_name, one per line")
            return None
        if len(node.entries) > KEYS_LIMIT:
            help = f"at most {KEYS_LIMIT}: write patterns as 20XX"
            reader.problem("E025", node, f"this menu has {len(node.entries)} keys", help)
            return None
        good = [key for key, value in node.entries if self._choice(key, value, reader)]
        if len(good) < len(node.entries):
            return None
        patterns = KeyPatterns(key.text for key in good)
        reader.keys.update({key.text: key for key in good})
        for first, second in patterns.equal():
            key = next(key for key in good if key.text == second)
            help = "only one of the two can hold: remove one"
            reader.problem("E120", key, f"key pattern '{second}' means the same keys as '{first}'", help)
        return patterns

    def _choice(self, key: ScalarNode, value: Node, reader: Reader) -> bool:
        try:
            parse_pattern(key.text)
        except KeyPatternError as error:
            help = "keys are 0-9 * # A-D; X is 0-9, Z is 1-9, N is 2-9, [1-5] is 1 to 5"
            reader.problem_at("E121", key, error.offset, str(error), help)
            return False
        if isinstance(value, MappingNode):
            return self._mapping(key, value, reader)
        reader.wire(key.text, value)
        return True

    def _mapping(self, key: ScalarNode, value: MappingNode, reader: Reader) -> bool:
        complete = True
        for name, _ in value.entries:
            if name.text not in ("say", "do", "go"):
                help = "write {say: [words], do: [steps], go: block_name}"
                reader.problem("E011", name, f"a key has no setting '{name.text[:60]}'", help)
                complete = False
        target = value.get("go")
        if target is None:
            reader.problem("E012", value, f"key '{key.text}' does not say where it leads", "add go: block_name")
            return False
        reader.wire(key.text, target)
        return complete

    def schema(self) -> Schema:
        go = {
            "type": "object",
            "properties": {"say": Words().schema(), "do": {"type": ["array", "object", "string"]}, "go": text_schema()},
            "required": ["go"],
            "additionalProperties": False,
        }
        return {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": r"^(?:[0-9A-DXZN*#]|\[[^\]]+\])+$"},
            "additionalProperties": {"anyOf": [text_schema(), go]},
        }

    def describe(self) -> str:
        return "'key or pattern': block, or {say: words, do: [steps that take no time], go: block}"


@dataclass(frozen=True)
class OneKey:
    """One key of a telephone; ``none`` where a finish key can be done without."""

    allow_none: bool = False

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, "a key, in quotes")
        if text is None:
            return None
        if len(text.text) == 1 and text.text in "0123456789*#ABCD":
            return text.text
        if self.allow_none and text.text == "none":
            return ""
        reader.problem("E121", text, f"'{text.text[:40]}' is not a key", f"write {self.describe()}")
        return None

    def schema(self) -> Schema:
        keys = text_schema("[0-9*#A-D]" + ("|none" if self.allow_none else ""))
        return {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 9}, keys]}

    def describe(self) -> str:
        return "'#', '*' or a digit" + (", or none" if self.allow_none else "")


@dataclass(frozen=True, slots=True)
class DigitCount:
    """How many digits are taken."""

    least: int
    most: int

    def __str__(self) -> str:
        return str(self.least) if self.least == self.most else f"{self.least}..{self.most}"


@dataclass(frozen=True)
class Digits:
    """``8`` or ``4..8``."""

    most: int = 64

    def read(self, node: Node, reader: Reader) -> DigitCount | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        found = re.fullmatch(_DIGITS, text.text)
        if found is None:
            reader.problem("E022", text, f"'{text.text[:40]}' is not a number of digits", "write 8, or 4..8")
            return None
        count = DigitCount(int(found[1]), int(found[2] or found[1]))
        if not 1 <= count.least <= count.most <= self.most:
            help = f"the smaller number first, from 1 to {self.most}"
            reader.problem("E022", text, f"'{text.text}' is not a number of digits", help)
            return None
        return count

    def schema(self) -> Schema:
        number = {"type": "integer", "minimum": 1, "maximum": self.most}
        return {"anyOf": [number, text_schema(_DIGITS)]}

    def describe(self) -> str:
        return "a number of digits: 8, or 4..8"


@dataclass(frozen=True, slots=True)
class Assignment:
    """``name: expression`` of a ``set``."""

    name: str
    value: Expression
    place: Place = field(compare=False)


@dataclass(frozen=True)
class Assignments:
    dsl: ClassVar[str] = "expression"

    def read(self, node: Node, reader: Reader) -> tuple[Assignment, ...] | None:
        if not isinstance(node, MappingNode) or not node.entries:
            reader.problem("E020", node, "a variable and its value are missing", "write set: {tier: \"'gold'\"}")
            return None
        values = [(key, Condition().read(value, reader)) for key, value in node.entries]
        good = tuple(Assignment(key.text, value, key.place) for key, value in values if value is not None)
        return good if len(good) == len(values) else None

    def schema(self) -> Schema:
        return {"type": "object", "minProperties": 1, "additionalProperties": Condition().schema()}

    def describe(self) -> str:
        return "variable: expression"


@dataclass(frozen=True, slots=True)
class TagValue:
    """``name: text`` of a ``tag``."""

    name: str
    value: Template


@dataclass(frozen=True)
class TagValues:
    dsl: ClassVar[str] = "text"

    def read(self, node: Node, reader: Reader) -> tuple[TagValue, ...] | None:
        if not isinstance(node, MappingNode) or not node.entries:
            reader.problem("E020", node, "a tag and its value are missing", "write tag: {topic: sales}")
            return None
        complete = True
        tags = []
        for key, value in node.entries:
            text = TemplateText().read(value, reader)
            if not NAME.fullmatch(key.text):
                bad_name(key, reader)
                complete = False
            elif text is None:
                complete = False
            else:
                tags.append(TagValue(key.text, text))
        return tuple(tags) if complete else None

    def schema(self) -> Schema:
        names = {"pattern": f"^(?:{NAME.pattern})$"}
        return {
            "type": "object",
            "minProperties": 1,
            "propertyNames": names,
            "additionalProperties": TemplateText().schema(),
        }

    def describe(self) -> str:
        return "name: text"


@dataclass(frozen=True, slots=True)
class Case:
    """One value of a ``switch`` and the exit taken for it."""

    value: str
    exit: str
    place: Place = field(compare=False)


@dataclass(frozen=True)
class Cases:
    """Values and where each leads: an exit ``case VALUE`` per value."""

    entry: ClassVar[tuple[str, ...]] = ("case",)

    def read(self, node: Node, reader: Reader) -> tuple[Case, ...] | None:
        if not isinstance(node, MappingNode) or not node.entries:
            reader.problem("E020", node, "cases are missing", "write value: block_name, one per line")
            return None
        for key, value in node.entries:
            reader.wire(f"case {key.text}", value)
        return tuple(Case(key.text, f"case {key.text}", key.place) for key, _ in node.entries)

    def schema(self) -> Schema:
        return {"type": "object", "minProperties": 1, "additionalProperties": text_schema()}

    def describe(self) -> str:
        return "value: block"


@dataclass(frozen=True)
class TargetText:
    """Whom to ring: ``sip:SEAT``, ``rtc:USER`` or ``tel:NUMBER``; holes after the colon only."""

    dsl: ClassVar[str] = "text"

    def read(self, node: Node, reader: Reader) -> Template | None:
        if isinstance(node, SequenceNode):
            reader.problem("E020", node, "transfer rings one target", "to ring several, make a group and use ring")
            return None
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        template = TemplateText().read(text, reader)
        if template is None:
            return None
        scheme, colon, rest = text.text.partition(":")
        if scheme not in ("sip", "rtc", "tel") or not rest.strip():
            help = (
                f"write sip:{text.text[:30]}, rtc:{text.text[:30]} or tel:{text.text[:30]}"
                if not colon
                else "write sip:SEAT, rtc:USER or tel:NUMBER"
            )
            reader.problem("E112", text, f"'{text.text[:40]}' does not say what to ring", help)
        else:
            return template
        return None

    def schema(self) -> Schema:
        return text_schema(r"(?:sip|rtc|tel):[\s\S]*\S[\s\S]*")

    def describe(self) -> str:
        return "'sip:SEAT', 'rtc:USER' or 'tel:NUMBER'"


@dataclass(frozen=True)
class RecordingName:
    """A prompt that must be a recording."""

    dsl: ClassVar[str] = "prompt"

    def read(self, node: Node, reader: Reader) -> Recording | None:
        prompt = OnePrompt().read(node, reader)
        if isinstance(prompt, Speech):
            reader.problem("E026", node, "a recording is needed here", "write the name of a recording")
            return None
        return prompt

    def schema(self) -> Schema:
        return Name().schema()

    def describe(self) -> str:
        return "the name of a recording"
