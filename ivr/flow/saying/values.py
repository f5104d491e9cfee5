"""Values as formats take them: numbers, days, times of day, characters. What is none raises EvaluationError."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from ivr.flow.values import TEXT_LIMIT, EvaluationError, as_number, as_text, shown

SAID_LIMIT: Final = 200
"""Characters that are named one after the other: more than a minute of them is a mistake."""


def text(value: object, argument: str = "") -> str:
    """The value as it would be written: the format ``text`` of every language."""
    written = as_text(value)
    if len(written) > TEXT_LIMIT:
        raise EvaluationError(f"a text of {len(written)} characters is too long to be said")
    return written


def whole(value: object) -> int:
    """A whole number from 0 on."""
    number = as_number(value)
    if number != int(number) or number < 0:
        raise EvaluationError(f"{shown(value)} is not a whole number")
    return int(number)


def amount(value: object, minor_digits: int) -> tuple[bool, int, int]:
    """Whether an amount of money is below zero, and its major and minor units; rounded as shops round."""
    exact = as_number(value)
    minor = int((abs(exact) * 10**minor_digits).to_integral_value(ROUND_HALF_UP))
    major, rest = divmod(minor, 10**minor_digits)
    return exact < 0 and minor > 0, major, rest


def day(value: object) -> date:
    """A date, or a text that is one: ``2026-03-05``, with or without a time behind it."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    return _moment(value, "a date").date()


def time_of_day(value: object) -> time:
    """A time of day, or a text that is one: ``14:30``, with or without a date before it."""
    if isinstance(value, time):
        return value
    if isinstance(value, str) and len(value) <= 8:
        try:
            return time.fromisoformat(value)
        except ValueError:
            raise EvaluationError(f"{shown(value)} is not a time of day") from None
    return _moment(value, "a time of day").time()


def _moment(value: object, wanted: str) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise EvaluationError(f"{shown(value)} is not {wanted}") from None


def characters(value: object) -> list[str]:
    """What is named one by one; spaces are not."""
    written = as_text(value)
    found = [character for character in written if not character.isspace()]
    if len(found) > SAID_LIMIT:
        raise EvaluationError(f"a text of {len(written)} characters is too long to be said one by one")
    return found


def named(value: object, names: Mapping[str, str]) -> list[str]:
    """The characters, those by name that have one."""
    return [names.get(character, character) for character in characters(value)]


def parts(number: Decimal) -> tuple[bool, int, str]:
    """Whether a number is below zero, its whole part, and the digits behind its point."""
    whole_part, _, fraction = f"{abs(number).normalize():f}".partition(".")
    return number < 0, int(whole_part), fraction
