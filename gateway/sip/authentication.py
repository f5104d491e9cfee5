"""Who a request is from: the digest of the seats, and the brake on those who guess passwords."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable

from gateway.sip.digest import Accepted, DigestAuthenticator
from gateway.sip.digest import Challenge as DigestChallenge
from gateway.sip.hop import Hop
from gateway.sip.message import Request
from gateway.sip.settings import Refuse, RegistrarSettings, UserAgentConfig

__all__ = ["FailureBrake", "SeatAuthentication"]

_ONE_ALGORITHM = re.compile(r"baresip v[01]\.")
"""Phones that give up on a 401 with a challenge they do not know, even beside one they do (RFC 8760 2.4)."""

WHOLE_SOURCE = 10
"""An office behind one address may have so many times the wrong passwords of one telephone."""


def _readable(challenges: tuple[tuple[str, str], ...], phone: str | None, hop: Hop) -> tuple[tuple[str, str], ...]:
    # JsSIP and SIP.js, and so every browser, know MD5 only and look at the last challenge only.
    if not hop.only_connection and (phone is None or _ONE_ALGORITHM.match(phone) is None):
        return challenges
    return tuple(header for header in challenges if "algorithm=MD5," in header[1])


class FailureBrake:
    """Counts wrong passwords, for each source and account and for each source; forgets them after a while."""

    def __init__(self, settings: RegistrarSettings) -> None:
        self._settings = settings
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def blocked(self, source: str, account: str, now: float) -> bool:
        """Whether it has guessed too often to be looked at."""
        allowed = self._settings.failures_allowed
        return (
            self._count((source, account), now) >= allowed or self._count((source, ""), now) >= allowed * WHOLE_SOURCE
        )

    def failed(self, source: str, account: str, now: float) -> None:
        """Note a wrong password."""
        for key in ((source, account), (source, "")):
            count = self._count(key, now)
            since = self._failures[key][1] if count else now
            self._failures[key] = (count + 1, since)
            self._failures.move_to_end(key)
        while len(self._failures) > self._settings.failure_sources:
            self._failures.popitem(last=False)

    def _count(self, key: tuple[str, str], now: float) -> int:
        count, since = self._failures.get(key, (0, now))
        if count and now - since > self._settings.failure_memory:
            del self._failures[key]
            return 0
        return count


class SeatAuthentication:
    """Proves seats by their passwords. Owns nonces and the memory of failures."""

    def __init__(self, config: UserAgentConfig, random: Callable[[], str]) -> None:
        accounts = config.accounts
        lookup = accounts if callable(accounts) else (accounts or {}).get
        self.digest = DigestAuthenticator(config.realm, lookup, random=random)
        self.brake = FailureBrake(config.registrar)
        self.failures = 0
        """Wrong passwords, ever."""
        self.refused_unseen = 0
        """Requests refused because their source had guessed too often."""

    def check(self, request: Request, hop: Hop, now: float, *, claimed: str) -> str | Refuse:
        """The account that sent the request, or the refusal to answer with.

        Args:
            request: any request that may carry Authorization.
            hop: where it came from.
            now: seconds.
            claimed: who it says it is from, for the brake.

        Raises:
            SipParseError: the credentials cannot be read.
        """
        if self.brake.blocked(hop.host, claimed, now):
            self.refused_unseen += 1
            return Refuse(403)
        outcome = self.digest.check(request, now)
        if isinstance(outcome, Accepted):
            return outcome.account
        if isinstance(outcome, DigestChallenge):
            phone = request.headers.get("User-Agent")
            return Refuse(outcome.status, headers=_readable(outcome.headers, phone, hop))
        self.failures += 1
        self.brake.failed(hop.host, claimed, now)
        return Refuse(403)
