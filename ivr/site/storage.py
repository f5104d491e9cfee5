"""What the site file says of how records are kept: how long, and how much may wait for the database."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ivr.flow.settings import Reader, Schema, read_record, scalar, setting, text_schema
from ivr.flow.source import Node
from ivr.records.keeping import SPOOL_BOUND, Retention

_AGE: Final = r"([1-9][0-9]{0,4})(d|w|y)"
_DAYS: Final = {"d": 1, "w": 7, "y": 365}
_MOST_DAYS: Final = 36_500
_SIZE: Final = r"([1-9][0-9]{0,5})\s*(MB|GB)"
_BYTES: Final = {"MB": 10**6, "GB": 10**9}
_LEAST: Final = 16 * 10**6
_MOST: Final = 1000 * 10**9


@dataclass(frozen=True)
class Age:
    """Days, weeks or years; seconds as float."""

    def read(self, node: Node, reader: Reader) -> float | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        found = re.fullmatch(_AGE, text.text)
        if found is None:
            reader.problem(
                "E021", text, f"'{text.text[:40]}' is not a time to keep records", f"write {self.describe()}"
            )
            return None
        days = int(found[1]) * _DAYS[found[2]]
        if days > _MOST_DAYS:
            reader.problem("E022", text, f"'{text.text}' is out of bounds", "write 100y at the most, or leave it out")
            return None
        return days * 86_400.0

    def schema(self) -> Schema:
        return text_schema(_AGE)

    def describe(self) -> str:
        return "30d, 12w or 2y"


@dataclass(frozen=True)
class Size:
    """Room on a disk; bytes."""

    def read(self, node: Node, reader: Reader) -> int | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        found = re.fullmatch(_SIZE, text.text)
        size = int(found[1]) * _BYTES[found[2]] if found is not None else 0
        if not _LEAST <= size <= _MOST:
            reader.problem("E022", text, f"'{text.text[:40]}' is not such a size", f"write {self.describe()}")
            return None
        return size

    def schema(self) -> Schema:
        return text_schema(_SIZE)

    def describe(self) -> str:
        return "500MB or 1GB; 16MB to 1000GB"


@dataclass(frozen=True, slots=True)
class RetentionPart:
    """The settings of ``retention``, as written."""

    events: float | None = setting(
        Age(), "how long after a call what happened in it is kept: ivr trace and replay need it", default=None
    )
    flow_steps: float | None = setting(
        Age(), "how long its steps with the caller's answers are kept: reports about flows need them", default=None
    )
    tags: float | None = setting(Age(), "how long its tags are kept", default=None)
    calls: float | None = setting(
        Age(), "how long anything of it is kept; unset, as the others, for ever", default=None
    )


def read_retention(node: Node, reader: Reader) -> Retention | None:
    """The part ``retention``."""
    read = read_record(RetentionPart, node, reader, "retention")
    return None if read is None else Retention(read.events, read.flow_steps, read.tags, read.calls)


SPOOL_DEFAULT: Final = f"{SPOOL_BOUND // 10**9}GB"
