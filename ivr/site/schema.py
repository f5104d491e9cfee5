"""The JSON Schema of the site file, made from the parts the loader reads. It never refuses what ``ivr check`` takes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from ivr.flow.kinds import NAME, ListOf, OneOf, Text
from ivr.flow.schema import DIALECT
from ivr.flow.settings import Kind, Schema, record_schema, schema_of
from ivr.site.calendars import Zone
from ivr.site.kinds import SEAT, USER, Country, DatabaseUrl, GroupMembers
from ivr.site.loader import PARTS
from ivr.site.storage import Size

VALUES: Final[Mapping[str, Kind[Any]]] = MappingProxyType(
    {
        "flows": ListOf(Text("a path", 1000), 1),
        "prompts": Text("a path", 1000),
        "records": DatabaseUrl(),
        "spool": Size(),
        "groups.NAME": GroupMembers(),
        "secrets": Text("a path", 1000),
        "country": Country(),
        "zone": Zone(),
        "reload": OneOf(("auto", "manual")),
    }
)
"""How the parts are written that are one value."""

SHORT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "numbers": "flow",
        "seats": "password",
        "clients": "password",
        "webhooks": "url",
        "speech.voices": "voice",
        "recognition": "engine",
    }
)
"""Where one value alone stands for several settings: the setting it is."""

_KEYS: Final[Mapping[str, Schema]] = MappingProxyType(
    {
        "NAME": {"pattern": f"^(?:{NAME.pattern})$"},
        "'SEAT'": {"pattern": f"^(?:{SEAT.pattern})$"},
        "'USER'": {"pattern": f"^(?:{USER.pattern})$"},
    }
)


def site_schema() -> Schema:
    """The schema of one site file."""
    properties: dict[str, Schema] = {}
    for path in PARTS:
        name, _, rest = path.partition(".")
        properties[name] = _part(path, name, rest)
    return {
        "$schema": DIALECT,
        "title": "A site: addresses, numbers, telephones",
        "type": "object",
        "required": ["numbers"],
        "properties": properties,
        "additionalProperties": False,
    }


def _part(path: str, name: str, rest: str) -> Schema:
    """The part at ``name``; ``rest`` is what the names below it are."""
    if not rest:
        return _value(path, name)
    below, _, further = rest.partition(".")
    if further:
        inner = _part(path, f"{name}.{below}", further)
        return {"type": "object", "properties": {below: inner}, "required": [below], "additionalProperties": False}
    found: Schema = {"type": ["object", "null"], "additionalProperties": _value(path, name)}
    if name == "numbers":
        found["type"] = "object"
    return {**found, "propertyNames": _KEYS[below]} if below in _KEYS else found


def _value(path: str, name: str) -> Schema:
    part = PARTS[path]
    if isinstance(part, tuple):
        return {**schema_of(VALUES[path]), "description": f"{part[2]} ({part[0]})"}
    long = record_schema(part)
    return {"anyOf": [long["properties"][SHORT[name]], long]} if name in SHORT else long
