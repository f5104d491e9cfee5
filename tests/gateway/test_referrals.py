"""A caller whose own telephone, or trunk, calls somebody in our place; and headers that go along with a call."""

from __future__ import annotations

import pytest

from gateway.call import Answered, CallEnded, CallerLeft, LegAnswered, LegFailed, LegRinging, Target, Trunk
from tests.gateway.exchange import PASSWORD, Exchange, Owned
from tests.gateway.test_calls_out import calls, ends
from tests.peers.wire import Dialled, Wire

SEAT = Target("sip", "2001")


@pytest.fixture
def anna(exchange: Exchange) -> Wire:
    return exchange.wire()


def notifies(anna: Wire, dialled: Dialled, line: str, state: str = "active") -> None:
    headers = ("Event: refer", f"Subscription-State: {state}")
    anna.asks(dialled, "NOTIFY", body=f"{line}\r\n", headers=headers, kind="message/sipfrag;version=2.0")
    anna.sees("SIP/2.0 200")


def refers(owned: Owned, anna: Wire, target: Target = SEAT, answer: str = "202 Accepted", **more: object) -> str:
    """The address that the caller is to call."""
    owned.asks(lambda call: call.refer("leg1", target, **more))  # type: ignore[arg-type]
    refer = anna.sees("REFER")
    anna.replies(refer, answer)
    return refer.header("Refer-To")


def test_the_caller_is_in_good_hands(exchange: Exchange, anna: Wire) -> None:
    seat = exchange.seat()
    dialled, owned = calls(exchange, anna)
    assert refers(owned, anna) == f"<sip:2001@{seat.host}:{seat.port}>"
    for _ in range(3):
        notifies(anna, dialled, "SIP/2.0 180 Ringing")
    owned.hears(LegRinging)
    assert not owned.has(LegAnswered)
    notifies(anna, dialled, "SIP/2.0 200 OK", "terminated;reason=noresource")
    assert owned.hears(LegAnswered) == LegAnswered("leg1")
    ended = ends(exchange, owned, anna)
    assert [leg.leg_id for leg in ended.legs] == ["caller"]
    assert owned.told.count(LegRinging("leg1")) == 1


def test_whom_he_calls_is_busy_and_the_call_goes_on(exchange: Exchange, anna: Wire) -> None:
    exchange.seat()
    dialled, owned = calls(exchange, anna)
    refers(owned, anna)
    notifies(anna, dialled, "SIP/2.0 486 Busy Here", "terminated;reason=noresource")
    assert owned.hears(LegFailed) == LegFailed("leg1", "busy", 486, "Busy Here")
    assert not owned.has(CallerLeft)
    ends(exchange, owned, anna)


@pytest.mark.parametrize("answer", ["405 Method Not Allowed", "603 Decline", "481 Gone"])
def test_a_telephone_that_will_not(exchange: Exchange, anna: Wire, answer: str) -> None:
    exchange.seat()
    _, owned = calls(exchange, anna)
    refers(owned, anna, answer=answer)
    failed = owned.hears(LegFailed)
    assert (failed.outcome, failed.status) == ("failed", int(answer[:3]))
    if answer.startswith("481"):
        assert owned.hears(CallerLeft).cause == "dialog_lost"
        owned.asks(lambda call: call.hangup())
    else:
        ends(exchange, owned, anna)


def test_without_waiting(exchange: Exchange, anna: Wire) -> None:
    exchange.seat()
    _, owned = calls(exchange, anna)
    refers(owned, anna, wait=False)
    owned.hears(LegAnswered)
    ends(exchange, owned, anna)


def test_a_seat_that_is_not_signed_in_is_not_called(exchange: Exchange, anna: Wire) -> None:
    _, owned = calls(exchange, anna)
    owned.asks(lambda call: call.refer("leg1", SEAT))
    assert owned.hears(LegFailed).outcome == "offline"
    ends(exchange, owned, anna)


