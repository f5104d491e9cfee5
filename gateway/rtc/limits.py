"""The numbers of RTC signalling: sizes, rates and times, each with what it is there for. Nothing here acts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = [
    "CONTENT_BYTES",
    "DEVICE_BYTES",
    "FRAME_BYTES",
    "ID_BYTES",
    "KEYS",
    "MESSAGE_BYTES",
    "SDP_BYTES",
    "SUBSCRIPTIONS",
    "TOKEN_BYTES",
    "Limits",
]

ID_BYTES: Final = 64
"""User ids, numbers, channels, invitations."""
DEVICE_BYTES: Final = 64
CONTENT_BYTES: Final = 8 * 1024
"""Content of an invitation, and the response to it."""
MESSAGE_BYTES: Final = 32 * 1024
"""A peer message."""
SDP_BYTES: Final = 24 * 1024
"""A browser's description is 2 to 6 KB; one with many candidates, 10."""
CANDIDATE_BYTES: Final = 1024
TOKEN_BYTES: Final = 4096
KEYS: Final = 32
"""Keys of one request."""
SUBSCRIPTIONS: Final = 512
"""Users whose presence one session watches."""
FRAME_BYTES: Final = 256 * 1024
r"""A frame from a client: a peer message whose every byte is written as ``\u0000`` fits."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may do, and how long he may be silent. Seconds unless the name says otherwise."""

    login_time: float = 6.0
    """From connecting to being logged in."""
    login_tries: int = 3
    """On one connection."""
    logins_per_second: float = 2.0
    """Of one user, all devices together."""
    ping_interval: float = 2.0
    """Clients are asked to ping so often."""
    unreachable_after: float = 6.0
    """Of silence."""
    offline_after: float = 30.0
    """Of silence; a lost connection can be resumed until then. The grace period."""
    devices: int = 8
    """Of one user, logged in at the same time."""
    sessions: int = 10_000
    """All users together."""
    connections: int = 12_000
    """Open, logged in or not."""
    frames_per_second: float = 200.0
    frames_at_once: float = 1_000.0
    """A client that sends more is broken or hostile: its connection is closed."""
    messages_per_second: float = 60.0
    """Peer messages."""
    presence_calls: float = 10.0
    """Subscribing and unsubscribing, within ``presence_period``."""
    presence_period: float = 5.0
    message_time: float = 10.0
    """Until a peer message must be confirmed by a device."""
    unconfirmed: int = 1_024
    """Notifications a session may owe the confirmation of; peer messages stop at half of that."""
    unconfirmed_characters: int = 2 * 1024 * 1024
    answers_kept: int = 64
    """Answers that are given again when a request is repeated after a resume; so many requests may be open."""
    finished_kept: int = 32
    """Invitations of a session that are over and of which `state` still tells how they came out."""
    invitations: int = 8
    """Of one session, alive at the same time."""
    invitations_per_second: float = 2.0
    invitations_at_once: float = 20.0
    """Of one session. Each makes its user busy and free again, which all who watch him are told."""
    media_offers_per_second: float = 1.0
    media_offers_at_once: float = 10.0
    """Of one session. Each may name new addresses, which ICE then checks."""
    invitations_of_user: int = 16
    """That ring one user at the same time."""
    received_time: float = 30.0
    """Until the callee's device says it has the invitation."""
    expires: float = 60.0
    """From sending an invitation to the answer."""
    accept_time: float = 30.0
    """Until who called confirms that he was told of the acceptance; as long as a lost connection can be resumed."""
