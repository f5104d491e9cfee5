"""Clients of bad faith, and strangers at media ports: it costs their own call, if anything, and leaves nothing."""

from __future__ import annotations

import json
import os
import re
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aioice import stun
from aiortc import RTCPeerConnection

from gateway.call import CallEnded, CallerLeft, LegAnswered, LegFailed, LegRinging, Target
from gateway.rtc.events import ClientUnreachable
from gateway.rtc.peer import RtcPeer
from tests.gateway.exchange import Exchange, Owned
from tests.gateway.webphone import WebPhone, offer, web_exchange
from tests.peers.patience import until

Phones = Callable[..., WebPhone]


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    exchange = web_exchange(tmp_path, media_port_count=1200, max_calls=400, calls_per_second=10_000.0)

    def ends_with_its_caller(owned: Owned) -> None:
        owned.react = lambda event: owned.call.hangup() if isinstance(event, CallerLeft) else None

    exchange.greets = ends_with_its_caller
    yield exchange
    exchange.close()


@pytest.fixture
def phone(exchange: Exchange) -> Iterator[Phones]:
    phones: list[WebPhone] = []

    def log_in(user: str = "alice", device: str = "web") -> WebPhone:
        phones.append(WebPhone(exchange, user, device))
        return phones[-1]

    yield log_in
    for each in phones:
        each.close()


@pytest.fixture
def stranger() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


def is_clean(exchange: Exchange) -> None:
    exchange.is_clean()

    def left() -> dict[str, int]:
        sizes = exchange.do(exchange.gateway.sizes)
        names = ("calls", "media_legs", "rtc_parties", "peers", "rtc_channels", "closing_peers", "rtc_calls")
        return {name: sizes[name] for name in names if sizes[name]}

    until(lambda: not left(), lambda: f"left behind: {left()}")


def answer_of(phone: WebPhone, invitation: str) -> tuple[str, str, tuple[str, int]]:
    """Name and password of ICE, and the port, as the gateway's answer has them."""
    sdp = phone.hears("media", invitation=invitation)["description"]["sdp"]
    values = [re.search(pattern, sdp) for pattern in (r"ice-ufrag:(\S+)", r"ice-pwd:(\S+)", r"m=audio (\d+)")]
    ufrag, password, port = (value[1] for value in values if value)
    return ufrag, password, ("127.0.0.1", int(port))


def ufrag_of(rtc: RTCPeerConnection) -> str:
    found = re.search(r"ice-ufrag:(\S+)", rtc.localDescription.sdp)
    assert found
    return found[1]


def peer_of(exchange: Exchange) -> RtcPeer:
    return next(iter(exchange.gateway._peers._peers.values()))


def ice_of(exchange: Exchange) -> Any:
    return peer_of(exchange)._ice


def check(ufrag: str, password: str, theirs: str = "abcd") -> stun.Message:
    """A check of ICE as a browser sends it, by whoever knows the password."""
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{ufrag}:{theirs}"
    message.attributes["PRIORITY"] = 1
    message.attributes["ICE-CONTROLLING"] = 1
    message.add_message_integrity(password.encode())
    return message


def answered(sock: socket.socket, address: tuple[str, int], message: stun.Message) -> bytes:
    """The gateway's answer to a check: all that was sent before has been taken."""
    sock.settimeout(10)
    sock.sendto(bytes(message), address)
    while True:
        data = sock.recv(2000)
        if data[8:20] == message.transaction_id:
            return data


# Descriptions and candidates. -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sdp",
    [
        offer().replace("a=mid:0", "a=mid:a\0b"),
        offer(more="m=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:a\0b"),
        offer(media="m=video 9 UDP/TLS/RTP/SAVPF 96"),
        offer(media="m=audio 9 UDP/TLS/RTP/SAVPF 200"),
        offer(media="m=audio 9 RTP/AVP 0"),
        offer(media="m=audio 0 UDP/TLS/RTP/SAVPF 0"),
        offer(more="a=x\n" * 2000),
        offer().replace("a=ice-pwd", "a=ice-pw"),
        offer().replace("sha-256 AB:", "sha-256 "[:-1] + "\t"),
        "v=0\r\n" * 3000,
        "\0" * 100,
    ],
    ids=range(11),
)
def test_an_offer_that_cannot_be_answered_is_refused_and_leaves_nothing(
    exchange: Exchange, phone: Phones, sdp: str
) -> None:
    alice = phone()
    refused = alice.hears("invitation", invitation=alice.invites("1000", sdp), state="refused")
    assert refused["status"] in (400, 488)
    is_clean(exchange)


