"""The other languages, as far as text2num, dateparser, num2words and the Unicode CLDR have their words.

What a language lacks is not understood: a site that needs it asks for keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

import text_to_num
from babel import Locale, UnknownLocaleError
from babel.numbers import get_decimal_symbol

from ivr.understanding.calendar_days import next_weekday
from ivr.understanding.clock import afternoon, time_of_day
from ivr.understanding.units import major_units
from ivr.understanding.words import plain

__all__ = ["day", "digits", "money", "number", "numerals", "time_said"]

_TEXT2NUM: Final = frozenset({"da", "de", "es", "fr", "it", "nl", "pt"})
_LARGEST_WORD: Final = 999
"""Up to where the words of a language that text2num does not know are made by num2words."""
_MINUS: Final = frozenset(["minus", "moins", "menos", "meno", "negativ", "минус", "マイナス", "-"])
_POINT: Final = frozenset(
    ["komma", "virgule", "coma", "virgola", "vírgula", "punto", "ponto", "point", "ponto", "запятая"]
)
_FILLERS: Final = frozenset(
    [
        "am",
        "le",
        "la",
        "el",
        "il",
        "de",
        "den",
        "der",
        "die",
        "das",
        "den",
        "om",
        "um",
        "à",
        "a",
        "alle",
        "as",
        "às",
        "at",
        "på",
        "op",
        "у",
        "в",
        "o",
        "el",
        "día",
        "día",
        "dia",
        "day",
        "jour",
        "euh",
        "äh",
        "ähm",
        "eh",
        "öh",
        "bitte",
        "please",
        "por",
        "favor",
        "s'il",
        "vous",
        "plaît",
        "per",
        "favore",
        "alstublieft",
        "und",
        "et",
        "y",
        "e",
        "en",
        "og",
    ]
)


def numerals(text: str, language: str) -> str:
    """The text with numerals where there were words for numbers."""
    base = language.partition("-")[0]
    said = plain(text)
    if base == "de":
        # The library knows "ein" only, and "eine" would stay behind.
        said = re.sub(r"\beine (?=milli)", "", said)
    if base in _TEXT2NUM:
        return str(text_to_num.alpha2digit(said.replace("-", " ") if base == "fr" else said, base, threshold=0))
    words = _number_words(language)
    return " ".join(words.get(word, word) for word in said.split())


@lru_cache(maxsize=16)
def _number_words(language: str) -> Mapping[str, str]:
    """Of the small numbers: what is said as one word."""
    # The library brings the words of fifty languages and is loaded only where one is spoken.
    import num2words

    base, _, region = language.partition("-")
    found: Any = num2words.CONVERTER_CLASSES.get(f"{base}_{region.upper()}") or num2words.CONVERTER_CLASSES.get(base)
    if found is None:
        return MappingProxyType({})
    said: dict[str, str] = {}
    for value in range(_LARGEST_WORD + 1):
        try:
            word = plain(str(found.to_cardinal(value)))
        except Exception:
            # Whatever the library raises for what it does not have.
            continue
        if " " not in word:
            said.setdefault(word, str(value))
    return MappingProxyType(said)


def digits(text: str, language: str) -> str | None:
    """``null drei zwölf`` is ``0312``."""
    said = [word for word in re.findall(r"[\w*#+]+", numerals(text, language)) if word not in _FILLERS]
    found = "".join(said)
    return found if found and re.fullmatch(r"[0-9*#+]+", found) and found.isascii() else None


def number(text: str, language: str) -> Decimal | None:
    """``minus zwölf Komma fünf``; numerals in either spelling."""
    said = numerals(text, language)
    words = said.split()
    negative = bool(words) and (words[0] in _MINUS or said.startswith(("-", "−")))
    rest = " ".join(words[1:] if negative and words[0] in _MINUS else words).lstrip("-−")
    read = _amount(rest, language)
    return None if read is None else -read if negative else read


def _amount(said: str, language: str) -> Decimal | None:
    words = [word.strip(".,!?") for word in said.split()]
    words = [word for word in words if word and word not in _FILLERS]
    if len(words) >= 3 and words[1] in _POINT:
        words = [f"{words[0]}.{''.join(words[2:])}"]
    whole = _with_point("".join(words), language)
    if not re.fullmatch(r"[0-9]{1,30}(\.[0-9]{1,9})?", whole) or not whole.isascii():
        return None
    # Numerals that follow each other are not one number: "zwölf drei".
    if len(words) > 1 and any(len(word) != 3 for word in words[1:]):
        return None
    return Decimal(whole)


def _with_point(written: str, language: str) -> str:
    """``1.234,5`` and ``1,234.5`` as Python writes it. Of one sign alone the language says what it is."""
    last = max(written.rfind(","), written.rfind("."))
    if last < 0:
        return written
    sign = written[last]
    grouped = re.fullmatch(rf"[0-9]{{1,3}}(?:{re.escape(sign)}[0-9]{{3}})+", written)
    if written.count(sign) > 1 or (grouped and sign != _decimal_sign(language)):
        return written.replace(sign, "")
    return re.sub("[.,]", "", written[:last]) + "." + written[last + 1 :]


@lru_cache(maxsize=32)
def _decimal_sign(language: str) -> str:
    try:
        return get_decimal_symbol(Locale.parse(language, sep="-"))
    except (UnknownLocaleError, ValueError):
        return "."


_CENTS: Final = frozenset(
    [
        "cent",
        "cents",
        "centime",
        "centimes",
        "céntimo",
        "céntimos",
        "centavo",
        "centavos",
        "cêntimo",
        "cêntimos",
        "centesimo",
        "centesimi",
        "rappen",
        "øre",
        "öre",
        "kopeken",
        "копеек",
        "копейка",
        "копейки",
        "pence",
        "penny",
        "pfennig",
    ]
)


def money(text: str, language: str) -> Decimal | None:
    """``zwölf Euro fünfzig``, ``12,50 €``. Which currency is not told."""
    said = re.findall(r"[$€£¥₩]|[^\W\d_]+(?:-[^\W\d_]+)*|[-−]|[0-9][0-9.,]*", numerals(text, language))
    units = major_units(language)
    negative = bool(said) and said[0] in {*_MINUS, "-", "−"}
    said = said[1:] if negative else said
    parts: list[list[str]] = [[]]
    cents = False
    at = 0
    while at < len(said):
        length = _unit_length(said, at, units)
        if length or said[at] in "$€£¥₩":
            if parts[-1]:
                parts.append([])
            at += length or 1
        elif said[at] in _CENTS:
            cents, at = True, at + 1
        else:
            parts[-1].append(said[at])
            at += 1
    amounts = [_amount(" ".join(part), language) for part in parts if part]
    if not amounts or len(amounts) > 2 or any(one is None for one in amounts):
        return None
    values = [one for one in amounts if one is not None]
    if len(values) == 2:
        if not 0 <= values[1] < 100:
            return None
        value = values[0] + values[1] / 100
    else:
        value = values[0] / 100 if cents else values[0]
    return -value if negative else value


def _unit_length(said: list[str], at: int, units: frozenset[tuple[str, ...]]) -> int:
    for size in range(5, 0, -1):
        words = tuple(part for word in said[at : at + size] for part in word.split("-"))
        if len(said[at : at + size]) == size and words in units:
            return size
    return 0


def day(text: str, language: str, today: date) -> date | None:
    """``morgen``, ``5. März``, ``demain``. Without a year, the next such day."""
    # The library loads in 60 ms and is not needed where no dates are asked for.
    import dateparser
    from dateparser.data.languages_info import language_order

    base = language.partition("-")[0].lower()
    words = plain(numerals(text, language)).strip(" .!?").split()
    while len(words) > 1 and words[0] in _FILLERS:
        words.pop(0)
    said = " ".join(words)
    weekday = _weekdays(language).get(said)
    if weekday is not None:
        return next_weekday(today, weekday)
    # A number alone is no day to the library: it would be one of this month.
    if not re.search(r"[^\W\d_]", said) or base not in language_order:
        return None
    found = dateparser.parse(
        said,
        languages=[base],
        settings={
            "RELATIVE_BASE": datetime(today.year, today.month, today.day),
            "PREFER_DATES_FROM": "future",
            "REQUIRE_PARTS": ["day"],
        },
    )
    return None if found is None else found.date()


@lru_cache(maxsize=16)
def _weekdays(language: str) -> Mapping[str, int]:
    try:
        locale = Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        return MappingProxyType({})
    names = {plain(name): number for number, name in locale.days["format"]["wide"].items()}
    return MappingProxyType(
        names | {plain(name): number for number, name in locale.days["stand-alone"]["wide"].items()}
    )


@dataclass(frozen=True, slots=True)
class _ClockWords:
    """How a language tells the time in words. Minutes may be words for 15 and 30 that stand for a number."""

    between: frozenset[str]
    """What stands between or behind hours and minutes and says nothing more."""
    half_after: frozenset[str] = frozenset()
    """``y media``: thirty minutes, behind the hour."""
    half_before: str = ""
    """``halb drei``: thirty minutes before the hour that follows."""
    quarter: frozenset[str] = frozenset()
    past: frozenset[str] = frozenset()
    to: frozenset[str] = frozenset()
    minus: frozenset[str] = frozenset()
    """``menos cuarto``: taken off the hour before it."""
    noon: frozenset[str] = frozenset()
    midnight: frozenset[str] = frozenset()
    morning: tuple[str, ...] = ()
    late: tuple[str, ...] = ()


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_CLOCKS: Final[Mapping[str, _ClockWords]] = MappingProxyType(
    {
        "da": _ClockWords(
            _set("klokken kl. kl og minutter minut"), half_before="halv", quarter=_set("kvart kvarter"),
            past=_set("over"), to=_set("i"), noon=_set("middag"), midnight=_set("midnat"),
            morning=("om morgenen", "om formiddagen"), late=("om eftermiddagen", "om aftenen"),
        ),
        "de": _ClockWords(
            _set("uhr um und minuten minute"), half_before="halb", quarter=_set("viertel"), past=_set("nach"),
            to=_set("vor"), noon=_set("mittag mittags"), midnight=_set("mitternacht"),
            morning=("morgens", "vormittags", "früh", "am morgen", "am vormittag", "nachts"),
            late=("nachmittags", "abends", "am nachmittag", "am abend"),
        ),
        "es": _ClockWords(
            _set("a la las son es y en punto horas hora minutos"), half_after=_set("media"), quarter=_set("cuarto"),
            minus=_set("menos"), noon=_set("mediodía"), midnight=_set("medianoche"),
            morning=("de la mañana", "de la madrugada"), late=("de la tarde", "de la noche"),
        ),
        "fr": _ClockWords(
            _set("à heure heures h et le il est minutes"), half_after=_set("demie demi"), quarter=_set("quart"),
            minus=_set("moins"), noon=_set("midi"), midnight=_set("minuit"),
            morning=("du matin",), late=("de l'après-midi", "de l'après midi", "du soir"),
        ),
        "it": _ClockWords(
            _set("alle all' le sono e in punto ore ora minuti un"), half_after=_set("mezza mezzo"),
            quarter=_set("quarto"), minus=_set("meno"), noon=_set("mezzogiorno"), midnight=_set("mezzanotte"),
            morning=("di mattina", "del mattino"), late=("di pomeriggio", "del pomeriggio", "di sera"),
        ),
        "nl": _ClockWords(
            _set("om uur en minuten"), half_before="half", quarter=_set("kwart"), past=_set("over"), to=_set("voor"),
            noon=_set("middag"), midnight=_set("middernacht"),
            morning=("'s ochtends", "'s morgens"), late=("'s middags", "'s avonds"),
        ),
        "pt": _ClockWords(
            _set("às à as são e em ponto horas hora h minutos"), half_after=_set("meia"), quarter=_set("quarto"),
            minus=_set("menos"), noon=_set("meio-dia"), midnight=_set("meia-noite"),
            morning=("da manhã", "da madrugada"), late=("da tarde", "da noite"),
        ),
    }
)  # fmt: skip


def time_said(text: str, language: str) -> time | None:
    """``halb drei``, ``las dos y media``, ``14 heures 30``, ``14:30``; 1 to 6 alone is afternoon."""
    words = _CLOCKS.get(language.partition("-")[0].lower(), _ClockWords(frozenset()))
    said = plain(text).strip(" .!?")
    late: bool | None = None
    for forms, later in ((words.morning, False), (words.late, True)):
        for form in forms:
            if said.endswith(f" {form}"):
                said, late = said.removesuffix(f" {form}"), later
    if said in words.noon or said in words.midnight:
        return time(12 if said in words.noon else 0)
    # "Cuarto" is a fourth as well, and would become one.
    said = " ".join("15" if word in words.quarter else word for word in said.split())
    said = numerals(said, language)
    if found := re.fullmatch(r"([0-9]{1,2})[:.]([0-9]{2})(?: ?(am|pm|h|uhr|uur))?", said.replace(" uhr", "uhr")):
        exact = len(found[1]) == 2 and found[1][0] == "0"
        half = {"am": False, "pm": True}.get(found[3] or "", late)
        return _at(int(found[1]), int(found[2]), half, exact)
    found_words = re.findall(r"[0-9]+|[^\W\d_]+(?:['-][^\W\d_]+)*'?", said)
    read = _read_clock(found_words, words)
    return None if read is None else _at(*read, late, False)


def _at(hour: int, minute: int, late: bool | None, exact: bool) -> time | None:
    return time_of_day(hour, minute, late if late is not None else None if exact else afternoon(hour))


def _read_clock(said: list[str], words: _ClockWords) -> tuple[int, int] | None:
    """Hour and minute."""
    numbers: list[int] = []
    way, half_before = 0, False
    for word in said:
        if word.isascii() and word.isdecimal():
            numbers.append(int(word))
        elif word == words.half_before and not numbers:
            half_before = True
        elif word in words.half_after:
            numbers.append(30)
        elif (word in words.past or word in words.to or word in words.minus) and len(numbers) == 1 and not way:
            way = 1 if word in words.past else 2 if word in words.to else 3
        elif word not in words.between:
            return None
    if not 1 <= len(numbers) <= 2 or (half_before and len(numbers) > 1) or (way and len(numbers) == 1):
        return None
    first, second = numbers[0], numbers[1] if len(numbers) == 2 else 0
    if half_before:
        return (first - 1) or 12, 30
    match way:
        case 1:
            return second, first
        case 2:
            return ((second - 1) or 12, 60 - first) if 0 < first < 60 else None
        case 3:
            return ((first - 1) or 12, 60 - second) if 0 < second < 60 else None
        case _:
            return first, second
