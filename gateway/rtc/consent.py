"""Consent checks (RFC 7675) on the path that ICE has chosen: what each side asks the other for as long as a call lasts.

Browsers ask every 2.5 s, and for calls that run there is hardly anything else that Python has to do. So the usual check
is read and answered here as bytes; whatever else comes is aioice's affair. No sockets, no clock.
"""

from __future__ import annotations

import hmac
import ipaddress
from binascii import crc32
from struct import pack, unpack_from

__all__ = ["Consent"]

_HEADER = 20
_COOKIE = b"\x21\x12\xa4\x42"
_BINDING_REQUEST = b"\x00\x01"
_BINDING_RESPONSE = b"\x01\x01"
_USERNAME, _INTEGRITY, _FINGERPRINT = 0x0006, 0x0008, 0x8028
_ROLES = (0x8029, 0x802A)
"""ICE-CONTROLLED and ICE-CONTROLLING: whoever says one of them is that."""
_UNDERSTOOD = frozenset((_USERNAME, _INTEGRITY, 0x0020, 0x0024, 0x0025))
"""Besides what need not be (RFC 8489 section 14): XOR-MAPPED-ADDRESS, PRIORITY, USE-CANDIDATE, which changes nothing
once the path is in use."""
_INTEGRITY_SIZE, _FINGERPRINT_SIZE = 4 + 20, 4 + 4


class Consent:
    """Both directions of consent between us and the far end of one nominated pair.

    ``question`` are the attributes of our own check, from USERNAME to the last before MESSAGE-INTEGRITY, as they go
    over the wire. ``address`` is the far end's.
    """

    def __init__(
        self,
        address: tuple[str, int],
        *,
        local_username: str,
        local_password: str,
        remote_username: str,
        remote_password: str,
        controlling: bool,
        question: bytes,
    ) -> None:
        self.address = address
        self._username = f"{local_username}:{remote_username}".encode()
        self._local_key = local_password.encode()
        self._remote_key = remote_password.encode()
        self._our_role = _ROLES[controlling]
        self._question = question
        self.asked = b""
        """The id of our last check, until it is answered."""
        host = ipaddress.ip_address(address[0].partition("%")[0])
        self._mapped = pack("!HHBBH", 0x0020, 4 + len(host.packed), 0, 1 if host.version == 4 else 2,
                            address[1] ^ 0x2112)  # fmt: skip
        self._host = host.packed

    def answer(self, data: bytes, address: tuple[str, int]) -> bytes | None:
        """The response to the far end's check of this path; None: it is nothing of the kind, or not the usual one."""
        if address != self.address or data[:2] != _BINDING_REQUEST:
            return None
        found = self._read(data, self._local_key)
        if found is None or found.get(_USERNAME) != self._username or self._our_role in found:
            return None
        transaction = data[8:_HEADER]
        # XOR-MAPPED-ADDRESS, RFC 8489 section 14.2.
        mask = _COOKIE + transaction
        host = bytes(one ^ other for one, other in zip(self._host, mask, strict=False))
        return _sealed(_BINDING_RESPONSE, transaction, self._mapped + host, self._local_key)

    def request(self, transaction: bytes) -> bytes:
        """Our check, under an id of 12 bytes that nobody can guess."""
        self.asked = transaction
        return _sealed(_BINDING_REQUEST, transaction, self._question, self._remote_key)

    def is_confirmed_by(self, data: bytes, address: tuple[str, int]) -> bool:
        """Whether that is the answer to our last check: consent is given for 30 s more."""
        if not self.asked or data[8:_HEADER] != self.asked or data[:2] != _BINDING_RESPONSE:
            return False
        if address != self.address or self._read(data, self._remote_key) is None:
            return False
        self.asked = b""
        return True

    def _read(self, data: bytes, key: bytes) -> dict[int, bytes] | None:
        """The attributes that MESSAGE-INTEGRITY covers; None if the message is not whole, or not under that key."""
        if len(data) < _HEADER or data[4:8] != _COOKIE or unpack_from("!H", data, 2)[0] != len(data) - _HEADER:
            return None
        found: dict[int, bytes] = {}
        authentic = False
        at = _HEADER
        while at + 4 <= len(data):
            kind, size = unpack_from("!HH", data, at)
            if at + 4 + size > len(data):
                return None
            value = data[at + 4 : at + 4 + size]
            if kind == _FINGERPRINT:
                # Nothing comes after it (RFC 8489 section 14.7).
                whole = size == 4 and at + _FINGERPRINT_SIZE == len(data)
                return found if authentic and whole and value == _fingerprint(data[:at]) else None
            if authentic or (kind < 0x8000 and kind not in _UNDERSTOOD):
                return None
            if kind == _INTEGRITY:
                covered = data[:2] + pack("!H", at - _HEADER + _INTEGRITY_SIZE) + data[4:at]
                if not hmac.compare_digest(value, hmac.digest(key, covered, "sha1")):
                    return None
                authentic = True
            else:
                # The first of a kind counts (RFC 8489 section 14).
                found.setdefault(kind, value)
            at += 4 + (size + 3 & ~3)
        return found if authentic and at == len(data) else None


def _sealed(kind: bytes, transaction: bytes, attributes: bytes, key: bytes) -> bytes:
    """A message with MESSAGE-INTEGRITY and FINGERPRINT, each over the length that ends with itself."""
    size = len(attributes) + _INTEGRITY_SIZE
    covered = kind + pack("!H", size) + _COOKIE + transaction + attributes
    integrity = pack("!HH", _INTEGRITY, 20) + hmac.digest(key, covered, "sha1")
    message = kind + pack("!H", size + _FINGERPRINT_SIZE) + _COOKIE + transaction + attributes + integrity
    return message + pack("!HH", _FINGERPRINT, 4) + _fingerprint(message)


def _fingerprint(data: bytes) -> bytes:
    return pack("!I", crc32(data) ^ 0x5354554E)
