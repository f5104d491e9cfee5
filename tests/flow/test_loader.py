"""Files and folders become flows; nothing that is in a file makes the loader raise."""

import gc
import random
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ivr.flow.loader import load_flows, load_text
from ivr.flow.nodes import PLANNED, VERBS
from ivr.flow.nodes.control import Switch
from ivr.flow.nodes.questions import Collect, Menu
from ivr.flow.source import ScalarNode, parse_source

ROOT = Path(__file__).parents[2]
SAMPLE = (ROOT / "flows" / "main.yaml").read_text(encoding="utf-8")

FLOW = """\
flow: main
start: welcome
on_error: bye
input: {timeout: 4s, tries: 2}
blocks:
  welcome:
    title: First words
    steps:
      - menu:
          prompt: hello
          keys: {'1': ask, '2X': bye}
          gap: 1500ms
          failed: {no_input: bye}
  ask:
    - collect: {into: score, prompt: [rate_us, {say: 'from 1 to 5'}], digits: 1, check: score in 1..5, finish_key: none}
    - switch: {on: score, cases: {'5': bye, '4': bye}, default: welcome}
  bye:
    - hangup
"""


def test_settings_exits_and_defaults() -> None:
    found = load_text(FLOW)
    assert found.problems == ()
    flow = found.flows["main"]
    menu = flow.blocks["welcome"].steps[0]
    assert isinstance(menu.settings, Menu)
    assert menu.exits == {"1": "ask", "2X": "bye", "no_input": "bye"}
    assert (menu.settings.input.timeout, menu.settings.input.gap, menu.settings.input.tries) == (4.0, 1.5, 2)
    assert flow.blocks["welcome"].title == "First words"
    collect = flow.blocks["ask"].steps[0]
    assert isinstance(collect.settings, Collect)
    assert collect.settings.input.finish_key is None
    switch = flow.blocks["ask"].steps[1]
    assert isinstance(switch.settings, Switch)
    assert switch.exits[switch.settings.exit_for("5")] == "bye"
    assert switch.exits[switch.settings.exit_for("3")] == "welcome"


def test_the_digest_changes_only_when_a_caller_could_notice() -> None:
    digest = load_text(FLOW).flows["main"].digest
    same = "# a comment\n" + FLOW.replace("First words", "Greeting").replace("score in 1..5", "score  in 1..5")
    assert load_text(same).flows["main"].digest == digest
    assert load_text(FLOW.replace("4s", "5s")).flows["main"].digest != digest
    assert load_text(FLOW.replace("'2X': bye", "'3X': bye")).flows["main"].digest != digest


def test_everything_is_text_until_it_is_typed() -> None:
    root = parse_source("a: 22:30\nb: 012\nc: no\non: 2026-10-01\n", "x.yaml").root
    assert root is not None
    values = [(key.text, value.text) for key, value in root.entries if isinstance(value, ScalarNode)]  # type: ignore[union-attr]
    assert values == [("a", "22:30"), ("b", "012"), ("c", "no"), ("on", "2026-10-01")]


def test_a_folder_is_read_without_tests_and_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "main.yaml").write_text(FLOW)
    (tmp_path / "main.test.yaml").write_text("tests: []")
    (tmp_path / ".#main.yaml").write_text("broken")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "other.yml").write_text(FLOW.replace("flow: main", "flow: other"))
    found = load_flows([tmp_path])
    assert found.ok
    assert set(found.flows) == {"main", "other"}


def test_what_has_not_changed_is_taken_from_the_set_before(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.yaml").write_text(FLOW.replace("flow: main", f"flow: {name}"))
    before = load_flows([tmp_path])
    (tmp_path / "two.yaml").write_text(FLOW.replace("flow: main", "flow: two").replace("'2X': bye", "'2X': nowhere"))
    (tmp_path / "three.yaml").unlink()
    (tmp_path / "four.yaml").write_text(FLOW.replace("flow: main", "flow: one"))
    after = load_flows([tmp_path], before)
    anew = load_flows([tmp_path])
    assert after.flows == anew.flows == {}
    assert after.problems == anew.problems
    assert [problem.code for problem in after.problems] == ["E100", "E101"]
    assert after.drafts["one"] is not before.drafts["one"], "four.yaml comes first, and gives the flow"
    (tmp_path / "four.yaml").unlink()
    at_last = load_flows([tmp_path], after)
    assert at_last.flows["one"] is before.flows["one"]
    assert [problem.code for problem in at_last.problems] == ["E101"]
    assert at_last.problems == load_flows([tmp_path]).problems
    assert at_last.names == {"one", "two"}
    assert at_last.written == load_flows([tmp_path]).written


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_works_after_a_load_as_before(enabled: bool, tmp_path: Path) -> None:
    (tmp_path / "main.yaml").write_text(FLOW)
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        load_flows([tmp_path])
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()


def test_what_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "big.yaml").write_bytes(b"#" * 1_000_001)
    (tmp_path / "empty").mkdir()
    found = load_flows([tmp_path / "none.yaml", tmp_path / "big.yaml", tmp_path / "empty"])
    assert [problem.code for problem in found.problems] == ["E010", "E010", "E010"]


