"""RTC clients of a running gateway: what becomes of their calls when they go away, come back, or ask too much of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.gateway.calls import says_hello
from tests.gateway.exchange import Exchange
from tests.gateway.webphone import WebPhone, web_exchange
from tests.peers.patience import until

Phones = Callable[..., WebPhone]


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    exchange = web_exchange(tmp_path)
    yield exchange
    exchange.close()


@pytest.fixture
def phone(exchange: Exchange) -> Iterator[Phones]:
    phones: list[WebPhone] = []

    def log_in(user: str = "alice", device: str = "web") -> WebPhone:
        phones.append(WebPhone(exchange, user, device))
        return phones[-1]

    yield log_in
    for each in phones:
        each.close()


def test_a_browser_that_is_hung_up_on_is_told_by_dtls_too(exchange: Exchange, phone: Phones) -> None:
    exchange.greets = says_hello
    alice = phone()
    _, rtc = alice.calls("1000")
    alice.connects(rtc)
    exchange.takes().asks(lambda call: call.hangup())
    # Otherwise it would wait for consent to run out, if signalling were lost.
    until(lambda: rtc.getSenders()[0].transport.state == "closed", "no close_notify came")
    exchange.is_clean()
