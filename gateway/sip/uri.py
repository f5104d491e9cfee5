"""Addresses: `sip:`, `sips:`, `tel:`, and others as far as they must be carried along (RFC 3261 19.1, RFC 3966)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib import parse as percent

from gateway.sip.grammar import (
    HOST,
    NO_PARAMS,
    TOKEN,
    Params,
    SipParseError,
    check_sendable,
    format_params,
    parse_host_port,
    parse_params,
)

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_FORBIDDEN = re.compile(r'[\x00-\x20\x7f<>"]')
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()")
_USER_SAFE = "-_.!~*'()&=+$,;?/"
_PASSWORD_SAFE = "-_.!~*'()&=+$,"
_PARAM_SAFE = "-_.!~*'()[]/:&+$"
_TEL = re.compile(r"\+?[0-9A-Fa-f*#\-.()]+\Z")

_NEVER_DEFAULTED = ("user", "ttl", "method", "maddr")
"""Parameters that, present in one of two URIs, make them different (RFC 3261 19.1.4)."""


@dataclass(frozen=True, slots=True, eq=False)
class SipUri:
    """One URI. `str()` of a parsed one gives back what was read, character by character.

    `==` compares the spelling, so that URIs can be keys; `matches()` is the comparison of RFC 3261 19.1.4.
    """

    scheme: str
    """`sip`, `sips`, `tel`, or another in lower case: of those only `host` (the rest of the text) is set."""
    user: str | None
    """As written, escapes untouched; `user_text` has them undone. The number of a tel: URI."""
    password: str | None
    host: str
    """Lower case; an IPv6 address keeps its brackets here and loses them in `address`. Empty in a tel: URI."""
    port: int | None
    params: Params
    headers: str | None
    """What follows `?`, as written."""
    raw: str

    @classmethod
    def parse(cls, text: str) -> SipUri:
        """SipParseError (400) if it is not a URI. Unknown schemes are read: refusing them is a 416, not a 400."""
        return _parse_again(text) if len(text) <= _LONGEST_KEPT else cls._parse(text)

    @classmethod
    def _parse(cls, text: str) -> SipUri:
        match = _SCHEME.match(text)
        if match is None or _FORBIDDEN.search(text):
            raise SipParseError("bad URI")
        scheme = match.group(1).lower()
        rest = text[match.end() :]
        if scheme == "sip" or scheme == "sips":
            return cls._parse_sip(scheme, rest, text)
        if scheme == "tel":
            number, *parts = rest.split(";")
            if not _TEL.match(number):
                raise SipParseError("bad tel URI")
            return cls(scheme, number, None, "", None, parse_params(parts) if parts else NO_PARAMS, None, text)
        if not rest:
            raise SipParseError("bad URI")
        return cls(scheme, None, None, rest, None, NO_PARAMS, None, text)

    @classmethod
    def _parse_sip(cls, scheme: str, rest: str, text: str) -> SipUri:
        user: str | None = None
        password: str | None = None
        # The first @ ends the user: before it ; ? and / are plain characters, and after it, in headers that
        # should have escaped theirs (Replaces=id@host is seen), a further one does no harm.
        before, at, target = rest.partition("@")
        if at:
            user, colon, secret = before.partition(":")
            if not user:
                raise SipParseError("empty user in URI")
            password = secret if colon else None
        else:
            target = rest
        target, question, headers = target.partition("?")
        host_port, *parts = target.split(";")
        host, port = parse_host_port(host_port)
        params = parse_params(parts) if parts else NO_PARAMS
        if "%" in target:
            # A name may be written with escapes too: `%6C%72` is `lr` (RFC 4475 3.1.1.3).
            params = {(_plain(name) or "").lower(): value for name, value in params.items()}
        return cls(scheme, user, password, host, port, params, headers if question else None, text)

    @classmethod
    def build(
        cls,
        user: str | None,
        host: str,
        port: int | None = None,
        params: Params = NO_PARAMS,
        *,
        scheme: str = "sip",
    ) -> SipUri:
        """A URI from plain text: what RFC 3261 19.1.2 wants escaped is escaped; ValueError if it cannot be.

        An IPv6 `host` may come with or without brackets. For `tel`, `user` is the number and `host` empty.
        """
        if scheme == "tel":
            if host or user is None or not _TEL.match(user):
                raise ValueError(f"not a telephone number: {user!r}")
            return cls.parse(f"tel:{user}{_escaped_params(params)}")
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        if scheme not in ("sip", "sips") or not HOST.match(host):
            raise ValueError(f"not a host: {host!r}")
        if port is not None and not 0 < port < 65536:
            raise ValueError(f"not a port: {port}")
        text = scheme + ":"
        if user:
            text += percent.quote(user, safe=_USER_SAFE, errors="surrogateescape") + "@"
        text += host
        if port is not None:
            text += f":{port}"
        return cls.parse(check_sendable(text + _escaped_params(params)))

    @property
    def address(self) -> str:
        """The host as sockets want it: IPv6 without brackets."""
        return self.host[1:-1] if self.host.startswith("[") else self.host

    @property
    def user_text(self) -> str:
        """The user with its escapes undone; empty where there is none."""
        user = self.user or ""
        return percent.unquote(user, errors="surrogateescape") if "%" in user else user

    @property
    def is_loose_router(self) -> bool:
        return "lr" in self.params

    def as_request_uri(self) -> SipUri:
        """The same without what may not stand in a Request-URI: headers and `method` (RFC 3261 19.1.1)."""
        if self.headers is None and "method" not in self.params:
            return self
        params = {name: value for name, value in self.params.items() if name != "method"}
        return self._rewritten(params)

    def with_params(self, **changes: str | bool | None) -> SipUri:
        """The same with parameters set: text for a value, True for none, None to take one away; no headers."""
        params = dict(self.params)
        for name, value in changes.items():
            if value is None or value is False:
                params.pop(name, None)
            else:
                params[name] = None if value is True else value
        return self._rewritten(params)

    def _rewritten(self, params: Params) -> SipUri:
        if self.scheme == "tel":
            return SipUri.parse(f"tel:{self.user}{format_params(params)}")
        secret = "" if self.password is None else f":{self.password}"
        user = "" if self.user is None else f"{self.user}{secret}@"
        port = "" if self.port is None else f":{self.port}"
        return SipUri.parse(check_sendable(f"{self.scheme}:{user}{self.host}{port}{format_params(params)}"))

    def matches(self, other: SipUri) -> bool:
        """Whether both name the same resource by RFC 3261 19.1.4: not always the same as the same place."""
        if self.raw == other.raw:
            return True
        if self.scheme != other.scheme or self.port != other.port or self.host != other.host:
            return False
        if self.scheme == "tel":
            return _digits(self.user) == _digits(other.user) and _params_match(self.params, other.params)
        if _plain(self.user) != _plain(other.user) or _plain(self.password) != _plain(other.password):
            return False
        return _params_match(self.params, other.params) and _headers(self) == _headers(other)

    def __str__(self) -> str:
        return self.raw

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SipUri) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)


def with_headers(uri: SipUri, headers: Iterable[tuple[str, str]]) -> str:
    """The URI with headers that whoever calls it is to send (RFC 3261 19.1.1); any that it had are replaced."""
    pairs = "&".join(f"{name}={percent.quote(value, safe='')}" for name, value in headers)
    bare = uri.raw.partition("?")[0]
    return f"{bare}?{pairs}" if pairs else bare


_LONGEST_KEPT: Final = 200


@lru_cache(maxsize=2048)
def _parse_again(text: str) -> SipUri:
    """The same numbers are dialled, and the same telephones named, again and again."""
    return SipUri._parse(text)


def _escaped_params(params: Params) -> str:
    text = ""
    for name, value in params.items():
        if not TOKEN.match(name):
            raise ValueError(f"not a parameter name: {name!r}")
        text += f";{name}"
        if value is not None:
            text += "=" + percent.quote(value, safe=_PARAM_SAFE, errors="surrogateescape")
    return text


def _plain(text: str | None) -> str | None:
    """Escapes of characters that need none undone, the others in one spelling."""
    if text is None or "%" not in text:
        return text

    def decode(match: re.Match[str]) -> str:
        character = chr(int(match.group(1), 16))
        return character if character in _UNRESERVED else match.group().upper()

    return _ESCAPE.sub(decode, text)


def _digits(number: str | None) -> str:
    return (number or "").translate(str.maketrans("", "", "-.()")).lower()


def _params_match(mine: Params, theirs: Params) -> bool:
    if any((name in mine) != (name in theirs) for name in _NEVER_DEFAULTED):
        return False
    return all(
        (_plain(value) or "").lower() == (_plain(theirs[name]) or "").lower()
        for name, value in mine.items()
        if name in theirs
    )


def _headers(uri: SipUri) -> dict[str, str | None]:
    pairs = (pair.partition("=") for pair in (uri.headers or "").split("&") if pair)
    return {name.lower(): _plain(value) for name, _, value in pairs}
