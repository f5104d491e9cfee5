"""What a field of a message may hold: each kind reads a value from JSON and tells its JSON Schema. Knows no message."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from typing import Any, Final, Protocol

__all__ = [
    "Flag",
    "Items",
    "Kind",
    "Kinds",
    "Nested",
    "OneOf",
    "ProtocolError",
    "Schema",
    "Spec",
    "Text",
    "Whole",
    "described",
    "example",
    "in_wire_form",
    "open_to_more",
    "read_fields",
    "schema_of",
    "specs_of",
]

Schema = dict[str, Any]

_WORDS: Final = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
}
_SAFE_INTEGER: Final = 2**53 - 1
"""What JavaScript counts to without error."""


class ProtocolError(Exception):
    """A request that cannot be done: a code of :data:`gateway.rtc.errors.CODES`, and words with place and remedy."""

    def __init__(self, code: str, text: str, *, retry_ms: int | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.retry_ms = retry_ms
        """When it is worth another try, if only the time was wrong."""


class Kind(Protocol):
    def read(self, value: object, place: str) -> Any:
        """The value as Python has it.

        Raises:
            ProtocolError: it is not of this kind.
        """

    def schema(self) -> Schema: ...


def _wrong(value: object, place: str, wanted: str) -> ProtocolError:
    found = "null" if value is None else _WORDS.get(type(value), "something else")
    return ProtocolError("bad_field", f"{place} is {found}; it must be {wanted}")


@dataclass(frozen=True, slots=True)
class Text:
    """A string, measured in bytes of UTF-8."""

    max_bytes: int
    min_bytes: int = 1
    printable: bool = False
    """For names and numbers, which go into logs and other people's messages: one line, nothing invisible."""
    pattern: str | None = None
    pattern_words: str = ""

    def read(self, value: object, place: str) -> str:
        if not isinstance(value, str):
            raise _wrong(value, place, "text")
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            raise ProtocolError(
                "bad_field", f"{place} is not valid Unicode: half of a surrogate pair is missing"
            ) from None
        if size > self.max_bytes:
            raise ProtocolError("too_long", f"{place} is {size} bytes of UTF-8, at most {self.max_bytes} are allowed")
        if size < self.min_bytes:
            raise ProtocolError("bad_field", f"{place} is empty; it must have a value")
        if self.printable and not value.isprintable():
            raise ProtocolError("bad_field", f"{place} has characters that cannot be seen; leave them out")
        if self.pattern is not None and re.fullmatch(self.pattern, value) is None:
            raise ProtocolError("bad_field", f"{place} must be {self.pattern_words}")
        return value

    def schema(self) -> Schema:
        schema: Schema = {"type": "string", "maxLength": self.max_bytes}
        if self.min_bytes:
            schema["minLength"] = 1
        if self.pattern is not None:
            schema["pattern"] = f"^{self.pattern}$"
        elif self.printable:
            schema["pattern"] = r"^[^\u0000-\u001f\u007f-\u009f]*$"
        return schema


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number."""

    lowest: int = 0
    highest: int = _SAFE_INTEGER

    def read(self, value: object, place: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong(value, place, "a whole number")
        if not self.lowest <= value <= self.highest:
            raise ProtocolError("bad_field", f"{place} must be a whole number from {self.lowest} to {self.highest}")
        return value

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.lowest, "maximum": self.highest}


@dataclass(frozen=True, slots=True)
class Flag:
    def read(self, value: object, place: str) -> bool:
        if not isinstance(value, bool):
            raise _wrong(value, place, "true or false")
        return value

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of some words."""

    words: tuple[str, ...]

    def read(self, value: object, place: str) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise ProtocolError("bad_field", f"{place} must be one of: {', '.join(self.words)}")
        return value

    def schema(self) -> Schema:
        return {"type": "string", "enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class Items:
    """A list of values of one kind."""

    kind: Kind
    most: int
    least: int = 0

    def read(self, value: object, place: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _wrong(value, place, "a list")
        if len(value) > self.most:
            raise ProtocolError("too_long", f"{place} has {len(value)} entries, at most {self.most} are allowed")
        if len(value) < self.least:
            raise ProtocolError("bad_field", f"{place} is empty; it must have an entry")
        return tuple(self.kind.read(item, f"{place}[{number}]") for number, item in enumerate(value))

    def schema(self) -> Schema:
        schema: Schema = {"type": "array", "items": self.kind.schema(), "maxItems": self.most}
        return schema | {"minItems": self.least} if self.least else schema


@dataclass(frozen=True, slots=True)
class Kinds:
    """An object whose keys are texts and whose values are of one kind. Only the server says such."""

    value: Kind

    def read(self, value: object, place: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _wrong(value, place, "an object")
        return {key: self.value.read(item, f"{place}.{key}") for key, item in value.items()}

    def schema(self) -> Schema:
        return {"type": "object", "additionalProperties": self.value.schema()}


@dataclass(frozen=True, slots=True)
class Nested:
    """An object that is a dataclass of fields here."""

    of: type[Any]

    def read(self, value: object, place: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong(value, place, "an object")
        return read_fields(self.of, value, f"{place}.")

    def schema(self) -> Schema:
        return schema_of(self.of)


@dataclass(frozen=True, slots=True)
class Spec:
    """What a dataclass field of a message carries."""

    kind: Kind
    text: str
    example: object
    name: str
    """On the wire."""
    required: bool


def described(
    kind: Kind, text: str, *, example: object = None, default: object = MISSING, wire: str | None = None
) -> Any:
    """A dataclass field with its kind and what it means; ``wire`` where Python has the name for itself."""
    metadata = {"kind": kind, "text": text, "example": example, "wire": wire}
    if default is MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


_known: dict[type[Any], dict[str, Spec]] = {}


def specs_of(message: type[Any]) -> Mapping[str, Spec]:
    """The fields of a dataclass by their Python names."""
    specs = _known.get(message)
    if specs is None:
        specs = _known[message] = {
            field.name: Spec(
                field.metadata["kind"],
                field.metadata["text"],
                field.metadata["example"],
                field.metadata["wire"] or field.name,
                field.default is MISSING,
            )
            for field in dataclasses.fields(message)
        }
    return specs


def read_fields(message: type[Any], value: Mapping[str, Any], place: str = "", *, besides: tuple[str, ...] = ()) -> Any:
    """Make the dataclass from an object. ``null`` is as good as absent for what need not be there.

    Raises:
        ProtocolError: a field is missing, wrong or unknown.
    """
    found: dict[str, Any] = {}
    specs = specs_of(message)
    for name, spec in specs.items():
        item = value.get(spec.name)
        if item is None and not spec.required:
            continue
        if spec.name not in value:
            raise ProtocolError("bad_field", f"{place}{spec.name} is missing: {spec.text}")
        found[name] = spec.kind.read(item, f"{place}{spec.name}")
    allowed = {spec.name for spec in specs.values()}
    for key in value:
        if key not in allowed and key not in besides:
            known = ", ".join(sorted(allowed)) or "none"
            shown = key.encode("utf-8", "replace").decode()[:40]
            raise ProtocolError("bad_field", f"{place}{shown!r} is not known here; fields are: {known}")
    return message(**found)


def in_wire_form(message: Any) -> dict[str, Any]:
    """The object to send: what is None is left out."""
    found: dict[str, Any] = {}
    for name, spec in specs_of(type(message)).items():
        value = getattr(message, name)
        if value is not None:
            found[spec.name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return in_wire_form(value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


def schema_of(message: type[Any], *, more: Mapping[str, Schema] | None = None) -> Schema:
    """The JSON Schema of a dataclass; ``more`` goes before its own properties, and is required."""
    properties: dict[str, Schema] = {name: dict(schema) for name, schema in (more or {}).items()}
    required = list(properties)
    for spec in specs_of(message).values():
        schema = spec.kind.schema()
        if not spec.required:
            schema["type"] = [schema["type"], "null"]
        limit = f" At most {spec.kind.max_bytes} bytes of UTF-8." if isinstance(spec.kind, Text) else ""
        properties[spec.name] = {"description": spec.text + limit, **schema}
        if spec.required:
            required.append(spec.name)
    found: Schema = {"type": "object", "properties": properties}
    if required:
        found["required"] = required
    found["additionalProperties"] = False
    return found


def open_to_more(schema: Schema) -> Schema:
    """The same schema, to which an object with further fields is none the worse."""
    found: Schema = {key: value for key, value in schema.items() if (key, value) != ("additionalProperties", False)}
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), dict):
            found[key] = open_to_more(found[key])
    if "properties" in found:
        found["properties"] = {name: open_to_more(inner) for name, inner in found["properties"].items()}
    return found


def example(message: type[Any]) -> dict[str, Any]:
    """A sample of the message, from the samples of its fields."""
    found: dict[str, Any] = {}
    for spec in specs_of(message).values():
        value = spec.example
        if value is None and isinstance(spec.kind, Nested):
            value = example(spec.kind.of)
        if value is None and isinstance(spec.kind, OneOf):
            value = spec.kind.words[0]
        if value is not None:
            found[spec.name] = value
    return found
