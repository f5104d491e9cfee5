"""Settings: typed values read from the nodes of a file into frozen dataclasses.

A dataclass says with :func:`setting` how each of its fields is written; :func:`read_record` does the rest: unknown
and missing names, wrong types, all reported with place and remedy. Verbs and the site file are read by this.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, KeysView, Mapping
from dataclasses import MISSING, dataclass
from functools import lru_cache
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from ivr.flow.model import InputSettings
from ivr.flow.problem import Problem, did_you_mean
from ivr.flow.source import MappingNode, Node, ScalarNode

T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")


class Reader:
    """Collects what is found on the way: problems, and the exits that kinds of settings bring with them."""

    def __init__(self, input: InputSettings | None = None) -> None:
        self.problems: list[Problem] = []
        self.wires: dict[str, ScalarNode] = {}
        """Exits of the step being read: name to the node naming the block, which is empty if unreadable."""
        self.keys: dict[str, ScalarNode] = {}
        """Key patterns of the step being read, and where they stand."""
        self.input = input or InputSettings()
        """The flow's defaults for waiting for an answer."""
        self.languages: tuple[str, ...] = ("en",)
        """Those of the flow."""
        self.step: Callable[[Node, Reader], Any] | None = None
        """Reads a step that stands within the settings of another."""

    def problem(self, code: str, node: Node, message: str, help: str = "") -> None:
        self.problems.append(Problem(code, node.place, message, help, node.length))

    def problem_at(
        self, code: str, node: ScalarNode, offset: int, message: str, help: str = "", length: int = 1
    ) -> None:
        self.problems.append(Problem(code, node.place_at(offset), message, help, length))

    def wire(self, exit: str, node: Node) -> None:
        """The exit leads to the block this node names."""
        if isinstance(node, ScalarNode) and node.text:
            self.wires[exit] = node
        else:
            self.wires[exit] = ScalarNode("", node.place)
            self.problem("E020", node, f"the name of a block is missing for '{exit}'", "write the name of one block")


class Kind(Protocol[T_co]):
    """How one type of value is written.

    For the DSL a kind may have ``dsl``: how its values are spelt there (word, text, expression, prompt or steps;
    word if it has none), and ``entry``: the word that begins each entry of a mapping whose values lead to blocks,
    then the names of what may stand before the arrow, values first and steps in braces last.
    """

    def read(self, node: Node, reader: Reader) -> T_co | None:
        """The value, or None after reporting why there is none."""

    def describe(self) -> str:
        """For the reference: what can be written, in a few words."""


Schema = dict[str, Any]
"""A JSON Schema (2020-12)."""


def text_schema(pattern: str | None = None) -> Schema:
    """A word or text. Everything is text to us; an editor takes a bare 5 for a number and a bare true for a boolean."""
    if pattern is None:
        return {"type": ["string", "number", "boolean"]}
    return {"anyOf": [{"type": "string", "pattern": f"^(?:{pattern})$"}]}


def schema_of(kind: Kind[Any]) -> Schema:
    """The kind's own ``schema()``. A kind without one takes anything: a schema refuses nothing that the check takes."""
    own = getattr(kind, "schema", None)
    made: Schema = {} if own is None else own()
    return {"description": kind.describe(), **made}


def record_schema(record: type[Any], *, others: Mapping[str, Schema] | None = None) -> Schema:
    """The settings of a dataclass as :func:`read_record` reads them. ``others`` stand beside them."""
    properties: dict[str, Schema] = {}
    for _, one in settings_of(record):
        properties[one.name] = {**schema_of(one.kind), "description": f"{one.doc} ({one.kind.describe()})"}
    for _, group in groups_of(record):
        properties |= group_schema(group)
    required = [one.name for _, one in settings_of(record) if one.required]
    found: Schema = {"type": "object", "properties": {**properties, **(others or {})}, "additionalProperties": False}
    return {**found, "required": required} if required else found


def group_schema(group: Group[Any]) -> dict[str, Schema]:
    """The settings of a group, by name."""
    return {
        name: {**schema_of(kind), "description": f"{doc} ({kind.describe()})"}
        for name, (kind, doc) in group.names.items()
    }


@dataclass(frozen=True)
class Setting(Generic[R]):
    """What is known of one field."""

    name: str
    """As written in the file; differs from the field's name where that would be a Python word."""
    kind: Kind[R]
    doc: str
    required: bool
    inherits: bool
    """Unset, it takes the flow's ``input`` default of the same name."""


class Group(Protocol[T_co]):
    """Several settings that stand beside the others and make one value."""

    names: Mapping[str, tuple[Kind[Any], str]]
    """Name to kind and doc."""

    def read_from(self, node: MappingNode, reader: Reader) -> T_co | None:
        """The value, or None after reporting why there is none."""


