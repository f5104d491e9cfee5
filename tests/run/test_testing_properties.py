"""Properties tried on random callers: what holds, what does not, and the shortest call that shows it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ivr.calendar import Calendar, Period, Span
from ivr.flow.loader import load_flows
from ivr.flow.model import Place
from ivr.run.actions import Play, PlayText
from ivr.run.flow_run import FlowRun
from ivr.run.testing.acting import act
from ivr.run.testing.kinds import Surroundings
from ivr.run.testing.loader import Suite, load_suite
from ivr.run.testing.wandering import Broken, wander
from ivr.table import Table

AROUND = Surroundings(frozenset({"2001"}), known=True)

QUIET = """\
flow: quiet
languages: [en]
start: menu
on_error: bye
blocks:
  menu:
    - answer
    - menu: {prompt: {say: 'One or two?'}, keys: {'1': slow, '2': seat, '20X': bye}, tries: 2, failed: bye, timeout: 3s}
  slow:
    - http: {get: 'https://slow.example/x', timeout: 20s, failed: bye, into: x}
    - goto: bye
  seat:
    - transfer: {to: 'sip:2001', answered: bye, busy: menu, refused: menu, no_answer: bye, offline: bye}
  bye: [{say: 'Bye.'}, hangup]
"""


def suite(folder: Path, properties: str, tests: str = "") -> Suite:
    (folder / "quiet.yaml").write_text(QUIET, encoding="utf-8")
    file = folder / "quiet.test.yaml"
    tests = tests or "  - {name: one, expect: {ended_by: flow}}\n"
    file.write_text(f"flow: quiet\ntests:\n{tests}properties: [{properties}]\n", encoding="utf-8")
    loaded = load_suite(file, load_flows([folder / "quiet.yaml"]), AROUND)
    assert not loaded.problems, "\n".join(map(str, loaded.problems))
    return loaded


def broken(folder: Path, properties: str, *, calls: int = 200, seed: int = 1) -> list[Broken]:
    loaded = suite(folder, properties)
    assert loaded.tested is not None
    return wander(loaded.tested, AROUND, loaded.properties, calls=calls, seed=seed)


def test_what_holds_is_not_broken(tmp_path: Path) -> None:
    holds = (
        "{never: {silence_longer_than: 25s, speak_after: hangup}}, {always: {end_within: 1h}},"
        " {always: {every_call_has: ended_by}}"
    )
    assert broken(tmp_path, holds) == []


def test_the_shortest_call_is_found_and_fails_as_a_test(tmp_path: Path) -> None:
    [found] = broken(tmp_path, "{never: {silence_longer_than: 8s}}")
    assert found.title == "never silence longer than 8s"
    assert found.message == "the caller heard nothing for 20.0 s from 0.2 s on"
    assert found.test == (
        "  - name: never silence longer than 8s\n"
        "    http:\n"
        "      - {match: 'https://slow.example/x', reply: {timeout: yes}, method: GET}\n"
        "    steps:\n"
        "      - press: '1'\n"
        "    properties:\n"
        "      - never: {silence_longer_than: 8s}\n"
    )
    [case] = suite(tmp_path, "", found.test).cases
    failure = act(case, AROUND).failure
    assert failure is not None
    assert failure.message == found.message


def test_the_dice_are_the_same_in_every_run(tmp_path: Path) -> None:
    limits = "{never: {silence_longer_than: 2s}}, {always: {end_within: 20s}}"
    first = broken(tmp_path, limits)
    assert first == broken(tmp_path, limits)
    assert [one.title for one in first] == ["never silence longer than 2s", "always end within 20s"]


@pytest.mark.parametrize("seed", range(5))
def test_a_long_call_is_found_whatever_the_dice(seed: int, tmp_path: Path) -> None:
    [found] = broken(tmp_path, "{always: {end_within: 20s}}", seed=seed)
    assert found.message.startswith("the call lasted ")


ASKED = """\
flow: quiet
languages: [en]
start: menu
blocks:
  menu:
    - answer
    - transfer: {to: 'sip:2001', ring: 5s, whisper: {say: 'Press 1.'}, accept_key: '1', accept_within: 2s, max: 5s,
                 answered: bye, max_reached: long, busy: bye, refused: bye, no_answer: bye, offline: bye, failed: bye}
  long:
    - pause: 60s
    - goto: bye
  bye: [{say: 'Bye.'}, hangup]
