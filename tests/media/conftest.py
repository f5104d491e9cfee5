"""A media engine on the loopback, far ends for it, and a watch that waits for its events."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from gateway.media.engine import MediaEngine, MediaEvent
from tests.media.rtp_peer import PATIENCE_S, RtpPeer

Event = TypeVar("Event", bound=MediaEvent)

PORTS = (20000, 29999)


class Watch:
    """Collects an engine's events; tests wait for them here."""

    def __init__(self, engine: MediaEngine) -> None:
        self._engine = engine
        self.events: list[MediaEvent] = []

    def waits_for(self, wanted: Callable[[list[MediaEvent]], bool], *, patience_s: float = PATIENCE_S) -> None:
        until = time.monotonic() + patience_s
        while True:
            self.events += self._engine.events()
            if wanted(self.events):
                return
            left = until - time.monotonic()
            assert left > 0, f"only these came: {self.events[-20:]}"
            select.select([self._engine.event_fd], [], [], left)

    def all_of(self, kind: type[Event], count: int = 1) -> list[Event]:
        """Every event of the kind, once there are ``count``."""
        self.waits_for(lambda events: sum(isinstance(event, kind) for event in events) >= count)
        return [event for event in self.events if isinstance(event, kind)]

    def one(self, kind: type[Event]) -> Event:
        (event,) = self.all_of(kind)
        return event

    def none_more(self, kind: type[Event], count: int) -> None:
        """What was still to come has come, and there are just ``count``; call it when nothing is on its way."""
        self.events += self._engine.events()
        assert sum(isinstance(event, kind) for event in self.events) == count, self.events


def wait_until(true: Callable[[], bool], *, patience_s: float = PATIENCE_S) -> None:
    """For what no event tells of: look again every few milliseconds."""
    until = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.005)


EngineMaker = Callable[..., MediaEngine]


@pytest.fixture
def make_engine() -> Iterator[EngineMaker]:
    with contextlib.ExitStack() as stack:

        def make(**settings: Any) -> MediaEngine:
            values: dict[str, Any] = {"address": "127.0.0.1", "ports": PORTS, "rest_s": 0.0}
            engine = MediaEngine(**values | settings)
            stack.callback(engine.close)
            engine.start()
            return engine

        yield make


@pytest.fixture
def engine(make_engine: EngineMaker) -> MediaEngine:
    return make_engine()


@pytest.fixture
def watch(engine: MediaEngine) -> Watch:
    return Watch(engine)


PeerMaker = Callable[..., RtpPeer]


@pytest.fixture
def make_peer() -> Iterator[PeerMaker]:
    with contextlib.ExitStack() as stack:

        def make(*arguments: Any, **settings: Any) -> RtpPeer:
            peer = RtpPeer(*arguments, **settings)
            stack.callback(peer.close)
            return peer

        yield make


@pytest.fixture
def peer(make_peer: PeerMaker) -> RtpPeer:
    return make_peer()
