"""Kinds of settings of verbs that reach outside: web addresses, headers, data, statuses, arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final
from urllib.parse import quote

from ivr.flow.expression import Expression
from ivr.flow.kinds import NAME, bad_name
from ivr.flow.model import Place
from ivr.flow.nodes.kinds import Condition, TemplateText
from ivr.flow.settings import Reader, Schema, scalar, text_schema
from ivr.flow.source import MappingNode, Node, ScalarNode, SequenceNode
from ivr.flow.template import Further, Template, parse_template
from ivr.flow.values import EvaluationError, as_text

_FIXED: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?(?=[/?]|$)"
)
_UNSAFE: Final = re.compile(r"[^!-~]|[\"<>\\^`{|}#]")
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_SECRET: Final = re.compile(r"\{secret:([^{}]*)\}")
_STATUS: Final = re.compile(r"[1-5][0-9]{2}|[1-5]XX")
_OURS: Final = frozenset(
    [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "te",
        "trailer",
        "expect",
        "accept-encoding",
    ]
)
"""Headers that say how the request itself is sent."""

URL_LIMIT: Final = 4_000
"""Characters of an address with its values."""
HEADER_LIMIT: Final = 4_000
_HEADERS_LIMIT: Final = 30
_DATA_LIMIT: Final = 200
"""Names and items in one piece of data."""
_DATA_DEPTH: Final = 8


@dataclass(frozen=True, slots=True)
class WebAddress:
    """An address whose scheme and host are fixed; values stand in its path and query only."""

    template: Template
    scheme: str
    host: str
    port: int

    def fill(self, scope: Mapping[str, object]) -> str:
        """The address. Whatever a value is, it stays within the part it stands in: it is percent-encoded.

        Raises EvaluationError, also for a value that would make a step up the path.
        """
        filled = "".join(
            part if isinstance(part, str) else quote(as_text(part.expression.evaluate(scope)), safe="")
            for part in self.template.parts
        )
        path = filled.partition("://")[2].partition("?")[0]
        if self.template.fixed is None and any(step in (".", "..") for step in path.split("/")):
            raise EvaluationError("a value in the address is '.' or '..'")
        if len(filled) > URL_LIMIT:
            raise EvaluationError(f"the address is longer than {URL_LIMIT} characters")
        return filled


@dataclass(frozen=True)
class WebAddressText:
    """``https://host/path/{value}``."""

    def read(self, node: Node, reader: Reader) -> WebAddress | None:
        text = scalar(node, reader, self.describe)
        template = None if text is None else TemplateText().read(text, reader)
        if text is None or template is None:
            return None
        first = template.parts[0] if template.parts else ""
        found = _FIXED.match(first) if isinstance(first, str) else None
        bad = next((part for part in template.parts if isinstance(part, str) and _UNSAFE.search(part)), None)
        port = int(found["port"] or (443 if found["scheme"] == "https" else 80)) if found else 0
        if found is None or (len(template.parts) > 1 and found[0] == first):
            help = "write https://host/…: scheme and host without holes, then a slash"
            reader.problem("E113", text, f"'{text.text[:60]}' is not a web address with a fixed host", help)
        elif not 0 < port < 65536:
            reader.problem("E113", text, f"there is no port {port}", "write 1 to 65535")
        elif bad is not None:
            help = "write it percent-encoded (a space is %20); # and what follows is never sent"
            reader.problem("E113", text, "a character that cannot stand in a web address", help)
        else:
            return WebAddress(template, found["scheme"], found["host"].strip("[]").lower(), port)
        return None

    def schema(self) -> Schema:
        return {"type": "string", "pattern": "^https?://"}

    def describe(self) -> str:
        return "'https://host/path/{value}'"


@dataclass(frozen=True, slots=True)
class SecretName:
    """Stands for the value of a secret of the site, which only the sender looks up."""

    name: str

    def __str__(self) -> str:
        return f"{{secret:{self.name}}}"


@dataclass(frozen=True, slots=True)
class Header:
    """``Name: text``, with values of the call and secrets of the site in it."""

    name: str
    parts: tuple[Template | SecretName, ...]
    place: Place = field(compare=False)

    @property
    def secrets(self) -> tuple[SecretName, ...]:
        return tuple(part for part in self.parts if isinstance(part, SecretName))

    def fill(self, scope: Mapping[str, object]) -> tuple[str | SecretName, ...]:
        """Texts and secrets, in order. Raises EvaluationError, also for values that would begin another header."""
        filled = tuple(part if isinstance(part, SecretName) else part.fill(scope) for part in self.parts)
        text = "".join(part for part in filled if isinstance(part, str))
        if len(text) > HEADER_LIMIT or any(ord(character) < 32 or ord(character) == 127 for character in text):
            raise EvaluationError(f"the header {self.name} is too long or has a line break in it")
        return filled


