"""What the program says it understands: the words of ivr.flow.saying lead back to the value."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ivr.flow.saying import worded
from ivr.flow.saying.en import _MONEY
from ivr.understanding.values import meaning

TODAY = date(2026, 11, 27)
WHOLE = st.integers(0, 10**12)
NUMBERS = st.one_of(
    WHOLE.map(Decimal),
    st.decimals(-10_000, 10_000, places=3, allow_nan=False),
)
DATES = st.dates(date(1900, 1, 1), date(2099, 12, 31))
MINUTES = st.builds(time, st.integers(0, 23), st.integers(0, 59))
AMOUNTS = st.decimals(0, 1_000_000, places=2, allow_nan=False)
FULLY = ("en", "zh", "ko")


@given(number=NUMBERS, language=st.sampled_from(FULLY))
@settings(deadline=None, max_examples=100)
def test_numbers(number: Decimal, language: str) -> None:
    # num2words says no minus before a Korean nought.
    assume(language != "ko" or not -1 < number < 0)
    words = worded(number, "number", "", language)
    assert meaning(words, "number", language, TODAY) == number, words


@given(digits=st.text("0123456789", min_size=1, max_size=20), language=st.sampled_from(FULLY))
@settings(deadline=None, max_examples=100)
def test_digits(digits: str, language: str) -> None:
    assert meaning(worded(digits, "digits", "", language), "digits", language, TODAY) == digits


@given(digits=st.text("0123456789", min_size=2, max_size=12))
@settings(deadline=None, max_examples=50)
def test_telephone_numbers(digits: str) -> None:
    assert meaning(worded(digits, "phone", "", "zh"), "digits", "zh", TODAY) == digits
    assert meaning(worded(digits, "phone", "", "en"), "digits", "en", TODAY) == digits


@given(day=DATES, language=st.sampled_from(FULLY))
@settings(deadline=None, max_examples=100)
def test_dates(day: date, language: str) -> None:
    words = worded(day, "date", "", language)
    assert meaning(words, "date", language, TODAY) == day, words


@given(clock=MINUTES, language=st.sampled_from(FULLY))
@settings(deadline=None, max_examples=100)
def test_times(clock: time, language: str) -> None:
    words = worded(clock, "time", "", language)
    assert meaning(words, "time", language, TODAY) == clock, words


@given(amount=AMOUNTS, currency=st.sampled_from(sorted(_MONEY)))
@settings(deadline=None, max_examples=100)
def test_money_in_english(amount: Decimal, currency: str) -> None:
    # Fils alone may be those of a dinar or of a dirham.
    assume(currency not in ("BHD", "JOD", "KWD") or amount >= 1)
    words = worded(amount, "money", currency, "en")
    whole = currency in ("JPY", "KRW")
    understood = meaning(words, "money", "en", TODAY)
    assert isinstance(understood, Decimal), words
    assert abs(understood - amount) <= (Decimal("0.5") if whole else 0), words


@given(amount=AMOUNTS, currency=st.sampled_from(["CNY", "HKD", "USD", "EUR", "GBP"]))
@settings(deadline=None, max_examples=100)
def test_money_in_chinese(amount: Decimal, currency: str) -> None:
    words = worded(amount, "money", currency, "zh")
    assert meaning(words, "money", "zh", TODAY) == amount, words


@given(amount=AMOUNTS, currency=st.sampled_from(["KRW", "USD", "EUR"]))
@settings(deadline=None, max_examples=100)
def test_money_in_korean(amount: Decimal, currency: str) -> None:
    words = worded(amount, "money", currency, "ko")
    understood = meaning(words, "money", "ko", TODAY)
    assert isinstance(understood, Decimal), words
    assert abs(understood - amount) <= (Decimal("0.5") if currency == "KRW" else 0), words


@pytest.mark.parametrize("language", ["de", "es", "fr", "it", "nl", "pt"])
def test_other_languages(language: str) -> None:
    for number in (0, 7, 12, 21, 99, 100, 345, 1999, 12_345, 1_000_000):
        words = worded(Decimal(number), "number", "", language)
        assert meaning(words, "number", language, TODAY) == number, words
    for day in (date(2026, 3, 5), date(1984, 12, 31), date(2027, 8, 1)):
        words = worded(day, "date", "", language)
        assert meaning(words, "date", language, TODAY) == day, words
    for clock in (time(14, 30), time(9, 5), time(23, 59)):
        words = worded(clock, "time", "", language)
        assert meaning(words, "time", language, TODAY) == clock, words


@given(text=st.text(max_size=60), language=st.sampled_from(["en", "zh", "ko", "de", "fr", "ru", "xx", ""]))
@settings(deadline=None, max_examples=100)
def test_nothing_that_is_heard_breaks_it(text: str, language: str) -> None:
    for type in ("digits", "number", "money", "date", "time", "yes_no", "text"):
        meaning(text, type, language, TODAY)


WORDS = st.lists(
    st.sampled_from(
        [
            "one",
            "two",
            "twenty",
            "hundred",
            "thousand",
            "million",
            "and",
            "point",
            "minus",
            "half",
            "past",
            "quarter",
            "to",
            "oh",
            "double",
            "dollars",
            "cents",
            "the",
            "first",
            "of",
            "march",
            "next",
            "monday",
            "ago",
            "in",
            "weeks",
            "a",
            "p.m.",
            "12",
            "2026",
            "14:30",
            "3rd",
            "-",
            "/",
            "十",
            "百",
            "万",
            "零",
            "点",
            "半",
            "两",
            "元",
            "毛",
            "月",
            "日",
            "周",
            "天",
            "后",
            "下午",
            "差",
            "십",
            "만",
            "이",
            "시",
            "분",
            "전",
            "월",
            "일",
            "원",
            "다음",
            "주",
            "요일",
        ]
    ),
    max_size=8,
)


@given(words=WORDS, language=st.sampled_from(["en", "zh", "ko", "de", "fr"]))
@settings(deadline=None, max_examples=150)
def test_nothing_in_its_own_words_breaks_it(words: list[str], language: str) -> None:
    for type in ("digits", "number", "money", "date", "time", "yes_no"):
        meaning(" ".join(words), type, language, TODAY)