"""


def test_seats_that_are_asked_press_keys_too(tmp_path: Path) -> None:
    (tmp_path / "quiet.yaml").write_text(ASKED, encoding="utf-8")
    flows = load_flows([tmp_path / "quiet.yaml"])
    file = tmp_path / "quiet.test.yaml"
    file.write_text("flow: quiet\nproperties: [{always: {end_within: 64s}}]\ntests: [{name: a}]\n", encoding="utf-8")
    loaded = load_suite(file, flows, AROUND)
    assert loaded.tested is not None
    [found] = wander(loaded.tested, AROUND, loaded.properties, calls=2_000)
    assert "      - {seat: '2001', does: answer}\n      - {seat: '2001', does: accept}\n" in found.test
    file.write_text(f"flow: quiet\ntests:\n{found.test}", encoding="utf-8")
    [case] = load_suite(file, flows, AROUND).cases
    failure = act(case, AROUND).failure
    assert failure is not None
    assert failure.message == found.message


# Printed tests fail by themselves. ----------------------------------------------------------------------

FAULTY = """\
flow: quiet
languages: [en]
start: open
on_error: bye
on_hangup: gone
vars: {state: json, who: json}
blocks:
  open:
    - answer
    - hours: {calendar: office, open: continue, closed: closed}
    - split: {weights: {a: 90, b: 10}, a: menu, b: rare}
  menu:
    - play: welcome
    - menu:
        prompt: {say: 'Your choice?'}
        keys: {'1': order, '2': seat, '3': knows, '47': deep}
        tries: 3
        failed: bye
  closed:
    - say: 'We are closed.'
    - pause: 33s
    - goto: bye
  rare:
    - pause: 44s
    - goto: menu
  order:
    - http: {get: 'https://crm.example/x?a[1]=*', timeout: 3s, failed: bye, into: state, status: {'404': lost}}
    - if: {when: "state.word == 'it''s'", then: word}
    - goto: bye
  word:
    - pause: 51s
    - goto: bye
  lost:
    - pause: 55s
    - goto: menu
  seat:
    - transfer: {to: 'sip:2001', ring: 5s, answered: menu, busy: busy, refused: menu, no_answer: bye, offline: bye}
  busy:
    - transfer: {to: 'tel:+49301234', ring: 5s, answered: bye, busy: both, refused: bye, no_answer: bye, offline: bye}
  both:
    - pause: 66s
    - goto: bye
  knows:
    - lookup: {table: vip, key: '{caller.number}', into: who, miss: bye, failed: bye}
    - if: {when: "who == 'gold'", then: gold}
    - goto: bye
  gold:
    - pause: 77s
    - goto: bye
  deep:
    - menu: {prompt: {say: 'Deeper?'}, keys: {'9': deep_down, '*': menu}, failed: bye}
  deep_down:
    - pause: 88s
    - goto: bye
  bye: [{say: 'Bye.'}, hangup]
  gone: [{log: 'gone'}, end]
"""
HEAD = """\
flow: quiet
defaults:
  call: {from: '4930111', at: '2026-03-02 11:00 Europe/Berlin'}
  prompts: {welcome: 3s}
  http: [{match: '*', reply: {json: {word: "it's"}}, times: 2}]
  lookup: [{table: vip, key: '*', row: {tier: gold}}]
