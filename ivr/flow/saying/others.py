"""All other languages, as far as num2words and the Unicode CLDR have their words; what they lack is lacking here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time

from ivr.flow.saying import currencies, phone, plurals
from ivr.flow.saying.formats import Format
from ivr.flow.saying.values import day, named, text, time_of_day, whole
from ivr.flow.values import as_number


def formats_of(language: str) -> dict[str, Format]:
    """The formats of a language: ``text``, ``digits``, ``phone`` and ``spell`` of every one."""
    formats: dict[str, Format] = {"text": text, "digits": _digits, "phone": _phone, "spell": _spell}
    words = _converter(language)
    if words is not None:
        formats["number"] = partial(_number, words)
        if _has_ordinals(words):
            formats["ordinal"] = partial(_ordinal, words)
    locale = _locale(language)
    if locale is not None:
        formats["date"] = partial(_date, locale)
        formats["time"] = partial(_time, locale)
        formats["plural"] = partial(_plural, language)
        if words is not None:
            formats["money"] = partial(_money, words, locale)
    return formats


def _converter(language: str) -> Any | None:
    # The library brings the words of fifty languages and is loaded only where one is spoken.
    import num2words

    base, _, region = language.partition("-")
    found = num2words.CONVERTER_CLASSES
    return found.get(f"{base}_{region.upper()}") or found.get(base)


def _locale(language: str) -> Locale | None:
    try:
        return Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        return None


def _has_ordinals(words: Any) -> bool:
    try:
        return all(isinstance(words.to_ordinal(number), str) for number in (1, 2, 12, 21, 100))
    except Exception:
        # Whatever the library raises for what it does not have: there are no ordinals then.
        return False


def _said(convert: Callable[[Any], str], number: Any) -> str:
    return " ".join(str(convert(number)).replace(",", " ").split())


def _number(words: Any, value: object, argument: str = "") -> str:
    number = as_number(value)
    return _said(words.to_cardinal, int(number) if number == int(number) else number)


def _ordinal(words: Any, value: object, argument: str = "") -> str:
    return _said(words.to_ordinal, whole(value))


def _money(words: Any, locale: Locale, value: object, code: str) -> str:
    number = currencies.rounded(value, code)
    return f"{_number(words, number)} {currencies.name(code, number, locale)}"


def _date(locale: Locale, value: object, argument: str = "") -> str:
    return format_date(day(value), format="long", locale=locale)


def _time(locale: Locale, value: object, argument: str = "") -> str:
    return format_time(time_of_day(value), format="short", locale=locale)


def _plural(language: str, value: object, argument: str) -> str:
    return plurals.chosen(value, argument, language)


def _digits(value: object, argument: str = "") -> str:
    return " ".join(named(value, {}))


def _phone(value: object, argument: str = "") -> str:
    return phone.spoken(value, {})


def _spell(value: object, argument: str = "") -> str:
    return ", ".join(name.upper() for name in named(value, {}))
