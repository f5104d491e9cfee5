"""Requests and responses (RFC 3261 section 7): read lazily, written strictly, echoed as they were received.

What lives here is the message as a whole. A message is split into lines once; a header's value is parsed when
somebody asks for it, and remembered until the headers change. Text is UTF-8 with surrogate escapes, so bytes
that are no UTF-8 come out as they went in. An unchanged message encodes to the bytes it was read from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from gateway.sip.grammar import LWS, TOKEN, SipParseError, check_sendable, parse_uint, split_list
from gateway.sip.header import CSeq, NameAddr, Via
from gateway.sip.uri import SipUri

__all__ = ["REASONS", "Headers", "Message", "Request", "Response", "SipParseError", "parse_message"]

MAX_MESSAGE_BYTES: Final = 65536
MAX_HEADERS: Final = 200

REASONS: Final[dict[int, str]] = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    199: "Early Dialog Terminated",
    200: "OK",
    202: "Accepted",
    204: "No Notification",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    412: "Conditional Request Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    417: "Unknown Resource-Priority",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    424: "Bad Location Information",
    428: "Use Identity Header",
    429: "Provide Referrer Identity",
    430: "Flow Failed",
    433: "Anonymity Disallowed",
    436: "Bad Identity Info",
    437: "Unsupported Credential",
    438: "Invalid Identity Header",
    439: "First Hop Lacks Outbound Support",
    440: "Max-Breadth Exceeded",
    469: "Bad Info Package",
    470: "Consent Needed",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    494: "Security Agreement Required",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    555: "Push Notification Service Not Supported",
    580: "Precondition Failure",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
    608: "Rejected",
}

_COMPACT: Final = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}

_COMMON: Final = (
    "Accept Allow Allow-Events Authorization Call-ID Contact Content-Disposition Content-Length Content-Type "
    "CSeq Date Event Expires From In-Reply-To Max-Forwards Min-Expires Min-SE P-Asserted-Identity Path "
    "Proxy-Authenticate Proxy-Authorization Proxy-Require RAck Reason Record-Route Refer-To Referred-By "
    "Replaces Require Retry-After Route RSeq Server Session-Expires Subject Subscription-State Supported To "
    "Unsupported User-Agent Via Warning WWW-Authenticate"
)

_KEYS: Final = {
    **{name: name.lower() for name in _COMMON.split()},
    **{name.lower(): name.lower() for name in _COMMON.split()},
    **_COMPACT,
    **{short.upper(): long for short, long in _COMPACT.items()},
}
"""Names as nearly all messages spell them: they need no further look."""

_ONCE: Final = frozenset(("call-id", "cseq", "from", "to", "max-forwards", "content-length", "content-type"))
_MANDATORY: Final = ("via", "from", "to", "call-id", "cseq")
_ECHOED: Final = frozenset((*_MANDATORY, "record-route"))

_FOLD: Final = re.compile(r"\r\n[ \t]+")
_STATUS_LINE: Final = re.compile(r"SIP/2\.0 ([1-6][0-9][0-9])(?: (.*))?\Z", re.S | re.I)
_VERSION: Final = re.compile(r"SIP/[0-9]+\.[0-9]+\Z", re.I)

_NONE: Final[frozenset[str]] = frozenset()

_Item = tuple[str, str, str]
_T = TypeVar("_T")


def _key(name: str) -> str:
    key = _KEYS.get(name)
    if key is None:
        key = name.lower()
        key = _COMPACT.get(key, key)
    return key


class Headers:
    """Header fields in their order. Names compare without case and in both their forms (`f` is `From`).

    Values put in by this program may not hold CR, LF or NUL: ValueError. What was received is kept as it came,
    folded lines joined by one space.
    """

    __slots__ = ("_first", "_items", "edits")

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items: list[_Item] = []
        self._first: dict[str, str] | None = None
        self.edits = 0
        """How often the fields were changed: what was derived from them before is out of date."""
        for name, value in items:
            self.add(name, value)

    @classmethod
    def _of(cls, items: list[_Item], first: dict[str, str] | None = None) -> Headers:
        """``first``: by key the first value of each name, if that is known: most of what is asked for."""
        headers = cls.__new__(cls)
        headers._items = items
        headers._first = first
        headers.edits = 0
        return headers

    def get(self, name: str) -> str | None:
        """The first field's value. Of a list header that is only as much as stood on the first line."""
        key = _KEYS.get(name) or _key(name)
        if self._first is not None:
            return self._first.get(key)
        for item in self._items:
            if item[0] == key:
                return item[2]
        return None

    def get_all(self, name: str) -> list[str]:
        """The values of all fields of this name, as they were on their lines: lists are not split."""
        key = _key(name)
        return [item[2] for item in self._items if item[0] == key]

    def add(self, name: str, value: str) -> None:
        """After all others."""
        item = _checked(name, value)
        self._items.append(item)
        if self._first is not None:
            self._first.setdefault(item[0], item[2])
        self.edits += 1

    def prepend(self, name: str, value: str) -> None:
        """Before the first of its name (Via, Record-Route), or before everything."""
        item = _checked(name, value)
        self._items.insert(self._index(item[0]) or 0, item)
        if self._first is not None:
            self._first[item[0]] = item[2]
        self.edits += 1

    def set(self, name: str, value: str) -> None:
        """In place of all fields of this name."""
        item = _checked(name, value)
        index = self._index(item[0])
        if index is None:
            self._items.append(item)
        else:
            kept = [other for other in self._items[index + 1 :] if other[0] != item[0]]
            self._items[index:] = [item, *kept]
        if self._first is not None:
            self._first[item[0]] = item[2]
        self.edits += 1

    def remove(self, name: str) -> None:
        key = _key(name)
        self._items = [item for item in self._items if item[0] != key]
        if self._first is not None:
            self._first.pop(key, None)
        self.edits += 1

    def copy(self) -> Headers:
        return Headers._of(list(self._items))

    def _drop_repeated(self) -> None:
        """Of fields that may be there only once leave the first: for refusing a request that repeats them."""
        seen: set[str] = set()
        kept = []
        for item in self._items:
            if item[0] in _ONCE and item[0] in seen:
                continue
            seen.add(item[0])
            kept.append(item)
        self._items = kept
        self.edits += 1

    def _index(self, key: str) -> int | None:
        for index, item in enumerate(self._items):
            if item[0] == key:
                return index
        return None

    def _replace_top_via(self, value: str) -> None:
        """The first Via value rewritten; the others on its line stay. For the layer that notes the source."""
        index = self._index("via")
        if index is not None:
            key, name, line = self._items[index]
            rest = split_list(line)[1:] if "," in line else []
            self._items[index] = (key, name, ", ".join([value, *rest]))
            if self._first is not None:
                self._first[key] = self._items[index][2]
            self.edits += 1

    def __contains__(self, name: str) -> bool:
        key = _KEYS.get(name) or _key(name)
        return key in self._first if self._first is not None else self._index(key) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Names as written, and values."""
        return iter([(name, value) for _, name, value in self._items])

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"


def _checked(name: str, value: str) -> _Item:
    key = _KEYS.get(name)
    if key is None:
        if not TOKEN.match(name):
            raise ValueError(f"not a header name: {name!r}")
        key = _key(name)
    return (key, name, check_sendable(value))


class Message:
    """What requests and responses share. Typed properties raise SipParseError where the value is malformed;
    a missing From, To, Call-ID, CSeq or Via is malformed too, other missing headers are None or empty."""

    __slots__ = ("_cache", "_cache_edits", "_raw", "body", "headers")

    def __init__(self, headers: Headers | Iterable[tuple[str, str]] = (), body: bytes = b"") -> None:
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.body = body
        self._cache: dict[str, object] = {}
        self._cache_edits = self.headers.edits
        self._raw: bytes | None = None

    def _cached(self, name: str, parse: Callable[[Message], _T]) -> _T:
        if self._cache_edits != self.headers.edits:
            self._cache.clear()
            self._cache_edits = self.headers.edits
        value = self._cache.get(name)
        if value is None:
            value = self._cache[name] = parse(self)
        return value  # type: ignore[return-value]  # one name, one parser

    def _note_source(self, via: Via) -> None:
        """Put a top Via in place that says where the message came from; what else was parsed stays known."""
        if via is not self.top_via:
            self.headers._replace_top_via(str(via))
            self._cache_edits = self.headers.edits
            self._cache["top_via"] = via
            self._cache.pop("vias", None)

    def _one(self, name: str) -> str:
        value = self.headers.get(name)
        if value is None:
            raise SipParseError(f"{name} is missing")
        return value

    def _name_addrs(self, name: str) -> tuple[NameAddr, ...]:
        if name not in self.headers:
            return ()
        return tuple([NameAddr.parse(part) for line in self.headers.get_all(name) for part in split_list(line)])

    def _tokens(self, name: str) -> frozenset[str]:
        if name not in self.headers:
            return _NONE
        return frozenset(
            [part.strip(LWS) for line in self.headers.get_all(name) for part in line.split(",") if part.strip(LWS)]
        )

    def _number(self, name: str, maximum: int) -> int | None:
        value = self.headers.get(name)
        return None if value is None else parse_uint(value, name, maximum)

    @property
    def vias(self) -> tuple[Via, ...]:
        return self._cached("vias", _vias)

    @property
    def top_via(self) -> Via:
        return self._cached("top_via", _top_via)

    @property
    def from_(self) -> NameAddr:
        return self._cached("from", _from)

    @property
    def to(self) -> NameAddr:
        return self._cached("to", _to)

    @property
    def call_id(self) -> str:
        return self._one("call-id")

    @property
    def cseq(self) -> CSeq:
        return self._cached("cseq", _cseq)

    @property
    def contacts(self) -> tuple[NameAddr, ...]:
        """Empty for `Contact: *` too: see `contact_is_star`."""
        return self._cached("contacts", _contacts)

    @property
    def contact_is_star(self) -> bool:
        """`Contact: *` and nothing else: all bindings (RFC 3261 10.2.2)."""
        return self.headers.get_all("contact") == ["*"]

    @property
    def routes(self) -> tuple[NameAddr, ...]:
        return self._cached("routes", _routes)

    @property
    def record_routes(self) -> tuple[NameAddr, ...]:
        """From top to bottom: a caller's route set is this turned round (RFC 3261 12.1.2)."""
        return self._cached("record-routes", _record_routes)

    @property
    def max_forwards(self) -> int | None:
        return self._number("max-forwards", 255)

    @property
    def content_type(self) -> str | None:
        """`type/subtype` in lower case, without parameters."""
        value = self.headers.get("content-type")
        return None if value is None else "".join(value.partition(";")[0].split()).lower()

    @property
    def require(self) -> frozenset[str]:
        """Option tags, lower case."""
        tags = self._tokens("require")
        return frozenset([tag.lower() for tag in tags]) if tags else tags

    @property
    def supported(self) -> frozenset[str]:
        """Option tags, lower case."""
        tags = self._tokens("supported")
        return frozenset([tag.lower() for tag in tags]) if tags else tags

    @property
    def allow(self) -> frozenset[str]:
        """Methods; they are case-sensitive."""
        return self._tokens("allow")

    @property
    def expires(self) -> int | None:
        """Seconds."""
        return self._number("expires", 2**32 - 1)

    def _start_line(self) -> str:
        raise NotImplementedError

    def encode(self) -> bytes:
        """The bytes to send. Content-Length is always there and always right, whatever `headers` say of it;
        only a message read from the network and not changed since goes out byte for byte as it came."""
        if self._raw is not None and self.headers.edits == 0:
            return self._raw
        lines = [self._start_line()]
        lines.extend([f"{name}: {value}" for key, name, value in self.headers._items if key != "content-length"])
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._start_line()!r}>"