"""
WEEK = Period(frozenset(range(5)), (Span(9 * 60, 18 * 60),), "Mo-Fr 09:00-18:00", Place("site.yaml", 1))
OFFICE = Calendar("office", ZoneInfo("Europe/Berlin"), (WEEK,))
SITE = Surroundings(
    frozenset({"2001"}),
    known=True,
    numbers=True,
    calendars={"office": OFFICE},
    tables={"vip": Table("vip", ("number", "tier"), {"4930111": ("4930111", "silver")}, "tier")},
)


def faulty(folder: Path, tests: str, properties: str = "[]", pause: int | None = None) -> Suite:
    """The flow, and tests of it; of its pauses only the one given is left."""
    lines = [line for line in FAULTY.splitlines() if "- pause:" not in line or f"pause: {pause}s" in line]
    (folder / "quiet.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    file = folder / "quiet.test.yaml"
    file.write_text(f"{HEAD}tests:\n{tests}properties: {properties}\n", encoding="utf-8")
    loaded = load_suite(file, load_flows([folder / "quiet.yaml"]), SITE)
    assert not loaded.problems, "\n".join(map(str, loaded.problems))
    return loaded


def fails_by_itself(folder: Path, properties: str, seed: int = 1, pause: int | None = None) -> str:
    """The property is broken, and the printed test, copied into the file, fails for just that. Returns the test."""
    one = faulty(folder, "  - {name: one, expect: {ended_by: flow}}\n", properties, pause)
    assert one.tested is not None
    mocks = one.cases[0].mocks
    [found] = wander(
        one.tested, SITE, one.properties, caller=one.caller, lengths=one.lengths, mocks=mocks, calls=3_000, seed=seed
    )
    [case] = faulty(folder, found.test, pause=pause).cases
    failure = act(case, SITE).failure
    assert failure is not None, found.test
    assert failure.message == found.message, found.test
    assert act(replace(case, properties=()), SITE).failure is None, "it fails for nothing else"
    return found.test


SILENCES = {
    "closed at night": (33, ["at: '2026"], 7),
    "one variant": (44, ["chance: 9"], 7),
    "what a service answers": (51, ["http:", "it's", "press: '1'"], 9),
    "a status of a service": (55, ["status: 404", "press: '1'"], 9),
    "two parties who are busy": (66, ["{seat: '2001', does: busy}", "{seat: '+49301234', does: busy}"], 9),
    "what a table has": (77, ["row: {tier: 'gold'}", "press: '3'"], 9),
    "keys of two menus": (88, ["press: '47", "9'"], 8),
}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("pause", "needs", "lines"), SILENCES.values(), ids=SILENCES)
def test_the_test_of_a_silence_fails_by_itself(
    pause: int, needs: list[str], lines: int, seed: int, tmp_path: Path
) -> None:
    test = fails_by_itself(tmp_path, "[{never: {silence_longer_than: 30s, speak_after: hangup}}]", seed, pause)
    for words in needs:
        assert words in test
    assert len(test.splitlines()) <= lines, test
    assert "speak_after" not in test


@pytest.mark.parametrize("seed", [1, 2])
def test_the_test_of_a_long_call_fails_by_itself(seed: int, tmp_path: Path) -> None:
    test = fails_by_itself(tmp_path, "[{always: {end_within: 50s}}]", seed)
    assert "- always: {end_within: 50s}" in test
    assert len(test.splitlines()) <= 8, test


def test_a_wait_after_the_end_makes_no_call_long(tmp_path: Path) -> None:
    [case] = faulty(
        tmp_path,
        "  - name: over\n    steps: [{hangup: caller}, {wait: 2m}]\n    properties: {always: {end_within: 90s}}\n",
    ).cases
    assert act(case, SITE).failure is None


def test_the_test_of_what_is_said_to_nobody_fails_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program itself does not do it: here it does, if keys were pressed before."""
    tidy_up = FlowRun._tidy_up

    def speaks(run: FlowRun) -> None:
        if run._last_key is not None:
            run._talk.do(Play(99, (PlayText("Bye", "en"),), False))
        tidy_up(run)

    monkeypatch.setattr(FlowRun, "_tidy_up", speaks)
    test = fails_by_itself(tmp_path, "[{never: {speak_after: hangup}}]")
    assert "- hangup: caller" in test
    assert "- press: '" in test
    assert len(test.splitlines()) <= 6, test


def test_the_test_of_an_end_by_nobody_fails_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(run: FlowRun) -> str | None:
        return run._ended.by if run._ended is not None and "busy" not in run.path else None

    monkeypatch.setattr(FlowRun, "ended_by", property(nobody))
    test = fails_by_itself(tmp_path, "[{always: {every_call_has: ended_by, end_within: 10h}}]")
    assert "- {seat: '2001', does: busy}" in test
    assert "- always: {every_call_has: ended_by}" in test
    assert len(test.splitlines()) <= 8, test


def test_only_those_are_moved_whom_a_test_can_name(tmp_path: Path) -> None:
    """Without a site nobody can be named: they ring, in the random call as in the test."""
    one = suite(tmp_path, "{always: {end_within: 15s}}")
    assert one.tested is not None
    [found] = wander(one.tested, Surroundings(), one.properties, calls=500)
    assert "seat:" not in found.test
