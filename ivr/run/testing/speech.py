"""Kinds of settings for what is said in a test, and what it may be taken for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ivr.flow.kinds import ListOf, Share, Text
from ivr.flow.settings import Reader, Schema, read_record, record_schema, setting, text_schema
from ivr.flow.source import MappingNode, Node
from ivr.hearing import Hypothesis

SURE: Final = 0.9
"""How sure it is what was said, unless a test says otherwise."""
UNSURE: Final = 0.3
"""How sure it is what else it may have been."""
MOST_ALTERNATIVES: Final = 4
"""A recogniser tells at most five things that may have been said."""


@dataclass(frozen=True)
class SpokenWords:
    """Words as they are said."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = Text(self.describe(), 500).read(node, reader)
        words = " ".join((text or "").split())
        if text is not None and not words:
            reader.problem("E020", node, "the words are missing", "write them: says: operator; or mumbles: 1s")
            return None
        return words or None

    def schema(self) -> Schema:
        return {"anyOf": [text_schema(), {"type": ["number", "boolean"]}]}

    def describe(self) -> str:
        return "the words that are said"


@dataclass(frozen=True, slots=True)
class Alternative:
    """What may have been said instead."""

    text: str = setting(SpokenWords(), "the words")
    confidence: float = setting(Share(), "how sure it is that they were said", default=UNSURE)


@dataclass(frozen=True)
class OneAlternative:
    """``sales``, or ``{text: sales, confidence: 0.2}``."""

    def read(self, node: Node, reader: Reader) -> Alternative | None:
        if isinstance(node, MappingNode):
            return read_record(Alternative, node, reader, "an alternative")
        words = SpokenWords().read(node, reader)
        return None if words is None else Alternative(words)

    def schema(self) -> Schema:
        return {"anyOf": [SpokenWords().schema(), record_schema(Alternative)]}

    def describe(self) -> str:
        return "words, or {text: sales, confidence: 0.2}"


@dataclass(frozen=True, slots=True)
class Said:
    """What is said, and what a recogniser makes of it."""

    text: str = setting(SpokenWords(), "the words that are heard")
    confidence: float = setting(Share(), "how sure it is that they were said", default=SURE)
    alternatives: tuple[Alternative, ...] = setting(
        ListOf(OneAlternative(), 0, MOST_ALTERNATIVES), "what else it may have been, likeliest first", default=()
    )

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """Best first."""
        best = Hypothesis(self.text, self.confidence)
        return (best, *(Hypothesis(one.text, one.confidence) for one in self.alternatives))


@dataclass(frozen=True)
class SaidKind:
    """``operator``, or ``{text: operator, confidence: 0.4, alternatives: [sales]}``."""

    def read(self, node: Node, reader: Reader) -> Said | None:
        if isinstance(node, MappingNode):
            return read_record(Said, node, reader, "what is said")
        words = SpokenWords().read(node, reader)
        return None if words is None else Said(words)

    def schema(self) -> Schema:
        return {"anyOf": [SpokenWords().schema(), record_schema(Said)]}

    def describe(self) -> str:
        return "the words, or {text: operator, confidence: 0.4, alternatives: [sales]}"
