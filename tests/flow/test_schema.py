"""The schema for editors and the check agree: both are made from one registry, and here they are compared."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from ivr.flow.loader import load_flows
from ivr.flow.nodes import VERBS
from ivr.flow.schema import flow_schema
from ivr.flow.settings import groups_of, settings_of
from tests.cli.commands import ivr

ROOT = Path(__file__).parents[2]
BROKEN = sorted((ROOT / "tests/flow/broken").glob("*.yaml"))
VALIDATOR = Draft202012Validator(flow_schema())


class EditorLoader(yaml.SafeLoader):
    """YAML 1.2 as editors type it: only true, false, null and numbers are not text."""


EditorLoader.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
):
    EditorLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))


def seen_by_an_editor(text: str) -> Any:
    def with_text_keys(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): with_text_keys(item) for key, item in value.items()}
        return [with_text_keys(item) for item in value] if isinstance(value, list) else value

    return with_text_keys(yaml.load(text, EditorLoader))


def valid(text: str) -> bool:
    return bool(VALIDATOR.is_valid(seen_by_an_editor(text)))


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(flow_schema())


def test_what_the_check_takes_the_schema_takes() -> None:
    samples = [path for path in ROOT.glob("flows/**/*.yaml") if ".test." not in path.name]
    # They call each other.
    assert load_flows([ROOT / "flows"]).ok
    warned = [path for path in BROKEN if path.name.startswith("W")]
    assert min(len(samples), len(warned)) > 4
    for path in warned:
        assert load_flows([path]).ok, path
    for path in (*samples, *warned):
        assert [error.message for error in VALIDATOR.iter_errors(seen_by_an_editor(path.read_text("utf-8")))] == []


def test_examples_of_the_reference_are_valid() -> None:
    step = VALIDATOR.evolve(schema={"$ref": "#/$defs/step", "$defs": flow_schema()["$defs"]})
    for verb in VERBS.values():
        (example,) = seen_by_an_editor(verb.example)
        assert [error.message for error in step.iter_errors(example)] == [], verb.name


STRUCTURAL = ("E011", "E012", "E013", "E014", "E015", "E021", "E022", "E023", "E024")


@pytest.mark.parametrize("path", [path for path in BROKEN if path.stem[:4] in STRUCTURAL], ids=lambda path: path.stem)
def test_what_has_the_wrong_form_the_schema_refuses(path: Path) -> None:
    assert not valid(path.read_text("utf-8"))


FLOW = "flow: main\nstart: a\non_error: a\nblocks:\n  a:\n    - {step}\n    - hangup\n"


@pytest.mark.parametrize(
    "step",
    [
        "pause: 2s",
        "say: 5",
        "say: true",
        "play: {prompt: hello, barge_in: no}",
        "play: {prompt: hello, barge_in: false}",
        "play: {say: hello}",
        "play: [hello, {say: there}]",
        "collect: {into: x, prompt: hello, digits: 8, tries: 2}",
        "collect: {into: x, prompt: hello, digits: '8', tries: '2', finish_key: none}",
        "collect: {into: x, prompt: hello, digits: 4..8, finish_key: 5}",
        "collect: {into: x, prompt: hello, failed: {no_input: a, no_match: a}}",
        "menu: {prompt: hello, keys: {1: a, '20XX': {go: a}}}",
        "tag: {order: 5}",
        "answer:",
        "answer",
    ],
)
def test_values_as_editors_type_them(step: str) -> None:
    assert valid(FLOW.format(step=step))


def test_kinds_without_a_schema_of_their_own_are_known() -> None:
    kinds = {type(one.kind) for verb in VERBS.values() for _, one in settings_of(verb.settings)}
    groups = [group for verb in VERBS.values() for _, group in groups_of(verb.settings)]
    kinds |= {type(kind) for group in groups for kind, _ in group.names.values()}
    assert {kind.__name__ for kind in kinds if not hasattr(kind, "schema")} == set()


def test_the_command_prints_it(tmp_path: Path) -> None:
    assert json.loads(ivr("schema").stdout) == flow_schema()
