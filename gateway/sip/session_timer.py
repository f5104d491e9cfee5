"""Session timers (RFC 4028): what to write, what was agreed. Pure functions; the clock is the session's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.sip.grammar import parse_uint, split_list
from gateway.sip.message import Message, Request, Response

__all__ = ["Refresh", "SessionTimerSettings", "TooSmall", "agree", "agreed", "propose"]

OPTION_TAG = "timer"
LOWEST_INTERVAL = 90
"""Seconds; RFC 4028 section 5 allows no smaller Min-SE, and no Min-SE means this."""
LONGEST_INTERVAL = 86_400
"""Seconds; what is written beyond that is not meant."""

Refresher = Literal["uac", "uas"]


@dataclass(frozen=True, slots=True)
class SessionTimerSettings:
    """How long a session may live without a sign of life. Seconds."""

    session_expires: int = 1800
    min_se: int = LOWEST_INTERVAL
    enabled: bool = True
    """False: ours never ask for a timer; a peer's wish is still met."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """What both sides agreed on."""

    interval: int
    """Seconds without a refresh after which the session is over."""
    ours: bool
    """We send the refreshes."""

    @property
    def refresh_after(self) -> float:
        """Half the interval (RFC 4028 section 10)."""
        return self.interval / 2

    @property
    def give_up_after(self) -> float:
        """When the side that does not refresh says BYE (RFC 4028 section 10)."""
        return self.interval - min(32.0, self.interval / 3)


@dataclass(frozen=True, slots=True)
class TooSmall:
    """The request asks for less than our minimum: 422 with this Min-SE."""

    min_se: int


def propose(
    settings: SessionTimerSettings, current: Refresh | None, min_se: int | None = None
) -> list[tuple[str, str]]:
    """The headers of a request of ours that starts or refreshes a session (RFC 4028 sections 7.1, 7.4).

    ``min_se`` is the largest minimum a 422 of this call has named.
    """
    if not settings.enabled and current is None:
        return []
    lowest = max(settings.min_se, min_se or 0)
    if current is None:
        value = str(max(settings.session_expires, lowest))
    else:
        # Who refreshes stays so; the words name roles in this very request.
        value = f"{max(current.interval, lowest)};refresher={'uac' if current.ours else 'uas'}"
    return [("Session-Expires", value), ("Min-SE", str(lowest))]


def agreed(response: Response) -> Refresh | None:
    """What a 2xx to our request made of it (RFC 4028 section 7.2).

    Raises:
        SipParseError: a broken Session-Expires.
    """
    interval, refresher = _session_expires(response)
    if interval is None:
        return None
    return Refresh(max(interval, LOWEST_INTERVAL), refresher != "uas")


def agree(request: Request, settings: SessionTimerSettings) -> tuple[Refresh | None, list[tuple[str, str]]] | TooSmall:
    """What we make of the peer's request, and the headers of our 2xx (RFC 4028 section 9).

    Raises:
        SipParseError: a broken Session-Expires or Min-SE.
    """
    interval, refresher = _session_expires(request)
    supported = OPTION_TAG in request.supported or OPTION_TAG in request.require
    lowest = max(_min_se(request) or 0, LOWEST_INTERVAL)
    if interval is None:
        if not supported or not settings.enabled:
            return None, []
        interval = settings.session_expires
    elif interval < settings.min_se:
        # A caller that knows no timers cannot make sense of a 422: some proxy wrote the header.
        if supported:
            return TooSmall(settings.min_se)
        interval = settings.min_se
    elif settings.enabled:
        interval = min(interval, max(settings.session_expires, settings.min_se))
    interval = max(interval, lowest)
    if not supported:
        refresher = "uas"
    elif refresher is None:
        refresher = "uac"
    headers = [("Session-Expires", f"{interval};refresher={refresher}")]
    if refresher == "uac":
        headers.append(("Require", OPTION_TAG))
    return Refresh(interval, refresher == "uas"), headers


def minimum_of(response: Response) -> int | None:
    """The Min-SE of a 422.

    Raises:
        SipParseError: it is not a number.
    """
    return _min_se(response)


def _session_expires(message: Message) -> tuple[int | None, Refresher | None]:
    value = message.headers.get("session-expires")
    if value is None:
        return None, None
    number, *params = split_list(value, ";")
    refresher: Refresher | None = None
    for param in params:
        name, _, content = param.partition("=")
        if name.strip().lower() == "refresher":
            word = content.strip().lower()
            if word == "uac" or word == "uas":
                refresher = "uac" if word == "uac" else "uas"
    return _seconds(number, "Session-Expires"), refresher


def _min_se(message: Message) -> int | None:
    value = message.headers.get("min-se")
    return None if value is None else _seconds(value.partition(";")[0].strip(), "Min-SE")


def _seconds(text: str, name: str) -> int:
    return min(parse_uint(text, name), LONGEST_INTERVAL)
