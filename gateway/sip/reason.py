"""Why a call failed or ended, as headers tell it: Reason (RFC 3326) and what else helps. No state."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.sip.grammar import SipParseError, split_list
from gateway.sip.message import Message

__all__ = ["q850_of", "reason_of", "telling_headers"]

_TELLING = ("Contact", "Reason", "Retry-After", "Warning")
_MOST = 20


def telling_headers(message: Message) -> tuple[tuple[str, str], ...]:
    """The headers of a response, CANCEL or BYE that an owner may want to know."""
    found = [(name, value) for name in _TELLING for value in message.headers.get_all(name)]
    return tuple(found[:_MOST])


def reason_of(message: Message) -> str | None:
    """The first Reason header as it was written."""
    return message.headers.get("reason")


def q850_of(headers: Iterable[tuple[str, str]]) -> int | None:
    """The ISDN cause, 1 to 127, that a Reason header names (RFC 6432)."""
    for name, line in headers:
        if name != "Reason":
            continue
        try:
            values = split_list(line)
        except SipParseError:
            continue
        for value in values:
            protocol, *params = value.split(";")
            if protocol.strip().upper() == "Q.850":
                for param in params:
                    key, _, number = param.partition("=")
                    digits = number.strip()
                    if key.strip().lower() == "cause" and digits.isascii() and digits.isdigit():
                        return int(digits) if len(digits) <= 3 else None
    return None
