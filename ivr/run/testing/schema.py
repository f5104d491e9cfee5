"""The JSON Schema of files of tests, made from the steps and settings they are read by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ivr.flow.kinds import ListOf, Text, YesNo
from ivr.flow.schema import DIALECT
from ivr.flow.settings import Schema, record_schema, schema_of, text_schema
from ivr.run.testing.hearing import Lengths
from ivr.run.testing.kinds import HOLE, CalendarName
from ivr.run.testing.mocks import KINDS
from ivr.run.testing.model import PROPERTIES, STEPS, Caller, Expect, Floor


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
                "properties": {"call": record_schema(Caller), "prompts": schema_of(Lengths()), **_mocks()},
                "additionalProperties": False,
            },
            "gate": _GATE,
            "tests": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/test"}},
            "properties": _properties(record_schema),
            "coverage": {"description": "what the tests must go through", **record_schema(Floor)},
        },
        "additionalProperties": False,
        "$defs": {"test": _test(), "step": {"anyOf": [*map(_with_holes, STEPS.values()), HOLE]}},
    }


_GATE: Schema = {**schema_of(YesNo()), "description": "whether flows go live only if these tests pass"}


def _mocks() -> dict[str, Schema]:
    """The lists of mocks beside the other settings."""
    mocks = {word: _with_holes(kind) for word, kind in KINDS.items()}
    return {word: {"anyOf": [{"type": "array", "items": mock}, mock]} for word, mock in mocks.items()}


def _properties(schema: Callable[[type[Any]], Schema]) -> Schema:
    words = {word: schema(kind) for word, kind in PROPERTIES.items()}
    one = {"type": "object", "properties": words, "additionalProperties": False, "maxProperties": 1}
    return {"anyOf": [{"type": "array", "items": one}, one]}


def _test() -> Schema:
    return {
        "type": "object",
        "required": ["name"],
        "anyOf": [{"required": [word]} for word in ("steps", "expect", "properties")],
        "properties": {
            "name": schema_of(Text("what should happen", 200)),
            "call": {"anyOf": [_with_holes(Caller), HOLE]},
            "closed": {"description": "calendars closed by hand", **schema_of(ListOf(CalendarName(), 1))},
            "each": {
                "description": "names and lists of values: a test for every combination, {name} filled in",
                "type": "object",
                "minProperties": 1,
                "additionalProperties": schema_of(ListOf(Text("a value"), 1)),
            },
            "steps": {"type": "array", "items": {"$ref": "#/$defs/step"}},
            "expect": {"anyOf": [_with_holes(Expect), HOLE]},
            "properties": {"anyOf": [_properties(_with_holes), HOLE]},
            "gate": _GATE,
            **_mocks(),
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
