"""How values are said."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date, datetime, time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.flow.loader import load_text
from ivr.flow.saying import FORMATS, formats_of, worded
from ivr.flow.values import EvaluationError


def say(value: object, format: str, language: str = "en") -> str:
    name, _, argument = format.partition(" ")
    return worded(value, name, argument, language)


@pytest.mark.parametrize(
    ("value", "format", "english", "chinese"),
    [
        ("0012", "digits", "0 0 1 2", "零 零 一 二"),
        ("+86*#", "digits", "plus 8 6 star hash", "加 八 六 星号 井号"),
        (Decimal("12"), "digits", "1 2", "一 二"),
        ("ab 1", "spell", "A, B, 1", "A，B，一"),
        ("a-b@c.de", "spell", "A, dash, B, at, C, dot, D, E", "A，横杠，B，艾特，C，点，D，E"),
        ("Anna", "text", "Anna", "Anna"),
        (True, "text", "yes", "yes"),
        (("a", "b"), "text", "a, b", "a, b"),
        (0, "number", "zero", "零"),
        (Decimal("1280.50"), "number", "one thousand two hundred eighty point five", "一千二百八十点五"),
        ("-12.05", "number", "minus twelve point zero five", "负十二点零五"),
        ("007", "number", "seven", "七"),
        (1_000_000, "number", "one million", "一百万"),
        (10_010, "number", "ten thousand ten", "一万零一十"),
        (10_015, "number", "ten thousand fifteen", "一万零一十五"),
        (22_000, "number", "twenty-two thousand", "两万二千"),
        (200, "number", "two hundred", "两百"),
        (1_200, "number", "one thousand two hundred", "一千二百"),
        (2, "number", "two", "二"),
        (200_020_000, "number", "two hundred million twenty thousand", "两亿零二万"),
        (10**30, "number", "one nonillion", "一百万亿亿亿"),
        (1, "ordinal", "first", "第一"),
        (12, "ordinal", "twelfth", "第十二"),
        (20, "ordinal", "twentieth", "第二十"),
        (112, "ordinal", "one hundred twelfth", "第一百一十二"),
        (200, "ordinal", "two hundredth", "第二百"),
        ("1280.50", "money CNY", "one thousand two hundred eighty yuan and fifty fen", "一千二百八十元五角"),
        ("2.00", "money CNY", "two yuan", "两元"),
        ("3.02", "money CNY", "three yuan and two fen", "三元零二分"),
        ("0.22", "money CNY", "twenty-two fen", "两角两分"),
        ("12.80", "money USD", "twelve dollars and eighty cents", "十二美元八十美分"),
        ("1.01", "money USD", "one dollar and one cent", "一美元一美分"),
        ("-0.5", "money GBP", "minus fifty pence", "负零点五英镑"),
        ("-0.001", "money USD", "zero dollars", "零美元"),
        ("0.995", "money USD", "one dollar", "一美元"),
        (1500, "money JPY", "one thousand five hundred yen", "一千五百日元"),
        ("12.805", "money KWD", "twelve Kuwaiti dinars and eight hundred five fils", "十二点八零五科威特第纳尔"),
        (2, "money ISK", "two Icelandic krónur", "两冰岛克朗"),
        (date(2026, 3, 5), "date", "the fifth of March twenty twenty-six", "二零二六年三月五日"),
        ("2026-03-05T23:30:00Z", "date", "the fifth of March twenty twenty-six", "二零二六年三月五日"),
        ("1905-12-30", "date", "the thirtieth of December nineteen oh five", "一九零五年十二月三十日"),
        ("1900-01-01", "date", "the first of January nineteen hundred", "一九零零年一月一日"),
        ("2006-01-22", "date", "the twenty-second of January two thousand six", "二零零六年一月二十二日"),
        (time(14, 30), "time", "two thirty p.m.", "下午两点三十分"),
        (time(0, 0), "time", "midnight", "凌晨零点"),
        (time(12, 0), "time", "noon", "中午十二点"),
        (time(0, 5), "time", "twelve oh five a.m.", "凌晨零点零五分"),
        ("09:00", "time", "nine a.m.", "上午九点"),
        ("2026-03-05T22:15:00+08:00", "time", "ten fifteen p.m.", "晚上十点十五分"),
        (
            "+8613800000000",
            "phone",
            "plus 8 6, 1 3 8, 0 0 0 0, 0 0 0 0",
            "加 八 六，幺 三 八，零 零 零 零，零 零 零 零",
        ),
        ("+12125550100", "phone", "plus 1, 2 1 2, 5 5 5, 0 1 0 0", "加 一，二 幺 二，五 五 五，零 幺 零 零"),
        ("4008200000", "phone", "4 0 0, 8 2 0, 0 0 0 0", "四 零 零，八 二 零，零 零 零 零"),
        ("030 123-45", "phone", "0 3 0, 1 2 3, 4 5", "零 三 零，幺 二 三，四 五"),
        ("2001", "phone", "2 0 0 1", "二 零 零 幺"),
        (1, "plural call,calls", "call", "calls"),
        (0, "plural call,calls", "calls", "calls"),
        ("2.5", "plural call,calls", "calls", "calls"),
        (2, "plural 个", "个", "个"),
    ],
)
def test_values_in_words(value: object, format: str, english: str, chinese: str) -> None:
    assert say(value, format, "en") == english
    assert say(value, format, "en-gb") == english
    assert say(value, format, "zh") == chinese


@pytest.mark.parametrize(
    ("number", "words"), [(1, "звонок"), (2, "звонка"), (5, "звонков"), (21, "звонок"), (112, "звонков")]
)
@pytest.mark.parametrize("forms", ["звонок,звонка,звонков", "many=звонков,few=звонка,one=звонок"])
def test_plural_forms_by_the_rules_of_the_language(number: int, words: str, forms: str) -> None:
    assert say(number, f"plural {forms}", "ru") == words


def test_other_languages_say_what_the_libraries_can() -> None:
    assert say(1280, "number", "de") == "eintausendzweihundertachtzig"
    assert say(21, "ordinal", "fr") == "vingt et unième"
    assert say("12.80", "money EUR", "de") == "zwölf Komma acht Euro"
    assert say("2026-03-05", "date", "de") == "5. März 2026"
    assert say("14:30", "time", "fr") == "14:30"
    assert set(formats_of("xx")) == {"text", "digits", "phone", "spell"}
    with pytest.raises(EvaluationError, match="format 'money' is not known in xx"):
        say(1, "money EUR", "xx")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_english_and_chinese_have_every_format(language: str) -> None:
    assert set(formats_of(language)) == set(FORMATS)


_ONES = {
    word: number
    for number, word in enumerate(
        [
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
    )
}
_TENS = {word: 10 * n for n, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(" "), 2)}  # noqa: SIM905


def number_of(words: str) -> int:
    """What somebody understands who hears the words."""
    total = part = 0
    for word in words.replace("-", " ").split():
        if word == "hundred":
            part *= 100
        elif word == "thousand":
            total, part = part * 1000, 0
        else:
            part += _ONES.get(word, _TENS.get(word, 0))
    return total + part


@given(st.integers(0, 999_999))
def test_who_hears_an_english_number_can_write_it_down(number: int) -> None:
    assert number_of(say(number, "number")) == number


_CHINESE = {"十": 10, "百": 100, "千": 1000}


def chinese_number_of(words: str) -> int:
    total = part = digit = 0
    for sign in words.replace("两", "二"):
        if sign == "亿" or sign == "万":
            total, part, digit = (total + part + digit) * (10**8 if sign == "亿" else 10**4), 0, 0
        elif sign in _CHINESE:
            part, digit = part + (digit or 1) * _CHINESE[sign], 0
        else:
            digit = "零一二三四五六七八九".index(sign)
    return total + part + digit


@given(st.integers(0, 99_999_999))
def test_who_hears_a_chinese_number_can_write_it_down(number: int) -> None:
    assert chinese_number_of(say(number, "number", "zh")) == number


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_VALUES = _JSON | st.decimals() | st.dates() | st.times() | st.datetimes()


@settings(deadline=None)  # the words of a language are read when it is first spoken
@given(_VALUES, st.sampled_from(sorted(FORMATS)), st.sampled_from(["en", "zh", "de", "ru", "ja", "ar", "xx"]))
def test_a_value_has_words_or_an_explanation(value: object, name: str, language: str) -> None:
    argument = {"money": "CNY", "plural": "one=a,other=b"}.get(name, "")
    try:
        words = worded(value, name, argument, language)
    except EvaluationError as error:
        words = f"explained: {error}"
    assert len(words) <= 10_000


def test_texts_that_nobody_would_listen_to_are_refused() -> None:
    with pytest.raises(EvaluationError, match="too long"):
        say("1" * 10_000, "digits")
    with pytest.raises(EvaluationError, match="too long"):
        say("1" * 100_000, "text")
    with pytest.raises(EvaluationError, match="not a whole number"):
        say("1.5", "ordinal")


@pytest.mark.parametrize("value", [True, None, {"a": 1}, datetime(2026, 3, 2), "abc", float("nan")])
@pytest.mark.parametrize("format", ["number", "money CNY", "ordinal", "plural a,b"])
def test_what_is_no_number_is_not_said_as_one(value: object, format: str) -> None:
    with pytest.raises(EvaluationError):
        say(value, format)


PHONEMES = """
import ctypes, json, sys, espeakng_loader
engine = ctypes.CDLL(espeakng_loader.get_library_path())
engine.espeak_Initialize(1, 0, str(espeakng_loader.get_data_path()).encode(), 0)
engine.espeak_TextToPhonemes.restype = ctypes.c_char_p
found = []
for voice, text in json.load(sys.stdin):
    engine.espeak_SetVoiceByName(voice.encode())
    rest, heard = ctypes.c_char_p(text.encode()), []
    while rest.value:
        heard.append(engine.espeak_TextToPhonemes(ctypes.byref(rest), 1, 2).decode())
    found.append(" ".join(heard))
