"""Kinds of settings that only tests of flows have: keys pressed, blocks, seats and groups named, moments and shares."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from ivr.calendar import Calendar
from ivr.flow.draft import contents
from ivr.flow.kinds import Text, Whole
from ivr.flow.model import Flow, Recording
from ivr.flow.problem import did_you_mean
from ivr.flow.settings import Reader, Schema, scalar, schema_of, text_schema
from ivr.flow.source import MappingNode, Node
from ivr.run.hunt import Member, members_of
from ivr.run.script import party_of
from ivr.table import Table

_SHARE: Final = r"([0-9]{1,3}(?:\.[0-9]{1,2})?)\s*%"
_FILLED: Final[Schema] = {"pattern": r"\{[^{}]+\}"}
HOLE: Final[Schema] = {
    "anyOf": [
        {"type": "string", **_FILLED},
        {"type": "object", "not": {"propertyNames": {"not": _FILLED}}},
    ]
}
"""A text with a ``{name}`` that ``each`` fills in, or settings one of whose names has one: it can become anything."""


@dataclass(frozen=True)
class Surroundings:
    """What of the site a test can name and a flow can ring."""

    seats: Collection[str] = ()
    """With the RTC clients, as ``rtc:USER``."""
    groups: Mapping[str, tuple[Member, ...]] = field(default_factory=dict)
    numbers: bool = False
    """Whether there is a trunk, so that any number can be rung."""
    known: bool = False
    """Whether there is a site at all."""
    tables: Mapping[str, Table] = field(default_factory=dict)
    """Those in files: they are used as they are."""
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    flows: Mapping[str, Flow] = field(default_factory=dict)
    """Every flow of the site that has no errors."""
    country: str = ""
    """Whose numbers need no country code to be known."""

    def reaches(self, name: str) -> bool:
        """Whether it is a seat, or a number that the trunks reach: what a test can name."""
        return name in self.seats or bool(self.numbers and re.fullmatch(r"\+?[0-9*#]{1,32}", name))


class CaseReader(Reader):
    """A reader that knows what a test can refer to."""

    def __init__(self, flow: Flow, around: Surroundings) -> None:
        super().__init__()
        self.flow = flow
        self.around = around
        self.recordings = {
            prompt.name
            for block in flow.blocks.values()
            for step in block.steps
            for prompt in contents(step.settings)
            if isinstance(prompt, Recording)
        }
        taken = {
            into
            for block in flow.blocks.values()
            for step in block.steps
            if isinstance(into := getattr(step.settings, "into", None), str)
        }
        self.variables = taken | flow.variables.keys()


@dataclass(frozen=True, slots=True)
class Party:
    """Who is rung: a seat, or any seat of a group."""

    name: str
    seats: tuple[str, ...]

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Keys:
    """What is pressed, key by key."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        if not re.fullmatch(r"[0-9*#A-D]{1,64}", text.text):
            reader.problem("E121", text, f"'{text.text[:40]}' cannot be pressed", f"write {self.describe()}")
            return None
        return text.text

    def schema(self) -> Schema:
        return {"anyOf": [{"type": "integer", "minimum": 0}, text_schema("[0-9*#A-D]{1,64}")]}

    def describe(self) -> str:
        return "keys in quotes: '4' or '1234#'"


@dataclass(frozen=True)
class BlockName:
    """A block the flow has."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.describe)
        if text is None or not isinstance(reader, CaseReader):
            return None
        if text.text not in reader.flow.blocks:
            help = did_you_mean(text.text, reader.flow.blocks, "blocks")
            reader.problem("E101", text, f"flow '{reader.flow.name}' has no block '{text.text[:60]}'", help)
            return None
        return text.text

    def schema(self) -> Schema:
        return text_schema()

    def describe(self) -> str:
        return "the name of a block"


@dataclass(frozen=True)
class BlockTries:
    """``{main_menu: 3}``"""

    def read(self, node: Node, reader: Reader) -> Mapping[str, int] | None:
        if not isinstance(node, MappingNode) or not node.entries:
            reader.problem("E013", node, "tries has blocks and numbers", f"write {self.describe()}")
            return None
        found = {}
        for key, value in node.entries:
            block, tries = BlockName().read(key, reader), Whole(0, 1000).read(value, reader)
            if block is None or tries is None:
                return None
            found[block] = tries
        return MappingProxyType(found)

    def schema(self) -> Schema:
        tries = {"anyOf": [schema_of(Whole(0, 1000)), HOLE]}
        return {"type": "object", "minProperties": 1, "additionalProperties": tries}

    def describe(self) -> str:
        return "{block: number}"


@dataclass(frozen=True)
class PartyName:
    """A seat or client of the site, a number that the site's trunks reach, or a group."""

    groups: bool = False

    def read(self, node: Node, reader: Reader) -> Party | None:
        text = scalar(node, reader, self.describe)
        if text is None or not isinstance(reader, CaseReader):
            return None
        name, around = text.text, reader.around
        if self.groups and name in around.groups:
            return Party(name, tuple(map(party_of, members_of(around.groups[name]))))
        if around.reaches(name):
            return Party(name, (name,))
        if (client := f"rtc:{name}") in around.seats:
            return Party(client, (client,))
        if not around.known:
            message = f"there is no site file to look up '{name[:60]}' in"
            reader.problem("E170", text, message, "give one: ivr test --site FILE")
            return None
        known = [*around.seats, *(around.groups if self.groups else ())]
        kind = "seat or group" if self.groups else "seat"
        reader.problem("E170", text, f"the site has no {kind} '{name[:60]}'", did_you_mean(name, known, "there are"))
        return None

    def schema(self) -> Schema:
        return text_schema()

    def describe(self) -> str:
        return "a seat, client or group" if self.groups else "a seat in quotes ('2001'), or a client: alice"


@dataclass(frozen=True)
class CalendarName:
    """A calendar of the site."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.describe)
        if text is None or not isinstance(reader, CaseReader):
            return None
        known = reader.around.calendars
        if text.text not in known:
            help = did_you_mean(text.text, known, "calendars") if known else "calendars stand in the site file"
            reader.problem("E170", text, f"the site has no calendar '{text.text[:60]}'", help)
            return None
        return text.text

    def schema(self) -> Schema:
        return text_schema()

    def describe(self) -> str:
        return "the name of a calendar"


@dataclass(frozen=True)
class Moment:
    """``2026-03-02 10:00 Asia/Shanghai``; without a zone it is UTC."""

    def read(self, node: Node, reader: Reader) -> datetime | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        found = re.fullmatch(r"(\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?)(?: +(\S+))?", text.text)
        try:
            when = datetime.fromisoformat(found[1]) if found else None
        except ValueError:
            when = None
        if found is None or when is None:
            reader.problem("E171", text, f"'{text.text[:40]}' is not a day and time", f"write {self.describe()}")
            return None
        zone = _zone(found[2])
        if zone is None:
            help = "write one as Asia/Shanghai, Europe/Berlin or UTC"
            reader.problem("E171", text, f"'{found[2][:40]}' is not a time zone", help)
            return None
        return when.replace(tzinfo=zone)

    def schema(self) -> Schema:
        return text_schema(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?: +\S+)?")

    def describe(self) -> str:
        return "'2026-03-02 10:00 Asia/Shanghai'"


def _zone(name: str | None) -> tzinfo | None:
    if name is None or name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        return None


@dataclass(frozen=True)
class Texts:
    """``{topic: sales}``: names and texts."""

    def read(self, node: Node, reader: Reader) -> Mapping[str, str] | None:
        if not isinstance(node, MappingNode) or not node.entries:
            reader.problem("E013", node, "names and values are needed", f"write {self.describe()}")
            return None
        found = {}
        for key, value in node.entries:
            text = Text("a value").read(value, reader)
            if text is None:
                return None
            found[key.text] = text
        return MappingProxyType(found)

    def schema(self) -> Schema:
        return {"type": "object", "minProperties": 1, "additionalProperties": text_schema()}

    def describe(self) -> str:
        return "{name: value}"


@dataclass(frozen=True)
class VariableTexts:
    """Variables of the flow, and their values as they would be in a text."""

    def read(self, node: Node, reader: Reader) -> Mapping[str, str] | None:
        found = Texts().read(node, reader)
        if found is None or not isinstance(node, MappingNode) or not isinstance(reader, CaseReader):
            return found
        for key, _ in node.entries:
            if key.text not in reader.variables:
                help = did_you_mean(key.text, reader.variables, "variables")
                reader.problem("E170", key, f"flow '{reader.flow.name}' has no variable '{key.text[:60]}'", help)
                return None
        return found

    def schema(self) -> Schema:
        return Texts().schema()

    def describe(self) -> str:
        return "{variable: value}"


@dataclass(frozen=True)
class Share:
    """``90%`` as 90.0."""

    def read(self, node: Node, reader: Reader) -> float | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        found = re.fullmatch(_SHARE, text.text)
        if found is None or float(found[1]) > 100:
            reader.problem("E022", text, f"'{text.text[:40]}' is no share", f"write {self.describe()}")
            return None
        return float(found[1])

    def schema(self) -> Schema:
        return text_schema(_SHARE)

    def describe(self) -> str:
        return "0% to 100%"
