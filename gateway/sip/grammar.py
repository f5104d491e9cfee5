"""The lexical rules of SIP (RFC 3261 section 25) that every header shares: tokens, lists, quotes, parameters.

Nothing here knows a header by name. Everything here takes time linear in its input, whatever the input is: no
pattern can be entered twice at one place, and no text is scanned again for each of its parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.sip.message import Request

Params = Mapping[str, str | None]
"""Parameters in their order; names in lower case, values as written (quoted strings keep their quotes)."""

NO_PARAMS: Params = MappingProxyType({})

TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+\Z")
HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.\-]+)\Z")

LWS = " \t"
"""White space inside a header value, once folded lines are joined. Never `str.strip()` bare: that takes
Unicode spaces too, which here are content."""

MAX_UINT32 = 2**32 - 1


class SipParseError(ValueError):
    """What came from the network is not SIP. The only exception that parsing and typed accessors raise.

    `status` is the response that RFC 3261 has for it (400, 416, 505, 513 ...); 0 means: drop it in silence,
    because it is a response or too broken to be answered. `request`, where known, is the request as far as it
    could be read, good only for echoing its Via, From, To, Call-ID and CSeq in that response.
    """

    def __init__(self, what: str, status: int = 400) -> None:
        super().__init__(what)
        self.status = status
        self.request: Request | None = None


def split_list(text: str, separator: str = ",") -> list[str]:
    """Split at separators that stand outside "quoted strings" and <angle brackets>; parts are stripped.

    An unterminated quote or bracket is a SipParseError. An empty text is one empty part.
    """
    return [part.strip(LWS) for part in split_raw(text, separator)]


def split_raw(text: str, separator: str) -> list[str]:
    """`split_list` without stripping: joining the parts by the separator gives the text back."""
    if '"' not in text and "<" not in text:
        return text.split(separator)
    parts: list[str] = []
    start = 0
    for match in _MARK[separator].finditer(text):
        mark = match.group()
        if mark == separator:
            parts.append(text[start : match.start()])
            start = match.end()
        elif mark == '"':
            raise SipParseError("unterminated quoted string")
        elif mark == "<":
            raise SipParseError("unterminated <")
    parts.append(text[start:])
    return parts


def _mark(separator: str) -> re.Pattern[str]:
    # A whole quoted string or bracket is one match, so what is inside is passed over; a bare opening mark is
    # matched only when its end is missing, and the caller stops there: no second look at the rest.
    return re.compile(r'"(?:[^"\\]|\\.)*"|<[^>]*>|["<]|' + re.escape(separator), re.S)


_MARK = {separator: _mark(separator) for separator in ",;"}


def quoted_end(text: str) -> int:
    """Index just after the quoted string that `text` begins with."""
    match = _QUOTED.match(text)
    if match is None:
        raise SipParseError("unterminated quoted string")
    return match.end()


_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.S)
_PAIR = re.compile(r"\\(.)", re.S)


def unquote(text: str) -> str:
    """The content of a quoted string, its escapes undone; text without quotes comes back as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    return _PAIR.sub(r"\1", inner) if "\\" in inner else inner


def quote(text: str) -> str:
    """`text` as a quoted string. Control characters are left out: they cannot be sent safely (RFC 3261 25.1)."""
    if not text.isprintable():
        text = "".join(c for c in text if c >= " " and c != "\x7f")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse_params(parts: Iterable[str]) -> Params:
    """Parameters from parts already split at `;`. An empty part, name or value is a SipParseError.

    Of a parameter given twice the first counts: that is what a reader that stops at the first finds too, so
    two readers of one message cannot be told two things.
    """
    params: dict[str, str | None] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        name = name.strip(LWS).lower()
        value = value.strip(LWS)
        if not name or (equals and not value):
            raise SipParseError("empty parameter")
        params.setdefault(name, value if equals else None)
    # Values are shared between messages that say the same: nobody may change one.
    return MappingProxyType(params)


def format_params(params: Params) -> str:
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params.items()])


def parse_host_port(text: str) -> tuple[str, int | None]:
    """`host`, `host:port`, `[v6]`, `[v6]:port`: host in lower case, IPv6 with its brackets."""
    host = text
    port: int | None = None
    colon = text.rfind(":")
    if colon > text.rfind("]"):
        host, digits = text[:colon], text[colon + 1 :]
        port = parse_uint(digits, "port", 65535)
    if not HOST.match(host):
        raise SipParseError("bad host")
    return host.lower(), port


def parse_uint(text: str, what: str, maximum: int = MAX_UINT32) -> int:
    """A decimal number of ASCII digits, 0 to `maximum`; ten digits at most, so that no number costs time."""
    if not text.isascii() or not text.isdigit() or len(text.lstrip("0")) > 10:
        raise SipParseError(f"bad {what}")
    number = int(text[-10:])
    if number > maximum:
        raise SipParseError(f"{what} too large")
    return number


def check_sendable(text: str) -> str:
    """Give `text` back if it can stand in one line of a message, else ValueError: CR, LF, NUL, not encodable.

    This is the gate against injection: everything that this program itself puts into a message passes it.
    """
    if "\r" in text or "\n" in text or "\0" in text:
        raise ValueError("a value with CR, LF or NUL cannot be sent in a SIP message")
    if not text.isascii():
        text.encode("utf-8", "surrogateescape")
    return text
