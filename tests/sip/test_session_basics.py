"""Calls between two user agents, and with a scripted peer, as they nearly always go."""

from __future__ import annotations

import pytest

from gateway.sip.events import (
    IncomingCall,
    SessionAnswered,
    SessionConfirmed,
    SessionEnded,
    SessionFailed,
    SessionProgress,
)
from gateway.sip.message import Request
from tests.sip.session_link import ANSWER, OFFER, Network, Phone, Script, answering


@pytest.fixture
def network() -> Network:
    return Network()


def test_call_is_placed_answered_and_hung_up(network: Network) -> None:
    ann, bob = Phone(network, "192.0.2.1"), Phone(network, "192.0.2.2")
    call = ann.calls(bob)
    network.run()
    incoming = bob.last(IncomingCall)
    assert (incoming.from_name, incoming.from_uri.user, incoming.request_uri.user) == ("Ann", "ann", "1000")
    assert incoming.sdp == OFFER
    incoming.session.ring()
    network.run()
    assert ann.last(SessionProgress).status == 180
    incoming.session.answer(ANSWER)
    network.run()
    assert ann.last(SessionAnswered).sdp == ANSWER
    assert bob.last(SessionConfirmed).sdp is None
    call.bye()
    network.run()
    assert (ann.last(SessionEnded).by, bob.last(SessionEnded).by) == ("local", "remote")
    assert bob.last(SessionEnded).cause == "bye"
    network.run(60)
    assert set(ann.agent.sizes().values()) == set(bob.agent.sizes().values()) == {0}
    assert [m.cseq.method for m in network.sent(200)] == ["INVITE", "BYE"]


def test_called_party_hangs_up(network: Network) -> None:
    ann, bob = Phone(network, "192.0.2.1"), Phone(network, "192.0.2.2")
    answering(bob)
    ann.calls(bob)
    network.run()
    bob.last(IncomingCall).session.bye('Q.850;cause=16;text="done"')
    network.run()
    assert ann.last(SessionEnded).reason_header == 'Q.850;cause=16;text="done"'
    assert bob.last(SessionEnded).by == "local"


@pytest.mark.parametrize("status", [302, 404, 486, 603])
def test_call_is_refused(network: Network, status: int) -> None:
    ann, bob = Phone(network, "192.0.2.1"), Phone(network, "192.0.2.2")
    ann.calls(bob)
    network.run()
    headers = [("Contact", "<sip:else@where>"), ("Reason", "Q.850;cause=17")]
    bob.last(IncomingCall).session.reject(status, "No way", headers)
    network.run()
    failed = ann.last(SessionFailed)
    assert (failed.status, failed.reason, failed.cause, failed.q850) == (status, "No way", "rejected", 17)
    assert ("Contact", "<sip:else@where>") in failed.headers
    assert bob.last(SessionFailed).status == status
    assert len(network.sent("ACK")) == 1
    network.run(60)
    assert set(ann.agent.sizes().values()) == set(bob.agent.sizes().values()) == {0}


def test_caller_gives_up(network: Network) -> None:
    ann, bob = Phone(network, "192.0.2.1"), Phone(network, "192.0.2.2")
    call = ann.calls(bob)
    network.run()
    bob.last(IncomingCall).session.ring()
    network.run()
    call.cancel('SIP;cause=200;text="Call completed elsewhere"')
    network.run()
    assert ann.last(SessionFailed).cause == "cancelled"
    gone = bob.last(SessionFailed)
    assert (gone.cause, gone.status) == ("cancelled", 487)
    assert ("Reason", 'SIP;cause=200;text="Call completed elsewhere"') in gone.headers
    assert len(network.sent(487)) == 1
    network.run(60)
    assert set(ann.agent.sizes().values()) == set(bob.agent.sizes().values()) == {0}


def test_answer_is_repeated_until_acknowledged(network: Network) -> None:
    gateway, peer = Phone(network, "192.0.2.1"), Script(network, "192.0.2.2")
    answering(gateway)
    peer.calls(gateway)
    network.run(3.4)
    answers = peer.responses(200, "INVITE")
    assert len(answers) == 3
    assert len({answer.encode() for answer in answers}) == 1
    peer.ack(answers[0], gateway)
    network.run(10)
    assert len(peer.responses(200, "INVITE")) == 3
    assert len(gateway.told(SessionConfirmed)) == 1


