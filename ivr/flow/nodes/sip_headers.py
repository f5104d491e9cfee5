"""Headers that a flow sends along with a call: which there can be, and what can stand in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ivr.flow.model import Place
from ivr.flow.nodes.kinds import TemplateText
from ivr.flow.settings import Reader, Schema, scalar, text_schema
from ivr.flow.source import MappingNode, Node, ScalarNode
from ivr.flow.template import Template
from ivr.flow.values import EvaluationError

OPEN: Final = ("Alert-Info", "Answer-Mode", "Call-Info", "Organization", "Priority", "Subject", "User-to-User")
"""Headers of standards that tell the far end something and steer nothing: RFC 3261 20, RFC 5373, RFC 7433."""

VALUE_LIMIT: Final = 256
"""Characters: enough for names and numbers of orders; long ones would make datagrams that networks lose."""
_HEADERS_LIMIT: Final = 10
_OWN: Final = re.compile(r"[Xx]-[A-Za-z0-9][A-Za-z0-9-]{0,60}")
_KNOWN: Final = {name.lower(): name for name in OPEN}


@dataclass(frozen=True, slots=True)
class SipHeader:
    """``Name: text``, with values of the call in it."""

    name: str
    value: Template
    place: Place = field(compare=False)

    def fill(self, scope: Mapping[str, object]) -> tuple[str, str]:
        """Name and text. Raises EvaluationError, also for values that would begin another header."""
        text = self.value.fill(scope).strip()
        if len(text) > VALUE_LIMIT:
            raise EvaluationError(f"the header {self.name} is longer than {VALUE_LIMIT} characters")
        if not is_one_line(text):
            raise EvaluationError(f"the header {self.name} has a line break or a control character in it")
        return self.name, text


@dataclass(frozen=True)
class SipHeaders:
    """``{X-Name: text}``."""

    def read(self, node: Node, reader: Reader) -> tuple[SipHeader, ...] | None:
        if not isinstance(node, MappingNode) or not node.entries:
            reader.problem("E020", node, "headers are missing", "write headers: {X-Name: 'value'}")
            return None
        if len(node.entries) > _HEADERS_LIMIT:
            reader.problem("E025", node, f"these are {len(node.entries)} headers", f"at most {_HEADERS_LIMIT}")
            return None
        headers = [self._header(key, value, reader) for key, value in node.entries]
        seen: set[str] = set()
        for key, _ in node.entries:
            if key.text.lower() in seen:
                reader.problem("E114", key, f"'{key.text[:60]}' is there twice: case does not count", "remove one")
                return None
            seen.add(key.text.lower())
        good = tuple(header for header in headers if header is not None)
        return good if len(good) == len(headers) else None

    def _header(self, key: ScalarNode, value: Node, reader: Reader) -> SipHeader | None:
        name = _KNOWN.get(key.text.lower(), key.text)
        if name not in OPEN and not _OWN.fullmatch(name):
            help = f"write a name that begins with X-, or one of {', '.join(OPEN)}; all others are the program's"
            shown = "".join(c if c.isprintable() else "?" for c in key.text[:40])
            reader.problem("E114", key, f"'{shown}' is not a header that a flow can send", help)
            return None
        text = scalar(value, reader, "the text of the header")
        template = None if text is None else TemplateText().read(text, reader)
        if text is None or template is None:
            return None
        if not is_one_line(text.text):
            reader.problem("E114", text, "a header is one line", "remove the line breaks and control characters")
            return None
        if template.fixed is not None and len(template.fixed) > VALUE_LIMIT:
            reader.problem("E025", text, "this header is too long", f"at most {VALUE_LIMIT} characters")
            return None
        return SipHeader(name, template, key.place)

    def schema(self) -> Schema:
        names = {"pattern": rf"^(?:{_OWN.pattern}|{'|'.join(_any_case(name) for name in OPEN)})$"}
        return {
            "type": "object",
            "minProperties": 1,
            "maxProperties": _HEADERS_LIMIT,
            "propertyNames": names,
            "additionalProperties": text_schema(),
        }

    def describe(self) -> str:
        return f"{{X-Name: text}}; also {', '.join(OPEN)}"


def is_one_line(text: str) -> bool:
    """Whether nothing in the text could end a header: no control characters, no line breaks of other scripts."""
    return not any(
        ord(character) < 32 or 127 <= ord(character) < 160 or character in "\u2028\u2029" for character in text
    )


def _any_case(word: str) -> str:
    return "".join(f"[{c.upper()}{c.lower()}]" if c.isalpha() else c for c in word)
