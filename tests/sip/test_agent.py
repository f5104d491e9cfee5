"""The user agent as a whole: what it refuses, who may call, draining, and that it outlives whatever comes."""

from __future__ import annotations

import random

import pytest

from gateway.sip.digest import answer_challenge
from gateway.sip.events import IncomingCall, SessionAnswered, SessionEnded, SessionFailed
from gateway.sip.hop import Hop
from gateway.sip.message import Request
from gateway.sip.settings import Challenge, Refuse
from tests.sip.session_link import ANSWER, OFFER, Network, Packet, Phone, Script, answering, plain_config


class Gate:
    """A gateway and a scripted peer."""

    def __init__(self, **more: object) -> None:
        self.network = Network()
        self.gateway = Phone(self.network, "192.0.2.1", config=plain_config(**more))
        self.peer = Script(self.network, "192.0.2.2")

    def asks(self, method: str, **more: object) -> Request:
        request = self.peer.request(method, self.gateway, **more)  # type: ignore[arg-type]
        self.peer.says(request, self.gateway)
        self.network.run(0.1)
        return request


@pytest.fixture
def gate() -> Gate:
    return Gate()


def test_options_tells_what_we_can(gate: Gate) -> None:
    gate.asks("OPTIONS")
    reply = gate.peer.responses(200)[0]
    assert {"INVITE", "ACK", "CANCEL", "BYE", "UPDATE", "PRACK", "INFO"} <= reply.allow
    assert {"timer", "100rel"} <= reply.supported
    assert "application/sdp" in (reply.headers.get("Accept") or "")
    assert reply.headers.get("Server") == "ivr-gateway"


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("MESSAGE", 405),
        ("REFER", 405),
        ("PUBLISH", 405),
        ("REGISTER", 405),
        ("SUBSCRIBE", 489),
        ("NOTIFY", 489),
        ("INFO", 481),
        ("BYE", 481),
        ("UPDATE", 481),
        ("PRACK", 481),
        ("FROBNICATE", 501),
    ],
)
def test_out_of_dialog_requests_get_the_right_refusal(gate: Gate, method: str, status: int) -> None:
    gate.asks(method)
    reply = gate.peer.responses(status)[0]
    assert (status not in (405, 501)) or "INVITE" in reply.allow
    assert reply.to.tag


@pytest.mark.parametrize("method", ["BYE", "INVITE", "INFO", "OPTIONS", "UPDATE", "PRACK", "REFER"])
def test_unknown_dialog(gate: Gate, method: str) -> None:
    gate.asks(method, to_tag="never-seen")
    assert gate.peer.responses(481)


def test_cancel_of_nothing(gate: Gate) -> None:
    gate.asks("CANCEL")
    assert gate.peer.responses(481)


@pytest.mark.parametrize(
    ("more", "status", "header"),
    [
        ({"headers": [("Require", "foo, 100rel, bar")]}, 420, ("Unsupported", "bar, foo")),
        ({"body": b"x", "content_type": "text/plain"}, 415, ("Accept", "application/sdp")),
        ({"uri": "mailto:x@y"}, 416, None),
        ({"contact": "<sip:broken"}, 400, None),
        ({"headers": [("Session-Expires", "junk")]}, 400, None),
        ({"headers": [("Session-Expires", "5"), ("Supported", "timer")]}, 422, ("Min-SE", "90")),
    ],
)
def test_invitations_we_cannot_take(
    gate: Gate, more: dict[str, object], status: int, header: tuple[str, str] | None
) -> None:
    gate.asks("INVITE", **more)
    reply = gate.peer.responses(status)[0]
    assert header is None or reply.headers.get(header[0]) == header[1]
    assert not gate.gateway.told(IncomingCall)


def test_invitation_without_contact(gate: Gate) -> None:
    request = gate.peer.request("INVITE", gate.gateway, body=OFFER)
    request.headers.remove("Contact")
    gate.peer.says(request, gate.gateway)
    gate.network.run()
    assert gate.peer.responses(400)


def test_repeated_invitation_is_one_call(gate: Gate) -> None:
    answering(gate.gateway)
    invite = gate.peer.request("INVITE", gate.gateway, body=OFFER)
    for _ in range(3):
        gate.peer.says(invite, gate.gateway)
        gate.network.run(0.05)
    assert len(gate.gateway.told(IncomingCall)) == 1
    assert len({reply.to.tag for reply in gate.peer.responses(200)}) == 1
    gate.peer.ack(gate.peer.responses(200)[0], gate.gateway)
    gate.network.run()
    gate.peer.says(invite, gate.gateway)
    gate.network.run()
    assert len(gate.gateway.told(IncomingCall)) == 1


