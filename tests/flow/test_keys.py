"""Key patterns: the trie says the same as trying every pattern."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.flow.keys import Exact, KeyPatternError, KeyPatterns, NoMatch, Partial, parse_pattern

atoms = st.sampled_from([*"0123456789*#AD", "X", "Z", "N", "[1-5]", "[25*]", "[0-9]"])
patterns = st.lists(atoms, min_size=1, max_size=4).map("".join)
keys = st.text(alphabet="0123456789*#AD", max_size=5)


def fits(pattern: str, pressed: str) -> bool:
    places = parse_pattern(pattern)
    return len(places) >= len(pressed) and all(key in place for key, place in zip(pressed, places, strict=False))


@given(st.lists(patterns, max_size=8), keys)
def test_the_trie_says_what_trying_every_pattern_says(written: list[str], pressed: str) -> None:
    fitting = [pattern for pattern in written if fits(pattern, pressed)]
    complete = [pattern for pattern in fitting if len(parse_pattern(pattern)) == len(pressed)]
    longer = [pattern for pattern in fitting if len(parse_pattern(pattern)) > len(pressed)]
    match KeyPatterns(written).match(pressed):
        case Exact(pattern, longer_possible):
            assert pattern in complete
            assert longer_possible == bool(longer)
        case Partial():
            assert longer
            assert not complete
        case NoMatch():
            assert not fitting


@given(st.lists(patterns, max_size=6))
def test_a_clash_is_a_pattern_that_begins_another(written: list[str]) -> None:
    clashes = set(KeyPatterns(written).clashes())
    for short, long in itertools.product(set(written), repeat=2):
        keys_of_short = itertools.product(*map(sorted, parse_pattern(short)))
        longer = len(parse_pattern(long)) > len(parse_pattern(short))
        expected = longer and any(fits(long, "".join(pressed)) for pressed in itertools.islice(keys_of_short, 5_000))
        if len(parse_pattern(short)) <= 3:
            assert ((short, long) in clashes) == expected


def test_the_more_exact_pattern_wins() -> None:
    menu = KeyPatterns(["XX", "2X", "20"])
    assert menu.match("20") == Exact("20", False)
    assert menu.match("21") == Exact("2X", False)
    assert menu.match("31") == Exact("XX", False)


def test_a_caller_who_presses_2_of_2_and_20xx() -> None:
    menu = KeyPatterns(["2", "20XX"])
    assert menu.match("") == Partial()
    assert menu.match("2") == Exact("2", longer_possible=True)
    assert menu.match("20") == Partial()
    assert menu.match("2003") == Exact("20XX", longer_possible=False)
    assert menu.match("21") == NoMatch()


@given(st.text(max_size=40))
def test_what_is_no_pattern_is_said_so_and_nothing_else(text: str) -> None:
    try:
        offset = len(parse_pattern(text)) - len(text)
    except KeyPatternError as error:
        offset = error.offset
    assert offset <= len(text)


def test_patterns_that_mean_the_same() -> None:
    assert list(KeyPatterns(["X", "[0-9]", "1"]).equal()) == [("X", "[0-9]")]


@pytest.mark.parametrize("text", ["", "x", "[", "[]", "[9-1]", "[a]", "1 2", "X" * 33])
def test_not_a_pattern(text: str) -> None:
    with pytest.raises(KeyPatternError):
        parse_pattern(text)
