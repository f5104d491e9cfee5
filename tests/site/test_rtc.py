"""RTC clients in the site file, and the plan of numbers as telephones and clients see it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.call import Arrival, Refusal, Rights, RtcListen
from ivr.site import Direct, Site, load_site, refusal, way_to

PLAN = """\
numbers:
  '1000': main
  '1100': {flow: main, callers: seats}
  '1200': {flow: main, callers: clients}
  '1300': {flow: main, callers: signed_in}
  '0800': main
  '3009': {client: alice}
  '5000': {dial: 'tel:0301234'}
  '5001': {dial: 'tel:0301234', callers: anyone}
  sales: {dial: 'sip:2001'}
seats: {'2001': a-long-password, '2002': a-long-password}
trunks:
  other: {host: 192.0.2.1}
  carrier: {host: 192.0.2.2}
rtc:
  accounts: '200[1-2]'
  pstn: {prefix: '0', trunk: carrier}
clients:
  alice: {password: a-long-password, number: '3001', call_out: '*'}
  '4711': {call_in: no, be_called: no}
"""


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path) -> Iterator[None]:
    with contextlib.chdir(tmp_path):
        yield


def site(text: str = PLAN, **environment: str) -> Site:
    Path("site.yaml").write_text(text, encoding="utf-8")
    found = load_site(Path("site.yaml"), environment)
    assert found.site is not None, "\n".join(map(str, found.problems))
    return found.site


def test_what_is_not_written() -> None:
    plain = site("numbers: {'1000': main}\nrtc: {}\nclients: {alice: a-long-password, bob: {number: 3001}}\n")
    assert plain.rtc is not None
    assert plain.rtc.listen == (RtcListen("http", "127.0.0.1", 8080),)
    assert plain.rtc.codecs == ("PCMU", "PCMA", "opus", "G722")
    assert (plain.rtc.secret, plain.rtc.stun, plain.rtc.pstn) == (None, None, None)
    assert plain.clients["alice"].rights == Rights(call_in=True, be_called=True, call_out=(), peers=True)
    assert (plain.clients["bob"].password, plain.clients["bob"].number) == (None, "3001")
    assert not plain.tokens_from_elsewhere
    assert site("numbers: {'1000': main}\n").rtc is None


def test_everything_written() -> None:
    full = site(
        """\
numbers: {'1000': main}
rtc:
  listen: ['http:localhost:8080', 'https:[::1]:8443']
  origins: ['https://www.example.com']
  ice_servers:
    - 'stun:192.0.2.1'
    - {urls: ['turn:192.0.2.1', 'turns:192.0.2.1:443'], username: ivr, credential: secret:turn}
  stun: stun.example.com
  secret: secret:rtc
  codecs: [opus, PCMU]
clients:
  alice: {password: secret:alice, name: Alice, call_out: ['20XX', 'tel:0*'], peers: no}
