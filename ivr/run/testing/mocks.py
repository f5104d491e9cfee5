"""What stands in for the world outside in a test: answers of web services, tables, plug-ins and webhooks, as written.

The first mock that fits answers. What no mock fits is not asked anywhere: it fails the test.
"""

# ruff: noqa: RUF009  (settings are declared by calls, as dataclasses.field is)

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from typing import Final, Literal
from urllib.parse import urlsplit

from ivr.flow.kinds import Duration, Name, OneOf, Text, Whole, YesNo
from ivr.flow.settings import Reader, read_record, scalar, setting
from ivr.flow.source import MappingNode, Node, ScalarNode, SequenceNode
from ivr.run.requests import (
    Asked,
    Delivered,
    HttpRequest,
    HttpResponse,
    NoReply,
    Notification,
    PluginCall,
    PluginResult,
    Reply,
    TableLookup,
    TableRow,
)

_AFTER: Final = "how long the answer takes"
_TIMES: Final = "how often it answers; after that the next that fits does"
_YES: Final = YesNo()
_OFTEN: Final = Whole(1, 1000)
_PLAIN_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?")
_WORDS: Final[Mapping[str, object]] = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Given:
    """A value as JSON has it. Wrapped, because null is a value too."""

    value: object


@dataclass(frozen=True)
class JsonValue:
    """JSON in the words of YAML: ``{total: 12.5, eta: '2026-03-05'}``. What stands in quotes is text."""

    def read(self, node: Node, reader: Reader) -> Given | None:
        return Given(_plain(node))

    def describe(self) -> str:
        return "any value: {total: 12.5}"


def _plain(node: Node) -> object:
    match node:
        case MappingNode():
            return {key.text: _plain(value) for key, value in node.entries}
        case SequenceNode():
            return [_plain(item) for item in node.items]
        case ScalarNode():
            if node.plain and node.text in _WORDS:
                return _WORDS[node.text]
            if node.plain and (found := _PLAIN_NUMBER.fullmatch(node.text)):
                return float(node.text) if found[2] else int(node.text)
            return node.text


@dataclass(frozen=True)
class AnyText:
    """A text of one line or of many."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.describe)
        if text is not None and len(text.text) > 5_000:
            reader.problem("E025", text, "this text is too long", "at most 5000 characters")
            return None
        return None if text is None else text.text

    def describe(self) -> str:
        return "a text"


@dataclass(frozen=True)
class RowValue:
    """``{tier: gold, since: '2019'}``: columns are text, as they are in a file."""

    def read(self, node: Node, reader: Reader) -> Mapping[str, object] | None:
        if not isinstance(node, MappingNode) or not node.entries:
            reader.problem("E013", node, "a row has columns", f"write row: {self.describe()}")
            return None
        row: dict[str, object] = {}
        for key, value in node.entries:
            text = Text("a value", 5_000).read(value, reader)
            if text is None:
                return None
            row[key.text] = text
        return row

    def describe(self) -> str:
        return "{tier: gold}"


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What a web service says, or how it fails."""

    status: int = setting(Whole(100, 599), "the status", default=200)
    json: Given | None = setting(JsonValue(), "the body as JSON", default=None)
    text: str | None = setting(AnyText(), "the body as text", default=None)
    after: float = setting(Duration(0, 600), _AFTER, default=0.0)
    timeout: bool = setting(_YES, "no answer comes", default=False)
    refused: bool = setting(_YES, "the service cannot be reached", default=False)


@dataclass(frozen=True)
class HttpReplyRecord:
    def read(self, node: Node, reader: Reader) -> HttpReply | None:
        return read_record(HttpReply, node, reader, "reply")

    def describe(self) -> str:
        return "{status: 200, json: {…}}, {timeout: yes} or {refused: yes}"


