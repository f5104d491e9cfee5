"""Which web pages may talk to the gateway: its own, and those of the origins that the site names (RFC 6454)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

__all__ = ["OriginError", "Origins"]

_PORTS: Final = {"http": 80, "https": 443}


class OriginError(ValueError):
    """Text that is no origin; says what to write."""


class Origins:
    """Judges the Origin header."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        """
        Raises:
            OriginError: one of them is no origin.
        """
        self.allowed = tuple(_normal(text) for text in allowed)

    def allows(self, origin: str | None, host: str | None) -> bool:
        """Whether a request may come in. ``host`` is its Host header.

        No origin: it comes from no web page. Browsers always name one for a WebSocket.
        """
        return origin is None or self.is_named(origin) or self.is_own(origin, host)

    def is_named(self, origin: str) -> bool:
        """Whether the site names it."""
        try:
            return _normal(origin) in self.allowed
        except OriginError:
            return False

    @staticmethod
    def is_own(origin: str, host: str | None) -> bool:
        """Whether it is a page of ours. The scheme may differ: behind a proxy that ends TLS, it does."""
        try:
            scheme, own = _split(origin)
        except OriginError:
            return False
        if not host:
            return False
        wanted = host.lower()
        default = f":{_PORTS[scheme]}"
        return wanted == own or wanted.removesuffix(default) == own


def _normal(text: str) -> str:
    scheme, host = _split(text)
    return f"{scheme}://{host}"


def _split(text: str) -> tuple[str, str]:
    """Scheme, and host with the port unless that is the usual one."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise OriginError(f"{text!r} is no origin; write https://www.example.com") from None
    host = parts.hostname
    if parts.scheme not in _PORTS or not host or "@" in parts.netloc or parts.path or parts.query or parts.fragment:
        raise OriginError(f"{text!r} is no origin; write scheme and host only: https://www.example.com")
    if ":" in host:
        host = f"[{host}]"
    return parts.scheme, host if port is None or port == _PORTS[parts.scheme] else f"{host}:{port}"
