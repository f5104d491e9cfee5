"""The JSON Schema of files of tests, made from the steps and settings they are read by."""

from __future__ import annotations

from typing import Any

from ivr.flow.kinds import ListOf, Text
from ivr.flow.schema import DIALECT
from ivr.flow.settings import Schema, record_schema, schema_of, text_schema
from ivr.run.testing.kinds import HOLE, Lengths
from ivr.run.testing.model import STEPS, Caller, Expect


def suite_schema() -> Schema:
    """The schema of one file of tests. It never refuses what the check takes."""
    return {
        "$schema": DIALECT,
        "title": "Tests of a flow: calls, what is acted in each, what must come of it",
        "type": "object",
        "required": ["flow", "tests"],
        "properties": {
            "flow": {**text_schema(), "description": "the name of the flow that is tested"},
            "defaults": {
                "description": "what holds for every test that does not say otherwise",
                "type": "object",
                "properties": {"call": record_schema(Caller), "prompts": schema_of(Lengths())},
                "additionalProperties": False,
            },
            "tests": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/test"}},
        },
        "additionalProperties": False,
        "$defs": {"test": _test(), "step": {"anyOf": [*map(_with_holes, STEPS.values()), HOLE]}},
    }


def _test() -> Schema:
    return {
        "type": "object",
        "required": ["name"],
        "anyOf": [{"required": ["steps"]}, {"required": ["expect"]}],
        "properties": {
            "name": schema_of(Text("what should happen", 200)),
            "call": {"anyOf": [_with_holes(Caller), HOLE]},
            "each": {
                "description": "names and lists of values: a test for every combination, {name} filled in",
                "type": "object",
                "minProperties": 1,
                "additionalProperties": schema_of(ListOf(Text("a value"), 1)),
            },
            "steps": {"type": "array", "items": {"$ref": "#/$defs/step"}},
            "expect": {"anyOf": [_with_holes(Expect), HOLE]},
        },
        "additionalProperties": False,
    }


def _with_holes(record: type[Any]) -> Schema:
    """The settings of a record, each of which may hold a ``{name}`` that ``each`` fills in."""
    found = record_schema(record)
    holes = {
        name: {"description": one["description"], "anyOf": [one, HOLE]} for name, one in found["properties"].items()
    }
    return {**found, "properties": holes}
