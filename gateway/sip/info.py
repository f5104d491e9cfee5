"""Keys that come by INFO: `application/dtmf-relay` and `application/dtmf` (no RFC; as Cisco's gateways began it)."""

from __future__ import annotations

from gateway.sip.message import Request

__all__ = ["keys_of"]

_KEYS = frozenset("0123456789*#ABCD")
_BY_NUMBER = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
"""Some senders write the RFC 4733 event number."""
_LONGEST_MS = 60_000
_MOST_KEYS = 64


def keys_of(request: Request) -> tuple[str, int | None]:
    """The keys that the INFO carries and how long they were held, in milliseconds if that is told.

    No keys if there are none to be understood: an INFO is never an error of the call.
    """
    text = request.body[:1024].decode("ascii", "replace")
    if request.content_type == "application/dtmf":
        return _keys(text), None
    if request.content_type != "application/dtmf-relay":
        return "", None
    keys, duration = "", None
    for line in text.replace("\r", "\n").split("\n"):
        name, _, value = line.partition("=")
        match name.strip().lower():
            case "signal":
                keys = _keys(value)
            case "duration":
                digits = value.strip()
                if digits.isascii() and digits.isdigit() and len(digits) <= 9:
                    duration = min(int(digits), _LONGEST_MS)
    return keys, duration


def _keys(text: str) -> str:
    word = "".join(text.split()).upper()
    if word in _BY_NUMBER:
        return _BY_NUMBER[word]
    return word[:_MOST_KEYS] if word and all(key in _KEYS for key in word) else ""
