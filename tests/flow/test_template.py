"""Texts with holes."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ivr.flow.template import Hole, parse_template


def test_fixed_text_and_holes_in_order() -> None:
    template, problems = parse_template("Order {order:digits} costs {{about}} {total}.")
    assert not problems
    shape = [part if isinstance(part, str) else (part.expression.text, part.format) for part in template.parts]
    assert shape == ["Order ", ("order", "digits"), " costs {about} ", ("total", "text"), "."]
    assert template.fill({"order": "0012", "total": 3}) == "Order 0012 costs {about} 3."
    assert template.fixed is None


def test_a_colon_in_quotes_is_no_format() -> None:
    template, problems = parse_template("{coalesce(x, 'a:}'):spell}")
    assert not problems
    assert [(hole.expression.text, hole.format) for hole in template.holes] == [("coalesce(x, 'a:}')", "spell")]


def test_text_without_holes_is_fixed() -> None:
    assert parse_template("Good {{morning}}")[0].fixed == "Good {morning}"
    assert parse_template("")[0].parts == ()


@given(st.text(alphabet="ab {}:'\"x1.+", max_size=60))
def test_any_text_gives_parts_or_problems(text: str) -> None:
    template, problems = parse_template(text)
    fixed = [isinstance(part, str) for part in template.parts]
    assert not any(one and other for one, other in pairwise(fixed))
    for problem in problems:
        assert 1 <= problem.place.column <= len(text) + 1
    if not any(character in text for character in "{}"):
        assert template.fixed == text
        assert not any(isinstance(part, Hole) for part in template.parts)
