"""A gateway for each test, and none left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.gateway.exchange import Exchange


@pytest.fixture
def open_exchange(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Exchange]]:
    """Makes gateways that differ from the usual one."""
    made: list[Exchange] = []

    def make(**config: Any) -> Exchange:
        made.append(Exchange(**config))
        return made[-1]

    yield make
    # Telephones that a test has left in a call answer no BYE.
    monkeypatch.setattr("gateway.server._FAREWELL", 0.1)
    for each in made:
        each.close()


@pytest.fixture
def exchange(open_exchange: Callable[..., Exchange]) -> Exchange:
    return open_exchange()
