"""Calls that come in over the wire: every way to begin one, and to fail to."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from gateway.call import (
    Answered,
    CallEnded,
    CallerHeld,
    CallerLeft,
    CallerRetrieved,
    EarlyMedia,
    KeyPressed,
    ListenAddress,
    Refusal,
    Trunk,
)
from gateway.media.tone import tone
from tests.gateway.exchange import PASSWORD, Exchange, Owned
from tests.peers.patience import until
from tests.peers.trace import Message
from tests.peers.wire import Dialled, Wire, session_description


def answer(owned: Owned) -> None:
    owned.call.answer()


def final(wire: Wire, dialled: Dialled) -> Message:
    """The final response to the INVITE, not that to a CANCEL, whatever it is; a refusal is acknowledged."""
    while True:
        message = wire.sees("SIP/2.0 ", dialled.call_id)
        if (message.status or 0) >= 200 and (message.header("CSeq") or "").endswith(" INVITE"):
            wire.takes(dialled, message)
            if message.status != 200:
                wire.sends(wire._request("ACK", dialled, branch=dialled.branch))
            else:
                wire.acknowledges(dialled)
            return message


def test_a_call_and_its_end(exchange: Exchange) -> None:
    exchange.greets = answer
    anna = exchange.wire()
    dialled = anna.invite()
    anna.is_answered(dialled)
    owned = exchange.takes()
    anna.hangs_up(dialled)
    anna.sees("SIP/2.0 200", dialled.call_id)
    assert owned.hears(CallerLeft) == CallerLeft("caller", "bye")
    owned.asks(lambda call: call.hangup())
    ended = owned.hears(CallEnded)
    assert [(leg.leg_id, leg.status, leg.hangup_by, leg.codec) for leg in ended.legs] == [
        ("caller", 200, "remote", "PCMU")
    ]
    exchange.is_clean()


# Giving up. -----------------------------------------------------------------------------------------------


def test_a_cancel_at_the_heels_of_the_invite(exchange: Exchange) -> None:
    """Both lie in the socket before the owner has done anything."""
    exchange.greets = answer
    anna = exchange.wire()
    dialled = anna.invite()
    anna.cancels(dialled)
    message = final(anna, dialled)
    owned = exchange.takes()
    if message.status == 487:
        assert owned.hears(CallerLeft) == CallerLeft("caller", "cancel")
    owned.asks(lambda call: call.hangup())
    owned.hears(CallEnded)
    if message.status == 200:
        anna.replies(anna.sees("BYE"))
    exchange.is_clean()


def test_a_cancel_while_it_rings(exchange: Exchange) -> None:
    exchange.greets = lambda owned: owned.call.ringing()
    anna = exchange.wire()
    dialled = anna.invite()
    anna.sees("SIP/2.0 180", dialled.call_id)
    anna.cancels(dialled)
    anna.is_refused(dialled, 487)
    owned = exchange.takes()
    assert owned.hears(CallerLeft) == CallerLeft("caller", "cancel")
    owned.asks(lambda call: call.answer())
    owned.asks(lambda call: call.hangup())
    assert owned.hears(CallEnded).status == 487
    assert not owned.has(Answered)
    exchange.is_clean()


def test_a_rejected_call(exchange: Exchange) -> None:
    exchange.greets = lambda owned: owned.call.reject(603, "Decline")
    anna = exchange.wire()
    dialled = anna.invite()
    anna.is_refused(dialled, 603)
    assert exchange.takes().hears(CallEnded).status == 603
    exchange.is_clean()


# The offer. -----------------------------------------------------------------------------------------------


def test_an_offer_in_our_answer(exchange: Exchange) -> None:
    exchange.greets = answer
    anna = exchange.wire()
    dialled = anna.invite(sdp=None)
    ok = anna.sees("SIP/2.0 200", dialled.call_id)
    assert "m=audio" in ok.text
    anna.takes(dialled, ok)
    anna.acknowledges(dialled, session_description(media="m=audio 4002 RTP/AVP 8\r\n"))
    owned = exchange.takes()
    until(lambda: owned.call.codec == "PCMA", "the answer in the ACK counts for nothing")  # type: ignore[attr-defined]
    anna.hangs_up(dialled)
    owned.hears(CallerLeft)
    owned.asks(lambda call: call.hangup())
    exchange.is_clean()


@pytest.mark.parametrize("sdp", ["", "v=0\r\nrubbish", session_description(media="m=audio 4000 RTP/AVP 18\r\n")])
def test_an_ack_without_a_usable_answer(exchange: Exchange, sdp: str) -> None:
    exchange.greets = answer
    anna = exchange.wire()
    dialled = anna.invite(sdp=None)
    anna.takes(dialled, anna.sees("SIP/2.0 200", dialled.call_id))
    anna.acknowledges(dialled, sdp)
    bye = anna.sees("BYE", dialled.call_id)
    assert "cause=488" in bye.header("Reason")
    anna.replies(bye)
    owned = exchange.takes()
    assert owned.hears(CallerLeft) == CallerLeft("network", "no_common_codec")
    owned.asks(lambda call: call.hangup())
    exchange.is_clean()


@pytest.mark.parametrize(
    ("sdp", "status"),
    [
        (session_description("0.0.0.0"), 200),
        (session_description(media="m=audio 4000 RTP/AVP 0\r\na=ptime:99999\r\n"), 200),
        (session_description(media="m=audio 4000 RTP/AVP 0\r\na=ptime:0\r\na=maxptime:1\r\n"), 200),
        (session_description(media="m=audio 65535 RTP/AVP 0\r\na=rtcp:0\r\n"), 200),
        (session_description(media="m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n" * 2), 200),
        (session_description(media="m=video 4000 RTP/AVP 96\r\nm=audio 4000 RTP/AVP 0\r\n"), 200),
        (session_description(media="m=audio 4000 RTP/AVP " + " ".join(["0"] * 1000) + "\r\n"), None),
        (session_description(media="m=audio 4000 RTP/AVP 200\r\na=rtpmap:200 PCMU/8000\r\n"), None),
        (session_description(media="m=audio 4000 RTP/AVP 0 300\r\na=rtpmap:300 telephone-event/8000\r\n"), None),
        (session_description("255.255.255.255"), None),
        (session_description("224.0.0.1"), 488),
        (session_description("example.com"), 488),
        (session_description("::1"), 488),
        (session_description(media="m=audio 0 RTP/AVP 0\r\n"), 488),
        (session_description(media="m=audio 4000 RTP/SAVP 0\r\n"), 488),
        (session_description(media="m=image 4000 udptl t38\r\n"), 488),
        (session_description(media="m=audio 70000 RTP/AVP 0\r\n"), 400),
        (session_description(media=""), 488),
        ("no session", 400),
        ("v=0\r\n" * 2000, None),
    ],
)
def test_offers(exchange: Exchange, sdp: str, status: int | None) -> None:
    """Each is taken or refused, in words; None: either will do."""
    exchange.greets = answer
    anna = exchange.wire()
    message = final(anna, dialled := anna.invite(sdp=sdp))
    assert message.status in ({status} if status else {200, 400, 488})
    if message.status == 200:
        anna.hangs_up(dialled)
        owned = exchange.takes()
        owned.hears(CallerLeft)
        owned.asks(lambda call: call.hangup())
    else:
        assert message.header("Warning")
        assert not exchange.owned
    exchange.is_clean()


# Changes within a call. -----------------------------------------------------------------------------------


class Ear:
    """An RTP port that says which payload types came."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(10)
        self.port: int = self.socket.getsockname()[1]

    def hears(self, payload_type: int) -> None:
        for _ in range(500):
            if self.socket.recv(2048)[1] & 0x7F == payload_type:
                return
        raise AssertionError(f"nothing with payload type {payload_type}")


