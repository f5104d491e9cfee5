"""Reliable provisionals to a caller who requires them (RFC 3262), and calls whose time is over."""

from __future__ import annotations

import pytest

from gateway.sip.events import IncomingCall, SessionConfirmed, SessionEnded, SessionFailed
from gateway.sip.message import Response
from tests.sip.session_link import ANSWER, Network, Phone, Script, plain_config

REQUIRED = [("Require", "100rel")]


class Called:
    """A scripted peer has called the gateway, requiring reliable provisionals."""

    def __init__(self, **more: object) -> None:
        self.network = Network()
        self.gateway = Phone(self.network, "192.0.2.1", config=plain_config())
        self.peer = Script(self.network, "192.0.2.2")
        arguments: dict[str, object] = {"headers": REQUIRED, **more}
        self.peer.calls(self.gateway, **arguments)
        self.network.run(0.1)
        self.session = self.gateway.last(IncomingCall).session

    def pracks(self, response: Response, *, cseq: int = 2, rack: str | None = None) -> None:
        rack = rack or f"{response.headers.get('RSeq')} {response.cseq}"
        prack = self.peer.request("PRACK", self.gateway, cseq=cseq, to_tag=response.to.tag, headers=[("RAck", rack)])
        self.peer.says(prack, self.gateway)
        self.network.run(0.1)


@pytest.fixture
def called() -> Called:
    return Called()


def test_repeated_until_pracked(called: Called) -> None:
    called.session.ring()
    called.network.run(3.6)
    rings = called.peer.responses(180)
    assert len(rings) == 4
    assert "100rel" in rings[0].require
    called.pracks(rings[0])
    assert called.peer.responses(200, "PRACK")
    called.network.run(10)
    assert len(called.peer.responses(180)) == 4


def test_next_provisional_waits_for_the_prack(called: Called) -> None:
    called.session.ring()
    called.session.ring(183, ANSWER)
    called.network.run(0.1)
    assert not called.peer.responses(183)
    ring = called.peer.responses(180)[0]
    called.pracks(ring)
    early = called.peer.responses(183)[0]
    assert int(early.headers.get("RSeq") or 0) == int(ring.headers.get("RSeq") or 0) + 1
    assert early.body == ANSWER


def test_answer_waits_for_the_prack_and_is_not_said_twice(called: Called) -> None:
    called.session.ring(183, ANSWER)
    called.session.answer(ANSWER)
    called.network.run(0.1)
    assert not called.peer.responses(200, "INVITE")
    called.pracks(called.peer.responses(183)[0])
    answer = called.peer.responses(200, "INVITE")[0]
    assert answer.body == b""
    called.peer.ack(answer, called.gateway)
    called.network.run()
    assert called.gateway.told(SessionConfirmed)


def test_who_can_take_it_gets_our_answer_reliably_and_nothing_else() -> None:
    called = Called(headers=[("Supported", "timer, 100rel")])
    called.session.ring()
    called.session.ring(183, ANSWER)
    called.network.run(1)
    [ring] = called.peer.responses(180)
    assert "RSeq" not in ring.headers
    assert not ring.require
    early = called.peer.responses(183)
    assert len(early) == 2
    assert {bytes(one.body) for one in early} == {ANSWER}
    assert "100rel" in early[0].require
    called.pracks(early[0])
    assert called.peer.responses(200, "PRACK")
    called.session.answer(ANSWER)
    called.network.run(0.1)
    answer = called.peer.responses(200, "INVITE")[0]
    assert answer.body == b""
    called.peer.ack(answer, called.gateway)
    called.network.run(120)
    assert called.gateway.told(SessionConfirmed)
    assert len(called.peer.responses(183)) == 2


def test_who_cannot_take_it_gets_the_answer_twice() -> None:
    called = Called(headers=[("Supported", "timer")])
    called.session.ring(183, ANSWER)
    called.session.answer(ANSWER)
    called.network.run(0.1)
    [early] = called.peer.responses(183)
    assert not early.require
    assert early.body == called.peer.responses(200, "INVITE")[0].body == ANSWER