def setting(
    kind: Kind[Any],
    doc: str,
    *,
    default: Any = MISSING,
    name: str | None = None,
    inherits: bool = False,
    repr: bool = True,
) -> Any:
    """A dataclass field that is read from a file. Without ``default`` the operator must write it."""
    metadata = {"kind": kind, "doc": doc, "name": name, "inherits": inherits}
    if isinstance(default, dict | list):
        raise TypeError("a default is shared: give a tuple or a mapping proxy")
    return dataclasses.field(default=default, metadata=metadata, repr=repr)


def settings_group(group: Group[Any], default: Any) -> Any:
    """A dataclass field made of several settings."""
    return dataclasses.field(default=default, metadata={"group": group})


def groups_of(record: type[Any]) -> tuple[tuple[str, Group[Any]], ...]:
    """The fields of a dataclass that are made of several settings."""
    kind: Any = record
    return _groups_of(kind)


@lru_cache(maxsize=500)
def _groups_of(record: Any) -> tuple[tuple[str, Group[Any]], ...]:
    return tuple(
        (field.name, field.metadata["group"]) for field in dataclasses.fields(record) if "group" in field.metadata
    )


def settings_of(record: type[Any]) -> tuple[tuple[dataclasses.Field[Any], Setting[Any]], ...]:
    """The fields of a dataclass that are read from a file, in order."""
    kind: Any = record
    return _settings_of(kind)


@lru_cache(maxsize=500)
def _settings_of(record: Any) -> tuple[tuple[dataclasses.Field[Any], Setting[Any]], ...]:
    found = []
    for field in dataclasses.fields(record):
        if "kind" not in field.metadata:
            continue
        meta = field.metadata
        required = field.default is MISSING and field.default_factory is MISSING
        found.append(
            (
                field,
                Setting(meta["name"] or field.name, meta["kind"], meta["doc"], required, meta["inherits"]),
            )
        )
    return tuple(found)


class _Way(NamedTuple):
    """How a dataclass is read: what is looked up for each of its instances."""

    settings: tuple[tuple[str, Setting[Any]], ...]
    """By field."""
    groups: tuple[tuple[str, Group[Any]], ...]
    names: KeysView[str]
    """What can be written, in order."""


@lru_cache(maxsize=500)
def _way_of(record: Any) -> _Way:
    settings, groups = settings_of(record), groups_of(record)
    names = [*(one.name for _, one in settings), *(name for _, group in groups for name in group.names)]
    return _Way(tuple((field.name, one) for field, one in settings), groups, dict.fromkeys(names).keys())


def read_record(
    record: type[R],
    node: Node,
    reader: Reader,
    what: str,
    *,
    others: Collection[str] = (),
    later: Collection[str] = (),
    given: Mapping[str, object] | None = None,
) -> R | None:
    """An instance of the dataclass, or None if something in it is wrong.

    ``what`` names the thing in messages; ``others`` are names that stand beside the settings and are read elsewhere;
    ``later`` are names this version does not have yet; ``given`` are values of fields that are not in the file.
    """
    if not isinstance(node, MappingNode):
        reader.problem("E013", node, f"{what} needs settings", f"write {what}: and below it, indented, name: value")
        return None
    values: dict[str, object] = {} if given is None else dict(given)
    written = {key.text: value for key, value in node.entries}
    kind: Any = record
    way = _way_of(kind)
    known = way.names
    # Most of what is no setting is an exit: the names are only put together for what is neither.
    complete = written.keys() <= known or all(name in known or name in others for name in written)
    complete = complete or _unknown(node, reader, what, [*known, *others], later)
    for field_name, one in way.settings:
        value_node = written.get(one.name)
        if value_node is not None:
            value = one.kind.read(value_node, reader)
            if value is None:
                complete = False
            else:
                values[field_name] = value
        elif one.inherits:
            values[field_name] = getattr(reader.input, one.name)
        elif one.required and field_name not in values:
            reader.problem("E012", node, f"{what} needs '{one.name}'", f"add {one.name}: {one.kind.describe()}")
            complete = False
    for field_name, group in way.groups:
        values[field_name] = group.read_from(node, reader)
        complete = complete and values[field_name] is not None
    return record(**values) if complete else None


def _unknown(node: MappingNode, reader: Reader, what: str, known: Collection[str], later: Collection[str]) -> bool:
    complete = True
    for key, _ in node.entries:
        if key.text in known:
            continue
        complete = False
        if key.text in later:
            reader.problem("E014", key, f"'{key.text}' is not in this version yet", "leave it out for now")
        else:
            help = did_you_mean(key.text, known, "names")
            reader.problem("E011", key, f"{what} has no setting '{key.text[:60]}'", help)
    return complete


def scalar(node: Node, reader: Reader, wanted: str | Callable[[], str]) -> ScalarNode | None:
    """The node if it is a word or text that is not empty, else None after reporting."""
    if isinstance(node, ScalarNode) and (node.text or not node.plain):
        return node
    wanted = wanted if isinstance(wanted, str) else wanted()
    if isinstance(node, ScalarNode):
        reader.problem("E020", node, "the value is missing", f"write {wanted}")
    else:
        reader.problem("E020", node, f"a list or mapping stands where {wanted} should", f"write {wanted}")
    return None
