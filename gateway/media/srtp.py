"""The keys of a secure leg, and where libsrtp is: in the wheel of pylibsrtp, whose own Python part is not used."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

from gateway.media import binding

__all__ = ["Srtp", "SrtpProfile", "SrtpUnavailable", "find_libsrtp", "key_length"]

SrtpProfile = Literal["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_128_GCM", "AEAD_AES_256_GCM"]
"""Names of RFC 4568 and RFC 7714; DTLS-SRTP's begin with ``SRTP_`` or ``SRTP_AES128_CM_``, for the same things."""

_KEY_LENGTHS: dict[SrtpProfile, int] = dict(zip(get_args(SrtpProfile), (30, 30, 28, 44), strict=True))
_NUMBERS: dict[SrtpProfile, int] = {profile: number for number, profile in enumerate(get_args(SrtpProfile))}


class SrtpUnavailable(RuntimeError):
    """The engine has no libsrtp; the words say why, and what to do."""


def key_length(profile: SrtpProfile) -> int:
    """Bytes of a master key with its master salt."""
    return _KEY_LENGTHS[profile]


@dataclass(frozen=True, slots=True)
class Srtp:
    """What SDES (RFC 4568) or DTLS-SRTP (RFC 5764) agreed on. Raises ValueError for keys that are not the profile's."""

    profile: SrtpProfile
    send: bytes = field(repr=False)
    """Master key followed by master salt, for what we send."""
    receive: bytes = field(repr=False)
    """The same for what we are sent."""

    def __post_init__(self) -> None:
        if self.profile not in _NUMBERS:
            raise ValueError(f"no SRTP profile {self.profile!r}: there are {', '.join(_NUMBERS)}")
        expected = key_length(self.profile)
        for key in (self.send, self.receive):
            if len(key) != expected:
                raise ValueError(f"{self.profile} has keys of {expected} bytes with their salts, not of {len(key)}")

    def native(self) -> binding.MediaSrtp:
        """As the engine takes it."""
        native = binding.MediaSrtp(profile=_NUMBERS[self.profile])
        native.send[: len(self.send)] = self.send
        native.receive[: len(self.receive)] = self.receive
        return native


def find_libsrtp() -> Path:
    """The shared library with libsrtp's functions in it; raises SrtpUnavailable.

    pylibsrtp is looked for, not imported: its functions would be called with packets, which are not Python's here.
    """
    spec = find_spec("pylibsrtp")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for library in sorted(Path(folder).glob("_binding*.so")):
            return library
    raise SrtpUnavailable("there is no pylibsrtp: install it with `pip install pylibsrtp`")
