"""Flows that call flows and blocks: variables, results, faults, and a caller who leaves within."""

from __future__ import annotations

from pathlib import Path

from ivr.flow.loader import FlowSet, load_flows
from ivr.run.flow_run import DEPTH, Limits
from ivr.run.script import Script

MAIN = """\
flow: main
languages: [en, zh]
start: welcome
on_error: sorry
on_hangup: tidy_up
vars:
  pin: {type: digits, secret: yes, default: '4711'}
  customer: {type: digits, default: '0'}
  reason: {type: text, default: mine}
blocks:
  welcome:
    - language: zh
    - call: {flow: identify, args: {reason: "'order'"}, into: customer, failed: unknown}
    - log: 'customer {customer}, {reason}'
    - play: welcome_back
    - hangup
  unknown:
    - play: unknown
    - hangup
  sorry:
    - play: technical_problem
    - hangup: {cause: sorry}
  tidy_up:
    - log: 'main tidies up, {reason}'
    - end
"""
IDENTIFY = """\
flow: identify
languages: [en, zh]
start: ask
on_hangup: tidy_up
vars:
  reason: {type: text, param: yes}
blocks:
  ask:
    - play: hello
    - collect: {into: account, prompt: enter_number, digits: 4, failed: gone}
    - log: 'asked because of {reason}'
    - return: account
  gone:
    - hangup: {cause: gone}
  tidy_up:
    - log: 'identify tidies up, {reason}'
    - end
"""


def load(folder: Path, *texts: str) -> FlowSet:
    for number, text in enumerate(texts):
        (folder / f"{number}.yaml").write_text(text, encoding="utf-8")
    found = load_flows([folder])
    assert found.ok, [str(problem) for problem in found.problems]
    return found


def script(folder: Path, *texts: str, limits: Limits | None = None, missing: tuple[str, ...] = ()) -> Script:
    flows = load(folder, *texts).flows
    return Script(flows["main"], flows=flows, limits=limits, missing=missing)


def test_a_result_comes_back_and_variables_are_apart(tmp_path: Path) -> None:
    call = script(tmp_path, MAIN, IDENTIFY)
    call.presses("2003", after="enter_number")
    call.hears("welcome_back")
    assert call.logs == ["asked because of order", "customer 2003, mine"]
    assert call.path == ("welcome", "identify.ask")
    assert {item.language for action in call.actions for item in getattr(action, "items", ())} == {"zh"}
    rows = [(row.flow, row.block, row.verb, row.exit) for row in call.records]
    assert rows == [
        ("main", "welcome", "language", "next"),
        ("identify", "ask", "play", "next"),
        ("identify", "ask", "collect", "next"),
        ("identify", "ask", "log", "next"),
        ("identify", "ask", "return", None),
        ("main", "welcome", "call", "next"),
        ("main", "welcome", "log", "next"),
    ]
    assert [row.seq for row in call.records] == [1, 2, 3, 4, 5, 6, 7]


def test_a_called_flow_can_end_the_call(tmp_path: Path) -> None:
    call = script(tmp_path, MAIN, IDENTIFY)
    call.until_over()
    assert call.ended is not None
    assert (call.ended.by, call.ended.cause, call.ended.last_block) == ("flow", "gone", "identify.gone")
    assert [(row.verb, row.exit) for row in call.records][-2:] == [("hangup", None), ("call", None)]
    assert call.logs == []


def test_a_fault_within_is_the_exit_failed_of_the_call(tmp_path: Path) -> None:
    call = script(tmp_path, MAIN, IDENTIFY, missing=("hello",))
    call.hears("unknown")
    assert call.path == ("welcome", "identify.ask", "unknown")
    rows = [(row.flow, row.verb, row.exit, row.next_block) for row in call.records]
    assert rows[-2:] == [("identify", "play", "missing", None), ("main", "call", "failed", "unknown")]
    assert all(row.error for row in call.records[-2:])


def test_a_fault_that_nobody_deals_with_goes_to_on_error_of_the_caller(tmp_path: Path) -> None:
    text = MAIN.replace(", failed: unknown", "").replace("  unknown:\n    - play: unknown\n    - hangup\n", "")
    call = script(tmp_path, text, IDENTIFY, missing=("hello",))
    call.until_over()
    assert call.path == ("welcome", "identify.ask", "sorry")
    assert call.ended is not None
    assert call.ended.cause == "sorry"


MENDING = IDENTIFY.replace("start: ask", "start: ask\non_error: mend").replace(
    "  gone:", "  mend:\n    - play: mended\n    - return: caller.number\n  gone:"
)
ANY_CUSTOMER = MAIN.replace("customer: {type: digits", "customer: {type: text")


def test_a_called_flow_deals_with_its_own_faults(tmp_path: Path) -> None:
    call = script(tmp_path, ANY_CUSTOMER, MENDING, missing=("hello",))
    call.hears("welcome_back")
    assert call.path == ("welcome", "identify.ask", "identify.mend")


def test_what_goes_wrong_in_on_error_is_a_fault_of_the_call(tmp_path: Path) -> None:
    call = script(tmp_path, ANY_CUSTOMER, MENDING, missing=("hello", "mended"))
    call.hears("unknown")
    assert call.path == ("welcome", "identify.ask", "identify.mend", "unknown")