""",
        IVR_SECRET_TURN="turns-secret",
        IVR_SECRET_RTC="the key of the tokens, long enough",
        IVR_SECRET_ALICE="alices-secret",
    )
    rtc = full.rtc
    assert rtc is not None
    assert [str(one) for one in rtc.listen] == ["http:127.0.0.1:8080", "https:[::1]:8443"]
    assert [one.urls for one in rtc.ice_servers] == [("stun:192.0.2.1",), ("turn:192.0.2.1", "turns:192.0.2.1:443")]
    assert (rtc.ice_servers[1].username, rtc.ice_servers[1].credential) == ("ivr", "turns-secret")
    assert rtc.stun == ("stun.example.com", 3478)
    assert (rtc.codecs, rtc.origins) == (("opus", "PCMU"), ("https://www.example.com",))
    assert full.tokens_from_elsewhere
    assert full.clients["alice"].rights == Rights(True, True, ("20XX", "tel:0*"), False)
    for secret in ("turns-secret", "the key of the tokens", "alices-secret"):
        assert secret not in repr(full)


@pytest.mark.parametrize(
    ("did", "telephone", "client"),
    [
        ("1000", "main", "main"),
        ("3001", "rtc:alice", "rtc:alice"),
        ("3009", "rtc:alice", "rtc:alice"),
        ("2002", "sip:2002", "sip:2002"),
        ("sales", "sip:2001", "sip:2001"),
        ("5000", "tel:0301234", "tel:0301234"),
        # Only clients call users by name, and the public network by its prefix; a number of the plan comes first.
        ("alice", None, "rtc:alice"),
        ("bob", None, "rtc:bob"),
        ("4711", None, "rtc:4711"),
        ("0301234", None, "tel:0301234"),
        ("0800", "main", "main"),
        ("4712", None, None),
        ("", None, None),
        ("a b", None, None),
        ("0'; DROP", None, None),
    ],
)
def test_where_a_number_leads(did: str, telephone: str | None, client: str | None) -> None:
    plan = site()
    for caller, expected in ((False, telephone), (True, client)):
        way = way_to(plan, did, client=caller)
        assert (None if way is None else str(way.leads_to)) == expected


@pytest.mark.parametrize(
    ("did", "target"),
    [("301234", "tel:0301234"), ("0301234", "tel:0301234"), ("+49301234", "tel:+49301234"), ("1000", "tel:01000")],
)
def test_a_client_says_that_a_number_is_of_the_public_network(did: str, target: str) -> None:
    way = way_to(site(), did, client=True, pstn=True)
    assert way is not None
    assert way.leads_to == Direct(target, "carrier")
    assert way_to(site(), "alice", client=True, pstn=True) is None
    no_way_out = site("numbers: {'1000': main}\nrtc: {}\n")
    assert way_to(no_way_out, did, client=True, pstn=True) is None


def _judged(did: str, rights: Rights | None, *, pstn: bool = False) -> str:
    way = way_to(site(), did, client=rights is not None, pstn=pstn)
    assert way is not None
    found = refusal(way, Arrival(did, "3001", "alice" if rights else None, trunk=False, rights=rights, pstn=pstn))
    return f"{found.status}" if isinstance(found, Refusal) else found or "taken"


@pytest.mark.parametrize(
    ("did", "stranger", "may_call_in", "may_call_out"),
    [
        ("1000", "taken", "taken", "taken"),
        ("1100", "authenticate", "403", "403"),
        ("1200", "403", "taken", "taken"),
        ("1300", "authenticate", "taken", "taken"),
        ("3001", "taken", "403", "taken"),
        ("2001", "authenticate", "403", "taken"),
        # What costs is for those who signed in, unless the site says otherwise.
        ("5000", "authenticate", "403", "taken"),
        ("5001", "taken", "403", "taken"),
    ],
)
def test_who_may_call(did: str, stranger: str, may_call_in: str, may_call_out: str) -> None:
    assert _judged(did, None) == stranger
    assert _judged(did, Rights(call_in=True)) == may_call_in
    assert _judged(did, Rights(call_out=("*",))) == may_call_out


@pytest.mark.parametrize(
    ("did", "pattern", "allowed"),
    [
        # Guests have one number, and no right to call in.
        ("1000", "1000", True),
        ("1000", "1001", False),
        ("1000", "sip:1000", False),
        ("3001", "30XX", True),
        ("3001", "rtc:alice", True),
        ("3001", "rtc:30XX", False),
        ("alice", "rtc:alice", True),
        ("alice", "sip:alice", False),
        ("2001", "200X", True),
        ("2001", "sip:200X", True),
        ("2001", "tel:200X", False),
        ("sales", "sip:2001", True),
        ("0301234", "tel:0*", True),
        ("0301234", "030123X", True),
        ("0301234", "sip:0*", False),
        ("5000", "5000", True),
        ("5000", "tel:0*", True),
    ],
)
def test_what_a_pattern_allows(did: str, pattern: str, allowed: bool) -> None:
    assert _judged(did, Rights(call_out=(pattern,))) == ("taken" if allowed else "403")


def test_a_number_of_the_site_is_no_leave_to_call_the_public_network() -> None:
    assert _judged("2001", Rights(call_out=("200X",)), pstn=True) == "403"
    assert _judged("2001", Rights(call_out=("tel:02*",)), pstn=True) == "taken"


def test_thousands_of_accounts_cost_a_call_nothing() -> None:
    """A flood of calls to numbers that are not there ends at the plan."""
    seats = "".join(f"  '{number}': a-long-password\n" for number in range(10_000, 15_000))
    many = site(f"numbers: {{'1000': main, '20XX': main}}\nseats:\n{seats}rtc: {{accounts: '1[0000-4999]'}}\n")
    assert len(many.plan) == 5_002
    for did, leads_to in (("14999", "sip:14999"), ("15000", None), ("2042", "main")):
        way = way_to(many, did)
        assert (None if way is None else str(way.leads_to)) == leads_to
    began = time.process_time()
    for _ in range(1_000):
        way_to(many, "15000")
    # Looked up one after the other it would be seconds.
    assert time.process_time() - began < 0.5
