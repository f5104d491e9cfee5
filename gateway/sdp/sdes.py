"""Keys of SRTP in a description: a=crypto lines (RFC 4568, RFC 7714 section 14.2). What uses them lives elsewhere."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from gateway.sdp.description import MediaDescription

__all__ = ["PROTOCOLS", "SUITES", "Crypto", "Suite", "choose_crypto", "read_cryptos"]

Suite = Literal["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_128_GCM", "AEAD_AES_256_GCM"]

PROTOCOLS: Final = ("RTP/SAVP", "RTP/SAVPF")

SUITES: Final[dict[Suite, int]] = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AEAD_AES_256_GCM": 44,
    "AEAD_AES_128_GCM": 28,
    "AES_CM_128_HMAC_SHA1_32": 30,
}
"""Wanted first, with the bytes of a key and its salt. What every telephone has comes before what is stronger on
paper: some take the first line or none."""

_CRYPTOS_MAX: Final = 16
_LINE: Final = re.compile(r"([0-9]{1,9})[ \t]+([A-Za-z0-9_]{1,64})[ \t]+([^ \t]{1,512})((?:[ \t]+[^ \t]+)*)\Z")
_INLINE: Final = re.compile(r"inline:([A-Za-z0-9+/]+={0,2})(?:\|(?:2\^[0-9]{1,2}|[0-9]{1,16}))?\Z", re.IGNORECASE)
"""Key, and how many packets it lasts: more than a call has. With a number of the key (MKI) behind, it is no line of
ours: it would be in every packet."""
_HARMLESS: Final = re.compile(r"(?:WSH=[0-9]+|KDR=0)\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Crypto:
    """One a=crypto line: the key with which its sender encrypts."""

    tag: int
    suite: Suite
    key: bytes = field(repr=False)
    """Master key and salt."""

    def __str__(self) -> str:
        return f"{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode()}"


def read_cryptos(line: MediaDescription) -> tuple[Crypto, ...]:
    """The lines that we understand, in their order; others are for others (RFC 4568 section 5.1.2)."""
    values = [value for name, value in line.attributes if name == "crypto" and value]
    return tuple(found for found in map(_crypto, values[:_CRYPTOS_MAX]) if found is not None)


def choose_crypto(offered: tuple[Crypto, ...], ours: tuple[Crypto, ...]) -> tuple[Crypto, Crypto] | None:
    """Of what was offered, what we take, and our answer to it: the first of the offerer's that we have a key for."""
    for theirs in offered:
        own = next((each for each in ours if each.suite == theirs.suite), None)
        if own is not None:
            return theirs, replace(own, tag=theirs.tag)
    return None


def _crypto(value: str) -> Crypto | None:
    found = _LINE.match(value)
    if found is None:
        return None
    tag, name, keys, parameters = found.groups()
    suite = next((each for each in SUITES if each == name.upper()), None)
    inline = _INLINE.match(keys)
    if suite is None or inline is None:
        return None
    # What must be understood and is not, such as UNENCRYPTED_SRTP; one that begins with - need not be (6.3.7).
    if any(not word.startswith("-") and not _HARMLESS.match(word) for word in parameters.split()):
        return None
    try:
        # Some leave the = at the end out.
        key = base64.b64decode(inline[1].rstrip("=") + "=" * (-len(inline[1].rstrip("=")) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return Crypto(int(tag), suite, key) if len(key) == SUITES[suite] else None
