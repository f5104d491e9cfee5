"""Key patterns, compiled to a trie: which pattern the keys pressed so far are, and whether a longer one can follow.

A pattern is written with ``0-9 * # A-D``, ``X`` (0-9), ``Z`` (1-9), ``N`` (2-9) and classes ``[1-5]``. Where two
patterns fit the same keys, the one that is more exact at the first key in which they differ wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

KEYS: Final = "0123456789*#ABCD"
PATTERN_LIMIT: Final = 32
"""Keys of one pattern."""

_LETTERS: Final = {"X": "0123456789", "Z": "123456789", "N": "23456789"}


class KeyPatternError(ValueError):
    """Not a key pattern; ``offset`` says where, the message why."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class NoMatch:
    """No pattern begins with these keys."""


@dataclass(frozen=True, slots=True)
class Partial:
    """More keys are needed."""


@dataclass(frozen=True, slots=True)
class Exact:
    """These keys are a pattern. ``longer_possible``: they are also the beginning of a longer one."""

    pattern: str
    longer_possible: bool


Match = NoMatch | Partial | Exact


@lru_cache(maxsize=2_000)
def parse_pattern(text: str) -> tuple[frozenset[str], ...]:
    """The keys that can stand at each place. Raises KeyPatternError."""
    places: list[frozenset[str]] = []
    at = 0
    while at < len(text):
        character = text[at]
        if character == "[":
            keys, at = _class(text, at)
        elif character in KEYS:
            keys, at = frozenset(character), at + 1
        elif character in _LETTERS:
            keys, at = frozenset(_LETTERS[character]), at + 1
        else:
            remedy = (
                f": write {character.upper()}" if character.upper() in _LETTERS or character.upper() in KEYS else ""
            )
            raise KeyPatternError(at, f"{character!r} is not on a telephone{remedy}")
        places.append(keys)
    if not places:
        raise KeyPatternError(0, "a key is missing")
    if len(places) > PATTERN_LIMIT:
        raise KeyPatternError(0, f"more than {PATTERN_LIMIT} keys")
    return tuple(places)


def _class(text: str, start: int) -> tuple[frozenset[str], int]:
    end = text.find("]", start)
    if end < 0:
        raise KeyPatternError(start, "'[' is not closed")
    inside = text[start + 1 : end]
    keys: set[str] = set()
    at = 0
    while at < len(inside):
        if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside):
            first, last = inside[at], inside[at + 2]
            if not (first in KEYS[:10] and last in KEYS[:10] and first <= last):
                raise KeyPatternError(start + 1 + at, f"'{first}-{last}' is not a range of digits")
            keys.update(KEYS[int(first) : int(last) + 1])
            at += 3
        elif inside[at] in KEYS:
            keys.add(inside[at])
            at += 1
        else:
            raise KeyPatternError(start + 1 + at, f"{inside[at]!r} is not on a telephone")
    if not keys:
        raise KeyPatternError(start, "nothing stands between '[' and ']'")
    return frozenset(keys), end + 1


@dataclass(slots=True)
class _Branch:
    """What can follow the keys that lead here: the set of keys of the next place, and the branch after it."""

    pattern: str | None = None
    following: dict[frozenset[str], _Branch] = field(default_factory=dict)


class KeyPatterns:
    """A set of patterns, in the order given. Equal ones (the same keys in the same places) count once."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Raises KeyPatternError."""
        self.patterns = tuple(dict.fromkeys(patterns))
        self._places = {pattern: parse_pattern(pattern) for pattern in self.patterns}
        self._root: _Branch | None = None
        """The trie, once somebody has asked."""

    def __reduce__(self) -> tuple[object, ...]:
        return KeyPatterns, (self.patterns,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyPatterns) and self.patterns == other.patterns

    def __hash__(self) -> int:
        return hash(self.patterns)

    def __repr__(self) -> str:
        return f"KeyPatterns({list(self.patterns)!r})"

    def match(self, keys: str) -> Match:
        """What the keys pressed so far amount to."""
        if self._root is None:
            self._root = self._trie()
        branches = [self._root]
        for key in keys:
            branches = [
                branch.following[choice]
                for branch in branches
                for choice in sorted(branch.following, key=_exactness)
                if key in choice
            ]
        longer = any(branch.following for branch in branches)
        for branch in branches:
            if branch.pattern is not None and keys:
                return Exact(branch.pattern, longer)
        return Partial() if longer else NoMatch()

    def _trie(self) -> _Branch:
        root = _Branch()
        for pattern, places in self._places.items():
            branch = root
            for keys in places:
                branch = branch.following.setdefault(keys, _Branch())
            if branch.pattern is None:
                branch.pattern = pattern
        return root

    def equal(self) -> Iterator[tuple[str, str]]:
        """Pairs of patterns that mean the same keys: the first of them, and the one that can never win."""
        first: dict[tuple[frozenset[str], ...], str] = {}
        for pattern, places in self._places.items():
            if places in first:
                yield first[places], pattern
            else:
                first[places] = pattern

    def clashes(self) -> Iterator[tuple[str, str]]:
        """Pairs (short, long) in which the keys of the short pattern can also be the beginning of the long one."""
        if len({len(places) for places in self._places.values()}) == 1:
            return
        for short, short_places in self._places.items():
            for long, long_places in self._places.items():
                if len(short_places) < len(long_places) and _overlap(short_places, long_places):
                    yield short, long


def _exactness(keys: frozenset[str]) -> tuple[int, str]:
    return len(keys), "".join(sorted(keys))


def _overlap(short: tuple[frozenset[str], ...], long: tuple[frozenset[str], ...]) -> bool:
    return all(one & other for one, other in zip(short, long, strict=False))
