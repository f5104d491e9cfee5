"""``caller.country`` where flows read it: calls, tests of flows, the site's own country."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ivr.flow.loader import load_flows, load_text
from ivr.replay.driver import replay
from ivr.run.environment import Environment
from ivr.run.script import A_CALLER, Script
from ivr.run.testing.acting import act
from ivr.run.testing.kinds import Surroundings
from ivr.run.testing.loader import load_suite
from ivr.site import load_site
from ivr.site.environment import environment_of, surroundings_of
from tests.replay.stage import acted
from tests.run.flows import HEAD, flow

BY_COUNTRY = """\
vars: {from_here: {type: text, default: ''}}
blocks:
  welcome:
    - set: {from_here: caller.country}
    - tag: {country: '{caller.country}'}
    - switch: {on: caller.country, cases: {DE: german, FR: french}, default: others}
  german: [{play: german}, hangup]
  french: [{play: french}, hangup]
  others:
    - if: {when: caller.country == '', then: nobody}
    - play: others
    - hangup
  nobody: [{play: nobody}, hangup]
"""


@pytest.mark.parametrize(
    ("number", "home", "heard"),
    [
        ("+4930123456", "", "german"),
        ("+33140205050", "DE", "french"),
        ("+12125550123", "DE", "others"),
        ("030123456", "DE", "german"),
        ("030123456", "", "nobody"),
        ("", "DE", "nobody"),
        ("2001", "DE", "nobody"),
    ],
)
def test_callers_go_where_their_country_leads(number: str, home: str, heard: str) -> None:
    facts = replace(A_CALLER, caller=number)
    call = Script(flow(BY_COUNTRY), facts, environment=Environment(country=home))
    call.hears(heard)
    call.until_over()
    country = {"german": "DE", "french": "FR", "others": "US", "nobody": ""}[heard]
    assert call.tags == {"country": country}
    assert call.run.variables["from_here"] == country


def test_it_cannot_be_set() -> None:
    text = "blocks:\n  welcome:\n    - set: {caller.country: \"'DE'\"}\n    - hangup\n"
    assert not load_text(HEAD + text).ok


@pytest.mark.parametrize(("home", "national"), [("country: DE\n", "german"), ("", "nobody")])
def test_a_test_says_who_calls_and_the_site_where_it_is(tmp_path: Path, home: str, national: str) -> None:
    (tmp_path / "flows").mkdir()
    (tmp_path / "site.yaml").write_text(f"{home}numbers: {{'1000': sample}}\n", encoding="utf-8")
    cases = tmp_path / "flows" / "sample.test.yaml"
    cases.write_text(
        "flow: sample\ntests:\n"
        f"  - {{name: national, call: {{from: '030123456'}}, steps: [{{hears: {national}}}]}}\n"
        "  - {name: abroad, call: {from: '+33140205050'}, steps: [{hears: french}]}\n"
        "  - {name: hidden, call: {from: ''}, steps: [{hears: nobody}]}\n",
        encoding="utf-8",
    )
    site = load_site(tmp_path / "site.yaml", {}).site
    assert site is not None
    (tmp_path / "flows" / "sample.yaml").write_text(HEAD + BY_COUNTRY, encoding="utf-8")
    flow_set = load_flows([tmp_path / "flows" / "sample.yaml"])
    flows = flow_set.flows
    assert environment_of(site, flows).country == site.country == home[9:11]
    around: Surroundings = surroundings_of(site, flows)
    loaded = load_suite(cases, flow_set, around)
    assert [str(problem) for problem in loaded.problems] == []
    assert [act(case, around).failure for case in loaded.cases] == [None, None, None]


def test_a_recorded_call_goes_where_its_caller_comes_from() -> None:
    before = flow("blocks:\n  welcome:\n    - answer\n    - goto: french\n  french: [{play: french}, hangup]\n")
    call = replace(acted(before, lambda script: None), caller="030123456")
    after = flow(BY_COUNTRY)
    assert replay(call, after, Environment(country="DE")).path == ("welcome", "german")
    assert replay(call, after, Environment()).path == ("welcome", "others", "nobody")
