"""English: what numbers, amounts, dates and times of day mean, however they are said or written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Final

from ivr.understanding.calendar_days import next_day_of_month, next_month_day, next_weekday, real_day
from ivr.understanding.clock import afternoon, time_of_day
from ivr.understanding.units import major_units
from ivr.understanding.words import plain

__all__ = ["SMALL", "day", "digits", "money", "number", "time_said", "tokens"]

_ONES: Final = {
    word: value
    for value, words in enumerate(
        ("zero nought naught", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    )
    for word in words.split()
}
_TEENS: Final = {
    word: value
    for value, word in enumerate(
        ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"],
        10,
    )
}
_TENS: Final = {
    word: value * 10
    for value, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)
} | {"fourty": 40}
_SCALES: Final[dict[str, int]] = {
    word: 1000**power
    for power, word in enumerate(
        [
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
        ],
        1,
    )
}
SMALL: Final = {**_ONES, **_TEENS, **_TENS}
"""Numbers that are one word."""
_ZERO: Final = frozenset({"oh", "o", "zero", "nought", "naught"})
_TIMES: Final = {"double": 2, "triple": 3, "treble": 3}
_KEYS: Final = {"star": "*", "asterisk": "*", "hash": "#", "pound": "#", "plus": "+"}
_ORDINALS: Final = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10, "eleventh": 11, "twelfth": 12, "thirteenth": 13, "fourteenth": 14, "fifteenth": 15, "sixteenth": 16,
    "seventeenth": 17, "eighteenth": 18, "nineteenth": 19, "twentieth": 20, "thirtieth": 30,
}  # fmt: skip
_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
            "september sep sept", "october oct", "november nov", "december dec",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
_WEEKDAYS: Final = {
    name: number
    for number, name in enumerate(["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"])
}
_RELATIVE: Final = {
    "today": 0,
    "tonight": 0,
    "tomorrow": 1,
    "yesterday": -1,
    "day after tomorrow": 2,
    "day before yesterday": -2,
}
_BEFORE: Final = frozenset(
    [
        "um",
        "uh",
        "er",
        "erm",
        "hm",
        "hmm",
        "mm",
        "ah",
        "well",
        "so",
        "its",
        "it",
        "is",
        "my",
        "number",
        "the",
        "that",
        "would",
        "be",
        "i",
        "want",
        "think",
        "on",
        "at",
        "about",
        "around",
        "for",
        "make",
        "say",
        "ok",
        "okay",
        "yes",
        "please",
        "have",
        "thats",
        "this",
        "and",
    ]
)
_AFTER: Final = frozenset(
    ["please", "thanks", "thank", "you", "i", "think", "um", "uh", "er", "sharp", "exactly", "yes"]
)
_MINOR: Final = {
    "cent": 100, "cents": 100, "penny": 100, "pennies": 100, "pence": 100, "p": 100, "fen": 100, "centavo": 100,
    "centavos": 100, "centime": 100, "centimes": 100, "øre": 100, "öre": 100, "ore": 100, "paisa": 100, "paise": 100,
    "fils": 100, "grosz": 100, "groszy": 100, "kopeck": 100, "kopecks": 100, "halala": 100, "halalas": 100,
    "satang": 100, "kurush": 100, "baisa": 1000, "baisas": 1000, "jiao": 10,
}  # fmt: skip
"""What a unit of money is divided into; a dinar has 1000 fils, a dirham 100."""
_SLANG: Final = frozenset(
    {("bucks",), ("buck",), ("quid",), ("pounds", "sterling"), ("taiwan", "dollar"), ("taiwan", "dollars")}
)

_TOKEN: Final = re.compile(r"[0-9]+(?:st|nd|rd|th)\b|[0-9]+(?:[.:][0-9]+)*|[*#+%$€£¥₩]|[^\W\d_]+")
_THOUSANDS: Final = re.compile(r"\b[0-9]{1,3}(?:,[0-9]{3})+\b")
_MERIDIEM: Final = re.compile(r"\b([ap])\.?\s?m\b\.?")
_MINUS: Final = re.compile(r"(?<![\w.])[-−](?=[$€£¥₩]?[0-9])")
_ISO: Final = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
_SLASHED: Final = re.compile(r"([0-9]{1,2})[/.]([0-9]{1,2})[/.]([0-9]{4})")

Tokens = Sequence[str]


def tokens(text: str) -> list[str]:
    """Small letters, numerals and signs, one by one; ``o'clock`` is ``oclock``, ``p.m.`` is ``pm``."""
    text = plain(text).replace("'", "")
    text = _MINUS.sub(" minus ", _MERIDIEM.sub(r" \1m ", text))
    text = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), text)
    return _TOKEN.findall(text)


