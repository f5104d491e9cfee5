"""Telephone numbers in groups, as people say them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ivr.flow.saying.values import characters
from ivr.flow.values import as_text

_TWO_DIGIT_CODES: Final = frozenset(
    str(code)
    for codes in ((20, 27), range(30, 35), (36, 39, 40, 41), range(43, 50), range(51, 59), range(60, 67))
    for code in codes
) | {"81", "82", "84", "86", "90", "91", "92", "93", "94", "95", "98"}
"""Country codes of two digits (ITU-T E.164); 1 and 7 have one, all others three."""

_SIZES: Final = {5: (2, 3), 6: (3, 3), 7: (3, 4), 8: (4, 4), 9: (3, 3, 3), 10: (3, 3, 4), 11: (3, 4, 4), 12: (4, 4, 4)}


def groups(value: object) -> list[str]:
    """``+8613800000000`` is ``+86``, ``138``, ``0000``, ``0000``. Groups that are written stay as they are."""
    written = [group for group in re.split(r"[\s()/.-]+", as_text(value)) if group]
    characters(value)
    if len(written) > 1:
        return written
    number = "".join(written)
    if not number.startswith("+"):
        return _cut(number)
    length = 1 if number[1:2] in ("1", "7") else 2 if number[1:3] in _TWO_DIGIT_CODES else 3
    return [number[: length + 1], *_cut(number[length + 1 :])]


def _cut(number: str) -> list[str]:
    if len(number) <= 4:
        return [number] if number else []
    sizes = _SIZES.get(len(number)) or (*([4] * (len(number) // 4)), len(number) % 4)
    found, at = [], 0
    for size in sizes:
        found.append(number[at : at + size])
        at += size
    return [group for group in found if group]


def named(group: str, names: Mapping[str, str]) -> str:
    return " ".join(names.get(character, character) for character in group)


def spoken(value: object, names: Mapping[str, str]) -> str:
    """Every character by its name, a breath between groups."""
    return ", ".join(named(group, names) for group in groups(value))
