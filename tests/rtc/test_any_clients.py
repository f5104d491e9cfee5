"""Clients and a gateway that do anything at any time: the bookkeeping holds, and nothing is remembered for ever."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.rtc.events import (
    Event,
    HungUp,
    InvitationAccepted,
    InvitationCancelled,
    InvitationFailed,
    InvitationReceived,
    InvitationRefused,
)
from gateway.rtc.limits import Limits
from gateway.rtc.notifications import ENDINGS
from gateway.rtc.requests import REQUESTS
from tests.rtc.clients import ANSWER, OFFER, Client, Exchange
from tests.rtc.test_logins import NOTHING

pick = st.integers(0, 1000)
USERS = ("alice", "bob", "carol")
DEVICES = ("web", "desk")


class AnyClients(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.exchange = Exchange(Limits(logins_per_second=1000, devices=2, invitations=3, unconfirmed=40))
        self.exchange.on_event = self.told
        self.clients = [Client(self.exchange, user, device) for user in USERS for device in DEVICES]
        self.invitations: list[str] = []
        self.mine: set[str] = set()
        """Made by the gateway."""
        self.accepted: set[str] = set()
        self.over: set[str] = set()
        """Told over to the gateway, or ended by it: nothing may be told of these."""

    def told(self, event: Event) -> None:
        invitation = getattr(event, "invitation", None)
        if invitation is None:
            return
        assert invitation not in self.over, f"{event} after the end"
        match event:
            case InvitationReceived():
                assert invitation not in self.invitations
                self.invitations.append(invitation)
            case InvitationAccepted():
                assert invitation in self.mine
                assert invitation not in self.accepted
                self.accepted.add(invitation)
            case HungUp():
                assert invitation in self.accepted
                self.over.add(invitation)
            case InvitationRefused():
                assert invitation in self.mine - self.accepted
                self.over.add(invitation)
            case InvitationCancelled():
                assert invitation not in self.mine
                self.over.add(invitation)
            case InvitationFailed():
                assert invitation not in self.mine & self.accepted
                self.over.add(invitation)

    def client(self, number: int) -> Client:
        return self.clients[number % len(self.clients)]

    def invitation(self, number: int) -> str:
        return self.invitations[number % len(self.invitations)] if self.invitations else "none"

    @rule(number=pick)
    def comes(self, number: int) -> None:
        client = self.client(number)
        if client.connection is None:
            client.connect()
            client.logs_in()

    @rule(number=pick)
    def comes_back(self, number: int) -> None:
        client = self.client(number)
        if client.connection is None and client.session:
            client.connect()
            resume = {"session": client.session, "seq": client.seq}
            client.asks("login", token=client.user, device=client.device, resume=resume)

    @rule(number=pick)
    def is_lost(self, number: int) -> None:
        if self.client(number).connection is not None:
            self.client(number).loses_connection()

    @rule(number=pick, alive=st.booleans(), confirms=st.booleans())
    def behaves(self, number: int, alive: bool, confirms: bool) -> None:
        client = self.client(number)
        client.alive, client.confirms = alive, confirms

    @rule(number=pick, to=st.sampled_from(("1000", *USERS)))
    def calls(self, number: int, to: str) -> None:
        self.client(number).asks("invite", to=to, description=OFFER)

    @rule(number=pick, which=pick, kind=st.sampled_from(sorted(set(REQUESTS) - {"login", "ack"})))
    def asks(self, number: int, which: int, kind: str) -> None:
        invitation = self.invitation(which)
        fields: dict[str, dict[str, Any]] = {
            "ping": {},
            "logout": {},
            "presence.subscribe": {"users": list(USERS)},
            "presence.unsubscribe": {"users": [USERS[which % 3]]},
            "message": {"to": USERS[which % 3], "text": "hello"},
            "invite": {"to": "1000", "description": OFFER},
            "accept": {"invitation": invitation, "description": ANSWER},
            "media": {"invitation": invitation, "description": OFFER},
            "hold": {"invitation": invitation, "on": True},
            "keys": {"invitation": invitation, "keys": "1"},
            "refuse": {"invitation": invitation, "response": ("busy", "no")[which % 2]},
        }
        self.client(number).asks(kind, **fields.get(kind, {"invitation": invitation}))

    @rule(number=pick, which=pick)
    def ends_call(self, number: int, which: int) -> None:
        text = json.dumps({"Cmd": "EndCall", "Call": self.invitation(which)})
        self.client(number).asks("message", to="x", text=text)

    @rule(user=st.sampled_from(USERS))
    def is_called(self, user: str) -> None:
        found = self.exchange.agent.invite(user, caller="4711", sdp="v=0 offer")
        if isinstance(found, str):
            self.invitations.append(found)
            self.mine.add(found)
        self.exchange.flush()

    @rule(which=pick, what=st.sampled_from(("accept", "refuse", "fail", "cancel", "end", "progress", "describe")))
    def gateway(self, which: int, what: str) -> None:
        if not self.invitations:
            return
        invitation, agent = self.invitation(which), self.exchange.agent
        mine = invitation in self.mine
        over = invitation in self.over
        match what:
            case "accept":
                agent.accept(invitation, "hello")
                if not mine and not over:
                    self.accepted.add(invitation)
            case "refuse" | "fail" if not mine:
                if what == "refuse":
                    agent.refuse(invitation, "busy", 486)
                else:
                    agent.fail(invitation, "no_response")
                self.over.add(invitation)
            case "cancel" if mine:
                agent.cancel(invitation)
                self.over.add(invitation)
            case "end":
                agent.end(invitation)
                if invitation in self.accepted:
                    self.over.add(invitation)
            case "progress":
                agent.progress(invitation, ringing=True, early_media=False)
            case "describe":
                agent.describe(invitation, "answer", "v=0")
        self.exchange.flush()

    @rule(user=st.sampled_from(USERS))
    def is_logged_out(self, user: str) -> None:
        self.exchange.act("log_out", user)

    @rule(seconds=st.sampled_from((0.1, 3.0, 7.0, 31.0, 61.0)))
    def time_goes_by(self, seconds: float) -> None:
        self.exchange.run(seconds)

    @invariant()
    def the_calls_are_known(self) -> None:
        if not hasattr(self, "exchange"):
            return
        assert self.exchange.agent.sizes()["calls"] == len(set(self.invitations) - self.over)

    def teardown(self) -> None:
        if not hasattr(self, "exchange"):
            return
        for client in self.clients:
            client.alive = client.confirms = False
        self.exchange.run(130)
        assert set(self.invitations) == self.over
        assert self.exchange.agent.sizes() == NOTHING
        for client in self.clients:
            for message in client.heard:
                if message["type"] == "ended":
                    assert message["cause"] in ENDINGS


AnyClients.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestAnyClients = AnyClients.TestCase
