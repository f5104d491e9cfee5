"""The JSON Schema of flow files, made from the registry that reads them: what editors complete and underline.

It refuses what has the wrong form; what a form cannot tell (blocks that are not there, variables that are not set)
is left to ``ivr check``. It never refuses what the check takes.
"""

from __future__ import annotations

from typing import Any, Final

from ivr.flow.functions import FUNCTIONS
from ivr.flow.kinds import NAME, OneOf, Text, YesNo
from ivr.flow.nodes import VERBS, Exit, Verb
from ivr.flow.nodes.questions import InputGroup
from ivr.flow.reading import HEAD, TYPES
from ivr.flow.settings import Schema, group_schema, record_schema, schema_of, settings_of, text_schema
from ivr.flow.types import RESERVED

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_NAMES: Final[Schema] = {"pattern": f"^(?:{NAME.pattern})$"}


def flow_schema() -> Schema:
    """The schema of one flow file."""
    head = {name: {**schema_of(kind), "description": doc} for name, (kind, doc) in HEAD.items()}
    return {
        "$schema": DIALECT,
        "title": "A flow: what callers of a number hear and where they get",
        "type": "object",
        "required": ["flow", "start", "blocks"],
        "properties": {
            **head,
            "vars": _variables(),
            "input": {
                "description": "how an answer is awaited where a step does not say otherwise",
                "type": "object",
                "properties": group_schema(InputGroup()),
                "additionalProperties": False,
            },
            "blocks": {
                "description": "blocks by name, each a list of steps",
                "type": "object",
                "minProperties": 1,
                "propertyNames": _NAMES,
                "additionalProperties": {"$ref": "#/$defs/block"},
            },
        },
        "additionalProperties": False,
        "$defs": {"block": _block(), "step": _step(), **{f"verb-{name}": _verb(verb) for name, verb in VERBS.items()}},
    }


def _variables() -> Schema:
    type_ = schema_of(OneOf(TYPES))
    marks = dict.fromkeys(("secret", "param"), schema_of(YesNo()))
    settings = {"type": type_, "default": {"not": {"type": "null"}}, **marks}
    long = {"type": "object", "properties": settings, "required": ["type"], "additionalProperties": False}
    taken = sorted(RESERVED | FUNCTIONS.keys())
    return {
        "description": "variables: name: type, or name: {type: …, default: …, secret: yes}",
        "type": ["object", "null"],
        "propertyNames": {**_NAMES, "not": {"enum": taken}},
        "additionalProperties": {"anyOf": [type_, long]},
    }


def _block() -> Schema:
    steps: Schema = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/step"}}
    titled = {
        "type": "object",
        "properties": {"title": schema_of(Text()), "steps": steps, "renamed_from": _NAMES},
        "required": ["steps"],
        "additionalProperties": False,
    }
    return {"anyOf": [steps, titled]}


def _step() -> Schema:
    """One verb, bare if it needs nothing."""
    bare = {"enum": [verb.name for verb in VERBS.values() if not _needed(verb)]}
    verbs = {name: {"$ref": f"#/$defs/verb-{name}"} for name in VERBS}
    one = {
        "type": "object",
        "properties": verbs,
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    }
    return {"anyOf": [bare, one]}


def _verb(verb: Verb) -> Schema:
    exits = {exit.name: _exit(verb, exit) for exit in verb.exits if exit.unwired != "failed"}
    long = record_schema(verb.settings, others=exits)
    if needed := _needed(verb):
        long["required"] = needed
    if verb.further:
        long["additionalProperties"] = {**text_schema(), "description": f"the block to go to: {verb.further}"}
    forms: list[Schema] = []
    if verb.short is not None:
        forms.append(long["properties"][verb.short])
    if not verb.whole:
        forms.append(long)
    if not needed:
        forms.append({"type": "null"})
    return {"description": f"{verb.summary}\n\n{verb.example}", "anyOf": forms}


def _needed(verb: Verb) -> list[str]:
    exits = [exit.name for exit in verb.exits if exit.unwired == "must" and not exit.never[0]]
    return [*(one.name for _, one in settings_of(verb.settings) if one.required), *exits]


def _exit(verb: Verb, exit: Exit) -> Schema:
    """A block; or, where the exit is divided, a block for each part."""
    block: Schema = text_schema()
    parts = verb.parts(exit.name)
    found: dict[str, Any] = {"description": f"the block to go to: {exit.meaning}"}
    if not parts:
        return {**block, **found}
    names = dict.fromkeys((*parts, exit.name), block)
    return {**found, "anyOf": [block, {"type": "object", "properties": names, "additionalProperties": False}]}
