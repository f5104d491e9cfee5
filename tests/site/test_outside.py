"""What sites say of the world outside, and what the operator reads of flows that name what is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivr.flow.loader import load_text
from ivr.flow.outside_checks import Outdoors, PluginTerms, check_outside
from ivr.site import load_site
from ivr.site.reach import parse_reach
from ivr.table import Table

FLOW = """\
flow: main
start: a
on_error: z
blocks:
  a:
    - lookup: {table: vipp, key: '1', miss: continue}
    - notify: {webhook: crn, data: {a: "'b'"}}
    - http: {get: 'http://crm.example/', headers: {X: '{secret:tokn}'}}
    - plugin: {name: scor}
    - plugin: {name: score, args: {limt: 3}, hgh: z}
    - plugin: bad
    - hours: {calendar: ofice, open: z, closed: z}
  b:
    - hours: {calendar: office, open: z, closed: z, lunsh: a}
  z:
    - hangup
"""


def test_flows_name_what_the_site_has() -> None:
    outdoors = Outdoors(
        ["vip"],
        ["crm"],
        {"office": ["lunch"]},
        ["token"],
        lambda: {"score": PluginTerms({"number": True, "limit": False}, ("high",)), "bad": PluginTerms(fault="no")},
    )
    found = [str(one).splitlines() for one in check_outside(load_text(FLOW), outdoors)]
    assert [f"{lines[0].partition(': ')[2]} / {lines[-1].partition('^ ')[2]}" for lines in found] == [
        "error E140 the site has no table 'vipp' / did you mean 'vip'?",
        "error E140 the site has no webhook 'crn' / did you mean 'crm'?",
        "warning W305 crm.example is asked without encryption / write https://, or allow the host in the site file if "
        "it is your own: http: allow",
        "error E140 the site has no secret 'tokn' / did you mean 'token'?",
        "error E140 there is no plug-in 'scor' / did you mean 'score'?",
        "error E110 plugin does not say what happens on 'high' / add high: block_name",
        "error E141 plug-in 'score' needs number / add args: {number: …}",
        "error E141 plug-in 'score' has no argument 'limt' / did you mean 'limit'?",
        "error E141 plug-in 'score' does not leave by 'hgh' / did you mean 'high'?",
        "error E140 plug-in 'bad' cannot be used: no / correct it",
        "error E140 the site has no calendar 'ofice' / did you mean 'office'?",
        "error E141 calendar 'office' has no period 'lunsh' / did you mean 'lunch'?",
    ]


def test_a_table_as_a_spreadsheet_writes_it(tmp_path: Path) -> None:
    (tmp_path / "vip.csv").write_bytes('\ufeffnumber;tier;note\r\n110;gold;"a;b"\r\n\r\n120;silber ü;\r\n'.encode())
    (tmp_path / "site.yaml").write_text(
        "numbers: {'1000': main}\n"
        "tables: {vip: {csv: vip.csv, key: number, value: tier}, all: {csv: vip.csv, key: number}}\n"
    )
    loaded = load_site(tmp_path / "site.yaml", {})
    assert loaded.site is not None, loaded.problems
    vip, whole = loaded.site.tables["vip"], loaded.site.tables["all"]
    assert isinstance(vip, Table)
    assert isinstance(whole, Table)
    assert vip.row("120") == {"tier": "silber ü"}
    assert vip.row("130") is None
    assert whole.row("110") == {"number": "110", "tier": "gold", "note": "a;b"}


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("10.1.2.3", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2606:2800:220:1::1", True),
        ("not an address", False),
    ],
)
def test_what_is_public(address: str, public: bool) -> None:
    assert parse_reach(()).admits(address) == public


def test_what_is_allowed() -> None:
    reach = parse_reach(("crm.internal", "10.1.0.0/16", "http://127.0.0.1:8080"))
    assert reach.admits("10.1.255.1")
    assert not reach.admits("10.2.0.1")
    assert reach.names("https", "crm.internal", 443)
    assert reach.names("http", "127.0.0.1", 8080)
    assert not reach.names("http", "127.0.0.1", 8081)
    for text in ("http://x/path", "a b", "http://u@x", "10.1.0.0/33"):
        with pytest.raises(ValueError, match="is n"):
            parse_reach((text,))
