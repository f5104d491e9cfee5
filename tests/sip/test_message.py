"""Messages: read lazily, echoed as received, built strictly, in linear time whatever comes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.sip.grammar import MAX_UINT32, SipParseError, quote, split_list, unquote
from gateway.sip.header import CSeq, NameAddr, Via
from gateway.sip.message import MAX_HEADERS, Headers, Message, Request, Response, parse_message
from gateway.sip.screen import screen
from gateway.sip.uri import SipUri
from tests.sip.rfc4475.messages import ALL

if TYPE_CHECKING:
    from _typeshed import TraceFunction

INVITE = (
    b"INVITE sip:100@192.0.2.1 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.9:5070;rport;branch=z9hG4bK+a.b*c~1\r\n"
    b"Record-Route: <sip:p2.example.com;lr>\r\n"
    b"v: SIP/2.0/TCP 192.0.2.10\r\n"
    b'f: "M\xc3\xbcller, A." <sip:m@example.com>;Tag=a+b%2B;X=1\r\n'
    b"t: <sip:100@example.com>\r\n"
    b"Call-ID: c+1@192.0.2.9\r\n"
    b"CSeq: 7 INVITE\r\n"
    b"Max-Forwards: 70\r\n"
    b"Contact: <sip:m@192.0.2.9:5070>\r\n"
    b"Supported: 100rel, Timer\r\n"
    b"k: replaces\r\n"
    b"Allow: INVITE,ACK\r\n"
    b"Content-Type: Application/SDP ;charset=x\r\n"
    b"Content-Length: 3\r\n\r\nabc"
)


def read(data: bytes) -> Request:
    message = parse_message(data)
    assert isinstance(message, Request)
    return message


def test_typed_values() -> None:
    invite = read(INVITE)
    assert (invite.method, str(invite.uri), invite.body) == ("INVITE", "sip:100@192.0.2.1", b"abc")
    assert [via.host for via in invite.vias] == ["192.0.2.9", "192.0.2.10"]
    assert invite.top_via.branch == "z9hG4bK+a.b*c~1"
    assert invite.from_.display_name == "Müller, A."
    assert invite.from_.tag == "a+b%2B"
    assert invite.to.tag is None
    assert invite.cseq == CSeq(7, "INVITE")
    assert invite.max_forwards == 70
    assert invite.supported == {"100rel", "timer", "replaces"}
    assert invite.allow == {"INVITE", "ACK"}
    assert invite.require == frozenset()
    assert invite.content_type == "application/sdp"
    assert invite.expires is None
    assert invite.contacts[0].uri.port == 5070


def test_response_echoes_bytes() -> None:
    response = read(INVITE).respond(200, to_tag="t1", headers=[("Contact", "<sip:us>")], body=b"x", content_type="a/b")
    assert response.encode() == (
        b"SIP/2.0 200 OK\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.9:5070;rport;branch=z9hG4bK+a.b*c~1\r\n"
        b"Record-Route: <sip:p2.example.com;lr>\r\n"
        b"v: SIP/2.0/TCP 192.0.2.10\r\n"
        b'f: "M\xc3\xbcller, A." <sip:m@example.com>;Tag=a+b%2B;X=1\r\n'
        b"t: <sip:100@example.com>;tag=t1\r\n"
        b"Call-ID: c+1@192.0.2.9\r\n"
        b"CSeq: 7 INVITE\r\n"
        b"Contact: <sip:us>\r\n"
        b"Content-Type: a/b\r\n"
        b"Content-Length: 1\r\n\r\nx"
    )


def test_a_tag_that_is_there_stays() -> None:
    bye = read(INVITE.replace(b"t: <sip:100@example.com>", b"t: <sip:100@example.com>;TAG=old"))
    assert bye.to.tag == "old"
    assert bye.respond(200, to_tag="new").to.tag == "old"


def test_record_route_only_where_it_can_make_a_dialog() -> None:
    invite = read(INVITE)
    assert "Record-Route" in invite.respond(180).headers
    assert "Record-Route" not in invite.respond(404).headers
    assert "Record-Route" not in invite.respond(100).headers


def test_bytes_that_are_no_utf8_come_out_as_they_went_in() -> None:
    data = INVITE.replace(b"M\xc3\xbcller", b"M\xfcller")
    invite = read(data)
    assert invite.encode() == data
    assert b"M\xfcller" in invite.respond(180).encode()
    invite.headers.add("X-Copy", str(invite.from_))
    assert b'X-Copy: "M\xfcller' in invite.encode()


def test_changes_are_seen() -> None:
    invite = read(INVITE)
    assert invite.cseq.number == 7
    invite.headers.set("CSeq", "8 INVITE")
    assert invite.cseq.number == 8
    assert b"CSeq: 8 INVITE\r\n" in invite.encode()
    invite.headers.remove("k")
    assert invite.supported == frozenset()
    invite.headers.prepend("Via", "SIP/2.0/UDP us;branch=z9hG4bKx")
    assert invite.top_via.host == "us"
    assert invite.headers.get("v") == "SIP/2.0/UDP us;branch=z9hG4bKx"


def test_content_length_is_always_right() -> None:
    request = Request("OPTIONS", SipUri.parse("sip:a"), [("Content-Length", "99")], b"four")
    assert request.encode().endswith(b"\r\nContent-Length: 4\r\n\r\nfour")


@pytest.mark.parametrize("bad", ["a\r\nb", "a\nb", "a\rb", "a\0b"])
def test_nothing_breaks_out_of_its_line(bad: str) -> None:
    invite = read(INVITE)
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        invite.headers.add("Subject", bad)
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        invite.headers.set("Subject", bad)
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        Headers([("Subject", bad)])
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        invite.respond(200, bad)
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        invite.respond(200, to_tag=bad)
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        invite.respond(200, content_type=bad)
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        NameAddr.build(invite.uri, "", {"x": bad})
    with pytest.raises(ValueError, match="header name"):
        invite.headers.add(f"X{bad}", "1")
    with pytest.raises(ValueError, match="method"):
        Request(f"INVITE{bad}", invite.uri)
    assert "\r" not in quote(bad)
    assert "\n" not in str(NameAddr.build(invite.uri, bad))


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"CSeq: 7 INVITE", b"CSeq: 7 OPTIONS", 400),
        (b"CSeq: 7 INVITE", b"CSeq: -7 INVITE", 400),
        (b"CSeq: 7 INVITE", b"CSeq: 7", 400),
        (b"CSeq: 7 INVITE", b"CSeq: 4294967296 INVITE", 400),
        (b"Call-ID: c+1@192.0.2.9\r\n", b"", 400),
        (b"Call-ID", b"To: <sip:b>\r\nCall-ID", 400),
        (b"Max-Forwards: 70", b"Max-Forwards: 70\r\nno colon here", 400),
        (b"Max-Forwards: 70", b"Max-Forwards: 70\r\nBad Name: x", 400),
        (b"Max-Forwards: 70", b"Max-Forwards: 70\nX: y", 400),
        (b"Max-Forwards: 70", b"Max-Forwards: 70\rX: y", 400),
        (b"Content-Length: 3", b"Content-Length: 4", 400),
        (b"Content-Length: 3", b"Content-Length: three", 400),
        (b"Content-Length: 3", b"Content-Length: 3, 3", 400),
        (b"SIP/2.0\r\n", b"SIP/3.0\r\n", 505),
        (b"INVITE sip", b"IN(VITE sip", 0),
        (b"\r\n\r\n", b"\r\n", 0),
        (b"INVITE sip:100@192.0.2.1 SIP/2.0", b"SIP/2.0 99 Low", 0),
        (b"INVITE sip:100@192.0.2.1 SIP/2.0", b"SIP/2.0 700 High", 0),
        (b"abc", b"a" * 70000, 513),
    ],
)
def test_broken(old: bytes, new: bytes, status: int) -> None:
    with pytest.raises(SipParseError) as caught:
        parse_message(INVITE.replace(old, new, 1))
    assert caught.value.status == status
    if status not in (0, 513):
        assert caught.value.request is not None
        assert caught.value.request.method == "INVITE"


def test_too_many_headers() -> None:
    def lines(count: int) -> bytes:
        return INVITE.replace(b"Max-Forwards", b"X: 1\r\n" * count + b"Max-Forwards")

    fields = len(read(INVITE).headers)
    assert len(read(lines(MAX_HEADERS - fields)).headers) == MAX_HEADERS
    with pytest.raises(SipParseError):
        parse_message(lines(MAX_HEADERS - fields + 1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'f: "M\xc3\xbcller, A." <sip:m@example.com>', b'f: "M <sip:m@example.com>'),
        (b"t: <sip:100@example.com>", b"t: <sip:100@example.com"),
        (b"t: <sip:100@example.com>", b"t: <sip:100@example.com> x"),
        (b"t: <sip:100@example.com>", b"t: <sip:100@example.com>;;a"),
        (b"Contact: <sip:m@192.0.2.9:5070>", b"Contact: <sip:a>,,<sip:b>"),
        (b"Contact: <sip:m@192.0.2.9:5070>", b"Contact: *, <sip:a>"),
        (b"Record-Route: <sip:p2.example.com;lr>", b"Record-Route: <sip:p2.example.com;lr"),
        (b"UDP 192.0.2.9:5070", b"UDP 192.0.2.9:507000"),
        (b"UDP 192.0.2.9:5070", b"UDP"),
        (b"SIP/2.0/UDP", b"SIP/1.0/UDP"),
        (b"Max-Forwards: 70", b"Max-Forwards: 256"),
        (b"sip:100@192.0.2.1 ", b"sip:100@192.0.2.1\x01 "),
    ],
)
def test_malformed_values_are_found_by_the_screen(old: bytes, new: bytes) -> None:
    request = read(INVITE.replace(old, new, 1))
    with pytest.raises(SipParseError) as caught:
        screen(request)
    assert caught.value.status == 400


def test_contact_star_and_numbers() -> None:
    request = read(INVITE.replace(b"Contact: <sip:m@192.0.2.9:5070>", b"m: *\r\nExpires: 4294967295"))
    assert request.contact_is_star
    assert request.contacts == ()
    assert request.expires == MAX_UINT32
    screen(request)


def test_status_lines() -> None:
    tail = b"\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a>\r\nTo: <sip:b>\r\nCall-ID: 1\r\nCSeq: 1 X\r\n\r\n"
    for line, reason in ((b"SIP/2.0 200", ""), (b"SIP/2.0 200 ", ""), (b"sip/2.0 200 A  B", "A  B")):
        response = parse_message(line + tail)
        assert isinstance(response, Response)
        assert (response.status, response.reason) == (200, reason)
        assert response.encode() == line + tail


def test_name_addr_tags() -> None:
    address = NameAddr.parse("sip:a@b;user=phone")
    assert address.params == {"user": "phone"}
    assert str(address.with_tag("t")) == "sip:a@b;user=phone;tag=t"
    assert NameAddr.parse(str(address.with_tag("t"))).tag == "t"
    assert str(NameAddr.parse("<sip:a>;tag=1;x").with_tag("2")) == "<sip:a>;tag=2;x"
    assert str(NameAddr.build(SipUri.parse("sip:a@b"), 'x"\\y')) == '"x\\"\\\\y" <sip:a@b>'


def test_source_goes_into_the_top_via() -> None:
    def noted(text: str, host: str = "198.51.100.7", port: int = 40000) -> str:
        return str(Via.parse(text).seen_from(host, port))

    assert noted("SIP/2.0/UDP h ; RPORT ;Branch=a+b;X") == (
        "SIP/2.0/UDP h ;rport=40000;Branch=a+b;X;received=198.51.100.7"
    )
    assert noted("SIP/2.0/UDP 10.0.0.1;branch=1") == "SIP/2.0/UDP 10.0.0.1;branch=1;received=198.51.100.7"
    assert noted("SIP/2.0/UDP 198.51.100.7;branch=1") == "SIP/2.0/UDP 198.51.100.7;branch=1"
    assert noted("SIP/2.0/UDP h;received=203.0.113.1;rport=1;branch=1") == (
        "SIP/2.0/UDP h;rport=40000;branch=1;received=198.51.100.7"
    )
    assert noted('SIP/2.0/UDP h;x="a;rport=7;b";rport', "::1") == (
        'SIP/2.0/UDP h;x="a;rport=7;b";rport=40000;received=::1'
    )
    assert Via.parse(noted("SIP/2.0/UDP h;rport")).rport == 40000


def test_lists() -> None:
    assert split_list('"a,\\",b" <sip:x,y>;p="q,r", <sip:z>') == ['"a,\\",b" <sip:x,y>;p="q,r"', "<sip:z>"]
    assert split_list("a;b") == ["a;b"]
    assert split_list("") == [""]
    assert unquote('"a\\"\\\\b"') == 'a"\\b'


# Whatever comes

TOUCH: list[Callable[[Message], object]] = [
    lambda m: m.vias,
    lambda m: m.top_via.rport,
    lambda m: m.from_,
    lambda m: m.to,
    lambda m: m.call_id,
    lambda m: m.cseq,
    lambda m: m.contacts,
    lambda m: m.routes,
    lambda m: m.record_routes,
    lambda m: m.max_forwards,
    lambda m: m.content_type,
    lambda m: (m.require, m.supported, m.allow),
    lambda m: m.expires,
    lambda m: m.uri if isinstance(m, Request) else None,
]


def touch(data: bytes) -> None:
    """Everything that can be asked of a message from the network: only SipParseError may come of it."""
    try:
        message = parse_message(data)
    except SipParseError:
        return
    assert data.startswith(message.encode())
    for look in TOUCH:
        try:
            look(message)
        except SipParseError:
            pass
    if isinstance(message, Request):
        try:
            screen(message)
        except SipParseError:
            return
        answer = message.respond(200, to_tag="t")
        assert parse_message(answer.encode()).call_id == message.call_id


@given(st.binary(max_size=300))
def test_noise(data: bytes) -> None:
    touch(data)
    touch(INVITE[: len(data)] + data + b"\r\n\r\n")


@settings(max_examples=300)
@given(
    st.sampled_from(sorted(ALL)),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 12), st.binary(max_size=8)), max_size=6),
)
@example("wsinv", [(0, 0, b"")])
def test_damaged_messages(name: str, wounds: list[tuple[int, int, bytes]]) -> None:
    data = ALL[name]
    for place, length, put in wounds:
        data = data[: place % len(data)] + put + data[place % len(data) + length :]
        data = data or b"\r\n"
    touch(data)


WORDS = st.sampled_from(
    ['"', "\\", "<", ">", ",", ";", "=", ":", "@", "?", "/", " ", "\t", "%", "*", "[", "]", "a", "1", "sip:", "lr"]
)


NAMES = st.sampled_from(["Via", "From", "To", "Contact", "Route", "CSeq", "Expires", "Max-Forwards", "Allow"])


@settings(max_examples=300)
@given(st.lists(st.tuples(NAMES, st.lists(WORDS, max_size=12).map("".join)), max_size=4))
def test_hostile_values(fields: list[tuple[str, str]]) -> None:
    for name, value in fields:
        lines = INVITE.split(b"\r\n")
        touch(b"\r\n".join([lines[0], f"{name}: {value}".encode(), *lines[1:]]))
        kept = [line for line in lines if not line.startswith(f"{name}:".encode())]
        touch(b"\r\n".join([kept[0], f"{name}: {value}".encode(), *kept[1:]]))


def steps(work: Callable[[], object]) -> int:
    """How many calls and lines of Python it takes: what loops of ours do. Patterns are judged by time below."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> TraceFunction:
        nonlocal count
        count += 1
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return count


