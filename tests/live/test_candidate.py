"""Flows cross from the process that reads them to the one that takes calls, and are the same there."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from ivr.flow.digest import digest
from ivr.flow.draft import make_flow
from ivr.flow.loader import load_flows, load_text
from ivr.flow.model import Flow
from ivr.flow.nodes import VERBS, Verb
from ivr.flow.problem import has_errors
from ivr.flow.reading import read_flow
from ivr.flow.source import parse_source
from ivr.live.candidate import unpacked
from ivr.live.diff import changes

FLOWS = sorted(load_flows([Path("flows")]).flows.values(), key=lambda flow: flow.name)
TEXT = "flow: main\nstart: a\nblocks:\n  a:\n    - say: 'Order {call.did}'\n    - goto: b\n  b:\n    - hangup\n"


def sample(text: str = TEXT) -> Flow:
    loaded = load_text(text)
    assert loaded.ok, loaded.problems
    return loaded.flows["main"]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_a_flow_is_the_same_in_the_other_process(flow: Flow) -> None:
    there = unpacked(pickle.dumps(flow))
    assert there == flow
    # The digest that is kept counts the flows that are called, too.
    assert (digest(there), there.digest) == (digest(flow), flow.digest)


def test_expressions_in_texts_cross_too() -> None:
    assert unpacked(pickle.dumps(sample())) == sample()


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda verb: verb.name)
def test_the_example_of_every_verb_crosses(verb: Verb) -> None:
    steps = "".join(f"    {line}\n" for line in verb.example.splitlines())
    source = parse_source(f"flow: main\nstart: first\nblocks:\n  first:\n{steps}", "main.yaml")
    draft = read_flow(source)
    # Where it leads to is not there: only what the step itself says is of interest.
    assert draft is not None
    assert not has_errors([*source.problems, *draft.problems]), draft.problems
    flow = make_flow(draft)
    assert flow.blocks["first"].steps[0].verb == verb.name
    there = unpacked(pickle.dumps(flow))
    assert there == flow
    assert digest(there) == flow.digest


def test_what_a_caller_cannot_notice_is_no_difference() -> None:
    assert changes(sample(), sample("# a comment\n" + TEXT)) == ()


def test_differences_are_told_by_block_step_and_setting() -> None:
    assert changes(sample(), sample(TEXT.replace("'Order {call.did}'", "'Yes {call.did}'"))) == (
        "~ block a: say: text: 'Order {call.did}' → 'Yes {call.did}'",
    )

    def asked(words: str) -> str:
        return TEXT.replace("goto: b", f"menu: {{prompt: hello, keys: {{'1': {{say: {words}, go: b}}}}, failed: b}}")

    assert changes(sample(asked("[sales, orders]")), sample(asked("{en: sales}"))) == (
        "~ block a: menu: speech: [1: sales, orders] → [1: en sales]",
    )
    added = TEXT.replace("goto: b", "goto: c") + "  c:\n    - goto: b\n"
    assert changes(sample(), sample(added)) == ("~ block a: goto: exit next b → c", "+ block c")