def _wanted(text: str) -> list[str]:
    """The tokens without what is said around an answer."""
    found = tokens(text)
    while found and found[0] in _BEFORE:
        found.pop(0)
    while found and found[-1] in _AFTER:
        found.pop()
    return found


def digits(text: str) -> str | None:
    """``double five oh forty-two`` is ``55042``; keys of a telephone and a plus sign may be among them."""
    said, found, at = _wanted(text), "", 0
    while at < len(said):
        word = said[at]
        if word in _TIMES and at + 1 < len(said) and (one := _digit(said[at + 1])) is not None:
            found, at = found + one * _TIMES[word], at + 2
        elif word in _ZERO:
            found, at = found + "0", at + 1
        elif word in _KEYS or word in "*#+":
            found, at = found + _KEYS.get(word, word), at + 1
        elif re.fullmatch(r"[0-9.:]+", word) and (at + 1 == len(said) or said[at + 1] not in {"hundred", *_SCALES}):
            found, at = found + re.sub(r"[.:]", "", word), at + 1
        else:
            read = _cardinal(said, at)
            if read is None:
                return None
            found, at = found + str(read[0]), read[1]
    return found or None


def _digit(word: str) -> str | None:
    if word in _ZERO:
        return "0"
    return word if re.fullmatch("[0-9]", word) else str(_ONES[word]) if word in _ONES else None


def number(text: str) -> Decimal | None:
    """``minus two point five``, ``a hundred and five``, ``nineteen eighty four``, ``two and a half``, ``1,234.5``."""
    said = _wanted(text)
    negative = bool(said) and said[0] in ("minus", "negative")
    read = _amount(said[negative:])
    return None if read is None else -read if negative else read


def _amount(said: Tokens) -> Decimal | None:
    if not said:
        return None
    if said in (["half"], ["a", "half"], ["one", "half"]):
        return Decimal("0.5")
    if len(said) == 1 and re.fullmatch(r"[0-9]{1,30}(\.[0-9]{1,9})?", said[0]):
        return Decimal(said[0])
    if len(said) == 2 and said[1] in _SCALES and re.fullmatch(r"[0-9]{1,6}\.[0-9]{1,6}", said[0]):
        return Decimal(said[0]) * _SCALES[said[1]]
    if said[0] == "point":
        return _fraction(0, said[1:])
    read = _cardinal(said, 0)
    if read is None:
        return None
    whole, at = read
    rest = list(said[at:])
    if not rest:
        return Decimal(whole)
    if rest[0] == "point":
        return _fraction(whole, rest[1:])
    if rest == ["and", "a", "half"]:
        return whole + Decimal("0.5")
    year = _two_halves(said)
    return None if year is None else Decimal(year[0] * 100 + year[1])


def _fraction(whole: int, said: Tokens) -> Decimal | None:
    shown = "".join(_digit(word) or "?" for word in said) if len(said) > 1 else digits(said[0]) if said else None
    return Decimal(f"{whole}.{shown}") if shown and shown.isdecimal() and len(shown) <= 9 else None


def _two_halves(said: Tokens) -> tuple[int, int] | None:
    """``nineteen eighty four``, ``twelve oh five``, ``twelve fifty``: what stands for hundreds, and the rest."""
    read = _below_hundred(said, 0)
    if read is None or read[1] >= len(said):
        return None
    first, at = read
    if said[at] in _ZERO and at + 2 == len(said) and (one := _digit(said[at + 1])) is not None:
        return first, int(one)
    rest = _below_hundred(said, at)
    return (first, rest[0]) if rest is not None and rest[1] == len(said) and rest[0] >= 10 else None


