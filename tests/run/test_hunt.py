"""Ringing parties until one answers."""

from __future__ import annotations

from itertools import count

import pytest

from gateway.call import LegAnswered, LegEnded, LegFailed, LegOutcome, LegRinging, Target
from ivr.run.actions import Action, Dial, Drop, OfferEnded, OfferStarted
from ivr.run.hunt import Hunt, Strategy, outcome_of

ANNA, BEN, CARL = Target("sip", "2001"), Target("sip", "2002"), Target("sip", "2003")


def hunt(*targets: Target, strategy: Strategy = "all") -> Hunt:
    numbers = count(1)
    return Hunt(targets, ring=20.0, new_leg=lambda: f"leg{next(numbers)}", strategy=strategy)


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
