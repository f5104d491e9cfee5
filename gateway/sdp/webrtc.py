"""What WebRTC adds to an audio stream's description: ICE (RFC 8839), DTLS-SRTP (RFC 5763, 8842), mux and BUNDLE.

Only what is said in SDP: who checks candidates and shakes hands lives elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from gateway.sdp.description import MediaDescription, SessionDescription

__all__ = ["PROTOCOLS", "DtlsSrtp", "Fingerprint", "Setup", "read_dtls_srtp"]

Setup = Literal["actpass", "active", "passive"]

PROTOCOLS = ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP")

_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}\Z")
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}\Z")
_DIGEST = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){15,63}\Z")
_CANDIDATE_MAX = 512
"""Bytes; a real one has about 100."""
_CANDIDATES_MAX = 32
"""A laptop with VPNs and virtual machines gathers about 20."""
_FINGERPRINTS_MAX = 8


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Of the certificate that DTLS will show (RFC 8122 section 5)."""

    algorithm: str
    """Lower case: ``sha-256``, ..."""
    value: str
    """Upper case hexadecimal pairs, parted by colons."""


@dataclass(frozen=True, slots=True)
class DtlsSrtp:
    """One side's ICE and DTLS parameters of a stream."""

    ufrag: str
    password: str
    fingerprints: tuple[Fingerprint, ...]
    setup: Setup
    candidates: tuple[str, ...] = ()
    """Values of ``a=candidate``, as RFC 8839 section 5.1 writes them."""
    trickle: bool = False
    """More candidates may follow by signalling (RFC 8838)."""
    lite: bool = False
    mid: str | None = None
    """Names the stream in BUNDLE (RFC 9143); None: the other side uses none."""

    def attributes(self) -> tuple[tuple[str, str | None], ...]:
        """Of the media line, in an order that every browser takes."""
        found: list[tuple[str, str | None]] = []
        if self.mid is not None:
            found.append(("mid", self.mid))
        found += [("rtcp-mux", None), ("ice-ufrag", self.ufrag), ("ice-pwd", self.password)]
        if self.trickle:
            found.append(("ice-options", "trickle"))
        found += [("fingerprint", f"{each.algorithm} {each.value}") for each in self.fingerprints]
        found.append(("setup", self.setup))
        found += [("candidate", candidate) for candidate in self.candidates]
        if not self.trickle:
            found.append(("end-of-candidates", None))
        return tuple(found)


def read_dtls_srtp(description: SessionDescription, line: MediaDescription) -> DtlsSrtp | str:
    """The other side's parameters for that line, or words on what is wrong with them.

    Session-level values stand for lines that have none of their own (RFC 8839 section 5.4, RFC 8122 section 5).
    """
    ufrag = _either(description, line, "ice-ufrag")
    password = _either(description, line, "ice-pwd")
    if not ufrag or not password:
        return "ice-ufrag or ice-pwd is missing"
    if not _UFRAG.match(ufrag) or not _PASSWORD.match(password):
        return "ice-ufrag or ice-pwd is not well-formed"
    named = [value for name, value in line.attributes if name == "fingerprint"] or [
        value for name, value in description.attributes if name == "fingerprint"
    ]
    fingerprints = tuple(each for each in map(_fingerprint, named[:_FINGERPRINTS_MAX]) if each is not None)
    if not fingerprints:
        return "there is no fingerprint of a certificate"
    if line.attribute("rtcp-mux") is None:
        return "without rtcp-mux there would be a second transport"
    setup = _either(description, line, "setup") or "actpass"
    candidates = [value for name, value in line.attributes if name == "candidate" and value]
    options = (_either(description, line, "ice-options") or "").split()
    return DtlsSrtp(
        ufrag=ufrag,
        password=password,
        fingerprints=fingerprints,
        setup="active" if setup == "active" else "passive" if setup == "passive" else "actpass",
        candidates=tuple(text for text in candidates[:_CANDIDATES_MAX] if len(text) <= _CANDIDATE_MAX),
        trickle="trickle" in options and line.attribute("end-of-candidates") is None,
        lite=description.attribute("ice-lite") is not None,
        mid=line.attribute("mid") or None,
    )


def _either(description: SessionDescription, line: MediaDescription, name: str) -> str | None:
    value = line.attribute(name)
    return description.attribute(name) if value is None else value


def _fingerprint(text: str | None) -> Fingerprint | None:
    algorithm, _, value = (text or "").partition(" ")
    value = value.strip().upper()
    return Fingerprint(algorithm.lower(), value) if _DIGEST.match(value) else None
