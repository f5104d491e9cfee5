"""Steps that leave a mark: language, disposition, goal, and what keys do before they lead on."""

from __future__ import annotations

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
    assert [(record.verb, record.exit) for record in call.records] == [("menu", "9")]


def test_what_a_key_does_can_fail() -> None:
    text = MENU.replace("picked + 1", "number(caller.name)")
    call = Script(flow(text, BILINGUAL))
    call.presses("9", after="main_menu")
    call.hears("technical_problem")
    assert [(record.exit, record.next_block) for record in call.records] == [("failed", "sorry")]
    assert call.records[0].error
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
