"""Tests in which callers speak: what passes, how a failure reads, what is refused, what random callers say."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from ivr.flow.loader import load_flows
from ivr.run.testing.acting import Result, act
from ivr.run.testing.coverage import coverage
from ivr.run.testing.kinds import Surroundings
from ivr.run.testing.loader import Suite, load_suite
from ivr.run.testing.moves import HearingFails, Move, Mumbling, Saying
from ivr.run.testing.schema import suite_schema
from ivr.run.testing.speech import Alternative, Said
from ivr.run.testing.wandering import Broken, wander
from ivr.run.testing.writing import as_test
from tests.flow.test_schema import seen_by_an_editor
from tests.run.flows import HEAD, SHOP

SITE = Surroundings(frozenset({"2001"}), known=True)
VALIDATOR = Draft202012Validator(suite_schema())


def suite(folder: Path, tests: str, flow: str = HEAD + SHOP) -> Suite:
    (folder / "sample.yaml").write_text(flow, encoding="utf-8")
    file = folder / "sample.test.yaml"
    file.write_text(f"flow: sample\n{tests}", encoding="utf-8")
    return load_suite(file, load_flows([folder / "sample.yaml"]), SITE)


def all_acted(folder: Path, tests: str, flow: str = HEAD + SHOP) -> list[Result]:
    loaded = suite(folder, tests, flow)
    assert not loaded.problems, "\n".join(map(str, loaded.problems))
    return [act(case, SITE) for case in loaded.cases]


def acted(folder: Path, case: str, flow: str = HEAD + SHOP) -> Result:
    """The result of one test, its lines given without ``- name``."""
    (one,) = all_acted(folder, in_a_list(case), flow)
    return one


def in_a_list(case: str) -> str:
    return "tests:\n  - name: the test\n" + "".join(f"    {line}\n" for line in case.strip().splitlines())


PASS = {
    "a word after the prompt": "steps: [says: operator, prompt_cut: no]\nexpect: {path: [welcome, operator]}",
    "over the prompt": """
steps: [{says: operator, after: main_menu, talks_over: yes}, prompt_cut: yes]
expect: {path: [welcome, operator]}
""",
    "unsure": """
steps: [{says: {text: operator, confidence: 0.4}}, {hears: not_understood}, {says: operator}]
expect: {at_block: operator, tries: {welcome: 2}}
""",
    "what else it may have been": """
steps: [says: {text: hamburger, confidence: 0.8, alternatives: [{text: sales, confidence: 0.6}, operator]}]
expect: {at_block: sales}
""",
    "nobody understands": """
steps: [mumbles: 1s, hears: not_understood, {mumbles: 400ms, talks_over: yes}, prompt_cut: yes, says: sales]
expect: {path: [welcome, sales], tries: {welcome: 3}}
""",
    "yes is a word, and so is a number": """
steps: [says: order, says: 1235, says: yes]
expect: {path: [welcome, number, bye], variables: {order: '1235'}}
""",
    "free words": """
steps: [says: sales, says: 'it rains']
expect: {path: [welcome, sales, bye], variables: {said: 'it rains'}}
""",
    "nobody can listen, and then somebody can": """
steps: [hearing: fails, says: operator, hearing: works, hears: still_there, mumbles: 1s, says: operator]
expect: {path: [welcome, operator], tries: {welcome: 3}}
""",
    "nobody can listen any more": "steps: [says: sales, hearing: fails]\nexpect: {path: [welcome, sales, operator]}",
    "a key pressed behind the word wins": """
steps: [says: sales, press: '1235', says: buy a bicycle]
expect: {path: [welcome, sales, number], variables: {order: '1235'}}
""",
}


@pytest.mark.parametrize("case", PASS.values(), ids=PASS)
def test_passes(case: str, tmp_path: Path) -> None:
    result = acted(tmp_path, case)
    assert result.failure is None, result.failure
    assert [error.message for error in VALIDATOR.iter_errors(seen_by_an_editor(f"flow: x\n{in_a_list(case)}"))] == []


FAIL = {
    "another word": ("steps: [says: hamburger, at_block: sales]", "waited for: the call is at block sales"),
    "not cut": (
        "steps: [{says: operator, after: main_menu, talks_over: yes}, prompt_cut: no]",
        "the speech cut 'main_menu'",
    ),
    "nothing to cut": ("steps: [says: operator, prompt_cut: yes]", "nothing was playing when it was said"),
    "too late": ("steps: [wait: 1h, says: operator]", "nothing can be said: the call is over"),
}


@pytest.mark.parametrize(("case", "message"), FAIL.values(), ids=FAIL)
def test_fails(case: str, message: str, tmp_path: Path) -> None:
    failure = acted(tmp_path, case).failure
    assert failure is not None
    assert failure.message == message


KEYS_ONLY = HEAD + (
    "blocks:\n  welcome:\n    - menu: {prompt: main_menu, keys: {'1': bye}, tries: 1, failed: bye}\n  bye: [hangup]\n"
)


def test_where_nobody_listens_the_transcript_says_so(tmp_path: Path) -> None:
    failure = acted(tmp_path, "steps: [says: operator, {hears_text: never}]", KEYS_ONLY).failure
    assert failure is not None
    assert [line.split(maxsplit=2)[-1] for line in failure.before] == [
        "♪ main_menu",
        'the caller says "operator": nobody listens',
    ]


def test_what_was_heard_is_in_the_transcript(tmp_path: Path) -> None:
    failure = acted(tmp_path, "steps: [says: {text: operator, confidence: 0.45}, at_block: sales]").failure
    assert failure is not None
    assert any('heard "operator" 0.45: no_match' in line for line in failure.before)


def test_each_fills_in_what_is_said(tmp_path: Path) -> None:
    results = all_acted(
        tmp_path,
        """\
