"""Expressions: what they come to, what is refused at load, and that nothing but EvaluationError ever comes out."""

import re
import time
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ivr.flow.charpattern import CharacterPattern, PatternError
from ivr.flow.expression import EvaluationError, Expression, parse_expression
from ivr.flow.model import VariableType
from ivr.flow.problem import Problem

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
SCOPE: dict[str, object] = {
    "tier": "gold",
    "order": "00120",
    "visits": 3,
    "vip": True,
    "info": {"total": 12.5, "items": ["a", "b"]},
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


def test_no_pattern_takes_for_ever() -> None:
    started = time.perf_counter()
    assert not CharacterPattern.parse("a*a*a*a*a*a*a*a*a*a*b").matches("a" * 1_000)
    assert time.perf_counter() - started < 1


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
