"""Tests that operators write: what passes, what fails and how that reads, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.call import Target
from ivr.flow.loader import load_flows
from ivr.run.testing.acting import Result, act
from ivr.run.testing.kinds import Surroundings
from ivr.run.testing.loader import Suite, files_of_tests, load_suite
from tests.run.flows import HEAD, OFFICE

FRONT_DESK = (Target("sip", "2001"), Target("sip", "2002"))
SITE = Surroundings(frozenset({"2001", "2002", "2003"}), {"front_desk": FRONT_DESK}, known=True)


def suite(folder: Path, tests: str, around: Surroundings = SITE, head: str = "flow: sample\n") -> Suite:
    (folder / "sample.yaml").write_text(HEAD + OFFICE, encoding="utf-8")
    file = folder / "sample.test.yaml"
    file.write_text(head + tests, encoding="utf-8")
    return load_suite(file, load_flows([folder / "sample.yaml"]), around)


def acted(folder: Path, case: str, around: Surroundings = SITE) -> Result:
    """The result of one test, its lines given without ``- name``."""
    lines = "".join(f"    {line}\n" for line in case.strip().splitlines())
    loaded = suite(folder, f"tests:\n  - name: the test\n{lines}", around)
    assert not loaded.problems, "\n".join(map(str, loaded.problems))
    (one,) = loaded.cases
    return act(one, around)


def problems(folder: Path, tests: str, around: Surroundings = SITE, head: str = "flow: sample\n") -> list[str]:
    found = suite(folder, tests, around, head).problems
    return [f"{one.place.line}:{one.place.column} {one.code} {one.message} ({one.help})" for one in found]


PASS = {
    "a seat answers and hangs up": """
steps:
  - hears: welcome
  - {press: '1', after: main_menu}
  - prompt_cut: yes
  - rings: '2003'
  - {seat: '2003', does: answer}
  - bridged: '2003'
  - wait: 5m
  - {seat: '2003', does: hangup}
expect: {path: [welcome, main_menu, sales, bye], ended_by: agent, last_block: bye}
""",
    "a group": """
steps:
  - {press: '0', after: main_menu}
  - rings: front_desk
  - {seat: '2001', does: refuse}
  - {seat: '2002', does: no_answer}
  - at_block: voicemail
""",
    "the network fails": """
steps: [{press: '1', after: main_menu}, {seat: '2003', does: fail}, {rings: front_desk}]
expect: {at_block: operator}
""",
    "a seat that nobody has is offline": """
steps: [{press: '2099', after: main_menu}]
expect: {path: [welcome, main_menu, extension, voicemail], ended_by: flow}
""",
    "a text in full and in part, and a menu that is not cut": """
steps:
  - {press: '4', after: main_menu}
  - wait: 3s
  - press: '12345678'
  - prompt_cut: no
  - hears: order_wrong
  - {press: '12345674'}
  - hears: {say: 'Is 1 2 3 4 5 6 7 4 right?'}
  - {press: '1'}
  - hears_text: 'YOUR order is 1'
  - at_block: main_menu
  - hangup: caller
expect: {ended_by: caller, path_starts: [welcome, main_menu, ask_order]}
""",
    "silence": """
