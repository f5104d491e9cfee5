"""What the gateway tells clients without being asked. One class a notification; each carries a `seq`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from gateway.rtc.errors import INVITATION_ERRORS
from gateway.rtc.fields import Flag, Nested, OneOf, Text, Whole, described
from gateway.rtc.limits import MESSAGE_BYTES
from gateway.rtc.values import CONTENT, ID, PRESENCE, RESPONSE, SECRET, STATES, Candidate, Description

__all__ = [
    "ENDINGS",
    "NOTIFICATIONS",
    "CandidateOffered",
    "Ended",
    "InvitationChanged",
    "Invited",
    "MediaDescribed",
    "MessageReceived",
    "Notification",
    "PresenceOf",
    "Progress",
]

_INVITATION: Final = "rP0aQm2bX9cK4dL7eW1fZ6gH3iV8jN5k"
_NAME: Final = Text(128, min_bytes=0)

ENDINGS: Final = {
    "hangup": "The other side hung up.",
    "network": "The other side was lost, or the sound of this one.",
    "replaced": "The same device logged in anew.",
    "shutdown": "The gateway stops.",
    "failed": "The call could not go on.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What every notification is."""

    type: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceOf(Notification):
    """The state of a user who is watched has changed."""

    type: ClassVar[str] = "presence"

    user: str = described(ID, "Who.", example="bob")
    state: str = described(PRESENCE, "Now.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived(Notification):
    """Somebody sent a text. `ack` tells him that it arrived."""

    type: ClassVar[str] = "message"

    sender: str = described(ID, "The user who sent it.", wire="from", example="alice")
    text: str = described(Text(MESSAGE_BYTES), "The message.", example="back in five minutes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited(Notification):
    """Somebody calls. Answer `received` at once, then `accept` or `refuse`."""

    type: ClassVar[str] = "invited"

    invitation: str = described(SECRET, "The invitation.", example=_INVITATION)
    caller: str = described(
        Text(64, min_bytes=0), "Who calls: a user or a number; empty: withheld.", wire="from", example="+4930123"
    )
    name: str = described(_NAME, "The caller's name; may be empty.", example="Bob")
    number: str = described(Text(64, min_bytes=0), "The number that was dialled; may be empty.", example="3001")
    channel: str = described(ID, "The channel of the call.", example="uY7hG2tR5fD8sA1q")
    content: str | None = described(CONTENT, "From who calls.", default=None, example='{"DisplayName":"Bob"}')
    expires_ms: int = described(Whole(), "The invitation is over after so long.", example=60000)
    description: Description = described(Nested(Description), "The offer.")


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationChanged(Notification):
    """The client's half of an invitation (LocalInvitation if it called, else RemoteInvitation) is in a new state."""

    type: ClassVar[str] = "invitation"

    invitation: str = described(SECRET, "The invitation.", example=_INVITATION)
    state: str = described(STATES, "The state.", example="accepted")
    response: str | None = described(
        RESPONSE, "Of `accepted` and `refused`: what the other side said.", default=None, example="busy"
    )
    error: str | None = described(OneOf(tuple(INVITATION_ERRORS)), "Of `failed` and `cancelled`: why.", default=None)
    status: int | None = described(
        Whole(100, 699), "The SIP status behind it, if there is one.", default=None, example=486
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(Notification):
    """A call of one's own goes on: it rings over there, or something can be heard already."""

    type: ClassVar[str] = "progress"

    invitation: str = described(SECRET, "The call.", example=_INVITATION)
    ringing: bool = described(Flag(), "It rings (SIP 180).", example=True)
    early_media: bool = described(Flag(), "Play what comes: the other side sends sound (SIP 183).", example=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaDescribed(Notification):
    """The gateway's answer to an offer, as early as it rings; or an offer of its own, to be answered by `media`."""

    type: ClassVar[str] = "media"

    invitation: str = described(SECRET, "The call.", example=_INVITATION)
    description: Description = described(Nested(Description), "The answer or offer.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateOffered(Notification):
    """One more ICE candidate of the gateway."""

    type: ClassVar[str] = "candidate"

    invitation: str = described(SECRET, "The call.", example=_INVITATION)
    candidate: Candidate | None = described(
        Nested(Candidate), "The candidate; absent: that was the last.", default=None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended(Notification):
    """A call that was accepted is over."""

    type: ClassVar[str] = "ended"

    invitation: str = described(SECRET, "The call.", example=_INVITATION)
    cause: str = described(
        OneOf(tuple(ENDINGS)), "Why. " + " ".join(f"`{cause}`: {text}" for cause, text in ENDINGS.items())
    )


NOTIFICATIONS: Final[dict[str, type[Notification]]] = {
    notification.type: notification
    for notification in (
        Invited,
        InvitationChanged,
        Progress,
        MediaDescribed,
        CandidateOffered,
        Ended,
        PresenceOf,
        MessageReceived,
    )
}
