"""Who is there, and what users write each other: rates, bounds, slow and absent readers."""

from __future__ import annotations

from gateway.rtc.events import ClientOffline
from gateway.rtc.limits import Limits
from tests.rtc.clients import OFFER, Exchange


def test_states_of_a_user_over_his_devices() -> None:
    exchange = Exchange()
    watcher = exchange.client("bob")
    answer = watcher.gets("presence.subscribe", users=["alice", "nobody", "bob"])
    assert answer["states"] == {"alice": "offline", "nobody": "offline", "bob": "online"}
    web = exchange.client("alice", "web")
    assert watcher.takes("presence") == {"type": "presence", "seq": 1, "user": "alice", "state": "online"}
    exchange.run(1)
    phone = exchange.client("alice", "phone")
    web.alive = False
    exchange.run(10)
    assert watcher.heard == []
    phone.alive = False
    exchange.run(10)
    assert watcher.takes("presence")["state"] == "unreachable"
    phone.asks("ping")
    assert watcher.takes("presence")["state"] == "online"
    phone.alive = True
    exchange.act("set_busy", "alice", True)
    assert watcher.takes("presence")["state"] == "busy"
    exchange.act("set_busy", "alice", False)
    assert watcher.takes("presence")["state"] == "online"
    phone.gets("invite", to="1000", description=OFFER)
    assert watcher.takes("presence")["state"] == "busy"
    phone.gets("logout")
    assert watcher.takes("presence")["state"] in ("unreachable", "online")
    exchange.run(20)
    assert watcher.heard[-1]["state"] == "offline"
    watcher.heard.clear()
    watcher.gets("presence.unsubscribe", users=["alice"])
    exchange.client("alice")
    assert watcher.heard == []


def test_how_many_are_watched() -> None:
    exchange = Exchange()
    client = exchange.client("alice")
    client.gets("presence.subscribe", users=[f"u{number}" for number in range(500)])
    assert client.fails("presence.subscribe", users=[f"v{number}" for number in range(13)]) == "too_many_subscriptions"
    client.gets("presence.subscribe", users=[f"v{number}" for number in range(12)])
    client.gets("presence.subscribe", users=[f"u{number}" for number in range(500)])
    client.gets("presence.unsubscribe", users=["u1"])
    client.gets("presence.subscribe", users=["w"])
    assert exchange.agent.sizes()["watched"] == 512


def test_presence_calls_ten_in_five_seconds() -> None:
    exchange = Exchange()
    client = exchange.client("alice")
    for _ in range(10):
        client.gets("presence.subscribe", users=["bob"])
    answer = client.answers[client.asks("presence.unsubscribe", users=["bob"])]
    assert answer["code"] == "too_fast"
    assert 0 < answer["retry_ms"] <= 501
    exchange.run(answer["retry_ms"] / 1000)
    client.gets("presence.unsubscribe", users=["bob"])


def test_who_was_away_gets_the_latest_state_only() -> None:
    exchange = Exchange()
    watcher, alice = exchange.client("bob"), exchange.client("alice")
    watcher.gets("presence.subscribe", users=["alice"])
    watcher.loses_connection()
    for number in range(1001):
        exchange.act("set_busy", "alice", number % 2 == 0)
    watcher.resumes()
    assert watcher.takes("presence")["state"] == "busy"
    assert watcher.heard == []
    assert alice.heard == []


def test_a_watcher_that_does_not_confirm_costs_no_more_than_names() -> None:
    exchange = Exchange(Limits(unconfirmed=20))
    watcher = exchange.client("bob")
    exchange.client("alice")
    watcher.gets("presence.subscribe", users=["alice"])
    watcher.confirms = False
    for number in range(1001):
        exchange.act("set_busy", "alice", number % 2 == 0)
    assert len(watcher.heard) == 10
    # A call has room all the same.
    assert isinstance(exchange.calls("bob"), str)
    assert watcher.heard[-1]["type"] == "invited"
    watcher.confirms = True
    watcher.heard.clear()
    watcher.sends(type="ack", seq=watcher.seq)
    assert watcher.takes("presence")["state"] == "busy"
    assert watcher.heard == []


