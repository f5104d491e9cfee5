"""Coming in, being there, coming back: logins, devices, silence, resuming, and what is left behind: nothing."""

from __future__ import annotations

import json

import pytest

from gateway.rtc.events import (
    ClientBack,
    ClientOffline,
    ClientUnreachable,
    HungUp,
    InvitationCancelled,
    PresenceChanged,
)
from gateway.rtc.limits import Limits
from tests.rtc.clients import OFFER, Client, Exchange

NOTHING = {
    "users": 0,
    "sessions": 0,
    "watched": 0,
    "connections": 0,
    "login rates": 0,
    "calls": 0,
    "messages": 0,
    "timers": 0,
}


def test_login_tells_what_a_client_needs() -> None:
    exchange = Exchange()
    client = Client(exchange, "alice")
    client.connect()
    answer = client.logs_in()
    assert (answer["user"], answer["name"], answer["ping_ms"], answer["grace_ms"]) == ("alice", "Alice", 2000, 30000)
    assert answer["rights"] == {"call_in": True, "be_called": True, "call_out": ["*"], "peers": True}
    assert answer["ice_servers"] == [{"urls": ["stun:192.0.2.1"]}]
    assert answer["resumed"] is False
    assert len(answer["session"]) >= 32
    assert exchange.told(PresenceChanged) == [PresenceChanged("alice", "online")]


def test_login_comes_first_and_in_time() -> None:
    exchange = Exchange()
    client = Client(exchange, "alice")
    client.connect()
    assert client.fails("ping") == "not_logged_in"
    client.sends(type="ack", seq=1)
    assert client.heard.pop()["code"] == "not_logged_in"
    exchange.run(5.9)
    assert client.connection is not None
    exchange.run(0.2)
    assert client.code == 4001
    assert exchange.agent.sizes() == NOTHING


def test_three_tries_and_no_more() -> None:
    exchange = Exchange()
    client = Client(exchange, "alice")
    client.connect()
    assert client.fails("login", token="bad", device="web") == "token_invalid"
    assert client.fails("login", token="expired:alice", device="web") == "token_expired"
    assert client.code is None
    assert client.fails("login", token="bad", device="web") == "token_invalid"
    assert client.code == 4001


def test_nobody_logs_in_twice_on_one_connection() -> None:
    client = Exchange().client("alice")
    assert client.fails("login", token="bob", device="web") == "already_logged_in"


def test_two_logins_a_second_of_one_user() -> None:
    exchange = Exchange()
    exchange.client("alice", "a")
    exchange.client("alice", "b")
    third = Client(exchange, "alice", "c")
    third.connect()
    number = third.asks("login", token="alice", device="c")
    assert third.answers[number]["code"] == "too_many_logins"
    assert 0 < third.answers[number]["retry_ms"] <= 501
    exchange.client("bob")
    exchange.run(third.answers[number]["retry_ms"] / 1000)
    third.logs_in()


def test_a_device_replaces_itself_and_ends_its_calls() -> None:
    exchange = Exchange()
    old = exchange.client("alice")
    invitation = old.invites()
    exchange.act("accept", invitation)
    old.is_told(invitation, "accepted")
    making = old.invites("2001")
    exchange.run(1)
    exchange.events.clear()
    new = exchange.client("alice")
    assert old.code == 4002
    assert exchange.told(HungUp) == [HungUp(invitation, "replaced")]
    assert exchange.told(InvitationCancelled) == [InvitationCancelled(making)]
    assert exchange.told(ClientOffline) == [ClientOffline("alice", "web")]
    assert exchange.agent.state_of("alice") == "online"
    assert new.gets("ping")
    assert exchange.agent.sizes()["sessions"] == 1


def test_devices_are_bounded_but_a_lost_one_makes_room() -> None:
    exchange = Exchange(Limits(devices=2))
    first = exchange.client("alice", "a")
    exchange.client("alice", "b")
    exchange.run(1)
    third = Client(exchange, "alice", "c")
    third.connect()
    assert third.fails("login", token="alice", device="c") == "too_many_devices"
    first.loses_connection()
    exchange.run(1)
    third.logs_in()
    assert exchange.told(ClientOffline) == [ClientOffline("alice", "a")]


def test_sessions_and_connections_are_bounded() -> None:
    exchange = Exchange(Limits(sessions=2, connections=3))
    exchange.client("a")
    exchange.client("b")
    third = Client(exchange, "c")
    third.connect()
    assert third.fails("login", token="c", device="web") == "full"
    fourth = Client(exchange, "d")
    fourth.connect()
    assert fourth.code == 1013


