"""Chinese (Mandarin): every format, in characters that a voice reads as people say them.

The year is written with 零: voices read the sign 〇 as the letter O.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from babel import Locale

from ivr.flow.saying import currencies, phone, plurals
from ivr.flow.saying.formats import Format
from ivr.flow.saying.values import amount, day, named, parts, text, time_of_day, whole
from ivr.flow.values import as_number

_DIGITS: Final = "零一二三四五六七八九"
_UNITS: Final = ("", "十", "百", "千")
_BY_DIGIT: Final = dict(zip("0123456789", _DIGITS, strict=True))
_SIGNS: Final = {
    "*": "星号",
    "#": "井号",
    "+": "加",
    "-": "横杠",
    "_": "下划线",
    "@": "艾特",
    ".": "点",
    ",": "逗号",
    ":": "冒号",
    "/": "斜杠",
    "&": "和",
    "%": "百分号",
    "$": "美元符号",
}
_ONE_BY_ONE: Final = {**_SIGNS, **_BY_DIGIT}
_ON_THE_PHONE: Final = {**_ONE_BY_ONE, "1": "幺"}
"""一 and 七 sound alike over the telephone, so 1 is said yāo there."""

_WITH_PARTS: Final = {
    "CNY": ("元", "角", "分"),
    "HKD": ("港元", "角", "分"),
    "TWD": ("新台币元", "角", "分"),
    "USD": ("美元", "", "美分"),
    "EUR": ("欧元", "", "欧分"),
}
"""The unit, its tenth and its hundredth; other currencies are said with a decimal point."""


def _below_ten_thousand(number: int) -> str:
    words = ""
    for place in (3, 2, 1, 0):
        digit = number // 10**place % 10
        if digit:
            words += _DIGITS[digit] + _UNITS[place]
        elif words and not words.endswith("零") and number % 10**place:
            words += "零"
    return words


def cardinal(number: int) -> str:
    """A whole number from 0 on, as it is counted: 二百, 一万零一十."""
    if number < 10_000:
        words = _below_ten_thousand(number) or "零"
    else:
        size, unit = (10**8, "亿") if number >= 10**8 else (10_000, "万")
        high, low = divmod(number, size)
        words = cardinal(high) + unit
        if low:
            words += ("零" if low < size // 10 else "") + (_full(low))
    return words.removeprefix("一") if words.startswith("一十") else words


def _full(number: int) -> str:
    """The same behind a larger part: 十 is 一十 there."""
    words = cardinal(number)
    return f"一{words}" if words.startswith("十") else words


def spoken(number: int) -> str:
    """The same as people say it: 两百, 两千, 两万, but 二十 and 一千二百."""
    words = cardinal(number)
    return f"两{words[1:]}" if words[:1] == "二" and words[1:2] in ("百", "千", "万", "亿") else words


def counted(number: int) -> str:
    """The same before what is counted: 两元."""
    return "两" if number == 2 else spoken(number)


def _number(value: object, argument: str = "") -> str:
    negative, whole_part, fraction = parts(as_number(value))
    words = spoken(whole_part)
    if fraction:
        words += "点" + "".join(_BY_DIGIT[digit] for digit in fraction)
    return f"负{words}" if negative else words


def _ordinal(value: object, argument: str = "") -> str:
    return f"第{cardinal(whole(value))}"


def _money(value: object, code: str) -> str:
    names = _WITH_PARTS.get(code)
    if names is None:
        number = currencies.rounded(value, code)
        words = counted(int(number)) if number == int(number) and number >= 0 else _number(number)
        return f"{words}{currencies.name(code, number, Locale('zh'))}"
    below, major, minor = amount(value, currencies.minor_digits(code))
    unit, tenth, hundredth = names
    tens, ones = divmod(minor, 10) if tenth else (0, minor)
    words = f"{counted(major)}{unit}" if major or not minor else ""
    if tens:
        words += f"{counted(tens)}{tenth}"
    elif major and ones and tenth:
        words += "零"
    if ones:
        words += f"{cardinal(ones) if words.endswith('零') else counted(ones)}{hundredth}"
    return f"负{words}" if below else words


def _date(value: object, argument: str = "") -> str:
    found = day(value)
    year = "".join(_BY_DIGIT[digit] for digit in str(found.year))
    return f"{year}年{cardinal(found.month)}月{cardinal(found.day)}日"


def _time(value: object, argument: str = "") -> str:
    found = time_of_day(value)
    hour = found.hour
    part = "凌晨" if hour < 6 else "上午" if hour < 12 else "中午" if hour == 12 else "下午" if hour < 18 else "晚上"
    words = f"{part}{counted(hour if hour <= 12 else hour - 12)}点"
    if found.minute:
        words += f"{'零' if found.minute < 10 else ''}{cardinal(found.minute)}分"
    return words


def _digits(value: object, argument: str = "") -> str:
    return " ".join(named(value, _ONE_BY_ONE))


def _phone(value: object, argument: str = "") -> str:
    country, *others = phone.groups(value) or [""]
    first = phone.named(country, _ONE_BY_ONE if country.startswith("+") else _ON_THE_PHONE)
    return "，".join([first, *(phone.named(group, _ON_THE_PHONE) for group in others)])


def _spell(value: object, argument: str = "") -> str:
    return "，".join(name.upper() for name in named(value, _ONE_BY_ONE))


def _plural(value: object, argument: str) -> str:
    return plurals.chosen(value, argument, "zh")


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
