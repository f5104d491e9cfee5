"""Calls that we place: forks, CANCEL and what crosses it, challenges, routes, reliable provisionals."""

from __future__ import annotations

import pytest

from gateway.sip.digest import Challenge as DigestChallenge
from gateway.sip.digest import DigestAuthenticator
from gateway.sip.events import (
    SessionAnswered,
    SessionEnded,
    SessionFailed,
    SessionOffer,
    SessionOfferAnswered,
    SessionProgress,
)
from gateway.sip.header import NameAddr
from gateway.sip.message import Request, Response
from gateway.sip.session import Session
from gateway.sip.settings import Credentials
from gateway.sip.uri import SipUri
from tests.sip.session_link import ANSWER, HELD, Network, Phone, Script, plain_config


class Placed:
    """The gateway has called a scripted peer."""

    def __init__(self, network: Network, **more: object) -> None:
        self.network = network
        self.gateway = Phone(network, "192.0.2.1", config=plain_config(**more))
        self.peer = Script(network, "192.0.2.2")
        self.session: Session | None = None

    def call(self, **more: object) -> Session:
        session = self.gateway.calls(self.peer, "1000", **more)
        self.session = session
        self.network.run()
        return session

    @property
    def invite(self) -> Request:
        return self.peer.requests("INVITE")[-1]

    def says(self, status: int, tag: str | None = "a", *, request: Request | None = None, **more: object) -> Response:
        response = self.peer.responds(
            request or self.invite,
            status,
            self.gateway,
            tag=tag,
            **more,  # type: ignore[arg-type]
        )
        self.network.run()
        return response

    def clean(self) -> None:
        """Everything is forgotten at last."""
        self.network.run(100)
        assert set(self.gateway.agent.sizes().values()) == {0}


@pytest.fixture
def placed() -> Placed:
    return Placed(Network())


def test_provisionals_of_every_fork_reach_the_owner(placed: Placed) -> None:
    placed.call()
    placed.says(100, None)
    placed.says(180, "a")
    placed.says(183, "b", body=ANSWER)
    placed.says(180, "a")
    told = [(event.status, event.fork, event.sdp) for event in placed.gateway.told(SessionProgress)]
    assert told == [(180, "a", None), (183, "b", ANSWER), (180, "a", None)]


def test_first_answer_is_kept_and_the_other_forks_are_ended(placed: Placed) -> None:
    placed.call()
    for tag in "abc":
        placed.says(180, tag)
    placed.says(200, "b", body=ANSWER)
    placed.says(200, "a", body=ANSWER)
    placed.says(200, "d", body=ANSWER)
    assert len(placed.gateway.told(SessionAnswered)) == 1
    acks = placed.peer.requests("ACK")
    assert [ack.to.tag for ack in acks] == ["b", "a", "d"]
    assert len({ack.top_via.branch for ack in acks}) == 3
    byes = placed.peer.requests("BYE")
    assert [bye.to.tag for bye in byes] == ["a", "d"]
    for bye in byes:
        placed.peer.says(bye.respond(200), placed.gateway)
    placed.says(200, "a", body=ANSWER)
    assert len(placed.peer.requests("ACK")) == 4
    assert len(placed.peer.requests("BYE")) == 2
    assert placed.session is not None
    placed.session.bye()
    placed.network.run()
    assert placed.peer.requests("BYE")[-1].to.tag == "b"
    placed.peer.says(placed.peer.requests("BYE")[-1].respond(200), placed.gateway)
    placed.clean()


def test_cancel_waits_for_a_provisional(placed: Placed) -> None:
    session = placed.call()
    session.cancel("SIP;cause=200")
    placed.network.run()
    assert not placed.peer.requests("CANCEL")
    invite = placed.invite
    placed.says(180)
    cancel = placed.peer.requests("CANCEL")[0]
    assert cancel.top_via.branch == invite.top_via.branch
    assert cancel.cseq == (invite.cseq.number, "CANCEL")
    assert cancel.to.tag is None
    assert cancel.headers.get("Reason") == "SIP;cause=200"
    placed.says(200, request=cancel)
    placed.says(487, request=invite)
    assert placed.peer.requests("ACK")
    assert len(placed.gateway.told(SessionFailed)) == 1
    placed.clean()


def test_answer_that_crosses_the_cancel_is_acknowledged_and_ended(placed: Placed) -> None:
    session = placed.call()
    placed.says(180)
    session.cancel()
    placed.network.run()
    placed.says(200, body=ANSWER)
    assert len(placed.peer.requests("ACK")) == 1
    bye = placed.peer.requests("BYE")[0]
    placed.peer.says(bye.respond(200), placed.gateway)
    assert not placed.gateway.told(SessionAnswered)
    placed.says(200, body=ANSWER)
    assert len(placed.peer.requests("ACK")) == 2
    placed.peer.says(placed.peer.requests("CANCEL")[0].respond(481), placed.gateway)
    placed.clean()