def test_merged_invitation(gate: Gate) -> None:
    gate.asks("INVITE", body=OFFER, branch="z9hG4bKone")
    gate.asks("INVITE", body=OFFER, branch="z9hG4bKtwo")
    assert gate.peer.responses(482)
    assert len(gate.gateway.told(IncomingCall)) == 1


def test_draining_refuses_new_calls_and_keeps_the_others(gate: Gate) -> None:
    answering(gate.gateway)
    gate.asks("INVITE", body=OFFER)
    answer = gate.peer.responses(200)[0]
    gate.peer.ack(answer, gate.gateway)
    gate.network.run()
    gate.gateway.agent.draining = True
    gate.asks("INVITE", body=OFFER, call_id="late")
    assert gate.peer.responses(503, "INVITE")[0].headers.get("Retry-After") == "10"
    gate.asks("OPTIONS", call_id="ping")
    assert gate.peer.responses(503, "OPTIONS")
    gate.asks("OPTIONS", to_tag=answer.to.tag, cseq=2)
    gate.asks("BYE", to_tag=answer.to.tag, cseq=3)
    assert gate.peer.responses(200, "BYE")
    assert gate.peer.responses(200, "OPTIONS")


def test_no_more_calls_than_allowed() -> None:
    gate = Gate(max_sessions=2)
    for number in range(3):
        gate.asks("INVITE", body=OFFER, call_id=f"c{number}")
    assert len(gate.gateway.told(IncomingCall)) == 2
    assert len(gate.peer.responses(503)) == 1


def test_screen_refuses_cheaply() -> None:
    seen: list[Hop] = []

    def screen(request: Request, hop: Hop) -> Refuse | None:
        seen.append(hop)
        return Refuse(404, "No such number", (("X-Why", "numbering"),)) if request.uri.user == "1000" else None

    gate = Gate(screen=screen)
    gate.asks("INVITE", body=OFFER)
    reply = gate.peer.responses(404)[0]
    assert (reply.reason, reply.headers.get("X-Why")) == ("No such number", "numbering")
    assert seen[0].host == "192.0.2.2"
    assert gate.gateway.agent.sizes()["sessions"] == 0
    gate.asks("INVITE", body=OFFER, call_id="other", uri="sip:2000@192.0.2.1")
    assert gate.gateway.last(IncomingCall).account is None


def test_seats_prove_themselves() -> None:
    gate = Gate(screen=lambda request, hop: Challenge(), accounts={"bob": "secret"})
    first = gate.asks("INVITE", body=OFFER)
    challenge = gate.peer.responses(401)[0]
    assert not gate.gateway.told(IncomingCall)
    for password, cseq in (("wrong", 2), ("secret", 3)):
        answer = answer_challenge(first, challenge, "bob", password)
        assert answer is not None
        gate.asks("INVITE", body=OFFER, cseq=cseq, headers=[answer])
    assert gate.peer.responses(403)
    assert gate.gateway.last(IncomingCall).account == "bob"
    assert gate.gateway.last(IncomingCall).session.account == "bob"


def test_screen_that_fails_refuses_the_call() -> None:
    def screen(request: Request, hop: Hop) -> None:
        raise RuntimeError("no database")

    gate = Gate(screen=screen)
    gate.asks("INVITE", body=OFFER)
    assert gate.peer.responses(500)


def test_owner_may_ask_anything_at_any_time(gate: Gate) -> None:
    gate.asks("INVITE", body=OFFER)
    session = gate.gateway.last(IncomingCall).session
    session.answer_offer(ANSWER)
    session.refuse_offer()
    session.cancel()
    session.offer(OFFER)
    session.ring(99)
    session.reject(486)
    for act in (session.ring, session.bye, session.cancel, session.refuse_offer):
        act()
    session.answer(ANSWER)
    session.offer(OFFER)
    session.reject(404)
    gate.network.run()
    assert [m.status for m in gate.peer.responses(486)] == [486]
    assert len(gate.gateway.told(SessionFailed)) == 1
    gate.network.run(100)
    assert set(gate.gateway.agent.sizes().values()) == {0}


def test_ten_thousand_calls_leave_nothing_behind() -> None:
    network = Network(delay=0.001)
    network.keep_log = False
    ann, bob = Phone(network, "192.0.2.1"), Phone(network, "192.0.2.2")
    answering(bob)
    calls = 0

    def run(batches: int) -> None:
        nonlocal calls
        for _ in range(batches):
            made = [ann.calls(bob) for _ in range(50)]
            network.run(0.02)
            for number, call in enumerate(made):
                calls += 1
                call.bye() if number % 2 else call.cancel()
            network.run(0.02)
            ann.events.clear()
            bob.events.clear()

    run(200)
    assert calls == 10_000
    network.run(120)
    for phone in (ann, bob):
        assert set(phone.agent.sizes().values()) == {0}
        assert phone.agent.timers.stored <= 64
        assert phone.agent.transactions.timers_stored <= 64
        assert phone.agent.next_timer() is None


