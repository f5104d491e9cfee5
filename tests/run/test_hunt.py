"""Ringing parties until one answers."""

from __future__ import annotations

from itertools import count
from typing import Literal

import pytest

from gateway.call import KeyPressed, LegAnswered, LegEnded, LegFailed, LegOutcome, LegRinging, PlayEnded, Target
from ivr.flow.nodes.dialling import Strategy
from ivr.run.acceptance import PAUSE, Terms
from ivr.run.actions import Action, Dial, Drop, OfferEnded, OfferStarted, PlayRecording, Whisper
from ivr.run.events import PlayFailed
from ivr.run.hunt import Hunt, Member, RingStep, outcome_of, steps_of

ANNA, BEN, CARL = Target("sip", "2001"), Target("sip", "2002"), Target("sip", "2003")


def hunt(*members: Member, strategy: Strategy = "all", terms: Terms | None = None) -> Hunt:
    legs, plays = count(1), count(1)
    return Hunt(
        steps_of(members, strategy, lambda targets: targets[::-1]),
        ring=20.0,
        new_leg=lambda: f"leg{next(legs)}",
        terms=terms,
        new_play=lambda: next(plays),
    )


def rung(actions: list[Action]) -> list[Target]:
    return [action.target for action in actions if isinstance(action, Dial)]


def test_all_are_rung_at_once() -> None:
    ringing = hunt(ANNA, BEN)
    assert ringing.start(0.0) == [
        OfferStarted("leg1", ANNA),
        Dial("leg1", ANNA),
        OfferStarted("leg2", BEN),
        Dial("leg2", BEN),
    ]
    assert ringing.next_timer() == 20.0


def test_the_first_answer_wins_and_the_others_ring_until_it_is_connected() -> None:
    ringing = hunt(ANNA, BEN, CARL)
    ringing.start(0.0)
    assert ringing.handle(LegAnswered("leg2"), 3.0) == [OfferEnded("leg2", "answered")]
    assert (ringing.outcome, ringing.winner) == ("answered", "leg2")
    assert ringing.connected() == [
        Drop("leg1", "answered_elsewhere"),
        OfferEnded("leg1", "cancelled"),
        Drop("leg3", "answered_elsewhere"),
        OfferEnded("leg3", "cancelled"),
    ]
    assert ringing.next_timer() is None


def test_of_two_answers_the_second_loses() -> None:
    ringing = hunt(ANNA, BEN)
    ringing.start(0.0)
    ringing.handle(LegAnswered("leg2"), 3.0)
    assert ringing.handle(LegAnswered("leg1"), 3.0) == [
        Drop("leg1", "answered_elsewhere"),
        OfferEnded("leg1", "cancelled"),
    ]
    assert ringing.winner == "leg2"
    assert ringing.connected() == []


def test_a_winner_who_vanishes_before_he_is_connected_leaves_the_others_ringing() -> None:
    ringing = hunt(ANNA, BEN)
    ringing.start(0.0)
    ringing.handle(LegAnswered("leg1"), 3.0)
    assert ringing.handle(LegEnded("leg1", "network"), 3.1) == []
    assert (ringing.outcome, ringing.winner) == (None, None)
    ringing.handle(LegAnswered("leg2"), 5.0)
    assert ringing.winner == "leg2"


def test_in_order_one_rings_after_the_other() -> None:
    ringing = hunt(ANNA, BEN, strategy="order")
    assert rung(ringing.start(0.0)) == [ANNA]
    assert ringing.handle_timer(19.9) == []
    assert ringing.handle_timer(20.0) == [
        Drop("leg1", "no_answer"),
        OfferEnded("leg1", "no_answer"),
        OfferStarted("leg2", BEN),
        Dial("leg2", BEN),
    ]
    assert ringing.next_timer() == 40.0
    ringing.handle_timer(40.0)
    assert ringing.outcome == "no_answer"


def test_in_order_a_busy_seat_costs_no_time() -> None:
    ringing = hunt(ANNA, BEN, strategy="order")
    ringing.start(0.0)
    assert rung(ringing.handle(LegFailed("leg1", "busy"), 0.1)) == [BEN]


def test_a_winner_who_vanishes_sends_the_call_to_the_next_in_order() -> None:
    ringing = hunt(ANNA, BEN, strategy="order")
    ringing.start(0.0)
    ringing.handle(LegAnswered("leg1"), 1.0)
    assert rung(ringing.handle(LegEnded("leg1", "agent"), 1.1)) == [BEN]


def test_when_the_caller_leaves_everybody_stops_ringing() -> None:
    ringing = hunt(ANNA, BEN)
    ringing.start(0.0)
    ringing.handle(LegAnswered("leg1"), 1.0)
    assert ringing.cancel() == [Drop("leg1", "ended"), Drop("leg2", "cancelled"), OfferEnded("leg2", "cancelled")]