def test_cancel_that_nobody_answers(placed: Placed) -> None:
    session = placed.call()
    placed.says(180)
    session.cancel()
    placed.clean()


def test_cancel_of_an_answered_call_is_bye(placed: Placed) -> None:
    session = placed.call()
    placed.says(200, body=ANSWER)
    session.cancel("SIP;cause=200")
    placed.network.run()
    assert placed.peer.requests("BYE")[0].headers.get("Reason") == "SIP;cause=200"
    assert placed.gateway.last(SessionEnded).by == "local"


def challenger(status: int = 401) -> tuple[DigestAuthenticator, DigestChallenge]:
    authenticator = DigestAuthenticator("carrier", {"me": "secret"}.get)
    return authenticator, authenticator.challenge(1000.0, proxy=status == 407)


@pytest.mark.parametrize("status", [401, 407])
def test_challenge_is_answered_in_a_new_transaction(placed: Placed, status: int) -> None:
    authenticator, challenge = challenger(status)
    placed.call(credentials=Credentials("me", "secret"))
    first = placed.invite
    placed.says(180, "early")
    placed.says(status, headers=challenge.headers)
    second = placed.invite
    assert second is not first
    assert second.cseq.number == first.cseq.number + 1
    assert second.top_via.branch != first.top_via.branch
    assert (second.call_id, second.from_.tag) == (first.call_id, first.from_.tag)
    assert second.to.tag is None
    assert second.body == first.body
    outcome = authenticator.check(second, 1001.0, proxy=status == 407)
    assert getattr(outcome, "account", None) == "me"
    placed.says(200, body=ANSWER)
    ack = placed.peer.requests("ACK")[-1]
    assert ack.cseq.number == second.cseq.number
    # Credentials of the INVITE go with its ACK (RFC 3261 22.1).
    assert len(ack.headers.get_all("Authorization") + ack.headers.get_all("Proxy-Authorization")) == 1


def test_wrong_credentials_go_out_once(placed: Placed) -> None:
    authenticator, challenge = challenger()
    placed.call(credentials=Credentials("me", "wrong"))
    placed.says(401, headers=challenge.headers)
    placed.says(401, headers=authenticator.challenge(1002.0).headers)
    assert len(placed.peer.requests("INVITE")) == 2
    failed = placed.gateway.last(SessionFailed)
    assert (failed.status, failed.cause) == (401, "rejected")
    placed.clean()


def test_challenge_without_credentials_is_a_failure(placed: Placed) -> None:
    _, challenge = challenger()
    placed.call()
    placed.says(401, headers=challenge.headers)
    assert placed.gateway.last(SessionFailed).status == 401


def test_cancelled_while_challenged(placed: Placed) -> None:
    _, challenge = challenger()
    session = placed.call(credentials=Credentials("me", "secret"))
    session.cancel()
    placed.says(401, headers=challenge.headers)
    assert len(placed.peer.requests("INVITE")) == 1
    placed.clean()


def test_challenged_bye(placed: Placed) -> None:
    _, challenge = challenger()
    session = placed.call(credentials=Credentials("me", "secret"))
    placed.says(200, body=ANSWER)
    session.bye()
    placed.network.run()
    bye = placed.peer.requests("BYE")[0]
    placed.says(407, request=bye, headers=challenger(407)[1].headers)
    again = placed.peer.requests("BYE")[-1]
    assert "Proxy-Authorization" in again.headers
    assert again.cseq.number == bye.cseq.number + 1
    placed.peer.says(again.respond(200), placed.gateway)
    assert challenge
    placed.clean()


@pytest.mark.parametrize(
    ("status", "cause"), [(302, "rejected"), (482, "loop"), (483, "loop"), (503, "rejected"), (600, "rejected")]
)
def test_causes_of_failure(placed: Placed, status: int, cause: str) -> None:
    placed.call()
    placed.says(status, headers=[("Retry-After", "5"), ("Contact", "<sip:there@192.0.2.9>")])
    failed = placed.gateway.last(SessionFailed)
    assert (failed.status, failed.cause) == (status, cause)
    assert dict(failed.headers) == {"Retry-After": "5", "Contact": "<sip:there@192.0.2.9>"}
    assert len(placed.peer.requests("INVITE")) == 1


def test_lost_connection_fails_the_call(placed: Placed) -> None:
    hop = placed.gateway.hop_to(placed.peer, "tcp")
    placed.gateway.agent.invite(placed_uri(placed), hop, from_=placed_from(), sdp=ANSWER)
    placed.gateway.agent.hop_lost(hop, placed.network.now)
    placed.network.run()
    assert placed.gateway.last(SessionFailed).cause == "transport"