print(json.dumps(found))
"""


def heard(*said: tuple[str, str]) -> list[str]:
    """What the speech engine makes of texts, in phonemes. In a process of its own: the engine has one voice in each."""
    done = subprocess.run(
        [sys.executable, "-c", PHONEMES], input=json.dumps(said), capture_output=True, text=True, check=True
    )
    found: list[str] = json.loads(done.stdout)
    return found


def test_a_voice_reads_nothing_otherwise_than_it_is_meant() -> None:
    dollars, cents, half_past, letters = heard(
        ("en", say("12.80", "money USD")),
        ("en", "eighty cents"),
        ("en", say("14:30", "time")),
        ("en", say("A", "spell")),
    )
    assert dollars.endswith(cents.split()[-1])
    assert "pɔɪnt" not in dollars
    assert half_past.endswith("ˈɛm")
    assert letters == "ˈeɪ"


def test_a_chinese_voice_meets_no_sign_it_reads_in_english() -> None:
    values = [("12.80", "money USD"), ("1280.5", "money CNY"), ("-1.5", "number"), ("2026-03-05", "date")]
    values += [("14:30", "time"), ("+8613800000000", "phone"), ("1*#-_@.,:/&%$", "spell"), ("3", "ordinal")]
    for phonemes in heard(*(("cmn", say(value, format, "zh")) for value, format in values)):
        assert "(en)" not in phonemes


FLOW = """\
flow: main
languages: [{languages}]
start: a
vars: {{n: {{type: number, default: 1}}, d: {{type: date, default: '2026-03-05'}}}}
blocks:
  a:
    - say: '{text}'
    - hangup