def test_on_hangup_runs_from_the_inside_out_with_the_variables_of_each(tmp_path: Path) -> None:
    call = script(tmp_path, MAIN, IDENTIFY)
    call.hears("enter_number")
    call.hangs_up()
    assert call.logs == ["identify tidies up, order", "main tidies up, mine"]
    assert call.ended is not None
    assert (call.ended.by, call.ended.last_block) == ("caller", "identify.ask")
    assert call.path == ("welcome", "identify.ask")
    call_row = next(row for row in call.records if row.verb == "call")
    assert (call_row.flow, call_row.exit) == ("main", None)


def test_secrets_stay_secret_within(tmp_path: Path) -> None:
    main, asking = MAIN.replace("\"'order'\"", "pin"), IDENTIFY.replace("return: account", "return: reason")
    call = script(tmp_path, main.replace("customer: {type: digits", "customer: {type: text"), asking)
    call.presses("2003", after="enter_number")
    call.hears("welcome_back")
    assert call.logs == ["asked because of ********", "customer ********, mine"]


BLOCKS = """\
flow: main
start: welcome
on_error: sorry
vars: {times: {type: number, default: 0}}
blocks:
  welcome:
    - call: {block: count}
    - call: {block: count}
    - log: '{times}'
    - call: {block: broken, failed: sorry}
    - hangup
  count:
    - set: {times: times + 1}
    - goto: done
  done:
    - return
  broken:
    - set: {times: number(caller.name)}
    - return
  sorry:
    - play: technical_problem
    - hangup
"""


def test_a_block_shares_the_variables_and_comes_back(tmp_path: Path) -> None:
    call = script(tmp_path, BLOCKS)
    call.hears("technical_problem")
    assert call.logs[0] == "2"
    assert call.path == ("welcome", "count", "done", "count", "done", "broken", "sorry")


DEEP = """\
flow: main
start: welcome
vars: {left: {type: number, default: 100, param: yes}}
blocks:
  welcome:
    - if: {when: left == 0, then: out}
    - set: {left: left - 1}
    - call: {flow: main, args: {left: left}, failed: too_deep}
    - return
  out:
    - return
  too_deep:
    - log: 'too deep, {left}'
    - return
"""


def test_the_depth_is_bounded(tmp_path: Path) -> None:
    call = script(tmp_path, DEEP, limits=Limits(passes=100))
    assert f"too deep, {100 - DEPTH - 1}" in call.logs
    assert call.ended_by == "flow"
    assert len(call.path) == DEPTH + 2


def test_a_limit_within_goes_to_the_nearest_on_error_whatever_is_wired(tmp_path: Path) -> None:
    endless = "flow: endless\nlanguages: [en, zh]\nstart: a\nblocks:\n  a:\n    - pause: 1s\n    - goto: a\n"
    endless += "  b: [return]\n"
    main = MAIN.replace("{flow: identify, args: {reason: \"'order'\"}, into: customer,", "{flow: endless,")
    call = script(tmp_path, main, endless)
    call.until_over()
    assert call.path[-1] == "sorry"
    assert "unknown" not in call.path
    assert call.ended is not None
    assert call.ended.cause == "sorry"


def test_a_flow_that_is_not_there_fails_the_call(tmp_path: Path) -> None:
    flows = load(tmp_path, MAIN, IDENTIFY).flows
    call = Script(flows["main"])
    call.hears("unknown")


def digests(folder: Path, *texts: str) -> dict[str, str]:
    folder.mkdir()
    return {name: one.digest for name, one in load(folder, *texts).flows.items()}


def test_a_version_changes_with_what_is_called(tmp_path: Path) -> None:
    before = digests(tmp_path / "a", MAIN, IDENTIFY)
    after = digests(tmp_path / "b", MAIN, IDENTIFY.replace("enter_number", "say_number"))
    same = digests(tmp_path / "c", MAIN, IDENTIFY.replace("start: ask", "title: Who\nstart: ask"))
    assert before["main"] != after["main"]
    assert before["identify"] != after["identify"]
    assert before == same


def test_a_called_flow_is_whole_or_nobody_calls_it(tmp_path: Path) -> None:
    (tmp_path / "main.yaml").write_text(MAIN, encoding="utf-8")
    (tmp_path / "identify.yaml").write_text(IDENTIFY.replace("digits: 4", "digits: x"), encoding="utf-8")
    found = load_flows([tmp_path])
    assert {problem.code for problem in found.problems} == {"E022"}
    assert not found.ok


def test_circles_are_seen_across_files_unless_the_caller_is_asked(tmp_path: Path) -> None:
    head = "flow: {0}\nstart: a\nblocks:\n  a:\n{2}    - call: {1}\n    - return\n"
    asks = "    - collect: {into: x, prompt: hello, failed: b}\n"

    def codes(folder: str, first: str) -> list[str]:
        (tmp_path / folder).mkdir()
        one = head.format("one", "two", first) + ("  b: [return]\n" if first else "")
        return [problem.code for problem in load(tmp_path / folder, one, head.format("two", "one", "")).problems]

    assert codes("silent", "") == ["W307", "W307"]
    assert codes("asking", asks) == []


def test_a_called_flow_that_never_returns_is_a_warning(tmp_path: Path) -> None:
    caller = "flow: one\nstart: a\nblocks:\n  a:\n    - call: two\n    - hangup\n"
    found = load(tmp_path, caller, "flow: two\nstart: a\nblocks:\n  a: [hangup]\n")
    assert [problem.code for problem in found.problems] == ["W306"]
