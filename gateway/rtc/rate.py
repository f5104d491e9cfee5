"""Rates: how often something may be done. Knows no clock."""

from __future__ import annotations

from collections import OrderedDict

__all__ = ["Allowance", "Allowances"]


class Allowance:
    """So much a second, and so much at once (a token bucket)."""

    __slots__ = ("_at", "_left", "most", "rate")

    def __init__(self, rate: float, most: float, now: float) -> None:
        self.rate = rate
        self.most = most
        self._left = most
        self._at = now

    def take(self, now: float) -> bool:
        """Use one up, if there is one."""
        self._fill(now)
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def give_back(self) -> None:
        """What was taken is not to count."""
        self._left = min(self.most, self._left + 1.0)

    def retry_ms(self, now: float) -> int:
        """How long until :meth:`take` will say yes."""
        self._fill(now)
        return max(0, round((1.0 - self._left) / self.rate * 1000 + 0.5))

    def full(self, now: float) -> bool:
        """Whether it is as if nothing had ever been taken."""
        self._fill(now)
        return self._left >= self.most

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._left = min(self.most, self._left + (now - self._at) * self.rate)
            self._at = now


class Allowances:
    """One allowance each for many: users, addresses. Bounded; whoever did nothing for long is forgotten."""

    def __init__(self, rate: float, most: float, *, keys: int = 10_000) -> None:
        self._rate = rate
        self._most = most
        self._keys = keys
        self._of: OrderedDict[str, Allowance] = OrderedDict()

    def __len__(self) -> int:
        return len(self._of)

    def of(self, key: str, now: float) -> Allowance:
        allowance = self._of.get(key)
        if allowance is None:
            allowance = self._of[key] = Allowance(self._rate, self._most, now)
            if len(self._of) > self._keys:
                self._of.popitem(last=False)
        else:
            self._of.move_to_end(key)
        return allowance

    def forget_idle(self, now: float) -> None:
        """Drop those that are full again, the longest idle first."""
        while self._of:
            key, allowance = next(iter(self._of.items()))
            if not allowance.full(now):
                return
            del self._of[key]
