"""Addresses: what is read, what is built, which of them are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sip.grammar import SipParseError
from gateway.sip.uri import SipUri


def test_all_parts() -> None:
    uri = SipUri.parse("sips:alice:secret@Example.COM:5061;transport=TCP;lr?subject=x&priority=urgent")
    assert (uri.scheme, uri.user, uri.password) == ("sips", "alice", "secret")
    assert (uri.host, uri.port) == ("example.com", 5061)
    assert uri.params == {"transport": "TCP", "lr": None}
    assert uri.headers == "subject=x&priority=urgent"
    assert uri.is_loose_router


def test_ipv6_has_brackets_except_for_sockets() -> None:
    uri = SipUri.parse("sip:[2001:DB8::1]:5070")
    assert (uri.host, uri.address, uri.port, uri.user) == ("[2001:db8::1]", "2001:db8::1", 5070, None)
    assert str(SipUri.build("bob", "::1", 5060)) == "sip:bob@[::1]:5060"


def test_replaces_in_headers_may_hold_an_at_sign() -> None:
    uri = SipUri.parse("sip:bob@example.com?Replaces=12345@192.0.2.1;to-tag=1;from-tag=2")
    assert (uri.user, uri.host) == ("bob", "example.com")
    assert uri.headers == "Replaces=12345@192.0.2.1;to-tag=1;from-tag=2"


def test_tel() -> None:
    uri = SipUri.parse("tel:+44-20-7946-0000;phone-context=example.com")
    assert (uri.scheme, uri.user, uri.host) == ("tel", "+44-20-7946-0000", "")
    assert uri.matches(SipUri.parse("tel:+442079460000;phone-context=EXAMPLE.com"))
    assert not uri.matches(SipUri.parse("tel:+442079460001"))
    assert str(SipUri.build("+49123", "", scheme="tel")) == "tel:+49123"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip",
        "sip:",
        "sip:@host",
        "sip:a@",
        "sip:a@b@c",
        "sip:a@host:port",
        "sip:a@host:65536",
        "sip:a@host:٣",
        "sip:a b@host",
        "sip:a@ho st",
        "sip:a@host;",
        "sip:a@host;x=",
        "sip:a@host\r\nVia: x",
        "<sip:a@host>",
        "tel:",
        "tel:abc def",
        "isbn:",
        "sip:a@[::1",
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(SipParseError) as caught:
        SipUri.parse(text)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # RFC 3261 19.1.4
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
    ],
)
def test_same(one: str, other: str) -> None:
    assert SipUri.parse(one).matches(SipUri.parse(other))
    assert SipUri.parse(other).matches(SipUri.parse(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;user=phone"),
        ("sip:bob@biloxi.com;transport=udp", "sip:bob@biloxi.com;transport=tcp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:bob@biloxi.com;maddr=192.0.2.1", "sip:bob@biloxi.com"),
        ("sip:a%2Fb@biloxi.com", "sip:a/b@biloxi.com"),
    ],
)
def test_different(one: str, other: str) -> None:
    assert not SipUri.parse(one).matches(SipUri.parse(other))


def test_building_escapes() -> None:
    uri = SipUri.build('böse "x" <a@b>', "example.com", 5070, {"note": "a;b=c"})
    assert str(uri) == "sip:b%C3%B6se%20%22x%22%20%3Ca%40b%3E@example.com:5070;note=a%3Bb%3Dc"
    assert uri.user_text == 'böse "x" <a@b>'


@pytest.mark.parametrize(
    ("user", "host", "port", "name"),
    [
        ("a", "ho\r\nst", None, "x"),
        ("a", "host;x", None, "x"),
        ("a", "host", 0, "x"),
        ("a", "host", 70000, "x"),
        ("a", "host", None, "x\r\n"),
        ("a", "", None, "x"),
    ],
)
def test_building_refuses(user: str, host: str, port: int | None, name: str) -> None:
    with pytest.raises(ValueError, match=r"not a |CR"):
        SipUri.build(user, host, port, {name: "1"})


def test_request_uri_of_a_contact() -> None:
    contact = SipUri.parse("sip:a@h:1;transport=tcp;method=INVITE?Route=x")
    assert str(contact.as_request_uri()) == "sip:a@h:1;transport=tcp"
    plain = SipUri.parse("sip:A@H;x")
    assert plain.as_request_uri() is plain
    assert str(plain.with_params(transport="tcp", lr=True, x=None)) == "sip:A@h;transport=tcp;lr"


@given(st.text(min_size=1), st.integers(1, 65535))
def test_any_user_can_be_carried(user: str, port: int) -> None:
    if any("\ud800" <= character <= "\udfff" for character in user):
        return
    uri = SipUri.build(user, "example.com", port)
    assert uri.user_text == user
    assert SipUri.parse(str(uri)) == uri
    assert str(uri).isascii()


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for candidate in (text, "sip:" + text, "tel:" + text):
        try:
            uri = SipUri.parse(candidate)
        except SipParseError:
            continue
        assert str(uri) == candidate
        assert uri.matches(SipUri.parse(candidate))