def test_a_broken_flow_is_known_by_name_but_not_given() -> None:
    found = load_text(FLOW.replace("'2X': bye", "'2X': nowhere"))
    assert not found.ok
    assert found.names == {"main"}
    assert not found.flows


def test_verbs_are_there_or_planned_but_not_both() -> None:
    assert not VERBS.keys() & PLANNED


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda verb: verb.name)
def test_the_example_of_every_verb_loads(verb: object) -> None:
    example = VERBS[verb.name].example  # type: ignore[attr-defined]
    named = "go_on ask_order sales_gold sales support repair operator voicemail sorry main_menu bye after_hours"
    lines = "\n".join(f"    {line}" for line in example.splitlines())
    heads = "flow: main\nstart: first\nlanguages: [en, zh]\n"
    heads += "vars: {tier: {type: text, default: x}, visits: {type: number, default: 0}"
    heads += ", order: {type: digits, default: '1'}}\n"
    ending = "" if VERBS[verb.name].ends or not _continues(example) else "\n    - hangup"  # type: ignore[attr-defined]
    text = f"{heads}blocks:\n  first:\n{lines}{ending}\n"
    text += "".join(f"  {name}: [hangup]\n" for name in named.split())
    text = text.replace("{group: front_desk", "{failed: bye, group: front_desk")
    assert [problem for problem in load_text(text).problems if problem.code not in ("W304", "E104")] == []


def _continues(example: str) -> bool:
    return not example.startswith(
        ("- goto", "- menu", "- ask", "- transfer", "- ring:", "- confirm", "- switch", "- hours", "- split")
    )


@given(st.binary(max_size=300))
def test_any_bytes_load(content: bytes) -> None:
    load_text(content)


SIGNS = [*"{}[]:,-#*&!|>'\"%@?\n\t ", ": ", "- ", "\n  ", "\n    ", "{x}", "'1'", "5s", "“", "\x85"]
yaml_words = st.sampled_from([*SIGNS, "flow", "start", "blocks", "menu", "keys", "say", *VERBS])


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(yaml_words, max_size=60).map("".join))
@example("? [a]\n: b")
@example("a: " + "[" * 5_000)
@example("a: " + "{" * 5_000)
def test_any_yaml_loads(text: str) -> None:
    for problem in load_text(text).problems:
        assert str(problem)


@settings(max_examples=150)
@given(st.integers(0, len(SAMPLE) - 1), st.integers(0, 40), yaml_words)
def test_a_slip_anywhere_in_a_good_file_is_told_and_nothing_raises(at: int, length: int, word: str) -> None:
    text = SAMPLE[:at] + word + SAMPLE[at + length :]
    found = load_text(text)
    lines = text.count("\n") + text.count("\x85") + 1
    for problem in found.problems:
        assert 1 <= problem.place.line <= lines
        assert str(problem)


def test_hostile_sizes_take_no_time() -> None:
    started = time.perf_counter()
    nines = "\n".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 30))
    for text in (nines, "[" * 900_000, "a: " * 300_000, "'" * 900_000, "- " * 400_000, "{a: " * 200_000):
        assert not load_text(text).ok
    assert time.perf_counter() - started < 20


def test_two_hundred_flows_load_within_seconds(tmp_path: Path) -> None:
    for number in range(200):
        name = "".join(random.Random(number).choices("abcdefgh", k=12))
        (tmp_path / f"{name}.yaml").write_text(SAMPLE.replace("flow: main", f"flow: {name}"))
    started = time.perf_counter()
    assert load_flows([tmp_path]).ok
    print(f"200 flows: {time.perf_counter() - started:.2f} s")