@dataclass(frozen=True)
class Headers:
    """``{Name: text}``; ``{secret:name}`` in a text is a secret of the site."""

    def read(self, node: Node, reader: Reader) -> tuple[Header, ...] | None:
        if not isinstance(node, MappingNode) or not 0 < len(node.entries) <= _HEADERS_LIMIT:
            reader.problem("E020", node, "headers are missing", "write headers: {X-Name: 'value'}")
            return None
        headers = [self._header(key, value, reader) for key, value in node.entries]
        good = tuple(header for header in headers if header is not None)
        return good if len(good) == len(headers) else None

    def _header(self, key: ScalarNode, value: Node, reader: Reader) -> Header | None:
        if not _TOKEN.fullmatch(key.text) or key.text.lower() in _OURS:
            help = "leave it out: the program sets it" if key.text.lower() in _OURS else "write letters, digits and -"
            reader.problem("E114", key, f"'{key.text[:40]}' is not a header that can be set", help)
            return None
        text = scalar(value, reader, "the text of the header")
        if text is None:
            return None
        parts: list[Template | SecretName] = []
        at = 0
        for found in _SECRET.finditer(text.text):
            if not NAME.fullmatch(found[1]):
                help = "write {secret:name} with small letters, digits and _"
                reader.problem_at(
                    "E114", text, found.start(), "this is not the name of a secret", help, max(len(found[0]), 1)
                )
                return None
            self._text(text, at, found.start(), parts, reader)
            parts.append(SecretName(found[1]))
            at = found.end()
        self._text(text, at, len(text.text), parts, reader)
        if any(ord(c) < 32 or ord(c) == 127 for c in text.text):
            reader.problem("E114", text, "a header is one line", "remove the line breaks")
            return None
        return Header(key.text, tuple(parts), key.place)

    def _text(self, node: ScalarNode, start: int, end: int, parts: list[Template | SecretName], reader: Reader) -> None:
        if start < end:
            template, problems = parse_template(node.text[start:end], Further(node.place_at, start))
            reader.problems.extend(problems)
            parts.append(template)

    def schema(self) -> Schema:
        return {"type": "object", "minProperties": 1, "additionalProperties": text_schema()}

    def describe(self) -> str:
        return "{Name: text}; {secret:name} in it is a secret of the site"


@dataclass(frozen=True, slots=True)
class DataObject:
    """A JSON object whose values are computed."""

    entries: tuple[tuple[str, Data], ...]


@dataclass(frozen=True, slots=True)
class DataList:
    items: tuple[Data, ...]


Data = Expression | DataObject | DataList


@dataclass(frozen=True)
class DataMapping:
    """Names and expressions, nested as JSON is."""

    def read(self, node: Node, reader: Reader) -> DataObject | None:
        if not isinstance(node, MappingNode) or not node.entries:
            reader.problem("E020", node, "names and expressions are missing", "write {order: order, kind: \"'new'\"}")
            return None
        found = self._data(node, reader, 0)
        return found if isinstance(found, DataObject) else None

    def _data(self, node: Node, reader: Reader, depth: int) -> Data | None:
        if isinstance(node, ScalarNode):
            return Condition("an expression; a text stands in quotes within it").read(node, reader)
        size = len(node.entries) if isinstance(node, MappingNode) else len(node.items)
        if depth >= _DATA_DEPTH or size > _DATA_LIMIT:
            help = f"at most {_DATA_LIMIT} names, {_DATA_DEPTH} levels"
            reader.problem("E025", node, "this is too much data", help)
            return None
        if isinstance(node, SequenceNode):
            items = [self._data(item, reader, depth + 1) for item in node.items]
            good = tuple(item for item in items if item is not None)
            return DataList(good) if len(good) == len(items) else None
        entries = [(key.text, self._data(value, reader, depth + 1)) for key, value in node.entries]
        whole = tuple((name, value) for name, value in entries if value is not None)
        return DataObject(whole) if len(whole) == len(entries) else None

    def schema(self) -> Schema:
        return {"type": "object", "minProperties": 1}

    def describe(self) -> str:
        return "{name: expression}, nested as JSON is"


@dataclass(frozen=True)
class Body:
    """Data sent as JSON, or a text sent as it is."""

    def read(self, node: Node, reader: Reader) -> DataObject | Template | None:
        return DataMapping().read(node, reader) if isinstance(node, MappingNode) else TemplateText().read(node, reader)

    def schema(self) -> Schema:
        return {"anyOf": [DataMapping().schema(), text_schema()]}

    def describe(self) -> str:
        return "{name: expression}, sent as JSON; or a text"


@dataclass(frozen=True)
class Statuses:
    """Answers by their number and where they lead: an exit ``status 404`` each."""

    entry: ClassVar[tuple[str, ...]] = ("status",)

    def read(self, node: Node, reader: Reader) -> tuple[str, ...] | None:
        if not isinstance(node, MappingNode) or not node.entries:
            reader.problem("E020", node, "statuses are missing", "write status: {'404': block_name}")
            return None
        complete = True
        for key, value in node.entries:
            if not _STATUS.fullmatch(key.text):
                reader.problem(
                    "E022", key, f"'{key.text[:40]}' is not a status", "write '404', or '5XX' for all of 500-599"
                )
                complete = False
            else:
                reader.wire(f"status {key.text}", value)
        return tuple(key.text for key, _ in node.entries) if complete else None

    def schema(self) -> Schema:
        names = {"pattern": f"^(?:{_STATUS.pattern})$"}
        return {"type": "object", "minProperties": 1, "propertyNames": names, "additionalProperties": text_schema()}

    def describe(self) -> str:
        return "'404': block, '5XX': block"


@dataclass(frozen=True, slots=True)
class Argument:
    """``name: expression`` of a ``plugin``."""

    name: str
    value: Expression
    place: Place = field(compare=False)


@dataclass(frozen=True)
class Arguments:
    def read(self, node: Node, reader: Reader) -> tuple[Argument, ...] | None:
        if not isinstance(node, MappingNode):
            reader.problem("E020", node, "arguments have names", "write args: {number: caller.number}")
            return None
        found = []
        for key, value in node.entries:
            expression = Condition().read(value, reader)
            if not NAME.fullmatch(key.text):
                bad_name(key, reader)
            elif expression is not None:
                found.append(Argument(key.text, expression, key.place))
        return tuple(found) if len(found) == len(node.entries) else None

    def schema(self) -> Schema:
        return {"type": "object", "additionalProperties": Condition().schema()}

    def describe(self) -> str:
        return "{name: expression}"
