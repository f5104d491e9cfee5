"""Chinese: what numbers, amounts, dates and times of day mean, in simplified and traditional characters."""

from __future__ import annotations

import re
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Final

from ivr.understanding.calendar_days import next_day_of_month, next_month_day, next_weekday, real_day
from ivr.understanding.clock import afternoon, time_of_day
from ivr.understanding.units import major_units
from ivr.understanding.words import plain

__all__ = ["day", "digits", "money", "number", "time_said"]

_DIGITS: Final = {
    **{character: str(value) for value, character in enumerate("零一二三四五六七八九")},
    "〇": "0",
    "两": "2",
    "幺": "1",
    "洞": "0",
    "拐": "7",
    "勾": "9",
    "○": "0",
    **{character: character for character in "0123456789"},
}
_KEYS: Final = {"星号": "*", "星": "*", "井号": "#", "井": "#", "加": "+", "*": "*", "#": "#", "+": "+"}
_UNITS: Final = {"十": 10, "百": 100, "千": 1000}
_LARGE: Final = {"万": 10**4, "亿": 10**8}
_SIMPLE: Final = str.maketrans(
    "兩點號週塊萬億後負個時鐘過還禮兆壹貳參肆伍陸柒捌玖拾佰仟圓",
    "两点号周块万亿后负个时钟过还礼兆一二三四五六七八九十百千元",
)
_BEFORE: Final = re.compile(
    r"^(?:嗯|呃|啊|那个|那|就是|是|我的|号码|电话|密码|我要|我想|想|要|大概|大约|好的|好|在|应该)+"
)
_AFTER: Final = re.compile(r"(?:吧|啊|呀|的|了|谢谢|左右|就好|就行|呢)+$")
_NUMERAL: Final = "0-9零一二三四五六七八九〇两十百千万亿○"
_DAYS: Final = {
    "今天": 0,
    "今日": 0,
    "今晚": 0,
    "明天": 1,
    "明日": 1,
    "明早": 1,
    "后天": 2,
    "大后天": 3,
    "昨天": -1,
    "昨日": -1,
    "前天": -2,
    "大前天": -3,
}
_WEEKDAYS: Final = {character: value for value, character in enumerate("一二三四五六日")} | {"天": 6}
_WEEKS: Final = {"": 0, "这": 0, "这个": 0, "本": 0, "下": 1, "下个": 1, "下一个": 1, "下下": 2, "下下个": 2}
_LATE: Final = {
    "凌晨": False, "清晨": False, "早上": False, "早晨": False, "上午": False, "中午": None,
    "下午": True, "傍晚": True, "晚上": True, "夜里": True, "夜晚": True, "午后": True,
}  # fmt: skip


def _wanted(text: str) -> str:
    said = re.sub(r"[\s，。、！？,!?；;]+", "", plain(text).translate(_SIMPLE)).rstrip(".")
    return _AFTER.sub("", _BEFORE.sub("", said))


def digits(text: str) -> str | None:
    """``幺三八零零`` is ``13800``; ``四百`` is ``400``; keys of a telephone may be among them."""
    said, found = _wanted(text).replace("-", ""), ""
    while said:
        if key := next((one for one in _KEYS if said.startswith(one)), None):
            found, said = found + _KEYS[key], said.removeprefix(key)
            continue
        run = re.match(rf"[{_NUMERAL}]+|[幺洞拐勾]", said)
        if run is None:
            return None
        if any(unit in run[0] for unit in "十百千万亿"):
            read = _cardinal(run[0])
            if read is None:
                return None
            found += str(read)
        else:
            found += "".join(_DIGITS[character] for character in run[0])
        said = said[run.end() :]
    return found or None


def number(text: str) -> Decimal | None:
    """``负两点五``, ``一千零五``, ``三千五`` (3500), ``一百二`` (120), ``12.5``."""
    said = _wanted(text)
    negative = said.startswith(("负", "-"))
    read = _amount(said[negative:].removesuffix("个"))
    return None if read is None else -read if negative else read


