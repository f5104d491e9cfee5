"""What becomes of each torture message: it reaches the user, it is refused with a status, or it is dropped.

The whole path is taken, from bytes to event or to the bytes of the refusal. Verdicts that need a site or a
dialog (415, 420, authentication) belong to who has them; here those messages must arrive readable.
"""

from __future__ import annotations

import pytest

from gateway.sip.digest import Challenge, DigestAuthenticator
from gateway.sip.grammar import SipParseError
from gateway.sip.hop import Hop
from gateway.sip.message import Request, Response, parse_message
from gateway.sip.stream import StreamFramer
from gateway.sip.transaction import RequestReceived, TransactionLayer
from tests.sip.rfc4475.messages import ALL, INVALID, SEMANTIC, VALID

REFUSED = {
    "badinv01": 400,
    "clerr": 400,
    "ncl": 400,
    "scalar02": 400,
    "quotbal": 400,
    "ltgtruri": 400,
    "lwsruri": 400,
    "lwsstart": 400,
    "trws": 400,
    "escruri": 400,
    "regbadct": 400,
    "badaspec": 400,
    "baddn": 400,
    "badvers": 505,
    "mismatch01": 400,
    "mismatch02": 400,
    "unkscm": 416,
    "novelsc": 416,
    "multi01": 400,
    "mcl01": 400,
}
DROPPED = {
    "scalarlg": "a response with an impossible CSeq",
    "bigcode": "a response with an impossible status",
    "insuf": "a 400 would lack From, To and Call-ID",
    "bcast": "a response that has another's Via below the first",
    "unreason": "a response to nothing we asked",
    "noreason": "a response to nothing we asked",
}
DELIVERED = sorted(set(ALL) - set(REFUSED) - set(DROPPED))


def receive(name: str) -> tuple[RequestReceived | None, list[int]]:
    layer = TransactionLayer()
    layer.receive(ALL[name], Hop("udp", "192.0.2.200", 5060, None, ("192.0.2.1", 5060)), 0.0)
    event = layer.next_event()
    assert event is None or isinstance(event, RequestReceived)
    # Not read with the parser: an answer echoes the very fields that it objects to.
    return event, [int(data[len("SIP/2.0 ") :][:3]) for data, _ in layer.messages_to_send()]


def request(name: str) -> Request:
    event, answers = receive(name)
    assert event is not None, answers
    assert answers == []
    return event.request


def test_all_49_are_here() -> None:
    assert (len(VALID), len(INVALID), len(SEMANTIC)) == (13, 19, 17)
    assert set(REFUSED) | set(DROPPED) <= set(ALL)


@pytest.mark.parametrize("name", DELIVERED)
def test_delivered(name: str) -> None:
    assert request(name).call_id.split(".")[0] in (name, "3d9485ad0c49859b@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA")


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(name: str) -> None:
    event, answers = receive(name)
    assert event is None
    assert answers == [REFUSED[name]]


@pytest.mark.parametrize("name", sorted(DROPPED))
def test_dropped(name: str) -> None:
    assert receive(name) == (None, [])


@pytest.mark.parametrize("name", [*VALID, "inv2543", "baddate", "badbranch"])
def test_readable_ones_go_out_as_they_came(name: str) -> None:
    data = ALL[name]
    if name == "dblreq":
        # What lies beyond Content-Length in a datagram is not the message's.
        data = data[: data.index(b"\r\n\r\n") + 4]
    assert parse_message(ALL[name]).encode() == data


@pytest.mark.parametrize("name", sorted(set(VALID) - {"dblreq"}))
def test_the_bytes_are_as_long_as_the_message_says(name: str) -> None:
    message = parse_message(VALID[name])
    assert str(len(message.body)) == (message.headers.get("Content-Length") or "").lstrip("0") or not message.body


