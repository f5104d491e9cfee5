"""When a flow gets a new version: when it changes, and when something changes that a call of it comes to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ivr.flow.loader import load_text
from ivr.flow.model import Flow
from ivr.live.release import Version, dependent_digests, needs_of, next_versions
from ivr.site import Site, load_site


@dataclass(frozen=True, slots=True)
class Enters:
    """The settings of a step that goes into another flow."""

    flow: str | None
    attempts: int = 1


def made(name: str, *enters: str | None, says: str = "Hello.") -> Flow:
    """A flow that says something, and goes into others."""
    steps = "".join("    - pause: 1s\n" for _ in enters)
    text = f"flow: {name}\nstart: first\nblocks:\n  first:\n    - say: '{says}'\n{steps}    - hangup\n"
    flow = load_text(text).flows[name]
    block = flow.blocks["first"]
    changed = list(block.steps)
    for number, target in enumerate(enters, 1):
        changed[number] = replace(changed[number], settings=Enters(target))
    return replace(flow, blocks={"first": replace(block, steps=tuple(changed))})


@pytest.fixture
def site(tmp_path: Path) -> Site:
    file = tmp_path / "site.yaml"
    file.write_text("sip: {listen: ['udp:127.0.0.1:5060']}\nnumbers: {'1000': main}\n")
    found = load_site(file).site
    assert found is not None
    return found


def digests(site: Site, *flows: Flow) -> dict[str, str]:
    return dependent_digests({flow.name: needs_of(flow) for flow in flows}, {}, site)


def test_a_flow_changes_with_the_flows_it_goes_into(site: Site) -> None:
    main, pay, check, aside = made("main", "pay"), made("pay", "check"), made("check"), made("aside")
    before = digests(site, main, pay, check, aside)
    after = digests(site, main, pay, made("check", says="Good evening."), aside)
    assert {name for name in before if before[name] != after[name]} == {"main", "pay", "check"}
    live = next_versions(before, {}, {})
    assert {str(one) for one in next_versions(after, live, {}).values()} == {"main@2", "pay@2", "check@2", "aside@1"}


def test_flows_that_go_into_each_other_have_a_digest(site: Site) -> None:
    one, two = made("one", "two", "one"), made("two", "one")
    before = digests(site, one, two)
    assert digests(site, two, one) == before
    after = digests(site, one, made("two", "one", says="Good evening."))
    assert before["one"] != after["one"]
    assert before["two"] != after["two"]


def test_a_flow_on_its_own_has_the_digest_it_had(site: Site) -> None:
    """Or every flow would get a new version for nothing when the program is a newer one."""
    alone = made("main")
    assert alone.digest == "87e0a5222ef5119cd8dfd2babc3fd377c43ddfcf19763c1af2c31acf907ca90d"
    assert digests(site, alone) == {"main": "fd3412c008081a16b622a3649bf45f4dd497f44afb5c9e703e30ae0e026cf5d3"}
    assert digests(site, alone, made("other"))["main"] == digests(site, alone)["main"]


@pytest.mark.parametrize("target", [None, "nowhere", "main"])
def test_a_setting_that_names_no_other_flow_changes_nothing(site: Site, target: str | None) -> None:
    main = made("main", target)
    assert digests(site, main, made("other"))["main"] == digests(site, main)["main"]


def test_a_number_is_never_used_twice() -> None:
    live = {"main": Version("main", 2, "two")}
    assert str(next_versions({"main": "one"}, live, {"main": 7})["main"]) == "main@8"


def test_a_flow_changes_with_the_steps_of_the_groups_it_rings(tmp_path: Path) -> None:
    text = """\
flow: desk
start: first
blocks:
  first:
    - ring: {group: desk, strategy: steps, answered: bye, busy: bye, no_answer: bye, failed: bye}
  bye:
    - hangup
"""
    flow = load_text(text).flows["desk"]

    def digest_with(members: str) -> str:
        file = tmp_path / "site.yaml"
        file.write_text(
            "numbers: {'1000': desk}\n"
            "seats: {'2001': first-secret, '2002': second-secret}\n"
            f"groups: {{desk: {members}}}\n"
        )
        found = load_site(file).site
        assert found is not None
        return dependent_digests({"desk": needs_of(flow)}, {}, found)["desk"]

    written = ["['sip:2001', 'sip:2002']", "[['sip:2001', 'sip:2002']]", "['sip:2001', {ring: 'sip:2002', after: 9s}]"]
    assert len({digest_with(members) for members in written}) == 3
    assert digest_with("['sip:2001', ['sip:2002']]") == digest_with(written[0])