def test_headers_stand_in_the_address(exchange: Exchange, anna: Wire) -> None:
    seat = exchange.seat()
    _, owned = calls(exchange, anna)
    address = refers(owned, anna, headers=[("X-Order", "17 & 4"), ("Subject", "größer?")])
    assert address == f"<sip:2001@{seat.host}:{seat.port}?X-Order=17%20%26%204&Subject=gr%C3%B6%C3%9Fer%3F>"
    ends(exchange, owned, anna)


def test_a_value_that_no_address_can_carry(exchange: Exchange, anna: Wire) -> None:
    exchange.seat()
    _, owned = calls(exchange, anna)
    owned.asks(lambda call: call.refer("leg1", SEAT, headers=[("X-Order", "\ud800")]))
    assert owned.hears(LegFailed).outcome == "failed"
    ends(exchange, owned, anna)


def test_a_number_is_asked_of_us_by_our_own(exchange: Exchange, anna: Wire) -> None:
    _, owned = calls(exchange, anna)
    assert refers(owned, anna, Target("tel", "+4930123")) == "<sip:+4930123@localhost>"
    ends(exchange, owned, anna)


def test_a_number_is_asked_of_the_carrier_by_its_callers() -> None:
    with_trunk = {"carrier": Trunk("carrier", "127.0.0.1", 5070, numbers=("1000",))}
    exchange = Exchange(trunks=with_trunk)
    try:
        anna = exchange.wire()
        _, owned = calls(exchange, anna)
        assert refers(owned, anna, Target("tel", "+4930123")) == "<sip:+4930123@127.0.0.1:5070>"
        ends(exchange, owned, anna)
    finally:
        exchange.close()


def test_a_carrier_wants_to_know_who_asks() -> None:
    carrier = Trunk("carrier", "127.0.0.1", 5070, numbers=("1000",), user="acme", password="trunk secret")
    exchange = Exchange(trunks={"carrier": carrier})
    try:
        anna = exchange.wire()
        dialled, owned = calls(exchange, anna)
        challenge = 'Proxy-Authenticate: Digest realm="carrier", nonce="n1", algorithm=MD5, qop="auth"'
        refers(owned, anna, Target("tel", "+4930123"), answer=f"407 Proxy Authentication Required\r\n{challenge}")
        again = anna.sees("REFER")
        assert 'username="acme"' in again.header("Proxy-Authorization")
        anna.replies(again, "202 Accepted")
        number = again.header("CSeq").split()[0]
        headers = (f"Event: refer;id={number}", "Subscription-State: terminated;reason=noresource")
        anna.asks(dialled, "NOTIFY", body="SIP/2.0 200 OK\r\n", headers=headers, kind="message/sipfrag")
        assert owned.hears(LegAnswered) == LegAnswered("leg1")
        ends(exchange, owned, anna)
    finally:
        exchange.close()


def test_a_caller_who_is_not_answered_is_redirected(exchange: Exchange, anna: Wire) -> None:
    seat = exchange.seat()
    dialled = anna.invite()
    owned = exchange.takes()
    owned.asks(lambda call: call.refer("leg1", SEAT))
    answer = anna.is_refused(dialled, 302)
    assert answer.header("Contact") == f"<sip:2001@{seat.host}:{seat.port}>"
    owned.hears(LegAnswered)
    owned.asks(lambda call: call.hangup("redirected"))
    ended = owned.hears(CallEnded)
    assert (ended.status, ended.cause) == (302, "redirected")
    assert not owned.has(Answered)
    exchange.is_clean()


def test_headers_go_along_with_a_call(exchange: Exchange, anna: Wire) -> None:
    seat = exchange.seat()
    _, owned = calls(exchange, anna)
    owned.asks(lambda call: call.dial("leg1", SEAT, headers=[("X-Order", "17"), ("Alert-Info", "<http://x/ring>")]))
    invite = seat.sees("INVITE")
    assert (invite.header("X-Order"), invite.header("Alert-Info")) == ("17", "<http://x/ring>")
    owned.asks(lambda call: call.hangup())
    seat.replies(invite, "487 Request Terminated")
    assert PASSWORD not in invite.text
