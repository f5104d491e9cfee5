"""Invitations between clients and the gateway: both ways, several devices, every end, every time-out."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.rtc.events import (
    CandidateReceived,
    HoldChanged,
    HungUp,
    InvitationAccepted,
    InvitationCancelled,
    InvitationDelivered,
    InvitationFailed,
    InvitationReceived,
    InvitationRefused,
    KeysReceived,
    MediaAnswered,
    MediaOffered,
    NotReachable,
)
from gateway.rtc.invitation import ErrorWord
from gateway.rtc.limits import Limits
from gateway.rtc.rights import Rights
from gateway.rtc.values import Candidate
from tests.rtc.clients import ANSWER, EVERYTHING, OFFER, Client, Exchange

CANDIDATE = {"candidate": "candidate:1 1 udp 1 192.0.2.7 5000 typ host", "sdpMid": "0", "sdpMLineIndex": 0}


def only_pings(client: Client) -> None:
    assert client.heard == []


# A client calls ------------------------------------------------------------------------------------------


def test_a_call_from_its_invitation_to_its_end() -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    exchange.events.clear()
    answer = alice.gets("invite", to="1000", content='{"UserData":"x"}', description=OFFER)
    invitation, channel = answer["invitation"], answer["channel"]
    received = [event for event in exchange.events if isinstance(event, InvitationReceived)]
    assert received == [
        InvitationReceived(
            invitation,
            "alice",
            "web",
            "Alice",
            EVERYTHING,
            "1000",
            '{"UserData":"x"}',
            channel,
            False,
            "v=0 offer",
        )
    ]
    alice.is_told(invitation, "received_by_remote")
    assert alice.gets("state", invitation=invitation) == {
        "type": "ok",
        "re": 3,
        "state": "received_by_remote",
        "remote": "received",
        "over": False,
    }
    exchange.act("describe", invitation, "answer", "v=0 answer")
    assert alice.takes("media")["description"] == ANSWER
    exchange.act("progress", invitation, ringing=True, early_media=False)
    assert alice.takes("progress")["ringing"] is True
    exchange.act("accept", invitation, "welcome")
    alice.is_told(invitation, "accepted", response="welcome")
    assert exchange.agent.state_of("alice") == "busy"
    exchange.events.clear()
    exchange.run(300)
    exchange.act("end", invitation, "hangup")
    ended = alice.takes("ended")
    assert (ended["invitation"], ended["cause"]) == (invitation, "hangup")
    assert exchange.agent.state_of("alice") == "online"
    assert exchange.agent.sizes()["calls"] == 0
    assert [event for event in exchange.events if isinstance(event, HungUp | InvitationFailed)] == []
    assert alice.gets("state", invitation=invitation)["over"] is True


def test_the_client_hangs_up() -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    invitation = alice.invites()
    exchange.act("accept", invitation)
    alice.is_told(invitation, "accepted")
    alice.gets("hangup", invitation=invitation)
    assert exchange.told(HungUp) == [HungUp(invitation, "hangup")]
    # Once more is no error: ends cross.
    alice.gets("hangup", invitation=invitation)
    exchange.act("end", invitation)
    assert len(exchange.told(HungUp)) == 1
    only_pings(alice)


@pytest.mark.parametrize("word", ["cancel", "hangup"])
def test_the_client_gives_up(word: str) -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    invitation = alice.invites()
    alice.gets(word, invitation=invitation)
    alice.is_told(invitation, "cancelled")
    assert exchange.told(InvitationCancelled) == [InvitationCancelled(invitation)]
    exchange.act("accept", invitation)
    exchange.act("refuse", invitation, "busy")
    only_pings(alice)
    assert exchange.agent.state_of("alice") == "online"


def test_giving_up_crosses_the_acceptance() -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    alice.confirms = False
    invitation = alice.invites()
    exchange.act("accept", invitation)
    alice.gets("cancel", invitation=invitation)
    assert exchange.told(InvitationCancelled) == [InvitationCancelled(invitation)]
    assert exchange.agent.sizes()["calls"] == 0


def test_too_late_to_give_up() -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    invitation = alice.invites()
    exchange.act("accept", invitation)
    assert alice.fails("cancel", invitation=invitation) == "wrong_state"
    assert alice.fails("accept", invitation=invitation, description=ANSWER) == "wrong_state"
    assert alice.fails("refuse", invitation=invitation) == "wrong_state"
    alice.gets("received", invitation=invitation)
    assert exchange.agent.sizes()["calls"] == 1


@pytest.mark.parametrize(
    ("response", "status"), [("busy", 486), ("refused", 603), ("offline", 480), ("no_answer", 408), ("failed", 503)]
)
def test_the_gateway_refuses(response: str, status: int) -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    invitation = alice.invites()
    exchange.act("refuse", invitation, response, status)
    alice.is_told(invitation, "refused", response=response, status=status)
    assert alice.fails("keys", invitation=invitation, keys="1") == "wrong_state"
    exchange.run(100)
    only_pings(alice)
    assert exchange.agent.sizes()["calls"] == 0


def test_the_gateway_fails() -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    invitation = alice.invites()
    exchange.act("fail", invitation, "no_response", 408)
    alice.is_told(invitation, "failed", error="no_response", status=408)


def test_nobody_answers_for_a_minute() -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    invitation = alice.invites()
    exchange.run(59.9)
    only_pings(alice)
    exchange.run(0.2)
    alice.is_told(invitation, "failed", error="expired")
    assert exchange.told(InvitationFailed) == [InvitationFailed(invitation, "expired")]


def test_an_acceptance_that_is_never_confirmed() -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    invitation = alice.invites()
    alice.confirms = False
    exchange.act("accept", invitation)
    exchange.run(29.9)
    alice.is_told(invitation, "accepted")
    exchange.run(0.2)
    assert alice.takes("ended")["cause"] == "failed"
    assert exchange.told(InvitationFailed) == [InvitationFailed(invitation, "accept_failed")]


def test_an_acceptance_is_confirmed_after_a_resume() -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    invitation = alice.invites()
    alice.loses_connection()
    exchange.act("accept", invitation)
    exchange.run(25)
    alice.resumes()
    alice.is_told(invitation, "accepted")
    exchange.run(100)
    assert exchange.told(InvitationFailed) == []
    assert alice.gets("state", invitation=invitation)["remote"] == "accepted"


@pytest.mark.parametrize(
    ("accept", "confirm", "event"),
    [(False, True, InvitationFailed), (True, False, InvitationFailed), (True, True, HungUp)],
)
def test_the_caller_is_lost(accept: bool, confirm: bool, event: type[Any]) -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    invitation = alice.invites()
    alice.confirms = confirm
    if accept:
        exchange.act("accept", invitation)
    alice.loses_connection()
    exchange.run(31)
    assert [event.invitation for event in exchange.told(event)] == [invitation]
    if event is HungUp:
        assert exchange.told(HungUp)[0].cause == "network"
    assert exchange.agent.sizes()["calls"] == 0


def test_rights_are_asked_and_passed_on() -> None:
    exchange = Exchange()
    exchange.rights["visitor"] = Rights(be_called=True)
    exchange.rights["guest"] = Rights(call_out=("20XX",))
    assert exchange.client("visitor").fails("invite", to="1000", description=OFFER) == "not_allowed"
    guest = exchange.client("guest")
    guest.invites("2001")
    assert exchange.told(InvitationReceived)[0].rights.may_call_out("2001")
    assert guest.fails("message", to="visitor", text="hello") == "not_allowed"
    assert guest.fails("presence.subscribe", users=["visitor"]) == "not_allowed"
    assert exchange.calls("guest") == NotReachable("not_allowed")


def test_a_client_makes_eight_calls_at_a_time() -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    calls = [alice.invites() for _ in range(8)]
    assert alice.fails("invite", to="1000", description=OFFER) == "too_many_invitations"
    exchange.calls("alice")
    alice.takes("invited")
    alice.gets("cancel", invitation=calls[3])
    alice.is_told(calls[3], "cancelled")
    alice.invites()


def test_two_calls_a_second_in_the_long_run() -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    for _ in range(20):
        invitation = alice.gets("invite", to="1000", description=OFFER)["invitation"]
        alice.gets("cancel", invitation=invitation)
    answer = alice.answers[alice.asks("invite", to="1000", description=OFFER)]
    assert answer["code"] == "too_fast"
    assert 0 < answer["retry_ms"] <= 501
    exchange.run(answer["retry_ms"] / 1000)
    alice.gets("invite", to="1000", description=OFFER)


def test_a_channel_may_be_asked_for() -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    answer = alice.gets("invite", to="1000", channel="party", description=OFFER)
    assert answer["channel"] == "party"
    event = exchange.told(InvitationReceived)[0]
    assert (event.channel, event.channel_given) == ("party", True)


def test_descriptions_are_of_the_right_kind() -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    assert alice.fails("invite", to="1000", description=ANSWER) == "bad_field"
    invitation = exchange.calls("alice")
    assert alice.fails("accept", invitation=invitation, description=OFFER) == "bad_field"
    alice.gets("accept", invitation=invitation, description=ANSWER)


def test_what_happens_in_a_call() -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    invitation = alice.invites()
    assert alice.fails("hold", invitation=invitation, on=True) == "wrong_state"
    exchange.act("accept", invitation)
    exchange.events.clear()
    alice.gets("candidate", invitation=invitation, candidate=CANDIDATE)
    alice.gets("candidate", invitation=invitation)
    alice.gets("keys", invitation=invitation, keys="12#")
    alice.gets("hold", invitation=invitation, on=True)
    alice.gets("media", invitation=invitation, description=OFFER)
    alice.gets("media", invitation=invitation, description=ANSWER)
    candidate = Candidate(candidate=CANDIDATE["candidate"], sdp_mid="0", sdp_m_line_index=0)  # type: ignore[arg-type]
    assert exchange.events == [
        CandidateReceived(invitation, "web", candidate),
        CandidateReceived(invitation, "web", None),
        KeysReceived(invitation, "12#"),
        HoldChanged(invitation, True),
        MediaOffered(invitation, "v=0 offer"),
        MediaAnswered(invitation, "v=0 answer"),
    ]
    alice.heard.clear()
    exchange.act("candidate", invitation, candidate)
    assert alice.takes("candidate")["candidate"] == CANDIDATE
    exchange.act("describe", invitation, "offer", "v=0 new")
    assert alice.takes("media")["description"]["type"] == "offer"


def test_nobody_touches_the_call_of_another() -> None:
    exchange = Exchange()
    alice, mallory = exchange.client("alice"), exchange.client("mallory")
    second = exchange.client("alice", "phone")
    invitation = alice.invites()
    exchange.act("accept", invitation)
    exchange.events.clear()
    for other in (mallory, second):
        requests: dict[str, dict[str, Any]] = {
            "cancel": {},
            "hangup": {},
            "refuse": {},
            "received": {},
            "state": {},
            "candidate": {},
            "keys": {"keys": "1"},
            "hold": {"on": True},
            "accept": {"description": ANSWER},
            "media": {"description": OFFER},
        }
        for kind, fields in requests.items():
            assert other.fails(kind, invitation=invitation, **fields) == "unknown_invitation"
        ends = f'{{"Cmd":"EndCall","Call":"{invitation}"}}'
        assert other.fails("message", to="alice", text=ends) == "unknown_invitation"
    assert exchange.events == []


def test_end_call_names_its_call() -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    one, two = alice.invites(), alice.invites()
    for invitation in (one, two):
        exchange.act("accept", invitation)
    exchange.events.clear()
    assert alice.fails("message", to="anybody", text='{"Cmd":"EndCall"}') == "bad_field"
    alice.gets("message", to="anybody", text=f'{{"Cmd":"EndCall","Call":"{two}"}}')
    assert exchange.told(HungUp) == [HungUp(two, "hangup")]
    assert exchange.agent.sizes()["calls"] == 1
    assert alice.gets("state", invitation=one)["over"] is False


# A client is called --------------------------------------------------------------------------------------


def test_being_called_from_the_invitation_to_the_end() -> None:
    exchange = Exchange()
    bob = exchange.client("bob")
    invitation = exchange.calls("bob", name="Alice", number="3001", content="{}", channel="c1")
    invited = bob.takes("invited")
    assert invited == {
        "type": "invited",
        "seq": 1,
        "invitation": invitation,
        "from": "4711",
        "name": "Alice",
        "number": "3001",
        "channel": "c1",
        "content": "{}",
        "expires_ms": 60000,
        "description": OFFER,
    }
    assert bob.gets("state", invitation=invitation)["state"] == "idle"
    bob.gets("received", invitation=invitation)
    bob.gets("received", invitation=invitation)
    assert exchange.told(InvitationDelivered) == [InvitationDelivered(invitation, "web")]
    state = bob.gets("state", invitation=invitation)
    assert (state["state"], state["remote"]) == ("received", "received_by_remote")
    assert bob.fails("keys", invitation=invitation, keys="1") == "wrong_state"
    assert bob.fails("cancel", invitation=invitation) == "wrong_state"
    assert exchange.agent.state_of("bob") == "online"
    bob.gets("accept", invitation=invitation, response="hello", description=ANSWER)
    assert exchange.told(InvitationAccepted) == [InvitationAccepted(invitation, "web", "hello", "v=0 answer")]
    bob.is_told(invitation, "accepted")
    assert exchange.agent.state_of("bob") == "busy"
    assert bob.fails("accept", invitation=invitation, description=ANSWER) == "wrong_state"
    assert bob.fails("refuse", invitation=invitation) == "wrong_state"
    exchange.run(300)
    bob.gets("hangup", invitation=invitation)
    assert exchange.told(HungUp) == [HungUp(invitation, "hangup")]
    assert exchange.agent.state_of("bob") == "online"
    assert exchange.agent.sizes()["calls"] == 0
    only_pings(bob)


def test_nobody_is_there() -> None:
    exchange = Exchange()
    assert exchange.calls("bob") == NotReachable("offline")


def test_the_first_device_that_accepts_has_the_call() -> None:
    exchange = Exchange()
    web, desk = exchange.client("bob", "web"), exchange.client("bob", "desk")
    exchange.run(2)
    late = Client(exchange, "bob", "late")
    invitation = exchange.calls("bob")
    for device in (web, desk):
        assert device.takes("invited")["invitation"] == invitation
        device.gets("received", invitation=invitation)
    exchange.run(10)
    late.connect()
    late.logs_in()
    assert late.takes("invited")["expires_ms"] == 50000
    desk.gets("accept", invitation=invitation, description=ANSWER)
    desk.is_told(invitation, "accepted")
    for device in (web, late):
        device.is_told(invitation, "cancelled", error="answered_elsewhere")
        assert device.fails("accept", invitation=invitation, description=ANSWER) == "answered_elsewhere"
        device.gets("refuse", invitation=invitation)
        state = device.gets("state", invitation=invitation)
        assert (state["state"], state["over"]) == ("cancelled", True)
    assert len(exchange.told(InvitationAccepted)) == 1
    exchange.act("end", invitation, "hangup")
    assert desk.takes("ended")["cause"] == "hangup"
    only_pings(web)


def test_a_device_refuses_for_the_user() -> None:
    exchange = Exchange()
    web, desk = exchange.client("bob", "web"), exchange.client("bob", "desk")
    invitation = exchange.calls("bob")
    web.takes("invited")
    desk.takes("invited")
    web.gets("refuse", invitation=invitation, response="in a meeting")
    web.is_told(invitation, "refused")
    desk.is_told(invitation, "cancelled", error="refused_elsewhere")
    assert exchange.told(InvitationRefused) == [InvitationRefused(invitation, "in a meeting")]


def test_a_busy_device_leaves_it_to_the_others() -> None:
    exchange = Exchange()
    web, desk = exchange.client("bob", "web"), exchange.client("bob", "desk")
    invitation = exchange.calls("bob")
    desk.takes("invited")
    web.gets("refuse", invitation=invitation, response="busy")
    assert exchange.told(InvitationRefused) == []
    only_pings(desk)
    desk.gets("refuse", invitation=invitation, response="busy")
    assert exchange.told(InvitationRefused) == [InvitationRefused(invitation, "busy")]


def test_a_busy_device_and_one_that_leaves_are_busy() -> None:
    exchange = Exchange()
    web, desk = exchange.client("bob", "web"), exchange.client("bob", "desk")
    invitation = exchange.calls("bob")
    web.gets("refuse", invitation=invitation, response="busy")
    desk.gets("logout")
    assert exchange.told(InvitationRefused) == [InvitationRefused(invitation, "busy")]


def test_the_caller_gives_up() -> None:
    exchange = Exchange()
    bob = exchange.client("bob")
    first, second = exchange.calls("bob"), exchange.calls("bob")
    bob.heard.clear()
    exchange.act("cancel", first)
    bob.is_told(first, "cancelled")
    exchange.act("cancel", second, "answered_elsewhere")
    bob.is_told(second, "cancelled", error="answered_elsewhere")
    assert bob.fails("accept", invitation=first, description=ANSWER) == "wrong_state"
    exchange.run(100)
    only_pings(bob)
    assert exchange.told(InvitationFailed) == []


@pytest.mark.parametrize(("connected", "error"), [(True, "no_response"), (False, "peer_offline")])
def test_no_sign_of_the_callee_for_half_a_minute(connected: bool, error: ErrorWord) -> None:
    exchange = Exchange()
    bob = exchange.client("bob")
    exchange.run(4)
    if not connected:
        bob.loses_connection()
        # Somebody comes and goes, and the session stays: what counts is whether he is there in the end.
        exchange.run(8)
    invitation = exchange.calls("bob")
    if not connected:
        exchange.run(15)
        bob.resumes()
        bob.takes("invited")
        bob.loses_connection()
    exchange.run(30.1 - (0 if connected else 15))
    assert exchange.told(InvitationFailed) == [InvitationFailed(invitation, error)]


def test_ringing_reaches_who_was_away_for_a_moment() -> None:
    exchange = Exchange()
    bob = exchange.client("bob")
    bob.loses_connection()
    exchange.run(10)
    invitation = exchange.calls("bob")
    exchange.run(10)
    bob.resumes()
    bob.takes("invited")
    bob.gets("accept", invitation=invitation, description=ANSWER)
    assert len(exchange.told(InvitationAccepted)) == 1


def test_nobody_picks_up_for_a_minute() -> None:
    exchange = Exchange()
    bob = exchange.client("bob")
    invitation = exchange.calls("bob")
    bob.takes("invited")
    bob.gets("received", invitation=invitation)
    exchange.run(59.9)
    only_pings(bob)
    exchange.run(0.2)
    bob.is_told(invitation, "failed", error="expired")
    assert exchange.told(InvitationFailed) == [InvitationFailed(invitation, "expired")]


def test_the_callee_is_lost_while_it_rings() -> None:
    exchange = Exchange()
    bob = exchange.client("bob")
    invitation = exchange.calls("bob")
    bob.gets("received", invitation=invitation)
    bob.loses_connection()
    exchange.run(31)
    assert exchange.told(InvitationFailed) == [InvitationFailed(invitation, "peer_offline")]


def test_a_page_that_is_loaded_anew_rings_again() -> None:
    exchange = Exchange()
    bob = exchange.client("bob")
    invitation = exchange.calls("bob")
    bob.loses_connection()
    exchange.run(1)
    again = exchange.client("bob")
    assert again.takes("invited")["invitation"] == invitation
    assert exchange.told(InvitationFailed) == []
    again.gets("accept", invitation=invitation, description=ANSWER)


def test_the_callee_is_lost_in_a_call() -> None:
    exchange = Exchange()
    bob = exchange.client("bob")
    invitation = exchange.calls("bob")
    bob.gets("accept", invitation=invitation, description=ANSWER)
    bob.loses_connection()
    exchange.run(29)
    assert exchange.told(HungUp) == []
    exchange.run(2)
    assert exchange.told(HungUp) == [HungUp(invitation, "network")]


def test_candidates_of_ringing_devices_are_told_apart() -> None:
    exchange = Exchange()
    web, desk = exchange.client("bob", "web"), exchange.client("bob", "desk")
    invitation = exchange.calls("bob")
    web.gets("candidate", invitation=invitation, candidate=CANDIDATE)
    desk.gets("candidate", invitation=invitation)
    assert [event.device for event in exchange.told(CandidateReceived)] == ["web", "desk"]
    exchange.act("candidate", invitation, None)
    for device in (web, desk):
        assert device.heard[-1] == {"type": "candidate", "seq": 2, "invitation": invitation}
    desk.gets("accept", invitation=invitation, description=ANSWER)
    assert web.fails("candidate", invitation=invitation) == "answered_elsewhere"
    exchange.act("describe", invitation, "offer", "v=0 new")
    assert desk.heard[-1]["type"] == "media"
    assert web.heard[-1]["type"] == "invitation"


def test_how_many_may_ring_one_user() -> None:
    exchange = Exchange(Limits(invitations_of_user=2))
    bob = exchange.client("bob")
    first = exchange.calls("bob")
    exchange.calls("bob")
    assert exchange.calls("bob") == NotReachable("full")
    bob.gets("refuse", invitation=first)
    assert isinstance(exchange.calls("bob"), str)


def test_a_thousand_calls_in_a_second_have_their_own_channels() -> None:
    exchange = Exchange(Limits(invitations=1000), checked=False)
    callers = [exchange.client(f"user{number}") for number in range(100)]
    answers = [caller.gets("invite", to="1000", description=OFFER) for _ in range(10) for caller in callers]
    assert len({answer["channel"] for answer in answers}) == 1000
    ids = {answer["invitation"] for answer in answers} | {answer["channel"] for answer in answers}
    assert len(ids) == 2000
    assert len({found[:8] for found in ids}) == 2000
    assert min(map(len, ids)) >= 22, "128 bits at least"
    for answer in answers:
        exchange.act("accept", answer["invitation"])
    assert exchange.agent.sizes()["calls"] == 1000


def test_the_last_ends_are_remembered_and_no_more() -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    first = alice.invites()
    alice.gets("cancel", invitation=first)
    for _ in range(40):
        exchange.run(1)
        invitation = alice.gets("invite", to="1000", description=OFFER)["invitation"]
        alice.gets("cancel", invitation=invitation)
    assert alice.fails("state", invitation=first) == "unknown_invitation"
    assert alice.gets("state", invitation=invitation)["state"] == "cancelled"