def test_nobody_to_ring_is_failed() -> None:
    ringing = hunt()
    assert ringing.start(0.0) == []
    assert ringing.outcome == "failed"


def test_events_of_other_legs_are_passed_over() -> None:
    ringing = hunt(ANNA)
    ringing.start(0.0)
    for event in (LegAnswered("other"), LegFailed("other", "busy"), LegEnded("other", "agent"), LegRinging("leg1")):
        assert ringing.handle(event, 1.0) == []
    assert ringing.outcome is None


@pytest.mark.parametrize(
    ("outcomes", "whole"),
    [
        ([], "failed"),
        (["offline", "offline"], "offline"),
        (["failed"], "failed"),
        (["failed", "offline"], "failed"),
        (["busy", "busy"], "busy"),
        (["busy", "offline"], "busy"),
        (["refused", "failed"], "refused"),
        (["no_answer"], "no_answer"),
        (["busy", "refused"], "busy"),
        (["busy", "no_answer", "offline"], "no_answer"),
    ],
)
def test_what_nobody_answering_comes_to(outcomes: list[LegOutcome], whole: LegOutcome) -> None:
    assert outcome_of(outcomes) == whole


# In steps. ------------------------------------------------------------------------------------------------


def test_one_step_after_the_other() -> None:
    ringing = hunt(RingStep((ANNA, BEN)), CARL, strategy="steps")
    assert rung(ringing.start(0.0)) == [ANNA, BEN]
    assert rung(ringing.handle(LegFailed("leg1", "busy"), 1.0)) == []
    assert rung(ringing.handle_timer(20.0)) == [CARL]
    ringing.handle(LegFailed("leg3", "busy"), 21.0)
    assert ringing.outcome == "no_answer"


def test_a_step_that_joins_those_who_ring_already() -> None:
    ringing = hunt(ANNA, RingStep((BEN, CARL), after=10.0), strategy="steps")
    ringing.start(0.0)
    assert ringing.next_timer() == 10.0
    assert rung(ringing.handle_timer(10.0)) == [BEN, CARL]
    assert ringing.next_timer() == 20.0
    assert Drop("leg1", "no_answer") in ringing.handle_timer(20.0)
    ringing.handle(LegAnswered("leg3"), 25.0)
    assert (ringing.outcome, ringing.winner) == ("answered", "leg3")
    assert Drop("leg2", "answered_elsewhere") in ringing.connected()


def test_nobody_waits_for_a_step_when_nobody_rings() -> None:
    ringing = hunt(ANNA, RingStep((BEN,), after=10.0), CARL, strategy="steps")
    ringing.start(0.0)
    assert rung(ringing.handle(LegFailed("leg1", "busy"), 3.0)) == [BEN]
    assert ringing.next_timer() == 23.0


def test_no_step_begins_once_somebody_has_answered() -> None:
    ringing = hunt(ANNA, RingStep((BEN,), after=10.0), strategy="steps")
    ringing.start(0.0)
    ringing.handle(LegAnswered("leg1"), 9.0)
    assert ringing.next_timer() is None
    assert ringing.handle_timer(10.0) == []


@pytest.mark.parametrize(
    ("strategy", "first"),
    [("all", [ANNA, BEN, CARL]), ("order", [ANNA]), ("random", [CARL]), ("steps", [ANNA, BEN])],
)
def test_how_a_group_with_steps_is_rung(strategy: Strategy, first: list[Target]) -> None:
    ringing = hunt(RingStep((ANNA, BEN)), RingStep((CARL,), after=5.0), strategy=strategy)
    assert rung(ringing.start(0.0)) == first
    assert (ringing.next_timer() == 5.0) == (strategy == "steps")


# Asked before they get the call. --------------------------------------------------------------------------

WHISPER = (PlayRecording("new_call", "en"),)
KEY = Terms(WHISPER, "1", 10.0)


def asked(*members: Member, terms: Terms = KEY, strategy: Strategy = "all") -> Hunt:
    """The first has answered."""
    ringing = hunt(*members, terms=terms, strategy=strategy)
    ringing.start(0.0)
    assert ringing.handle(LegAnswered("leg1"), 3.0) == [Whisper("leg1", 1, WHISPER)]
    assert (ringing.outcome, ringing.winner) == (None, None)
    return ringing


def test_without_a_key_the_end_of_the_whisper_connects() -> None:
    ringing = asked(ANNA, terms=Terms(WHISPER))
    assert ringing.next_timer() is None
    assert ringing.handle(KeyPressed("7", leg_id="leg1"), 4.0) == []
    assert ringing.handle(PlayEnded(9, 1000, True), 5.0) == []
    assert ringing.handle(PlayEnded(1, 1000, True, "leg1"), 5.0) == [OfferEnded("leg1", "answered")]
    assert (ringing.outcome, ringing.winner) == ("answered", "leg1")


