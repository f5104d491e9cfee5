"""The schema of files of tests and their loader agree: what the loader takes and refuses elsewhere is tried here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from ivr.flow.settings import settings_of
from ivr.run.testing.model import STEPS, Caller, Expect
from ivr.run.testing.schema import suite_schema
from tests.cli.commands import ivr
from tests.flow.test_schema import seen_by_an_editor
from tests.run.test_testing import FAIL, PASS, REFUSED, suite

ROOT = Path(__file__).parents[2]
VALIDATOR = Draft202012Validator(suite_schema())


def faults(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(seen_by_an_editor(text))]


def in_a_file(case: str) -> str:
    lines = "".join(f"    {line}\n" for line in case.strip().splitlines())
    return f"flow: sample\ntests:\n  - name: the test\n{lines}"


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(suite_schema())


def test_every_setting_has_a_form() -> None:
    kinds = {type(one.kind) for record in (*STEPS.values(), Caller, Expect) for _, one in settings_of(record)}
    assert {kind.__name__ for kind in kinds if not hasattr(kind, "schema")} == set()


@pytest.mark.parametrize("case", [*PASS.values(), *(case for case, _ in FAIL.values())], ids=[*PASS, *FAIL])
def test_what_can_be_acted_the_schema_takes(case: str) -> None:
    assert faults(in_a_file(case)) == []


@pytest.mark.parametrize("file", sorted(ROOT.glob("flows/**/*.test.yaml")), ids=lambda file: file.name)
def test_the_samples_are_valid(file: Path) -> None:
    assert faults(file.read_text("utf-8")) == []


EACH = """\
tests:
  - name: 7
    call: {from: '{from}', to: 1000, at: '2026-03-02 10:00:30'}
    each: {deed: [busy, no_answer], from: ['1', 2], block: main_menu, tries: [1, 2], word: wait, time: 2s, key: [4]}
    steps:
      - {press: 1, after: '{block}'}
      - {press: '{key}'}
      - {seat: '2003', does: '{deed}'}
      - '{word}': '{time}'
    expect: {tries: {'{block}': '{tries}'}}
"""


def test_names_that_each_fills_in_can_stand_for_anything(tmp_path: Path) -> None:
    assert suite(tmp_path, EACH).problems == ()
    assert faults("flow: sample\n" + EACH) == []


BY_NAME = {"names of other files", "the same name"}
"""What is refused for its meaning, not its form."""


@pytest.mark.parametrize("name", [name for name in REFUSED if name not in BY_NAME])
def test_what_has_the_wrong_form_the_schema_refuses(name: str) -> None:
    assert faults("flow: sample\n" + REFUSED[name][0])


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_what_has_the_wrong_meaning_is_left_to_the_check(name: str) -> None:
    assert faults("flow: sample\n" + REFUSED[name][0]) == []


def test_the_command_prints_it() -> None:
    assert json.loads(ivr("schema", "test").stdout) == suite_schema()