def test_a_call_moves_to_another_address_and_codec(exchange: Exchange) -> None:
    exchange.greets = answer
    anna, first, second = exchange.wire(), Ear(), Ear()
    dialled = anna.invite(sdp=session_description(port=first.port))
    anna.is_answered(dialled)
    first.hears(0)
    anna.asks(dialled, "INVITE", body=session_description(media=f"m=audio {second.port} RTP/AVP 8\r\n"))
    anna.is_answered(dialled)
    second.hears(8)
    anna.asks(dialled, "INVITE", body=session_description(media="m=audio 4000 RTP/AVP 18\r\n"))
    anna.sees("SIP/2.0 488", dialled.call_id)
    second.hears(8)
    exchange.takes().asks(lambda call: call.hangup())
    anna.replies(anna.sees("BYE", dialled.call_id))
    exchange.is_clean()


def test_who_says_nothing_before_the_answer_is_not_missed_yet(open_exchange: Callable[..., Exchange]) -> None:
    """However long the early media was, silence counts from the answer; and from there on it does."""
    exchange = open_exchange(media_timeout=0.8)
    music = tone(500, 1000)

    def greet(owned: Owned) -> None:
        owned.call.early()
        owned.call.play(1, [music], loop=True)

    exchange.greets = greet
    anna, ear = exchange.wire(), Ear()
    dialled = anna.invite(sdp=session_description(port=ear.port))
    assert "m=audio" in anna.sees("SIP/2.0 183", dialled.call_id).text
    owned = exchange.takes()
    for _ in range(100):  # Packets of 20 ms: two seconds.
        ear.hears(0)
    assert not owned.has(CallerLeft)
    owned.asks(lambda call: call.answer())
    anna.is_answered(dialled)
    for _ in range(20):
        ear.hears(0)
    assert not owned.has(CallerLeft)
    assert owned.hears(CallerLeft) == CallerLeft("network", "media_timeout")
    anna.replies(anna.sees("BYE", dialled.call_id))
    owned.asks(lambda call: call.hangup())
    assert [event for event in owned.told if isinstance(event, EarlyMedia)] == [EarlyMedia()]
    exchange.is_clean()


