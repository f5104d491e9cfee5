"""Guests: callers without an account, who may call a few numbers of the site and nothing else. No sockets, no clock."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from gateway.rtc.limits import ID_BYTES
from gateway.rtc.passwords import network_of
from gateway.rtc.rate import Allowances
from gateway.rtc.rights import Rights

__all__ = ["Guest", "GuestNumberError", "GuestRefused", "Guests"]

# No letters: X and * would make a pattern of it, that is more than this number.
_NUMBER: Final = re.compile(r"\+?[0-9]+")


class GuestNumberError(ValueError):
    """A number that guests cannot be let call; says what to write."""


class GuestRefused(Exception):
    """Guests may not call that number; or there are too many from that address."""

    def __init__(self, text: str, retry_ms: int | None = None) -> None:
        super().__init__(text)
        self.retry_ms = retry_ms
        """Too many; the next may come after that."""


@dataclass(frozen=True, slots=True)
class Guest:
    """A user that nobody has seen before and nobody will see again."""

    user: str
    rights: Rights


class Guests:
    """Lets guests in: each for one number, and so many of an address."""

    def __init__(
        self,
        numbers: Iterable[str],
        *,
        new_id: Callable[[], str],
        guests_per_second: float = 0.1,
        guests_at_once: float = 20.0,
        addresses: int = 10_000,
    ) -> None:
        """
        Raises:
            GuestNumberError: one of them is no number.
        """
        self.numbers = frozenset(map(_checked, numbers))
        self._new_id = new_id
        self._rates = Allowances(guests_per_second, guests_at_once, keys=addresses)

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._rates)

    def admit(self, number: str, address: str, now: float) -> Guest:
        """
        Raises:
            GuestRefused: not to that number, or not now.
        """
        self._rates.forget_idle(now)
        allowance = self._rates.of(network_of(address), now)
        if not allowance.take(now):
            raise GuestRefused("too many guests from this address", allowance.retry_ms(now))
        if number not in self.numbers:
            raise GuestRefused("guests may not call that number; the site file lists those they may in rtc.guests")
        # Neither call_in, which is for all numbers of flows, nor be_called, nor peers: this number, and no more.
        return Guest(f"guest-{self._new_id()}", Rights(call_out=(number,)))


def _checked(number: str) -> str:
    if _NUMBER.fullmatch(number) is None or len(number) > ID_BYTES:
        raise GuestNumberError(f"{number!r} is no number; write digits, with a + before them if it begins so")
    return number
