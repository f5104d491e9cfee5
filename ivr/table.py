"""A table that flows look things up in: rows by key, as read from a file. Never changed; another reading is another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[str, ...]] = field(repr=False)
    value: str | None = None
    """The column that a look-up gives; None: the whole row."""
    file: Path | None = field(default=None, repr=False, compare=False)
    """What it was read from."""

    def row(self, key: str) -> Mapping[str, object] | None:
        """Column to value, None if there is no row with that key."""
        found = self.rows.get(key)
        return None if found is None else given(dict(zip(self.columns, found, strict=True)), self.value)


def given(row: Mapping[str, object], value: str | None) -> Mapping[str, object]:
    """What a look-up gives of a row: all of it, or the ``value`` column alone."""
    return row if value is None else {value: row.get(value)}