@pytest.mark.parametrize("after", [False, True])
def test_the_key_takes_the_call_while_or_after_the_whisper(after: bool) -> None:
    ringing = asked(ANNA)
    if after:
        assert ringing.handle(PlayEnded(1, 1000, True, "leg1"), 5.0) == []
    assert ringing.handle(KeyPressed("1"), 6.0) == [], "the caller's key is not the party's"
    assert ringing.handle(KeyPressed("1", leg_id="leg1"), 6.0) == [OfferEnded("leg1", "answered")]
    assert ringing.winner == "leg1"
    assert ringing.handle(KeyPressed("1", "info", leg_id="leg1"), 6.0) == []


def test_another_key_refuses() -> None:
    ringing = asked(ANNA)
    assert ringing.handle(KeyPressed("2", leg_id="leg1"), 6.0) == [
        Drop("leg1", "refused"),
        OfferEnded("leg1", "refused"),
    ]
    assert ringing.outcome == "refused"


def test_a_mailbox_presses_nothing() -> None:
    ringing = asked(ANNA)
    ringing.handle(PlayEnded(1, 1000, True, "leg1"), 5.0)
    assert ringing.next_timer() == 5.0 + PAUSE
    assert ringing.handle_timer(5.0 + PAUSE) == [Whisper("leg1", 2, WHISPER)]
    ringing.handle(PlayEnded(2, 1000, True, "leg1"), 10.0)
    ringing.handle_timer(13.0)
    assert ringing.next_timer() == 15.0, "the time counts from the end of the first whisper"
    assert ringing.handle_timer(15.0)[0] == Drop("leg1", "refused")
    assert ringing.outcome == "refused"


@pytest.mark.parametrize(("by", "outcome"), [("agent", "no_answer"), ("network", "failed")])
def test_one_who_hangs_up_in_the_whisper_has_not_answered(by: Literal["agent", "network"], outcome: str) -> None:
    ringing = asked(ANNA)
    assert ringing.handle(LegEnded("leg1", by), 4.0) == [OfferEnded("leg1", outcome)]  # type: ignore[arg-type]
    assert ringing.outcome == outcome
    assert ringing.next_timer() is None


def test_whoever_presses_first_wins_not_who_answers_first() -> None:
    ringing = asked(ANNA, BEN, CARL)
    assert ringing.handle(LegAnswered("leg2"), 4.0) == [Whisper("leg2", 2, WHISPER)]
    assert ringing.handle(KeyPressed("1", leg_id="leg2"), 5.0) == [OfferEnded("leg2", "answered")]
    assert ringing.handle(KeyPressed("1", leg_id="leg1"), 5.1) == [
        Drop("leg1", "answered_elsewhere"),
        OfferEnded("leg1", "cancelled"),
    ]
    assert ringing.connected() == [Drop("leg3", "answered_elsewhere"), OfferEnded("leg3", "cancelled")]


def test_those_who_are_asked_are_dropped_when_another_is_connected() -> None:
    ringing = asked(ANNA, BEN)
    ringing.handle(LegAnswered("leg2"), 4.0)
    ringing.handle(KeyPressed("1", leg_id="leg2"), 5.0)
    assert ringing.connected() == [Drop("leg1", "answered_elsewhere"), OfferEnded("leg1", "cancelled")]


def test_when_the_caller_leaves_those_who_are_asked_stop_too() -> None:
    ringing = asked(ANNA, BEN)
    assert ringing.cancel() == [
        Drop("leg2", "cancelled"),
        OfferEnded("leg2", "cancelled"),
        Drop("leg1", "cancelled"),
        OfferEnded("leg1", "cancelled"),
    ]


def test_in_order_the_next_rings_when_one_refuses_and_not_before() -> None:
    ringing = asked(ANNA, BEN, strategy="order")
    assert ringing.handle_timer(25.0) == [], "the ring time is over, the question is not"
    assert rung(ringing.handle(KeyPressed("9", leg_id="leg1"), 26.0)) == [BEN]


def test_a_whisper_that_cannot_be_played_is_taken_as_heard() -> None:
    ringing = asked(ANNA, terms=Terms(WHISPER))
    ringing.handle(PlayFailed(1, "no such file", "leg1"), 4.0)
    assert ringing.winner == "leg1"
    ringing = asked(ANNA)
    ringing.handle(PlayFailed(1, "no such file", "leg1"), 4.0)
    ringing.handle_timer(14.0)
    assert ringing.outcome == "refused"
