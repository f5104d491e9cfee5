"""The names of all currencies in a language, from the Unicode CLDR."""

from __future__ import annotations

import re
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.numbers import get_currency_name, list_currencies

from ivr.understanding.words import plain

__all__ = ["major_units"]


@lru_cache(maxsize=32)
def major_units(language: str) -> frozenset[tuple[str, ...]]:
    """Each as its words: ``("hong", "kong", "dollars")``, and the last word alone."""
    try:
        locale = Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        return frozenset()
    names = {get_currency_name(code, count, locale) for code in list_currencies(locale) for count in (None, 1, 2, 5)}
    found = {tuple(re.findall(r"\w+", plain(name).replace("'", ""))) for name in names}
    whole = {words for words in found if words}
    return frozenset(whole | {words[-1:] for words in whole if words[-1].isalpha()})
