"""From words to a value: what a caller said who was asked for digits, a number, money, a date, a time, yes or no."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, time
from decimal import Decimal
from typing import Final

from ivr.hearing import SpokenType
from ivr.understanding import chinese, english, korean, others
from ivr.understanding.yes_no import spoken_yes_no

__all__ = ["LONGEST", "Value", "meaning"]

Value = str | Decimal | date | time | bool
"""``digits`` and ``text``: str; ``number`` and ``money``: Decimal; ``date``, ``time``; ``yes_no``: bool."""

LONGEST: Final = 500
"""Characters of what is understood as a value; a text is cut there, anything else has no meaning."""


def meaning(text: str, type: SpokenType, language: str, today: date) -> Value | None:
    """What was said, None if it is nothing of that type. Never raises.

    A date without a year is the next such day from ``today`` on; a time without a part of the day is in the afternoon
    from one to half past six. Which currency an amount is of is not told.
    """
    said = text.strip()[:LONGEST]
    if not said:
        return None
    if type == "text":
        return said
    if type == "yes_no":
        return spoken_yes_no(said, language)
    if len(text.strip()) > LONGEST:
        return None
    try:
        return _understood(said, type, language, today)
    except (ArithmeticError, ValueError, OverflowError):
        # Nothing that a caller can say is so large as not to be a number of Python's, but a text can be.
        return None


def _understood(said: str, type: SpokenType, language: str, today: date) -> Value | None:
    base = language.lower().replace("_", "-").partition("-")[0]
    if base == "en":
        return _with(
            said, type, today, english.digits, english.number, english.money, _english_day(language), english.time_said
        )
    if base in ("zh", "cmn", "yue"):
        return _with(said, type, today, chinese.digits, chinese.number, chinese.money, chinese.day, chinese.time_said)
    if base == "ko":
        return _with(said, type, today, korean.digits, korean.number, korean.money, korean.day, korean.time_said)
    return _with(
        said,
        type,
        today,
        lambda text: others.digits(text, language),
        lambda text: others.number(text, language),
        lambda text: others.money(text, language),
        lambda text, now: others.day(text, language, now),
        lambda text: others.time_said(text, language),
    )


Dates = Callable[[str, date], date | None]

_MONTH_FIRST: Final = frozenset({"en", "en-us", "en-ph"})


def _english_day(language: str) -> Dates:
    american = language.lower().replace("_", "-") in _MONTH_FIRST
    return lambda text, today: english.day(text, today, american)


def _with(
    said: str,
    type: SpokenType,
    today: date,
    digits: Callable[[str], str | None],
    number: Callable[[str], Decimal | None],
    money: Callable[[str], Decimal | None],
    day: Dates,
    time_said: Callable[[str], time | None],
) -> Value | None:
    match type:
        case "digits":
            return digits(said)
        case "number":
            return number(said)
        case "money":
            return money(said)
        case "date":
            return day(said, today)
        case _:
            return time_said(said)