HOSTILE: dict[str, Callable[[int], bytes]] = {
    "folds": lambda n: INVITE.replace(b"Supported: ", b"Supported: " + b"\r\n " * n),
    "spaces": lambda n: INVITE.replace(b"t: <", b"t:" + b" " * n + b"<"),
    "space before fold": lambda n: INVITE.replace(b"Supported: ", b"Supported: " + b" " * n + b"\r\n x"),
    "open quotes": lambda n: INVITE.replace(b"t: <", b't: "' + b'\\"' * n + b"<"),
    "escapes": lambda n: INVITE.replace(b"t: <", b't: "' + b"\\\\" * n + b'" <'),
    "angles": lambda n: INVITE.replace(b"Contact: <", b"Contact: " + b"<" * n),
    "commas": lambda n: INVITE.replace(b"Contact: <", b"Contact: " + b"," * n + b"<"),
    "contacts": lambda n: INVITE.replace(b"Contact: ", b"Contact: " + b"<sip:a>," * (n // 8)),
    "params": lambda n: INVITE.replace(b"rport;", b"rport" + b";a=b" * (n // 4) + b";"),
    "via almost": lambda n: INVITE.replace(b"rport;", b";a" * (n // 2) + b'"'),
    "via hosts": lambda n: INVITE.replace(b"UDP 192.0.2.9:5070", b"UDP " + b"a." * (n // 2) + b"("),
    "colons": lambda n: INVITE.replace(b"@192.0.2.1 ", b"@" + b":" * n + b" "),
    "digits": lambda n: INVITE.replace(b"Max-Forwards: 70", b"Max-Forwards: " + b"9" * n),
    "zeros": lambda n: INVITE.replace(b"CSeq: 7", b"CSeq: " + b"0" * n + b"7"),
    "lines": lambda n: INVITE.replace(b"Supported", b"a:\r\n" * (n // 4) + b"Supported"),
    "user": lambda n: INVITE.replace(b"sip:100@", b"sip:" + b"%41" * (n // 3) + b"@"),
    "quoted params": lambda n: INVITE.replace(b">;Tag", b">" + b';a="b"' * (n // 6) + b";Tag"),
    "tokens": lambda n: INVITE.replace(b'f: "M\xc3\xbcller, A."', b"f: " + b"a " * (n // 2)),
}


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_work_grows_no_faster_than_the_message(kind: str) -> None:
    small, large = (HOSTILE[kind](size) for size in (6_000, 24_000))
    # Four times as long: four times the work, and something for what does not depend on length.
    assert steps(lambda: touch(large)) <= 4.5 * steps(lambda: touch(small)) + 2000


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_no_pattern_goes_back_over_its_input(kind: str) -> None:
    # CPU time of this thread, the best of three, with sixteen times the length: 16 if linear, 256 if not.
    def cost(size: int) -> float:
        data = HOSTILE[kind](size)
        best = 1e9
        for _ in range(3):
            begun = time.thread_time()
            touch(data)
            best = min(best, time.thread_time() - begun)
        return best

    assert cost(48_000) <= 100 * cost(3_000) + 0.002