def _amount(said: str) -> Decimal | None:
    if said == "半":
        return Decimal("0.5")
    half = said.endswith("半") and len(said) > 1
    said = said[:-1].removesuffix("个") if half else said
    if found := re.fullmatch(r"([0-9]{1,15}\.[0-9]{1,9})([万亿]?)", said):
        return Decimal(found[1]) * _LARGE.get(found[2], 1)
    whole, point, fraction = said.partition("点")
    read = _cardinal(whole) if whole else None
    if read is None:
        return None
    if not point:
        return read + Decimal("0.5") if half else Decimal(read)
    places = "".join(_DIGITS.get(character, "?") for character in fraction)
    return Decimal(f"{read}.{places}") if places.isdecimal() and len(places) <= 9 and not half else None


def _cardinal(said: str) -> int | None:
    """A whole number as it is counted, or digit by digit."""
    if re.fullmatch("[0-9]{1,30}", said):
        return int(said)
    if not said or not re.fullmatch(f"[{_NUMERAL}]+", said):
        return None
    if not any(unit in said for unit in "十百千万亿"):
        return int("".join(_DIGITS[character] for character in said))
    for unit in ("亿", "万"):
        high, found, low = said.rpartition(unit) if unit == "亿" else said.partition(unit)
        if found:
            return _large(high, low, _LARGE[unit])
    return _below_ten_thousand(said)


def _large(high: str, low: str, size: int) -> int | None:
    counted = _cardinal(high) if high else None
    if counted is None:
        return None
    if not low:
        return counted * size
    # 一万二 is 12,000.
    rest = int(_DIGITS[low]) * size // 10 if low in _DIGITS and low not in "零〇" else _cardinal(low.lstrip("零〇"))
    return None if rest is None or rest >= size else counted * size + rest


def _below_ten_thousand(said: str) -> int | None:
    total, smallest, at = 0, 10_000, 0
    while at < len(said):
        if said[at] in "零〇":
            at += 1
            if at == len(said):
                return None
            smallest = min(smallest, 100)
            continue
        run = re.match("[0-9]+", said[at:])
        digit = int(run[0]) if run else int(_DIGITS[said[at]]) if said[at] in _DIGITS else None
        length = len(run[0]) if run else 1 if digit is not None else 0
        unit = _UNITS.get(said[at + length]) if at + length < len(said) else None
        if unit is None:
            if digit is None or at + length < len(said):
                return None
            # 一百二 is 120, 一百零二 is 102; 十二 is 12.
            return total + digit * (smallest // 10 if smallest in (100, 1000) and said[at - 1] not in "零〇" else 1)
        if unit >= smallest and total:
            return None
        total, smallest, at = total + (1 if digit is None else digit) * unit, unit, at + length + 1
    return total


_FEN: Final = {
    "角": Decimal("0.1"),
    "毛": Decimal("0.1"),
    "分": Decimal("0.01"),
    "美分": Decimal("0.01"),
    "欧分": Decimal("0.01"),
    "便士": Decimal("0.01"),
}


def money(text: str) -> Decimal | None:
    """``十二元五角``, ``两块五``, ``三毛``, ``一百块钱``, ``￥12.50``, ``12美元``. Which currency is not told."""
    said = re.sub(r"[$€£¥₩]", "", _wanted(text))
    negative = said.startswith(("负", "-"))
    said = said[negative:]
    units = sorted(
        {"".join(words) for words in major_units("zh")} | {"块钱", "块", "元", "圆", "元钱"}, key=len, reverse=True
    )
    parts = re.split(
        f"({'|'.join(map(re.escape, [*units, '美分', '欧分', '便士', '角', '毛', '分', '钱', '整']))})", said
    )
    values = [(amount, unit) for amount, unit in zip(parts[::2], [*parts[1::2], ""], strict=True) if amount or unit]
    total, last, smallest = Decimal(0), "", Decimal(10)
    for amount, unit in values:
        if unit in ("钱", "整") and not amount:
            continue
        size = _FEN.get(unit, Decimal(1))
        if not unit and last:
            # 两块五, 三毛五: a tenth of what came before.
            size = Decimal(1) / 10 if last not in _FEN else _FEN[last] / 10
            if last not in _FEN and not re.fullmatch(".", amount) and amount[0] not in "零〇":
                size = Decimal("0.01")
        stripped = amount.lstrip("零〇") if last and len(amount) > 1 else amount
        read = _amount(stripped)
        if read is None or size >= smallest:
            return None
        total, last, smallest = total + read * size, unit or "-", size
    if not values or smallest == 10:
        return None
    return -total if negative else total


def day(text: str, today: date) -> date | None:
    """``明天``, ``下周五``, ``三月五号``, ``二零二六年三月五日``, ``三天后``. Without a year, the next such day."""
    said = _wanted(text)
    if said in _DAYS:
        return today + timedelta(days=_DAYS[said])
    if found := re.fullmatch(r"(.*?)(?:周|星期|礼拜)([一二三四五六日天])", said):
        weeks = _WEEKS.get(found[1])
        return None if weeks is None else next_weekday(today, _WEEKDAYS[found[2]], weeks)
    if found := re.fullmatch(rf"([{_NUMERAL}]+)(天|个?星期|周)(?:以?(后|前))", said):
        count = _cardinal(found[1])
        size = (1 if found[2] == "天" else 7) * (1 if found[3] == "后" else -1)
        return None if count is None or count > 4000 else today + timedelta(days=count * size)
    if found := re.fullmatch(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})", said):
        return real_day(*map(int, found.groups()))
    year = r"(?:([0-9零一二三四五六七八九〇○]{2,4}|今|明|后|去)年)?"
    if found := re.fullmatch(rf"{year}([{_NUMERAL}]+)月份?([{_NUMERAL}]+)[日号]?", said):
        return _month_day(found[1], _cardinal(found[2]), _cardinal(found[3]), today)
    if found := re.fullmatch(rf"(?:这个月|本月)?([{_NUMERAL}]+)[日号]", said):
        of_month = _cardinal(found[1])
        return None if of_month is None else next_day_of_month(today, of_month)
    return None


