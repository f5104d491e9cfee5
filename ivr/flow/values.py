"""Values that flows hold, and how one kind becomes another. What cannot be raises :class:`EvaluationError`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Final

from ivr.flow.model import VariableType

TEXT_LIMIT: Final = 10_000
"""Characters of a text that an expression makes."""

DIGITS: Final = re.compile(r"[0-9*#A-D]*")
YES_NO: Final = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}

TYPE_WORDS: Final[Mapping[str, str]] = {
    "text": "a text",
    "digits": "digits",
    "number": "a number",
    "money": "an amount of money",
    "date": "a date",
    "time": "a time of day",
    "yes_no": "yes or no",
    "list": "a list",
    "json": "a record",
    "range": "a range",
}

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,9})?")
_LISTS_LIMIT: Final = 5
"""Lists within lists that are written as text."""
_LARGEST: Final = Decimal(10) ** 30


class EvaluationError(Exception):
    """An expression has no value: a variable is not set, a text is not a number, ... The message is for operators."""


def plain(value: object) -> object:
    """The value as expressions see it: numbers as Decimal, a point in time as the time of day."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float | Decimal):
        return as_number(value)
    if isinstance(value, datetime):
        return value.time().replace(tzinfo=None)
    return value


def as_number(value: object) -> Decimal:
    if isinstance(value, Decimal | int | float) and not isinstance(value, bool):
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise EvaluationError("the number is too large")
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        if not number.is_finite() or abs(number) > _LARGEST:
            raise EvaluationError("the number is too large")
        return number
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return Decimal(value.strip())
    raise EvaluationError(f"{shown(value)} is not a number")


def as_text(value: object, depth: int = 0) -> str:
    """The value as it stands in a log line or an address."""
    match value:
        case str():
            return value
        case bool():
            return "yes" if value else "no"
        case int() | float() | Decimal():
            number = as_number(value)
            return f"{number.normalize():f}" if number else "0"
        case datetime():
            return value.isoformat(" ", "minutes")
        case time():
            return value.isoformat("minutes")
        case date():
            return value.isoformat()
        case list() | tuple():
            return _joined(value, depth)
        case _:
            raise EvaluationError(f"{shown(value)} cannot be written as text")


def _joined(values: list[object] | tuple[object, ...], depth: int) -> str:
    """Lists within lists come from outside and have any size: neither depth nor length is theirs to choose."""
    if depth >= _LISTS_LIMIT:
        raise EvaluationError("lists within lists cannot be written as text")
    parts: list[str] = []
    length = 0
    for value in values[:100]:
        parts.append(as_text(value, depth + 1))
        length += len(parts[-1])
        within_limit(length)
    return ", ".join(parts)


def within_limit(length: int) -> None:
    """Raises EvaluationError for a text that is too long."""
    if length > TEXT_LIMIT:
        raise EvaluationError(f"the text is longer than {TEXT_LIMIT} characters")


def as_yes_no(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise EvaluationError(f"{shown(value)} is neither yes nor no")


def as_type(value: object, type: VariableType) -> object:
    """The value as a variable of this type holds it. Raises EvaluationError if it cannot be one."""
    try:
        match type:
            case "text":
                return as_text(value)
            case "digits":
                text = as_text(value)
                if not DIGITS.fullmatch(text):
                    raise EvaluationError(f"{shown(value)} is not made of digits")
                return text
            case "number" | "money":
                return as_number(value)
            case "yes_no":
                return YES_NO[value.lower()] if isinstance(value, str) else as_yes_no(value)
            case "date":
                return as_date(value) if isinstance(value, str) else _instance(value, date)
            case "time":
                return as_time(value) if isinstance(value, str) else _instance(plain(value), time)
            case "list":
                return tuple(value) if isinstance(value, list | tuple) else (value,)
            case "json":
                return value
    except (ValueError, KeyError):
        raise EvaluationError(f"{shown(value)} is not {TYPE_WORDS[type]}") from None


def _instance(value: object, kind: type[date] | type[time]) -> object:
    if not isinstance(value, kind):
        raise ValueError
    return value


def as_date(text: str) -> date:
    """Raises ValueError unless it is ``2026-03-05``."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError(text)
    return date.fromisoformat(text)


def as_time(text: str) -> time:
    """Raises ValueError unless it is ``22:30`` or ``22:30:05``."""
    if not re.fullmatch(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?", text):
        raise ValueError(text)
    return time.fromisoformat(text)


def shown(value: object) -> str:
    """A value in a message, cut to size."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a record"
    text = str(value) if isinstance(value, str | int | float | Decimal | date | time) else type(value).__name__
    return f"'{text[:40]}…'" if len(text) > 40 else f"'{text}'"