def _below_hundred(said: Tokens, at: int) -> tuple[int, int] | None:
    if at >= len(said):
        return None
    word = said[at]
    if word in _TENS:
        if at + 1 < len(said) and _ONES.get(said[at + 1], 0) >= 1:
            return _TENS[word] + _ONES[said[at + 1]], at + 2
        return _TENS[word], at + 1
    if word in SMALL:
        return SMALL[word], at + 1
    return (int(word), at + 1) if re.fullmatch("[0-9]{1,2}", word) else None


def _group(said: Tokens, at: int) -> tuple[int, int] | None:
    """What a scale counts: ``three hundred and five``, ``twelve hundred``, ``a``, ``512``."""
    if at < len(said) and re.fullmatch("[0-9]{3,30}", said[at]):
        return int(said[at]), at + 1
    following = said[at + 1] if at + 1 < len(said) else ""
    if at < len(said) and said[at] in ("a", "an") and following in {"hundred", *_SCALES}:
        read: tuple[int, int] | None = (1, at + 1)
    else:
        read = _below_hundred(said, at)
    if read is None or read[1] >= len(said) or said[read[1]] != "hundred":
        return read
    value, at = read[0] * 100, read[1] + 1
    rest = _below_hundred(said, at + 1 if at < len(said) and said[at] == "and" else at)
    return (value + rest[0], rest[1]) if rest is not None else (value, at)


def _cardinal(said: Tokens, at: int) -> tuple[int, int] | None:
    """A whole number from there on, and where it ends."""
    total, smallest, end = 0, 10**40, -1
    while (read := _group(said, at)) is not None:
        value, at = read
        scale = _SCALES.get(said[at]) if at < len(said) else None
        if scale is None or scale >= smallest:
            if end >= 0 and (value >= smallest or scale is not None):
                break
            return total + value, at
        total, smallest, end = total + value * scale, scale, at + 1
        at = end + 1 if end < len(said) and said[end] == "and" else end
    return (total, end) if end >= 0 else None


def money(text: str) -> Decimal | None:
    """``twelve dollars and fifty cents``, ``$12.50``, ``twelve fifty``, ``ninety pence``. The currency is not told."""
    said = _wanted(text)
    negative = bool(said) and said[0] in ("minus", "negative")
    said = said[negative:]
    parts: list[list[str]] = [[]]
    divisors: list[int] = []
    dinar = any(word.startswith("dinar") for word in said)
    at = 0
    while at < len(said):
        length = _unit_length(said, at)
        if length and not parts[-1] and not divisors and at == 0:
            at += length  # the sign before the amount
        elif length and not divisors and parts[-1]:
            divisors.append(1)
            parts.append([])
            at += length
        elif said[at] in _MINOR and parts[-1]:
            divisors.append(1000 if dinar and said[at] == "fils" else _MINOR[said[at]])
            parts.append([])
            at += 1
        elif said[at] == "and" and not parts[-1]:
            at += 1
        else:
            parts[-1].append(said[at])
            at += 1
    value = _money(parts, divisors)
    return None if value is None else -value if negative else value


def _unit_length(said: Tokens, at: int) -> int:
    """Of the unit of money that stands there."""
    if said[at] in "$€£¥₩":
        return 1
    units = major_units("en") | _SLANG
    return next((size for size in range(5, 0, -1) if tuple(said[at : at + size]) in units), 0)


def _money(parts: list[list[str]], divisors: list[int]) -> Decimal | None:
    if not divisors:
        halves = _two_halves(parts[0]) if parts[0] else None
        return Decimal(halves[0] * 100 + halves[1]) / 100 if halves and halves[1] < 100 else _amount(parts[0])
    if parts[-1] == ["a", "half"] and divisors == [1]:
        whole = _amount(parts[0])
        return None if whole is None else whole + Decimal("0.5")
    if parts[-1]:
        # Twelve pounds fifty.
        if len(divisors) > 1:
            return None
        divisors = [*divisors, 100]
    total = Decimal(0)
    for said, divisor in zip(parts, divisors, strict=False):
        value = _amount(said)
        if value is None or (divisor > 1 and len(divisors) > 1 and value >= divisor):
            return None
        total += value / divisor
    return total


