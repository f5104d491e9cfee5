"""Cuts a byte stream (TCP, TLS) into messages by their Content-Length (RFC 3261 18.3). No sockets here.

Only the end of the headers and Content-Length are looked for; reading the message is the parser's work. Each
byte is searched once, whatever pieces it comes in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from gateway.sip.message import MAX_MESSAGE_BYTES

MAX_HEAD_BYTES: Final = 32768

_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\n(?:content-length|l)[ \t]*:((?:[ \t]|\r\n[ \t])*)([^\r\n]*)", re.IGNORECASE)


class KeepAlive(Enum):
    """What stands between messages (RFC 5626 3.5.1 and 4.4.1)."""

    PING = "second CRLF in a row"
    """To be answered with one CRLF."""
    PONG = "single CRLF"
    """The answer to a ping of ours, the first half of a ping, or a stray end of line before a message
    (RFC 3261 7.5): none of them needs anything."""


@dataclass(frozen=True, slots=True)
class FramingError:
    """Where the next message begins is not known any more: the connection is of no further use."""

    reason: str
    head: bytes
    """The message as far as it was read, for the trace."""


class StreamFramer:
    """Owns the bytes of one connection that are not a whole message yet: 64 KiB at most."""

    __slots__ = ("_buffer", "_half_ping", "_length", "_scanned", "broken")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._length: int | None = None
        self._half_ping = False
        self.broken = False
        """After a FramingError: whatever comes is ignored."""

    @property
    def unfinished(self) -> bool:
        """Whether a message has begun and not ended: a peer may not leave it so for long."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[bytes | KeepAlive | FramingError]:
        """What is complete now: whole messages as bytes, keep-alives, and as the last thing perhaps an error."""
        found: list[bytes | KeepAlive | FramingError] = []
        if self.broken:
            return found
        self._buffer += data
        while not self.broken:
            item = self._next()
            if item is None:
                break
            found.append(item)
        return found

    def _next(self) -> bytes | KeepAlive | FramingError | None:
        buffer = self._buffer
        if not buffer:
            return None
        if self._length is None:
            if buffer.startswith(b"\r"):
                return self._line_ends()
            self._half_ping = False
            end = buffer.find(_END, max(0, self._scanned - 3))
            self._scanned = len(buffer)
            if end < 0:
                return self._fail("header too large") if len(buffer) > MAX_HEAD_BYTES else None
            if end > MAX_HEAD_BYTES:
                return self._fail("header too large")
            problem = self._measure(end)
            if problem:
                return self._fail(problem)
        length = self._length
        if length is None or len(buffer) < length:
            return None
        message = bytes(buffer[:length])
        del buffer[:length]
        self._scanned = 0
        self._length = None
        return message

    def _line_ends(self) -> KeepAlive | FramingError | None:
        buffer = self._buffer
        if buffer == b"\r":
            return None
        if not buffer.startswith(b"\r\n"):
            return self._fail("stray CR")
        # Counted one by one, so that a ping that comes in pieces is a ping too.
        del buffer[:2]
        self._half_ping = not self._half_ping
        return KeepAlive.PONG if self._half_ping else KeepAlive.PING

    def _measure(self, end: int) -> str:
        """Find where the message ends that has its headers before `end`; words if it cannot be found."""
        lengths = _LENGTH.findall(self._buffer[: end + 2])
        if not lengths:
            return "no Content-Length"
        digits = bytes(lengths[0][1]).strip(b" \t")
        if any(bytes(other).strip(b" \t") != digits for _, other in lengths[1:]):
            return "different Content-Lengths"
        if not digits.isdigit() or len(digits) > 8:
            return "bad Content-Length"
        self._length = end + len(_END) + int(digits)
        return "message too large" if self._length > MAX_MESSAGE_BYTES else ""

    def _fail(self, reason: str) -> FramingError:
        head = bytes(self._buffer[:MAX_HEAD_BYTES])
        self._buffer.clear()
        self.broken = True
        return FramingError(reason, head)