"""


@pytest.mark.parametrize(
    ("languages", "text", "problems"),
    [
        ("en, zh", "{n:money CNY} {n:plural(call,calls)} {d:date} {call.at:time}", []),
        ("en, xx", "{n:money CNY}", ["E137 format 'money' is not known in xx"]),
        ("en, ru", "{n:plural(a,b)}", ["E137 ru has 3 forms (one, few, many), but 2 stand here"]),
        ("en, ru", "{n:plural(one=a,few=b,many=c,other=d)}", []),
        ("en", "{n:plural(one=a)}", ["E137 en also needs other"]),
        ("en", "{n:plural(a,)}", ["E137 a form is empty"]),
        ("en", "{n:plural}", ["E132 format 'plural' has no words to choose from"]),
        ("en", "{n:money}", ["E132 format 'money' does not say which currency"]),
        ("en", "{n:money CNQ}", ["E132 there is no currency 'CNQ'"]),
        ("en", "{n:number CNY}", ["E132 format 'number' takes nothing after its name"]),
        ("en", "{n:monney CNY}", ["E132 format 'monney' is not known"]),
        ("en", "{d:number}", ["E134 a date cannot be said as number"]),
        ("en", "{n:date}", ["E134 a number cannot be said as date"]),
        ("en", "{call.at:date}", ["E134 a time of day cannot be said as date"]),
    ],
)
def test_formats_are_checked_before_anybody_calls(languages: str, text: str, problems: list[str]) -> None:
    found = load_text(FLOW.format(languages=languages, text=text)).problems
    assert [f"{problem.code} {problem.message}" for problem in found] == problems
    assert all(problem.place.line == 7 and problem.place.column > 12 for problem in found)


def test_a_wrong_currency_gets_the_right_one_proposed() -> None:
    for wrong, right in (("cny", "CNY"), ("EURO", "EUR")):
        found = load_text(FLOW.format(languages="en", text=f"{{n:money {wrong}}}")).problems
        assert found[0].help == f"did you mean '{right}'?"