def test_hold_by_every_spelling(exchange: Exchange) -> None:
    exchange.greets = answer
    anna = exchange.wire()
    dialled = anna.invite()
    anna.is_answered(dialled)
    owned = exchange.takes()
    line = "m=audio 4000 RTP/AVP 0\r\n"
    held = (
        session_description("0.0.0.0", media=line),
        *(session_description(media=f"{line}a={word}\r\n") for word in ("sendonly", "inactive")),
    )
    for number, sdp in enumerate(held, 1):
        anna.asks(dialled, "INVITE", body=sdp)
        anna.is_answered(dialled)
        anna.asks(dialled, "INVITE", body=session_description(media=line))
        anna.is_answered(dialled)
        until(lambda n=number: sum(isinstance(e, CallerRetrieved) for e in owned.told) == n, f"{owned.told}")  # type: ignore[misc]
        assert sum(isinstance(event, CallerHeld) for event in owned.told) == number
    owned.asks(lambda call: call.hangup())
    anna.replies(anna.sees("BYE", dialled.call_id))
    exchange.is_clean()


def test_a_change_without_an_offer_gets_ours(exchange: Exchange) -> None:
    exchange.greets = answer
    anna = exchange.wire()
    dialled = anna.invite()
    anna.is_answered(dialled)
    anna.asks(dialled, "INVITE")
    ok = anna.sees("SIP/2.0 200", dialled.call_id)
    assert "m=audio" in ok.text
    anna.takes(dialled, ok)
    anna.acknowledges(dialled)
    assert not exchange.takes().has(CallerLeft)
    exchange.takes().asks(lambda call: call.hangup())
    anna.replies(anna.sees("BYE", dialled.call_id))
    exchange.is_clean()


def test_info_of_every_kind(exchange: Exchange) -> None:
    exchange.greets = answer
    anna = exchange.wire()
    dialled = anna.invite()
    anna.is_answered(dialled)
    bodies = [
        ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"),
        ("application/dtmf-relay", "Signal=\r\n"),
        ("application/dtmf-relay", "Signal=55555555555555\x00\r\n"),
        ("application/dtmf", "7"),
        ("application/media_control+xml", "<media_control/>"),
        ("application/octet-stream", "\x00\x01\x02"),
        ("text/plain", "9" * 5000),
    ]
    for kind, body in bodies:
        anna.asks(dialled, "INFO", body=body, kind=kind)
        assert (anna.sees("SIP/2.0 ", dialled.call_id).status or 0) in (200, 415)
    owned = exchange.takes()
    assert [event.key for event in owned.told if isinstance(event, KeyPressed)][:2] == ["5", "7"]
    owned.asks(lambda call: call.hangup())
    anna.replies(anna.sees("BYE", dialled.call_id))
    exchange.is_clean()