def _month_day(year: str | None, month: int | None, of_month: int | None, today: date) -> date | None:
    if month is None or of_month is None:
        return None
    if year is None:
        return next_month_day(today, month, of_month)
    if year in "今明后去":
        return real_day(today.year + {"去": -1, "今": 0, "明": 1, "后": 2}[year], month, of_month)
    number = int("".join(_DIGITS[character] for character in year))
    return real_day(number + 2000 if number < 100 else number, month, of_month)


def time_said(text: str) -> time | None:
    """``下午两点半``, ``差五分三点``, ``三点一刻``, ``十四点三十分``, ``14:30``; 1 to 6 alone is afternoon."""
    said = _wanted(text).replace("钟", "").replace("整", "")
    part = next((one for one in _LATE if said.startswith(one)), None)
    if part is not None:
        said = said.removeprefix(part)
    if part == "中午" and not said:
        return time(12)
    if said in ("半夜", "午夜", "零点") and part is None:
        return time(0)
    if found := re.fullmatch("([0-9]{1,2})[:：]([0-9]{2})", said):
        exact = len(found[1]) == 2 and found[1][0] == "0"
        return _at(int(found[1]), int(found[2]), part, exact)
    before = re.fullmatch(rf"差([{_NUMERAL}]+|一刻)分?到?([{_NUMERAL}]+)[点时]", said)
    if before is not None:
        minutes = 15 if before[1] == "一刻" else _cardinal(before[1])
        hour = _cardinal(before[2])
        if minutes is None or hour is None or not 0 < minutes < 60:
            return None
        return _at((hour - 1) or 12, 60 - minutes, part, False)
    if found := re.fullmatch(rf"([{_NUMERAL}]+)[点时](?:过)?(半|一刻|三刻|[{_NUMERAL}]+)?分?", said):
        hour = _cardinal(found[1])
        shown = found[2] or ""
        minute = {"": 0, "半": 30, "一刻": 15, "三刻": 45}.get(shown)
        if minute is None:
            minute = _cardinal(shown.lstrip("零〇") or "零")
        return None if hour is None or minute is None else _at(hour, minute, part, False)
    return None


def _at(hour: int, minute: int, part: str | None, exact: bool) -> time | None:
    if part == "中午":
        return time_of_day(hour, minute, True if hour <= 3 else None)
    if part in ("晚上", "夜里") and hour == 12:
        return time_of_day(0, minute, None)
    late = _LATE[part] if part is not None else None if exact else afternoon(hour)
    return time_of_day(hour, minute, late)