SEEDS = 400


def seeds(network: Network) -> list[bytes]:
    """Every kind of message of a few calls."""
    ann = Phone(network, "192.0.2.1", config=plain_config(accounts={"101": "x"}))
    bob, script = Phone(network, "192.0.2.2"), Script(network, "192.0.2.3")
    answering(bob)
    call = ann.calls(bob)
    network.run()
    call.offer(OFFER)
    network.run()
    for method in ("REGISTER", "OPTIONS", "INFO", "UPDATE", "PRACK", "CANCEL", "REFER"):
        script.says(script.request(method, ann, headers=[("RAck", "1 1 INVITE"), ("Session-Expires", "90")]), ann)
    script.calls(ann, headers=[("Require", "100rel"), ("Record-Route", "<sip:p;lr>"), ("Expires", "30")])
    call.bye()
    network.run()
    return [packet.data for packet in network.log]


def test_whatever_comes_nothing_raises(caplog: pytest.LogCaptureFixture) -> None:
    network = Network()
    messages = seeds(network)
    assert len(messages) > 20
    rng = random.Random(7)
    words = b'<> ";,=:@\r\n\x00\xff%4294967296999999999999;tag=*~sip:tel:INVITE ACK z9hG4bK Via: m: 0 -1'
    gateway = Phone(network, "192.0.2.1", config=plain_config(accounts={"101": "x"}))
    answering(gateway)
    hop = Hop("udp", "192.0.2.2", 5060, None, gateway.place)
    for _ in range(SEEDS * 10):
        data = bytearray(rng.choice(messages))
        for _ in range(rng.randrange(5)):
            place = rng.randrange(len(data))
            match rng.randrange(3):
                case 0:
                    data[place] = rng.randrange(256)
                case 1:
                    del data[place : place + rng.randrange(20)]
                case _:
                    start = rng.randrange(len(words))
                    data[place:place] = words[start : start + rng.randrange(8)]
            if not data:
                break
        gateway.agent.receive(bytes(data), hop, network.now)
        gateway.flush()
        if rng.random() < 0.05:
            network.run(rng.random() * 40)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    network.run(4000)
    gateway.agent.hop_lost(hop, network.now)
    leftovers = gateway.agent.sizes()
    assert leftovers["transactions"] == 0
    assert leftovers["sessions"] <= 2 * len(gateway.told(SessionAnswered) + gateway.told(IncomingCall))


def test_junk_that_is_no_sip(gate: Gate) -> None:
    hop = Hop("udp", "192.0.2.2", 5060, None, gate.gateway.place)
    for data in (b"", b"\0", b"\r\n\r\n", b"x" * 70_000, bytes(range(256)), b"SIP/2.0 200 OK\r\n\r\n"):
        gate.gateway.agent.receive(data, hop, gate.network.now)
    gate.network.run()
    assert not gate.gateway.events


@pytest.mark.parametrize("seed", range(25))
def test_lost_doubled_and_late_packets(seed: int) -> None:
    """A quarter of the packets is lost, some come twice or late: every call ends, both sides know, nothing stays."""
    network = Network()
    rng = random.Random(seed)

    def fate(packet: Packet) -> list[float]:
        if rng.random() < 0.25:
            return []
        copies = 2 if rng.random() < 0.2 else 1
        return [0.01 + (rng.random() * 1.5 if rng.random() < 0.3 else 0.0) for _ in range(copies)]

    network.fate = fate
    network.keep_log = False
    ann, bob = Phone(network, "192.0.2.1", seed=seed), Phone(network, "192.0.2.2", seed=seed)
    answering(bob)
    answering_offers = bob.on_event
    ann.on_event = answering_offers
    placed = [ann.calls(bob) for _ in range(8)]
    for _ in range(30):
        network.run(rng.random() * 4)
        session = rng.choice([*placed, *(event.session for event in bob.told(IncomingCall))] or placed)
        match rng.randrange(4):
            case 0:
                session.offer(OFFER)
            case 1:
                session.bye()
            case 2:
                session.cancel()
            case _:
                session.offer(ANSWER)
    for session in placed:
        session.bye()
    network.run(40)
    for event in bob.told(IncomingCall):
        event.session.bye()
    network.run(200)
    for phone in (ann, bob):
        assert set(phone.agent.sizes().values()) == {0}
        ends: list[SessionEnded | SessionFailed] = [*phone.told(SessionEnded), *phone.told(SessionFailed)]
        begun = len(placed) if phone is ann else len(bob.told(IncomingCall))
        assert len(ends) == len({id(event.session) for event in ends}) == begun