def day(text: str, today: date, american: bool = True) -> date | None:
    """``tomorrow``, ``next Friday``, ``the third of March``, ``in two weeks``. Without a year, the next such day.

    ``american``: how ``03/05/2026`` is read.
    """
    if found := _ISO.fullmatch(plain(text).strip(" .")):
        return real_day(int(found[1]), int(found[2]), int(found[3]))
    if found := _SLASHED.fullmatch(plain(text).strip(" .")):
        first, second = int(found[1]), int(found[2])
        month, of_month = (first, second) if american else (second, first)
        return real_day(int(found[3]), month, of_month)
    said = [word for word in tokens(text) if word not in ("the", "of", "on")]
    while said and said[0] in _BEFORE - {"this"}:
        said.pop(0)
    while said and said[-1] in _AFTER:
        said.pop()
    joined = " ".join(said)
    if joined in _RELATIVE:
        return today + timedelta(days=_RELATIVE[joined])
    return _weekday(said, today) or _distance(said, today) or _month_day(said, today)


def _weekday(said: list[str], today: date) -> date | None:
    weeks = 0
    if said[-2:] == ["next", "week"]:
        said, weeks = said[:-2], 1
    if said[:1] in (["next"], ["coming"]):
        said, weeks = said[1:], 1
    elif said[:1] == ["this"]:
        said = said[1:]
    if not said or said[0] not in _WEEKDAYS:
        return None
    if len(said) > 1:
        # Monday the third of March: the date says it all.
        return _month_day(said[1:], today)
    return next_weekday(today, _WEEKDAYS[said[0]], weeks)


def _distance(said: list[str], today: date) -> date | None:
    ago = said[-1:] == ["ago"]
    ahead = said[:1] == ["in"] or said[-2:] in (["from", "now"], ["from", "today"])
    if not ago and not ahead:
        return None
    said = said[1:] if said[:1] == ["in"] else said[:-1] if ago else said[:-2]
    count = 1 if said[:1] == ["a"] and len(said) == 2 else _amount(said[:-1])
    days = {"day": 1, "days": 1, "week": 7, "weeks": 7, "fortnight": 14}.get(said[-1] if said else "")
    if count is None or days is None or count != int(count) or count > 4000:
        return None
    return today + timedelta(days=int(count) * days * (-1 if ago else 1))


def _month_day(said: list[str], today: date) -> date | None:
    at = next((place for place, word in enumerate(said) if word in _MONTHS), None)
    if at is None:
        of_month = _ordinal(said)
        return None if of_month is None else next_day_of_month(today, of_month)
    month, before, after = _MONTHS[said[at]], said[:at], said[at + 1 :]
    if before:
        of_month, year = _ordinal(before), after
    else:
        # March third, nineteen eighty four: the day takes what makes a day.
        length = next((size for size in (2, 1) if _ordinal(after[:size]) is not None and len(after) >= size), 0)
        of_month, year = _ordinal(after[:length]), after[length:]
    if of_month is None:
        return None
    if not year:
        return next_month_day(today, month, of_month)
    number = _year(year)
    return None if number is None else real_day(number, month, of_month)


def _ordinal(said: Tokens) -> int | None:
    """A day of a month: ``twenty first``, ``3rd``, ``three``."""
    if not said:
        return None
    last = said[-1]
    if len(said) == 1:
        if last in _ORDINALS:
            return _ORDINALS[last]
        if found := re.fullmatch(r"([0-9]{1,2})(?:st|nd|rd|th)?", last):
            return int(found[1])
    if len(said) == 2 and said[0] in _TENS and _ORDINALS.get(last, 10) < 10:
        return _TENS[said[0]] + _ORDINALS[last]
    read = _below_hundred(said, 0)
    return read[0] if read is not None and read[1] == len(said) and read[0] <= 31 else None


def _year(said: list[str]) -> int | None:
    halves = _two_halves(said)
    if halves is not None and halves[0] >= 10:
        return halves[0] * 100 + halves[1]
    read = _cardinal(said, 0)
    return read[0] if read is not None and read[1] == len(said) and 100 <= read[0] <= 9999 else None


