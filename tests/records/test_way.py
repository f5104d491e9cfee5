"""The way of a call, told by the rows of its steps, is the way it went."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from ivr.flow.loader import load_flows
from ivr.flow.model import Flow
from ivr.records.way import way
from ivr.run.script import Script

MAIN = """\
flow: main
start: start
on_error: sorry
on_hangup: tidy
blocks:
  start:
    - call: {flow: sub, failed: sorry}
    - call: {block: ask}
    - goto: last
  ask:
    - menu: {prompt: {say: 'Main?'}, keys: {'1': deep, '2': ask}, failed: sorry}
  deep:
    - call: {block: deeper}
    - return
  deeper:
    - call: {flow: sub, failed: sorry}
    - return
  last: [{say: 'Last.'}, {call: {flow: sub}}, hangup]
  sorry: [{say: 'Sorry.'}, hangup]
  tidy: [{log: 'tidied'}, end]
"""
SUB = """\
flow: sub
start: first
on_hangup: tidy
blocks:
  first: [{call: {flow: inner}}, {goto: start}]
  start:
    - menu: {prompt: {say: 'Sub?'}, keys: {'1': done, '2': start, '3': gone, '4': first}, failed: done}
  done: [{log: 'done'}, return]
  gone: [hangup]
  tidy: [{log: 'tidied'}, end]
"""
INNER = """\
flow: inner
start: only
on_hangup: tidy
blocks:
  only: [{say: 'In.'}, return]
  tidy: [{log: 'tidied'}, end]
"""

Flows = Mapping[str, Flow]


@pytest.fixture(scope="module")
def flows(tmp_path_factory: pytest.TempPathFactory) -> Flows:
    folder = tmp_path_factory.mktemp("flows")
    for number, text in enumerate((MAIN, SUB, INNER)):
        (folder / f"{number}.yaml").write_text(text, encoding="utf-8")
    loaded = load_flows([folder])
    assert loaded.ok, "\n".join(map(str, loaded.problems))
    return loaded.flows


def acted(flows: Flows, story: Callable[[Script], None]) -> Script:
    script = Script(flows["main"], flows=flows)
    story(script)
    script.until_over()
    return script


def presses(keys: str) -> Callable[[Script], None]:
    return lambda call: call.presses(keys, gap=7.0)


def leaves(after: float) -> Callable[[Script], None]:
    def story(call: Script) -> None:
        call.presses("1", gap=5.0)
        call.waits(after)
        call.hangs_up()

    return story


@pytest.mark.parametrize("keys", ["", "1", "11", "1211", "111", "11111", "3", "113", "4", "424", "1142", "9991"])
def test_whatever_is_pressed(keys: str, flows: Flows) -> None:
    call = acted(flows, presses(keys))
    assert tuple(visit.block for visit in way(call.records, "main")) == call.path
    assert len(call.path) > len(keys)


@pytest.mark.parametrize("after", [0.0, 0.1, 1.0, 2.5, 4.0, 8.0, 12.0])
def test_whenever_the_caller_leaves(after: float, flows: Flows) -> None:
    call = acted(flows, leaves(after))
    assert tuple(visit.block for visit in way(call.records, "main")) == call.path
    assert "tidied" in call.logs


def test_what_was_done_and_what_led_there(flows: Flows) -> None:
    call = acted(flows, presses("2114"))
    visits = way(call.records, "main")
    assert [visit.led.exit if visit.led else None for visit in visits[:5]] == [None, None, None, "next", "2"]
    assert [step.verb for visit in visits if visit.block == "start" for step in visit.steps] == ["call", "call", "goto"]
    assert sum(len(visit.steps) for visit in visits) == len(call.records)


def test_a_call_cut_off_by_the_end_of_the_program(flows: Flows) -> None:
    call = acted(flows, presses("1"))
    led = next(number for number, record in enumerate(call.records, 1) if record.next_block is not None)
    assert way(call.records[:led], "main")[-1].led is call.records[led - 1]
    assert way([], "main") == []
