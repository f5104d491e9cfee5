"""Calls in which callers speak: what is understood, what is written down, what comes of it when nobody can listen."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal

import pytest

from gateway.call import Answered, CallerLeft, KeyPressed
from ivr.flow.model import Flow
from ivr.hearing import Hypothesis, Phrase, Recognition
from ivr.run.actions import Listen, Play, StepRecord, StopListening
from ivr.run.environment import Environment
from ivr.run.events import HearingFailed, SpeechHeard, SpeechStarted
from ivr.run.flow_run import FlowRun
from ivr.run.script import A_CALLER, Script
from ivr.run.spoken import phrase_in
from tests.run.flows import SHOP, flow


@pytest.fixture(scope="module")
def shop() -> Flow:
    return flow(SHOP)


@pytest.fixture
def call(shop: Flow) -> Script:
    call = Script(shop)
    call.hears("main_menu")
    call.waits(0.3)
    return call


def spoken(call: Script) -> list[StepRecord]:
    return [record for record in call.records if record.input_mode == "speech"]


def asked(step: str, said: str, languages: str = "[en]") -> Script:
    """A call in which one step, with exits to ``bye``, gets one answer."""
    head = f"flow: sample\ntitle: Sample\nlanguages: {languages}\nstart: welcome\non_error: sorry\n"
    text = f"vars: {{{VARIABLES}}}\nblocks:\n  welcome:\n    - {step}\n  sorry: [hangup]\n  bye: [hangup]\n"
    call = Script(flow(text, head), A_CALLER)
    call.hears_all()
    call.says(said)
    return call


VARIABLES = "day: date, at: time, sure: yes_no, sum: money, n: number"


# What is understood. -----------------------------------------------------------------------------------------


def test_a_word_over_the_menu_chooses(call: Script) -> None:
    call.says("operator")
    assert call.path == ("welcome", "operator")
    assert call.heard[0].cut
    assert call.tags == {"by": "operator"}
    row = spoken(call)[0]
    assert (row.verb, row.exit, row.next_block) == ("menu", "0", "operator")
    assert (row.input, row.confidence, row.barged_in, row.try_no) == ("operator", 0.9, True, 1)
    assert row.heard_ms == 550
    assert row.detail == {
        "took_ms": 200,
        "speech_ms": 500,
        "alternatives": [{"text": "operator", "confidence": 0.9}],
    }


def test_a_word_within_a_sentence_chooses(call: Script) -> None:
    call.says("I would like to place a new order please")
    assert call.path == ("welcome", "sales")


def test_what_a_recogniser_chose_needs_no_words(shop: Flow) -> None:
    call = Script(shop)
    call.waits(0.3)
    call.speaks([Hypothesis("new order", 0.7, name="1"), Hypothesis("order", 0.2, name="2")])
    assert call.path == ("welcome", "sales")
    alternatives = (spoken(call)[0].detail or {})["alternatives"]
    assert alternatives == [
        {"text": "new order", "confidence": 0.7, "name": "1"},
        {"text": "order", "confidence": 0.2, "name": "2"},
    ]


def test_what_is_not_sure_is_asked_again(call: Script) -> None:
    call.says("operator", 0.3)
    call.hears("not_understood")
    row = spoken(call)[0]
    assert (row.input, row.confidence, row.exit, row.next_block) == ("operator", 0.3, "no_match", None)


def test_who_mumbles_is_asked_again_and_comes_to_the_operator(call: Script) -> None:
    for _ in range(3):
        call.mumbles()
        call.hears_all()
    assert call.path == ("welcome", "operator")
    rows = spoken(call)
    assert [(row.exit, row.input, row.confidence) for row in rows] == [
        ("no_match", None, None),
        ("no_match", None, None),
        ("failed", None, None),
    ]
    assert rows[0].detail == {"took_ms": 200, "speech_ms": 1000, "alternatives": []}


def test_a_key_wins_over_what_was_said(shop: Flow) -> None:
    run = FlowRun(shop, A_CALLER)
    run.start(0.0)
    listen = next(one for one in run.handle(Answered(), 0.1) if isinstance(one, Listen))
    assert run.handle(SpeechStarted(listen.listen_id), 1.0)
    actions = run.handle(KeyPressed("2", "rfc4733"), 1.5)
    assert StopListening(listen.listen_id) in actions
    assert run.last_block == "number"
    late = SpeechHeard(listen.listen_id, Recognition((Hypothesis("operator", 0.9),), 0, 500, 100))
    assert run.handle(late, 1.6) == []
    assert run.last_block == "number"


def test_what_listening_is_told_about(shop: Flow) -> None:
    run = FlowRun(shop, A_CALLER)
    run.start(0.0)
    listen = next(one for one in run.handle(Answered(), 0.1) if isinstance(one, Listen))
    wanted = listen.wanted
    assert (wanted.language, wanted.type, wanted.deaf_for, wanted.speech_timeout) == ("en", None, 0.3, 0.7)
    assert wanted.phrases == (
        Phrase("1", ("sales", "new order")),
        Phrase("2", ("order", "where is my order")),
        Phrase("0", ("operator",)),
    )


@pytest.mark.parametrize(
    ("words", "exit", "block"), [("I want to buy a bicycle", "buy", "number"), ("the weather is fine", "next", "bye")]
)
def test_intents_and_anything_else(words: str, exit: str, block: str, call: Script) -> None:
    call.says("sales")
    call.waits(0.3)
    call.says(words)
    assert call.path == ("welcome", "sales", block)
    assert call.run.variables["said"] == words
    assert spoken(call)[1].exit == exit


def test_keys_pressed_while_only_words_help_are_for_the_next_step(call: Script) -> None:
    call.says("sales")
    call.presses("1235")
    call.says("new bicycle")
    assert call.run.variables["order"] == "1235"


def test_digits_that_are_said_are_counted_and_checked(call: Script) -> None:
    call.says("order")
    for words, order in (("one two three", None), ("one two three four", None), ("one two three five", "1235")):
        call.waits(0.3)
        call.says(words)
        assert call.run.variables.get("order") == order
    assert [row.exit for row in spoken(call)[1:]] == ["no_match", "no_match", "next"]
    call.waits(0.3)
    call.says("yes that's right")
    assert call.path == ("welcome", "number", "bye")
    assert spoken(call)[-1].exit == "yes"


def test_no_is_no(call: Script) -> None:
    call.says("order")
    call.waits(0.3)
    call.says("1 2 3 5")
    call.waits(0.3)
    call.says("no that's wrong")
    assert call.path == ("welcome", "number", "number")


@pytest.mark.parametrize(
    ("speech", "variable", "said", "keys", "value"),
    [
        ("date", "day", "the fifth of march", "20260305", date(2026, 3, 5)),
        ("time", "at", "half past nine in the evening", "2130", time(21, 30)),
        ("yes_no", "sure", "yes please", "1", True),
        ("yes_no", "sure", "no", "2", False),
        ("money", "sum", "twelve dollars and fifty cents", None, Decimal("12.5")),
        ("number", "n", "two hundred and fifty", "250", Decimal(250)),
        ("number", "undeclared", "two hundred and fifty", "250", Decimal(250)),
    ],
)
def test_values_are_of_their_type_said_or_pressed(
    speech: str, variable: str, said: str, keys: str | None, value: object
) -> None:
    step = f"collect: {{into: {variable}, prompt: [], speech: {speech}, next: bye, failed: sorry}}"
    assert asked(step, said).run.variables[variable] == value
    if keys is not None:
        call = asked(step, "something else entirely")
        call.presses(f"{keys}#")
        assert call.run.variables[variable] == value


@pytest.mark.parametrize(
    ("speech", "variable", "keys"),
    [("date", "day", "20260231"), ("date", "day", "2026030"), ("time", "at", "2460"), ("yes_no", "sure", "3")],
)
def test_keys_that_are_no_such_value_are_no_match(speech: str, variable: str, keys: str) -> None:
    call = asked(
        f"collect: {{into: {variable}, prompt: [], speech: {speech}, next: bye, no_match: bye, failed: sorry}}", "hm"
    )
    call.presses(f"{keys}#")
    row = call.records[1]
    assert (row.input, row.exit, call.run.variables[variable]) == (keys, "no_match", None)


def test_the_words_of_the_call_s_language_are_listened_for() -> None:
    menu = "menu: {prompt: [], keys: {'1': {say: {en: sales, de: Verkauf}, go: bye}}, failed: sorry}"
    assert asked(menu, "Verkauf", "[de, en]").path == ("welcome", "bye")
    assert asked(menu, "sales", "[de, en]").path == ("welcome",)


def test_what_was_heard_is_there_for_expressions() -> None:
    menu = "menu: {prompt: [], keys: {'1': {say: sales, do: [{log: '{heard.confidence}'}], go: bye}}, failed: sorry}"
    assert asked(menu, "sales").logs == ["0.9"]


def test_the_last_answer_is_heard_only_if_it_was_said(call: Script) -> None:
    call.says("order")
    call.presses("1235")
    scope = call.run._talk.scope()
    assert (scope["input"], scope["heard.text"], scope["heard.confidence"]) == ("1235", None, None)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("sales", "1"),
        ("Sales!", "1"),
        ("the new order", "1"),
        ("order", "2"),
        ("where is my order", "2"),
        ("sales or the operator", None),
        ("operator where is my order", None),
        ("sailing", None),
        ("salesman", None),
        ("", None),
    ],
)
def test_phrases_within_a_text(said: str, name: str | None) -> None:
    phrases = (
        Phrase("1", ("sales", "new order")),
        Phrase("2", ("order", "where is my order")),
        Phrase("0", ("operator",)),
    )
    found = phrase_in(said, phrases, "en")
    assert (found.name if found else None) == name


def test_who_speaks_does_not_miss_hearing_something(call: Script) -> None:
    call.says("sales", seconds=9.0)
    # From the end of the speech to the next prompt.
    assert call.longest_silence()[1] == pytest.approx(0.7 + 0.2)


# Secrets. ----------------------------------------------------------------------------------------------------


def test_a_secret_that_was_said_is_nowhere(call: Script) -> None:
    call.presses("5")
    call.waits(0.3)
    call.says("four seven one two")
    call.waits(0.3)
    call.says("four seven one one")
    assert call.logs == ["heard nothing"]
    rows = spoken(call)
    assert [(row.exit, row.input, row.confidence, row.detail) for row in rows] == [
        ("no_match", None, 0.9, {"took_ms": 200}),
        ("next", None, 0.9, {"took_ms": 200}),
    ]
    told = repr((call.records, call.transcript, call.logs, call.run.variables))
    assert "seven" not in told
    assert "471" not in told


# Nobody can listen. ------------------------------------------------------------------------------------------


def test_without_a_recogniser_keys_do(shop: Flow) -> None:
    call = Script(shop)
    call.cannot_be_heard()
    call.hears("main_menu")
    call.waits(0.3)
    call.says("operator")
    assert any('says "operator": nobody listens' in line for line in call.transcript)
    call.presses("2")
    row = call.records[0]
    assert (row.input_mode, row.input, row.exit) == ("keys", "2", "2")
    assert row.error == "the caller cannot be heard: the test says so"
    assert row.detail == {"not_heard": "the test says so"}
    assert "keys only" in call.logs[0]


def test_where_no_language_is_heard_nobody_is_listened_to_and_keys_do(shop: Flow) -> None:
    run = FlowRun(shop, A_CALLER, environment=Environment(hears=lambda language: language == "ko"))
    run.start(0.0)
    actions = run.handle(Answered(), 0.1)
    assert any(isinstance(one, Play) for one in actions)
    assert not any(isinstance(one, Listen) for one in actions)
    run.handle(KeyPressed("2", "rfc4733"), 1.5)
    assert run.last_block == "number"


def test_where_only_words_help_the_step_fails(call: Script) -> None:
    call.says("sales")
    call.cannot_be_heard()
    assert call.path == ("welcome", "sales", "operator")
    row = call.records[1]
    assert (row.verb, row.exit, row.error) == ("ask", "failed", "the caller cannot be heard: the test says so")
    assert row.detail == {"not_heard": "the test says so"}
    assert not call.voice.listened_to


def test_a_recogniser_that_never_answers_costs_the_keys_nothing(shop: Flow) -> None:
    run = FlowRun(shop, A_CALLER)
    run.start(0.0)
    listen = next(one for one in run.handle(Answered(), 0.1) if isinstance(one, Listen))
    run.handle(SpeechStarted(listen.listen_id), 1.0)
    due = run.next_timer()
    assert due == pytest.approx(1.0 + 15.0 + 0.7 + 5.0)
    actions = run.handle_timer(due or 0.0)
    assert StopListening(listen.listen_id) in actions
    assert run.handle(HearingFailed(listen.listen_id, "too late"), 30.0) == []


def test_who_hangs_up_is_not_listened_to_any_more(shop: Flow) -> None:
    run = FlowRun(shop, A_CALLER)
    run.start(0.0)
    listen = next(one for one in run.handle(Answered(), 0.1) if isinstance(one, Listen))
    assert StopListening(listen.listen_id) in run.handle(CallerLeft("caller", "bye"), 1.0)