def test_requests_follow_the_loose_route(placed: Placed) -> None:
    proxy = Script(placed.network, "192.0.2.50")
    session = placed.call()
    routes = [("Record-Route", "<sip:192.0.2.60;lr>"), ("Record-Route", "<sip:192.0.2.50;lr;x=1>")]
    placed.says(200, body=ANSWER, headers=[*routes, ("Contact", "<sip:deep@10.1.1.1>")])
    ack = proxy.requests("ACK")[0]
    assert str(ack.uri) == "sip:deep@10.1.1.1"
    assert [str(route) for route in ack.routes] == ["<sip:192.0.2.50;lr;x=1>", "<sip:192.0.2.60;lr>"]
    session.offer(HELD)
    placed.network.run()
    invite = proxy.requests("INVITE")[0]
    assert str(invite.uri) == "sip:deep@10.1.1.1"
    assert [str(route.uri) for route in invite.routes] == ["sip:192.0.2.50;lr;x=1", "sip:192.0.2.60;lr"]
    proxy.responds(invite, 200, placed.gateway, body=ANSWER)
    placed.network.run()
    assert placed.gateway.told(SessionOfferAnswered)
    assert len(proxy.requests("ACK")) == 2


def test_requests_follow_the_strict_route(placed: Placed) -> None:
    proxy = Script(placed.network, "192.0.2.50")
    session = placed.call()
    routes = [("Record-Route", "<sip:192.0.2.60>"), ("Record-Route", "<sip:192.0.2.50>")]
    placed.says(200, body=ANSWER, headers=[*routes, ("Contact", "<sip:deep@10.1.1.1>")])
    session.bye()
    placed.network.run()
    bye = proxy.requests("BYE")[0]
    assert str(bye.uri) == "sip:192.0.2.50"
    assert [str(route.uri) for route in bye.routes] == ["sip:192.0.2.60", "sip:deep@10.1.1.1"]


def test_reliable_provisional_is_pracked_once() -> None:
    placed = Placed(Network(), offer_reliable_provisionals=True)
    placed.call()
    assert "100rel" in placed.invite.supported
    reliable = [("Require", "100rel"), ("RSeq", "5")]
    placed.says(183, headers=reliable, body=ANSWER)
    placed.says(183, headers=reliable, body=ANSWER)
    pracks = placed.peer.requests("PRACK")
    assert len(pracks) == 1
    assert pracks[0].headers.get("RAck") == "5 1 INVITE"
    assert pracks[0].to.tag == "a"
    placed.peer.says(pracks[0].respond(200), placed.gateway)
    placed.says(180, headers=[("Require", "100rel"), ("RSeq", "7")])
    placed.says(180, headers=[("Require", "100rel"), ("RSeq", "6")])
    assert [p.headers.get("RAck") for p in placed.peer.requests("PRACK")] == ["5 1 INVITE", "6 1 INVITE"]
    placed.peer.says(placed.peer.requests("PRACK")[-1].respond(200), placed.gateway)
    placed.says(200)
    # The answer came in the 183 already.
    assert placed.gateway.last(SessionAnswered).sdp == ANSWER
    assert placed.peer.requests("ACK")[0].cseq.number == 1


def test_early_dialog_takes_update_but_no_offer(placed: Placed) -> None:
    placed.call()
    early = placed.says(180)
    update = placed.peer.request("UPDATE", placed.gateway, call_id=early.call_id, to_tag=early.from_.tag, from_tag="a")
    placed.peer.says(update, placed.gateway)
    update = placed.peer.request(
        "UPDATE", placed.gateway, call_id=early.call_id, to_tag=early.from_.tag, from_tag="a", cseq=2, body=HELD
    )
    placed.peer.says(update, placed.gateway)
    placed.network.run()
    assert placed.peer.responses(200, "UPDATE")
    assert placed.peer.responses(491, "UPDATE")
    assert not placed.gateway.told(SessionOffer)


def test_answer_without_sdp_and_without_contact(placed: Placed) -> None:
    session = placed.call()
    placed.says(200, contact=False)
    assert placed.gateway.last(SessionAnswered).sdp is None
    session.bye()
    placed.network.run()
    assert placed.peer.requests("BYE")


def test_broken_answer_is_acknowledged_all_the_same(placed: Placed) -> None:
    placed.call()
    placed.says(200, body=ANSWER, headers=[("Contact", "<<<broken")])
    assert placed.peer.requests("ACK")


def test_more_forks_than_anybody_has(placed: Placed) -> None:
    placed.call()
    for number in range(100):
        placed.says(180, f"t{number}")
    assert placed.gateway.agent.sizes()["dialogs"] == 32
    placed.says(486)
    placed.clean()


def placed_uri(placed: Placed) -> SipUri:
    return SipUri.build("1000", placed.peer.place[0])


def placed_from() -> NameAddr:
    return NameAddr.parse("<sip:ann@example.org>")
