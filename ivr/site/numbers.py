"""Number rules: which flow answers which dialled number. The most exact rule wins; ties are errors at load."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import Final, Literal

from ivr.flow.keys import KeyPatternError, parse_pattern
from ivr.flow.model import Place

Places = tuple[frozenset[str], ...]

Callers = Literal["anyone", "seats", "clients", "signed_in"]
"""Who may dial a number: anybody; telephones that proved to be a seat of the site; RTC clients; those two."""

_NAME: Final = re.compile(r"[a-z][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Direct:
    """Who is called in place of a flow: ``sip:2001``, ``rtc:alice``, ``tel:0301234``."""

    target: str
    trunk: str | None = None
    """Through which trunk a number is called; None: the first that can be reached."""

    @property
    def scheme(self) -> str:
        return self.target.partition(":")[0]

    @property
    def name(self) -> str:
        return self.target.partition(":")[2]

    def __str__(self) -> str:
        return self.target


@dataclass(frozen=True, slots=True)
class NumberRule:
    """A number, or a pattern of numbers, and the flow that answers or who is called."""

    number: str
    leads_to: str | Direct
    """The name of a flow, or who is called."""
    callers: Callers
    places: Places = field(repr=False)
    """The characters that can stand at each place."""
    place: Place = field(compare=False)

    @property
    def flow(self) -> str | None:
        """The flow that answers; None if somebody is called in its place."""
        return None if isinstance(self.leads_to, Direct) else self.leads_to

    @property
    def direct(self) -> Direct | None:
        return self.leads_to if isinstance(self.leads_to, Direct) else None

    def fits(self, did: str) -> bool:
        return len(did) == len(self.places) and all(
            character in choice for character, choice in zip(did, self.places, strict=True)
        )

    @property
    def width(self) -> int:
        """How many numbers fit it: 1 for a number."""
        width = 1
        for choice in self.places:
            width *= len(choice)
        return width


def parse_number(text: str) -> Places:
    """Places of a number (``1000``, ``+49401234``), a pattern (``20XX``) or a name (``sales``).

    Raises KeyPatternError.
    """
    if _NAME.fullmatch(text):
        return tuple(frozenset(character) for character in text)
    if text.startswith("+"):
        if len(text) == 1:
            raise KeyPatternError(1, "a number is missing after the +")
        return (frozenset("+"), *parse_pattern(text[1:]))
    return parse_pattern(text)


def most_exact(rules: Iterable[NumberRule], did: str) -> NumberRule | None:
    """The narrowest rule that fits."""
    return min((rule for rule in rules if rule.fits(did)), key=lambda rule: rule.width, default=None)


def ambiguous(rules: Iterable[NumberRule]) -> list[tuple[NumberRule, NumberRule, str]]:
    """Pairs of rules that both fit some number while neither is the narrower one, with such a number."""
    by_length: dict[int, list[NumberRule]] = {}
    for rule in rules:
        by_length.setdefault(len(rule.places), []).append(rule)
    found = []
    for alike in by_length.values():
        patterns = [rule for rule in alike if rule.width > 1]
        exact = {rule.places: rule for rule in alike if rule.width == 1}
        found.extend(_twice([rule for rule in alike if rule.width == 1]))
        for index, second in enumerate(patterns):
            for first in patterns[:index]:
                common = tuple(one & other for one, other in zip(first.places, second.places, strict=True))
                if not all(common) or (common in (first.places, second.places) and first.places != second.places):
                    continue
                # Numbers that have a rule of their own are not in dispute; one more than there are such rules is.
                shared = product(*(sorted(choice) for choice in common))
                example = next((one for one in shared if tuple(map(frozenset, one)) not in exact), None)
                if example is not None:
                    found.append((first, second, "".join(example)))
    return found


def _twice(rules: list[NumberRule]) -> list[tuple[NumberRule, NumberRule, str]]:
    ordered = sorted(rules, key=lambda rule: rule.number)
    return [(one, other, one.number) for one, other in pairwise(ordered) if one.places == other.places]
