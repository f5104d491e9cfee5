"""Patterns for ``matches(text, pattern)``: a small part of regular expressions, matched in linear time.

Characters, ``.``, ``\\d``, ``[abc0-9]``, ``[^...]``, and after any of them ``? * + {2} {2,4}``. The whole text must
match. There are no groups and no alternatives, so no pattern can take for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PATTERN_LIMIT: Final = 100
REPEAT_LIMIT: Final = 100
_DIGITS: Final = frozenset("0123456789")


class PatternError(ValueError):
    """The pattern is not one; ``offset`` says where."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class _Item:
    characters: frozenset[str] | None
    """None: any character."""
    inverted: bool
    least: int
    most: int | None

    def accepts(self, character: str) -> bool:
        return self.characters is None or (character in self.characters) != self.inverted


@dataclass(frozen=True, slots=True)
class CharacterPattern:
    """A compiled pattern."""

    text: str
    _items: tuple[_Item, ...]

    @classmethod
    def parse(cls, text: str) -> CharacterPattern:
        """Raises PatternError."""
        if len(text) > PATTERN_LIMIT:
            raise PatternError(PATTERN_LIMIT, f"a pattern has at most {PATTERN_LIMIT} characters")
        items = []
        at = 0
        while at < len(text):
            characters, inverted, at = _characters(text, at)
            least, most, at = _repeat(text, at)
            items.append(_Item(characters, inverted, least, most))
        return cls(text, tuple(items))

    def matches(self, text: str) -> bool:
        """Whether the whole text fits.

        Sets of places in the text are whole numbers, one bit a place: a step of a repeat costs the same wherever it
        may stand, so :data:`PATTERN_LIMIT` and :data:`REPEAT_LIMIT` bound the time.
        """
        where: dict[str, int] = {}
        for at, character in enumerate(text):
            where[character] = where.get(character, 0) | 1 << at
        positions = 1
        for item in self._items:
            accepted = 0
            for character, places in where.items():
                if item.accepts(character):
                    accepted |= places
            positions = _advance(item, accepted, positions)
            if not positions:
                return False
        return bool(positions >> len(text) & 1)


def _advance(item: _Item, accepted: int, positions: int) -> int:
    """Where one may stand after the item, having stood at ``positions`` before it."""
    result = 0
    current = positions
    for count in range(max(item.least, item.most or 0) + 1):
        if count >= item.least:
            result |= current
        if item.most is not None and count == item.most:
            return result
        current = (current & accepted) << 1
        if not current:
            return result
    reached = current
    while current:
        current = (current & accepted) << 1 & ~reached
        reached |= current
    return result | reached


def _characters(text: str, at: int) -> tuple[frozenset[str] | None, bool, int]:
    match text[at]:
        case ".":
            return None, False, at + 1
        case "[":
            return _class(text, at)
        case "\\":
            if at + 1 == len(text):
                raise PatternError(at, "nothing follows the backslash")
            following = text[at + 1]
            if following == "d":
                return _DIGITS, False, at + 2
            if following.isalnum():
                raise PatternError(at, f"'\\{following}' is not known; there is \\d, and \\ before a sign")
            return frozenset(following), False, at + 2
        case "(" | ")" | "|" | "^" | "$":
            raise PatternError(at, f"{text[at]!r} cannot be used: the whole text is matched, without groups")
        case "?" | "*" | "+" | "{":
            raise PatternError(at, f"{text[at]!r} repeats nothing")
        case character:
            return frozenset(character), False, at + 1


def _class(text: str, at: int) -> tuple[frozenset[str], bool, int]:
    end = text.find("]", at + 1)
    if end < 0:
        raise PatternError(at, "'[' is not closed")
    inverted = text[at + 1] == "^"
    inside = text[at + 2 : end] if inverted else text[at + 1 : end]
    if not inside:
        raise PatternError(at, "nothing stands between '[' and ']'")
    characters: set[str] = set()
    index = 0
    while index < len(inside):
        first = inside[index]
        if inside[index + 1 : index + 2] == "-" and index + 2 < len(inside):
            last = inside[index + 2]
            if not 0 <= ord(last) - ord(first) < 256:
                raise PatternError(at, f"'{first}-{last}' is not a range of characters")
            characters.update(chr(code) for code in range(ord(first), ord(last) + 1))
            index += 3
        else:
            characters.add(first)
            index += 1
    return frozenset(characters), inverted, end + 1


def _repeat(text: str, at: int) -> tuple[int, int | None, int]:
    match text[at : at + 1]:
        case "?":
            return 0, 1, at + 1
        case "*":
            return 0, None, at + 1
        case "+":
            return 1, None, at + 1
        case "{":
            end = text.find("}", at)
            least, comma, most = text[at + 1 : max(end, at + 1)].partition(",")
            counts = [part for part in (least, most) if part]
            if not all(part.isascii() and part.isdigit() and int(part) <= REPEAT_LIMIT for part in counts) or not least:
                raise PatternError(at, f"write {{2}} or {{2,4}}, at most {REPEAT_LIMIT}")
            if most and int(most) < int(least):
                raise PatternError(at, "the second number is smaller than the first")
            upper = int(most) if most else (None if comma else int(least))
            return int(least), upper, end + 1
        case _:
            return 1, 1, at
