"""Plural forms by the rules of the Unicode CLDR: which of the words of ``plural(call,calls)`` fits a number."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError

from ivr.flow.values import EvaluationError, as_number

_ORDER: Final = ("zero", "one", "two", "few", "many", "other")


@lru_cache(maxsize=64)
def _locale(language: str) -> Locale | None:
    try:
        return Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        return None


def known(language: str) -> bool:
    return _locale(language) is not None


@lru_cache(maxsize=64)
def categories(language: str) -> tuple[str, ...]:
    """The forms that whole numbers of everyday size have in a language, in the order they are written in."""
    locale = _locale(language)
    if locale is None:
        return ()
    reached = {locale.plural_form(number) for number in range(201)}
    return tuple(name for name in _ORDER if name in reached)


def forms(argument: str) -> dict[str, str] | tuple[str, ...]:
    """What stands between the brackets: words in order, or by name (``one=call,other=calls``)."""
    words = [word.strip() for word in argument.split(",")]
    if all(word.partition("=")[0].strip() in _ORDER and "=" in word for word in words):
        return {name.strip(): word.strip() for name, _, word in (word.partition("=") for word in words)}
    return tuple(words)


def missing(argument: str, language: str) -> str | None:
    """None if the words are enough for the language, else what is wrong."""
    needed, given = categories(language), forms(argument)
    if isinstance(given, dict):
        lacking = [name for name in needed if name not in given]
        return f"{language} also needs {', '.join(lacking)}" if lacking else None
    if not all(given):
        return "a form is empty"
    if len(given) == len(needed) or len(needed) == 1:
        return None
    return f"{language} has {len(needed)} forms ({', '.join(needed)}), but {len(given)} {_stand(len(given))} here"


def _stand(number: int) -> str:
    return "stands" if number == 1 else "stand"


def chosen(value: object, argument: str, language: str) -> str:
    """The word for the number. Raises EvaluationError."""
    locale, number = _locale(language), as_number(value)
    if locale is None:
        raise EvaluationError(f"the plural forms of '{language}' are not known")
    category = locale.plural_form(abs(number))
    given = forms(argument)
    words = given if isinstance(given, dict) else dict(zip(categories(language), given, strict=False))
    last = list(given.values())[-1] if isinstance(given, dict) else given[-1]
    if len(categories(language)) == 1 and not isinstance(given, dict):
        return last
    return words.get(category) or words.get("other") or last
