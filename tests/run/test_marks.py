"""Steps that leave a mark: language, disposition, goal, and what keys do before they lead on."""

from __future__ import annotations

from ivr.run.flow_run import Limits
from ivr.run.script import Script
from tests.run.flows import HEAD, flow

BILINGUAL = (
    HEAD.replace("[en]", "[en, zh]")
    + """\
on_error: sorry
vars: {picked: {type: number, default: 0}}
"""
)
MENU = """\
blocks:
  welcome:
    - menu:
        prompt: main_menu
        keys:
          '1': told
          '9': {do: [{language: zh}, {set: {picked: picked + 1}}, {tag: {picked: '{picked}'}}], go: welcome}
        failed: sorry
  told:
    - goal: order_told
    - disposition: asked
    - disposition: sold
    - hangup
  sorry:
    - play: technical_problem
    - hangup
"""


def test_a_key_changes_the_language_of_what_follows() -> None:
    call = Script(flow(MENU, BILINGUAL))
    call.presses("9", after="main_menu")
    call.hears("main_menu")
    languages = [item.language for action in call.actions for item in getattr(action, "items", ())]
    assert languages == ["en", "zh"]
    assert call.marks == {"language": "zh"}
    assert call.tags == {"picked": "1"}
    assert call.path == ("welcome", "welcome")
    rows = [(row.block, row.step, row.verb, row.line, row.exit, row.next_block) for row in call.records]
    assert rows == [
        ("welcome", 1, "language", 13, "next", None),
        ("welcome", 1, "set", 13, "next", None),
        ("welcome", 1, "tag", 13, "next", None),
        ("welcome", 1, "menu", 9, "9", "welcome"),
    ]
    assert [row.seq for row in call.records] == [1, 2, 3, 4]


def test_what_a_key_does_can_stand_on_lines_of_its_own() -> None:
    done = "{do: [{language: zh}, {set: {picked: picked + 1}}, {tag: {picked: '{picked}'}}], go: welcome}"
    written = "\n            do:\n              - language: zh\n              - goal: chinese\n            go: welcome"
    call = Script(flow(MENU.replace(done, written), BILINGUAL))
    call.presses("9", after="main_menu")
    assert [(row.verb, row.line) for row in call.records] == [("language", 15), ("goal", 16), ("menu", 9)]


def test_what_keys_do_counts_as_steps_of_the_call() -> None:
    call = Script(flow(MENU, BILINGUAL), limits=Limits(steps=5))
    call.presses("9", after="main_menu")
    call.presses("9", after="main_menu")
    call.hears("technical_problem")
    assert [row.error for row in call.records if row.error] == ["the call took more than 5 steps"]


def test_what_a_key_does_can_fail() -> None:
    text = MENU.replace("picked + 1", "number(caller.name)")
    call = Script(flow(text, BILINGUAL))
    call.presses("9", after="main_menu")
    call.hears("technical_problem")
    assert [(record.verb, record.exit, record.next_block) for record in call.records] == [
        ("language", "next", None),
        ("set", "failed", None),
        ("menu", "failed", "sorry"),
    ]
    assert call.records[1].error == call.records[2].error
    assert call.records[1].error
    assert call.tags == {}


def test_the_last_disposition_counts_and_a_goal_is_reached() -> None:
    call = Script(flow(MENU, BILINGUAL))
    call.presses("1", after="main_menu")
    assert call.marks == {"goal": "order_told", "disposition": "sold"}
    assert call.ended_by == "flow"


def test_a_language_that_is_spoken_already_leaves_no_mark() -> None:
    call = Script(flow("blocks:\n  welcome:\n    - language: en\n    - hangup\n"))
    assert call.marks == {}


def test_the_former_name_of_a_block_is_kept_and_changes_no_version() -> None:
    text = "blocks:\n  welcome:\n    {}\n    steps: [hangup]\n"
    renamed = flow(text.format("renamed_from: hello"))
    assert renamed.blocks["welcome"].renamed_from == "hello"
    assert renamed.digest == flow(text.format("title: Hello")).digest


def test_what_a_key_does_is_part_of_the_version() -> None:
    assert flow(MENU, BILINGUAL).digest != flow(MENU.replace("language: zh", "language: en"), BILINGUAL).digest