steps: [wait: 30s]
expect: {path: [welcome, main_menu, operator], tries: {main_menu: 3}}
""",
    "no steps: the call goes on to its end": "expect: {path_starts: [welcome, main_menu, operator, voicemail]}",
}


@pytest.mark.parametrize("case", PASS.values(), ids=PASS)
def test_passes(case: str, tmp_path: Path) -> None:
    result = acted(tmp_path, case)
    assert result.passed, result.failure


FAIL = {
    "waits for what is not heard": ("steps: [{hears: order_wrong}]", "waited for: 'order_wrong' is heard"),
    "waits for words": ("steps: [{hears_text: nothing}]", "waited for: a text with 'nothing'"),
    "heard before": ("steps: [{hears: main_menu}, {hears: welcome}]", "waited for: 'welcome' is heard"),
    "nobody rings": ("steps: [{rings: '2003'}]", "waited for: 2003 rings"),
    "the wrong one rings": (
        "steps: [{press: '0', after: main_menu}, {seat: '2003', does: answer}]",
        "waited for: 2003 rings",
    ),
    "does not talk": ("steps: [{seat: '2001', does: hangup}]", "waited for: 2001 has answered"),
    "not cut": (
        "steps: [{press: '4', after: main_menu}, {prompt_cut: no}]",
        "the key cut 'main_menu'",
    ),
    "no prompt to cut": (
        "steps: [{hears: main_menu}, {wait: 3s}, {press: '4'}, {prompt_cut: yes}]",
        "nothing was playing when the last key was pressed",
    ),
    "pressed too late": ("steps: [{wait: 1h}, {press: '4'}]", "key 4 cannot be pressed: the call is over"),
    "hung up too late": ("steps: [{wait: 1h}, {hangup: caller}]", "the caller cannot hang up: the call is over"),
    "path": (
        "steps: [{hangup: caller}]\nexpect: {path: [welcome, bye]}",
        "expected the path welcome > bye, but it was welcome",
    ),
    "beginning of the path": (
        "expect: {path_starts: [main_menu]}",
        "expected a path that starts main_menu, but it was welcome > main_menu > operator > voicemail",
    ),
    "ended by another": (
        "expect: {ended_by: caller}",
        "expected to be ended by caller, but the call was ended by flow",
    ),
    "ended elsewhere": (
        "expect: {last_block: bye}",
        "expected the call to end in block bye, but it was in voicemail",
    ),
    "is elsewhere": (
        "steps: [{hears: main_menu}]\nexpect: {at_block: bye}",
        "expected the call at block bye, but it is in main_menu",
    ),
    "is over": ("expect: {at_block: voicemail}", "expected the call at block voicemail, but it is over"),
    "tries": ("expect: {tries: {main_menu: 2}}", "expected 2 tries in block main_menu, but there were 3"),
}


@pytest.mark.parametrize(("case", "message"), FAIL.values(), ids=FAIL)
def test_fails(case: str, message: str, tmp_path: Path) -> None:
    failure = acted(tmp_path, case).failure
    assert failure is not None
    assert failure.message == message


def test_a_failure_says_where_and_what_happened_instead(tmp_path: Path) -> None:
    failure = acted(tmp_path, "steps:\n  - {press: '4', after: main_menu}\n  - hears: order_wrong").failure
    assert failure is not None
    assert (failure.place.line, failure.place.column) == (6, 9)
    assert Path(failure.flow_place.file).name == "sample.yaml"
    assert [line.split()[-1] for line in failure.before] == ["welcome", "main_menu", "4"]
    assert [line.split()[-1] for line in failure.instead[:2]] == ["enter_order", "enter_order_again"]


def test_each_makes_one_test_for_every_combination(tmp_path: Path) -> None:
    loaded = suite(
        tmp_path,
        """\
tests:
  - name: sales does not answer
    each: {deed: [busy, no_answer], from: ['1', '2']}
    call: {from: '{from}'}
    steps: [{press: '1', after: main_menu}, {seat: '2003', does: '{deed}'}]
    expect: {at_block: voicemail}
""",
    )
    assert [case.name.partition(" (")[2] for case in loaded.cases] == [
        "busy, 1)",
        "busy, 2)",
        "no_answer, 1)",
        "no_answer, 2)",
    ]
    assert [case.caller.number for case in loaded.cases] == ["1", "2", "1", "2"]
    assert all(act(case, SITE).passed for case in loaded.cases)


def test_the_call_of_a_test_is_the_default_with_its_own_changes(tmp_path: Path) -> None:
    loaded = suite(
        tmp_path,
        """\
defaults:
  call: {from: '+86138', to: '400', at: '2026-03-02 10:00 Asia/Shanghai'}
  prompts: {main_menu: 20s}
tests:
  - {name: one, call: {from: ''}, expect: {at_block: welcome}}
