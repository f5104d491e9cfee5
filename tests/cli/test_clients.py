"""ivr clients and ivr token."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from gateway.call import Rights, Tokens
from tests.cli.commands import ivr

KEY = "this-is-a-key-of-more-than-32-bytes"
SITE = """\
numbers: {'1000': main}
seats: {'2001': a-long-password, '2002': a-long-password, '2003': a-long-password}
trunks: {carrier: {host: 192.0.2.1}}
rtc: {accounts: '2001;200[2-3]', pstn: {prefix: '0', trunk: carrier}}
clients:
  alice: {password: a-long-password, name: Alice, number: '3001', call_out: ['20XX', 'tel:0*']}
  bob: {call_in: no, be_called: no}
"""


@pytest.fixture(autouse=True)
def _site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    Path("site.yaml").write_text(SITE)


def test_clients_are_listed_with_what_they_may() -> None:
    lines = [line.split() for line in ivr("clients").stdout.splitlines()]
    rights = ["call", "in;", "be", "called;", "call", "20XX,", "tel:0*;", "see", "others"]
    assert ["alice", "Alice", "3001", "password", *rights] in lines
    assert ["bob", "-", "token", "nothing"] in lines
    assert lines[-5:-1] == [["accounts"], ["2001"], ["200[2-3]:", "2002,", "2003"], ["pstn"]]
    found = json.loads(ivr("clients", "--json").stdout)
    assert found["accounts"] == ["2001", "2002", "2003"]
    assert found["pstn"] == {"prefix": "0", "trunk": "carrier"}
    assert [one["user"] for one in found["clients"]] == ["alice", "bob"]
    assert found["others"] is False
    assert "a-long-password" not in json.dumps(found)


def test_a_token_has_the_rights_of_the_site_file() -> None:
    first = ivr("token", "alice")
    assert first.exit_code == 0, first.stderr
    # The key is the one that the server makes at its first start, or has made.
    key = Path("var/rtc-secret").read_text().strip()
    claims = Tokens(key, clock=time.time).verify(first.stdout.strip())
    rights = Rights(call_in=True, be_called=True, call_out=("20XX", "tel:0*"), peers=True)
    assert (claims.user, claims.name, claims.rights) == ("alice", "Alice", rights)
    assert claims.expires_at == pytest.approx(time.time() + 3600, abs=60)


def test_a_token_for_somebody_else() -> None:
    Path("site.yaml").write_text(SITE.replace("rtc: {", f"rtc: {{secret: {KEY}, "))
    printed = ivr("token", "zoe", "--valid", "10m", "--name", "Zoe", "--call-in", "--call-out", "20XX").stdout
    claims = Tokens(KEY, clock=time.time).verify(printed.strip())
    assert (claims.user, claims.name) == ("zoe", "Zoe")
    assert claims.rights == Rights(call_in=True, call_out=("20XX",))
    assert claims.expires_at == pytest.approx(time.time() + 600, abs=60)
    assert not Path("var/rtc-secret").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["zoe"], "The site has no client 'zoe': say what it may do"),
        (["a b", "--call-in"], "'a b' cannot be the name of a client"),
        (["alice", "--valid", "25h"], "A token lets in for 24 hours at most"),
        (["alice", "--valid", "soon"], "'soon' is no time span"),
        (["alice", "--call-out", "fax:1"], "'fax:' is not known"),
    ],
)
def test_no_token(words: list[str], said: str) -> None:
    result = ivr("token", *words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr


def test_a_site_without_clients() -> None:
    Path("site.yaml").write_text("numbers: {'1000': main}\n")
    for words in (["clients"], ["token", "alice"]):
        result = ivr(*words)
        assert result.exit_code == 1
        assert "has no rtc: browsers find nobody there" in result.stderr


def test_who_is_called_is_said_by_try() -> None:
    Path("flows").mkdir()
    Path("flows/main.yaml").write_text("flow: main\nstart: bye\nblocks:\n  bye: [hangup]\n")
    assert ivr("try", "--call", "3001").stdout.startswith("3001  → rtc:alice is called")
    told = json.loads(ivr("try", "--call", "2002", "--json").stdout)
    assert told == {"number": "2002", "rule": "2002", "flow": None, "calls": "sip:2002"}
