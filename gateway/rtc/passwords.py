"""Users of the site with a password: whether it is theirs, and how often an address may try. No sockets, no clock."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from hmac import compare_digest

from gateway.rtc.rate import Allowances
from gateway.rtc.rights import Rights

__all__ = ["Account", "PasswordRefused", "Passwords", "network_of"]


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the site."""

    user: str
    password: str = field(repr=False)
    name: str = ""
    rights: Rights = field(default_factory=Rights)


class PasswordRefused(Exception):
    """Wrong user or password, which of both is not said; or too many tries."""

    def __init__(self, retry_ms: int | None = None) -> None:
        super().__init__("too many tries" if retry_ms is not None else "user or password is wrong")
        self.retry_ms = retry_ms
        """Too many tries; the next may be made after that."""


class Passwords:
    """Checks passwords. Who was right does not use up his address's tries."""

    def __init__(
        self,
        account: Callable[[str], Account | None],
        *,
        tries_per_second: float = 0.2,
        tries_at_once: float = 10.0,
        addresses: int = 10_000,
    ) -> None:
        """``account`` finds a user; None: there is none."""
        self._account = account
        self._tries = Allowances(tries_per_second, tries_at_once, keys=addresses)

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._tries)

    def check(self, user: str, password: str, address: str, now: float) -> Account:
        """
        Raises:
            PasswordRefused: no.
        """
        self._tries.forget_idle(now)
        tries = self._tries.of(network_of(address), now)
        if not tries.take(now):
            raise PasswordRefused(tries.retry_ms(now))
        account = self._account(user)
        # An unknown user takes as long as a known one.
        right = compare_digest(_digest(password), _digest(account.password if account is not None else password + "x"))
        if account is None or not account.password or not right:
            raise PasswordRefused
        tries.give_back()
        return account


def _digest(text: str) -> bytes:
    """Of equal length, so that the time of comparing does not tell the length either."""
    return blake2b(text.encode("utf-8", "surrogatepass")).digest()


def network_of(address: str) -> str:
    """Whose address it is: IPv6 gives every customer a network of 2^64."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))
