"""Expressions: what they come to, what is refused at load, and that nothing but EvaluationError ever comes out."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ivr.flow.charpattern import CharacterPattern, PatternError, _advance
from ivr.flow.expression import EvaluationError, Expression, parse_expression
from ivr.flow.model import VariableType
from ivr.flow.problem import Problem
from ivr.flow.template import parse_template

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
SCOPE: dict[str, object] = {
    "tier": "gold",
    "order": "00120",
    "visits": 3,
    "vip": True,
    "info": {"total": 12.5, "items": ["a", "b"], "code": "200", "flag": True, "at": "2026-03-02T07:30:00Z"},
    "price": Decimal("12.80"),
    "since": date(2026, 1, 31),
    "caller.number": "+861380000",
    "call.at": NOW,
    "input": "7",
    "unset": None,
    "now": NOW,
}
TYPES: dict[str, VariableType] = {
    "tier": "text",
    "order": "digits",
    "visits": "number",
    "vip": "yes_no",
    "info": "json",
    "since": "date",
    "price": "money",
    "unset": "text",
}


def parsed(text: str) -> Expression:
    expression = parse_expression(text)
    assert isinstance(expression, Expression), expression
    return expression


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'it''s'", "it's"),
        ("tier == 'gold'", True),
        ("tier != 'gold' or visits > 2", True),
        ("not vip", False),
        ("not vip or vip and vip", True),
        ("(vip or vip) and no", False),
        ("order == '120'", False),
        ("number(order) == 120", True),
        ("visits + 2 - 1", Decimal(4)),
        ("-1 + visits", Decimal(2)),
        ("tier + ' ' + order", "gold 00120"),
        ("input in 1..9", True),
        ("input not in 1..5", True),
        ("tier in ['gold', 'silver']", True),
        ("'a' in info.items", True),
        ("info.total > 12", True),
        ("coalesce(unset, tier)", "gold"),
        ("coalesce(info.nothing, 'none')", "none"),
        ("len(order)", Decimal(5)),
        ("len(info.items)", Decimal(2)),
        ("digits('400-820')", "400820"),
        ("starts_with(caller.number, '+86')", True),
        ("lower('ABC')", "abc"),
        ("luhn('79927398713')", True),
        ("luhn('79927398710')", False),
        ("luhn('')", False),
        (r"matches(order, '0*\d{3}')", True),
        ("matches(tier, '[a-f]+')", False),
        ("today() == '2026-03-02'", True),
        ("since < today()", True),
        ("weekday()", "monday"),
        ("weekday(since)", "saturday"),
        ("call.at < '10:30'", True),
        ("price + 0.20 == 13", True),
        ("price - info.total", Decimal("0.3")),
        ("info.code == 200", True),
        ("info.code != 200", False),
        ("info.code > 99", True),
        ("info.code in [100, 200]", True),
        ("info.flag == 1", False),
        ("info.flag == yes", True),
        ("hours_between(since, '2026-02-01')", Decimal(24)),
        ("hours_between('09:00', '08:30')", Decimal("-0.5")),
        ("hours_between(info.at)", Decimal("2.5")),
        ("hours_between(call.at, '18:20') > 8.3", True),
    ],
)
def test_value(text: str, value: object) -> None:
    expression = parsed(text)
    assert expression.check(TYPES)[1] == []
    assert expression.evaluate(SCOPE) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("unset == 'x'", "'unset' is not set"),
        ("info.nothing == 1", "'info.nothing' is not set"),
        ("number(tier) > 1", "'gold' is not a number"),
        ("info.items > 1", "cannot be put in order"),
        ("coalesce(unset, unset)", "none of the values"),
        ("hours_between(tier)", "'gold' is neither a date nor a time"),
    ],
)
def test_no_value(text: str, message: str) -> None:
    with pytest.raises(EvaluationError, match=re.escape(message)):
        parsed(text).evaluate(SCOPE)


def test_names() -> None:
    expression = parsed("info.total > 1 and coalesce(order, tier) == caller.number")
    assert expression.names == {"info", "order", "tier", "caller.number"}
    assert set(expression.required) == {"info", "caller.number"}


def test_spacing_does_not_matter() -> None:
    assert parsed("tier=='gold'") == parsed("tier  ==  'gold'")


@given(st.text(max_size=80))
@example("(" * 200)
@example("not " * 200)
@example("1" * 400)
@example("a" + "+a" * 400)
def test_any_text_is_an_expression_or_a_problem(text: str) -> None:
    found = parse_expression(text)
    if isinstance(found, Problem):
        assert 1 <= found.place.column <= len(text) + 1
    else:
        found.check(TYPES)


WORDS = """
    tier order visits vip info info.items since unset input today() ( ) [ ] , + - == != < >= in not and or 1..5 1 'x'
    '2026-01-01' yes len( luhn( coalesce( matches( weekday( number( lower( digits( caller.number call.at
"""
words = st.sampled_from(WORDS.split())
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.dates() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(words, max_size=12).map(" ".join), st.dictionaries(st.sampled_from(sorted(SCOPE)), values))
def test_an_evaluation_gives_a_value_or_says_why_not(text: str, scope: dict[str, object]) -> None:
    expression = parse_expression(text)
    if isinstance(expression, Problem):
        return
    expression.check(TYPES)
    try:
        expression.evaluate(scope)
    except EvaluationError as error:
        message = str(error)
    else:
        return
    assert message


def nested(depth: int) -> object:
    value: object = "x"
    for _ in range(depth):
        value = [value]
    return value


HOSTILE: dict[str, object] = {
    "info": {
        "deep": nested(100_000),
        "same": nested(100_000),
        "long": "x" * 10_000_000,
        "wide": [["x" * 1000] * 100] * 100,
        "huge": 10**5_000,
        "nan": float("nan"),
    }
}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("info.deep == info.same", "nested too deeply"),
        ("'x' + info.deep", "lists within lists"),
        ("starts_with(info.deep, 'x')", "lists within lists"),
        ("'x' + info.long", "longer than 10000"),
        ("lower(info.long)", "longer than 10000"),
        ("digits(info.long)", "longer than 10000"),
        ("starts_with(info.wide, 'x')", "longer than 10000"),
        ("matches(info.long, 'x*')", "at most at 1000"),
        ("info.huge + 1", "too large"),
        ("info.nan > 1", "too large"),
        ("info.__class__ == 'dict'", "is not set"),
        ("info.long.upper == 'X'", "is not set"),
    ],
)
def test_what_comes_from_outside_cannot_break_an_expression(text: str, message: str) -> None:
    with pytest.raises(EvaluationError, match=re.escape(message)):
        parsed(text).evaluate(HOSTILE)


@pytest.mark.parametrize("text", ["{info.deep}", "{info.long}", "{info.wide}"])
def test_nor_a_text_with_holes(text: str) -> None:
    template, problems = parse_template(text)
    assert problems == []
    with pytest.raises(EvaluationError):
        template.fill(HOSTILE)


class Counted(int):
    """A set of places that counts how often it is worked on."""

    steps = 0

    def __and__(self, other: int) -> "Counted":
        Counted.steps += 1
        return Counted(int(self) & other)

    def __lshift__(self, other: int) -> "Counted":
        return Counted(int(self) << other)

    def __or__(self, other: int) -> "Counted":
        return Counted(int(self) | other)

    __ror__ = __or__


@pytest.mark.parametrize("item", ["a*", "a{0,99}", ".*", "[a-z]+"])
def test_an_item_of_a_pattern_takes_a_step_for_a_character_and_no_more(item: str) -> None:
    pattern = CharacterPattern.parse(item)._items[0]
    for length in (100, 1_000):
        Counted.steps = 0
        # Standing anywhere is the worst place to start from.
        _advance(pattern, (1 << length) - 1, Counted((1 << length) - 1))
        assert Counted.steps <= 2 * length + 2


def test_patterns_that_make_other_matchers_try_for_ever() -> None:
    assert not CharacterPattern.parse("a*" * 30 + "b").matches("a" * 1_000)
    assert CharacterPattern.parse(".{0,99}" * 14).matches("a" * 1_000)


pattern_items = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d"]),
        st.sampled_from(["", "?", "*", "+", "{2}", "{1,3}", "{2,}"]),
    ),
    max_size=5,
)


@given(pattern_items, st.text(alphabet="ab1", max_size=8))
def test_patterns_match_as_regular_expressions_do(items: list[tuple[str, str]], text: str) -> None:
    pattern = "".join(atom + repeat for atom, repeat in items)
    assert CharacterPattern.parse(pattern).matches(text) == bool(re.fullmatch(pattern, text, re.ASCII))


@given(st.text(alphabet="ab[]{}^-\\d*+?(,1", max_size=15))
def test_any_text_is_a_pattern_or_an_error(text: str) -> None:
    try:
        CharacterPattern.parse(text)
    except PatternError as error:
        offset = error.offset
    else:
        return
    assert 0 <= offset <= len(text)
