"""Telephones that are rung: several for one seat, early sound, moves and losses; and the end of the gateway itself."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from gateway.call import (
    Answered,
    CallEnded,
    CallerLeft,
    LegAnswered,
    LegEnded,
    LegFailed,
    LegRinging,
    Target,
    Trunk,
)
from tests.gateway.exchange import PASSWORD, Exchange, Owned
from tests.peers.patience import until
from tests.peers.rtp import Tone, packets
from tests.peers.trace import Message
from tests.peers.wire import Dialled, Wire, session_description

SDP = session_description()
SEAT = Target("sip", "2001")


@pytest.fixture
def anna(exchange: Exchange) -> Wire:
    return exchange.wire()


def calls(exchange: Exchange, anna: Wire) -> tuple[Dialled, Owned]:
    """A caller who has been answered."""
    exchange.greets = lambda owned: owned.call.answer()
    dialled = anna.invite()
    anna.is_answered(dialled)
    return dialled, exchange.takes(len(exchange.owned) or 1)


def rings(owned: Owned, *seats: Wire, target: Target = SEAT) -> list[Message]:
    """Dial the seat; the INVITEs its telephones get."""
    owned.asks(lambda call: call.dial("leg1", target))
    return [seat.sees("INVITE") for seat in seats]


def ends(exchange: Exchange, owned: Owned, *phones: Wire) -> CallEnded:
    owned.asks(lambda call: call.hangup())
    for phone in phones:
        phone.replies(phone.sees("BYE"))
    ended = owned.hears(CallEnded)
    exchange.is_clean()
    return ended


# One seat, several telephones. ----------------------------------------------------------------------------


def test_one_is_busy_one_rings_one_answers(exchange: Exchange, anna: Wire) -> None:
    busy, ringing, answering = (exchange.seat() for _ in range(3))
    _, owned = calls(exchange, anna)
    to_busy, to_ringing, to_answering = rings(owned, busy, ringing, answering)
    busy.replies(to_busy, "486 Busy Here")
    busy.sees("ACK")
    ringing.replies(to_ringing, "180 Ringing")
    answering.replies(to_answering, "180 Ringing")
    owned.hears(LegRinging)
    answering.replies(to_answering, sdp=SDP)
    answering.sees("ACK")
    owned.hears(LegAnswered)
    cancel = ringing.sees("CANCEL")
    assert "cause=200" in cancel.header("Reason")
    ringing.replies(cancel)
    ringing.replies(to_ringing, "487 Request Terminated")
    ringing.sees("ACK")
    assert [type(event) for event in owned.told].count(LegRinging) == 1
    owned.asks(lambda call: call.connect("leg1"))
    ended = ends(exchange, owned, anna, answering)
    assert {leg.leg_id: leg.status for leg in ended.legs} == {"leg1": 200, "caller": 200}


def test_two_telephones_answer_in_the_same_moment(exchange: Exchange, anna: Wire) -> None:
    one, other = exchange.seat(), exchange.seat()
    _, owned = calls(exchange, anna)
    to_one, to_other = rings(owned, one, other)
    # Ringing first, so that the CANCEL goes out and crosses the answer.
    other.replies(to_other, "180 Ringing")
    one.replies(to_one, sdp=SDP)
    one.sees("ACK")
    other.sees("CANCEL")
    other.replies(to_other, sdp=SDP)
    other.sees("ACK")
    other.replies(other.sees("BYE"))
    assert [event for event in owned.told if isinstance(event, LegAnswered | LegEnded)] == [LegAnswered("leg1")]
    ends(exchange, owned, anna, one)


def test_the_telling_refusal_wins(exchange: Exchange, anna: Wire) -> None:
    one, other = exchange.seat(), exchange.seat()
    _, owned = calls(exchange, anna)
    to_one, to_other = rings(owned, one, other)
    one.replies(to_one, "486 Busy Here")
    one.sees("ACK")
    other.replies(to_other, "480 Temporarily Unavailable")
    other.sees("ACK")
    assert owned.hears(LegFailed).outcome == "busy"
    ends(exchange, owned, anna)


def test_one_refuses_for_all(exchange: Exchange, anna: Wire) -> None:
    one, other = exchange.seat(), exchange.seat()
    _, owned = calls(exchange, anna)
    to_one, to_other = rings(owned, one, other)
    other.replies(to_other, "180 Ringing")
    owned.hears(LegRinging)
    one.replies(to_one, "603 Decline")
    one.sees("ACK")
    assert owned.hears(LegFailed).outcome == "refused"
    other.replies(other.sees("CANCEL"))
    other.replies(to_other, "487 Request Terminated")
    ends(exchange, owned, anna)


def test_early_sound_of_a_telephone_that_then_refuses(exchange: Exchange, anna: Wire) -> None:
    one, other = exchange.seat(), exchange.seat()
    _, owned = calls(exchange, anna)
    owned.asks(lambda call: call.ringback(True))
    to_one, to_other = rings(owned, one, other)
    one.replies(to_one, "183 Session Progress", sdp=SDP)
    owned.hears(LegRinging)
    assert exchange.do(lambda: owned.call._early) is not None  # type: ignore[attr-defined]
    one.replies(to_one, "486 Busy Here")
    one.sees("ACK")
    until(lambda: exchange.do(lambda: owned.call._early) is None, "its sound stays")  # type: ignore[attr-defined]
    other.replies(to_other, sdp=session_description(media="m=audio 4000 RTP/AVP 0\r\n"))
    other.sees("ACK")
    owned.hears(LegAnswered)
    ends(exchange, owned, anna, other)


def test_early_sound_of_one_is_no_answer_of_another(exchange: Exchange, anna: Wire) -> None:
    one, other = exchange.seat(), exchange.seat()
    _, owned = calls(exchange, anna)
    to_one, to_other = rings(owned, one, other)
    one.replies(to_one, "183 Session Progress", sdp=SDP)
    owned.hears(LegRinging)
    other.replies(to_other)
    other.sees("ACK")
    other.replies(other.sees("BYE"))
    one.replies(to_one, "480 Gone")
    one.sees("ACK")
    assert owned.hears(LegFailed).outcome == "failed"
    assert not owned.has(LegAnswered)
    ends(exchange, owned, anna)


@pytest.mark.parametrize("sdp", ["", "rubbish", session_description(media="m=audio 4000 RTP/AVP 18\r\n")])
def test_an_answer_nobody_can_talk_to(exchange: Exchange, anna: Wire, sdp: str) -> None:
    seat = exchange.seat()
    _, owned = calls(exchange, anna)
    (invite,) = rings(owned, seat)
    seat.replies(invite, sdp=sdp)
    seat.sees("ACK")
    seat.replies(seat.sees("BYE"))
    assert owned.hears(LegFailed).outcome == "failed"
    ends(exchange, owned, anna)


# Crossing ways. -------------------------------------------------------------------------------------------


def test_a_seat_answers_while_the_caller_hangs_up(exchange: Exchange, anna: Wire) -> None:
    seat = exchange.seat()
    dialled, owned = calls(exchange, anna)

    def gives_up(event: object) -> None:
        if isinstance(event, CallerLeft):
            owned.call.hangup()

    owned.react = gives_up
    (invite,) = rings(owned, seat)
    anna.hangs_up(dialled)
    seat.replies(invite, "180 Ringing")
    seat.replies(invite, sdp=SDP)
    owned.hears(CallEnded)
    seat.replies(seat.sees("BYE"))
    exchange.is_clean()


@pytest.mark.parametrize("answers", [True, False])
def test_a_leg_dropped_while_it_answers(exchange: Exchange, anna: Wire, answers: bool) -> None:
    seat = exchange.seat()
    _, owned = calls(exchange, anna)
    (invite,) = rings(owned, seat)
    seat.replies(invite, "180 Ringing")
    owned.hears(LegRinging)
    owned.asks(lambda call: call.drop("leg1", "no_answer"))
    cancel = seat.sees("CANCEL")
    seat.replies(cancel)
    if answers:
        seat.replies(invite, sdp=SDP)
        seat.sees("ACK")
        seat.replies(seat.sees("BYE"))
    else:
        seat.replies(invite, "487 Request Terminated")
        seat.sees("ACK")
    assert not owned.has(LegAnswered)
    assert not owned.has(LegFailed)
    ends(exchange, owned, anna)


def test_a_seat_registers_elsewhere_during_a_call(exchange: Exchange, anna: Wire) -> None:
    seat = exchange.seat()
    _, owned = calls(exchange, anna)
    (invite,) = rings(owned, seat)
    seat.replies(invite, sdp=SDP)
    seat.sees("ACK")
    owned.hears(LegAnswered)
    seat.registers("2001", PASSWORD, expires=0)
    elsewhere = exchange.seat("2001")
    owned.asks(lambda call: call.dial("leg2", SEAT))
    again = elsewhere.sees("INVITE")
    elsewhere.replies(again, "486 Busy Here")
    elsewhere.sees("ACK")
    assert owned.hears(LegFailed).leg_id == "leg2"
    assert not owned.has(LegEnded)
    ends(exchange, owned, anna, seat)


def test_nobody_is_registered(exchange: Exchange, anna: Wire) -> None:
    _, owned = calls(exchange, anna)
    owned.asks(lambda call: call.dial("a", SEAT))
    owned.asks(lambda call: call.dial("b", Target("sip", "nobody")))
    owned.asks(lambda call: call.dial("c", Target("tel", "13800138000")))
    until(lambda: sum(isinstance(event, LegFailed) for event in owned.told) == 3, "not all three failed")
    outcomes = {event.leg_id: event.outcome for event in owned.told if isinstance(event, LegFailed)}
    assert outcomes == {"a": "offline", "b": "failed", "c": "failed"}
    ends(exchange, owned, anna)


@pytest.mark.parametrize("who", ["caller", "seat"])
def test_who_falls_silent_is_taken_for_lost(open_exchange: Callable[..., Exchange], who: str) -> None:
    exchange = open_exchange(media_timeout=0.6)
    anna, seat = exchange.wire(), exchange.seat()
    dialled, owned = calls(exchange, anna)
    (invite,) = rings(owned, seat)
    seat.replies(invite, sdp=SDP)
    seat.sees("ACK")
    owned.hears(LegAnswered)
    owned.asks(lambda call: call.connect("leg1"))
    description = invite if who == "seat" else dialled.answers[0]
    silent, other = (seat, anna) if who == "seat" else (anna, seat)
    for packet in packets([Tone(400, 0.1)]):
        silent.socket.sendto(packet.data, ("127.0.0.1", media_port(description)))
    silent.replies(silent.sees("BYE", within=10))
    if who == "seat":
        assert owned.hears(LegEnded) == LegEnded("leg1", "network")
    else:
        assert owned.hears(CallerLeft) == CallerLeft("network", "media_timeout")
    ended = ends(exchange, owned, other)
    assert {leg.leg_id: leg.hangup_by for leg in ended.legs}["leg1" if who == "seat" else "caller"] == "network"


def media_port(message: Message) -> int:
    found = re.search(r"^m=audio (\d+)", message.text, re.MULTILINE)
    assert found
    return int(found[1])


# What strangers can put into other people's messages. -----------------------------------------------------


@pytest.mark.parametrize(
    "from_",
    [
        '"Eve\\"\\\x0b\\\x85X-Evil: 1" <sip:eve@example.com>',
        '"Eve" <sip:eve%0d%0aX-Evil:%201@example.com>',
        '"Eve" <sip:eve%3E%3Bx-evil@example.com>',
        '"Ève\udcff" <sip:%ff%fe@example.com>',
        f'"{"Eve" * 1000}" <sip:{"9" * 2000}@example.com>',
        "<sip:eve@example.com;x-evil=%0d%0a?X-Evil=1>",
    ],
)
def test_a_name_does_not_become_a_header(exchange: Exchange, anna: Wire, from_: str) -> None:
    seat = exchange.seat()
    exchange.greets = lambda owned: owned.call.answer()
    dialled = anna.invite(from_=from_)
    message = anna.sees("SIP/2.0 ", dialled.call_id)
    if message.status != 200:
        assert message.status == 400
        return
    anna.takes(dialled, message)
    anna.acknowledges(dialled)
    owned = exchange.takes()
    (invite,) = rings(owned, seat)
    names = {line.partition(":")[0].strip().lower() for line in invite.text.partition("\n\n")[0].split("\n")[1:]}
    assert not any("evil" in name for name in names)
    assert len(invite.header("From")) < 400
    assert sum(line.lower().startswith("from:") for line in invite.text.split("\n")) == 1
    seat.replies(invite, "486 Busy Here")
    seat.sees("ACK")
    ends(exchange, owned, anna)


@pytest.mark.parametrize("number", ["", "1\r\nX-Evil: 1", "\udcff", "<sip:x>", "9" * 3000])
def test_a_caller_id_from_a_flow_is_only_a_number(exchange: Exchange, anna: Wire, number: str) -> None:
    seat = exchange.seat()
    _, owned = calls(exchange, anna)
    owned.asks(lambda call: call.dial("leg1", SEAT, caller_id=number))
    invite = seat.sees("INVITE")
    assert "\nX-Evil" not in invite.text
    seat.replies(invite, "486 Busy Here")
    seat.sees("ACK")
    ends(exchange, owned, anna)


# The end of the gateway, in every phase of a call. --------------------------------------------------------


def test_stopped_before_the_answer(exchange: Exchange, anna: Wire) -> None:
    exchange.greets = lambda owned: owned.call.ringing()
    dialled = anna.invite()
    anna.sees("SIP/2.0 180", dialled.call_id)
    exchange.stops()
    anna.is_refused(dialled, 480)
    ended = exchange.takes().hears(CallEnded)
    assert ended.cause == "shutdown"
    assert not exchange.takes().has(Answered)


def test_stopped_between_the_answer_and_its_ack(exchange: Exchange, anna: Wire) -> None:
    """No BYE before the ACK, and none forgotten: the telephone would ring or listen on."""
    exchange.greets = lambda owned: owned.call.answer()
    dialled = anna.invite()
    ok = anna.sees("SIP/2.0 200", dialled.call_id)
    anna.takes(dialled, ok)
    stopping = exchange.begins(exchange.gateway.stop())
    exchange.takes().hears(CallEnded)
    anna.acknowledges(dialled)
    anna.replies(anna.sees("BYE", dialled.call_id))
    stopping.result(10)


def test_stopped_while_a_seat_rings(exchange: Exchange, anna: Wire) -> None:
    seat = exchange.seat()
    _, owned = calls(exchange, anna)
    (invite,) = rings(owned, seat)
    seat.replies(invite, "180 Ringing")
    owned.hears(LegRinging)
    stopping = exchange.begins(exchange.gateway.stop())
    seat.replies(seat.sees("CANCEL"))
    seat.replies(invite, "487 Request Terminated")
    anna.replies(anna.sees("BYE"))
    stopping.result(10)
    assert {leg.leg_id for leg in owned.hears(CallEnded).legs} == {"caller", "leg1"}


def test_stopped_while_two_talk(exchange: Exchange, anna: Wire) -> None:
    seat = exchange.seat()
    _, owned = calls(exchange, anna)
    (invite,) = rings(owned, seat)
    seat.replies(invite, sdp=SDP)
    seat.sees("ACK")
    owned.hears(LegAnswered)
    owned.asks(lambda call: call.connect("leg1"))
    stopping = exchange.begins(exchange.gateway.stop())
    # The first is lost: it is said again.
    seat.sees("BYE")
    for phone in (seat, anna):
        phone.replies(phone.sees("BYE"))
    stopping.result(10)
    assert owned.hears(CallEnded).cause == "shutdown"


def test_telephones_that_do_not_answer_delay_the_end_a_little(exchange: Exchange, anna: Wire) -> None:
    _, owned = calls(exchange, anna)
    exchange.stops()
    assert owned.hears(CallEnded).cause == "shutdown"
    assert anna.sees("BYE")


def test_while_draining_calls_go_on_and_none_begins(exchange: Exchange, anna: Wire) -> None:
    dialled, owned = calls(exchange, anna)
    exchange.do(exchange.gateway.drain)
    late = exchange.wire("berta")
    assert late.is_refused(late.invite(), 503).header("Retry-After")
    anna.asks(dialled, "INVITE", body=SDP)
    anna.is_answered(dialled)
    anna.hangs_up(dialled)
    assert owned.hears(CallerLeft) == CallerLeft("caller", "bye")
    owned.asks(lambda call: call.hangup())
    exchange.awaits(exchange.gateway.wait_until_idle())


# Trunks. --------------------------------------------------------------------------------------------------


def test_a_trunk_is_dialled_and_its_refusal_is_told(open_exchange: Callable[..., Exchange]) -> None:
    carrier = Wire("127.0.0.1:9", host="127.0.0.9", user="carrier")
    exchange = open_exchange(trunks={"carrier": Trunk("carrier", "127.0.0.9", carrier.port, caller_id="4008200000")})
    anna = exchange.wire()
    _, owned = calls(exchange, anna)
    carrier.server = anna.server
    (invite,) = rings(owned, carrier, target=Target("tel", "13800138000"))
    assert "4008200000" in invite.header("From")
    assert "13800138000" in invite.start_line
    carrier.replies(invite, "404 Not Found")
    carrier.sees("ACK")
    failed = owned.hears(LegFailed)
    assert (failed.outcome, failed.status) == ("offline", 404)
    ends(exchange, owned, anna)
    carrier.close()