@dataclass(frozen=True, slots=True)
class HttpMock:
    """The answer to requests to some addresses."""

    match: str = setting(Text("an address", 2_000), "the address; * is anything")
    reply: HttpReply = setting(HttpReplyRecord(), "the answer")
    method: Literal["GET", "POST", "PUT"] | None = setting(
        OneOf(("GET", "POST", "PUT")), "the method; unless given, any", default=None
    )
    times: int | None = setting(_OFTEN, _TIMES, default=None)

    def answer(self, asked: Asked) -> tuple[float, Reply] | None:
        if not isinstance(asked, HttpRequest) or self.method not in (None, asked.method):
            return None
        if not fits(self.match, asked.url):
            return None
        reply, host = self.reply, urlsplit(asked.url).netloc
        if reply.refused:
            return in_time(reply.after, asked.timeout, NoReply(f"{host}: connection refused"))
        if reply.timeout:
            return asked.timeout, _late(host, asked.timeout)
        return in_time(reply.after, asked.timeout, _response(reply, asked), host)


@dataclass(frozen=True, slots=True)
class LookupMock:
    """The answer of a table."""

    table: str = setting(Name("the name of a table"), "the table")
    key: str = setting(Text("a key"), "the key; * is anything", default="*")
    row: Mapping[str, object] | None = setting(RowValue(), "the row that is found", default=None)
    json: Given | None = setting(JsonValue(), "the same from a database: numbers are numbers", default=None)
    miss: bool = setting(_YES, "there is no such row", default=False)
    fails: bool = setting(_YES, "the table cannot be asked", default=False)
    after: float = setting(Duration(0, 600), _AFTER, default=0.0)
    times: int | None = setting(_OFTEN, _TIMES, default=None)

    def answer(self, asked: Asked) -> tuple[float, Reply] | None:
        if not isinstance(asked, TableLookup) or asked.table != self.table or not fits(self.key, asked.key):
            return None
        reply: Reply = TableRow(self.row)
        if self.fails:
            reply = NoReply(f"table {self.table} cannot be asked")
        elif self.json is not None:
            value = self.json.value
            reply = TableRow(value if isinstance(value, Mapping) else {"value": value})
        return in_time(self.after, asked.timeout, reply, f"table {self.table}")


@dataclass(frozen=True, slots=True)
class PluginMock:
    """What a plug-in gives back."""

    name: str = setting(Name("the name of a plug-in"), "the plug-in")
    exit: str = setting(Name("an exit"), "the exit it takes", default="next")
    value: Given | None = setting(JsonValue(), "what it gives back", default=None)
    fails: bool = setting(_YES, "it fails", default=False)
    after: float = setting(Duration(0, 600), _AFTER, default=0.0)
    times: int | None = setting(_OFTEN, _TIMES, default=None)

    def answer(self, asked: Asked) -> tuple[float, Reply] | None:
        if not isinstance(asked, PluginCall) or asked.plugin != self.name:
            return None
        value = None if self.value is None else self.value.value
        reply = NoReply("it failed") if self.fails else PluginResult(self.exit, value)
        return in_time(self.after, asked.timeout or 600.0, reply, self.name)


@dataclass(frozen=True, slots=True)
class NotifyMock:
    """Whether a webhook can be told."""

    webhook: str = setting(Name("the name of a webhook"), "the webhook")
    fails: bool = setting(_YES, "it cannot be told", default=False)
    after: float = setting(Duration(0, 600), _AFTER, default=0.0)
    times: int | None = setting(_OFTEN, _TIMES, default=None)

    def answer(self, asked: Asked) -> tuple[float, Reply] | None:
        if not isinstance(asked, Notification) or asked.webhook != self.webhook:
            return None
        reply = NoReply(f"webhook {self.webhook} cannot be told") if self.fails else Delivered()
        return in_time(self.after, asked.timeout, reply, self.webhook)


Mock = HttpMock | LookupMock | PluginMock | NotifyMock

KINDS: Final[Mapping[str, type[Mock]]] = {
    "http": HttpMock,
    "lookup": LookupMock,
    "plugin": PluginMock,
    "notify": NotifyMock,
}
"""The word a list of mocks stands under, and what they are."""


