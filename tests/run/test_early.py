"""What is heard before the call is taken, and keys that the flow presses."""

from __future__ import annotations

import pytest

from ivr.flow.loader import load_text
from ivr.run.actions import Answer, Early, Play, Reject, Ringing, SendKeys
from ivr.run.script import Script
from tests.run.flows import HEAD, flow

SORRY = "  sorry:\n    - play: technical_problem\n    - hangup\n"
REFUSED = """\
on_error: sorry
blocks:
  welcome:
    - early:
        - play: closed_notice
        - pause: 1s
        - say: 'Call again.'
        - tag: {heard: early}
    - reject: 480
"""


def kinds(call: Script) -> list[type]:
    wanted = (Answer, Early, Play, Reject, Ringing, SendKeys)
    return [type(action) for action in call.actions if isinstance(action, wanted)]


def test_a_call_is_refused_after_it_was_told_why() -> None:
    call = Script(flow(REFUSED + SORRY))
    call.until_over()
    assert call.names == ["closed_notice", "Call again."]
    assert kinds(call) == [Early, Play, Play, Reject]
    assert call.tags == {"heard": "early"}
    assert call.now == pytest.approx(5.0)
    rows = [(row.step, row.verb, row.line, row.exit) for row in call.records]
    assert rows == [
        (1, "play", 9, "next"),
        (1, "pause", 10, "next"),
        (1, "say", 11, "next"),
        (1, "tag", 12, "next"),
        (1, "early", 8, "next"),
        (2, "reject", 13, None),
    ]


def test_after_it_the_call_can_be_taken() -> None:
    call = Script(flow((REFUSED + SORRY).replace("reject: 480", "play: welcome\n    - hangup")))
    call.until_over()
    assert kinds(call) == [Early, Play, Play, Answer, Play]


def test_in_a_call_that_was_taken_nothing_is_early() -> None:
    call = Script(flow((REFUSED + SORRY).replace("    - early:", "    - answer\n    - early:")))
    call.until_over()
    assert kinds(call) == [Answer, Play, Play]
    assert call.names == ["closed_notice", "Call again."]


def test_the_caller_gives_up_meanwhile() -> None:
    call = Script(flow(REFUSED + SORRY))
    call.hears("closed_notice")
    call.hangs_up()
    assert call.ended_by == "caller"
    assert not call.playing
    assert [(row.verb, row.exit) for row in call.records] == [("play", None), ("early", None)]


@pytest.mark.parametrize(("failed", "heard"), [("", "technical_problem"), ("failed: told", "told")])
def test_a_fault_within_leads_on(failed: str, heard: str) -> None:
    text = "on_error: sorry\nblocks:\n  welcome:\n    - early: {steps: [{play: closed_notice}], %s}\n    - reject\n"
    told = "  told:\n    - play: told\n    - hangup\n" if failed else ""
    call = Script(flow(text % failed + told + SORRY), missing=("closed_notice",))
    call.hears(heard)
    assert kinds(call) == [Early, Play, Answer, Play]


def test_what_cannot_stand_there() -> None:
    text = "blocks:\n  welcome:\n    - early: [{play: a}, {menu: {prompt: a, keys: {'1': welcome}}}]\n    - hangup\n"
    codes = {problem.code for problem in load_text(HEAD + text).problems}
    assert "E108" in codes


def test_keys_are_sent_and_waited_for() -> None:
    text = (
        "blocks:\n  welcome:\n    - keys_out: {keys: '12{caller.number}#', length: 200ms, gap: 300ms}\n    - hangup\n"
    )
    call = Script(flow(text.replace("{caller.number}", "{len(caller.number)}")))
    call.until_over()
    assert call.keys_sent == "1214#"
    assert [action for action in call.actions if isinstance(action, SendKeys)] == [SendKeys("1214#", 200, 300)]
    assert call.now == pytest.approx(2.5)
    assert kinds(call) == [Answer, SendKeys]


def test_what_is_no_key_is_a_fault() -> None:
    call = Script(flow("blocks:\n  welcome:\n    - keys_out: '{caller.number}'\n    - hangup\n"))
    assert call.keys_sent == ""
    assert call.ended_by == "system"


@pytest.mark.parametrize(("keys", "code"), [("12x", "E121"), ("1" * 65, "E025")])
def test_keys_are_checked(keys: str, code: str) -> None:
    text = f"blocks:\n  welcome:\n    - keys_out: '{keys}'\n    - hangup\n"
    assert [problem.code for problem in load_text(HEAD + text).problems] == [code]
