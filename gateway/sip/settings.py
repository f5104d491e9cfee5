"""What the user agent must be told: names, limits, and the questions it asks its owner. Nothing here acts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.sip.hop import Hop
from gateway.sip.message import Request
from gateway.sip.session_timer import SessionTimerSettings
from gateway.sip.uri import SipUri

__all__ = ["Challenge", "Credentials", "Refuse", "RegistrarSettings", "Screen", "UserAgentConfig"]


@dataclass(frozen=True, slots=True)
class Refuse:
    """The verdict on a request: answer it so and forget it."""

    status: int
    reason: str | None = None
    """None: the usual words."""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Challenge:
    """The verdict on a request: only for a seat that proves its password. 401 until it does."""


Screen = Callable[[Request, Hop], Refuse | Challenge | None]
"""Judges an INVITE outside of a dialog before anything is built for it. None: let it in."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How we prove who we are to a trunk."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RegistrarSettings:
    """The registrar of the seats (RFC 3261 section 10). Seconds."""

    default_expires: int = 3600
    min_expires: int = 5
    """Less is a 423; RFC 3261 10.3 forbids that for an hour and more. Some telephones behind NAT renew every half
    minute to keep their way open, and not all of them understand a 423."""
    max_expires: int = 7200
    """More is granted as this."""
    max_bindings: int = 10
    """Contacts of one seat; a further one is a 403."""
    ping_interval: float | None = 30.0
    """Keeps the NAT's door open by OPTIONS on bindings behind one; None: never."""
    ping_failures: int | None = 3
    """So many pings without an answer, one after the other, and the binding is gone; None: never."""
    ping_all: bool = False
    """Ping bindings that are not behind a NAT too."""
    failures_allowed: int = 10
    """Wrong passwords of one source within ``failure_memory``; more are 403 without a look."""
    failure_memory: float = 300.0
    failure_sources: int = 10_000
    """How many sources are remembered."""


@dataclass(frozen=True, slots=True)
class UserAgentConfig:
    """One user agent: a name, an address, limits, and whom to ask. Times in seconds."""

    contact: Callable[[Hop], SipUri]
    """The address at which the far end of that hop reaches us."""
    domains: frozenset[str] = frozenset()
    """Lower case; our domains. Empty: any."""
    realm: str = "gateway"
    name: str = "ivr-gateway"
    """The User-Agent and Server header."""
    accounts: Mapping[str, str] | Callable[[str], str | None] | None = None
    """Passwords of the seats by account. None: nobody can register."""
    screen: Screen | None = None
    registrar: RegistrarSettings = field(default_factory=RegistrarSettings)
    session_timer: SessionTimerSettings = field(default_factory=SessionTimerSettings)
    offer_reliable_provisionals: bool = False
    """Say ``Supported: 100rel`` in INVITEs of ours. A caller that requires it is always served."""
    t1: float = 0.5
    """The round trip that all waiting is reckoned from (RFC 3261 17.1.1.1)."""
    t2: float = 4.0
    """The longest pause between repetitions."""
    max_sessions: int = 10_000
    """More INVITEs are answered 503."""
    retry_after: int = 10
    """For the 503 while draining or full."""