# Who calls, and whom. -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "did"),
    [
        ("sip:1000@127.0.0.1", "1000"),
        ("sip:+861012345@127.0.0.1;user=phone", "+861012345"),
        ("sip:%31000@127.0.0.1", "1000"),
        ("sip:%2B8610@127.0.0.1", "+8610"),
        ("sip:+86-10-(12)3.45@127.0.0.1", "+86101234 5".replace(" ", "")),
        ("sip:1000;phone-context=+86@127.0.0.1;user=phone", "1000"),
        ("sip:sales.north-1@127.0.0.1", "sales.north-1"),
        ("sip:10%0D%0A00@127.0.0.1", "1000"),
        ("sip:%1B%5B2J1000@127.0.0.1", "[2J1000"),
        ("sip:%FF1000@127.0.0.1", "?1000"),
        ("sip:" + "1" * 500 + "@127.0.0.1", "1" * 64),
        ("sip:127.0.0.1", ""),
    ],
)
def test_numbers_dialled(exchange: Exchange, uri: str, did: str) -> None:
    exchange.greets = lambda owned: owned.call.reject(486)
    anna = exchange.wire()
    anna.is_refused(anna.invite(uri=uri), 486)
    assert exchange.takes().call.did == did
    assert exchange.arrivals[0].did == did


def test_a_tel_uri_is_understood_or_refused(exchange: Exchange) -> None:
    exchange.greets = lambda owned: owned.call.reject(486)
    anna = exchange.wire()
    message = final(anna, anna.invite(uri="tel:+86-10-12345"))
    assert message.status in (416, 486)
    if message.status == 486:
        assert exchange.takes().call.did == "+861012345"


@pytest.mark.parametrize(
    ("from_", "caller", "name"),
    [
        ("<sip:anna@example.com>", "anna", ""),
        ('"Anna \\"A.\\" Berg" <sip:+49-40-12@example.com>', "+494012", 'Anna "A." Berg'),
        ('"Änne 李" <sip:anna@example.com>', "anna", "Änne 李"),
        ('"Anonymous" <sip:anonymous@anonymous.invalid>', "", ""),
        ("<sip:Anonymous@example.com>", "", ""),
        ("<tel:+861012345>", "+861012345", ""),
        ("sip:example.com", "", ""),
        (f'"{"x" * 4000}" <sip:{"y" * 1000}@example.com>', "y" * 64, "x" * 80),
        ('"a\\\x01\\\x1b[2Jb" <sip:a%0d%0aBcc%3A%20x@example.com>', "aBcc: x", "a[2Jb"),
    ],
)
def test_callers(exchange: Exchange, from_: str, caller: str, name: str) -> None:
    exchange.greets = lambda owned: owned.call.reject(486)
    anna = exchange.wire()
    anna.is_refused(anna.invite(from_=from_), 486)
    call = exchange.takes().call
    assert (call.caller, call.caller_name) == (caller, name)


def test_who_claims_to_be_a_seat(exchange: Exchange) -> None:
    exchange.greets = lambda owned: owned.call.reject(486)
    seat = exchange.seat("2001")
    liar = exchange.wire("2001")
    seat.is_refused(seat.invite(), 486)
    liar.is_refused(liar.invite(), 486)
    assert exchange.takes(1).call.caller_account == "2001"
    assert exchange.takes(2).call.caller_account is None


def test_seats_only(exchange: Exchange) -> None:
    exchange.screens = lambda arrival: "authenticate"
    exchange.greets = lambda owned: owned.call.reject(486)

    def with_password(wire: Wire, account: str, password: str) -> Message:
        dialled = wire.invite()
        challenge = wire.is_refused(dialled, 401)
        proof = wire.proves(challenge, account, password, "INVITE", dialled.uri)
        dialled.cseq += 1
        again = wire.invite(headers=(proof,), call_id=dialled.call_id)
        return final(wire, again)

    good, bad, another = (exchange.wire(user) for user in ("2001", "2001", "2002"))
    assert with_password(good, "2001", PASSWORD).status == 486
    assert exchange.takes().call.caller_account == "2001"
    assert with_password(bad, "2001", "wrong").status in (401, 403)
    assert with_password(bad, "nobody", "wrong").status in (401, 403)
    assert with_password(another, "2001", PASSWORD).status in (403, 486)
    assert all(owned.call.caller_account == "2001" for owned in exchange.owned)


def test_a_refusal_says_when_to_come_back(exchange: Exchange) -> None:
    exchange.screens = lambda arrival: Refusal(480, "closed", retry_after=60)
    anna = exchange.wire()
    assert anna.is_refused(anna.invite(), 480).header("Retry-After") == "60"
    assert not exchange.owned


# Limits. --------------------------------------------------------------------------------------------------


