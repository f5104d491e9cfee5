"""Digest authentication: the RFCs' own examples, and what attackers and careless servers do."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sip.digest import (
    Accepted,
    AuthParams,
    Challenge,
    DigestAuthenticator,
    DigestClient,
    Refused,
    answer_challenge,
    digest_response,
)
from gateway.sip.grammar import SipParseError
from gateway.sip.message import Request, Response
from gateway.sip.uri import SipUri

FIELDS = [
    ("Via", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1"),
    ("From", "<sip:alice@example.com>;tag=1"),
    ("To", "<sip:alice@example.com>"),
    ("Call-ID", "1"),
    ("CSeq", "1 REGISTER"),
]


def register(*more: tuple[str, str], uri: str = "sip:example.com") -> Request:
    return Request("REGISTER", SipUri.parse(uri), [*FIELDS, *more])


def challenged(*challenges: str, status: int = 401) -> Response:
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    return register().respond(status, headers=[(name, challenge) for challenge in challenges])


def params(header: tuple[str, str] | None) -> dict[str, str]:
    assert header is not None
    return AuthParams.parse(header[1]).params


# The RFCs' examples


def test_rfc_2617_3_5() -> None:
    assert (
        digest_response(
            algorithm="MD5",
            username="Mufasa",
            realm="testrealm@host.com",
            password="Circle Of Life",
            method="GET",
            uri="/dir/index.html",
            nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
            qop="auth",
            nc="00000001",
            cnonce="0a4f113b",
        )
        == "6629fae49393a05397450978507c4ef1"
    )


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_rfc_7616_3_9_1(algorithm: str, expected: str) -> None:
    assert (
        digest_response(
            algorithm=algorithm,
            username="Mufasa",
            realm="http-auth@example.org",
            password="Circle of Life",
            method="GET",
            uri="/dir/index.html",
            nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            qop="auth",
            nc="00000001",
            cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        )
        == expected
    )


def test_without_qop_as_in_rfc_2069() -> None:
    # RFC 2069 2.4 with the correction of its erratum 749.
    assert (
        digest_response(
            algorithm="MD5",
            username="Mufasa",
            realm="testrealm@host.com",
            password="CircleOfLife",
            method="GET",
            uri="/dir/index.html",
            nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
        )
        == "1949323746fe6a43ef61f9606e7febea"
    )


# Server side


class Server:
    def __init__(self, **settings: object) -> None:
        numbers = itertools.count(1)
        self.asked: list[str] = []
        self.authenticator = DigestAuthenticator(
            "example.com",
            self.lookup,
            random=lambda: f"salt{next(numbers)}",
            **settings,  # type: ignore[arg-type]
        )
        self.client = DigestClient("alice", "wonder", random=lambda: "cnonce")

    def lookup(self, account: str) -> str | None:
        self.asked.append(account)
        return {"alice": "wonder", 'b"o\\b': "ü"}.get(account)

    def check(self, request: Request, now: float = 0.0) -> Accepted | Challenge | Refused:
        return self.authenticator.check(request, now)

    def challenge(self, request: Request, now: float = 0.0) -> Response:
        verdict = self.check(request, now)
        assert isinstance(verdict, Challenge)
        return request.respond(verdict.status, headers=verdict.headers)


def test_challenge_then_accepted() -> None:
    server = Server()
    response = server.challenge(register())
    assert response.status == 401
    offered = [AuthParams.parse(line) for line in response.headers.get_all("WWW-Authenticate")]
    assert [(challenge.algorithm, challenge.get("qop")) for challenge in offered] == [
        ("MD5", "auth"),
        ("SHA-256", "auth"),
    ]
    header = server.client.answer(register(), response)
    assert params(header)["algorithm"] == "SHA-256"
    assert header is not None
    assert server.check(register(header)) == Accepted("alice")


def test_as_a_proxy() -> None:
    server = Server()
    verdict = server.authenticator.check(register(), 0.0, proxy=True)
    assert isinstance(verdict, Challenge)
    assert verdict.status == 407
    response = register().respond(407, headers=verdict.headers)
    header = server.client.answer(register(), response)
    assert header is not None
    assert header[0] == "Proxy-Authorization"
    assert server.authenticator.check(register(header), 0.0, proxy=True) == Accepted("alice")
    assert isinstance(server.check(register(header)), Challenge)


def test_the_same_credentials_twice() -> None:
    server = Server()
    header = server.client.answer(register(), server.challenge(register()))
    assert header is not None
    assert server.check(register(header)) == Accepted("alice")
    again = server.check(register(header))
    assert isinstance(again, Challenge)
    assert again.stale
    (following,) = server.client.prepare(register())
    assert params(following)["nc"] == "00000002"
    assert server.check(register(following)) == Accepted("alice")
    assert isinstance(server.check(register(header)), Challenge)


def test_an_old_nonce_is_stale_and_a_wrong_password_is_not() -> None:
    server = Server(lifetime=60.0)
    header = server.client.answer(register(), server.challenge(register(), 1000.0))
    assert header is not None
    verdict = server.check(register(header), 1061.0)
    assert isinstance(verdict, Challenge)
    assert verdict.stale
    assert "stale=true" in verdict.headers[0][1]
    wrong = DigestClient("alice", "wrong").answer(register(), server.challenge(register(), 1000.0))
    assert wrong is not None
    assert isinstance(server.check(register(wrong), 1061.0), Refused)


def test_nobody_can_tell_accounts_from_others() -> None:
    server = Server()
    verdicts = []
    for name in ("alice", "nobody"):
        header = DigestClient(name, "guess").answer(register(), server.challenge(register()))
        assert header is not None
        verdict = server.check(register(header))
        assert isinstance(verdict, Refused)
        verdicts.append(verdict.reason)
    assert len(set(verdicts)) == 1
    assert server.asked == ["alice", "nobody"]


def change(header: tuple[str, str], **values: str) -> tuple[str, str]:
    changed = {**AuthParams.parse(header[1]).params, **values}
    return header[0], "Digest " + ", ".join(f'{name}="{value}"' for name, value in changed.items())


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"realm": "other"}, Challenge),
        ({"nonce": "0.salt1.deadbeef"}, Challenge),
        ({"nonce": ""}, Challenge),
        ({"algorithm": "SHA-512-256"}, Challenge),
        ({"algorithm": "MD5-sess"}, Challenge),
        ({"qop": "auth-int"}, Challenge),
        ({"uri": "sip:elsewhere.com"}, Refused),
        ({"uri": "nonsense"}, Refused),
        ({"username": "bob"}, Refused),
        ({"response": ""}, Refused),
        ({"response": "0" * 64}, Refused),
        ({"cnonce": "other"}, Refused),
        ({"nc": "00000002"}, Refused),
        ({"nc": "1"}, Refused),
    ],
)
def test_tampering(values: dict[str, str], kind: type) -> None:
    server = Server()
    header = server.client.answer(register(), server.challenge(register()))
    assert header is not None
    assert isinstance(server.check(register(change(header, **values))), kind)


def test_credentials_do_not_serve_for_another_method_or_target() -> None:
    server = Server()
    header = server.client.answer(register(), server.challenge(register()))
    assert header is not None
    assert isinstance(server.check(register(header, uri="sip:premium@example.com")), Refused)
    invite = Request("INVITE", SipUri.parse("sip:example.com"), [header])
    assert isinstance(server.check(invite), Refused)
    # A phone that left the port out, or a proxy that put it in, is still the same caller.
    assert server.check(register(header, uri="sip:example.com:5060;transport=tcp")) == Accepted("alice")


def test_what_was_forgotten_cannot_be_used_again() -> None:
    server = Server(remembered=3)
    headers = []
    for number in range(5):
        client = DigestClient("alice", "wonder")
        header = client.answer(register(), server.challenge(register(), float(number)))
        assert header is not None
        assert server.check(register(header), float(number)) == Accepted("alice")
        headers.append(header)
    for header in headers:
        assert isinstance(server.check(register(header), 5.0), Challenge)


def test_without_qop_a_nonce_is_good_once() -> None:
    server = Server(algorithms=("MD5",))
    response = server.challenge(register())
    offered = (response.headers.get("WWW-Authenticate") or "").replace(', qop="auth"', "")
    header = server.client.answer(register(), challenged(offered))
    assert "qop" not in params(header)
    assert header is not None
    assert server.check(register(header)) == Accepted("alice")
    assert isinstance(server.check(register(header)), Challenge)


def test_awkward_names_and_passwords() -> None:
    server = Server()
    client = DigestClient('b"o\\b', "ü")
    header = client.answer(register(), server.challenge(register()))
    assert header is not None
    assert server.check(register(header)) == Accepted('b"o\\b')


def test_credentials_that_cannot_be_read() -> None:
    server = Server()
    with pytest.raises(SipParseError):
        server.check(register(("Authorization", 'Digest realm="x')))
    with pytest.raises(SipParseError):
        server.check(register(("Authorization", 'Digest realm="example.com", realm="x"')))
    assert isinstance(server.check(register(("Authorization", "Basic abc="))), Challenge)


@given(st.text(alphabet='Digest realm="example.com", nonce\\=;<>\u00e4', max_size=60))
def test_any_credentials(text: str) -> None:
    server = Server()
    try:
        verdict = server.check(register(("Authorization", "Digest " + text)))
    except SipParseError:
        return
    assert not isinstance(verdict, Accepted)


# Client side

MD5 = 'Digest realm="r", nonce="n1", algorithm=MD5, qop="auth"'
SHA = 'Digest realm="r", nonce="n2", algorithm=SHA-256, qop="auth,auth-int", opaque="o"'
PLAIN = 'Digest realm="r", nonce="n3"'


def test_the_best_of_several() -> None:
    client = DigestClient("a", "p")
    chosen = params(client.answer(register(), challenged(PLAIN, MD5, SHA)))
    assert (chosen["nonce"], chosen["algorithm"], chosen["qop"], chosen["opaque"]) == ("n2", "SHA-256", "auth", "o")
    chosen = params(client.answer(register(), challenged('Digest realm="r", nonce="x", algorithm=FUTURE', MD5)))
    assert chosen["nonce"] == "n1"
    chosen = params(client.answer(register(), challenged(PLAIN)))
    assert "qop" not in chosen
    assert "algorithm" not in chosen
    assert client.answer(register(), challenged('NTLM realm="r"', 'Digest realm="r", nonce="y", qop="future"')) is None


def test_auth_int_covers_the_body() -> None:
    client = DigestClient("a", "p", random=lambda: "c")
    challenge = challenged('Digest realm="r", nonce="n", qop="auth-int"')
    with_body = Request("REGISTER", SipUri.parse("sip:example.com"), FIELDS, b"body")
    first = params(client.answer(with_body, challenge))
    assert first["qop"] == "auth-int"
    assert first["response"] == digest_response(
        algorithm="MD5",
        username="a",
        realm="r",
        password="p",
        method="REGISTER",
        uri="sip:example.com",
        nonce="n",
        qop="auth-int",
        nc="00000001",
        cnonce="c",
        body=b"body",
    )


def test_refused_credentials_do_not_go_out_again() -> None:
    client = DigestClient("a", "wrong")
    first = client.answer(register(), challenged(MD5))
    assert first is not None
    # The same nonce, another nonce, even one that is called stale: the password was refused.
    assert client.answer(register(first), challenged(MD5)) is None
    assert client.answer(register(first), challenged(MD5.replace("n1", "n9"))) is None
    assert client.answer(register(first), challenged(MD5 + ", stale=true")) is None
    assert client.answer(register(), challenged(MD5)) is None
    assert answer_challenge(register(first), challenged(MD5), "a", "wrong") is None


def test_a_stale_nonce_is_renewed() -> None:
    client = DigestClient("a", "p")
    first = client.answer(register(), challenged(MD5))
    assert first is not None
    second = client.answer(register(first), challenged(MD5.replace("n1", "n9") + ", stale=TRUE"))
    assert params(second)["nonce"] == "n9"
    assert params(second)["nc"] == "00000001"


def test_a_nonce_that_served_before_may_run_out_without_a_word() -> None:
    client = DigestClient("a", "p")
    assert client.prepare(register()) == []
    client.answer(register(), challenged(MD5))
    (prepared,) = client.prepare(register())
    assert params(prepared)["nc"] == "00000002"
    renewed = client.answer(register(prepared), challenged(MD5.replace("n1", "n9")))
    assert params(renewed)["nonce"] == "n9"
    assert renewed is not None
    assert client.answer(register(renewed), challenged(MD5.replace("n1", "n10"))) is None


def test_server_and_proxy_both_ask() -> None:
    client = DigestClient("a", "p")
    proxy = client.answer(register(), challenged(MD5, status=407))
    assert proxy is not None
    assert proxy[0] == "Proxy-Authorization"
    server = client.answer(register(proxy), challenged(SHA))
    assert server is not None
    assert server[0] == "Authorization"
    assert [name for name, _ in client.prepare(register())] == ["Proxy-Authorization", "Authorization"]
    assert client.answer(register(), challenged(MD5, status=407)) is not None


def test_other_responses_are_no_challenge() -> None:
    assert DigestClient("a", "p").answer(register(), register().respond(403)) is None


def test_no_line_break_from_a_server_gets_into_our_request() -> None:
    header = DigestClient("a", "p").answer(register(), challenged('Digest realm="r\\"\\\\x", nonce="n\\"2"'))
    assert header is not None
    request = register(header)
    assert AuthParams.parse(request.headers.get("Authorization") or "").get("realm") == 'r"\\x'
