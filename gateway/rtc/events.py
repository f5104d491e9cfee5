"""Everything that RTC clients do and the gateway must know. Whoever reads this file knows what can happen.

Every invitation is between one client and the gateway. One that a client makes begins with
:class:`InvitationReceived`; one that the gateway makes, with :meth:`RtcAgent.invite`. Each ends with exactly one of
:class:`InvitationCancelled`, :class:`InvitationRefused`, :class:`InvitationFailed` (it was never a call) or
:class:`HungUp` (it was), or by the gateway's own ``refuse``, ``fail``, ``cancel`` or ``end``, after which nothing is
told of it.

What the gateway asks of the agent (see :class:`gateway.rtc.agent.RtcAgent`)::

    invite(user, *, caller, name, number, channel, content, sdp) -> invitation | NotReachable
    progress(invitation, *, ringing, early_media)   a client's call: it rings over there, or sends sound
    describe(invitation, kind, sdp)                 'answer' to an offer, or an 'offer' of ours
    candidate(invitation, candidate)                trickle
    accept(invitation, response=None)               a client's call is taken
    refuse(invitation, response, status=None)       ... or not: 'busy', 'refused', 'offline', 'no_answer', 'failed'
    fail(invitation, error, status=None)            ... or could not be
    cancel(invitation, reason)                      a call of ours that nobody took is given up
    end(invitation, cause='hangup')                 an accepted call is over
    set_busy(user, busy)   state_of(user)   log_out(user)

None of these raises or waits; an invitation that is over is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.rtc.invitation import ErrorWord
from gateway.rtc.rights import Rights
from gateway.rtc.values import Candidate

__all__ = [
    "CandidateReceived",
    "ClientBack",
    "ClientOffline",
    "ClientUnreachable",
    "Event",
    "HoldChanged",
    "HungUp",
    "InvitationAccepted",
    "InvitationCancelled",
    "InvitationDelivered",
    "InvitationFailed",
    "InvitationReceived",
    "InvitationRefused",
    "KeysReceived",
    "MediaAnswered",
    "MediaOffered",
    "NotReachable",
    "PresenceChanged",
    "PresenceState",
]

PresenceState = Literal["online", "unreachable", "offline", "busy"]
HangUpCause = Literal["hangup", "network", "replaced", "logout"]


@dataclass(frozen=True, slots=True)
class NotReachable:
    """Why nobody was invited."""

    reason: Literal["offline", "not_allowed", "full"]
    """``offline``: no device is logged in. ``not_allowed``: the user may not be called. ``full``: too many calls
    ring there already."""


@dataclass(frozen=True, slots=True)
class InvitationReceived:
    """A client calls. The gateway answers with ``progress``, ``describe``, ``accept``, ``refuse`` or ``fail``."""

    invitation: str
    user: str
    device: str
    name: str
    """Of the caller, from his token."""
    rights: Rights
    """What he may call: ``rights.call_in`` for numbers of flows, ``rights.may_call_out(to)`` for all others."""
    to: str
    """The number or user called, as it was written: printable, at most 64 bytes, not looked up yet."""
    content: str | None
    channel: str
    channel_given: bool
    """He asks to join that channel; otherwise it is new and nobody knows it."""
    sdp: str
    """His offer."""


@dataclass(frozen=True, slots=True)
class InvitationCancelled:
    """A client gave up the call it made. Our acceptance may have been on its way to it."""

    invitation: str


@dataclass(frozen=True, slots=True)
class InvitationDelivered:
    """A device has an invitation of ours and rings (received by remote). Told once."""

    invitation: str
    device: str


@dataclass(frozen=True, slots=True)
class InvitationAccepted:
    """A device took a call of ours. The others were told that it was answered elsewhere."""

    invitation: str
    device: str
    response: str | None
    sdp: str
    """Its answer."""


@dataclass(frozen=True, slots=True)
class InvitationRefused:
    """The user refused a call of ours, or all his devices are busy (``response`` 'busy')."""

    invitation: str
    response: str | None


@dataclass(frozen=True, slots=True)
class InvitationFailed:
    """An invitation came to nothing without anybody wanting that, a client's or ours.

    ``accept_failed``: we had accepted a client's call, and it could not be told.
    """

    invitation: str
    error: ErrorWord


@dataclass(frozen=True, slots=True)
class HungUp:
    """An accepted call is over by the client."""

    invitation: str
    cause: HangUpCause
    """``network``: nothing was heard from it for 30 s."""


@dataclass(frozen=True, slots=True)
class CandidateReceived:
    """One more ICE candidate of the client."""

    invitation: str
    device: str
    """Whose: several may ring with one offer, and each gathers its own."""
    candidate: Candidate | None
    """None: that was the last."""


@dataclass(frozen=True, slots=True)
class MediaOffered:
    """A new offer of the client: ICE restart, another microphone. To be answered by ``describe``."""

    invitation: str
    sdp: str


@dataclass(frozen=True, slots=True)
class MediaAnswered:
    """The client's answer to an offer made by ``describe(invitation, 'offer', ...)``."""

    invitation: str
    sdp: str


@dataclass(frozen=True, slots=True)
class HoldChanged:
    invitation: str
    held: bool


@dataclass(frozen=True, slots=True)
class KeysReceived:
    """Keys that came by signalling."""

    invitation: str
    keys: str


@dataclass(frozen=True, slots=True)
class ClientUnreachable:
    """Nothing was heard from a device for 6 s. Its calls stay."""

    user: str
    device: str
    invitations: tuple[str, ...]
    """Those it has to do with: made, taken, ringing."""


@dataclass(frozen=True, slots=True)
class ClientBack:
    """An unreachable device is heard again."""

    user: str
    device: str
    invitations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClientOffline:
    """A device is gone: logged out, replaced, or silent for 30 s. What it had was told over before, one by one."""

    user: str
    device: str


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """A user's state over all devices."""

    user: str
    state: PresenceState


Event = (
    InvitationReceived
    | InvitationCancelled
    | InvitationDelivered
    | InvitationAccepted
    | InvitationRefused
    | InvitationFailed
    | HungUp
    | CandidateReceived
    | MediaOffered
    | MediaAnswered
    | HoldChanged
    | KeysReceived
    | ClientUnreachable
    | ClientBack
    | ClientOffline
    | PresenceChanged
)
