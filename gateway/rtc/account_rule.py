"""Rules that list accounts: ``1016;1017;20[01-05]`` is 1016, 1017, 2001, 2002, 2003, 2004, 2005.

The grammar, with no blanks anywhere::

    rule  = part *( ";" part )
    part  = account / [ account ] "[" from "-" to "]" [ account ]

``from`` and ``to`` are counted up, both included, and are written with the same number of digits: zeros in front stay.
``[05-05]`` is one account, which is fine: a range that is about to grow. What stands behind the range belongs to every
account: ``2[1-3]0`` is 210, 220, 230. One range a part. Nothing may be named twice, by whichever parts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["AccountRule", "AccountRuleError", "parse_account_rule"]

MAX_ACCOUNTS: Final = 10_000
"""Of one rule; a hundred times what a switchboard of that kind has."""
MAX_LENGTH: Final = 8_192
MAX_ACCOUNT: Final = 64
"""Characters of one account."""

_CHARACTERS: Final = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._+-")
"""Those of the names of seats."""
_REMEDIES: Final = {
    " ": "a blank; write the rule without blanks",
    ",": "',' does not separate accounts; write ';'",
    "[": "a part has one range only; write a second part, separated by ';'",
    "]": "']' without '[' before it; a range is written [01-05]",
}
_RANGE: Final = re.compile(r"([0-9]+)-([0-9]+)")


class AccountRuleError(ValueError):
    """A rule that cannot be taken."""

    def __init__(self, text: str, position: int) -> None:
        super().__init__(f"at character {position}: {text}")
        self.text = text
        """What is wrong and what to write instead."""
        self.position = position
        """The character of the rule that is meant, counted from 1."""


@dataclass(frozen=True, slots=True)
class AccountRule:
    """A rule that was taken."""

    text: str
    parts: tuple[tuple[str, tuple[str, ...]], ...]
    """Each part as it was written, and the accounts it stands for."""

    @property
    def accounts(self) -> tuple[str, ...]:
        """In the order of the rule."""
        return tuple(account for _, accounts in self.parts for account in accounts)

    def listing(self) -> list[str]:
        """One line a part, for people: ``20[01-05]: 2001, 2002, 2003, 2004, 2005``."""
        return [text if accounts == (text,) else f"{text}: {_shortened(accounts)}" for text, accounts in self.parts]


def _shortened(accounts: tuple[str, ...]) -> str:
    if len(accounts) <= 10:
        return ", ".join(accounts)
    return f"{', '.join(accounts[:3])}, ... {accounts[-1]} ({len(accounts)} accounts)"


def parse_account_rule(text: str) -> AccountRule:
    """
    Raises:
        AccountRuleError: with place and remedy.
    """
    if len(text) > MAX_LENGTH:
        raise AccountRuleError(f"the rule has {len(text)} characters, at most {MAX_LENGTH} are allowed", MAX_LENGTH + 1)
    if not text:
        raise AccountRuleError("the rule is empty; name an account, or leave the setting out", 1)
    parts: list[tuple[str, tuple[str, ...]]] = []
    owners: dict[str, tuple[str, int]] = {}
    position = 1
    for part in text.split(";"):
        accounts = _accounts(part, position, last=position + len(part) > len(text))
        if len(owners) + len(accounts) > MAX_ACCOUNTS:
            raise AccountRuleError(
                f"the rule names more than {MAX_ACCOUNTS} accounts; make the ranges smaller", position
            )
        for account in accounts:
            other = owners.setdefault(account, (part, position))
            if other[1] != position:
                raise AccountRuleError(
                    f"{account} is named by {part!r} and before by {other[0]!r} (at character {other[1]}); "
                    "take it out of one of them",
                    position,
                )
        parts.append((part, accounts))
        position += len(part) + 1
    return AccountRule(text, tuple(parts))


def _accounts(part: str, at: int, *, last: bool) -> tuple[str, ...]:
    """What one part stands for; ``at`` is its position in the rule."""
    if not part:
        if last and at > 1:
            raise AccountRuleError("nothing follows the last ';'; take it away", at - 1)
        raise AccountRuleError("an account is missing before ';'; name one, or take the ';' away", at)
    opened = part.find("[")
    _check(part[: opened if opened >= 0 else None], at)
    if opened < 0:
        if _RANGE.fullmatch(part):
            raise AccountRuleError(f"{part} is no account; a range stands in brackets: 20[01-05]", at)
        return (_bearable(part, at),)
    closed = part.find("]", opened)
    if closed < 0:
        raise AccountRuleError("'[' is never closed; a range is written [01-05]", at + opened)
    _check(part[closed + 1 :], at + closed + 1)
    return _range(part, at, opened, closed)


def _check(text: str, at: int) -> None:
    """Refuse what is no part of an account."""
    for index, char in enumerate(text):
        if char not in _CHARACTERS:
            raise AccountRuleError(_REMEDIES.get(char) or f"{char!r} cannot be part of an account", at + index)


def _bearable(account: str, at: int) -> str:
    if len(account) > MAX_ACCOUNT:
        raise AccountRuleError(f"an account of {len(account)} characters; at most {MAX_ACCOUNT} are allowed", at)
    return account


def _range(part: str, at: int, opened: int, closed: int) -> tuple[str, ...]:
    inner = part[opened + 1 : closed]
    place = at + opened
    found = _RANGE.fullmatch(inner)
    if found is None:
        raise AccountRuleError(f"[{inner}] is no range; write two numbers with '-' between them: [01-05]", place)
    first, final = found.groups()
    if len(first) != len(final):
        width = max(len(first), len(final))
        raise AccountRuleError(
            f"[{inner}]: {first} and {final} have not the same number of digits; "
            f"write [{first.zfill(width)}-{final.zfill(width)}], or two parts",
            place,
        )
    head, tail = part[:opened], part[closed + 1 :]
    _bearable(head + first + tail, at)
    low, high = int(first), int(final)
    if low > high:
        raise AccountRuleError(f"[{inner}] counts down; write [{final}-{first}]", place)
    if high - low >= MAX_ACCOUNTS:
        raise AccountRuleError(f"[{inner}] is {high - low + 1} accounts, at most {MAX_ACCOUNTS} are allowed", place)
    return tuple(f"{head}{number:0{len(first)}d}{tail}" for number in range(low, high + 1))
