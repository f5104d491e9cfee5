"""What the gateway answers to a request: `ok` with what was asked for, or `error`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gateway.rtc.errors import CODES
from gateway.rtc.fields import Flag, Items, Kinds, Nested, OneOf, Text, Whole, described
from gateway.rtc.values import ID, PRESENCE, SECRET, STATES, IceServerInfo, RightsInfo

__all__ = ["Failure", "InviteOk", "LoginOk", "Ok", "PresenceOk", "StateOk"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ok:
    """It is done, or under way."""

    type: ClassVar[str] = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginOk(Ok):
    """Logged in."""

    session: str = described(SECRET, "The session; keep it secret, it is needed to resume.", example="tJ5nHzV3mQw8Qm0b")
    user: str = described(ID, "Who you are.", example="alice")
    name: str = described(Text(128, min_bytes=0), "How others see you.", example="Alice")
    rights: RightsInfo = described(Nested(RightsInfo), "What you may do.")
    ice_servers: tuple[IceServerInfo, ...] = described(
        Items(Nested(IceServerInfo), 16), "For `iceServers` of RTCPeerConnection.", example=[]
    )
    ping_ms: int = described(Whole(1), "Send `ping` so often.", example=2000)
    grace_ms: int = described(Whole(1), "For so long a lost connection can be resumed.", example=30000)
    resumed: bool = described(Flag(), "Whether the session goes on. Notifications not confirmed follow.", example=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceOk(Ok):
    """The states of the users asked for."""

    states: dict[str, str] = described(Kinds(PRESENCE), "State by user.", example={"bob": "online", "carol": "offline"})


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteOk(Ok):
    """The invitation is on its way."""

    invitation: str = described(SECRET, "Its id.", example="rP0aQm2bX9cK4dL7eW1fZ6gH3iV8jN5k")
    channel: str = described(ID, "The channel of the call.", example="uY7hG2tR5fD8sA1q")


@dataclass(frozen=True, slots=True, kw_only=True)
class StateOk(Ok):
    """The state of the invitation, as seen by who asks."""

    state: str = described(STATES, "Where it stands.", example="received_by_remote")
    remote: str | None = described(STATES, "Where the gateway's half stands, if it is not over.", default=None)
    over: bool = described(Flag(), "It came to its end, or the call did.", example=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """It is not done. `re` is null if the request's id could not be read."""

    type: ClassVar[str] = "error"

    code: str = described(OneOf(tuple(CODES)), "What is wrong, for programs.", example="too_long")
    text: str = described(
        Text(1024), "What is wrong, for people.", example="content is 9000 bytes of UTF-8, at most 8192 are allowed"
    )
    retry_ms: int | None = described(Whole(), "Try again after so long.", default=None)
