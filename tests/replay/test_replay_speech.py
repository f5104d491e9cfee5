"""Recorded calls of callers who spoke, done again: exact where the words suffice, and honest where they do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ivr.flow.model import Flow
from ivr.hearing import Hypothesis
from ivr.records.database import open_database
from ivr.records.recorded import RecordedCall, recorded_call
from ivr.replay.comparison import AGAIN, Change, Verdict, compare
from ivr.replay.driver import replay
from ivr.run.script import Script
from tests.records.test_recovery import write
from tests.replay.stage import acted, environment, events, flow
from tests.run.flows import HEAD, SHOP

SHOP_FLOW = flow(HEAD + SHOP)


def chose(name: str, form: str, confidence: float = 0.8) -> RecordedCall:
    """Somebody whose recogniser could hear nothing but what the menu listened for."""

    def story(call: Script) -> None:
        call.waits(0.5)
        call.speaks([Hypothesis(form, confidence, name)])
        call.waits(1.0)
        call.hangs_up()

    return acted(SHOP_FLOW, story)


def says(*words: str) -> RecordedCall:
    """Somebody whose words were written down, whatever they were."""

    def story(call: Script) -> None:
        for some in words:
            call.hears_all()
            call.says(some)
        call.waits(1.0)
        call.hangs_up()

    return acted(SHOP_FLOW, story)


def story_of_troubles(call: Script) -> None:
    call.hears_all()
    call.mumbles()
    call.hears_all()
    call.cannot_be_heard()
    call.presses("1")
    call.until_over()


RECORDED = {
    "chosen": chose("1", "new order"),
    "unsure": chose("0", "operator", 0.3),
    "free": says("sales please", "it rains"),
    "an intent": says("sales", "I want to buy a bicycle"),
    "digits": says("order", "1 2 3 5", "no that's wrong", "1235", "yes"),
    "troubles": acted(SHOP_FLOW, story_of_troubles),
}


@pytest.mark.parametrize("call", RECORDED.values(), ids=RECORDED)
def test_the_same_flow_leads_the_same_way(call: RecordedCall) -> None:
    found = replay(call, SHOP_FLOW, environment(SHOP_FLOW))
    assert (found.stop, found.reason) == (None, "")
    assert compare(call, found).outcome == "same"


@pytest.mark.parametrize("call", RECORDED.values(), ids=RECORDED)
def test_what_is_written_down_is_read_again(call: RecordedCall, tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/calls.db")
    write(engine, events(call))
    read = recorded_call(engine, call.call_id)
    assert read is not None
    assert [replace(step, detail={}) for step in read.steps] == [replace(step, detail={}) for step in call.steps]


def verdict(call: RecordedCall, old: str, new: str) -> Verdict:
    assert old in SHOP
    edited: Flow = flow(HEAD + SHOP.replace(old, new))
    return compare(call, replay(call, edited, environment(edited)))


def test_a_word_that_leads_elsewhere() -> None:
    found = verdict(RECORDED["chosen"], "[sales, new order], go: sales", "[sales, new order], go: number")
    assert found.change == Change("sample", "welcome", "menu, said 1", "sales", "number")


def test_a_word_that_is_on_another_key() -> None:
    new = "'1': {say: [sales], go: sales}\n          '7': {say: [new order], go: number}"
    found = verdict(RECORDED["chosen"], "'1': {say: [sales, new order], go: sales}", new)
    assert found.change == Change("sample", "welcome", "menu, said 1", "sales", "number")


def test_a_word_more_changes_nothing() -> None:
    assert verdict(RECORDED["chosen"], "[sales, new order]", "[sales, new order, purchase]").outcome == "same"


def test_what_a_recogniser_would_choose_now_is_not_known() -> None:
    found = verdict(RECORDED["chosen"], "[sales, new order]", "[sales, purchase]")
    reason = "block welcome listens for other words than it did when 'new order' was heard there"
    assert (found.outcome, found.reason) == ("unknown", reason)


def test_free_words_are_looked_at_again() -> None:
    found = verdict(RECORDED["free"], "hire: {say: [hire, rent], go: bye}", "hire: {say: [rain, it rains], go: number}")
    assert found.change == Change("sample", "sales", "ask, said", "bye", "number")


def test_where_nobody_listens_any_more_he_is_asked_again() -> None:
    found = verdict(RECORDED["digits"], "enter_order, digits: 4, check: order != '1234', speech: digits",
                    "enter_order, digits: 4, check: order != '1234'")  # fmt: skip
    assert found.change == Change("sample", "number", "confirm, said no", "number", AGAIN)


def test_a_lower_bar_lets_him_through() -> None:
    found = verdict(
        RECORDED["unsure"], "no_input: [still_there]", "no_input: [still_there]\n        min_confidence: 0.2"
    )
    assert found.change is not None
    assert (found.change.before, found.change.after) == ("the call ends", "operator")


def test_secrets_are_not_known() -> None:
    def story(call: Script) -> None:
        call.presses("5")
        call.waits(0.5)
        call.says("four seven one one")
        call.until_over()

    call = acted(SHOP_FLOW, story)
    found = compare(call, replay(call, SHOP_FLOW, environment(SHOP_FLOW)))
    assert (found.outcome, found.reason) == ("unknown", "what was answered in block secret is secret")