def test_answer_without_ack_ends_in_bye(network: Network) -> None:
    gateway, peer = Phone(network, "192.0.2.1"), Script(network, "192.0.2.2")
    answering(gateway)
    peer.calls(gateway)
    network.run(33)
    ended = gateway.last(SessionEnded)
    assert (ended.by, ended.cause) == ("network", "no_ack")
    bye = peer.requests("BYE")[0]
    peer.says(bye.respond(200), gateway)
    network.run(60)
    assert set(gateway.agent.sizes().values()) == {0}


def test_nothing_is_kept_for_a_peer_that_hung_up_and_whose_ack_was_lost(network: Network) -> None:
    gateway, peer = Phone(network, "192.0.2.1"), Script(network, "192.0.2.2")
    answering(gateway)
    peer.calls(gateway)
    network.run()
    answer = peer.responses(200, "INVITE")[0]
    gateway.last(IncomingCall).session.bye()
    network.run()
    peer.says(peer.request("BYE", gateway, cseq=2, to_tag=answer.to.tag), gateway)
    network.run()
    assert peer.responses(200, "BYE")
    assert gateway.agent.sizes()["sessions"] == 0
    network.run(70)
    assert not peer.requests("BYE")


def test_every_repeated_answer_is_acknowledged_again(network: Network) -> None:
    gateway, peer = Phone(network, "192.0.2.1"), Script(network, "192.0.2.2")
    gateway.calls(peer)
    network.run()
    invite = peer.requests("INVITE")[0]
    for _ in range(3):
        peer.responds(invite, 200, gateway, body=ANSWER)
        network.run()
    acks = peer.requests("ACK")
    assert len(acks) == 3
    assert len({ack.encode() for ack in acks}) == 1
    assert acks[0].top_via.branch != invite.top_via.branch
    assert acks[0].cseq.number == invite.cseq.number
    assert len(gateway.told(SessionAnswered)) == 1


def test_phone_may_ring_longer_than_timer_b(network: Network) -> None:
    ann, bob = Phone(network, "192.0.2.1"), Phone(network, "192.0.2.2")
    ann.calls(bob)
    network.run()
    bob.last(IncomingCall).session.ring()
    network.run(300)
    # RFC 3261 13.3.1.1: said again every minute.
    assert len(ann.told(SessionProgress)) == 5
    bob.last(IncomingCall).session.answer(ANSWER)
    network.run()
    assert ann.told(SessionAnswered)


def test_nobody_there(network: Network) -> None:
    ann, bob = Phone(network, "192.0.2.1"), Script(network, "192.0.2.2")
    ann.calls(bob)
    network.run(40)
    failed = ann.last(SessionFailed)
    assert (failed.status, failed.cause) == (None, "timeout")
    assert len(bob.requests("INVITE")) == 7
    assert set(ann.agent.sizes().values()) == {0}


def test_call_without_offer(network: Network) -> None:
    gateway, peer = Phone(network, "192.0.2.1"), Script(network, "192.0.2.2")
    peer.calls(gateway, body=b"")
    network.run()
    call = gateway.last(IncomingCall)
    assert call.sdp is None
    call.session.ring(183, OFFER)
    call.session.answer(OFFER)
    network.run()
    assert peer.responses(183)[0].body == b""
    answer = peer.responses(200)[0]
    assert answer.body == OFFER
    peer.ack(answer, gateway, body=ANSWER)
    network.run()
    assert gateway.last(SessionConfirmed).sdp == ANSWER


def test_our_headers(network: Network) -> None:
    gateway, peer = Phone(network, "192.0.2.1"), Script(network, "192.0.2.2")
    gateway.calls(peer, headers=[("P-Asserted-Identity", "<sip:49123@example.org>")])
    network.run()
    invite = peer.requests("INVITE")[0]
    assert isinstance(invite, Request)
    assert invite.headers.get("P-Asserted-Identity") == "<sip:49123@example.org>"
    assert invite.headers.get("User-Agent") == "ivr-gateway"
    assert "UPDATE" in invite.allow
    assert invite.contacts[0].uri.address == "192.0.2.1"
    assert invite.to.tag is None
