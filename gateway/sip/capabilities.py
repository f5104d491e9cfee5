"""What we understand of SIP, and the refusals of what we do not (RFC 3261 section 8.2). No state."""

from __future__ import annotations

from gateway.sip.message import Message, Request
from gateway.sip.settings import Refuse

__all__ = ["ACCEPT", "ALLOW", "SDP", "SUPPORTED", "capabilities", "refusal_of", "sdp_of"]

SDP = "application/sdp"
INFO_TYPES = ("application/dtmf-relay", "application/dtmf")

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY"
ACCEPT = ", ".join((SDP, *INFO_TYPES))
SUPPORTED = "100rel, timer"

_UNDERSTOOD = frozenset(("100rel", "timer"))
_ALLOWED = frozenset(ALLOW.replace(" ", "").split(","))
_KNOWN = frozenset(("REFER", "MESSAGE", "PUBLISH", "REGISTER"))
"""Methods we recognise but do not allow: 405. Others are 501 (RFC 3261 8.2.1, 21.5.2)."""
_EVENTS = frozenset(("SUBSCRIBE", "NOTIFY"))
"""We notify of nothing, and hear of nothing but of our own REFER: 489 (RFC 6665 section 8.3.2)."""
_BODIES: dict[str, frozenset[str]] = {
    "INVITE": frozenset((SDP,)),
    "UPDATE": frozenset((SDP,)),
    "PRACK": frozenset((SDP,)),
    "INFO": frozenset(INFO_TYPES),
}


def capabilities() -> list[tuple[str, str]]:
    """The headers that tell what we can do: in 2xx to INVITE and OPTIONS (RFC 3261 11.2)."""
    return [("Allow", ALLOW), ("Supported", SUPPORTED)]


def refusal_of(request: Request, *, registrar: bool = False, referred: bool = False) -> Refuse | None:
    """The refusal of what is beyond us, in the order of RFC 3261 8.2: method, extensions, body.

    ``registrar``: we are one. ``referred``: the request belongs to a session in which we have sent a REFER.

    Raises:
        SipParseError: a broken header.
    """
    method = request.method
    if method in _EVENTS and not (referred and method == "NOTIFY"):
        return Refuse(489)
    if method not in _ALLOWED and not (registrar and method == "REGISTER"):
        allow = (("Allow", ALLOW + ", REGISTER" if registrar else ALLOW),)
        return Refuse(405 if method in _KNOWN else 501, headers=allow)
    unknown = request.require - _UNDERSTOOD
    if unknown and method not in ("ACK", "CANCEL"):
        return Refuse(420, headers=(("Unsupported", ", ".join(sorted(unknown))),))
    if request.body and method in _BODIES:
        encoding = (request.headers.get("content-encoding") or "identity").strip().lower()
        if encoding != "identity":
            return Refuse(415, headers=(("Accept-Encoding", "identity"),))
        if request.content_type not in _BODIES[method]:
            accepted = ", ".join(sorted(_BODIES[method]))
            return Refuse(415, headers=(("Accept", accepted),))
    if "info-package" in request.headers and method == "INFO":
        # RFC 6086 4.2.2: the packages we take are none.
        return Refuse(469, headers=(("Recv-Info", ""),))
    return None


def sdp_of(message: Message) -> bytes | None:
    """The session description that a message carries, or None."""
    return message.body if message.body and message.content_type == SDP else None