def _vias(message: Message) -> tuple[Via, ...]:
    lines = message.headers.get_all("via")
    if len(lines) == 1 and "," not in lines[0]:
        return (message.top_via,)
    if not lines:
        raise SipParseError("via is missing")
    return tuple([Via.parse(part) for line in lines for part in split_list(line)])


def _top_via(message: Message) -> Via:
    line = message._one("via")
    return Via.parse(split_list(line)[0] if "," in line else line)


def _from(message: Message) -> NameAddr:
    return NameAddr.parse(message._one("from"))


def _to(message: Message) -> NameAddr:
    return NameAddr.parse(message._one("to"))


def _cseq(message: Message) -> CSeq:
    return CSeq.parse(message._one("cseq"))


def _contacts(message: Message) -> tuple[NameAddr, ...]:
    return () if message.contact_is_star else message._name_addrs("contact")


def _routes(message: Message) -> tuple[NameAddr, ...]:
    return message._name_addrs("route")


def _record_routes(message: Message) -> tuple[NameAddr, ...]:
    return message._name_addrs("record-route")


class Request(Message):
    """RFC 3261 7.1. `method` is case-sensitive; ValueError if it is not a token."""

    __slots__ = ("_uri", "_uri_text", "method")

    def __init__(
        self, method: str, uri: SipUri, headers: Headers | Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> None:
        super().__init__(headers, body)
        if not TOKEN.match(method):
            raise ValueError(f"not a method: {method!r}")
        self.method = method
        self._uri: SipUri | None = uri
        self._uri_text = check_sendable(str(uri))

    @classmethod
    def _read(cls, method: str, uri_text: str, headers: Headers, body: bytes) -> Request:
        request = cls.__new__(cls)
        Message.__init__(request, headers, body)
        request.method = method
        request._uri = None
        request._uri_text = uri_text
        return request

    @property
    def uri(self) -> SipUri:
        """The Request-URI; SipParseError if what was received is none."""
        uri = self._uri
        if uri is None:
            uri = self._uri = SipUri.parse(self._uri_text)
        return uri

    @property
    def uri_text(self) -> str:
        """The Request-URI as it was received, whether or not it can be read as one."""
        return self._uri_text

    def _start_line(self) -> str:
        return f"{self.method} {self._uri_text} SIP/2.0"

    def respond(
        self,
        status: int,
        reason: str | None = None,
        *,
        to_tag: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> Response:
        """The response to this request by RFC 3261 8.2.6: Via, From, To, Call-ID and CSeq are echoed as they
        were received, and Record-Route where the response can make a dialog (12.1.1).

        `to_tag` goes in where To has no tag yet. ValueError for values that cannot be sent.
        """
        items: list[_Item] = []
        routes = 100 < status < 300
        for item in self.headers._items:
            key = item[0]
            if key in _ECHOED:
                if key == "to" and to_tag and self.to.tag is None:
                    item = (key, item[1], f"{item[2]};tag={check_sendable(to_tag)}")
                elif key == "record-route" and not routes:
                    continue
                items.append(item)
        for name, value in headers:
            items.append(_checked(name, value))
        if content_type is not None:
            items.append(_checked("Content-Type", content_type))
        return Response(status, reason, Headers._of(items), body)

    def copy(self) -> Request:
        """The same request again, to be changed and sent anew; the body is shared."""
        return Request(self.method, self.uri, self.headers.copy(), self.body)


class Response(Message):
    """RFC 3261 7.2. `reason` None means the usual words for the status."""

    __slots__ = ("reason", "status")

    def __init__(
        self,
        status: int,
        reason: str | None = None,
        headers: Headers | Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        super().__init__(headers, body)
        if not 100 <= status <= 699:
            raise ValueError(f"not a status: {status}")
        self.status = status
        self.reason = check_sendable(REASONS.get(status, "Unknown") if reason is None else reason)

    @classmethod
    def _read(cls, status: int, reason: str, headers: Headers, body: bytes) -> Response:
        response = cls.__new__(cls)
        Message.__init__(response, headers, body)
        response.status = status
        response.reason = reason
        return response

    @property
    def is_provisional(self) -> bool:
        return self.status < 200

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def _start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"


def parse_message(data: bytes) -> Request | Response:
    """Read one message: a datagram, or as much of a stream as the framer cut off (RFC 3261 7, 18.3).

    SipParseError if it is not one, its `status` saying what to answer. Checked here is what every message must
    have: a start line, no more than 64 KiB and 200 fields, the mandatory fields, no second one where only one
    may be, CSeq, Content-Length. What else is malformed is found when it is asked for.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise SipParseError("message too large", 513)
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise SipParseError("no end of headers", 0)
    text = data[:end].decode("utf-8", "surrogateescape")
    if "\r\n " in text or "\r\n\t" in text:
        text = _FOLD.sub(" ", text)
    lines = text.split("\r\n")
    broken = ""
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        # Left in, a bare CR or LF would be an end of line to some readers of what we echo.
        broken = "bare CR or LF"
        lines = [line for line in lines if "\n" not in line and "\r" not in line]
        if not lines:
            raise SipParseError(broken, 0)
    first = lines[0]
    items: list[_Item] = []
    if len(lines) - 1 > MAX_HEADERS:
        broken = "too many header fields"
        del lines[MAX_HEADERS + 1 :]
    keys = _KEYS
    values: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        key = keys.get(name)
        if key is None or not colon:
            name = name.rstrip(LWS)
            if not colon or not TOKEN.match(name):
                broken = broken or "bad header line"
                continue
            key = _key(name)
        value = value.strip(LWS)
        items.append((key, name, value))
        if key not in values:
            values[key] = value
        elif key in _ONCE:
            broken = broken or f"more than one {key}"
    headers = Headers._of(items, values)
    body = data[end + 4 :]
    message: Request | Response
    status = _STATUS_LINE.match(first)
    if status is not None:
        message = Response._read(int(status.group(1)), status.group(2) or "", headers, body)
    else:
        message = _request(first, headers, body)
    try:
        if broken:
            raise SipParseError(broken)
        for key in _MANDATORY:
            if key not in values:
                raise SipParseError(f"{key} is missing")
        method = message.cseq.method
        if isinstance(message, Request) and method != message.method:
            raise SipParseError("CSeq is of another method")
        given = values.get("content-length")
        if given is not None and given != str(len(body)):
            length = parse_uint(given, "Content-Length")
            if length > len(body):
                raise SipParseError("body is shorter than Content-Length")
            message.body = body[:length]
    except SipParseError as error:
        if isinstance(message, Response):
            error.status = 0
        else:
            error.request = message
        raise
    message._raw = data if len(message.body) == len(body) else data[: end + 4 + len(message.body)]
    return message


def _request(first: str, headers: Headers, body: bytes) -> Request:
    parts = first.split(" ")
    version = parts[-1]
    if first[:4].upper() == "SIP/":
        raise SipParseError("bad status line", 0)
    if len(parts) < 3 or not TOKEN.match(parts[0]) or not parts[1]:
        # Enough of a request to be refused, not merely noise.
        refusable = len(parts) > 3 and TOKEN.match(parts[0]) is not None
        error = SipParseError("bad request line", 400 if refusable else 0)
        if refusable:
            error.request = Request._read(parts[0], "", headers, body)
        raise error
    request = Request._read(parts[0], parts[1], headers, body)
    if len(parts) != 3 or version != "SIP/2.0":
        if len(parts) == 3 and version.upper() == "SIP/2.0":
            return request
        error = SipParseError("bad request line")
        if len(parts) == 3 and _VERSION.match(version):
            error = SipParseError("unsupported version", 505)
        error.request = request
        raise error
    return request