def test_more_calls_than_allowed(open_exchange: Callable[..., Exchange]) -> None:
    exchange = open_exchange(max_calls=2)
    exchange.greets = answer
    anna = exchange.wire()
    calls = [anna.invite() for _ in range(2)]
    for each in calls:
        anna.is_answered(each)
    late = anna.invite()
    assert anna.is_refused(late, 503).header("Retry-After")
    exchange.takes(1).asks(lambda call: call.hangup())
    anna.replies(anna.sees("BYE"))
    exchange.takes(1).hears(CallEnded)
    anna.is_answered(anna.invite())


def test_more_calls_a_second_than_allowed(open_exchange: Callable[..., Exchange]) -> None:
    exchange = open_exchange(calls_per_second=5.0)
    exchange.greets = lambda owned: owned.call.reject(486)
    anna = exchange.wire()
    statuses = [final(anna, anna.invite()).status for _ in range(8)]
    assert 503 in statuses
    assert statuses.count(486) >= 5


def test_no_media_port_is_left(open_exchange: Callable[..., Exchange]) -> None:
    exchange = open_exchange(media_port_count=4, media_rest=0.01)
    exchange.greets = answer
    anna = exchange.wire()
    for each in [anna.invite() for _ in range(2)]:
        anna.is_answered(each)
    assert anna.is_refused(anna.invite(), 503).header("Retry-After")
    exchange.takes().asks(lambda call: call.hangup())
    anna.replies(anna.sees("BYE"))
    until(lambda: final(anna, anna.invite()).status == 200, "the port does not come back", every=0.1)


def test_a_flood_without_ports_is_told_once_with_what_to_change(
    open_exchange: Callable[..., Exchange], caplog: pytest.LogCaptureFixture
) -> None:
    exchange = open_exchange(media_port_count=4, media_rest=30.0)
    exchange.greets = answer
    anna = exchange.wire()
    for each in [anna.invite() for _ in range(2)]:
        anna.is_answered(each)
    exchange.takes().asks(lambda call: call.hangup())
    anna.replies(anna.sees("BYE"))
    for _ in range(10):
        anna.is_refused(anna.invite(), 503)
    words = "(of 2 pairs 1 are in use, 1 rest for 30 s after use: widen media.ports, or lower media.port_rest)"
    said = [record.getMessage() for record in caplog.records if "no media port" in record.getMessage()]
    assert len(said) == 1
    assert said[0].endswith(f"refused: no media port is left {words}")


def test_a_trunk_named_like_a_seat(open_exchange: Callable[..., Exchange]) -> None:
    trunk = Trunk("2001", "127.0.0.9", codecs=("PCMA",), numbers=("1000",))
    exchange = open_exchange(trunks={"2001": trunk})
    exchange.greets = answer
    carrier = exchange.wire(host="127.0.0.9")
    dialled = carrier.invite()
    assert " 8 " in carrier.is_answered(dialled).text.partition("m=audio")[2].partition("\n")[0] + " "
    assert exchange.arrivals[0].trunk


# Faults of ours. ------------------------------------------------------------------------------------------


def test_an_owner_that_fails_costs_its_call_only(exchange: Exchange) -> None:
    exchange.greets = answer
    anna, berta = exchange.wire(), exchange.wire("berta")
    dialled, other = anna.invite(), berta.invite()
    anna.is_answered(dialled)
    berta.is_answered(other)

    def fails(event: object) -> None:
        raise RuntimeError("broken")

    next(owned for owned in exchange.owned if owned.call.caller == "anna").react = fails
    anna.asks(dialled, "INFO", body="7", kind="application/dtmf")
    anna.replies(anna.sees("BYE", dialled.call_id))
    berta.asks(other, "INFO", body="7", kind="application/dtmf")
    survivor = next(owned for owned in exchange.owned if owned.call.caller == "berta")
    survivor.hears(KeyPressed)
    survivor.asks(lambda call: call.hangup())
    berta.replies(berta.sees("BYE", other.call_id))
    exchange.is_clean()


def test_nobody_takes_the_call(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(call: object) -> Owned:
        raise RuntimeError("broken")

    monkeypatch.setattr(exchange, "call_arrived", fails)
    anna = exchange.wire()
    anna.is_refused(anna.invite(), 500)
    exchange.is_clean()


def test_a_broken_listener_says_so(open_exchange: Callable[..., Exchange]) -> None:
    first = open_exchange()
    taken = first.gateway.addresses[0]
    with pytest.raises(OSError, match=str(taken.port)):
        open_exchange(listen=(ListenAddress("udp", "127.0.0.1", taken.port),))