tests:
  - name: every way to say it
    each: {words: [sales, 'a new order', 'sales please'], sure: ['0.6', 1]}
    steps: [says: {text: '{words}', confidence: '{sure}'}]
    expect: {path: [welcome, sales]}
""",
    )
    assert [result.passed for result in results] == [True] * 6
    assert results[1].case.name == "every way to say it (sales, 1)"


REFUSED = {
    "nothing": ("says: ''", "E020 the words are missing (write them: says: operator; or mumbles: 1s)"),
    "too sure": (
        "says: {text: a, confidence: 1.1}",
        "E022 '1.1' is not between 0 and 1 (write a number from 0 to 1: 0.5)",
    ),
    "a slip": (
        "says: {word: a}",
        "E011 what is said has no setting 'word' (names: alternatives, confidence, text)",
    ),
    "no words": ("says: {confidence: 0.5}", "E012 what is said needs 'text' (add text: the words that are said)"),
    "how long": ("mumbles: 5", "E021 '5' has no unit (write 5s)"),
    "what": ("hearing: no", "E024 'no' is not one of the choices (write works or fails)"),
}


@pytest.mark.parametrize(("step", "expected"), REFUSED.values(), ids=REFUSED)
def test_refuses(step: str, expected: str, tmp_path: Path) -> None:
    found = suite(tmp_path, in_a_list(f"steps: [{step}]")).problems
    assert expected in [f"{one.code} {one.message} ({one.help})" for one in found]
    assert {one.place.line for one in found} == {4}


@pytest.mark.parametrize(
    ("move", "step"),
    [
        (Saying(Said("operator")), "says: 'operator'"),
        (Saying(Said("it's me"), talks_over=True), "{says: 'it''s me', talks_over: yes}"),
        (
            Saying(Said("a", 0.4, (Alternative("b", 0.333), Alternative("c")))),
            "says: {text: 'a', confidence: 0.4, alternatives: "
            "[{text: 'b', confidence: 0.333}, {text: 'c', confidence: 0.3}]}",
        ),
        (Mumbling(1.5), "mumbles: 1.5s"),
        (Mumbling(1.0, talks_over=True), "{mumbles: 1s, talks_over: yes}"),
        (HearingFails(fails=True), "hearing: fails"),
        (HearingFails(fails=False), "hearing: works"),
    ],
)
def test_what_is_written_is_read_again(move: Move, step: str, tmp_path: Path) -> None:
    written = as_test("the test", moves=[move])
    assert f"      - {step}\n" in written
    loaded = suite(tmp_path, f"tests:\n{written}")
    assert not loaded.problems
    read = loaded.cases[0].steps[0]
    match move:
        case Saying(said, talks_over):
            assert (read.said, read.talks_over) == (said, talks_over)  # type: ignore[union-attr]
        case Mumbling(seconds, talks_over):
            assert (read.seconds, read.talks_over) == (seconds, talks_over)  # type: ignore[union-attr]


def test_exits_that_were_reached_by_words_are_covered(tmp_path: Path) -> None:
    results = all_acted(
        tmp_path,
        "tests:\n"
        "  - {name: a, steps: [says: sales, says: rent]}\n"
        "  - {name: b, steps: [says: sales, says: it rains]}\n"
        "  - {name: c, steps: [says: order, says: 1235, says: no]}\n",
    )
    records = [record for result in results for record in result.records]
    seen = coverage(results[0].case.flow, records, [result.path for result in results])
    missing = [name for name in seen.not_seen if name.startswith(("welcome.", "sales.", "number."))]
    assert set(missing) == {
        *("welcome.0", "welcome.5", "welcome.failed", "sales.buy", "sales.failed"),
        *("number.step 1.failed", "number.step 2.yes", "number.step 2.failed"),
    }


# Random callers. -----------------------------------------------------------------------------------------------


def broken(folder: Path, flow: str, properties: str) -> list[Broken]:
    tests = f"tests: [{{name: one, expect: {{ended_by: flow}}}}]\nproperties: [{properties}]\n"
    loaded = suite(folder, tests, flow)
    assert not loaded.problems
    assert loaded.tested is not None
    return wander(loaded.tested, SITE, loaded.properties)


TRAP = """\
blocks:
  welcome:
    - menu: {prompt: main_menu, keys: {'1': {say: 'let me out', go: trap}, '*': bye}, tries: 2, failed: bye}
  trap:
    - ask: {prompt: where, intents: {out: {say: exit, go: bye}, in: {say: deeper, go: nowhere}}, tries: 1, failed: bye}
  nowhere:
    - pause: 30s
    - hangup
  bye: [{say: 'Bye.'}, hangup]
"""


def test_random_callers_say_what_is_listened_for(tmp_path: Path) -> None:
    (found,) = broken(tmp_path, HEAD + "on_error: bye\n" + TRAP, "{never: {silence_longer_than: 25s}}")
    steps = [line.strip() for line in found.test.splitlines() if line.startswith("      - ")]
    assert any("deeper" in step for step in steps), found.test
    result = all_acted(tmp_path, f"tests:\n{found.test}", HEAD + "on_error: bye\n" + TRAP)
    assert [one.passed for one in result] == [False]


def test_what_holds_for_callers_who_speak_is_not_broken(tmp_path: Path) -> None:
    holds = (
        "{never: {silence_longer_than: 1m, speak_after: hangup}}, {always: {end_within: 1h, every_call_has: ended_by}}"
    )
    assert broken(tmp_path, HEAD + SHOP, holds) == []
