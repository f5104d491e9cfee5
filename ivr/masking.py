"""Telephone numbers as they are shown to those who need not see them whole."""

from __future__ import annotations

from typing import Final

__all__ = ["masked", "masked_in"]

_SHOWN: Final = 3
"""Digits: enough to tell two callers apart, not to call one back."""


def masked(number: str) -> str:
    """A telephone number with its last three digits only; short numbers, which are extensions, and names stay."""
    if not number.removeprefix("+").isdigit() or len(number) <= 2 * _SHOWN:
        return number
    return "•" * (len(number) - _SHOWN) + number[-_SHOWN:]


def masked_in(text: str, number: str) -> str:
    """The text with that number masked wherever it stands, with or without its plus."""
    shown = masked(number)
    if shown == number:
        return text
    return text.replace(number, shown).replace(number.removeprefix("+"), masked(number.removeprefix("+")))
