"""Menus that speak for too long: recordings by their length, texts by their words."""

from pathlib import Path

import pytest

from ivr.flow.loader import load_text
from ivr.flow.menu_length import check_menus, words_in
from ivr.flow.template import parse_template

FLOW = """\
flow: main
languages: [en, zh]
start: choice
on_error: bye
blocks:
  choice:
    - menu: {{prompt: {prompt}, keys: {{'1': bye}}}}
  bye:
    - hangup
"""
LENGTHS = {"en/long": 20.5, "zh/long": 12.0, "en/short": 4.0, "zh/short": 4.0}


def told(prompt: str, rate: int = 150) -> list[str]:
    def lookup(language: str, name: str) -> Path | None:
        return Path(f"{language}/{name}") if f"{language}/{name}" in LENGTHS or name == "damaged" else None

    flow_set = load_text(FLOW.format(prompt=prompt))
    assert flow_set.ok
    return [str(one) for one in check_menus(flow_set, lookup, lambda file: LENGTHS.get(str(file)), lambda _: rate)]


def test_a_recording_that_is_too_long_is_told_with_place_and_remedy() -> None:
    assert told("long") == [
        "flow.yaml:7:7: warning W303 this menu speaks for 20 s in en; callers forget what came first\n"
        "    7 |     - menu: {prompt: long, keys: {'1': bye}}\n"
        "      |       ^^^^ at most 20 s: make it shorter, or put some of the choices into a second menu"
    ]


def test_what_stands_in_one_menu_is_added_up() -> None:
    assert told("[short, short, short, short, short]") == []
    assert len(told("[short, short, short, short, short, short]")) == 2
    assert len(told("[long, {say: 'For everything else that we have not named, please press nine.'}]")) == 1


def test_texts_are_counted_by_the_words_the_voice_says_in_a_minute() -> None:
    text = "{say: '" + "press one or two " * 12 + "'}"
    assert told(text, rate=150) == []
    assert len(told(text, rate=140)) == 2


def test_a_recording_that_is_missing_or_damaged_is_told_elsewhere() -> None:
    assert told("[nowhere, damaged, short]") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("Press 1, or don't.", 4),
        ("You have {count:number} call{{s}}.", 5),
        ("按一", 1.2),
        ("按 1 转销售", 3.4),
        ("… – ?", 0),
    ],
)
def test_words_of_a_text(text: str, words: float) -> None:
    assert words_in(parse_template(text)[0]) == pytest.approx(words)