def test_silence_makes_unreachable_and_then_offline() -> None:
    exchange = Exchange()
    client = exchange.client("alice")
    watcher = exchange.client("bob")
    watcher.gets("presence.subscribe", users=["alice"])
    exchange.run(20)
    assert exchange.told(ClientUnreachable) == []
    client.alive = False
    exchange.run(3.9)
    assert exchange.told(ClientUnreachable) == []
    exchange.run(2.2)
    assert exchange.told(ClientUnreachable) == [ClientUnreachable("alice", "web", ())]
    assert watcher.takes("presence")["state"] == "unreachable"
    exchange.run(23.5)
    assert exchange.agent.state_of("alice") == "unreachable"
    exchange.run(0.5)
    assert exchange.told(ClientOffline) == [ClientOffline("alice", "web")]
    assert client.code == 4003
    assert watcher.takes("presence")["state"] == "offline"


def test_a_pong_is_a_sign_of_life() -> None:
    exchange = Exchange()
    client = exchange.client("alice")
    client.alive = False
    for _ in range(20):
        exchange.run(5)
        assert client.connection is not None
        exchange.agent.heard(client.connection, exchange.now)
    assert exchange.told(ClientUnreachable) == []


def test_a_dip_of_a_few_seconds_is_seen_by_nobody() -> None:
    exchange = Exchange()
    client = exchange.client("alice")
    exchange.run(1)
    client.loses_connection()
    exchange.run(4)
    client.resumes()
    exchange.run(60)
    assert exchange.told(ClientUnreachable) == []
    assert exchange.told(PresenceChanged) == [PresenceChanged("alice", "online")]


def test_coming_back_after_a_longer_one() -> None:
    exchange = Exchange()
    client = exchange.client("alice")
    invitation = client.invites()
    exchange.act("accept", invitation)
    client.is_told(invitation, "accepted")
    client.loses_connection()
    exchange.run(20)
    assert exchange.told(ClientUnreachable) == [ClientUnreachable("alice", "web", (invitation,))]
    client.resumes()
    assert exchange.told(ClientBack) == [ClientBack("alice", "web", (invitation,))]
    assert exchange.told(HungUp) == []
    exchange.run(60)
    assert len(exchange.told(ClientUnreachable)) == 1
    assert client.gets("state", invitation=invitation)["state"] == "accepted"


def test_what_was_missed_comes_after_resuming_once_and_in_order() -> None:
    exchange = Exchange()
    client = exchange.client("alice")
    invitation = client.invites()
    client.loses_connection()
    exchange.act("progress", invitation, ringing=True, early_media=False)
    exchange.act("describe", invitation, "answer", "v=0 early")
    exchange.act("accept", invitation, "hello")
    exchange.run(3)
    client.resumes()
    assert client.takes("progress")["ringing"] is True
    assert client.takes("media")["description"] == {"type": "answer", "sdp": "v=0 early"}
    client.is_told(invitation, "accepted", response="hello")
    assert client.heard == []


def test_what_was_sent_but_not_confirmed_comes_again() -> None:
    exchange = Exchange()
    client = exchange.client("alice")
    client.confirms = False
    invitation = client.invites()
    exchange.act("progress", invitation, ringing=True, early_media=False)
    client.takes("progress")
    client.loses_connection()
    # The page crashed after it took the first: it says so, and gets the second again.
    client.seq = 1
    exchange.run(1)
    client.resumes()
    assert client.takes("progress")["seq"] == 2


def test_a_repeated_request_is_done_once_and_answered_again() -> None:
    exchange = Exchange()
    client = exchange.client("alice")
    number = client.asks("invite", to="1000", description=OFFER)
    first = client.answers.pop(number)
    client.loses_connection()
    exchange.run(1)
    client.resumes()
    client.sends(type="invite", id=number, to="1000", description=OFFER)
    assert client.answers[number] == first
    assert exchange.agent.sizes()["calls"] == 1
    client.sends(type="invite", id=number + 5, to="1000", description=OFFER)
    assert exchange.agent.sizes()["calls"] == 2
    # One that was never seen, below: the client broke the rule of its counter.
    client.sends(type="invite", id=number + 2, to="1000", description=OFFER)
    assert client.answers[number + 2]["code"] == "stale_id"


def test_an_answer_is_not_remembered_for_ever() -> None:
    exchange = Exchange()
    client = exchange.client("alice")
    number = client.asks("invite", to="1000", description=OFFER)
    for _ in range(70):
        client.asks("cancel", invitation="nothing")
    client.sends(type="invite", id=number, to="1000", description=OFFER)
    assert client.answers[number]["code"] == "stale_id"


def test_a_token_that_is_over_is_good_enough_to_resume_the_own_session() -> None:
    exchange = Exchange()
    client = exchange.client("alice")
    client.loses_connection()
    exchange.run(1)
    client.resumes("expired:alice")
    client.loses_connection()
    exchange.run(1)
    other = Client(exchange, "mallory")
    other.connect()
    resume = {"session": client.session, "seq": 0}
    assert other.fails("login", token="expired:mallory", device="web", resume=resume) == "token_expired"
    assert other.fails("login", token="mallory", device="web", resume=resume) == "not_resumable"
    assert other.fails("login", token="bad", device="web", resume=resume) == "token_invalid"


