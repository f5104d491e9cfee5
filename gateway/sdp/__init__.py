"""Session descriptions: reading and writing SDP (RFC 8866) and offer/answer for audio (RFC 3264).

No sockets, no clock, no state: what was said before is handed in, what to say next is handed back.
"""

from gateway.sdp.description import (
    MediaDescription,
    Origin,
    RtpMap,
    SdpError,
    SessionDescription,
    parse_sdp,
)
from gateway.sdp.negotiation import (
    G722,
    OPUS,
    PCMA,
    PCMU,
    Agreed,
    Answer,
    AudioCapabilities,
    Codec,
    Direction,
    Refused,
    answer_offer,
    make_offer,
    read_answer,
)
from gateway.sdp.sdes import SUITES, Crypto, Suite, read_cryptos
from gateway.sdp.webrtc import DtlsSrtp, Fingerprint, read_dtls_srtp

__all__ = [
    "G722",
    "OPUS",
    "PCMA",
    "PCMU",
    "SUITES",
    "Agreed",
    "Answer",
    "AudioCapabilities",
    "Codec",
    "Crypto",
    "Direction",
    "DtlsSrtp",
    "Fingerprint",
    "MediaDescription",
    "Origin",
    "Refused",
    "RtpMap",
    "SdpError",
    "SessionDescription",
    "Suite",
    "answer_offer",
    "make_offer",
    "parse_sdp",
    "read_answer",
    "read_cryptos",
    "read_dtls_srtp",
]
