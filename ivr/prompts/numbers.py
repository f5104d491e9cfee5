"""A number for every recording, to be entered at a telephone: the same as long as its name and language are."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Final

__all__ = ["DIGITS", "numbered"]

DIGITS: Final = 5
_LEAST: Final = 10 ** (DIGITS - 1)
_COUNT: Final = 10**DIGITS - _LEAST


def numbered(recordings: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Numbers of five digits by language and name. Of two that would have one, the later in the alphabet has the next
    that is free."""
    found: dict[tuple[str, str], int] = {}
    taken: set[int] = set()
    for language, name in sorted(set(recordings)):
        place = zlib.crc32(f"{language}/{name}".encode()) % _COUNT
        while place in taken:
            place = (place + 1) % _COUNT
        taken.add(place)
        found[language, name] = _LEAST + place
    return found
