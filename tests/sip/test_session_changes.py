"""What happens within a session: hold and retrieve, glare, keys by INFO, session timers, BYE from both sides."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from gateway.sip.events import (
    IncomingCall,
    SessionAnswered,
    SessionConfirmed,
    SessionEnded,
    SessionInfo,
    SessionOffer,
    SessionOfferAnswered,
    SessionOfferRefused,
)
from gateway.sip.message import Request, Response
from gateway.sip.session import Session
from gateway.sip.session_timer import SessionTimerSettings
from tests.sip.session_link import ANSWER, HELD, OFFER, Network, Phone, Script, answering, plain_config


@pytest.fixture
def network() -> Network:
    return Network()


def connected(network: Network, **more: object) -> tuple[Phone, Phone, Session, Session]:
    """Ann has called Bob, and both are talking."""
    ann = Phone(network, "192.0.2.1", config=plain_config(**more))
    bob = Phone(network, "192.0.2.2", config=plain_config(**more))
    answering(bob)
    call = ann.calls(bob)
    network.run()
    assert bob.told(SessionConfirmed)
    bob.on_event = None
    return ann, bob, call, bob.last(IncomingCall).session


class Caller:
    """A scripted peer that has called the gateway and was answered."""

    def __init__(
        self, network: Network, *, headers: Iterable[tuple[str, str]] = (), answer: bool = True, **more: object
    ) -> None:
        self.network = network
        self.gateway = Phone(network, "192.0.2.1", config=plain_config(**more))
        self.peer = Script(network, "192.0.2.2")
        self.peer.calls(self.gateway, headers=headers)
        network.run()
        self.session = self.gateway.last(IncomingCall).session
        self.cseq = 1
        if answer:
            self.session.answer(ANSWER)
            network.run()
            self.answer = self.peer.responses(200)[0]
            self.tag = self.answer.to.tag
            self.peer.ack(self.answer, self.gateway)
            network.run()

    def asks(self, method: str, *, cseq: int | None = None, **more: object) -> Request:
        self.cseq = self.cseq + 1 if cseq is None else cseq
        request = self.peer.request(
            method,
            self.gateway,
            cseq=self.cseq,
            to_tag=self.tag,
            **more,  # type: ignore[arg-type]
        )
        self.peer.says(request, self.gateway)
        self.network.run()
        return request

    def reply(self, request: Request) -> Response:
        found = [
            m
            for m in self.peer.received
            if isinstance(m, Response) and m.top_via.branch == request.top_via.branch and m.status != 100
        ]
        assert found, f"no response to {request}"
        return found[-1]


def test_hold_and_retrieve_by_the_caller(network: Network) -> None:
    ann, bob, call, called = connected(network)
    call.offer(HELD)
    network.run()
    assert bob.last(SessionOffer).sdp == HELD
    called.answer_offer(ANSWER)
    network.run()
    assert ann.last(SessionOfferAnswered).sdp == ANSWER
    call.offer(OFFER)
    network.run()
    called.answer_offer(ANSWER)
    network.run()
    assert len(ann.told(SessionOfferAnswered)) == 2
    assert len(bob.told(SessionConfirmed)) == 1


def test_hold_by_the_called(network: Network) -> None:
    ann, bob, call, called = connected(network)
    called.offer(HELD)
    network.run()
    call.answer_offer(ANSWER)
    network.run()
    assert bob.last(SessionOfferAnswered).sdp == ANSWER
    called.bye()
    network.run()
    assert ann.last(SessionEnded).by == "remote"


def test_refused_change_leaves_the_session_as_it_was(network: Network) -> None:
    ann, _bob, call, called = connected(network)
    call.offer(HELD)
    network.run()
    called.refuse_offer(488)
    network.run()
    assert ann.last(SessionOfferRefused).status == 488
    assert not call.over
    assert not called.over
    called.offer(OFFER)
    network.run()
    assert ann.last(SessionOffer).sdp == OFFER


def test_offers_wait_for_their_turn_and_the_last_is_sent(network: Network) -> None:
    _ann, bob, call, called = connected(network)
    call.offer(HELD)
    call.offer(OFFER)
    call.offer(HELD)
    network.run()
    assert len(bob.told(SessionOffer)) == 1
    called.answer_offer(ANSWER)
    network.run()
    assert [offer.sdp for offer in bob.told(SessionOffer)] == [HELD, HELD]


def test_offer_before_the_answer_waits(network: Network) -> None:
    ann, bob = Phone(network, "192.0.2.1"), Phone(network, "192.0.2.2")
    ann.calls(bob)
    network.run()
    called = bob.last(IncomingCall).session
    called.answer(ANSWER)
    called.offer(HELD)
    network.run()
    assert ann.last(SessionOffer).sdp == HELD
    assert len(network.sent(491)) == 0


def test_glare_is_refused_and_tried_again_after_different_pauses(network: Network) -> None:
    ann, bob, call, called = connected(network)
    answering(ann)
    answering(bob)
    call.offer(HELD)
    called.offer(HELD)
    network.run(0.1)
    assert len(network.sent(491)) == 2
    crossed = network.now
    network.run(6)
    assert len(ann.told(SessionOfferAnswered)) == len(bob.told(SessionOfferAnswered)) == 1
    again = [p for p in network.log if isinstance(p.message, Request) and p.message.method == "INVITE"][3:]
    assert [p.source for p in again] == [bob.place, ann.place]
    assert crossed < network.now


@pytest.mark.parametrize(("incoming", "lowest", "highest"), [(False, 2.1, 4.0), (True, 0.0, 2.0)])
def test_pauses_after_glare(network: Network, incoming: bool, lowest: float, highest: float) -> None:
    _ann, _bob, call, called = connected(network)
    session = called if incoming else call
    pauses = [session._glare_pause() for _ in range(300)]
    assert lowest <= min(pauses) <= max(pauses) <= highest
    assert all(abs(pause * 100 - round(pause * 100)) < 1e-6 for pause in pauses)


def test_offerless_reinvite_gets_our_offer(network: Network) -> None:
    caller = Caller(network)
    invite = caller.asks("INVITE")
    assert caller.gateway.last(SessionOffer).sdp is None
    caller.session.answer_offer(OFFER)
    network.run()
    reply = caller.reply(invite)
    assert reply.body == OFFER
    # RFC 3261 14.2: our offer is out; theirs must wait.
    crossing = caller.asks("INVITE", body=HELD)
    assert caller.reply(crossing).status == 491
    caller.peer.ack(reply, caller.gateway, body=ANSWER)
    network.run()
    assert caller.gateway.last(SessionOfferAnswered).sdp == ANSWER


def test_second_reinvite_before_the_first_is_answered(network: Network) -> None:
    caller = Caller(network)
    caller.asks("INVITE", body=HELD)
    reply = caller.reply(caller.asks("INVITE", body=OFFER))
    assert reply.status == 500
    assert 0 <= int(reply.headers.get("Retry-After") or "x") <= 10
    reply = caller.reply(caller.asks("UPDATE", body=OFFER))
    assert reply.status == 500


def test_update_with_and_without_offer(network: Network) -> None:
    caller = Caller(network)
    reply = caller.reply(caller.asks("UPDATE", contact="<sip:bob@192.0.2.2:5070>"))
    assert reply.status == 200
    assert caller.session.dialog is not None
    assert caller.session.dialog.remote_target.port == 5070
    update = caller.asks("UPDATE", body=HELD)
    caller.session.answer_offer(ANSWER)
    network.run()
    assert (caller.reply(update).status, caller.reply(update).body) == (200, ANSWER)
    update = caller.asks("UPDATE", body=HELD)
    caller.session.refuse_offer()
    network.run()
    assert caller.reply(update).status == 488


def test_reinvite_moves_the_target(network: Network) -> None:
    caller = Caller(network)
    moved = Script(network, "192.0.2.3")
    caller.asks("INVITE", body=HELD, contact="<sip:bob@192.0.2.3>")
    caller.session.answer_offer(ANSWER)
    assert caller.session.dialog is not None
    caller.session.dialog.symmetric = False
    network.run()
    reply = caller.reply(caller.asks("OPTIONS"))
    assert reply.status == 200
    caller.peer.ack(caller.peer.responses(200, "INVITE")[-1], caller.gateway)
    caller.session.bye()
    network.run()
    assert moved.requests("BYE")[0].uri.address == "192.0.2.3"


def test_cancelled_reinvite(network: Network) -> None:
    caller = Caller(network)
    invite = caller.asks("INVITE", body=HELD)
    caller.asks("CANCEL", cseq=2, branch=invite.top_via.branch)
    assert 487 in {m.status for m in caller.peer.received if isinstance(m, Response)}
    caller.session.answer_offer(ANSWER)
    assert not caller.session.over


@pytest.mark.parametrize(
    ("content_type", "body", "keys", "duration"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", "5", 160),
        ("application/dtmf-relay", b"Signal= # \nDuration= 9999999999999\n", "#", None),
        ("application/dtmf-relay", b"signal=11", "#", None),
        ("application/dtmf-relay", b"Duration=100\r\nSignal=a\r\n", "A", 100),
        ("application/dtmf", b"*", "*", None),
        ("application/dtmf", b" 1234 \r\n", "1234", None),
    ],
)
def test_keys_by_info(network: Network, content_type: str, body: bytes, keys: str, duration: int | None) -> None:
    caller = Caller(network)
    reply = caller.reply(caller.asks("INFO", body=body, content_type=content_type))
    assert reply.status == 200
    info = caller.gateway.last(SessionInfo)
    assert (info.keys, info.duration_ms) == (keys, duration)


@pytest.mark.parametrize("body", [b"", b"Signal=x", b"Signal=", b"\xff\xfe", b"=====", b"Signal"])
def test_info_without_keys(network: Network, body: bytes) -> None:
    caller = Caller(network)
    assert caller.reply(caller.asks("INFO", body=body, content_type="application/dtmf-relay")).status == 200
    assert not caller.gateway.told(SessionInfo)


@pytest.mark.parametrize(
    ("method", "status", "header"),
    [
        ("REFER", 405, "Allow"),
        ("MESSAGE", 405, "Allow"),
        ("NOTIFY", 489, None),
        ("SUBSCRIBE", 489, None),
        ("FROBNICATE", 501, "Allow"),
        ("OPTIONS", 200, "Allow"),
        ("PRACK", 481, None),
    ],
)
def test_other_requests_within_a_dialog(network: Network, method: str, status: int, header: str | None) -> None:
    caller = Caller(network)
    reply = caller.reply(caller.asks(method))
    assert reply.status == status
    assert header is None or header in reply.headers
    assert not caller.session.over


def test_what_we_do_not_understand_within_a_dialog(network: Network) -> None:
    caller = Caller(network)
    reply = caller.reply(caller.asks("INVITE", headers=[("Require", "teleport, timer")]))
    assert (reply.status, reply.headers.get("Unsupported")) == (420, "teleport")
    reply = caller.reply(caller.asks("INFO", body=b"x", content_type="text/plain"))
    assert (reply.status, reply.headers.get("Accept")) == (415, "application/dtmf, application/dtmf-relay")
    reply = caller.reply(caller.asks("INVITE", body=b"x", content_type="text/plain"))
    assert (reply.status, reply.headers.get("Accept")) == (415, "application/sdp")
    reply = caller.reply(caller.asks("INFO", headers=[("Info-Package", "foo")]))
    assert reply.status == 469
    reply = caller.reply(caller.asks("INVITE", body=OFFER, headers=[("Content-Encoding", "gzip")]))
    assert (reply.status, reply.headers.get("Accept-Encoding")) == (415, "identity")


def test_older_cseq_is_500_and_gaps_are_fine(network: Network) -> None:
    caller = Caller(network)
    assert caller.reply(caller.asks("OPTIONS", cseq=50)).status == 200
    assert caller.reply(caller.asks("OPTIONS", cseq=49)).status == 500
    assert caller.reply(caller.asks("BYE", cseq=51)).status == 200


def test_bye_from_both_sides_at_once(network: Network) -> None:
    ann, bob, call, called = connected(network)
    call.bye()
    called.bye()
    network.run(60)
    assert len(network.sent(200)) == 3
    assert not network.sent(481)
    assert (ann.last(SessionEnded).by, bob.last(SessionEnded).by) == ("local", "local")
    assert set(ann.agent.sizes().values()) == set(bob.agent.sizes().values()) == {0}


def test_bye_repeated_gets_the_same_answer(network: Network) -> None:
    caller = Caller(network)
    bye = caller.asks("BYE")
    caller.peer.says(bye, caller.gateway)
    network.run()
    replies = caller.peer.responses(200, "BYE")
    assert len(replies) == 2
    assert replies[0].encode() == replies[1].encode()
    assert len(caller.gateway.told(SessionEnded)) == 1


def test_bye_before_the_ack_of_our_answer_waits(network: Network) -> None:
    gateway, peer = Phone(network, "192.0.2.1"), Script(network, "192.0.2.2")
    answering(gateway)
    peer.calls(gateway)
    network.run()
    gateway.last(IncomingCall).session.bye()
    network.run()
    assert gateway.last(SessionEnded).by == "local"
    assert not peer.requests("BYE")
    peer.ack(peer.responses(200)[0], gateway)
    network.run()
    peer.says(peer.requests("BYE")[0].respond(200), gateway)
    network.run(60)
    assert set(gateway.agent.sizes().values()) == {0}


def test_bye_while_a_change_is_under_way(network: Network) -> None:
    caller = Caller(network)
    invite = caller.asks("INVITE", body=HELD)
    caller.asks("BYE")
    assert caller.reply(invite).status == 487
    caller.session.answer_offer(ANSWER)
    network.run()
    assert caller.reply(invite).status == 487


def test_bye_without_an_answer_is_forgotten(network: Network) -> None:
    ann, bob, call, _ = connected(network)
    del network.nodes[bob.place]
    call.bye()
    network.run(70)
    assert set(ann.agent.sizes().values()) == {0}


def test_bye_of_an_early_dialog(network: Network) -> None:
    caller = Caller(network, answer=False)
    caller.session.ring()
    network.run()
    caller.tag = caller.peer.responses(180)[0].to.tag
    caller.asks("BYE")
    assert caller.peer.responses(200, "BYE")
    assert caller.peer.responses(487, "INVITE")


def test_change_that_meets_no_dialog_ends_the_session(network: Network) -> None:
    caller = Caller(network)
    caller.session.offer(HELD)
    network.run()
    caller.peer.says(caller.peer.requests("INVITE")[0].respond(481), caller.gateway)
    network.run()
    assert caller.gateway.last(SessionEnded).cause == "dialog_lost"
    assert caller.peer.requests("BYE")


def test_change_that_meets_silence_ends_the_session(network: Network) -> None:
    caller = Caller(network)
    caller.session.offer(HELD)
    network.run(40)
    assert caller.gateway.last(SessionEnded).cause == "timeout"


# Session timers (RFC 4028) ------------------------------------------------------------------------------

TIMERS = SessionTimerSettings(session_expires=1800, min_se=90)


def test_both_refresh_and_the_call_lives_on(network: Network) -> None:
    _ann, _bob, call, called = connected(network, session_timer=TIMERS)
    network.run(4 * 3600)
    assert len(network.sent("UPDATE")) == 15
    assert not call.over
    assert not called.over


def test_who_refreshes_no_more_is_ended(network: Network) -> None:
    ann, bob, _call, _called = connected(network, session_timer=TIMERS)
    del network.nodes[ann.place]
    network.run(1800)
    assert bob.last(SessionEnded).cause == "session_expired"
    assert isinstance(network.sent("BYE", bob)[0], Request)


def test_peer_without_update_is_refreshed_by_reinvite(network: Network) -> None:
    caller = Caller(
        network, headers=[("Supported", "timer"), ("Session-Expires", "120;refresher=uas"), ("Allow", "INVITE")]
    )
    assert caller.answer.headers.get("Session-Expires") == "120;refresher=uas"
    network.run(60)
    invite = caller.peer.requests("INVITE")[0]
    assert invite.body == ANSWER
    assert invite.headers.get("Session-Expires") == "120;refresher=uac"
    caller.peer.responds(invite, 200, caller.gateway, body=OFFER, headers=[("Session-Expires", "120;refresher=uac")])
    network.run(61)
    assert len(caller.peer.requests("INVITE")) >= 2
    assert not caller.session.over


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("Supported", "timer"), ("Session-Expires", "600")], "600;refresher=uac"),
        ([("Supported", "timer"), ("x", "600;refresher=uas")], "600;refresher=uas"),
        ([("Supported", "timer")], "1800;refresher=uac"),
        ([("Session-Expires", "600")], "600;refresher=uas"),
        ([("Supported", "timer"), ("Session-Expires", "7200"), ("Min-SE", "3600")], "3600;refresher=uac"),
        ([], None),
    ],
)
def test_who_refreshes(network: Network, headers: list[tuple[str, str]], expected: str | None) -> None:
    caller = Caller(network, headers=headers, session_timer=TIMERS)
    assert caller.answer.headers.get("Session-Expires") == expected
    assert ("timer" in caller.answer.require) is (expected is not None and expected.endswith("uac"))


def test_interval_too_small_for_us(network: Network) -> None:
    gateway = Phone(network, "192.0.2.1", config=plain_config(session_timer=TIMERS))
    peer = Script(network, "192.0.2.2")
    peer.calls(gateway, headers=[("Supported", "timer"), ("Session-Expires", "60")])
    network.run()
    assert peer.responses(422)[0].headers.get("Min-SE") == "90"
    assert not gateway.told(IncomingCall)


def test_interval_too_small_for_the_peer(network: Network) -> None:
    gateway = Phone(network, "192.0.2.1", config=plain_config(session_timer=TIMERS))
    peer = Script(network, "192.0.2.2")
    gateway.calls(peer)
    network.run()
    peer.responds(peer.requests("INVITE")[0], 422, gateway, headers=[("Min-SE", "3600")])
    network.run()
    again = peer.requests("INVITE")[-1]
    assert (again.headers.get("Session-Expires"), again.headers.get("Min-SE")) == ("3600", "3600")
    assert again.cseq.number == 2
    peer.responds(again, 200, gateway, body=ANSWER, headers=[("Session-Expires", "3600;refresher=uac")])
    network.run(1801)
    update = peer.requests("UPDATE") + peer.requests("INVITE")[2:]
    assert update[0].headers.get("Session-Expires") == "3600;refresher=uac"


def test_unanswered_refresh_ends_the_session(network: Network) -> None:
    ann, bob, _call, _called = connected(network, session_timer=TIMERS)
    del network.nodes[bob.place]
    network.run(940)
    assert ann.last(SessionEnded).cause == "timeout"


def test_answer_without_session_expires_runs_no_timer(network: Network) -> None:
    gateway = Phone(network, "192.0.2.1", config=plain_config(session_timer=TIMERS))
    peer = Script(network, "192.0.2.2")
    gateway.calls(peer)
    network.run()
    peer.responds(peer.requests("INVITE")[0], 200, gateway, body=ANSWER)
    network.run(4000)
    assert gateway.told(SessionAnswered)
    assert not gateway.told(SessionEnded)
