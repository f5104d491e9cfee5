"""English: every format, in words that a voice cannot read wrongly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from babel import Locale

from ivr.flow.saying import currencies, phone, plurals
from ivr.flow.saying.formats import Format
from ivr.flow.saying.values import amount, day, named, parts, text, time_of_day, whole
from ivr.flow.values import as_number

_SMALL: Final = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS: Final = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES: Final = [
    "",
    "thousand",
    "million",
    "billion",
    "trillion",
    "quadrillion",
    "quintillion",
    "sextillion",
    "septillion",
    "octillion",
    "nonillion",
]
_ORDINALS: Final = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_MONTHS: Final = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_SIGNS: Final = {
    "*": "star",
    "#": "hash",
    "+": "plus",
    "-": "dash",
    "_": "underscore",
    "@": "at",
    ".": "dot",
    ",": "comma",
    ":": "colon",
    "/": "slash",
    "&": "and",
    "%": "percent",
    "$": "dollar",
}
_MONEY: Final = {
    "AED": ("dirham", "dirhams", "fils", "fils"),
    "AUD": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "BHD": ("Bahraini dinar", "Bahraini dinars", "fils", "fils"),
    "BRL": ("real", "reals", "centavo", "centavos"),
    "CAD": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "CHF": ("Swiss franc", "Swiss francs", "centime", "centimes"),
    "CNY": ("yuan", "yuan", "fen", "fen"),
    "DKK": ("Danish krone", "Danish kroner", "øre", "øre"),
    "EUR": ("euro", "euros", "cent", "cents"),
    "GBP": ("pound", "pounds", "penny", "pence"),
    "HKD": ("Hong Kong dollar", "Hong Kong dollars", "cent", "cents"),
    "INR": ("rupee", "rupees", "paisa", "paise"),
    "JOD": ("Jordanian dinar", "Jordanian dinars", "fils", "fils"),
    "JPY": ("yen", "yen", "", ""),
    "KRW": ("won", "won", "", ""),
    "KWD": ("Kuwaiti dinar", "Kuwaiti dinars", "fils", "fils"),
    "MXN": ("Mexican peso", "Mexican pesos", "centavo", "centavos"),
    "NOK": ("Norwegian krone", "Norwegian kroner", "øre", "øre"),
    "NZD": ("New Zealand dollar", "New Zealand dollars", "cent", "cents"),
    "OMR": ("Omani rial", "Omani rials", "baisa", "baisas"),
    "PLN": ("zloty", "zlotys", "grosz", "groszy"),
    "RUB": ("rouble", "roubles", "kopeck", "kopecks"),
    "SAR": ("riyal", "riyals", "halala", "halalas"),
    "SEK": ("Swedish krona", "Swedish kronor", "öre", "öre"),
    "SGD": ("Singapore dollar", "Singapore dollars", "cent", "cents"),
    "THB": ("baht", "baht", "satang", "satang"),
    "TRY": ("lira", "liras", "kurush", "kurush"),
    "TWD": ("Taiwan dollar", "Taiwan dollars", "cent", "cents"),
    "USD": ("dollar", "dollars", "cent", "cents"),
    "ZAR": ("rand", "rand", "cent", "cents"),
}
"""One and several of the unit, one and several of its part; the others go by the name Unicode has for them."""


def _below_thousand(number: int) -> str:
    words = []
    hundreds, rest = divmod(number, 100)
    if hundreds:
        words.append(f"{_SMALL[hundreds]} hundred")
    if rest >= 20:
        tens, ones = divmod(rest, 10)
        words.append(_TENS[tens - 2] + (f"-{_SMALL[ones]}" if ones else ""))
    elif rest:
        words.append(_SMALL[rest])
    return " ".join(words)


def cardinal(number: int) -> str:
    """A whole number from 0 to 10^33, without 'and'."""
    if number == 0:
        return _SMALL[0]
    words: list[str] = []
    for scale in _SCALES:
        number, part = divmod(number, 1000)
        if part:
            words.insert(0, f"{_below_thousand(part)} {scale}".rstrip())
    return " ".join(words)


def _number(value: object, argument: str = "") -> str:
    negative, whole_part, fraction = parts(as_number(value))
    words = cardinal(whole_part)
    if fraction:
        words += " point " + " ".join(_SMALL[int(digit)] for digit in fraction)
    return f"minus {words}" if negative else words


def ordinal(number: int) -> str:
    words = cardinal(number)
    last = words.replace("-", " ").rpartition(" ")[2]
    before = words[: len(words) - len(last)]
    if last in _ORDINALS:
        return before + _ORDINALS[last]
    return before + (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")


def _ordinal(value: object, argument: str = "") -> str:
    return ordinal(whole(value))


def _money(value: object, code: str) -> str:
    names = _MONEY.get(code)
    if names is None:
        number = currencies.rounded(value, code)
        return f"{_number(number)} {currencies.name(code, number, Locale('en'))}"
    below, major, minor = amount(value, currencies.minor_digits(code))
    words = []
    if major or not minor:
        words.append(f"{cardinal(major)} {names[0] if major == 1 else names[1]}")
    if minor:
        words.append(f"{cardinal(minor)} {names[2] if minor == 1 else names[3]}")
    return ("minus " if below else "") + " and ".join(words)


def year(number: int) -> str:
    """``nineteen oh five``, ``two thousand six``, ``twenty twenty-six``."""
    century, rest = divmod(number, 100)
    if century < 10 or (century % 10 == 0 and rest < 10):
        return cardinal(number)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def _date(value: object, argument: str = "") -> str:
    found = day(value)
    return f"the {ordinal(found.day)} of {_MONTHS[found.month - 1]} {year(found.year)}"


def _time(value: object, argument: str = "") -> str:
    found = time_of_day(value)
    if found.minute == 0 and found.hour in (0, 12):
        return "noon" if found.hour else "midnight"
    minutes = f" {'oh ' if found.minute < 10 else ''}{cardinal(found.minute)}" if found.minute else ""
    return f"{cardinal(found.hour % 12 or 12)}{minutes} {'p.m.' if found.hour >= 12 else 'a.m.'}"


def _digits(value: object, argument: str = "") -> str:
    return " ".join(named(value, _SIGNS))


def _phone(value: object, argument: str = "") -> str:
    return phone.spoken(value, _SIGNS)


def _spell(value: object, argument: str = "") -> str:
    # Commas, because a voice reads a lone "a" among words as the article.
    return ", ".join(name if len(name) > 1 else name.upper() for name in named(value, _SIGNS))


def _plural(value: object, argument: str) -> str:
    return plurals.chosen(value, argument, "en")


FORMATS: Final[Mapping[str, Format]] = {
    "text": text,
    "digits": _digits,
    "number": _number,
    "ordinal": _ordinal,
    "money": _money,
    "date": _date,
    "time": _time,
    "phone": _phone,
    "spell": _spell,
    "plural": _plural,
}
