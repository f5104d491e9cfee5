"""Dialogs: who, by which route, in which order; and which neighbour a URI means."""

from __future__ import annotations

import pytest

from gateway.sip.dialog import Dialog, hop_towards
from gateway.sip.hop import Hop
from gateway.sip.message import Request, Response, SipParseError
from gateway.sip.uri import SipUri

UDP = Hop("udp", "198.51.100.7", 5060, None, ("192.0.2.1", 5060))
TCP = Hop("tcp", "198.51.100.7", 49152, 17, ("192.0.2.1", 5060))


def invite(*headers: tuple[str, str], vias: int = 1, rport: str = ";rport") -> Request:
    via = [("Via", f"SIP/2.0/UDP 198.51.100.{n};branch=z9hG4bK{n}{rport}") for n in range(vias)]
    return Request(
        "INVITE",
        SipUri.parse("sip:1000@192.0.2.1"),
        [
            *via,
            ("From", "<sip:bob@example.org>;tag=theirs"),
            ("To", "<sip:1000@example.org>"),
            ("Call-ID", "x"),
            ("CSeq", "7 INVITE"),
            ("Contact", "<sip:bob@198.51.100.99:5070?evil=1>"),
            *headers,
        ],
    )


def test_names_and_numbers_of_the_called() -> None:
    dialog = Dialog.of_request(invite(), UDP, "ours")
    assert dialog.id == ("x", "ours", "theirs")
    bye = dialog.request("BYE")
    assert (str(bye.from_), str(bye.to)) == (
        "<sip:1000@example.org>;tag=ours",
        "<sip:bob@example.org>;tag=theirs",
    )
    assert (bye.cseq.number, dialog.request("INFO").cseq.number) == (1, 2)
    assert str(bye.uri) == "sip:bob@198.51.100.99:5070"


def test_route_set_of_the_called_is_in_order_and_of_the_caller_reversed() -> None:
    routes = [("Record-Route", "<sip:a;lr>, <sip:b;lr>"), ("Record-Route", "<sip:c;lr>")]
    dialog = Dialog.of_request(invite(*routes), UDP, "ours")
    assert [str(route.uri) for route in dialog.request("BYE").routes] == ["sip:a;lr", "sip:b;lr", "sip:c;lr"]
    request = invite()
    response = Response(200, None, [*request.respond(200, to_tag="t").headers, *routes])
    dialog = Dialog.of_response(request, response, UDP)
    assert [str(route.uri) for route in dialog.request("BYE").routes] == ["sip:c;lr", "sip:b;lr", "sip:a;lr"]
    assert dialog.request("INFO").cseq.number == 9


def test_peer_of_rfc_2543_has_no_tag() -> None:
    request = invite()
    request.headers.set("From", "<sip:old@example.org>")
    assert Dialog.of_request(request, UDP, "ours").id == ("x", "ours", "")


def test_request_without_contact_makes_no_dialog() -> None:
    request = invite()
    request.headers.remove("Contact")
    with pytest.raises(SipParseError):
        Dialog.of_request(request, UDP, "ours")


def test_older_request_is_not_taken() -> None:
    dialog = Dialog.of_request(invite(), UDP, "ours")
    later, older = invite(), invite()
    later.headers.set("CSeq", "100 INVITE")
    older.headers.set("CSeq", "99 INVITE")
    assert dialog.takes(later)
    assert not dialog.takes(older)
    assert dialog.takes(later)


def test_peer_that_asked_for_symmetric_responses_is_reached_where_it_sent_from() -> None:
    assert Dialog.of_request(invite(), UDP, "o").next_hop == UDP
    elsewhere = Hop("udp", "198.51.100.99", 5070, None, UDP.local)
    assert Dialog.of_request(invite(rport=""), UDP, "o").next_hop == elsewhere
    assert Dialog.of_request(invite(vias=2), UDP, "o").next_hop == elsewhere


def test_lost_connection_is_replaced_by_the_contact() -> None:
    dialog = Dialog.of_request(invite(), TCP, "o")
    assert dialog.next_hop == TCP
    dialog.hop_lost()
    assert dialog.next_hop == Hop("tcp", "198.51.100.99", 5070, None, TCP.local)


@pytest.mark.parametrize(
    ("uri", "known", "expected"),
    [
        ("sip:198.51.100.8:5080", UDP, Hop("udp", "198.51.100.8", 5080, None, UDP.local)),
        ("sip:198.51.100.8", UDP, Hop("udp", "198.51.100.8", 5060, None, UDP.local)),
        ("sip:198.51.100.8;transport=TCP", UDP, Hop("tcp", "198.51.100.8", 5060, None, None)),
        ("sips:198.51.100.8;transport=tcp", UDP, Hop("tls", "198.51.100.8", 5061, None, None)),
        ("sip:a.name.example", UDP, UDP),
        ("sip:10.0.0.1", UDP, UDP),
        ("sip:127.0.0.1", UDP, UDP),
        ("sip:0.0.0.0", UDP, UDP),
        ("sip:224.0.0.1", UDP, UDP),
        ("sip:[2001:db8::1]", UDP, UDP),
        ("sip:198.51.100.8;transport=carrier-pigeon", UDP, UDP),
        ("sip:198.51.100.7:5060;transport=tcp", TCP, TCP),
        ("sip:198.51.100.7:5060", TCP, TCP),
        ("tel:+4912345", UDP, UDP),
        ("sip:x@invalid", TCP, TCP),
    ],
)
def test_neighbour_that_a_uri_means(uri: str, known: Hop, expected: Hop) -> None:
    assert hop_towards(SipUri.parse(uri), known) == expected


def test_private_neighbours_reach_each_other() -> None:
    known = Hop("udp", "10.0.0.9", 5060, None, None)
    assert hop_towards(SipUri.parse("sip:10.0.0.1"), known).host == "10.0.0.1"
