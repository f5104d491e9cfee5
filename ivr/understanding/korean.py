"""Korean: what numbers, amounts, dates and times of day mean, in Sino-Korean and in native numbers."""

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
    **{character: str(value) for value, character in enumerate("영일이삼사오육칠팔구")},
    "공": "0",
    "령": "0",
    "륙": "6",
    "하나": "1",
    "둘": "2",
    "셋": "3",
    "넷": "4",
    **{character: character for character in "0123456789"},
}
_KEYS: Final = {
    "별표": "*",
    "별": "*",
    "우물정자": "#",
    "우물정": "#",
    "샵": "#",
    "플러스": "+",
    "*": "*",
    "#": "#",
    "+": "+",
}
_UNITS: Final = {"십": 10, "백": 100, "천": 1000}
_LARGE: Final = (("경", 10**16), ("조", 10**12), ("억", 10**8), ("만", 10**4))
_SINO: Final = "0-9영공령일이삼사오육륙칠팔구십백천만억조경"
_NATIVE_ONES: Final = {
    "하나": 1, "한": 1, "둘": 2, "두": 2, "셋": 3, "세": 3, "석": 3, "넷": 4, "네": 4, "넉": 4, "다섯": 5, "여섯": 6,
    "일곱": 7, "여덟": 8, "여덜": 8, "아홉": 9,
}  # fmt: skip
_NATIVE_TENS: Final = {
    "열": 10, "스물": 20, "스무": 20, "서른": 30, "마흔": 40, "쉰": 50, "예순": 60, "일흔": 70, "여든": 80, "아흔": 90,
}  # fmt: skip
_NATIVE: Final = re.compile(f"({'|'.join(_NATIVE_TENS)})?({'|'.join(_NATIVE_ONES)})?")
_DAYS: Final = {
    "오늘": 0,
    "금일": 0,
    "내일": 1,
    "명일": 1,
    "모레": 2,
    "내일모레": 2,
    "글피": 3,
    "어제": -1,
    "그저께": -2,
    "그제": -2,
    "엊그제": -2,
}
_WEEKDAYS: Final = {character: value for value, character in enumerate("월화수목금토일")}
_WEEKS: Final = {"": 0, "이번주": 0, "금주": 0, "다음주": 1, "다음": 1, "내주": 1, "다다음주": 2}
_MONTHS: Final = {"유": 6, "시": 10}
"""June and October are said without the end of their numbers."""
_HALVES: Final = {
    "오전": False, "아침": False, "새벽": False, "am": False, "a.m.": False,
    "오후": True, "저녁": True, "밤": True, "pm": True, "p.m.": True, "낮": None,
}  # fmt: skip
_BEFORE: Final = re.compile(r"^(?:음|어|저기|저는|저|그러니까|제번호는|번호는|비밀번호는|약)(?=.)")
_AFTER: Final = re.compile(
    r"(?:이요|입니다|이에요|예요|에요|이고요|로요|으로요|요|에|으로|로해주세요|로부탁합니다|부탁합니다|부탁해요|정도)$"
)


def _wanted(text: str) -> str:
    said = re.sub(r"[\s，。、,!?]+", "", plain(text)).rstrip(".")
    return _AFTER.sub("", _BEFORE.sub("", said))


def digits(text: str) -> str | None:
    """``공일공`` is ``010``; ``하나 둘 셋`` is ``123``; ``다시`` (dash) between groups is left out."""
    said = _wanted(text).replace("-", "").replace("다시", "").replace("에", "")
    found = ""
    while said:
        if key := next((one for one in _KEYS if said.startswith(one)), None):
            found, said = found + _KEYS[key], said.removeprefix(key)
        elif (run := re.match(f"[{_SINO}]+", said)) is not None:
            if re.search("[십백천만억조경]", run[0]):
                read = _sino(run[0])
                if read is None:
                    return None
                found += str(read)
            else:
                found += "".join(_DIGITS[character] for character in run[0])
            said = said[run.end() :]
        else:
            # 넷 다섯 여섯: one by one, as 셋 넷 would be 3 and 4 in any case.
            one = next((word for word in _NATIVE_ONES if said.startswith(word)), None)
            if one is None:
                return None
            found, said = found + str(_NATIVE_ONES[one]), said.removeprefix(one)
    return found or None


