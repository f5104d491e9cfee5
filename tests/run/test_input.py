"""Every input rule, pressed key by key."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.flow.model import InputSettings
from ivr.run.input import CutPrompt, Digits, Failure, PlayPrompt
from ivr.run.typed_ahead import TypedAhead
from tests.run.asked import SETTINGS, Caller, Keys

MENU = Keys(("1", "2", "20", "2003", "*"))


def test_the_prompt_is_played_first() -> None:
    caller = Caller(MENU)
    assert caller.asks == [PlayPrompt(1)]
    assert caller.input.next_timer() is None


def test_a_key_cuts_the_prompt_and_is_taken_at_once() -> None:
    caller = Caller(MENU)
    caller.presses("1")
    assert caller.asks[1] == CutPrompt()
    assert caller.outcomes == [("matched", "1")]
    assert caller.tries[0].barged_in
    assert caller.input.result is caller.tries[0]
    assert caller.tries[0].last


def test_a_key_after_the_prompt_cuts_nothing() -> None:
    caller = Caller(MENU)
    caller.hears_all()
    caller.presses("1")
    assert CutPrompt() not in caller.asks
    assert not caller.tries[0].barged_in


def test_a_key_that_could_go_on_waits_for_the_gap() -> None:
    caller = Caller(MENU)
    caller.hears_all()
    caller.presses("2")
    caller.waits(2.9)
    assert caller.outcomes == []
    caller.waits(0.2)
    assert caller.outcomes == [("matched", "2")]


def test_every_key_starts_the_gap_anew() -> None:
    caller = Caller(MENU)
    caller.hears_all()
    caller.presses("2003", gap=2.8)
    assert caller.outcomes == [("matched", "2003")]


def test_a_prefix_that_is_nothing_by_itself_is_no_match_after_the_gap() -> None:
    caller = Caller(MENU)
    caller.hears_all()
    caller.presses("200")
    caller.waits(3.0)
    assert caller.outcomes == [("no_match", "200")]


def test_what_can_no_longer_become_right_is_refused_at_once() -> None:
    caller = Caller(MENU)
    caller.hears_all()
    caller.presses("7")
    assert caller.outcomes == [("no_match", "7")]
    assert not caller.tries[0].last


def test_the_finish_key_accepts_without_waiting() -> None:
    caller = Caller(MENU)
    caller.hears_all()
    caller.presses("2#")
    assert caller.outcomes == [("matched", "2")]


def test_the_finish_key_ends_what_is_not_right() -> None:
    caller = Caller(MENU)
    caller.hears_all()
    caller.presses("200#")
    assert caller.outcomes == [("no_match", "200")]


def test_the_finish_key_alone_is_no_input() -> None:
    caller = Caller(MENU)
    caller.hears_all()
    caller.presses("#")
    assert caller.outcomes == [("no_input", "")]


def test_the_finish_key_cuts_the_prompt_too() -> None:
    caller = Caller(MENU)
    caller.presses("#")
    assert caller.asks[:2] == [PlayPrompt(1), CutPrompt()]
    assert caller.outcomes == [("no_input", "")]


def test_a_pattern_may_name_the_finish_key() -> None:
    caller = Caller(Keys(("1", "#")))
    caller.presses("#")
    assert caller.outcomes == [("matched", "#")]


def test_a_pattern_may_end_in_the_finish_key() -> None:
    caller = Caller(Keys(("2", "2#")))
    caller.presses("2#")
    assert caller.outcomes == [("matched", "2#")]


def test_without_a_finish_key_it_is_a_key_like_any_other() -> None:
    caller = Caller(MENU, replace(SETTINGS, finish_key=None))
    caller.presses("2#")
    assert caller.outcomes == [("no_match", "2#")]


def test_the_timeout_runs_from_the_end_of_the_prompt() -> None:
    caller = Caller(MENU)
    caller.waits(60.0)
    assert caller.outcomes == []
    caller.hears_all()
    caller.waits(4.9)
    assert caller.outcomes == []
    caller.waits(0.2)
    assert caller.outcomes == [("no_input", "")]


def test_after_a_cut_the_gap_runs() -> None:
    caller = Caller(MENU)
    caller.waits(1.0)
    caller.presses("2", gap=0.0)
    assert caller.input.next_timer() == pytest.approx(caller.now + 3.0)


def test_each_kind_of_failure_has_its_own_list_whose_last_item_repeats() -> None:
    caller = Caller(MENU, replace(SETTINGS, tries=6))
    for keys in ("", "7", "", "7", "7", "7"):
        caller.hears_all()
        caller.presses(keys)
        if not keys:
            caller.waits(5.0)
    assert caller.prompts == [
        PlayPrompt(1),
        PlayPrompt(2, "no_input", 0),
        PlayPrompt(3, "no_match", 0),
        PlayPrompt(4, "no_input", 1),
        PlayPrompt(5, "no_match", 1),
        PlayPrompt(6, "no_match", 1),
    ]
    assert caller.tries[-1].last


def test_an_empty_list_has_no_item_to_name() -> None:
    caller = Caller(MENU, items=0)
    caller.presses("7")
    assert caller.prompts[-1] == PlayPrompt(2, "no_match", 0)


def test_after_the_tries_nothing_more_is_asked() -> None:
    caller = Caller(MENU)
    for _ in range(3):
        caller.hears_all()
        caller.waits(5.0)
    assert caller.outcomes == [("no_input", "")] * 3
    assert [over.last for over in caller.tries] == [False, False, True]
    assert len(caller.prompts) == 3
    assert caller.input.next_timer() is None


def test_keys_after_the_end_are_typed_ahead() -> None:
    caller = Caller(MENU)
    caller.presses("14")
    assert caller.left_over == "4"


def test_a_key_typed_ahead_answers_without_a_prompt() -> None:
    caller = Caller(MENU, typed="15")
    assert caller.prompts == []
    assert caller.outcomes == [("matched", "1")]
    assert caller.tries[0].barged_in
    assert not caller.tries[0].prompt_played
    assert caller.left_over == "5"


def test_keys_typed_ahead_may_be_a_beginning() -> None:
    caller = Caller(MENU, typed="20")
    assert caller.input.next_timer() == pytest.approx(103.0)
    caller.presses("03")
    assert caller.outcomes == [("matched", "2003")]


def test_keys_typed_ahead_can_be_thrown_away() -> None:
    caller = Caller(MENU, replace(SETTINGS, type_ahead="clear"), typed="1")
    assert caller.asks == [PlayPrompt(1)]
    caller.presses("2#")
    assert caller.outcomes == [("matched", "2")]


def test_keys_behind_an_unusable_one_are_forgotten() -> None:
    caller = Caller(MENU, typed="71")
    assert caller.outcomes == [("no_match", "7")]
    assert caller.prompts == [PlayPrompt(2, "no_match", 0)]
    assert caller.left_over == ""


def test_a_prompt_that_must_be_heard_is_not_cut() -> None:
    caller = Caller(MENU, replace(SETTINGS, barge_in=False))
    caller.presses("1")
    assert caller.asks == [PlayPrompt(1)]
    caller.hears_all()
    assert caller.outcomes == [("matched", "1")]
    assert not caller.tries[0].barged_in


def test_a_prompt_that_must_be_heard_is_played_in_spite_of_keys_typed_ahead() -> None:
    caller = Caller(MENU, replace(SETTINGS, barge_in=False), typed="1")
    assert caller.asks == [PlayPrompt(1)]
    caller.hears_all()
    assert caller.outcomes == [("matched", "1")]


def test_clear_throws_away_what_is_pressed_while_the_prompt_must_be_heard() -> None:
    caller = Caller(MENU, replace(SETTINGS, barge_in=False, type_ahead="clear"))
    caller.presses("1")
    caller.hears_all()
    assert caller.outcomes == []
    caller.presses("1")
    assert caller.outcomes == [("matched", "1")]


def test_digits_are_accepted_at_the_most() -> None:
    caller = Caller(Digits(8, 8))
    caller.presses("12345678")
    assert caller.outcomes == [("matched", "12345678")]


def test_fewer_digits_are_accepted_by_the_gap_or_the_finish_key() -> None:
    for keys, wait in (("123", 3.0), ("123#", 0.0)):
        caller = Caller(Digits(2, 8))
        caller.presses(keys)
        caller.waits(wait)
        assert caller.outcomes == [("matched", "123")]


def test_too_few_digits_are_no_match() -> None:
    caller = Caller(Digits(2, 8))
    caller.presses("1#")
    assert caller.outcomes == [("no_match", "1")]


def test_a_star_is_no_digit() -> None:
    caller = Caller(Digits(2, 8))
    caller.presses("12*")
    assert caller.outcomes == [("no_match", "12*")]


def test_digits_that_fail_the_check_are_no_match() -> None:
    caller = Caller(Digits(2, 2, check=lambda keys: keys == "42"))
    caller.presses("41")
    caller.presses("42")
    assert caller.outcomes == [("no_match", "41"), ("matched", "42")]


def test_the_check_sees_no_unfinished_digits() -> None:
    seen: list[str] = []

    def check(keys: str) -> bool:
        seen.append(keys)
        return True

    caller = Caller(Digits(2, 4, check=check))
    caller.presses("1234")
    assert seen == ["1234"]


def test_an_empty_input_can_be_asked_for() -> None:
    caller = Caller(Digits(0, 4), finish_empty=True)
    caller.presses("#")
    assert caller.outcomes == [("matched", "")]


def test_silence_is_no_input_even_where_an_empty_input_can_be_asked_for() -> None:
    caller = Caller(Digits(0, 4), finish_empty=True)
    caller.hears_all()
    caller.waits(5.0)
    assert caller.outcomes == [("no_input", "")]


def test_the_finish_key_after_the_last_digit_counts_for_nothing() -> None:
    caller = Caller(Digits(4, 4))
    caller.presses("1234#")
    assert caller.outcomes == [("matched", "1234")]
    assert caller.left_over == ""


def test_the_finish_key_typed_ahead_after_the_last_digit_counts_for_nothing() -> None:
    caller = Caller(Digits(4, 4), typed="1234#5")
    assert caller.outcomes == [("matched", "1234")]
    assert caller.left_over == "5"


def test_a_later_finish_key_is_a_key() -> None:
    caller = Caller(Digits(4, 4))
    caller.presses("1234")
    caller.waits(3.1)
    caller.presses("#")
    assert caller.left_over == "#"


def test_a_finish_key_after_another_key_is_a_key() -> None:
    caller = Caller(Digits(4, 4))
    caller.presses("12345#")
    assert caller.left_over == "5#"


def test_a_stuck_key_fills_no_memory() -> None:
    typed_ahead = TypedAhead()
    for _ in range(10_000):
        typed_ahead.push("5")
    count = 0
    while typed_ahead:
        typed_ahead.pop()
        count += 1
    assert count == 64


PRESSES = st.lists(st.one_of(st.sampled_from("0123456789*#ABCD"), st.floats(0.0, 10.0), st.just("end")), max_size=60)


@given(
    presses=PRESSES,
    typed=st.text("0123456789*#", max_size=5),
    tries=st.integers(0, 4),
    barge_in=st.booleans(),
    type_ahead=st.sampled_from(["keep", "clear"]),
    finish_key=st.sampled_from(["#", "*", "0", None]),
)
def test_any_caller_comes_to_an_end(
    presses: list[str | float], typed: str, tries: int, barge_in: bool, type_ahead: str, finish_key: str | None
) -> None:
    settings = InputSettings(
        tries=tries, barge_in=barge_in, type_ahead="clear" if type_ahead == "clear" else "keep", finish_key=finish_key
    )
    caller = Caller(MENU, settings, typed)
    for press in presses:
        if press == "end":
            caller.hears_all()
        elif isinstance(press, str):
            caller.presses(press)
        else:
            caller.waits(press)
    for _ in range(5):
        caller.hears_all()
        caller.waits(6.0)
    assert caller.input.result is not None
    assert len(caller.tries) <= max(1, tries)
    assert [over.try_no for over in caller.tries] == list(range(1, len(caller.tries) + 1))
    assert [over.last for over in caller.tries].count(True) == 1
    assert caller.tries[-1].last
    failures: list[Failure] = [over.outcome for over in caller.tries if over.outcome != "matched"]
    assert len(failures) >= len(caller.tries) - 1
