"""Everything the SIP side tells its owner. Whoever reads this file knows what can happen.

A session begins with :class:`IncomingCall` or with :meth:`UserAgent.invite`, and ends with exactly one
:class:`SessionFailed` (never answered, whoever placed it) or :class:`SessionEnded` (answered). Nothing is told
of a session after that. Bodies are SDP as bytes: what they mean is not this side's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gateway.sip.hop import Hop
from gateway.sip.message import Request
from gateway.sip.uri import SipUri

if TYPE_CHECKING:
    from gateway.sip.registrar import Binding
    from gateway.sip.session import Session

__all__ = [
    "Event",
    "FailureCause",
    "IncomingCall",
    "RegistrationChanged",
    "SessionAnswered",
    "SessionConfirmed",
    "SessionEnded",
    "SessionEvent",
    "SessionFailed",
    "SessionInfo",
    "SessionOffer",
    "SessionOfferAnswered",
    "SessionOfferRefused",
    "SessionProgress",
    "SessionReferEnded",
    "SessionReferProgress",
    "TrunkRegistered",
    "TrunkRegistrationFailed",
]

FailureCause = Literal["rejected", "timeout", "transport", "cancelled", "loop"]


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """An INVITE made a session. It waits for ``ring``, ``answer`` or ``reject``."""

    session: Session
    from_uri: SipUri
    from_name: str
    """Display name, empty if there is none."""
    to_uri: SipUri
    request_uri: SipUri
    """What was dialled; its user is the number."""
    hop: Hop
    """Where the INVITE came from."""
    sdp: bytes | None
    """The offer; None: the caller wants ours, in the answer."""
    account: str | None
    """The seat that proved its password for this call."""
    request: Request
    """The INVITE itself, for what else it tells (P-Asserted-Identity, Diversion, ...)."""


@dataclass(frozen=True, slots=True)
class SessionProgress:
    """A provisional response above 100 to a call that was placed."""

    session: Session
    status: int
    reason: str
    sdp: bytes | None
    """Early media: an answer that may still change with the fork that answers."""
    fork: str
    """The To tag: tells the phones apart that ring for one call. Empty if there is none."""


@dataclass(frozen=True, slots=True)
class SessionAnswered:
    """A call that was placed was answered, and the ACK is sent."""

    session: Session
    sdp: bytes | None
    """The answer; None if a 2xx came without any: there is nothing to send sound to."""


@dataclass(frozen=True, slots=True)
class SessionConfirmed:
    """The ACK to our answer arrived."""

    session: Session
    sdp: bytes | None
    """The caller's answer, if our 200 carried the offer."""


@dataclass(frozen=True, slots=True)
class SessionFailed:
    """A session is over without an answer: ours to a call that came in, or the peer's to one that was placed."""

    session: Session
    status: int | None
    """The final response, sent or received; None: there was none."""
    reason: str
    cause: FailureCause
    """``cancelled``: whoever placed the call gave it up. ``rejected``: the other side refused it. ``timeout``:
    no response, no PRACK, or the time the INVITE allowed is over. ``loop``: 482 or 483."""
    headers: tuple[tuple[str, str], ...] = ()
    """Of the response (or the CANCEL): Contact (3xx), Reason, Retry-After, Warning."""
    q850: int | None = None
    """The ISDN cause from a Reason header (RFC 3326, RFC 6432): 16 normal, 17 busy, 1 unknown number ..."""


@dataclass(frozen=True, slots=True)
class SessionOffer:
    """The peer wants to change the session: answer with ``answer_offer`` or ``refuse_offer``."""

    session: Session
    sdp: bytes | None
    """None: the peer wants an offer from us (RFC 3264 section 8 applies: what is in use must stay in it)."""


@dataclass(frozen=True, slots=True)
class SessionOfferAnswered:
    """The peer answered what ``offer``, or ``answer_offer`` with an offer of ours, sent."""

    session: Session
    sdp: bytes | None
    """None: a 2xx or ACK without an answer; the session is as it was."""


@dataclass(frozen=True, slots=True)
class SessionOfferRefused:
    """The peer refused our offer; the session is as it was (RFC 3261 14.1)."""

    session: Session
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """Keys that came by INFO (application/dtmf-relay, application/dtmf)."""

    session: Session
    keys: str
    """Of ``0123456789*#ABCD``."""
    duration_ms: int | None


@dataclass(frozen=True, slots=True)
class SessionReferProgress:
    """Whom the peer calls at our request has sent it a provisional response."""

    session: Session
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class SessionReferEnded:
    """What came of ``refer``. The session itself goes on until one side says BYE."""

    session: Session
    status: int | None
    """The final response the peer has got (``taken``), or its own to our REFER. None: nobody told one."""
    reason: str
    taken: bool
    """Whether the peer has taken the task."""


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A session that was answered is over."""

    session: Session
    by: Literal["remote", "local", "network"]
    cause: str
    """``bye``, ``no_ack``, ``session_expired``, ``timeout`` (a request within the session got no response),
    ``transport``, ``dialog_lost`` (the peer answered 481 to one)."""
    status: int | None = None
    """The response that ended it, where one did."""
    reason_header: str | None = None
    """The peer's Reason header (RFC 3326), e.g. ``SIP;cause=200;text="Call completed elsewhere"``."""


@dataclass(frozen=True, slots=True)
class RegistrationChanged:
    """A seat's bindings are others than before: registered, moved, unregistered, expired or connection lost.
    A refresh that changes nothing but the time is not told."""

    account: str
    bindings: tuple[Binding, ...]


@dataclass(frozen=True, slots=True)
class TrunkRegistered:
    """The trunk took our registration. Told again with every refresh."""

    trunk: str
    expires: float
    """Seconds that were granted."""


@dataclass(frozen=True, slots=True)
class TrunkRegistrationFailed:
    """We are not registered at the trunk."""

    trunk: str
    status: int | None
    """None: no response."""
    reason: str
    retry_after: float | None
    """Seconds until the next attempt; None: there is none."""


SessionEvent = (
    IncomingCall
    | SessionProgress
    | SessionAnswered
    | SessionConfirmed
    | SessionFailed
    | SessionOffer
    | SessionOfferAnswered
    | SessionOfferRefused
    | SessionInfo
    | SessionReferProgress
    | SessionReferEnded
    | SessionEnded
)

Event = SessionEvent | RegistrationChanged | TrunkRegistered | TrunkRegistrationFailed
