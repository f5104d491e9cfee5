"""A far end that speaks SRTP by pylibsrtp: a phone with SDES, or on one port a browser after DTLS."""

from __future__ import annotations

import os
import struct
from typing import Any

from pylibsrtp import Error, Policy, Session

from gateway.media.engine import MediaLeg, Srtp
from gateway.media.srtp import SrtpProfile, key_length
from tests.media.rtp_peer import RtpPeer

PROFILES: dict[SrtpProfile, int] = {
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}


def fresh_keys(profile: SrtpProfile = "AES_CM_128_HMAC_SHA1_80") -> Srtp:
    return Srtp(profile, send=os.urandom(key_length(profile)), receive=os.urandom(key_length(profile)))


def session(profile: SrtpProfile, key: bytes, *, inbound: bool) -> Session:
    kind = Policy.SSRC_ANY_INBOUND if inbound else Policy.SSRC_ANY_OUTBOUND
    return Session(Policy(key=key, ssrc_type=kind, srtp_profile=PROFILES[profile]))


class SrtpPeer(RtpPeer):
    """What it sends is sealed, and what it hears is what it could open.

    ``mux`` means one port for RTP and RTCP (RFC 5761), as everybody with ICE has it.
    """

    def __init__(self, *arguments: Any, keys: Srtp | None = None, mux: bool = False, **settings: Any) -> None:
        self.mux = mux
        self.keys = keys or fresh_keys()
        """As the gateway's leg has them: its ``receive`` is what is sent here."""
        self.received_raw: list[bytes] = []
        self.refused: list[bytes] = []
        """What came and could not be opened."""
        self._take_keys()
        super().__init__(*arguments, **settings)

    def _take_keys(self) -> None:
        self._out = session(self.keys.profile, self.keys.receive, inbound=False)
        self._in = session(self.keys.profile, self.keys.send, inbound=True)

    def rekeys(self, keys: Srtp) -> None:
        """As many a phone does it: with contexts that know nothing of the ones before."""
        with self._changed:
            if keys.profile != self.keys.profile or keys.receive != self.keys.receive:
                self._out = session(keys.profile, keys.receive, inbound=False)
            if keys.profile != self.keys.profile or keys.send != self.keys.send:
                self._in = session(keys.profile, keys.send, inbound=True)
            self.keys = keys

    def talks_to(self, leg: MediaLeg, **changes: Any) -> None:
        """Keys are agreed on as well; and with ICE which way."""
        leg.secure(self.keys)
        super().talks_to(leg, **{"rtcp_mux": self.mux} | changes)
        if leg.ice:
            leg.set_path(self.host, self.port)

    def seals(self, data: bytes) -> bytes:
        """The SRTP packet, to be sent by :meth:`sends_raw`."""
        return self._out.protect(data)

    def sends_raw(self, data: bytes) -> None:
        super().sends(data)

    def sends(self, data: bytes) -> None:
        self.sends_raw(self.seals(data))

    def sends_rtcp(self, data: bytes) -> None:
        sealed = self._out.protect_rtcp(data)
        if self.mux:
            self.sends_raw(sealed)
        else:
            super().sends_rtcp(sealed)

    def _arrived(self, data: bytes, *, rtcp: bool) -> None:
        with self._changed:
            self.received_raw.append(data)
            try:
                opened = self._in.unprotect_rtcp(data) if rtcp else self._in.unprotect(data)
            except Error:
                self.refused.append(data)
                self._changed.notify_all()
                return
        super()._arrived(opened, rtcp=rtcp)


def receiver_report(ssrc: int = 0x1000) -> bytes:
    """The shortest RTCP there is (RFC 3550 6.4.2)."""
    return struct.pack("!BBHI", 0x80, 201, 1, ssrc)
