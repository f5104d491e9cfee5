"""What a client may do: rights as tokens carry them, and the patterns of what it may call."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

__all__ = ["Claims", "Rights", "RightsError", "check_pattern"]

MAX_PATTERNS: Final = 64
_LONGEST: Final = 64
_SCHEMES: Final = ("sip", "tel", "rtc")


class RightsError(ValueError):
    """A pattern that means nothing, with place and remedy."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What the holder of a token may do; nothing, unless it is said."""

    call_in: bool = False
    """Call numbers that flows answer."""
    be_called: bool = False
    call_out: tuple[str, ...] = ()
    """What else may be called: ``20XX`` (X: one digit), ``0*`` (all that begins so), ``tel:0*``, ``rtc:bob``,
    ``sip:10XX`` (only such targets), ``*`` (everything)."""
    peers: bool = False
    """Watch the presence of other users and send them messages."""

    def may_call_out(self, target: str, scheme: str | None = None) -> bool:
        """Whether ``target``, a number or user, may be called. ``scheme`` is what the plan makes of it (sip, tel or
        rtc); None: not known, then patterns with a scheme do not count."""
        return any(_matches(pattern, target, scheme) for pattern in self.call_out)


@dataclass(frozen=True, slots=True)
class Claims:
    """Who holds a token that was verified."""

    user: str
    name: str
    rights: Rights
    expires_at: float
    """Seconds since 1970."""


def check_pattern(pattern: str) -> None:
    """
    Raises:
        RightsError: it is not a pattern.
    """
    _parse(pattern)


def _matches(pattern: str, target: str, scheme: str | None) -> bool:
    try:
        wanted, expression = _parse(pattern)
    except RightsError:
        return False
    return (wanted is None or wanted == scheme) and expression.fullmatch(target) is not None


@lru_cache(maxsize=4096)
def _parse(pattern: str) -> tuple[str | None, re.Pattern[str]]:
    if not pattern or len(pattern) > _LONGEST or not pattern.isprintable():
        raise RightsError(f"a pattern has 1 to {_LONGEST} visible characters")
    scheme, colon, rest = pattern.partition(":")
    if not colon:
        scheme, rest = "", pattern
    elif scheme not in _SCHEMES:
        raise RightsError(
            f"{pattern!r}: '{scheme}:' is not known; write {', '.join(s + ':' for s in _SCHEMES)} or none"
        )
    if not rest:
        raise RightsError(f"{pattern!r}: after the colon, a number or user is missing; '*' is all")
    head, star, behind = rest.partition("*")
    if behind:
        raise RightsError(
            f"{pattern!r}: '*' at character {pattern.index('*') + 1} must be the last; it stands for all that follows"
        )
    digits = scheme != "rtc" and re.fullmatch(r"[0-9X+#]*", head) is not None
    body = "".join("[0-9]" if char == "X" and digits else re.escape(char) for char in head)
    return scheme or None, re.compile(body + (".*" if star else ""), re.DOTALL)
