"""Calendars as they are written in the site file."""

# ruff: noqa: RUF009  (settings are declared by calls, as dataclasses.field is)

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from ivr.calendar.model import Calendar, DatedRule, Period
from ivr.calendar.public_holidays import Region, regions
from ivr.calendar.writing import parse_dates, parse_period, parse_spans
from ivr.flow.kinds import NAME, ListOf, bad_name
from ivr.flow.nodes.opening import EXITS, Hours
from ivr.flow.problem import did_you_mean
from ivr.flow.settings import Reader, Schema, read_record, scalar, schema_of, setting, settings_of, text_schema
from ivr.flow.source import MappingNode, Node, ScalarNode

_PERIOD: Final = "'Mon-Fri 09:00-18:00'"
_TAKEN: Final = frozenset({exit.name for exit in EXITS} | {one.name for _, one in settings_of(Hours)})


@cache
def _zones() -> frozenset[str]:
    return frozenset(name for name in available_timezones() if "/" in name or name == "UTC")


@dataclass(frozen=True)
class Zone:
    """A time zone by its IANA name."""

    def read(self, node: Node, reader: Reader) -> ZoneInfo | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        if text.text in _zones():
            return ZoneInfo(text.text)
        by_lower = {name.lower(): name for name in _zones()}
        help = did_you_mean(text.text, by_lower, "zones")
        close = help.split("'")[1] if help.startswith("did you mean") else ""
        remedy = f"did you mean '{by_lower[close]}'?" if close else f"write {self.describe()}"
        reader.problem("E206", text, f"there is no time zone '{text.text[:40]}'", remedy)
        return None

    def schema(self) -> Schema:
        return text_schema("UTC|.+/.+")

    def describe(self) -> str:
        return "a time zone: Europe/Berlin, Asia/Shanghai"


@dataclass(frozen=True)
class WeeklyPeriod:
    def read(self, node: Node, reader: Reader) -> Period | None:
        text = scalar(node, reader, _PERIOD)
        if text is None:
            return None
        try:
            days, spans = parse_period(text.text)
        except ValueError as error:
            reader.problem("E206", text, str(error), f"write {self.describe()}")
            return None
        return Period(days, spans, text.text, text.place)

    def schema(self) -> Schema:
        return text_schema()

    def describe(self) -> str:
        return _PERIOD


@dataclass(frozen=True)
class NamedPeriods:
    """Name to weekly periods."""

    def read(self, node: Node, reader: Reader) -> tuple[tuple[str, tuple[Period, ...]], ...] | None:
        if not isinstance(node, MappingNode):
            reader.problem("E013", node, "periods have names", f"write periods: {{lunch: {_PERIOD}}}")
            return None
        found = []
        for key, value in node.entries:
            periods = ListOf(WeeklyPeriod(), 1, 50).read(value, reader)
            if not NAME.fullmatch(key.text):
                bad_name(key, reader)
            elif key.text in _TAKEN:
                reader.problem(
                    "E206", key, f"a period cannot be called '{key.text}'", "the word has a meaning in hours"
                )
            elif periods is not None:
                found.append((key.text, periods))
        return tuple(found) if len(found) == len(node.entries) else None

    def schema(self) -> Schema:
        periods = schema_of(ListOf(WeeklyPeriod(), 1, 50))
        return {
            "type": "object",
            "propertyNames": {"pattern": f"^(?:{NAME.pattern})$"},
            "additionalProperties": periods,
        }

    def describe(self) -> str:
        return f"{{lunch: {_PERIOD}}}"


@dataclass(frozen=True)
class DatedRules:
    """Dates to times, or ``closed``."""

    def read(self, node: Node, reader: Reader) -> tuple[DatedRule, ...] | None:
        if not isinstance(node, MappingNode):
            reader.problem("E013", node, "exceptions have dates", f"write exceptions: {self.describe()}")
            return None
        rules = [self._rule(key, value, reader) for key, value in node.entries]
        good = tuple(rule for rule in rules if rule is not None)
        return good if len(good) == len(rules) else None

    def _rule(self, key: ScalarNode, value: Node, reader: Reader) -> DatedRule | None:
        text = scalar(value, reader, "09:00-12:00, or closed")
        if text is None:
            return None
        at = key
        try:
            first, last = parse_dates(key.text)
            at = text
            spans = () if text.text == "closed" else parse_spans(text.text)
        except ValueError as error:
            help = "write '2026-12-24' or '2026-10-01..2026-10-07'" if at is key else "write 09:00-12:00, or closed"
            reader.problem("E206", at, str(error), help)
            return None
        return DatedRule(first, last, spans, text.text, key.place)

    def schema(self) -> Schema:
        return {"type": "object", "additionalProperties": text_schema()}

    def describe(self) -> str:
        return "{'2026-12-24': 09:00-12:00, '2026-10-01..2026-10-07': closed}"


@dataclass(frozen=True)
class HolidaysOf:
    """A country, or one of its parts."""

    def read(self, node: Node, reader: Reader) -> Region | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        country, _, part = text.text.partition("-")
        if country not in regions():
            help = did_you_mean(country.upper(), regions(), "countries")
            reader.problem("E206", text, f"the holidays of '{country[:20]}' are not known", help)
        elif part and part not in regions()[country]:
            help = did_you_mean(part, regions()[country], "its parts") or f"write {country}"
            reader.problem("E206", text, f"{country} has no part '{part[:20]}' with holidays of its own", help)
        else:
            return Region(country, part or None)
        return None

    def schema(self) -> Schema:
        return text_schema("[A-Z]+(?:-.+)?")

    def describe(self) -> str:
        return "a country, or a part of one: CN, DE-BY"


@dataclass(frozen=True, slots=True)
class CalendarSettings:
    """A calendar, as written."""

    zone: ZoneInfo = setting(Zone(), "the zone of its times")
    open: tuple[Period, ...] = setting(ListOf(WeeklyPeriod(), 0, 50), "when it is open, every week")
    periods: tuple[tuple[str, tuple[Period, ...]], ...] = setting(
        NamedPeriods(), "parts of the week with a name, each an exit of hours", default=()
    )
    exceptions: tuple[DatedRule, ...] = setting(
        DatedRules(), "dates with times of their own, instead of all others", default=()
    )
    holidays: Region | None = setting(HolidaysOf(), "whose public holidays it is closed on", default=None)


def read_calendar(key: ScalarNode, node: Node, reader: Reader) -> Calendar | None:
    """The calendar, or None after reporting what is wrong with it."""
    if not NAME.fullmatch(key.text):
        bad_name(key, reader)
        return None
    read = read_record(CalendarSettings, node, reader, f"calendar '{key.text[:40]}'")
    if read is None:
        return None
    calendar = Calendar(
        key.text, read.zone, read.open, MappingProxyType(dict(read.periods)), read.exceptions, place=key.place
    )
    if read.holidays is None:
        return calendar
    return Calendar(
        key.text,
        read.zone,
        read.open,
        calendar.named,
        read.exceptions,
        read.holidays,
        str(read.holidays),
        next(name.place for name, _ in _entries(node) if name.text == "holidays"),
    )


def _entries(node: Node) -> tuple[tuple[ScalarNode, Node], ...]:
    return node.entries if isinstance(node, MappingNode) else ()
