"""Tables from CSV files, as spreadsheets write them: the delimiter is found out, a byte order mark is passed over."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ivr.flow.loader import shown
from ivr.flow.model import Place
from ivr.flow.problem import Problem, did_you_mean
from ivr.flow.settings import Reader
from ivr.flow.source import ScalarNode
from ivr.table import Table

SIZE_LIMIT: Final = 32_000_000
"""Bytes of a file."""
ROW_LIMIT: Final = 200_000
COLUMN_LIMIT: Final = 100
CELL_LIMIT: Final = 2_000
"""Characters."""
_TOLD: Final = 20
"""Slips of one file that are told one by one."""
_DELIMITERS: Final = ",;\t|"


class _Broken(Exception):
    """What is wrong with the file, and in which line."""

    def __init__(self, line: int, message: str, help: str) -> None:
        super().__init__(message)
        self.line, self.help = line, help


def read_csv_table(name: ScalarNode, path: Path, key: str, value: str | None, reader: Reader) -> Table | None:
    """The table, or None after reporting what is wrong with its file."""
    file = shown(path)
    try:
        return _table(name.text, path, key, value, reader)
    except OSError as error:
        message = f"table '{name.text}': {file} cannot be read: {error.strerror}"
        reader.problem("E207", name, message, "correct csv: or put the file there")
    except UnicodeDecodeError:
        help = "save it as UTF-8 (in a spreadsheet: CSV UTF-8)"
        reader.problems.append(Problem("E207", Place(file, 1), "the file is not UTF-8", help))
    except _Broken as error:
        reader.problems.append(Problem("E207", Place(file, error.line), str(error), error.help))
    return None


def _table(name: str, path: Path, key: str, value: str | None, reader: Reader) -> Table:
    with path.open("rb") as stream:
        data = stream.read(SIZE_LIMIT + 1)
    if len(data) > SIZE_LIMIT:
        raise _Broken(1, f"the file is larger than {SIZE_LIMIT} bytes", "keep large tables in a database: sql:")
    text = data.decode("utf-8-sig")
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    lines = _lines(text, delimiter)
    _, columns = next(lines, (1, []))
    columns = [column.strip() for column in columns]
    for wanted in (key, value):
        if wanted is not None and wanted not in columns:
            help = did_you_mean(wanted, columns, "columns") or "the first line names the columns"
            raise _Broken(1, f"there is no column '{wanted}'", help)
    if len(columns) > COLUMN_LIMIT or len(set(columns)) < len(columns):
        raise _Broken(1, "there are too many columns, or two of one name", f"at most {COLUMN_LIMIT}, each once")
    at = columns.index(key)
    rows: dict[str, tuple[str, ...]] = {}
    twice = 0
    for line, cells in lines:
        if not any(cells):
            continue
        if len(cells) != len(columns):
            message = f"this line has {len(cells)} cells, the first one {len(columns)}"
            raise _Broken(line, message, f"cells are parted by '{delimiter}'; one with that in it stands in quotes")
        if len(rows) >= ROW_LIMIT:
            raise _Broken(line, f"the table has more than {ROW_LIMIT} rows", "keep large tables in a database: sql:")
        row = tuple(cell.strip() for cell in cells)
        if any(len(cell) > CELL_LIMIT for cell in row):
            raise _Broken(line, f"a cell has more than {CELL_LIMIT} characters", "is a quote missing before it?")
        if row[at] in rows:
            twice += 1
            if twice <= _TOLD:
                message = f"key '{row[at][:40]}' is there twice"
                place = Place(shown(path), line)
                reader.problems.append(Problem("W213", place, message, "the first counts: remove one of the two"))
        else:
            rows[row[at]] = row
    return Table(name, tuple(columns), MappingProxyType(rows), value, path)


def _lines(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Cells of each line, and the number of the line they begin in."""
    found = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    while True:
        try:
            cells = next(found)
        except StopIteration:
            return
        except csv.Error as error:
            raise _Broken(line, f"this is not CSV: {error}", "a quote within a quoted cell is written twice") from None
        yield line, cells
        line = found.line_num + 1