def test_who_does_not_confirm_what_belongs_to_calls_is_logged_out() -> None:
    exchange = Exchange(Limits(unconfirmed=20))
    client = exchange.client("alice")
    invitation = client.invites()
    client.confirms = False
    for _ in range(20):
        exchange.act("progress", invitation, ringing=True, early_media=False)
    assert client.connection is not None
    exchange.act("progress", invitation, ringing=True, early_media=False)
    assert client.code == 4005
    assert exchange.told(ClientOffline) == [ClientOffline("alice", "web")]
    assert exchange.agent.sizes()["calls"] == 0


def test_bytes_that_are_owed_are_bounded() -> None:
    exchange = Exchange(Limits(unconfirmed_characters=100_000))
    alice, bob = exchange.client("alice"), exchange.client("bob")
    bob.confirms = False
    numbers = [alice.asks("message", to="bob", text="x" * 32_000) for _ in range(3)]
    assert [alice.answers[number]["code"] for number in numbers if number in alice.answers] == ["peer_full"]
    invitation = exchange.calls("bob", sdp="v" * 24_000)
    assert bob.connection is not None
    bob.gets("refuse", invitation=invitation)
    exchange.calls("bob", sdp="v" * 24_000)
    assert bob.code == 4005


def test_a_message_arrives_and_its_sender_knows() -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    web, desk = exchange.client("bob", "web"), exchange.client("bob", "desk")
    alice.gets("message", to="bob", text="\u4f60\u597d \U0001f600")
    for device in (web, desk):
        message = device.takes("message")
        assert (message["from"], message["text"]) == ("alice", "\u4f60\u597d \U0001f600")
    assert exchange.agent.sizes()["messages"] == 0


def test_a_message_is_delivered_when_one_device_confirms() -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    web, desk = exchange.client("bob", "web"), exchange.client("bob", "desk")
    web.confirms = desk.confirms = False
    number = alice.asks("message", to="bob", text="hello")
    assert number not in alice.answers
    exchange.run(3)
    desk.sends(type="ack", seq=desk.seq)
    assert alice.answers[number]["type"] == "ok"
    web.sends(type="ack", seq=web.seq)
    exchange.run(20)
    assert alice.answers[number]["type"] == "ok"


def test_nobody_confirms_a_message() -> None:
    exchange = Exchange()
    alice, bob = exchange.client("alice"), exchange.client("bob")
    bob.loses_connection()
    number = alice.asks("message", to="bob", text="hello")
    exchange.run(9.9)
    assert number not in alice.answers
    exchange.run(0.2)
    assert alice.answers[number]["code"] == "no_response"
    # It is kept for him all the same, as the words of the error say.
    bob.resumes()
    assert bob.takes("message")["text"] == "hello"


def test_a_user_who_is_not_there_or_leaves() -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    assert alice.fails("message", to="bob", text="hello") == "peer_offline"
    bob = exchange.client("bob")
    bob.confirms = False
    number = alice.asks("message", to="bob", text="hello")
    bob.gets("logout")
    assert alice.answers[number]["code"] == "peer_offline"


def test_the_sender_is_away_when_his_message_arrives() -> None:
    exchange = Exchange()
    alice, bob = exchange.client("alice"), exchange.client("bob")
    bob.confirms = False
    number = alice.asks("message", to="bob", text="hello")
    alice.loses_connection()
    bob.sends(type="ack", seq=bob.seq)
    exchange.run(2)
    alice.resumes()
    alice.sends(type="message", id=number, to="bob", text="hello")
    assert alice.answers[number]["type"] == "ok"
    assert len(bob.heard) == 1


def test_sixty_messages_a_second() -> None:
    exchange = Exchange()
    alice = exchange.client("alice")
    exchange.client("bob")
    for _ in range(60):
        alice.gets("message", to="bob", text="x")
    answer = alice.answers[alice.asks("message", to="bob", text="x")]
    assert answer["code"] == "too_fast"
    assert 0 < answer["retry_ms"] < 20
    exchange.run(0.5)
    for _ in range(30):
        alice.gets("message", to="bob", text="x")
    assert alice.fails("message", to="bob", text="x") == "too_fast"


def test_longest_messages() -> None:
    exchange = Exchange()
    alice, bob = exchange.client("alice"), exchange.client("bob")
    text = "\u4f60" * (32 * 1024 // 3)
    alice.gets("message", to="bob", text=text)
    assert bob.takes("message")["text"] == text
    assert alice.fails("message", to="bob", text=text + "xyz") == "too_long"
    assert alice.fails("invite", to="1000", content="x" * 8193, description=OFFER) == "too_long"
