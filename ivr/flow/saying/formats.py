"""The formats a value in a spoken text can have: ``{total:money CNY}``. Name, meaning, what may stand in it.

How each of them sounds is told in one module per language beside this one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ivr.flow.model import VariableType

Format = Callable[[object, str], str]
"""From a value, and what stands behind the format's name (``CNY`` of ``money CNY``), to words.

Raises EvaluationError for a value that cannot be said so.
"""


@dataclass(frozen=True, slots=True)
class FormatKind:
    """What is known of a format in every language."""

    doc: str
    takes: frozenset[VariableType]
    """Types of values; what a ``json`` holds is seen when it is said."""
    argument: Literal["none", "currency", "forms"] = "none"


_NUMBERS: Final = frozenset[VariableType]({"number", "money", "digits", "text", "json"})
_TEXTS: Final = frozenset[VariableType]({"text", "digits", "number", "json"})

FORMATS: Final[Mapping[str, FormatKind]] = {
    "text": FormatKind(
        "as it is",
        frozenset[VariableType]({"text", "digits", "number", "money", "date", "time", "yes_no", "list", "json"}),
    ),
    "digits": FormatKind("digit by digit: 1 2 3 4", _TEXTS),
    "number": FormatKind("as a number: one thousand two hundred thirty-four", _NUMBERS),
    "ordinal": FormatKind("as a place in a row: twenty-first", _NUMBERS),
    "money": FormatKind("`money CNY`: an amount of that currency: twelve yuan and fifty fen", _NUMBERS, "currency"),
    "date": FormatKind("the fifth of March twenty twenty-six", frozenset[VariableType]({"date", "text", "json"})),
    "time": FormatKind("two thirty p.m.", frozenset[VariableType]({"time", "text", "json"})),
    "phone": FormatKind("a telephone number, in groups", _TEXTS),
    "spell": FormatKind("letter by letter: A, B, dash, 1", _TEXTS),
    "plural": FormatKind("`plural(call,calls)`: the word that fits the number, without the number", _NUMBERS, "forms"),
}
"""``{x}`` alone is ``{x:text}``."""
