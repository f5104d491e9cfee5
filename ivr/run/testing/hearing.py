"""Kinds of settings for what is heard in a test: recordings, texts, and how long they last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ivr.flow.kinds import NAME, Duration, Text
from ivr.flow.problem import did_you_mean
from ivr.flow.settings import Reader, Schema, scalar, schema_of, text_schema
from ivr.flow.source import MappingNode, Node, ScalarNode
from ivr.run.testing.kinds import CaseReader


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording, or a text in full."""

    name: str
    spoken: bool = False

    def __str__(self) -> str:
        return f"'{self.name}'"


def folded(text: str) -> str:
    """A text for comparing: spaces and line breaks are one space."""
    return " ".join(text.split())


@dataclass(frozen=True)
class SoundName:
    """``welcome``, or ``{say: 'Welcome.'}``."""

    def read(self, node: Node, reader: Reader) -> Sound | None:
        if isinstance(node, MappingNode):
            text = node.get("say")
            if text is None or len(node.entries) != 1:
                reader.problem("E026", node, "this is no prompt", f"write {self.describe()}")
                return None
            words = Text("the text", 5_000).read(text, reader)
            return None if words is None else Sound(folded(words), spoken=True)
        name = scalar(node, reader, self.describe)
        if name is None or not isinstance(reader, CaseReader):
            return None
        if name.text not in reader.recordings:
            help = did_you_mean(name.text, reader.recordings, "recordings") or "spoken text is {say: 'text'}"
            message = f"flow '{reader.flow.name}' plays no recording '{name.text[:60]}'"
            reader.problem("E170", name, message, help)
            return None
        return Sound(name.text)

    def schema(self) -> Schema:
        say = {
            "type": "object",
            "properties": {"say": text_schema()},
            "required": ["say"],
            "additionalProperties": False,
        }
        return {"anyOf": [text_schema(), say]}

    def describe(self) -> str:
        return "a recording, or {say: 'text'}"


@dataclass(frozen=True)
class Cue:
    """What a key waits for: a block's name, else whatever can be heard."""

    def read(self, node: Node, reader: Reader) -> Sound | str | None:
        if isinstance(node, ScalarNode) and isinstance(reader, CaseReader):
            if node.text in reader.flow.blocks:
                return node.text
            if node.text and node.text not in reader.recordings:
                known = {*reader.flow.blocks, *reader.recordings}
                message = f"flow '{reader.flow.name}' has no block or recording '{node.text[:60]}'"
                reader.problem("E170", node, message, did_you_mean(node.text, known, "blocks and recordings"))
                return None
        return SoundName().read(node, reader)

    def schema(self) -> Schema:
        return SoundName().schema()

    def describe(self) -> str:
        return "a block, a recording, or {say: 'text'}"


@dataclass(frozen=True)
class Words:
    """Part of a spoken text."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = Text(self.describe(), 5_000).read(node, reader)
        if text is not None and not text.strip():
            reader.problem("E020", node, "the value is missing", f"write {self.describe()}")
            return None
        return None if text is None else folded(text)

    def schema(self) -> Schema:
        return text_schema()

    def describe(self) -> str:
        return "words of a spoken text"


@dataclass(frozen=True)
class Lengths:
    """``fixed``, or the seconds of single prompts: ``{welcome: 4s}``."""

    def read(self, node: Node, reader: Reader) -> Mapping[str, float] | None:
        if isinstance(node, ScalarNode) and node.text == "fixed":
            return MappingProxyType({})
        if not isinstance(node, MappingNode):
            reader.problem("E013", node, "prompts is 'fixed', or says how long some last", f"write {self.describe()}")
            return None
        found = {}
        for key, value in node.entries:
            seconds = Duration(0.02, 600).read(value, reader)
            if NAME.fullmatch(key.text) and SoundName().read(key, reader) is None:
                seconds = None
            if seconds is None:
                return None
            found[key.text] = seconds
        return MappingProxyType(found)

    def schema(self) -> Schema:
        lengths = {"type": "object", "additionalProperties": schema_of(Duration(0.02, 600))}
        return {"anyOf": [{"enum": ["fixed"]}, lengths]}

    def describe(self) -> str:
        return "fixed, or {welcome: 4s}"