def number(text: str) -> Decimal | None:
    """``마이너스 이점오``, ``만 이천삼백``, ``스물하나``, ``12.5``."""
    said = _wanted(text)
    minus = re.match("마이너스|영하|-", said)
    read = _amount(said[minus.end() :] if minus else re.sub("(?:개|번|명)$", "", said))
    return None if read is None else -read if minus else read


def _amount(said: str) -> Decimal | None:
    if said in ("반", "절반"):
        return Decimal("0.5")
    if found := re.fullmatch(r"([0-9]{1,15}\.[0-9]{1,9})(만|억|조)?", said):
        return Decimal(found[1]) * (dict(_LARGE)[found[2]] if found[2] else 1)
    whole, point, fraction = said.partition("점")
    read = _cardinal(whole)
    if read is None or not point:
        return None if read is None else Decimal(read)
    places = "".join(_DIGITS.get(character, "?") for character in fraction)
    return Decimal(f"{read}.{places}") if places.isdecimal() and len(places) <= 9 else None


def _cardinal(said: str) -> int | None:
    sino = _sino(said)
    return _native(said) if sino is None else sino


def _native(said: str) -> int | None:
    found = _NATIVE.fullmatch(said)
    if not said or found is None:
        return None
    return _NATIVE_TENS.get(found[1] or "", 0) + _NATIVE_ONES.get(found[2] or "", 0)


def _sino(said: str) -> int | None:
    """A whole number as it is counted, or digit by digit."""
    if not said or not re.fullmatch(f"[{_SINO}]+", said):
        return None
    if not re.search("[십백천만억조경]", said):
        return int("".join(_DIGITS[character] for character in said)) if len(said) <= 30 else None
    total, rest = 0, said
    for name, size in _LARGE:
        high, found, low = rest.partition(name)
        if found:
            counted = _below_ten_thousand(high) if high else 1
            if counted is None or not counted:
                return None
            total, rest = total + counted * size, low
    low_value = _below_ten_thousand(rest) if rest else 0
    return None if low_value is None else total + low_value


def _below_ten_thousand(said: str) -> int | None:
    if re.fullmatch("[0-9]{1,4}", said):
        return int(said)
    total, smallest, at = 0, 10_000, 0
    while at < len(said):
        run = re.match("[0-9]+", said[at:])
        digit = int(run[0]) if run else int(_DIGITS[said[at]]) if said[at] in _DIGITS else None
        at += len(run[0]) if run else 0 if digit is None else 1
        unit = _UNITS.get(said[at]) if at < len(said) else None
        if unit is None:
            return total + digit if digit is not None and at == len(said) and digit < smallest else None
        if unit >= smallest:
            return None
        total, smallest, at = total + (1 if digit is None else digit) * unit, unit, at + 1
    return total


def money(text: str) -> Decimal | None:
    """``만 이천 원``, ``12,000원``, ``십이 달러 오십 센트``, ``₩12000``. Which currency is not told."""
    said = re.sub(r"[$€£¥₩]", "", _wanted(text))
    minus = re.match("마이너스|-", said)
    said = said[minus.end() :] if minus else said
    units = sorted({"".join(words) for words in major_units("ko")} | {"불"}, key=len, reverse=True)
    found = re.fullmatch(rf"(.+?)(?:{'|'.join(map(re.escape, units))})(?:(.+)(?:센트|전|펜스|펀|페니))?", said)
    cents = re.fullmatch("(.+)(?:센트|펜스|페니)", said)
    if found is not None:
        whole, part = _amount(found[1]), _amount(found[2]) if found[2] else Decimal(0)
    elif cents is not None:
        whole, part = Decimal(0), _amount(cents[1])
    else:
        whole, part = _amount(said), Decimal(0)
    if whole is None or part is None or not 0 <= part < 100:
        return None
    value = whole + part / 100
    return -value if minus else value


