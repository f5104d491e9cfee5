"""The functions expressions can call. One entry in :data:`FUNCTIONS` adds one: parser, checks and reference read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from typing import Final

from ivr.flow.charpattern import CharacterPattern
from ivr.flow.model import VariableType
from ivr.flow.values import EvaluationError, as_date, as_number, as_text, shown, within_limit

_TEXTS: Final = frozenset[VariableType]({"text", "digits", "json"})
_WRITABLE: Final = frozenset[VariableType]({"text", "digits", "number", "money", "json"})
_COUNTABLE: Final = frozenset[VariableType]({"text", "digits", "list", "json"})
_ANY: Final = frozenset[VariableType]({"text", "digits", "number", "money", "date", "time", "yes_no", "list", "json"})
_MOMENTS: Final = frozenset[VariableType]({"date", "time", "text", "json"})
_DATES: Final = frozenset[VariableType]({"date", "json"})

_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MATCHED_LIMIT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Function:
    """``call`` gets the values and the local time; ``result`` None means the type of the first argument."""

    name: str
    arguments: tuple[frozenset[VariableType], ...]
    result: VariableType | None
    call: Callable[[Sequence[object], datetime | None], object]
    doc: str
    optional: int = 0
    """How many of the last arguments may be left out."""
    repeats: bool = False
    """Whether the last argument may stand any number of times."""

    @property
    def usage(self) -> str:
        names = ["x", "y", "z"][: len(self.arguments)] if len(self.arguments) > 1 else ["x"] * len(self.arguments)
        return f"{self.name}({', '.join(names)}{', …' if self.repeats else ''})"


def _len(values: Sequence[object], now: datetime | None) -> object:
    value = values[0]
    if isinstance(value, str | list | tuple | dict):
        return as_number(len(value))
    raise EvaluationError("len() counts characters and list items only")


def _text(value: object) -> str:
    text = as_text(value)
    within_limit(len(text))
    return text


def _digits(values: Sequence[object], now: datetime | None) -> object:
    return "".join(character for character in _text(values[0]) if character in "0123456789")


def _number(values: Sequence[object], now: datetime | None) -> object:
    return as_number(values[0])


def _starts_with(values: Sequence[object], now: datetime | None) -> object:
    return as_text(values[0]).startswith(as_text(values[1]))


def _lower(values: Sequence[object], now: datetime | None) -> object:
    return _text(values[0]).lower()


def _luhn(values: Sequence[object], now: datetime | None) -> object:
    text = as_text(values[0])
    if not text or len(text) > 100 or not (text.isascii() and text.isdigit()):
        return False
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(text))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _coalesce(values: Sequence[object], now: datetime | None) -> object:
    for value in values:
        if value is not None:
            return value
    raise EvaluationError("none of the values given to coalesce() is set")


def _matches(values: Sequence[object], now: datetime | None) -> object:
    text = as_text(values[0])
    if len(text) > _MATCHED_LIMIT:
        raise EvaluationError(f"matches() looks at most at {_MATCHED_LIMIT} characters")
    return compiled(as_text(values[1])).matches(text)


@lru_cache(maxsize=256)
def compiled(pattern: str) -> CharacterPattern:
    """Raises PatternError."""
    return CharacterPattern.parse(pattern)


def _today(values: Sequence[object], now: datetime | None) -> object:
    if now is None:
        raise EvaluationError("the date is not known here")
    return now.date()


def _weekday(values: Sequence[object], now: datetime | None) -> object:
    value = values[0] if values else _today(values, now)
    if isinstance(value, str):
        value = as_date(value)
    if not isinstance(value, date):
        raise EvaluationError("weekday() needs a date")
    return _WEEKDAYS[value.weekday()]


def _hours_between(values: Sequence[object], now: datetime | None) -> object:
    if now is None:
        raise EvaluationError("the time is not known here")
    first, last = (_moment(value, now) for value in (values[0], values[1] if len(values) > 1 else now))
    return as_number(round((last - first).total_seconds() / 3600, 2))


def _moment(value: object, now: datetime) -> datetime:
    """A day begins at midnight, a time of day is today's, what names no zone is local."""
    if isinstance(value, str):
        try:
            value = time.fromisoformat(value) if len(value) <= 8 else datetime.fromisoformat(value)
        except ValueError:
            raise EvaluationError(f"{shown(value)} is neither a date nor a time") from None
    match value:
        case datetime():
            return value if value.tzinfo is not None else value.replace(tzinfo=now.tzinfo)
        case date():
            return datetime.combine(value, time(), now.tzinfo)
        case time():
            return datetime.combine(now.date(), value, now.tzinfo)
        case _:
            raise EvaluationError(f"{shown(value)} is neither a date nor a time")


FUNCTIONS: Final = {
    function.name: function
    for function in (
        Function("len", (_COUNTABLE,), "number", _len, "how many characters or list items"),
        Function("digits", (_WRITABLE,), "digits", _digits, "only the digits of a text: '400-820' becomes '400820'"),
        Function("number", (_WRITABLE,), "number", _number, "a text as a number: '007' becomes 7"),
        Function("starts_with", (_TEXTS, _TEXTS), "yes_no", _starts_with, "whether x begins with y"),
        Function("lower", (_TEXTS,), "text", _lower, "in small letters"),
        Function(
            "luhn",
            (_TEXTS,),
            "yes_no",
            _luhn,
            "whether the last digit is the right check digit (cards, orders)",
        ),
        Function("coalesce", (_ANY, _ANY), None, _coalesce, "the first value that is set", repeats=True),
        Function(
            "matches",
            (_TEXTS, _TEXTS),
            "yes_no",
            _matches,
            r"whether the whole of x fits a pattern: . \d [a-f] and ? * + {2} {2,4}; no groups",
        ),
        Function("today", (), "date", _today, "the date now"),
        Function(
            "weekday",
            (_DATES,),
            "text",
            _weekday,
            "'monday' to 'sunday', of today if no date is given",
            optional=1,
        ),
        Function(
            "hours_between",
            (_MOMENTS, _MOMENTS),
            "number",
            _hours_between,
            "hours from x to y, two dates or times; to now if only x is given; below 0 if y is earlier",
            optional=1,
        ),
    )
}
