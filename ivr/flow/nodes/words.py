"""Words that callers may say, as flows write them: one, a list, or either by language."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final

from ivr.flow.kinds import LANGUAGE, ListOf
from ivr.flow.settings import Reader, Schema, scalar, text_schema
from ivr.flow.source import MappingNode, Node

Forms = Mapping[str, tuple[str, ...]]
"""Ways to say one thing, by language; those under the empty string are said in every language."""

PHRASE_LIMIT: Final = 200
"""Characters of one phrase."""
FORMS_LIMIT: Final = 50
"""Ways to say one thing, in one language."""


@dataclass(frozen=True)
class Words:
    """Words or phrases: one, a list, or either by language. Gives :data:`Forms`."""

    dsl: ClassVar[str] = "text"

    def read(self, node: Node, reader: Reader) -> Forms | None:
        if not isinstance(node, MappingNode):
            phrases = _PHRASES.read(node, reader)
            return None if phrases is None else MappingProxyType({"": phrases})
        found: dict[str, tuple[str, ...]] = {}
        complete = True
        for key, value in node.entries:
            if not re.fullmatch(LANGUAGE, key.text):
                help = "write the words, or {en: [words], ko: [words]}"
                reader.problem("E024", key, f"'{key.text[:40]}' is not a language", help)
                complete = False
            elif (phrases := _PHRASES.read(value, reader)) is None:
                complete = False
            else:
                found[key.text] = phrases
        if not node.entries:
            reader.problem("E020", node, "the words are missing", f"write {self.describe()}")
            return None
        return MappingProxyType(found) if complete else None

    def schema(self) -> Schema:
        by_language = {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": f"^(?:{LANGUAGE})$"},
            "additionalProperties": _PHRASES.schema(),
        }
        return {"anyOf": [_PHRASES.schema(), by_language]}

    def describe(self) -> str:
        return "words, a list of them, or {en: [words], ko: [words]}"


@dataclass(frozen=True)
class Phrase:
    """One way to say something."""

    dsl: ClassVar[str] = "text"

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        phrase = " ".join(unicodedata.normalize("NFC", text.text).split())
        if len(phrase) > PHRASE_LIMIT:
            reader.problem("E190", text, "nobody says all of this", f"at most {PHRASE_LIMIT} characters")
        elif "{" in phrase or "}" in phrase:
            reader.problem("E190", text, "words to listen for have no {variable} in them", "write the words themselves")
        elif not any(character.isalnum() for character in phrase) or not phrase.isprintable():
            reader.problem("E190", text, "this cannot be said", "write a word or a few, as they are spoken")
        else:
            return phrase
        return None

    def schema(self) -> Schema:
        return text_schema()

    def describe(self) -> str:
        return "a word or a few"


_PHRASES: Final = ListOf(Phrase(), 1, FORMS_LIMIT)