def test_early_media_is_said_again_without_its_answer() -> None:
    """Lest a proxy give the call up; a second answer would be taken for an offer."""
    called = Called(headers=[("Supported", "100rel")])
    called.session.ring(183, ANSWER)
    called.network.run(0.1)
    called.pracks(called.peer.responses(183)[0])
    called.network.run(61)
    again = called.peer.responses(183)[1]
    assert again.body == b""
    assert again.headers.get("RSeq") != called.peer.responses(183)[0].headers.get("RSeq")
    called.pracks(again, cseq=3)
    assert len(called.peer.responses(200, "PRACK")) == 2


@pytest.mark.parametrize("acknowledged", [True, False])
def test_refused_after_early_media(acknowledged: bool) -> None:
    """A refusal need not wait for the PRACK; one that comes after it is for nothing."""
    called = Called(headers=[("Supported", "100rel")])
    called.session.ring(183, ANSWER)
    called.network.run(0.1)
    early = called.peer.responses(183)[0]
    if acknowledged:
        called.pracks(early)
    called.session.reject(486)
    called.network.run(0.1)
    [refusal] = called.peer.responses(486)
    assert refusal.to.tag == early.to.tag
    if not acknowledged:
        called.pracks(early)
        assert called.peer.responses(481, "PRACK")
    called.network.run(60)
    assert len(called.peer.responses(183)) == 1
    assert set(called.gateway.agent.sizes().values()) == {0}


def test_cancelled_after_early_media() -> None:
    called = Called(headers=[("Supported", "100rel")])
    called.session.ring(183, ANSWER)
    called.network.run(0.1)
    cancel = called.peer.request("CANCEL", called.gateway, branch="z9hG4bK-script-1", cseq=1)
    called.peer.says(cancel, called.gateway)
    called.network.run(60)
    assert called.peer.responses(487)
    assert called.gateway.last(SessionFailed).cause == "cancelled"
    assert len(called.peer.responses(183)) == 1
    assert set(called.gateway.agent.sizes().values()) == {0}


def test_prack_for_nothing(called: Called) -> None:
    called.session.ring()
    called.network.run(0.1)
    ring = called.peer.responses(180)[0]
    called.pracks(ring, rack="1 1 INVITE")
    assert called.peer.responses(481, "PRACK")
    called.pracks(ring, cseq=3, rack="nonsense")
    assert called.peer.responses(400, "PRACK")
    called.pracks(ring, cseq=4)
    called.pracks(ring, cseq=5)
    assert len(called.peer.responses(200, "PRACK")) == 1
    assert len(called.peer.responses(481, "PRACK")) == 2


def test_without_prack_the_call_is_refused(called: Called) -> None:
    called.session.ring()
    called.network.run(33)
    assert called.peer.responses(504)
    failed = called.gateway.last(SessionFailed)
    assert (failed.status, failed.cause) == (504, "timeout")
    called.network.run(60)
    assert set(called.gateway.agent.sizes().values()) == {0}


def test_without_prack_a_held_answer_is_taken_back(called: Called) -> None:
    called.session.ring(183, ANSWER)
    called.session.answer(ANSWER)
    called.network.run(33)
    assert called.peer.responses(504)
    assert called.gateway.last(SessionEnded).cause == "no_ack"
    assert not called.peer.requests("BYE")
    called.network.run(60)
    assert set(called.gateway.agent.sizes().values()) == {0}


def test_cancel_while_the_answer_is_held(called: Called) -> None:
    called.session.ring(183, ANSWER)
    called.session.answer(ANSWER)
    invite = called.peer.request("CANCEL", called.gateway, branch="z9hG4bK-script-1", cseq=1)
    called.peer.says(invite, called.gateway)
    called.network.run()
    assert called.peer.responses(487)
    assert called.gateway.last(SessionEnded).by == "remote"


def test_call_without_offer_hears_no_provisional() -> None:
    called = Called(body=b"")
    called.session.ring()
    called.network.run()
    assert not called.peer.responses(180)
    called.session.answer(ANSWER)
    called.network.run()
    assert called.peer.responses(200)[0].body == ANSWER


def test_said_again_every_minute(called: Called) -> None:
    called.session.ring()
    called.network.run(0.1)
    called.pracks(called.peer.responses(180)[0])
    called.network.run(61)
    rings = called.peer.responses(180)
    assert len({ring.headers.get("RSeq") for ring in rings}) == 2


def test_time_that_the_invite_allowed() -> None:
    called = Called(headers=[("Expires", "20")])
    called.session.ring()
    called.network.run(25)
    assert called.peer.responses(487)
    assert called.gateway.last(SessionFailed).cause == "timeout"
