"""How people say things, and what is understood."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal

import pytest

from ivr.hearing import Phrase, SpokenType
from ivr.understanding.phrases import matches, normalised
from ivr.understanding.values import LONGEST, Value, meaning
from ivr.understanding.yes_no import YES_NO, spoken_yes_no

TODAY = date(2026, 11, 27)
"""A Friday."""


def D(text: str) -> Decimal:
    return Decimal(text)


SAID: dict[tuple[str, SpokenType], dict[str, Value | None]] = {
    ("en", "digits"): {
        "double five oh forty-two": "55042",
        "4, 2, 7, 1.": "4271",
        "427-1": "4271",
        "nineteen eighty four": "1984",
        "my number is five five five one two": "55512",
        "four hundred": "400",
        "triple seven": "777",
        "star one hash": "*1#",
        "hello": None,
        "four or five": None,
    },
    ("en", "number"): {
        "minus two point five": D("-2.5"),
        "a hundred and five": D("105"),
        "nineteen eighty four": D("1984"),
        "two and a half": D("2.5"),
        "1,234.5": D("1234.5"),
        "twelve hundred": D("1200"),
        "one million two hundred thousand and five": D("1200005"),
        "2.5 million": D("2500000"),
        "um, forty-two please": D("42"),
        "sales": None,
        "": None,
    },
    ("en", "money"): {
        "twelve dollars and fifty cents": D("12.5"),
        "$12.50": D("12.5"),
        "twelve fifty": D("12.5"),
        "twelve pounds fifty": D("12.5"),
        "ninety pence": D("0.9"),
        "five bucks": D("5"),
        "two and a half dollars": D("2.5"),
        "a hundred and twenty": D("120"),
        "dollars": None,
    },
    ("en", "date"): {
        "tomorrow": date(2026, 11, 28),
        "the day after tomorrow please": date(2026, 11, 29),
        "friday": date(2026, 12, 4),
        "next friday": date(2026, 12, 4),
        "monday next week": date(2026, 11, 30),
        "the third of march": date(2027, 3, 3),
        "March 3rd, 2026": date(2026, 3, 3),
        "march third nineteen eighty four": date(1984, 3, 3),
        "the third": date(2026, 12, 3),
        "in two weeks": date(2026, 12, 11),
        "three days ago": date(2026, 11, 24),
        "the 29th of february": date(2028, 2, 29),
        "03/05/2026": date(2026, 3, 5),
        "february thirtieth": None,
        "two thirty": None,
    },
    ("en-gb", "date"): {"03/05/2026": date(2026, 5, 3)},
    ("en", "time"): {
        "half past two": time(14, 30),
        "at half past nine in the morning": time(9, 30),
        "two thirty p.m.": time(14, 30),
        "quarter to one": time(12, 45),
        "ten past five": time(17, 10),
        "eight oh five a.m.": time(8, 5),
        "fourteen hundred": time(14),
        "zero nine thirty": time(9, 30),
        "2 o'clock": time(14),
        "seven in the evening": time(19),
        "12:15 am": time(0, 15),
        "noon": time(12),
        "twenty five": None,
    },
    ("en", "yes_no"): {
        "Yes.": True,
        "yes it is": True,
        "No, that's wrong": False,
        "no thank you": False,
        "yes no": None,
        "I said no": None,
        "nothing": None,
    },
    ("zh", "digits"): {"幺三八零零": "13800", "一 二 三 四": "1234", "四百": "400", "星号一": "*1", "你好": None},
    ("zh", "number"): {
        "负两点五": D("-2.5"),
        "一千零五": D("1005"),
        "三千五": D("3500"),
        "一百二": D("120"),
        "一万二": D("12000"),
        "一亿零三百万": D("103000000"),
        "3万": D("30000"),
        "兩萬三千": D("23000"),
    },
    ("zh", "money"): {
        "十二元五角": D("12.5"),
        "两块五": D("2.5"),
        "三块二毛五": D("3.25"),
        "三块二十五": D("3.25"),
        "三块零五分": D("3.05"),
        "一百块钱": D("100"),
        "十二美元五十美分": D("12.5"),
        "￥12.50": D("12.5"),
    },
    ("zh", "date"): {
        "明天": date(2026, 11, 28),
        "下周五": date(2026, 12, 4),
        "星期天": date(2026, 11, 29),
        "三月五号": date(2027, 3, 5),
        "二零二六年三月五日": date(2026, 3, 5),
        "三天后": date(2026, 11, 30),
        "二月三十号": None,
    },
    ("zh", "time"): {
        "下午两点半": time(14, 30),
        "差五分三点": time(14, 55),
        "三点一刻": time(15, 15),
        "十四点三十分": time(14, 30),
        "晚上八点": time(20),
        "中午一点": time(13),
        "凌晨十二点零五分": time(0, 5),
    },
    ("zh", "yes_no"): {"是的": True, "对": True, "不是": False, "不对": False, "好的谢谢": True, "喂": None},
    ("ko", "digits"): {"공일공": "010", "하나 둘 셋": "123", "일 이 삼 사": "1234", "사백": "400"},
    ("ko", "number"): {"마이너스 이점오": D("-2.5"), "만 이천삼백": D("12300"), "스물하나": D("21"), "백": D("100")},
    ("ko", "money"): {"만 이천 원": D("12000"), "12,000원": D("12000"), "십이 달러 오십 센트": D("12.5")},
    ("ko", "date"): {
        "내일": date(2026, 11, 28),
        "모레요": date(2026, 11, 29),
        "다음 주 금요일": date(2026, 12, 4),
        "삼월 오일": date(2027, 3, 5),
        "유월 십일": date(2027, 6, 10),
        "사흘 후": date(2026, 11, 30),
    },
    ("ko", "time"): {
        "오후 두 시 반": time(14, 30),
        "세 시 오 분 전": time(14, 55),
        "네 시": time(16),
        "열두 시 오 분": time(12, 5),
        "정오": time(12),
    },
    ("ko", "yes_no"): {"네 네": True, "네 맞아요": True, "아니요": False, "상담원": None},
    ("de", "digits"): {"null drei zwölf": "0312"},
    ("de", "number"): {"minus zwölf Komma fünf": D("-12.5"), "1.234,5": D("1234.5"), "zwölf drei": None},
    ("de", "money"): {"zwölf Euro fünfzig": D("12.5"), "12,50 €": D("12.5"), "fünfzig Cent": D("0.5")},
    ("de", "date"): {"morgen": date(2026, 11, 28), "am dritten März": date(2027, 3, 3), "zwölf": None},
    ("de", "time"): {"halb drei": time(14, 30), "viertel vor eins": time(12, 45), "14 Uhr 30": time(14, 30)},
    ("de", "yes_no"): {"Ja, genau": True, "nein danke": False},
    ("fr", "number"): {"quatre-vingt-dix-neuf": D("99")},
    ("fr", "date"): {"demain": date(2026, 11, 28), "le 3 mars": date(2027, 3, 3)},
    ("fr", "time"): {"trois heures moins le quart": time(14, 45), "midi": time(12), "8 heures du soir": time(20)},
    ("es", "time"): {"las dos y media": time(14, 30), "las tres menos cuarto": time(14, 45)},
    ("ru", "number"): {"двадцать": D("20")},
    ("xx", "number"): {"zwölf": None, "12": D("12")},
}


@pytest.mark.parametrize(
    ("language", "type", "text", "value"),
    [(*key, text, value) for key, sayings in SAID.items() for text, value in sayings.items()],
)
def test_what_is_said_is_understood(language: str, type: SpokenType, text: str, value: Value | None) -> None:
    assert meaning(text, type, language, TODAY) == value


def test_free_text_is_itself() -> None:
    assert meaning("  My washing machine leaks. ", "text", "en", TODAY) == "My washing machine leaks."
    assert len(str(meaning("x" * 10_000, "text", "en", TODAY))) == LONGEST
    assert meaning("1 " * 10_000, "digits", "en", TODAY) is None


@pytest.mark.parametrize("language", sorted(YES_NO))
def test_the_usual_words_for_yes_and_no_mean_that(language: str) -> None:
    for word in YES_NO[language].yes:
        assert spoken_yes_no(word, language) is True, word
    for word in YES_NO[language].no:
        assert spoken_yes_no(word, language) is False, word


def test_texts_are_compared_without_what_does_not_count() -> None:
    assert normalised("That’s  RIGHT, four!", "en") == normalised("thats right 4", "en")
    assert normalised("ＡＢＣ １２", "zh") == "abc 12"
    assert normalised("转 人工", "zh") == normalised("转人工。", "zh")


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("네 네", "ko", [("yes", 1.0)]),
        ("상담 원 연결", "ko", [("agent", 1.0)]),
        ("yes please", "en", [("yes", 1.0)]),
        ("technical support", "en", [("support", 1.0)]),
        ("unsupported", "en", []),
    ],
)
def test_a_phrase_is_found_in_what_was_heard(text: str, language: str, found: list[tuple[str, float]]) -> None:
    phrases = [
        Phrase("yes", ("네", "yes", "yes please")),
        Phrase("agent", ("상담원 연결",)),
        Phrase("support", ("support", "technical support")),
    ]
    assert [(one.phrase.name, one.share) for one in matches(text, phrases, language)] == found


def test_two_phrases_in_one_breath_are_both_there_but_neither_is_all_of_it() -> None:
    phrases = [Phrase("sales", ("sales",)), Phrase("support", ("support",))]
    found = matches("support no sales", phrases, "en")
    assert [one.phrase.name for one in found] == ["support", "sales"]
    assert all(one.share < 0.6 for one in found)