def day(text: str, today: date) -> date | None:
    """``내일``, ``다음 주 금요일``, ``삼월 오일``, ``2026년 3월 5일``, ``사흘 후``. Without a year, the next one."""
    said = _wanted(text).removesuffix("날") if text.strip().endswith("날") else _wanted(text)
    if said in _DAYS:
        return today + timedelta(days=_DAYS[said])
    if found := re.fullmatch("(.*?)([월화수목금토일])요일", said):
        if found[1] in _WEEKS:
            return next_weekday(today, _WEEKDAYS[found[2]], _WEEKS[found[1]])
        said = found[1]
    if found := re.fullmatch(
        rf"(하루|이틀|사흘|나흘|일주일|[{_SINO}]+일|[{_SINO}]+주일?|[한두세네]주)(뒤|후|전)", said
    ):
        count = _span(found[1])
        return None if count is None else today + timedelta(days=count * (-1 if found[2] == "전" else 1))
    if found := re.fullmatch(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})", said):
        return real_day(*map(int, found.groups()))
    if found := re.fullmatch(rf"(?:([{_SINO}]+|올해|내년|작년)년?)?([{_SINO}]+|유|시)월([{_SINO}]+)일", said):
        return _month_day(found[1], found[2], _sino(found[3]), today)
    if found := re.fullmatch(rf"(?:이번달)?([{_SINO}]+)일", said):
        of_month = _sino(found[1])
        return None if of_month is None else next_day_of_month(today, of_month)
    return None


def _span(said: str) -> int | None:
    known = {"하루": 1, "이틀": 2, "사흘": 3, "나흘": 4, "일주일": 7, "한주": 7, "두주": 14, "세주": 21, "네주": 28}
    if said in known:
        return known[said]
    weeks = "주" in said
    count = _sino(re.sub("주일?$|일$", "", said))
    return None if count is None or count > 4000 else count * (7 if weeks else 1)


def _month_day(year: str | None, month_said: str, of_month: int | None, today: date) -> date | None:
    month = _MONTHS.get(month_said) or _sino(month_said)
    if month is None or of_month is None:
        return None
    if year is None:
        return next_month_day(today, month, of_month)
    relative = {"작년": -1, "올해": 0, "내년": 1}
    number = today.year + relative[year] if year in relative else _sino(year)
    return None if number is None else real_day(number + 2000 if number < 100 else number, month, of_month)


def time_said(text: str) -> time | None:
    """``오후 두 시 반``, ``세 시 십오 분``, ``세 시 오 분 전``, ``PM 2:30``, ``정오``; 1 to 6 alone is afternoon."""
    said = _wanted(text)
    if said in ("정오", "낮열두시"):
        return time(12)
    if said in ("자정", "밤열두시"):
        return time(0)
    half = next((one for one in _HALVES if said.startswith(one)), None)
    if half is not None:
        said = said.removeprefix(half)
    if found := re.fullmatch("([0-9]{1,2}):([0-9]{2})", said):
        exact = len(found[1]) == 2 and found[1][0] == "0"
        return _at(int(found[1]), int(found[2]), half, exact)
    found = re.fullmatch(rf"(.+?)시(?:정각)?(?:(반)|([{_SINO}]+)분)?(전)?", said)
    if found is None:
        return None
    hour = _native(found[1]) or _sino(found[1])
    minute = 30 if found[2] else _sino(found[3]) if found[3] else 0
    if hour is None or minute is None or (found[4] and not 0 < minute < 60):
        return None
    if found[4]:
        hour, minute = (hour - 1) or 12, 60 - minute
    return _at(hour, minute, half, False)


def _at(hour: int, minute: int, half: str | None, exact: bool) -> time | None:
    late = _HALVES[half] if half is not None and half != "낮" else None if exact else afternoon(hour)
    return time_of_day(hour, minute, late)