def test_wsinv() -> None:
    invite = request("wsinv")
    assert invite.to.tag == "1918181833n"
    assert invite.from_.display_name == 'J Rosenberg \\"'
    assert invite.from_.tag == "98asjd8"
    assert invite.max_forwards == 68
    assert invite.cseq == (9, "INVITE")
    assert [(via.transport, via.host, via.branch) for via in invite.vias] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    assert invite.contacts[0].display_name == 'Quoted string ""'
    assert invite.contacts[0].params == {"newparam": "newvalue", "secondparam": None, "q": "0.33"}
    assert invite.routes[0].uri.is_loose_router
    assert invite.headers.get("subject") == ""
    assert invite.headers.get("newfangledheader") == "newfangled value continued newfangled value"


def test_intmeth() -> None:
    message = request("intmeth")
    assert message.uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert message.uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert message.to.display_name == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert "\0" not in str(message.to)
    assert message.from_.display_name == "token1~` token2'+_ token3*%!.-"
    assert message.from_.params["fromparam''~+*_!.-%"] == '"работающий"'
    assert message.from_.tag == "_token~1'+`*%!-."
    assert message.headers.get("extensionHeader-!.%*+_`'~") == "\ufeff大停電"
    # The echo is of the bytes, NUL and all.
    assert b'"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f"' in message.respond(200).encode()


def test_escapes() -> None:
    invite = request("esc01")
    assert invite.uri.user_text == "sips:user@example.com"
    assert invite.uri.host == "example.net"
    assert invite.contacts[0].uri.is_loose_router
    register = request("esc02")
    assert register.method == "RE%47IST%45R"
    assert [contact.uri.user for contact in register.contacts] == ["alias1", "alias3"]
    assert [contact.uri.user_text for contact in request("escnull").contacts] == ["\0", "\0\0"]
    assert request("semiuri").uri.user_text == "user;par=u@example.net"


def test_where_parameters_belong() -> None:
    assert request("cparam01").contacts[0].params == {"unknownparam": None}
    assert request("cparam02").contacts[0].uri.params == {"unknownparam": None}
    assert request("regescrt").contacts[0].uri.headers == "Route=%3Csip:sip.example.com%3E"
    assert request("unksm2").contacts[0].uri.scheme == "name"


def test_longreq_and_transports() -> None:
    assert len(request("longreq").vias) == 34
    assert [via.transport for via in request("transports").vias] == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]


def test_bodies() -> None:
    message = request("mpart01")
    assert len(message.body) == 553
    assert message.content_type == "multipart/mixed"
    assert request("dblreq").body == b""
    assert request("inv2543").body.endswith(b"m=audio 49217 RTP/AVP 0\r\n")


def test_responses_are_readable() -> None:
    unreason = parse_message(VALID["unreason"])
    noreason = parse_message(VALID["noreason"])
    assert isinstance(unreason, Response)
    assert isinstance(noreason, Response)
    assert unreason.reason == "= 2**3 * 5**2 но сто девяносто девять - простое"
    assert (noreason.status, noreason.reason) == (100, "")


def test_what_is_left_to_the_user() -> None:
    assert request("bext01").require == {"nothingsupportsthis", "nothingsupportsthiseither"}
    assert request("invut").content_type == "application/unknownformat"
    assert request("zeromf").max_forwards == 0
    authenticator = DigestAuthenticator("example.com", lambda account: None)
    assert isinstance(authenticator.check(request("regaut01"), 0.0), Challenge)


def test_insuf_says_400_to_who_asks_the_parser() -> None:
    with pytest.raises(SipParseError) as caught:
        parse_message(SEMANTIC["insuf"])
    assert caught.value.status == 400


def test_two_requests_in_one_stream_are_two() -> None:
    found = StreamFramer().feed(VALID["dblreq"])
    messages = [item for item in found if isinstance(item, bytes)]
    assert messages[0].startswith(b"REGISTER")
    assert messages[1].startswith(b"INVITE")