""",
    )
    (case,) = loaded.cases
    assert (case.caller.number, case.caller.did) == ("", "400")
    assert case.caller.at.isoformat() == "2026-03-02T10:00:00+08:00"
    assert case.lengths == {"main_menu": 20.0}


REFUSED = {
    "unknown and later words": (
        "test: x\ntests: [{name: a, queue: [], stepps: [], steps: []}]",
        [
            "2:1 E011 a file of tests has no setting 'test' (did you mean 'tests'?)",
            "3:19 E014 'queue' is not in this version yet (leave it out for now)",
            "3:30 E011 a test has no setting 'stepps' (did you mean 'steps'?)",
        ],
    ),
    "calendars": (
        "tests: [{name: a, closed: [shopp], steps: []}, {name: b, closed: [], steps: []}]",
        [
            "2:28 E170 the site has no calendar 'shopp' (calendars stand in the site file)",
            "2:66 E025 this list is empty (write 1 to 1000 items)",
        ],
    ),
    "mocks": (
        "tests:\n"
        "  - name: a\n"
        "    http: [{match: x, reply: {stat: 200}}, {reply: {timeout: yes, json: 1}, match: x}]\n"
        "    lookup: {table: t}\n"
        "    notify: [{webhok: a}]\n"
        "    steps: []",
        [
            "4:31 E011 reply has no setting 'stat' (did you mean 'status'?)",
            "4:44 E172 a reply is one thing, not two (write one of json, text, timeout and refused)",
            "5:13 E172 a mock of lookup says one of row, json, miss and fails (write miss: yes, say)",
            "6:14 E012 a mock of notify needs 'webhook' (add webhook: the name of a webhook)",
            "6:15 E011 a mock of notify has no setting 'webhok' (did you mean 'webhook'?)",
        ],
    ),
    "properties and coverage": (
        "properties: [{never: {silence: 8s}}, {nevr: {}}, x, {always: {end_within: 8}}]\n"
        "coverage: {blocks: 90, exits: 101%}\n"
        "tests: [{name: a, steps: [], gate: perhaps, expect: {variables: {odrer: '1'}, tags: []}}]",
        [
            "2:23 E011 'never' has no setting 'silence' (names: silence_longer_than, speak_after)",
            "2:39 E011 no property begins with 'nevr' (did you mean 'never'?)",
            "2:50 E013 a property is never or always (write - never: {silence_longer_than: 8s})",
            "2:75 E021 '8' has no unit (write 8s or 8m)",
            "3:20 E022 '90' is no share (write 0% to 100%)",
            "3:31 E022 '101%' is no share (write 0% to 100%)",
            "4:36 E023 'perhaps' is neither yes nor no (write yes or no)",
            "4:66 E170 flow 'sample' has no variable 'odrer' (did you mean 'order'?)",
            "4:85 E013 names and values are needed (write {name: value})",
        ],
    ),
    "steps": (
        "tests: [{name: a, steps: [x, {pres: '1'}, {rtc: x, does: y}, {press: 1 2}, {wait: 5}, {seat: '2001'}]}]",
        [
            "2:27 E013 a step has a word and a value (write - press: '1')",
            "2:31 E011 no step is called 'pres' (did you mean 'press'?)",
            "2:44 E014 'rtc' is not in this version yet "
            "(there are at_block, bridged, hangup, hearing, hears, hears_text, max_silence, mumbles, press, "
            "prompt_cut, rings, says, seat, wait, whisper)",
            "2:70 E121 '1 2' cannot be pressed (write keys in quotes: '4' or '1234#')",
            "2:83 E021 '5' has no unit (write 5s or 5m)",
            "2:87 E012 'seat' needs 'does' "
            "(add does: answer or accept or busy or refuse or no_answer or offline or fail or hangup)",
        ],
    ),
    "names of other files": (
        "tests: [{name: a, steps: [{hears: welcom}, {press: '1', after: nowhere}, {at_block: sale}, {rings: '2009'},"
        " {bridged: front_desk}]}]",
        [
            "2:35 E170 flow 'sample' plays no recording 'welcom' (did you mean 'welcome'?)",
            "2:64 E170 flow 'sample' has no block or recording 'nowhere' (blocks and recordings: ask_order, bye,"
            " enter_order, enter_order_again, extension, leave_a_message_later, main_menu, main_menu_short,"
            " not_a_choice, operator, order_wrong, sales, …)",
            "2:85 E101 flow 'sample' has no block 'sale' (did you mean 'sales'?)",
            "2:100 E170 the site has no seat or group '2009' (did you mean '2003'?)",
            "2:119 E170 the site has no seat 'front_desk' (there are: 2001, 2002, 2003)",
        ],
    ),
    "nothing to look at": (
        "tests: [{name: a}, {steps: []}, x]",
        [
            "2:9 E012 this test looks at nothing (add steps: or expect:)",
            "2:20 E012 a test needs 'name' (add name: what should happen)",
            "2:33 E013 a test has a name and steps (write - name: … and steps: below it)",
        ],
    ),
    "no tests": ("", ["1:1 E012 a file of tests needs 'tests' (add tests: and - name: … below)"]),
    "the same name": (
        "tests: [{name: a, steps: []}, {name: a, steps: []}]",
        ["2:31 E003 test 'a' is there twice (first at line 2) (give one of the two another name)"],
    ),
    "calls": (
        "tests: [{name: a, call: {at: tomorrow, fro: x}, steps: []},"
        " {name: b, call: {at: '2026-03-02 10:00 Mars/One'}, steps: []}]",
        [
            "2:30 E171 'tomorrow' is not a day and time (write '2026-03-02 10:00 Asia/Shanghai')",
            "2:40 E011 call has no setting 'fro' (did you mean 'from'?)",
            "2:82 E171 'Mars/One' is not a time zone (write one as Asia/Shanghai, Europe/Berlin or UTC)",
        ],
    ),
    "expect": (
        "tests: [{name: a, expect: {callbacks: x, ended_by: me, path: [], tries: {welcome: x}}},"
        " {name: b, expect: {tries: 3}}]",
        [
            "2:28 E014 'callbacks' is not in this version yet (leave it out for now)",
            "2:52 E024 'me' is not one of the choices (write caller or agent or flow or system or network)",
            "2:62 E025 this list is empty (write 1 to 1000 items)",
            "2:83 E022 'x' is not a whole number (write a number from 0 to 1000)",
            "2:115 E013 tries has blocks and numbers (write {block: number})",
        ],
    ),
    "each": (
        "tests: [{name: a, each: [], steps: []}, {name: b, each: {x: {}}, steps: []}]",
        [
            "2:25 E013 each has names and lists of values (write each: {outcome: [busy, refuse]})",
            "2:61 E020 a list or mapping stands where a value should (write a value)",
        ],
    ),
    "defaults": (
        "defaults: {call: x, prompts: slow, speed: 2}\ntests: [{name: a, steps: []}]",
        [
            "2:18 E013 call needs settings (write call: and below it, indented, name: value)",
            "2:30 E013 prompts is 'fixed', or says how long some last (write fixed, or {welcome: 4s})",
            "2:36 E011 defaults has no setting 'speed' (names: call, http, lookup, notify, plugin, prompts)",
        ],
    ),
}


@pytest.mark.parametrize(("tests", "expected"), REFUSED.values(), ids=REFUSED)
def test_refuses(tests: str, expected: list[str], tmp_path: Path) -> None:
    assert problems(tmp_path, tests) == expected


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("", "1:1 E012 a file of tests needs 'flow' (add flow: NAME_OF_THE_FLOW)"),
        ("flow: sampel\n", "1:7 E170 flow 'sampel' cannot be tested (did you mean 'sample'?)"),
    ],
)
def test_a_file_says_which_flow_it_tests(head: str, expected: str, tmp_path: Path) -> None:
    assert problems(tmp_path, "tests: [{name: a, steps: []}]", head=head) == [expected]


def test_an_empty_file_has_no_tests(tmp_path: Path) -> None:
    assert problems(tmp_path, "", head="") == [
        "1:1 E013 there are no tests in this file (begin with flow: NAME, and tests: below)"
    ]


def test_too_many_combinations_are_a_slip(tmp_path: Path) -> None:
    many = ", ".join(str(number) for number in range(40))
    found = problems(tmp_path, f"tests: [{{name: a, steps: [], each: {{x: [{many}], y: [{many}]}}}}]")
    assert found == ["2:36 E025 each makes more than 1000 tests of one (use fewer values)"]


def test_without_a_site_no_seat_can_be_named(tmp_path: Path) -> None:
    found = problems(tmp_path, "tests: [{name: a, steps: [{rings: '2001'}]}]", Surroundings())
    assert found == ["2:35 E170 there is no site file to look up '2001' in (give one: ivr test --site FILE)"]


def test_with_a_trunk_any_number_can_be_named(tmp_path: Path) -> None:
    around = Surroundings(frozenset({"2001"}), {}, numbers=True, known=True)
    assert problems(tmp_path, "tests: [{name: a, steps: [{rings: '+4930'}]}]", around) == []


def test_files_are_found_in_folders(tmp_path: Path) -> None:
    for name in ("b.test.yaml", "sub/a.test.yaml", "flow.yaml", ".hidden/c.test.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = files_of_tests([tmp_path, tmp_path / "b.test.yaml"])
    assert [str(path.relative_to(tmp_path)) for path in found] == ["b.test.yaml", "sub/a.test.yaml"]


ASKED = """\
blocks:
  welcome:
    - answer
    - ring: {group: front_desk, whisper: [new_call, {say: 'Press 1.'}], accept_key: '1', max: 60s, answered: bye,
             max_reached: enough, busy: sorry, no_answer: sorry, failed: sorry}
  bye: [{say: 'Bye.'}, hangup]
  enough: [{say: 'Enough.'}, hangup]
  sorry: [{say: 'Sorry.'}, hangup]
