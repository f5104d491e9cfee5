"""Two user agents, owners that do anything at any time, and a network that loses, doubles and delays."""

from __future__ import annotations

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.sip.events import (
    Event,
    IncomingCall,
    SessionAnswered,
    SessionEnded,
    SessionEvent,
    SessionFailed,
)
from gateway.sip.session import Session
from gateway.sip.session_timer import SessionTimerSettings
from tests.sip.session_link import ANSWER, OFFER, Network, Packet, Phone, plain_config

pick = st.integers(0, 1000)


class Calls(RuleBasedStateMachine):
    """Whatever happens: one end for each session, nothing after it, and nothing is remembered for ever."""

    @initialize(seed=st.integers(0, 2**32), reliable=st.booleans(), timer=st.booleans())
    def begin(self, seed: int, reliable: bool, timer: bool) -> None:
        self.network = Network()
        self.network.keep_log = False
        self.rng = random.Random(seed)
        self.loss = 0.0
        self.network.fate = self.fate
        config = plain_config(
            offer_reliable_provisionals=reliable,
            session_timer=SessionTimerSettings(session_expires=90, enabled=timer),
        )
        self.phones = [Phone(self.network, f"192.0.2.{n}", config=config, seed=seed) for n in (1, 2)]
        self.sessions: list[tuple[Phone, Session]] = []
        self.over: set[int] = set()
        for phone in self.phones:
            phone.on_event = lambda event, phone=phone: self.heard(phone, event)

    def fate(self, packet: Packet) -> list[float]:
        if self.rng.random() < self.loss:
            return []
        late = self.rng.random() * self.loss * 3
        return [0.01 + late] * (2 if self.rng.random() < self.loss / 2 else 1)

    def heard(self, phone: Phone, event: Event) -> None:
        assert isinstance(event, SessionEvent)
        assert id(event.session) not in self.over, f"{event} after the end"
        if isinstance(event, IncomingCall):
            self.sessions.append((phone, event.session))
        elif isinstance(event, SessionFailed | SessionEnded):
            self.over.add(id(event.session))
            answered = event.session in [e.session for e in phone.told(SessionAnswered)]
            if not event.session.incoming:
                assert isinstance(event, SessionEnded) is answered

    def some(self, number: int) -> Session | None:
        return self.sessions[number % len(self.sessions)][1] if self.sessions else None

    @rule(number=pick, required=st.booleans())
    def call(self, number: int, required: bool) -> None:
        if len(self.sessions) < 30:
            caller = self.phones[number % 2]
            headers = [("Require", "100rel")] if required and caller.agent.config.offer_reliable_provisionals else []
            session = caller.calls(self.phones[1 - number % 2], "1000", headers=headers)
            self.sessions.append((caller, session))

    @rule(number=pick, early=st.booleans())
    def ring(self, number: int, early: bool) -> None:
        if (session := self.some(number)) is not None:
            session.ring(183 if early else 180, ANSWER if early else None)

    @rule(number=pick)
    def answer(self, number: int) -> None:
        if (session := self.some(number)) is not None:
            session.answer(ANSWER)

    @rule(number=pick)
    def reject(self, number: int) -> None:
        if (session := self.some(number)) is not None:
            session.reject(486)

    @rule(number=pick)
    def bye(self, number: int) -> None:
        if (session := self.some(number)) is not None:
            session.bye("SIP;cause=200")

    @rule(number=pick)
    def cancel(self, number: int) -> None:
        if (session := self.some(number)) is not None:
            session.cancel()

    @rule(number=pick)
    def offer(self, number: int) -> None:
        if (session := self.some(number)) is not None:
            session.offer(OFFER)

    @rule(number=pick, yes=st.booleans())
    def take_offer(self, number: int, yes: bool) -> None:
        if (session := self.some(number)) is not None:
            if yes:
                session.answer_offer(ANSWER)
            else:
                session.refuse_offer()

    @rule(seconds=st.sampled_from((0.0, 0.02, 0.1, 1.0, 5.0, 40.0)))
    def wait(self, seconds: float) -> None:
        self.network.run(seconds)

    @rule(loss=st.sampled_from((0.0, 0.3, 0.6)))
    def weather(self, loss: float) -> None:
        self.loss = loss

    @invariant()
    def bounded(self) -> None:
        for phone in getattr(self, "phones", ()):
            assert phone.agent.sizes()["sessions"] <= 60

    def teardown(self) -> None:
        if not hasattr(self, "phones"):
            return
        for _ in range(3):
            for _, session in list(self.sessions):
                session.bye()
            # Long enough for every timer, and for a call that was still on its way to arrive and be ended.
            self.network.run(100)
        assert {id(session) for _, session in self.sessions} == self.over
        for phone in self.phones:
            assert set(phone.agent.sizes().values()) == {0}, phone.agent.sizes()


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