def test_what_is_over_cannot_be_resumed_and_the_connection_takes_another_login() -> None:
    exchange = Exchange()
    client = exchange.client("alice")
    client.loses_connection()
    exchange.run(31)
    client.connect()
    resume = {"session": client.session, "seq": client.seq}
    assert client.fails("login", token="alice", device="web", resume=resume) == "not_resumable"
    client.logs_in()
    client.loses_connection()
    exchange.run(1)
    client.connect()
    resume = {"session": client.session, "seq": 99}
    assert client.fails("login", token="alice", device="web", resume=resume) == "not_resumable"


def test_resuming_while_the_old_connection_still_stands() -> None:
    exchange = Exchange()
    client = exchange.client("alice")
    invitation = client.invites()
    old = client.connection
    assert old is not None
    client.connect()
    client.logs_in(resume={"session": client.session, "seq": client.seq})
    assert old not in exchange.connections
    assert exchange.told(ClientOffline) == []
    assert client.gets("state", invitation=invitation)["state"] == "received_by_remote"
    # The old one says something late: nobody listens.
    exchange.agent.receive(old, json.dumps({"type": "logout", "id": 99}), exchange.now)
    exchange.flush()
    assert client.gets("ping")


def test_logout_ends_everything() -> None:
    exchange = Exchange()
    client = exchange.client("alice")
    invitation = client.invites()
    client.gets("logout")
    assert client.code == 4000
    assert exchange.told(InvitationCancelled) == [InvitationCancelled(invitation)]
    assert exchange.agent.state_of("alice") == "offline"
    exchange.run(10)
    assert exchange.agent.sizes() == NOTHING


def test_a_user_is_logged_out_by_the_site() -> None:
    exchange = Exchange()
    phones = [exchange.client("alice", "a"), exchange.client("alice", "b")]
    other = exchange.client("bob")
    exchange.act("log_out", "alice")
    assert [phone.code for phone in phones] == [4006, 4006]
    assert other.code is None


def test_the_end_of_the_gateway_is_told() -> None:
    exchange = Exchange()
    client = exchange.client("alice")
    invitation = client.invites()
    exchange.act("accept", invitation)
    client.is_told(invitation, "accepted")
    waiting = Client(exchange, "bob")
    waiting.connect()
    exchange.act("shut_down")
    assert client.takes("ended")["cause"] == "shutdown"
    assert (client.code, waiting.code) == (1001, 1001)
    exchange.run(10)
    assert exchange.agent.sizes() == NOTHING


def test_draining_refuses_new_calls_and_keeps_the_others() -> None:
    exchange = Exchange()
    client = exchange.client("alice")
    invitation = client.invites()
    exchange.agent.draining = True
    assert client.fails("invite", to="1000", description=OFFER) == "shutting_down"
    exchange.act("accept", invitation)
    client.is_told(invitation, "accepted")


def test_a_flood_is_cut_off() -> None:
    exchange = Exchange()
    client = exchange.client("alice")
    for _ in range(2000):
        client.says("{}")
    assert client.code == 4004
    exchange.run(1)
    client.resumes()


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"type":"ping"}', "[" * 60_000, "\x00", '{"type":"\\ud800"}'])
def test_bad_frames_are_answered_and_do_no_harm(text: str) -> None:
    exchange = Exchange()
    client = exchange.client("alice")
    client.says(text)
    assert client.heard.pop()["type"] == "error"
    assert client.gets("ping")


def test_an_ack_for_what_was_never_sent_is_refused() -> None:
    client = Exchange().client("alice")
    client.sends(type="ack", seq=7)
    message = client.heard.pop()
    assert (message["re"], message["code"]) == (None, "bad_field")


def test_ten_thousand_clients_leave_nothing_behind() -> None:
    exchange = Exchange(checked=False)
    for number in range(10_000):
        client = Client(exchange, f"user{number % 3000}", f"device{number % 7}")
        client.connect()
        way = number % 5
        if way:
            client.logs_in()
            client.gets("presence.subscribe", users=[f"user{number % 50}", "nobody"])
            if way > 2:
                invitation = client.gets("invite", to="1000", description=OFFER)["invitation"]
                if way == 3:
                    exchange.act("accept", invitation)
        if way == 4:
            client.gets("logout")
        else:
            client.loses_connection()
        exchange.now += 0.01
        exchange.agent.handle_timer(exchange.now)
        exchange.flush()
        exchange.events.clear()
    exchange.run(60)
    assert exchange.agent.sizes() == NOTHING


def test_a_mistake_of_ours_is_told_and_hurts_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    exchange = Exchange()
    client = exchange.client("alice")

    def broken(*arguments: object) -> None:
        raise RuntimeError("a mistake")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange.agent._messages, "send", broken)
        assert client.fails("message", to="bob", text="hello") == "internal"
        assert "a mistake" in caplog.text
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange.agent._logins, "silent", broken)
        exchange.run(10)
    assert client.gets("ping")
    assert exchange.client("bob").gets("ping")
