"""How values are said."""

from __future__ import annotations

from datetime import time
from decimal import Decimal

import pytest

from ivr.run.wording import worded


@pytest.mark.parametrize(
    ("value", "format", "language", "words"),
    [
        ("0012", "digits", "en", "0 0 1 2"),
        ("0012", "digits", "en-GB", "0 0 1 2"),
        ("+86*#", "digits", "en", "plus 8 6 star hash"),
        ("+86", "digits", "xx", "+ 8 6"),
        (Decimal("12"), "digits", "en", "1 2"),
        (Decimal("1280.50"), "number", "en", "1280.5"),
        ("ab 1", "spell", "en", "A, B, 1"),
        ("Anna", "text", "en", "Anna"),
        (True, "text", "en", "yes"),
        (time(22, 30), "text", "en", "22:30"),
        (("a", "b"), "text", "en", "a, b"),
        ("x", "no_such_format", "en", "x"),
    ],
)
def test_values_in_words(value: object, format: str, language: str, words: str) -> None:
    assert worded(value, format, "", language) == words
