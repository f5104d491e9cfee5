"""Tokens, their secret, and passwords: what is taken, and what is refused in which words."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rtc.logins import TokenRefused
from gateway.rtc.passwords import Account, PasswordRefused, Passwords, network_of
from gateway.rtc.rights import Rights, RightsError, check_pattern
from gateway.rtc.token import SecretError, Tokens, secret_in

SECRET = "s" * 32
NOW = 1_800_000_000.0
RIGHTS = Rights(call_in=True, be_called=True, call_out=("20XX", "tel:0*"), peers=False)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def tokens(clock: Clock | None = None) -> Tokens:
    return Tokens(SECRET, clock=clock or Clock())


def signed(secret: str = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    claims: dict[str, Any] = {"iss": "ivr", "sub": "alice", "iat": NOW, "exp": NOW + 60, **changes}
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, secret, algorithm=algorithm)


def refusal(token: str) -> TokenRefused:
    with pytest.raises(TokenRefused) as caught:
        tokens().verify(token)
    return caught.value


def test_what_is_made_is_taken() -> None:
    token = tokens().make("alice", RIGHTS, name="Alice \u00c4")
    claims = tokens().verify(token)
    assert (claims.user, claims.name, claims.rights, claims.expires_at) == ("alice", "Alice \u00c4", RIGHTS, NOW + 600)


def test_a_token_is_over_after_ten_minutes() -> None:
    clock = Clock()
    both = tokens(clock)
    token = both.make("alice", RIGHTS)
    clock.now += 599
    both.verify(token)
    clock.now += 1
    with pytest.raises(TokenRefused) as caught:
        both.verify(token)
    assert caught.value.expired
    assert caught.value.user == "alice"


def test_rights_that_are_not_named_are_not_given() -> None:
    assert tokens().verify(signed()).rights == Rights()
    assert tokens().verify(signed(be_called=True)).rights == Rights(be_called=True, peers=True)
    assert tokens().verify(signed(be_called=True, peers=False)).rights == Rights(be_called=True)


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (signed(secret="x" * 32), "the signature does not fit"),
        (signed(algorithm="HS512", secret="s" * 64), "not signed with HS256"),
        (signed(iss="other"), "iss must be 'ivr'"),
        (signed(iss=None), "iss must be 'ivr'"),
        (signed(sub=None), "sub is missing"),
        (signed(sub=""), "sub is empty"),
        (signed(sub="a" * 65), "sub is 65 bytes"),
        (signed(sub="a\nb"), "sub has characters that cannot be seen"),
        (signed(exp=None), "exp is missing"),
        (signed(exp="soon"), "exp is missing, or no time"),
        (signed(exp=True), "exp is missing, or no time"),
        (signed(iat=None), "iat is missing"),
        (signed(iat=NOW + 100, exp=NOW + 200), "iat lies in the future"),
        (signed(exp=NOW + 90_000), "more than 24 hours"),
        (signed(name=5), "name is a number"),
        (signed(call_in="yes"), "call_in must be true or false"),
        (signed(call_out="20XX"), "call_out must be a list"),
        (signed(call_out=["20*XX"]), "call_out: '20*XX': '*' at character 3 must be the last"),
        (signed(call_out=["x"] * 65), "at most 64 patterns"),
        (signed(call_out=[5]), "call_out: a pattern has"),
        ("", "it is no token"),
        ("a.b.c", "it is no token"),
        ("\u00e4.\u00e4.\u00e4", "it is no token"),
    ],
)
def test_refusals(token: str, words: str) -> None:
    refused = refusal(token)
    assert words in refused.text
    assert not refused.expired


def test_a_token_without_signature_is_refused() -> None:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {"iss": "ivr", "sub": "alice", "iat": NOW, "exp": NOW + 60}
    for head in ({"alg": "none"}, {"alg": "HS256"}, {}, {"alg": ["HS256"]}, {"alg": "RS256"}):
        refusal(f"{part(head)}.{part(claims)}.")


def test_times_that_are_no_numbers() -> None:
    raw = json.dumps({"iss": "ivr", "sub": "alice", "iat": NOW, "exp": 0}).replace('"exp": 0', '"exp": Infinity')
    token = jwt.api_jws.encode(raw.encode(), SECRET, algorithm="HS256")
    assert "exp" in refusal(token).text
    huge = raw.replace("Infinity", "9" * 400)
    assert "exp" in refusal(jwt.api_jws.encode(huge.encode(), SECRET, algorithm="HS256")).text
    assert "no token" in refusal(jwt.api_jws.encode(b"[1]", SECRET, algorithm="HS256")).text


@given(st.text(max_size=60))
def test_no_text_does_harm(text: str) -> None:
    with pytest.raises(TokenRefused):
        tokens().verify(text)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(SecretError, match="at least 32 are needed"):
        Tokens("secret", clock=Clock())


def test_the_secret_is_made_once_and_only_ours(tmp_path: Path) -> None:
    path = tmp_path / "var" / "rtc.secret"
    secret = secret_in(path)
    assert len(secret) >= 64
    assert path.stat().st_mode & 0o777 == 0o600
    assert secret_in(path) == secret
    assert [entry.name for entry in path.parent.iterdir()] == ["rtc.secret"]
    os.chmod(path, 0o640)
    with pytest.raises(SecretError, match=r"may be read by others \(mode 0640\); chmod 600"):
        secret_in(path)
    os.chmod(path, 0o600)
    path.write_text("short")
    with pytest.raises(SecretError, match="does not hold a secret"):
        secret_in(path)
    with pytest.raises(SecretError, match="cannot be kept"):
        secret_in(path / "below a file")


@pytest.mark.parametrize(
    ("pattern", "allowed", "refused"),
    [
        ("2001", [("2001", None), ("2001", "sip")], [("2002", None), ("20011", None)]),
        ("20XX", [("2099", "sip")], [("20XX", None), ("209", None), ("20999", None), ("20\u0661\u0661", None)]),
        ("0*", [("0", None), ("0301234", "tel")], [("1030", None)]),
        ("tel:0*", [("030", "tel")], [("030", "sip"), ("030", None)]),
        ("sip:10XX", [("1001", "sip")], [("1001", "tel")]),
        ("rtc:bob", [("bob", "rtc")], [("bob", "sip"), ("bobby", "rtc")]),
        ("rtc:X*", [("Xaver", "rtc")], [("1", "rtc")]),
        ("*", [("", None), ("bob", "rtc"), ("a\nb", None)], []),
        ("+49*", [("+4930", "tel")], [("4930", "tel")]),
        ("a.c", [("a.c", "rtc")], [("abc", "rtc")]),
    ],
)
def test_patterns(pattern: str, allowed: list[tuple[str, str | None]], refused: list[tuple[str, str | None]]) -> None:
    rights = Rights(call_out=(pattern,))
    for target, scheme in allowed:
        assert rights.may_call_out(target, scheme)
    for target, scheme in refused:
        assert not rights.may_call_out(target, scheme)


@pytest.mark.parametrize("pattern", ["", "fax:1", "tel:", "1*2", "x" * 65, "a\nb"])
def test_patterns_that_mean_nothing(pattern: str) -> None:
    with pytest.raises(RightsError):
        check_pattern(pattern)
    assert not Rights(call_out=(pattern,)).may_call_out("1")


# Passwords -----------------------------------------------------------------------------------------------

ALICE = Account("alice", "right", "Alice", RIGHTS)


def passwords() -> Passwords:
    return Passwords({"alice": ALICE, "nobody": Account("nobody", "")}.get)


def test_the_right_password_may_be_given_as_often_as_one_likes() -> None:
    known = passwords()
    for number in range(100):
        assert known.check("alice", "right", "192.0.2.1", number * 0.001) is ALICE


def test_wrong_ones_are_refused_alike_and_then_slowed_down() -> None:
    known = passwords()
    for user, password in (("alice", "wrong"), ("bob", "right"), ("nobody", ""), ("alice", ""), ("alice", "\ud800")):
        with pytest.raises(PasswordRefused) as caught:
            known.check(user, password, "192.0.2.1", 0.0)
        assert (str(caught.value), caught.value.retry_ms) == ("user or password is wrong", None)
    for _ in range(5):
        with pytest.raises(PasswordRefused):
            known.check("alice", "wrong", "192.0.2.1", 0.0)
    with pytest.raises(PasswordRefused) as caught:
        known.check("alice", "right", "192.0.2.1", 0.0)
    assert caught.value.retry_ms is not None
    assert 4000 < caught.value.retry_ms <= 5001
    assert known.check("alice", "right", "192.0.2.2", 0.0) is ALICE
    assert known.check("alice", "right", "192.0.2.1", caught.value.retry_ms / 1000) is ALICE


def test_addresses_are_forgotten_when_they_have_their_tries_back() -> None:
    known = passwords()
    for number in range(50):
        with pytest.raises(PasswordRefused):
            known.check("alice", "wrong", f"192.0.2.{number}", 0.0)
    assert len(known) == 50
    known.check("alice", "right", "192.0.2.99", 60.0)
    assert len(known) == 1


def test_whose_address_it_is() -> None:
    assert network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") == "2001:db8::/64"
    assert network_of("fe80::1%eth0") == "fe80::/64"
    assert network_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert network_of("") == ""