def test_a_name_that_would_begin_another_line_of_sip(exchange: Exchange, phone: Phones) -> None:
    phone().invites("1000", content=json.dumps({"DisplayName": 'Eve" <sip:boss@example.com>\r\nX-Evil: 1\0'}))
    assert exchange.takes().call.caller_name == 'Eve" <sip:boss@example.com>X-Evil: 1'


def test_a_mistake_of_ours_in_mid_call_ends_that_call(
    exchange: Exchange, phone: Phones, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = phone()
    invitation = alice.invites("1000")
    owned = exchange.takes()
    owned.asks(lambda call: call.answer())
    alice.hears("invitation", invitation=invitation, state="accepted")

    def broken(*_: Any) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr("gateway.negotiation.Negotiation.answer", broken)
    alice.says("media", invitation=invitation, description={"type": "offer", "sdp": offer()})
    assert owned.hears(CallerLeft) == CallerLeft("network", "failed")
    assert alice.hears("ended", invitation=invitation)["cause"] == "failed"
    report = owned.hears(CallEnded).legs[0]
    assert report.hangup_by == "network"
    is_clean(exchange)


def test_a_mistake_of_ours_with_an_answer_fails_the_leg(
    exchange: Exchange, phone: Phones, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = phone(), phone("bob")
    alice.invites("1000")
    owned = exchange.takes()
    owned.asks(lambda call: call.dial("leg", Target("rtc", "bob")))
    invited = bob.hears("invited")["invitation"]

    def broken(*_: Any) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr("gateway.negotiation.Negotiation.accept", broken)
    bob.says("accept", invitation=invited, description={"type": "answer", "sdp": offer()})
    failed = owned.hears(LegFailed)
    assert (failed.leg_id, failed.outcome, failed.status) == ("leg", "failed", 500)
    assert bob.hears("ended", invitation=invited)["cause"] == "failed"
    owned.asks(lambda call: call.hangup())
    is_clean(exchange)


def test_nobody_is_checked_where_no_browser_can_be(exchange: Exchange, phone: Phones) -> None:
    alice = phone()
    places = ("127.0.0.1 99999", "127.0.0.1 -1", "127.0.0.1 0", "224.0.0.1 5", "255.255.255.255 5", "0.0.0.0 5")
    names = ("printer 5", "x.local 5", "x.local. 5", "::1 5", "127.1 5")
    bad = tuple(f"1 1 udp 1 {place} typ host" for place in (*places, *names))
    odd = ("1 1 tcp 1 127.0.0.1 9 typ host tcptype active", "1 2 udp 1 127.0.0.1 7 typ host", "1 1", "")
    invitation = alice.invites("1000", offer(candidates=(*bad, *odd)))
    alice.hears("media", invitation=invitation)
    for text in (*bad, *odd, "1 1 udp 1 127.0.0.1 7 typ host"):
        answer = alice.asks("candidate", invitation=invitation, candidate={"candidate": f"candidate:{text}"})
        assert answer["type"] == "ok"
    until(lambda: exchange.do(lambda: [pair.remote_addr for pair in ice_of(exchange)._check_list]), "no pair")
    assert exchange.do(lambda: [pair.remote_addr for pair in ice_of(exchange)._check_list]) == [("127.0.0.1", 7)]
    alice.asks("hangup", invitation=invitation)
    is_clean(exchange)


def test_a_client_names_more_places_than_are_checked(exchange: Exchange, phone: Phones) -> None:
    alice = phone()
    invitation = alice.invites(
        "1000", offer(candidates=tuple(f"1 1 udp 1 127.0.0.1 {7 + i} typ host" for i in range(90)))
    )
    for i in range(200):
        text = f"candidate:1 1 udp 1 127.0.0.2 {7 + i} typ host"
        alice.asks("candidate", invitation=invitation, candidate={"candidate": text})
    assert exchange.do(lambda: len(ice_of(exchange).remote_candidates)) == 64
    alice.asks("hangup", invitation=invitation)
    is_clean(exchange)


def test_descriptions_come_only_so_often(exchange: Exchange, phone: Phones) -> None:
    alice = phone()
    invitation = alice.invites("1000")
    exchange.takes().asks(lambda call: call.answer())
    answers = [
        alice.asks("media", invitation=invitation, description={"type": "offer", "sdp": offer(ufrag=f"new{i:03}")})
        for i in range(40)
    ]
    assert answers[0]["type"] == "ok"
    assert {answer["code"] for answer in answers if answer["type"] == "error"} == {"too_fast"}
    alice.asks("hangup", invitation=invitation)
    is_clean(exchange)


def test_restarts_that_come_to_nothing_and_answers_to_nothing(exchange: Exchange, phone: Phones) -> None:
    alice = phone()
    invitation, rtc = alice.calls("1000")
    owned = exchange.takes()
    owned.asks(lambda call: call.answer())
    alice.connects(rtc)
    carrying = exchange.do(lambda: ice_of(exchange))
    for ufrag in ("new1", "new2", "new3"):
        unanswerable = offer(media="m=audio 9 UDP/TLS/RTP/SAVPF 3", ufrag=ufrag)
        alice.asks("media", invitation=invitation, description={"type": "offer", "sdp": unanswerable})
        alice.asks("media", invitation=invitation, description={"type": "answer", "sdp": offer(ufrag=ufrag)})
    peer = exchange.do(lambda: peer_of(exchange))
    assert exchange.do(lambda: peer._former is carrying and peer.connected)
    assert not exchange.do(lambda: carrying._closed)
    assert not owned.has(CallerLeft)
    alice.asks("hangup", invitation=invitation)
    is_clean(exchange)


# Strangers at the media port. -----------------------------------------------------------------------------


def test_what_calls_itself_stun_and_is_not(exchange: Exchange, phone: Phones, stranger: socket.socket) -> None:
    alice = phone()
    invitation, rtc = alice.calls("1000")
    exchange.takes().asks(lambda call: call.answer())
    alice.connects(rtc)
    ufrag, password, address = answer_of(alice, invitation)

    def head(kind: int, body: bytes) -> bytes:
        return struct.pack("!HHI12s", kind, len(body), stun.COOKIE, os.urandom(12)) + body

    for body in (
        struct.pack("!HH", 0x0024, 3) + b"\0\0\0\0",  # PRIORITY of three bytes
        struct.pack("!HH", 0x0020, 0),  # an address of none
        struct.pack("!HHI", 0x8028, 4, 1),  # a wrong fingerprint
        struct.pack("!HH", 0x0006, 60_000),
    ):
        stranger.sendto(head(0x0001, body), address)
    for kind in (0x0002, 0x0101, 0x0111, 0x3FFF):
        stranger.sendto(head(kind, b""), address)
    unranked = check(ufrag, password, ufrag_of(rtc))
    del unranked.attributes["MESSAGE-INTEGRITY"], unranked.attributes["PRIORITY"]
    unranked.add_message_integrity(password.encode())
    answered(stranger, address, unranked)
    answered(stranger, address, check(ufrag, password, ufrag_of(rtc)))
    assert exchange.do(lambda: ice_of(exchange)._queue.qsize()) == 0
    assert exchange.troubles == []
    assert rtc.connectionState == "connected"
    alice.asks("hangup", invitation=invitation)
    is_clean(exchange)


def test_checks_from_everywhere(exchange: Exchange, phone: Phones) -> None:
    """Whoever knows the password may change his address, but not make us send to a whole network."""
    alice = phone()
    invitation, rtc = alice.calls("1000")
    alice.connects(rtc)
    ufrag, password, address = answer_of(alice, invitation)
    for _ in range(200):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            sock.sendto(bytes(check(ufrag, password, ufrag_of(rtc))), address)
            sock.settimeout(2.0)
            try:
                sock.recv(2000)
            except TimeoutError:
                break
    assert 100 < exchange.do(lambda: len(ice_of(exchange)._remote_candidates)) <= 128
    assert rtc.connectionState == "connected"
    alice.asks("hangup", invitation=invitation)
    is_clean(exchange)


def test_a_stranger_cannot_end_a_handshake(exchange: Exchange, phone: Phones, stranger: socket.socket) -> None:
    alice = phone()
    rtc, sdp = alice.awaits(alice._offers())
    invitation = alice.invites("1000", sdp)
    _, _, address = answer_of(alice, invitation)
    fatal = bytes.fromhex("15fefd000000000000000000020228")  # handshake_failure
    good_bye = bytes.fromhex("15fefd000000000000000000020100")  # close_notify
    for _ in range(20):
        stranger.sendto(fatal, address)
        stranger.sendto(good_bye, address)
    answered(stranger, address, check("none", "none"))
    alice.sets_answer(rtc, invitation)
    alice.connects(rtc)
    alice.asks("hangup", invitation=invitation)
    is_clean(exchange)


def test_another_certificate_than_the_one_named(exchange: Exchange, phone: Phones) -> None:
    alice = phone()
    rtc, sdp = alice.awaits(alice._offers())
    wrong = re.sub(r"(a=fingerprint:sha-\d+) \S\S", r"\1 00", sdp)
    wrong = re.sub(r"(a=fingerprint:sha-\d+ 00:)\S\S", r"\g<1>00", wrong)
    invitation = alice.invites("1000", wrong)
    owned = exchange.takes()
    owned.asks(lambda call: call.answer())
    alice.sets_answer(rtc, invitation)
    assert owned.hears(CallerLeft) == CallerLeft("network", "dtls_failed")
    assert alice.hears("ended", invitation=invitation)["cause"] == "network"
    is_clean(exchange)


# Clients that vanish, and races. --------------------------------------------------------------------------


def test_a_device_that_is_not_heard_does_not_silence_the_one_that_took_the_call(
    exchange: Exchange, phone: Phones
) -> None:
    alice, bob, away = phone(), phone("bob"), phone("bob", "elsewhere")
    alice.invites("1000")
    owned = exchange.takes()
    owned.asks(lambda call: call.dial("leg", Target("rtc", "bob")))
    invited = bob.hears("invited")
    bob.asks("received", invitation=invited["invitation"])
    owned.hears(LegRinging)
    clients = exchange.gateway._clients
    assert clients is not None
    unheard = ClientUnreachable("bob", "elsewhere", (invited["invitation"],))
    for _ in range(2):
        exchange.do(lambda: clients._take(unheard))
    assert away.hears("invited")
    bob.takes(invited)
    owned.hears(LegAnswered)
    assert exchange.do(lambda: dict(clients._listening)) == {}
    owned.asks(lambda call: call.hangup())
    is_clean(exchange)


def test_calls_made_and_given_up_at_once_leave_nothing(exchange: Exchange, phone: Phones) -> None:
    """In every state that a caller can give up in, with parties ringing for him or not."""
    bob = phone("bob")
    before = len(os.listdir("/proc/self/fd"))
    exchange_greets = exchange.greets

    def rings_bob(owned: Owned) -> None:
        exchange_greets(owned)
        if len(exchange.owned) % 2:
            owned.call.dial("leg", Target("rtc", "bob"))
        if len(exchange.owned) % 3 == 0:
            owned.call.answer()

    exchange.greets = rings_bob
    for user in range(10):
        caller = WebPhone(exchange, f"caller{user}")
        for i in range(18):
            invitation = caller.invites("1000")
            if i % 5:
                caller.asks("hangup", invitation=invitation)
        if user % 2:
            caller.vanishes()
            exchange.do(lambda user=user: exchange.gateway._clients._agent.log_out(f"caller{user}"))  # type: ignore
            exchange.do(exchange.gateway.pump)
        else:
            caller.asks("logout")
        caller.close()
    is_clean(exchange)
    assert len(exchange.owned) == 180
    assert all(owned.has(CallEnded) for owned in exchange.owned)
    until(lambda: len(os.listdir("/proc/self/fd")) <= before, "descriptors are left")
    assert bob.asks("ping")["type"] == "ok"


def test_the_gateway_stops_with_calls_in_every_state(exchange: Exchange, phone: Phones) -> None:
    alice, bob, carol = phone(), phone("bob"), phone("carol")
    ringing = alice.invites("1000")
    exchange.takes().asks(lambda call: call.dial("leg", Target("rtc", "bob")))
    bob.hears("invited")
    talking, rtc = carol.calls("1000")
    exchange.takes(2).asks(lambda call: call.answer())
    carol.connects(rtc)
    exchange.stops()
    assert alice.hears("invitation", invitation=ringing, state="refused")
    assert carol.hears("ended", invitation=talking)
    assert {owned.hears(CallEnded).cause for owned in exchange.owned} == {"shutdown"}
    assert exchange.troubles == []
