"""Properties tried on random callers: what holds, what does not, and the shortest call that shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivr.flow.loader import load_flows
from ivr.run.testing.acting import act
from ivr.run.testing.kinds import Surroundings
from ivr.run.testing.loader import Suite, load_suite
from ivr.run.testing.wandering import Broken, wander

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
        "      - max_silence: 8s\n"
        "      - press: '1'\n"
        "    expect: {ended_by: flow}\n"
    )
    [case] = suite(tmp_path, "", found.test).cases
    failure = act(case, AROUND).failure
    assert failure is not None
    assert failure.message == "the caller heard nothing for 20.0 s from 0.2 s on; at most 8 s"


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
    file.write_text("flow: quiet\nproperties: [{always: {end_within: 65s}}]\ntests: [{name: a}]\n", encoding="utf-8")
    loaded = load_suite(file, flows, AROUND)
    assert loaded.tested is not None
    [found] = wander(loaded.tested, AROUND, loaded.properties)
    assert "      - {seat: '2001', does: answer}\n      - {seat: '2001', does: accept}\n" in found.test
    file.write_text(f"flow: quiet\ntests:\n{found.test}", encoding="utf-8")
    [case] = load_suite(file, flows, AROUND).cases
    assert act(case, AROUND).failure is None
