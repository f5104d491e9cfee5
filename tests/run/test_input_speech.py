"""Every input rule that is about speech, and what keys and speech do to each other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.flow.model import InputSettings
from ivr.hearing import Hypothesis
from ivr.run.input import LATE, BeginListening, CutPrompt, EndListening, HearingLost, Matcher, PlayPrompt
from tests.run.asked import SETTINGS, Caller, Keys, Words

MENU = Keys(("1", "2", "20", "2003", "*"))
SAID = Words(("sales", "operator"))


def caller(settings: InputSettings = SETTINGS, typed: str = "", keys: Matcher | None = MENU) -> Caller:
    return Caller(keys, settings, typed, words=SAID)


def test_listening_begins_with_the_prompt() -> None:
    assert caller().asks == [PlayPrompt(1), BeginListening(with_prompt=True)]


def test_where_nothing_can_be_said_nobody_listens() -> None:
    assert Caller(MENU).asks == [PlayPrompt(1)]


def test_speech_cuts_the_prompt_and_answers() -> None:
    one = caller()
    one.says("sales")
    assert one.asks[2] == CutPrompt()
    assert one.meant == [("matched", "sales")]
    over = one.tries[0]
    assert (over.barged_in, over.keys, over.last, one.listening) == (True, "", True, False)
    assert over.understood is not None
    assert over.understood.hypothesis == Hypothesis("sales", 0.9)
    assert over.recognition is not None
    assert one.input.next_timer() is None


def test_speech_after_the_prompt_cuts_nothing() -> None:
    one = caller()
    one.hears_all()
    one.says("sales")
    assert CutPrompt() not in one.asks
    assert [BeginListening(with_prompt=True)] == [ask for ask in one.asks if isinstance(ask, BeginListening)]
    assert not one.tries[0].barged_in


def test_where_speech_must_not_cut_listening_begins_after_the_prompt() -> None:
    one = caller(replace(SETTINGS, barge_in_speech=False))
    assert one.asks == [PlayPrompt(1)]
    one.hears_all()
    assert one.asks[1:] == [BeginListening()]
    one.says("operator")
    assert one.meant == [("matched", "operator")]


def test_speech_stops_the_silence_from_counting() -> None:
    one = caller()
    one.hears_all()
    one.waits(4.9)
    one.begins_to_speak()
    one.waits(10.0)
    assert one.tries == []
    one.is_understood(Hypothesis("operator", 0.8))
    assert one.meant == [("matched", "operator")]


def test_silence_is_no_input_and_nobody_listens_meanwhile() -> None:
    one = caller()
    one.hears_all()
    one.waits(5.0)
    assert one.meant == [("no_input", None)]
    assert one.asks[-4:] == [
        EndListening(),
        one.tries[0],
        PlayPrompt(2, "no_input", 0),
        BeginListening(with_prompt=True),
    ]


def test_what_is_not_asked_for_or_not_understood_is_no_match() -> None:
    one = caller()
    one.says("hamburger")
    one.says("sales", confidence=0.49)
    one.begins_to_speak()
    one.is_understood()
    assert one.meant == [("no_match", None)] * 3
    assert [prompt.after for prompt in one.prompts] == [None, "no_match", "no_match"]
    assert one.tries[-1].last
    assert not one.listening


def test_just_sure_enough_is_enough() -> None:
    one = caller()
    one.says("sales", confidence=0.5)
    assert one.meant == [("matched", "sales")]


def test_the_next_of_what_it_may_have_been_can_be_it() -> None:
    one = caller(replace(SETTINGS, min_confidence=0.2))
    one.begins_to_speak()
    one.is_understood(Hypothesis("sails", 0.6), Hypothesis("sales", 0.3), Hypothesis("operator", 0.25))
    assert one.meant == [("matched", "sales")]
    assert one.tries[0].recognition is not None
    assert len(one.tries[0].recognition.hypotheses) == 3


def test_what_is_too_unlikely_is_not_it() -> None:
    one = caller(replace(SETTINGS, min_confidence=0.2))
    one.begins_to_speak()
    one.is_understood(Hypothesis("sails", 0.6), Hypothesis("sales", 0.1))
    assert one.meant == [("no_match", None)]


def test_a_short_word_counts_although_nobody_saw_it_begin() -> None:
    one = caller()
    one.hears_all()
    one.is_understood(Hypothesis("sales", 0.7))
    assert one.meant == [("matched", "sales")]


def test_a_noise_in_the_prompt_is_listened_past() -> None:
    one = caller()
    one.is_understood(Hypothesis("sales", 0.7))
    assert one.tries == []
    assert one.asks[2:] == [BeginListening()]
    one.says("operator")
    assert one.meant == [("matched", "operator")]


def test_noises_without_end_are_not_listened_to_for_ever() -> None:
    one = caller()
    for _ in range(1_000):
        one.is_understood()
    assert len(one.asks) < 50
    assert not one.listening
    one.hears_all()
    one.says("sales")
    assert one.meant == [("matched", "sales")]


# Keys and speech. ------------------------------------------------------------------------------------------


def test_the_first_key_ends_listening() -> None:
    one = caller()
    one.hears_all()
    one.presses("2")
    assert one.asks[-1] == EndListening()
    one.waits(3.0)
    assert one.outcomes == [("matched", "2")]


def test_a_key_wins_although_the_caller_speaks() -> None:
    one = caller()
    one.begins_to_speak()
    one.presses("2")
    assert not one.listening
    one.waits(2.9)
    assert one.tries == []
    one.waits(0.2)
    assert one.outcomes == [("matched", "2")]


def test_a_useless_key_ends_the_try_that_the_caller_speaks_in() -> None:
    one = caller()
    one.hears_all()
    one.begins_to_speak()
    one.presses("7")
    assert one.outcomes == [("no_match", "7")]
    one.says("sales")
    assert one.meant[-1] == ("matched", "sales")


def test_the_finish_key_alone_ends_listening_too() -> None:
    one = caller()
    one.hears_all()
    one.begins_to_speak()
    one.presses("#")
    assert one.meant == [("no_input", None)]


def test_keys_typed_ahead_need_nobody_who_listens() -> None:
    one = caller(typed="2")
    assert one.asks == []
    one.waits(3.0)
    assert one.outcomes == [("matched", "2")]
    assert not one.listening


def test_a_key_in_a_prompt_that_it_must_not_cut_wins_when_speech_cuts_it() -> None:
    one = caller(replace(SETTINGS, barge_in=False))
    one.presses("1")
    assert one.tries == []
    one.begins_to_speak()
    assert one.asks[2] == CutPrompt()
    assert one.outcomes == [("matched", "1")]


def test_a_useless_key_in_such_a_prompt_leaves_one_who_listens_in_the_next_try() -> None:
    one = caller(replace(SETTINGS, barge_in=False))
    one.presses("7")
    one.begins_to_speak()
    assert one.outcomes == [("no_match", "7")]
    assert one.prompts[-1].try_no == 2
    assert one.listening
    assert one.input.next_timer() is None


def test_a_useless_key_in_a_prompt_that_nothing_cuts_is_followed_by_a_prompt_without_listening() -> None:
    one = caller(replace(SETTINGS, barge_in=False, barge_in_speech=False))
    one.presses("7")
    one.hears_all()
    assert one.outcomes == [("no_match", "7")]
    assert not one.listening


# Nobody hears. ---------------------------------------------------------------------------------------------


def test_without_a_recogniser_keys_can_be_pressed() -> None:
    one = caller()
    one.is_not_heard("there is no capacity")
    assert one.lost == [HearingLost("there is no capacity", given_up=False)]
    one.hears_all()
    one.presses("1")
    assert one.outcomes == [("matched", "1")]


def test_the_silence_goes_on_counting_when_the_recogniser_dies() -> None:
    one = caller()
    one.hears_all()
    one.waits(3.0)
    one.is_not_heard()
    one.waits(2.1)
    assert one.meant == [("no_input", None)]


def test_who_was_speaking_when_it_died_has_the_time_again() -> None:
    one = caller()
    one.hears_all()
    one.waits(3.0)
    one.begins_to_speak()
    one.is_not_heard()
    one.waits(4.9)
    assert one.tries == []
    one.waits(0.2)
    assert one.meant == [("no_input", None)]


def test_the_next_try_listens_again() -> None:
    one = caller()
    one.is_not_heard()
    one.hears_all()
    one.waits(5.0)
    assert one.listening
    one.says("sales")
    assert one.meant[-1] == ("matched", "sales")


def test_where_only_speech_answers_the_input_is_given_up() -> None:
    one = caller(keys=None)
    one.is_not_heard("it died")
    assert one.lost == [HearingLost("it died", given_up=True)]
    assert one.input.over
    assert one.input.result is None
    assert one.input.next_timer() is None


def test_a_result_that_never_comes_is_a_failure() -> None:
    one = caller()
    one.hears_all()
    one.begins_to_speak()
    one.waits(SETTINGS.longest_speech + SETTINGS.speech_timeout + LATE - 0.1)
    assert one.lost == []
    one.waits(0.2)
    assert [lost.given_up for lost in one.lost] == [False]
    assert not one.listening
    one.waits(5.0)
    assert one.meant == [("no_input", None)]


def test_a_result_that_never_comes_where_only_speech_answers() -> None:
    one = caller(keys=None)
    one.begins_to_speak()
    one.waits(60.0)
    assert [lost.given_up for lost in one.lost] == [True]
    assert not one.listening


# Without keys. ---------------------------------------------------------------------------------------------


def test_keys_that_are_of_no_use_are_kept_for_the_next_step() -> None:
    one = caller(keys=None)
    one.presses("12")
    assert one.asks == [PlayPrompt(1), BeginListening(with_prompt=True)]
    one.says("sales")
    assert one.meant == [("matched", "sales")]
    assert one.left_over == "12"


def test_keys_typed_ahead_do_not_skip_what_only_speech_answers() -> None:
    one = caller(keys=None, typed="1")
    assert one.asks == [PlayPrompt(1), BeginListening(with_prompt=True)]
    one.hears_all()
    one.waits(5.0)
    assert one.meant == [("no_input", None)]


# Whatever happens. -----------------------------------------------------------------------------------------

HAPPENINGS = st.lists(
    st.one_of(
        st.sampled_from("0123456789*#"),
        st.floats(0.0, 10.0),
        st.sampled_from(["the prompt ends", "speech begins", "sales", "hamburger", "nothing", "unsure", "it dies"]),
    ),
    max_size=60,
)


@given(
    happenings=HAPPENINGS,
    typed=st.text("0123456789*#", max_size=5),
    tries=st.integers(1, 4),
    barge_in=st.booleans(),
    barge_in_speech=st.booleans(),
    clear=st.booleans(),
    finish_key=st.sampled_from(["#", "2", None]),
    keys=st.booleans(),
)
def test_whatever_happens_it_comes_to_one_end(
    happenings: list[str | float],
    typed: str,
    tries: int,
    barge_in: bool,
    barge_in_speech: bool,
    clear: bool,
    finish_key: str | None,
    keys: bool,
) -> None:
    settings = InputSettings(
        tries=tries,
        barge_in=barge_in,
        barge_in_speech=barge_in_speech,
        type_ahead="clear" if clear else "keep",
        finish_key=finish_key,
    )
    one = caller(settings, typed, MENU if keys else None)
    for happens in happenings:
        match happens:
            case float():
                one.waits(happens)
            case "the prompt ends":
                one.hears_all()
            case "speech begins":
                one.begins_to_speak()
            case "sales" | "hamburger":
                one.is_understood(Hypothesis(str(happens), 0.9))
            case "nothing":
                one.is_understood()
            case "unsure":
                one.is_understood(Hypothesis("sales", 0.1))
            case "it dies":
                one.is_not_heard()
            case str():
                one.presses(happens)
        assert one.input.over or one.input.next_timer() is not None or one.prompts, "something can still happen"
        if one.tries and one.tries[-1].keys and one.tries[-1].understood is not None:
            pytest.fail("keys and speech answered the same try")
    for _ in range(2 * tries):
        one.hears_all()
        one.waits(60.0)
    assert one.input.over
    assert not one.listening, "nobody listens any more"
    assert one.input.next_timer() is None
    given_up = [lost for lost in one.lost if lost.given_up]
    last = [over for over in one.tries if over.last]
    assert len(given_up) + len(last) == 1, "exactly one end"
    assert (one.input.result is not None) is bool(last)
    assert len(one.tries) <= tries
    assert [over.try_no for over in one.tries] == list(range(1, len(one.tries) + 1))
    for over in one.tries:
        assert over.outcome != "matched" or over.last
        if over.understood is not None:
            assert (over.outcome, over.match) == ("matched", "sales")
