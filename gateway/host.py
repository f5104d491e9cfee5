"""What the gateway does for those who bring it calls and place them: telephones (SIP) and RTC clients."""

from __future__ import annotations

from typing import Literal, Protocol

from gateway.bridge import BridgedCall, FindAddress, Headers
from gateway.call import Arrival, Refusal, SignallingLine
from gateway.media.engine import MediaLeg
from gateway.party import CallerParty, Party

__all__ = ["RETRY_AFTER", "CallHost", "FindAddress", "Headers"]

RETRY_AFTER = 10
"""Seconds told to callers who are turned away because there are too many."""


class CallHost(Protocol):
    """The gateway, as its sides see it. All of it on the event loop; nothing waits."""

    def admits(self, arrival: Arrival) -> Refusal | Literal["authenticate"] | None:
        """Whether a call is taken, by the site's plan: see :meth:`gateway.call.Reception.screen`."""

    def has_room(self) -> bool:
        """Whether one more call is within the limits; it counts as one that came."""

    def open_leg(self, callee: object, *, ice: bool = False) -> MediaLeg | None:
        """A media leg for a call to ``callee``, or None, which is logged, when there is none."""

    def new_call(
        self,
        *,
        did: str,
        caller: str,
        caller_name: str,
        account: str | None,
        find_address: FindAddress,
        pstn: bool = False,
    ) -> BridgedCall: ...

    def take(self, call: BridgedCall, party: CallerParty) -> None:
        """The call is ready for its owner: its caller is ``party``."""

    def add(self, call: BridgedCall, party: Party) -> None:
        """From now on what the media engine says of the party's leg is told to it and its call."""

    def signalled(self, call_id: str, leg_id: str, lines: tuple[SignallingLine, ...]) -> None:
        """All that was said about a leg that is over."""

    def forget(self, party: Party) -> None:
        """The party came to nothing, and its leg is closed."""

    def pump(self) -> None:
        """Hand on what has happened and send what is to be sent, unless that is being done."""
