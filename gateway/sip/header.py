"""Header values with a structure: addresses, Via, CSeq (RFC 3261 section 20). Frozen, parsed on demand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from gateway.sip.grammar import (
    LWS,
    NO_PARAMS,
    TOKEN,
    Params,
    SipParseError,
    check_sendable,
    format_params,
    parse_host_port,
    parse_params,
    parse_uint,
    quote,
    quoted_end,
    split_list,
    split_raw,
    unquote,
)
from gateway.sip.uri import SipUri

__all__ = ["BRANCH_COOKIE", "CSeq", "NameAddr", "Via", "split_list"]

BRANCH_COOKIE = "z9hG4bK"
"""A branch that begins so is unique to its transaction (RFC 3261 8.1.1.7); others are from RFC 2543."""


@dataclass(frozen=True, slots=True, eq=False)
class NameAddr:
    """`"Display" <uri>;params`, the value of From, To, Contact, Route, Record-Route, Refer-To and the like.

    `str()` of a parsed one gives back what was read (less NUL, which may come but never leaves here).
    """

    display_name: str
    """Quotes and escapes undone; empty where there is none."""
    uri: SipUri
    params: Params
    """The header's parameters, not the URI's."""
    raw: str

    @classmethod
    def parse(cls, text: str) -> NameAddr:
        """RFC 3261 20.10: without brackets every parameter is the header's, and `?` and `,` are not allowed."""
        return _parse_again(text) if len(text) <= _LONGEST_KEPT else cls._parse(text)

    @classmethod
    def _parse(cls, text: str) -> NameAddr:
        display_name = ""
        if text.startswith('"'):
            end = quoted_end(text)
            display_name = unquote(text[:end])
            opening = text.find("<", end)
            if opening < 0 or text[end:opening].strip(LWS):
                raise SipParseError("bad name-addr")
        else:
            opening = text.find("<")
            if opening > 0:
                words = text[:opening].replace("\t", " ").split(" ")
                display_name = " ".join([word for word in words if word])
                if not all(TOKEN.match(word) for word in words if word):
                    raise SipParseError("display name with such characters needs quotes")
        if opening < 0:
            address, *parts = split_list(text, ";")
            if "?" in address or "," in address:
                raise SipParseError("address with ? or , needs brackets")
        else:
            closing = text.find(">", opening)
            if closing < 0:
                raise SipParseError("unterminated <")
            address = text[opening + 1 : closing]
            tail = text[closing + 1 :].strip(LWS)
            parts = []
            if tail:
                if not tail.startswith(";"):
                    raise SipParseError("bad name-addr")
                parts = split_list(tail[1:], ";")
        uri = SipUri.parse(address)
        params = parse_params(parts) if parts else NO_PARAMS
        if "\0" in text:
            return cls.build(uri, display_name, {k: v and v.replace("\0", "") for k, v in params.items()})
        return cls(display_name, uri, params, text)

    @classmethod
    def build(cls, uri: SipUri, display_name: str = "", params: Params = NO_PARAMS) -> NameAddr:
        """ValueError if a parameter would break out of its line. Values are written as given: quote() first
        what is not a token."""
        name = quote(display_name) + " " if display_name else ""
        return cls(display_name, uri, params, check_sendable(f"{name}<{uri}>{format_params(params)}"))

    @property
    def tag(self) -> str | None:
        return self.params.get("tag")

    def with_tag(self, tag: str) -> NameAddr:
        """The same with this tag; the rest stays as it was written."""
        if self.params.get("tag") is None:
            return NameAddr(
                self.display_name, self.uri, {**self.params, "tag": tag}, check_sendable(f"{self.raw};tag={tag}")
            )
        return NameAddr.build(self.uri, self.display_name, {**self.params, "tag": tag})

    def __str__(self) -> str:
        return self.raw

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NameAddr) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)


_LONGEST_KEPT: Final = 200


@lru_cache(maxsize=2048)
def _parse_again(text: str) -> NameAddr:
    """The same From, To and Contact come with every message of a call: 400 kB that save half of the parsing."""
    return NameAddr._parse(text)


