"""A session description as data: SDP text in and out (RFC 8866). What it means for a call is decided elsewhere.

Tolerant in: any line ending, missing o=, s= and t= lines, unknown lines and attributes. Strict out: CRLF, the
order of RFC 8866 section 5, no value that could start another line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from gateway.sdp.address import read_address

__all__ = ["MediaDescription", "Origin", "RtpMap", "SdpError", "SessionDescription", "parse_sdp"]

MAX_BYTES = 16_384
"""Browsers with video send about 8 kB; nothing that a telephone says comes near."""
MAX_MEDIA = 32
MAX_FORMATS = 128
"""There are 128 RTP payload types."""
MAX_ATTRIBUTES = 1_000

_TOKEN = re.compile(r"[!-~]+\Z")
_NUMBER = re.compile(r"[0-9]{1,20}\Z")

STATIC_PAYLOAD_TYPES = {
    0: ("PCMU", 8000, 1),
    3: ("GSM", 8000, 1),
    4: ("G723", 8000, 1),
    5: ("DVI4", 8000, 1),
    6: ("DVI4", 16000, 1),
    7: ("LPC", 8000, 1),
    8: ("PCMA", 8000, 1),
    9: ("G722", 8000, 1),
    10: ("L16", 44100, 2),
    11: ("L16", 44100, 1),
    12: ("QCELP", 8000, 1),
    13: ("CN", 8000, 1),
    15: ("G728", 8000, 1),
    18: ("G729", 8000, 1),
}
"""What a number means without an a=rtpmap line (RFC 3551 section 6, table 4)."""


class SdpError(ValueError):
    """The text is not a session description, or a value cannot be written into one. The only error raised."""


@dataclass(frozen=True, slots=True)
class RtpMap:
    """One payload type: its number and the encoding it stands for (RFC 8866 section 6.6)."""

    payload_type: int
    name: str
    """As written; compare without regard to case."""
    clock_rate: int
    channels: int = 1

    def __str__(self) -> str:
        channels = f"/{self.channels}" if self.channels != 1 else ""
        return f"{self.payload_type} {self.name}/{self.clock_rate}{channels}"


@dataclass(frozen=True, slots=True)
class Origin:
    """The o= line: who made this description and which edition it is (RFC 8866 section 5.2)."""

    session_id: int = 0
    version: int = 0
    address: str = "0.0.0.0"
    username: str = "-"


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """One m= line and what follows it (RFC 8866 section 5.14)."""

    kind: str
    """``audio``, ``video``, ..."""
    port: int
    """0: the stream is refused or switched off."""
    protocol: str
    formats: tuple[str, ...]
    connection: str | None = None
    """Address of this stream where it differs from the session's."""
    attributes: tuple[tuple[str, str | None], ...] = ()
    """Attributes in order; None for a flag such as ``a=sendonly``."""

    def attribute(self, name: str) -> str | None:
        """The value of the first attribute of that name; an empty string for a flag, None if absent."""
        return _first(self.attributes, name)

    def rtp_maps(self) -> tuple[RtpMap, ...]:
        """The payload types of the m= line in its order; those without a known meaning are left out."""
        named: dict[int, RtpMap] = {}
        for name, value in self.attributes:
            if name == "rtpmap" and value is not None:
                entry = _parse_rtpmap(value)
                if entry is not None:
                    named.setdefault(entry.payload_type, entry)
        found: dict[int, RtpMap] = {}
        for text in self.formats:
            number = _number(text, 127)
            if number is None or number in found:
                continue
            if number in named:
                found[number] = named[number]
            elif number in STATIC_PAYLOAD_TYPES:
                found[number] = RtpMap(number, *STATIC_PAYLOAD_TYPES[number])
        return tuple(found.values())


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description: session level and its media."""

    origin: Origin
    media: tuple[MediaDescription, ...]
    connection: str | None = None
    attributes: tuple[tuple[str, str | None], ...] = ()
    name: str = "-"

    def attribute(self, name: str) -> str | None:
        """The value of the first session attribute of that name; an empty string for a flag."""
        return _first(self.attributes, name)

    def encode(self) -> bytes:
        """The text of this description.

        Raises:
            SdpError: a value holds a line break or is not what its place allows.
        """
        origin = self.origin
        if not _TOKEN.match(origin.username):
            raise SdpError("o= needs a user name without blanks")
        lines = [
            "v=0",
            f"o={origin.username} {origin.session_id} {origin.version} {_address_line(origin.address)}",
            f"s={self.name or '-'}",
        ]
        if self.connection is not None:
            lines.append(f"c={_address_line(self.connection)}")
        lines.append("t=0 0")
        lines += [_attribute_line(name, value) for name, value in self.attributes]
        for media in self.media:
            words = (media.kind, media.protocol, *media.formats)
            if not media.formats or not all(_TOKEN.match(word) for word in words):
                raise SdpError("m= needs words without blanks")
            lines.append(f"m={media.kind} {media.port} {media.protocol} {' '.join(media.formats)}")
            if media.connection is not None:
                lines.append(f"c={_address_line(media.connection)}")
            lines += [_attribute_line(name, value) for name, value in media.attributes]
        if any("\r" in line or "\n" in line or "\0" in line for line in lines):
            raise SdpError("line break inside a value")
        return "".join(f"{line}\r\n" for line in lines).encode()


def parse_sdp(data: bytes) -> SessionDescription:
    """Read a session description. Linear in its size.

    Raises:
        SdpError: not SDP, a broken o=, c= or m= line, or larger than the limits of this module.
    """
    if len(data) > MAX_BYTES:
        raise SdpError(f"session description larger than {MAX_BYTES} bytes")
    if b"\0" in data:
        raise SdpError("a session description holds a NUL")
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    lines = [line.rstrip(" \t") for line in text.split("\n")]
    lines = [line for line in lines if line]
    if not lines or lines[0].replace(" ", "") != "v=0":
        raise SdpError("a session description starts with v=0")

    origin = Origin()
    name = "-"
    session_connection: str | None = None
    session_attributes: list[tuple[str, str | None]] = []
    media: list[MediaDescription] = []
    heading: tuple[str, int, str, tuple[str, ...]] | None = None
    connection: str | None = None
    attributes: list[tuple[str, str | None]] = []
    attribute_count = 0

    def close() -> None:
        if heading is not None:
            media.append(MediaDescription(*heading, connection, tuple(attributes)))

    for line in lines[1:]:
        if len(line) < 2 or line[1] != "=":
            raise SdpError("a line is not of the form x=value")
        letter, value = line[0], line[2:].strip(" \t")
        if letter == "m":
            close()
            if len(media) >= MAX_MEDIA:
                raise SdpError(f"more than {MAX_MEDIA} media lines")
            heading, connection, attributes = _parse_media(value), None, []
        elif letter == "c":
            if heading is None:
                session_connection = _parse_connection(value)
            elif connection is None:
                connection = _parse_connection(value)
        elif letter == "a":
            attribute_count += 1
            if attribute_count > MAX_ATTRIBUTES:
                raise SdpError(f"more than {MAX_ATTRIBUTES} attributes")
            key, colon, content = value.partition(":")
            entry = (key.strip().lower(), content.strip() if colon else None)
            (attributes if heading is not None else session_attributes).append(entry)
        elif letter == "o" and heading is None:
            origin = _parse_origin(value)
        elif letter == "s" and heading is None:
            name = value or "-"
    close()
    return SessionDescription(origin, tuple(media), session_connection, tuple(session_attributes), name)


def _parse_origin(value: str) -> Origin:
    words = value.split()
    if len(words) != 6:
        raise SdpError("o= does not have six words")
    # Both numbers may have any length in the grammar; what is not a number at all is only ever compared.
    session_id, version = (int(word) if _NUMBER.match(word) else 0 for word in words[1:3])
    return Origin(session_id, version, words[5], words[0])


def _parse_connection(value: str) -> str:
    words = value.split()
    if len(words) < 3 or words[0].upper() != "IN" or words[1].upper() not in ("IP4", "IP6"):
        raise SdpError("c= is not an Internet address")
    # A multicast address carries /ttl and /count; the address itself is what matters here.
    address = words[2].partition("/")[0]
    if not address:
        raise SdpError("c= without an address")
    return address


def _parse_media(value: str) -> tuple[str, int, str, tuple[str, ...]]:
    words = value.split()
    if len(words) < 4:
        raise SdpError("m= needs kind, port, protocol and a format")
    if len(words) - 3 > MAX_FORMATS:
        raise SdpError(f"more than {MAX_FORMATS} formats")
    if not all(_TOKEN.match(word) for word in words):
        # These are said back in the answer, even for media we refuse.
        raise SdpError("m= holds characters that it may not")
    port = _number(words[1].partition("/")[0], 65_535)
    if port is None:
        raise SdpError("m= has no valid port")
    return words[0].lower(), port, words[2], tuple(words[3:])


@lru_cache(maxsize=256)
def _parse_rtpmap(value: str) -> RtpMap | None:
    words = value.split(None, 1)
    if len(words) != 2:
        return None
    number = _number(words[0], 127)
    parts = words[1].strip().split("/")
    if number is None or len(parts) < 2 or not parts[0]:
        return None
    clock_rate = _number(parts[1].strip(), 1_000_000)
    channels = _number(parts[2].strip(), 255) if len(parts) > 2 else 1
    if not clock_rate:
        return None
    return RtpMap(number, parts[0].strip(), clock_rate, channels or 1)


def _number(text: str, highest: int) -> int | None:
    if not _NUMBER.match(text):
        return None
    number = int(text)
    return number if number <= highest else None


def _first(attributes: tuple[tuple[str, str | None], ...], name: str) -> str | None:
    for key, value in attributes:
        if key == name:
            return value or ""
    return None


def _address_line(address: str) -> str:
    try:
        version = read_address(address).version
    except ValueError:
        if not _TOKEN.match(address):
            raise SdpError("an address holds blanks") from None
        version = 4
    return f"IN IP{version} {address}"


def _attribute_line(name: str, value: str | None) -> str:
    return f"a={name}" if value is None else f"a={name}:{value}"