"""


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (
            """
steps:
  - {seat: '2001', does: answer}
  - {whisper: new_call, to: '2001'}
  - {whisper: {say: 'Press 1.'}, to: '2001'}
  - {seat: '2001', does: refuse}
  - {seat: '2002', does: answer}
  - {seat: '2002', does: accept}
  - bridged: '2002'
  - {seat: '2002', does: hangup}
expect: {path: [welcome, bye], ended_by: flow}
""",
            None,
        ),
        (
            "steps: [{seat: '2001', does: answer}, {seat: '2001', does: accept}, wait: 60s]\n"
            "expect: {path: [welcome, enough]}",
            None,
        ),
        (
            "steps: [{seat: '2001', does: answer}, {seat: '2001', does: no_answer}, {seat: '2002', does: busy}]\n"
            "expect: {path: [welcome, sorry]}",
            None,
        ),
        ("steps: [{seat: '2001', does: answer}, {bridged: '2001'}]", "waited for: 2001 and the caller talk"),
        ("steps: [{seat: '2001', does: accept}]", "waited for: 2001 is asked for a key"),
        ("steps: [{whisper: new_call, to: '2001'}]", "waited for: 2001 hears 'new_call' alone"),
    ],
)
def test_seats_that_are_asked_first(case: str, message: str | None, tmp_path: Path) -> None:
    (tmp_path / "asked.yaml").write_text(HEAD + ASKED, encoding="utf-8")
    file = tmp_path / "asked.test.yaml"
    indented = "\n".join(f"    {line}" for line in case.strip().splitlines())
    file.write_text(f"flow: sample\ntests:\n  - name: a\n{indented}\n", encoding="utf-8")
    suite = load_suite(file, load_flows([tmp_path / "asked.yaml"]), SITE)
    assert not suite.problems, "\n".join(map(str, suite.problems))
    failure = act(suite.cases[0], SITE).failure
    assert (failure.message if failure else None) == message


CLIENTS = """\
flow: mixed
start: desk
blocks:
  desk:
    - ring: {group: mixed, strategy: order, answered: bye, busy: alice, no_answer: alice, failed: alice}
  alice:
    - transfer: {to: 'rtc:alice', answered: bye, busy: busy, refused: refused, no_answer: no_answer, offline: offline,
                 failed: failed}
