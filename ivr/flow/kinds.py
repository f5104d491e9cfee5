"""Kinds of settings that flows and the site file share: durations, numbers, yes or no, names, texts, lists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from ivr.flow.problem import closest, listed
from ivr.flow.settings import Kind, Reader, Schema, scalar, schema_of, text_schema
from ivr.flow.source import Node, ScalarNode, SequenceNode
from ivr.flow.values import YES_NO

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")

_DURATION: Final = r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*(ms|s|m|h)"
_WHOLE: Final = r"[0-9]{1,18}"
_SHARE: Final = r"0(\.[0-9]{1,6})?|1(\.0{1,6})?"
LANGUAGE: Final = r"[a-z]{2,3}(-[a-z0-9]{2,8})?"
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_as_text(seconds: float) -> str:
    """A duration as one would write it: ``300ms``, ``5s``, ``2m``."""
    if seconds and seconds < 1:
        return f"{seconds * 1000:g}ms"
    for unit in ("h", "m"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{seconds / _UNITS[unit]:g}{unit}"
    return f"{seconds:g}s"


@dataclass(frozen=True)
class Duration:
    """A time span with its unit; seconds as float."""

    least: float = 0.0
    most: float = 86_400.0

    def read(self, node: Node, reader: Reader) -> float | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        found = re.fullmatch(_DURATION, text.text)
        if found is None:
            if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", text.text):
                fitting = [unit for unit in ("s", "m", "ms") if self._holds(float(text.text) * _UNITS[unit])]
                written = [f"{text.text}{unit}" for unit in fitting[:2] or ("s", "m")]
                reader.problem("E021", text, f"'{text.text}' has no unit", f"write {' or '.join(written)}")
            else:
                reader.problem("E021", text, f"'{text.text[:40]}' is not a time span", "write 300ms, 5s, 2m or 1h")
            return None
        seconds = float(found[1]) * _UNITS[found[2]]
        if not self._holds(seconds):
            bounds = f"{seconds_as_text(self.least)} to {seconds_as_text(self.most)}"
            reader.problem("E022", text, f"'{text.text}' is out of bounds", f"write {bounds}")
            return None
        return seconds

    def _holds(self, seconds: float) -> bool:
        return self.least <= seconds <= self.most

    def schema(self) -> Schema:
        return text_schema(_DURATION)

    def describe(self) -> str:
        return f"a time span with its unit, {seconds_as_text(self.least)} to {seconds_as_text(self.most)}"


@dataclass(frozen=True)
class Whole:
    """A whole number."""

    least: int
    most: int

    def read(self, node: Node, reader: Reader) -> int | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        if not re.fullmatch(_WHOLE, text.text):
            reader.problem("E022", text, f"'{text.text[:40]}' is not a whole number", f"write {self.describe()}")
            return None
        value = int(text.text)
        if not self.least <= value <= self.most:
            reader.problem("E022", text, f"{value} is out of bounds", f"write {self.describe()}")
            return None
        return value

    def schema(self) -> Schema:
        number = {"type": "integer", "minimum": self.least, "maximum": self.most}
        return {"anyOf": [number, text_schema(_WHOLE)]}

    def describe(self) -> str:
        return f"a number from {self.least} to {self.most}"


@dataclass(frozen=True)
class Share:
    """A part of one."""

    def read(self, node: Node, reader: Reader) -> float | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        if not re.fullmatch(_SHARE, text.text):
            reader.problem("E022", text, f"'{text.text[:40]}' is not between 0 and 1", f"write {self.describe()}")
            return None
        return float(text.text)

    def schema(self) -> Schema:
        return {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, text_schema(_SHARE)]}

    def describe(self) -> str:
        return "a number from 0 to 1: 0.5"


@dataclass(frozen=True)
class YesNo:
    def read(self, node: Node, reader: Reader) -> bool | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        value = YES_NO.get(text.text.lower())
        if value is None:
            reader.problem("E023", text, f"'{text.text[:40]}' is neither yes nor no", "write yes or no")
        return value

    def schema(self) -> Schema:
        words = "|".join("".join(f"[{c}{c.upper()}]" for c in word) for word in YES_NO)
        return {"anyOf": [{"type": "boolean"}, text_schema(words)]}

    def describe(self) -> str:
        return "yes or no"


@dataclass(frozen=True)
class OneOf:
    """One word of a few."""

    words: tuple[str, ...]
    later: tuple[str, ...] = ()

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        if text.text in self.words:
            return text.text
        if text.text in self.later:
            help = f"use {listed(self.words)}"
            reader.problem("E014", text, f"'{text.text}' is not in this version yet", help)
            return None
        close = closest(text.text, self.words)
        help = f"did you mean '{close}'?" if close else f"write {self.describe()}"
        reader.problem("E024", text, f"'{text.text[:40]}' is not one of the choices", help)
        return None

    def schema(self) -> Schema:
        return {"enum": list(self.words)}

    def describe(self) -> str:
        return " or ".join(self.words)


@dataclass(frozen=True)
class LanguageCode:
    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, "a language: en, zh, pt-br")
        if text is None:
            return None
        if not re.fullmatch(LANGUAGE, text.text):
            reader.problem("E024", text, f"'{text.text[:40]}' is not a language", "write en, zh, pt-br, …")
            return None
        return text.text

    def schema(self) -> Schema:
        return text_schema(LANGUAGE)

    def describe(self) -> str:
        return "a language code: en, zh, pt-br"


@dataclass(frozen=True)
class Name:
    """A name: lower case, digits, underscore."""

    of: str = "a name"

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.of)
        if text is None:
            return None
        if not NAME.fullmatch(text.text):
            bad_name(text, reader)
            return None
        return text.text

    def schema(self) -> Schema:
        return _named()

    def describe(self) -> str:
        return self.of


def _named() -> Schema:
    # A bare true is a name too, and a boolean to an editor.
    return {"anyOf": [text_schema(NAME.pattern), {"type": "boolean"}]}


def bad_name(node: ScalarNode, reader: Reader) -> None:
    """Report a name that is not written as names are, with one that would be."""
    suggestion = re.sub(r"[^a-z0-9]+", "_", node.text.lower()).strip("_")[:64]
    help = f"write '{suggestion}'" if NAME.fullmatch(suggestion) else "begin with a letter"
    message = f"'{node.text[:40]}' is not a name: small letters, digits and _ only"
    reader.problem("E016", node, message, help)


@dataclass(frozen=True)
class Text:
    """Any text on one line."""

    dsl: ClassVar[str] = "text"
    of: str = "a text"
    most: int = 500

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.of)
        if text is None:
            return None
        if len(text.text) > self.most or any(not c.isprintable() for c in text.text):
            help = f"one line, at most {self.most} characters"
            reader.problem("E025", text, "this text is too long or has characters that cannot be printed", help)
            return None
        return text.text

    def schema(self) -> Schema:
        return text_schema()

    def describe(self) -> str:
        return self.of


@dataclass(frozen=True)
class ListOf:
    """A list; one item alone may stand without brackets."""

    item: Kind[Any]
    least: int = 0
    most: int = 1_000

    @property
    def dsl(self) -> str:
        return getattr(self.item, "dsl", "word")

    def read(self, node: Node, reader: Reader) -> tuple[Any, ...] | None:
        items: Sequence[Node] = node.items if isinstance(node, SequenceNode) else (node,)
        if not self.least <= len(items) <= self.most:
            message = "this list is empty" if not items else f"this list has {len(items)} items"
            reader.problem("E025", node, message, f"write {self.least} to {self.most} items")
            return None
        values = [self.item.read(item, reader) for item in items]
        return None if any(value is None for value in values) else tuple(values)

    def schema(self) -> Schema:
        item = schema_of(self.item)
        many = {"type": "array", "items": item, "minItems": self.least, "maxItems": self.most}
        return {"anyOf": [item, many]}

    def describe(self) -> str:
        return f"{self.item.describe()}, or a list of them"