class CSeq(NamedTuple):
    """RFC 3261 20.16: the number orders requests within a dialog; the method is case-sensitive."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> CSeq:
        return _parse_cseq(text) if len(text) <= _LONGEST_KEPT else cls._parse(text)

    @classmethod
    def _parse(cls, text: str) -> CSeq:
        number, _, method = text.replace("\t", " ").partition(" ")
        method = method.strip(" ")
        if not TOKEN.match(method):
            raise SipParseError("bad CSeq")
        return cls(parse_uint(number, "CSeq"), method)

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


@lru_cache(maxsize=256)
def _parse_cseq(text: str) -> CSeq:
    """Nearly all calls begin with the same number and end with the next."""
    return CSeq._parse(text)


_VIA = re.compile(
    r"SIP/2\.0/([A-Za-z0-9\-]+) ([A-Za-z0-9_.\-]+)(?::([0-9]{1,5}))?"
    r"((?:;[^;\"<,=\s]+(?:=[^;\"<,=\s]+)?)*)\Z"
)
"""A Via as nearly all are written; the others take the long way."""


@dataclass(frozen=True, slots=True, eq=False)
class Via:
    """One Via value: where the response to a request goes (RFC 3261 20.42, RFC 3581)."""

    transport: str
    """Upper case: UDP, TCP, TLS, WS ..."""
    host: str
    """The sent-by host, lower case; IPv6 with brackets."""
    port: int | None
    params: Params
    raw: str

    @classmethod
    def parse(cls, text: str) -> Via:
        match = _VIA.match(text)
        if match is not None:
            transport, host, digits, tail = match.groups()
            port = None if digits is None else parse_uint(digits, "port", 65535)
            params = parse_params(tail[1:].split(";")) if tail else NO_PARAMS
            return cls(transport.upper(), host.lower(), port, params, text)
        head, *parts = split_list(text, ";")
        fields = head.split("/")
        if len(fields) != 3 or fields[0].strip(LWS).upper() != "SIP" or fields[1].strip(LWS) != "2.0":
            raise SipParseError("bad Via")
        transport, _, sent_by = fields[2].replace("\t", " ").strip(" ").partition(" ")
        if not TOKEN.match(transport):
            raise SipParseError("bad Via transport")
        # White space may stand around the colon of the sent-by, and nowhere else in it.
        sent_by = ":".join([piece.strip(" ") for piece in sent_by.split(":")])
        host, port = parse_host_port(sent_by)
        return cls(transport.upper(), host, port, parse_params(parts) if parts else NO_PARAMS, text)

    @classmethod
    def build(cls, transport: str, host: str, port: int | None, branch: str) -> Via:
        """A Via of our own, asking for the response at the port it came from (RFC 3581)."""
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        sent_by = host if port is None else f"{host}:{port}"
        return cls.parse(check_sendable(f"SIP/2.0/{transport.upper()} {sent_by};rport;branch={branch}"))

    @property
    def branch(self) -> str | None:
        return self.params.get("branch")

    @property
    def received(self) -> str | None:
        return self.params.get("received")

    @property
    def wants_rport(self) -> bool:
        """Whether the sender asked to be answered at the port it sent from (RFC 3581 section 3)."""
        return "rport" in self.params

    @property
    def rport(self) -> int | None:
        """The port that the other side saw us send from, once it has written it."""
        value = self.params.get("rport")
        return None if value is None else parse_uint(value, "rport", 65535)

    @property
    def is_unique(self) -> bool:
        """Whether the branch alone names the transaction: cookie and something after it (RFC 3261 17.2.3)."""
        branch = self.params.get("branch")
        return branch is not None and len(branch) > len(BRANCH_COOKIE) and branch.startswith(BRANCH_COOKIE)

    def seen_from(self, host: str, port: int) -> Via:
        """The same with `received` and `rport` as RFC 3261 18.2.1 and RFC 3581 section 4 want; `host` is the
        address the request came from (IPv6 without brackets). All other characters stay as they were."""
        wants_rport = "rport" in self.params
        bare = self.host[1:-1] if self.host.startswith("[") else self.host
        if not wants_rport and bare == host:
            return self
        params = {**self.params, "received": host}
        if wants_rport:
            params["rport"] = str(port)
        raw = self.raw
        if ";rport;" in raw and "received" not in self.params and '"' not in raw:
            raw = raw.replace(";rport;", f";rport={port};", 1) + f";received={host}"
        else:
            pieces = []
            for piece in split_raw(raw, ";"):
                name = piece.partition("=")[0].strip(LWS).lower()
                # What the sender wrote there itself would lead the response astray.
                if name == "received":
                    continue
                pieces.append(f"rport={port}" if name == "rport" else piece)
            pieces.append(f"received={host}")
            raw = ";".join(pieces)
        return Via(self.transport, self.host, self.port, params, raw)

    def __str__(self) -> str:
        return self.raw

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Via) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)
