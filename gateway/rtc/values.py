"""Objects within messages: descriptions, candidates, ICE servers, rights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.rtc.fields import Flag, Items, Nested, OneOf, Text, Whole, described
from gateway.rtc.limits import CANDIDATE_BYTES, CONTENT_BYTES, DEVICE_BYTES, ID_BYTES, SDP_BYTES

__all__ = [
    "CONTENT",
    "DEVICE",
    "ID",
    "PRESENCE",
    "RESPONSE",
    "SECRET",
    "STATES",
    "Candidate",
    "Description",
    "IceServerInfo",
    "Resume",
    "RightsInfo",
]

ID: Final = Text(ID_BYTES, printable=True)
DEVICE: Final = Text(DEVICE_BYTES, printable=True)
SECRET: Final = Text(ID_BYTES, pattern=r"[A-Za-z0-9_-]+", pattern_words="an id as the gateway gave it")
CONTENT: Final = Text(CONTENT_BYTES, min_bytes=0)
RESPONSE: Final = Text(CONTENT_BYTES, min_bytes=0)
PRESENCE: Final = OneOf(("online", "unreachable", "offline", "busy"))
STATES: Final = OneOf(
    (
        "idle",
        "sent_to_remote",
        "received_by_remote",
        "received",
        "accept_sent",
        "accepted",
        "refused",
        "cancelled",
        "failed",
    )
)

_CANDIDATE: Final = "candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A session description (RTCSessionDescription of WebRTC)."""

    type: str = described(OneOf(("offer", "answer")), "What the SDP is.")
    sdp: str = described(Text(SDP_BYTES), "SDP with ICE and DTLS fingerprint (RFC 8829).", example="v=0\r\n...")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An ICE candidate (RTCIceCandidateInit of WebRTC)."""

    candidate: str = described(
        Text(CANDIDATE_BYTES, min_bytes=0), "RFC 8839; empty: no more of this generation.", example=_CANDIDATE
    )
    sdp_mid: str | None = described(
        Text(ID_BYTES, min_bytes=0), "Media section.", wire="sdpMid", default=None, example="0"
    )
    sdp_m_line_index: int | None = described(
        Whole(0, 255), "Number of the media section.", wire="sdpMLineIndex", default=None, example=0
    )
    username_fragment: str | None = described(
        Text(256, min_bytes=0), "The `ice-ufrag` it belongs to.", wire="usernameFragment", default=None, example="a1b2"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Where a lost connection stopped."""

    session: str = described(SECRET, "The session, as the login told it.", example="tJ5nHzV3mQw8Qm0bE1dYxA7cRk2uLf4s")
    seq: int = described(Whole(), "The last notification that was taken; 0 if none.", example=17)


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsInfo:
    """What the token allows."""

    call_in: bool = described(Flag(), "Call numbers that flows answer.", example=True)
    be_called: bool = described(Flag(), "Be called.", example=True)
    call_out: tuple[str, ...] = described(
        Items(Text(ID_BYTES), 64), "Patterns of numbers and users that may be called.", example=["20XX", "tel:0*"]
    )
    peers: bool = described(Flag(), "Watch the presence of other users, and send them messages.", example=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServerInfo:
    """An RTCIceServer of WebRTC."""

    urls: tuple[str, ...] = described(
        Items(Text(256), 8, least=1), "RFC 7064, RFC 7065.", example=["turn:turn.example.com:3478"]
    )
    username: str | None = described(Text(512), "For TURN.", default=None, example="u")
    credential: str | None = described(Text(512), "For TURN.", default=None, example="p")


RIGHTS: Final = Nested(RightsInfo)