def time_said(text: str) -> time | None:
    """``half past two``, ``two thirty p.m.``, ``14:30``, ``noon``. Without a part of the day, 1 to 6 is afternoon."""
    said = [word for word in _wanted(text) if word not in ("oclock", "hours", "the")]
    late: bool | None = None
    for words, later in _PARTS_OF_DAY:
        if tuple(said[-len(words) :]) == words and len(said) > len(words):
            said, late = said[: -len(words)], later
            break
    if said in (["noon"], ["midday"], ["twelve", "noon"], ["12", "noon"]):
        return time(12)
    if said in (["midnight"], ["twelve", "midnight"], ["12", "midnight"]):
        return time(0)
    read = _past(said) or _clock(said)
    if read is None:
        return None
    hour, minute, exact = read
    return time_of_day(hour, minute, late if late is not None else None if exact else afternoon(hour))


_PARTS_OF_DAY: Final = (
    (("in", "the", "morning"), False), (("in", "morning"), False), (("this", "morning"), False), (("am",), False),
    (("in", "the", "afternoon"), True), (("in", "afternoon"), True), (("this", "afternoon"), True), (("pm",), True),
    (("in", "the", "evening"), True), (("in", "evening"), True), (("this", "evening"), True), (("tonight",), True),
    (("at", "night"), True),
)  # fmt: skip


def _past(said: list[str]) -> tuple[int, int, bool] | None:
    """``half past two``, ``quarter to three``, ``ten minutes past five``, ``half two``."""
    said = [word for word in said if word not in ("a", "minutes", "minute")]
    if len(said) == 2 and said[0] == "half" and (hour := _below_hundred(said, 1)) and hour[0] <= 12:
        return hour[0], 30, False
    at = next((place for place, word in enumerate(said) if word in ("past", "after", "to", "before", "till")), None)
    if at is None or at == 0:
        return None
    minutes = {"half": 30, "quarter": 15}.get(said[0]) if at == 1 else None
    if minutes is None:
        read = _below_hundred(said[:at], 0)
        minutes = read[0] if read is not None and read[1] == at else None
    hour = _below_hundred(said, at + 1)
    if said[at + 1 :] in (["midnight"], ["noon"]):
        hour = (0 if said[-1] == "midnight" else 12), len(said)
    if minutes is None or minutes >= 60 or hour is None or hour[1] != len(said) or hour[0] > 24:
        return None
    if said[at] in ("past", "after"):
        return hour[0], minutes, said[-1] in ("midnight", "noon")
    # Before one o'clock it is still twelve.
    return (hour[0] - 1) or 12, 60 - minutes, False


def _clock(said: list[str]) -> tuple[int, int, bool] | None:
    """``two``, ``two thirty``, ``eight oh five``, ``fourteen hundred``, ``14:30``, ``1430``."""
    if len(said) == 1 and (found := re.fullmatch(r"([0-9]{1,2})[:.]([0-9]{2})(?:[:.][0-9]{2})?", said[0])):
        return int(found[1]), int(found[2]), len(found[1]) == 2 and found[1][0] == "0"
    if len(said) == 1 and (found := re.fullmatch(r"([0-9]{1,2})([0-9]{2})", said[0])):
        return int(found[1]), int(found[2]), len(said[0]) == 4
    if said[-1:] == ["hundred"] and (read := _below_hundred(said, 0)) and read[1] == len(said) - 1:
        return read[0], 0, True
    exact = bool(said) and said[0] in _ZERO
    if exact and len(said) > 1 and (read := _below_hundred(said, 1)):
        rest = said[read[1] :]
        minute = _below_hundred(rest, 0) if rest not in ([], ["hundred"]) else (0, len(rest))
        return (read[0], minute[0], True) if minute is not None and minute[1] == len(rest) else None
    halves = _two_halves(said)
    if halves is not None:
        return (*halves, False)
    read = _below_hundred(said, 0)
    return (read[0], 0, False) if read is not None and read[1] == len(said) else None
