"""Currencies by their ISO 4217 codes: which there are, how many minor digits they have, what languages call them."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from babel.core import Locale
from babel.numbers import get_currency_name, get_currency_precision, list_currencies

from ivr.flow.saying.values import amount


@lru_cache(maxsize=1)
def codes() -> frozenset[str]:
    return frozenset(list_currencies())


@lru_cache(maxsize=64)
def minor_digits(code: str) -> int:
    """2 for most, 0 for JPY, 3 for KWD."""
    return get_currency_precision(code)


def rounded(value: object, code: str) -> Decimal:
    """The amount, to the digits the currency has."""
    digits = minor_digits(code)
    below, major, minor = amount(value, digits)
    return Decimal(major * 10**digits + minor).scaleb(-digits) * (-1 if below else 1)


def name(code: str, number: Decimal, locale: Locale) -> str:
    """What so many of them are called, in the words of the language."""
    return get_currency_name(code, count=number, locale=locale)
