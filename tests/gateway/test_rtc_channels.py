"""Channels of RTC clients: who may join a call by its channel's name, and what is left when the call is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.call import CallerLeft, CallEvent, LegAnswered, Target
from tests.gateway.exchange import Exchange, Owned
from tests.gateway.webphone import WebPhone, web_exchange
from tests.peers.patience import until

Phones = Callable[[str], WebPhone]


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    exchange = web_exchange(tmp_path, max_calls=3)

    def puts_through(owned: Owned) -> None:
        """To whom was called, as a direct call is."""

        def react(event: CallEvent) -> None:
            if isinstance(event, LegAnswered):
                owned.call.answer()
                owned.call.connect("leg1")
            elif isinstance(event, CallerLeft):
                owned.call.hangup()

        owned.react = react
        owned.call.dial("leg1", Target("rtc", owned.call.did))

    exchange.greets = puts_through
    yield exchange
    exchange.close()


@pytest.fixture
def phone(exchange: Exchange) -> Iterator[Phones]:
    phones: list[WebPhone] = []

    def log_in(user: str) -> WebPhone:
        phones.append(WebPhone(exchange, user))
        return phones[-1]

    yield log_in
    for each in phones:
        each.close()


def talking(alice: WebPhone, bob: WebPhone, **fields: str) -> str:
    """The channel in which the two talk."""
    invitation, rtc = alice.calls("bob", **fields)
    invited = bob.hears("invited")
    bob.connects(bob.takes(invited))
    alice.hears("invitation", invitation=invitation, state="accepted")
    alice.connects(rtc)
    return str(invited["channel"])


def test_who_knows_the_channel_is_let_in_and_all_leave_with_the_caller(exchange: Exchange, phone: Phones) -> None:
    alice, bob, carol = phone("alice"), phone("bob"), phone("carol")
    channel = talking(alice, bob)
    invitation, rtc = carol.calls("bob", channel=channel)
    carol.hears("invitation", invitation=invitation, state="accepted")
    carol.connects(rtc)
    assert len(exchange.owned) == 1
    alice.asks("hangup", invitation=alice.hears("invitation", state="accepted")["invitation"])
    carol.hears("ended", invitation=invitation)
    until(lambda: not exchange.do(exchange.gateway.sizes)["rtc_channels"], "a channel without a call")


def test_a_long_name_of_ones_own_can_be_joined(exchange: Exchange, phone: Phones) -> None:
    channel = "meeting-" + "7f" * 10
    talking(phone("alice"), phone("bob"), channel=channel)
    carol = phone("carol")
    invitation = carol.calls("bob", channel=channel)[0]
    carol.hears("invitation", invitation=invitation, state="accepted")
    assert len(exchange.owned) == 1


def test_a_name_that_may_be_guessed_lets_nobody_in(exchange: Exchange, phone: Phones) -> None:
    talking(phone("alice"), phone("bob"), channel="meeting")
    mallory = phone("mallory")
    mallory.calls("dora", channel="meeting")
    # It is a call of his own, to somebody else.
    until(lambda: len(exchange.owned) == 2, "no call of his own")


def test_there_is_no_room_beyond_the_limits_by_joining_either(exchange: Exchange, phone: Phones) -> None:
    channel = talking(phone("alice"), phone("bob"))
    others = [phone("carol"), phone("dave")]
    for other in others:
        other.invites("nobody")
    until(lambda: len(exchange.owned) == 3, "the calls do not come in")
    eve = phone("eve")
    invitation = eve.invites("bob", channel=channel)
    assert eve.hears("invitation", invitation=invitation, state="refused")["status"] == 503