""" + "".join(f"  {name}:\n    - hangup\n" for name in ("bye", "busy", "refused", "no_answer", "offline", "failed"))
MIXED = Surroundings(
    frozenset({"2001", "rtc:alice", "rtc:2001"}),
    {"mixed": (Target("sip", "2001"), Target("rtc", "2001"), Target("rtc", "bob"), Target("tel", "110"))},
    numbers=True,
    known=True,
)


def _mixed(folder: Path, steps: str, expect: str) -> Result:
    (folder / "mixed.yaml").write_text(CLIENTS, encoding="utf-8")
    file = folder / "mixed.test.yaml"
    file.write_text(
        f"flow: mixed\ntests:\n  - name: the test\n    steps: [{steps}]\n    expect: {expect}\n", encoding="utf-8"
    )
    loaded = load_suite(file, load_flows([folder / "mixed.yaml"]), MIXED)
    assert not loaded.problems, "\n".join(map(str, loaded.problems))
    (one,) = loaded.cases
    return act(one, MIXED)


_DESK_BUSY = "{seat: '2001', does: busy}, {seat: 'rtc:2001', does: busy}, {seat: '110', does: busy}"


@pytest.mark.parametrize(
    ("deed", "path"),
    [
        ("answer", "bye"),
        ("busy", "busy"),
        ("refuse", "refused"),
        ("no_answer", "no_answer"),
        ("offline", "offline"),
        ("fail", "failed"),
    ],
)
def test_clients_do_what_seats_do(tmp_path: Path, deed: str, path: str) -> None:
    hangs_up = ", {bridged: alice}, {seat: alice, does: hangup}" if deed == "answer" else ""
    steps = f"{_DESK_BUSY}, {{rings: alice}}, {{seat: 'rtc:alice', does: {deed}}}{hangs_up}"
    result = _mixed(tmp_path, steps, f"{{path: [desk, alice, {path}]}}")
    assert result.failure is None, result.failure


def test_a_group_of_seats_clients_and_numbers(tmp_path: Path) -> None:
    """One seat and one client of the same name; a client that the site does not have is not there."""
    steps = "{rings: mixed}, {seat: '2001', does: refuse}, {seat: 'rtc:2001', does: answer}, {bridged: 'rtc:2001'}"
    result = _mixed(tmp_path, f"{steps}, {{seat: 'rtc:2001', does: hangup}}", "{path: [desk, bye], ended_by: agent}")
    assert result.failure is None, result.failure
