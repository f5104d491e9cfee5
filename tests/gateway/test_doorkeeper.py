"""Strangers who want too much: what is read of them, and which of their calls are taken."""

from __future__ import annotations

import logging

import pytest

from gateway.doorkeeper import Doorkeeper, Patience

INVITE = b"INVITE sip:1000@example.com SIP/2.0\r\n"
BYE = b"BYE sip:1000@example.com SIP/2.0\r\n"
HOSTILE, QUIET = "192.0.2.66", "192.0.2.1"
PATIENCE = Patience(messages_per_second=10, refusals=5, refusals_per_second=1, deaf_for=30, in_call_per_second=2)


def door(max_calls: int = 100, calls_per_second: float = 10.0) -> Doorkeeper:
    return Doorkeeper(max_calls=max_calls, calls_per_second=calls_per_second, patience=PATIENCE)


def test_more_messages_than_a_second_holds_are_not_read() -> None:
    keeper = door()
    assert [keeper.reads(HOSTILE, INVITE, 0.0) for _ in range(12)] == [True] * 10 + [False] * 2
    assert keeper.unread == 2
    assert keeper.reads(QUIET, INVITE, 0.0)
    assert [keeper.reads(HOSTILE, INVITE, 0.1) for _ in range(2)] == [True, False]


def test_whoever_is_refused_again_and_again_is_not_listened_to(caplog: pytest.LogCaptureFixture) -> None:
    keeper = door()
    with caplog.at_level(logging.WARNING):
        for _ in range(6):
            keeper.refused(HOSTILE, 404, 0.0)
    assert [record.getMessage() for record in caplog.records] == [f"{HOSTILE} was refused 6 times, is ignored for 30 s"]
    assert not keeper.reads(HOSTILE, INVITE, 1.0)
    assert [keeper.reads(HOSTILE, BYE, 1.0) for _ in range(3)] == [True, True, False]
    assert keeper.reads(QUIET, INVITE, 1.0)
    assert keeper.reads(HOSTILE, INVITE, 30.1)


def test_while_deaf_it_says_nothing_more(caplog: pytest.LogCaptureFixture) -> None:
    keeper = door()
    with caplog.at_level(logging.WARNING):
        for _ in range(200):
            keeper.refused(HOSTILE, 404, 0.0)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("status", [401, 407, 480, 486, 487, 488, 491, 503, 603])
def test_what_telephones_are_told_every_day_is_no_offence(status: int) -> None:
    keeper = door()
    for _ in range(50):
        keeper.refused(QUIET, status, 0.0)
    assert keeper.reads(QUIET, INVITE, 0.0)


def test_a_mistake_now_and_then_is_forgotten() -> None:
    keeper = door()
    for second in range(100):
        keeper.refused(QUIET, 404, float(second))
    assert keeper.reads(QUIET, INVITE, 100.0)


def test_calls_at_a_time_and_a_second() -> None:
    keeper = door(max_calls=3, calls_per_second=5)
    assert not keeper.takes(3, 1.0)
    assert keeper.takes(2, 1.0)
    assert [keeper.takes(0, 1.0) for _ in range(6)] == [True] * 4 + [False] * 2
    assert keeper.takes(0, 1.3)


def test_many_sources_are_not_all_remembered() -> None:
    keeper = Doorkeeper(max_calls=1, calls_per_second=1, patience=Patience(sources=10))
    for number in range(100):
        keeper.reads(f"192.0.2.{number}", INVITE, 0.0)
    assert len(keeper) == 10