def read_mocks(node: MappingNode, reader: Reader) -> tuple[Mock, ...]:
    """The mocks beside the other settings of a test, or of ``defaults``."""
    found: list[Mock] = []
    for word, kind in KINDS.items():
        value = node.get(word)
        if value is None:
            continue
        for item in value.items if isinstance(value, SequenceNode) else (value,):
            mock: Mock | None = read_record(kind, item, reader, f"a mock of {word}")
            if mock is not None and not _contradicts(mock, item, reader):
                found.append(mock)
    return tuple(found)


def _contradicts(mock: Mock, node: Node, reader: Reader) -> bool:
    """Whether the mock says two things at once, or nothing."""
    match mock:
        case LookupMock(row=row, json=value, miss=miss, fails=fails) if (row is not None) + (
            value is not None
        ) + miss + fails != 1:
            message = "a mock of lookup says one of row, json, miss and fails"
            reader.problem("E172", node, message, "write miss: yes, say")
            return True
        case HttpMock(reply=reply) if (reply.json is not None) + (
            reply.text is not None
        ) + reply.timeout + reply.refused > 1:
            help = "write one of json, text, timeout and refused"
            reader.problem("E172", node, "a reply is one thing, not two", help)
            return True
    return False


class Answers:
    """What answers in one call: the first mock that fits and has not answered as often as it does."""

    def __init__(self, mocks: Sequence[Mock] = ()) -> None:
        self._left: list[tuple[Mock, int | None]] = [(mock, mock.times) for mock in mocks]

    def add(self, mock: Mock) -> None:
        self._left.append((mock, mock.times))

    def to(self, asked: Asked) -> tuple[float, Reply] | None:
        """Seconds until the answer, and the answer; None if no mock fits."""
        for at, (mock, left) in enumerate(self._left):
            found = None if left == 0 else mock.answer(asked)
            if found is not None:
                self._left[at] = mock, None if left is None else left - 1
                return found
        return None


def distinct(mocks: Iterable[Mock]) -> list[Mock]:
    """Each once, in order. What they answer with can be lists, so that they cannot be in a set."""
    found: list[Mock] = []
    for mock in mocks:
        if mock not in found:
            found.append(mock)
    return found


def tables_of(mocks: Sequence[Mock]) -> frozenset[str]:
    """The tables that mocks stand in for."""
    return frozenset(mock.table for mock in mocks if isinstance(mock, LookupMock))


def fits(pattern: str, text: str) -> bool:
    """Whether a text is as the pattern says, in which ``*`` is anything and all else itself."""
    return _pattern(pattern).fullmatch(text) is not None


@lru_cache(1_000)
def _pattern(pattern: str) -> re.Pattern[str]:
    escaped = "".join(f"[{character}]" if character in "?[" else character for character in pattern)
    return re.compile(translate(escaped), re.DOTALL)


def in_time(after: float, limit: float, reply: Reply, who: str = "") -> tuple[float, Reply]:
    """The reply, or its failing to come in time."""
    return (after, reply) if after <= limit else (limit, _late(who, limit))


def _late(who: str, limit: float) -> NoReply:
    return NoReply(f"{who} did not answer within {limit:g} s".strip())


def _response(reply: HttpReply, asked: HttpRequest) -> Reply:
    """The response as the sender of real requests would hand it over."""
    body: object = reply.text if reply.json is None else reply.json.value
    if asked.wants == "nothing" or body is None:
        return HttpResponse(reply.status)
    if asked.wants == "text":
        return HttpResponse(reply.status, reply.text if reply.json is None else json.dumps(body, ensure_ascii=False))
    if reply.json is None and 200 <= reply.status < 300:
        try:
            return HttpResponse(reply.status, json.loads(str(body)))
        except ValueError:
            return NoReply("the answer is not JSON")
    return HttpResponse(reply.status, body)
