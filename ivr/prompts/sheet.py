"""The sheet from which somebody with a good voice reads: names, texts, files. As CSV for spreadsheets and as a page to
be printed; and texts taken from an earlier sheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Final

from ivr.flow.loader import shown
from ivr.prompts.catalogue import Prompt

__all__ = ["SheetFault", "as_csv", "as_html", "cell", "texts_in"]

COLUMNS: Final = ("name", "language", "text", "number", "file", "note", "used")
"""``number`` is what is entered at a telephone to record it."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
"""What makes spreadsheets take a text for a formula, or for a command."""

_STYLE: Final = """
body { font: 14px/1.5 sans-serif; margin: 2em; }
table { border-collapse: collapse; width: 100%; }
th, td { border: 1px solid #999; padding: .4em .6em; text-align: left; vertical-align: top; }
td.text { font-size: 18px; width: 50%; white-space: pre-wrap; }
td.file, td.used { font-family: monospace; font-size: 12px; overflow-wrap: anywhere; }
thead { display: table-header-group; }
tr { break-inside: avoid; }
"""


class SheetFault(Exception):
    """A sheet cannot be read; the text names it and the remedy."""


def as_csv(prompts: Iterable[Prompt], texts: Mapping[tuple[str, str], str]) -> bytes:
    """The sheet as spreadsheets open it: UTF-8 with a mark that says so, no cell that they could take for a formula.

    ``texts`` of recordings by name and language.
    """
    written = io.StringIO(newline="")
    rows = csv.writer(written)
    rows.writerow(COLUMNS)
    rows.writerows([cell(value) for value in row] for row in _rows(prompts, texts))
    return written.getvalue().encode("utf-8-sig")


def as_html(prompts: Iterable[Prompt], texts: Mapping[tuple[str, str], str], title: str) -> bytes:
    """The sheet as a page that needs nothing else, to be printed."""
    head = "".join(f"<th>{name}" for name in COLUMNS)
    body = "\n".join(
        "<tr>" + "".join(f'<td class="{name}">{escape(value)}' for name, value in zip(COLUMNS, row, strict=True))
        for row in _rows(prompts, texts)
    )
    page = (
        f'<!doctype html>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n'
        f"<h1>{escape(title)}</h1>\n<table>\n<thead><tr>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"
    )
    return page.encode()


def cell(value: str) -> str:
    """A value as a cell that no spreadsheet computes: an apostrophe before what it would take for a formula."""
    return f"'{value}" if value.lstrip(" ").startswith(_FORMULA) else value


def texts_in(file: Path) -> dict[tuple[str, str], str]:
    """Texts by name and language, of a CSV file with the columns name, language and text. Raises SheetFault."""
    try:
        content = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SheetFault(f"{file}: it cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise SheetFault(f"{file}: it is not in UTF-8: save it as 'CSV UTF-8'") from None
    first = content.partition("\n")[0]
    # Where the comma is for decimals, spreadsheets save with semicolons.
    separator = ";" if first.count(";") > first.count(",") else ","
    try:
        rows = csv.DictReader(io.StringIO(content, newline=""), delimiter=separator, strict=True)
        lacking = [name for name in ("name", "language", "text") if name not in (rows.fieldnames or ())]
        if lacking:
            raise SheetFault(f"{file}: its first line has no column {lacking[0]}: write {','.join(COLUMNS[:3])}")
        return {
            (_plain(row["name"]), _plain(row["language"])): _plain(row["text"])
            for row in rows
            if row["name"] and row["text"]
        }
    except csv.Error as error:
        raise SheetFault(f"{file}:{rows.line_num}: {error}: save it as CSV again") from None


def _plain(value: str | None) -> str:
    value = (value or "").strip()
    return value[1:] if value.startswith("'") and cell(value[1:]) == value else value


def _rows(prompts: Iterable[Prompt], texts: Mapping[tuple[str, str], str]) -> Iterable[tuple[str, ...]]:
    for one in prompts:
        used = " ".join(f"{place.file}:{place.line}" for place in one.places)
        text = one.text or texts.get((one.name, one.language), "")
        number = "" if one.number is None else str(one.number)
        yield one.name, one.language, text, number, shown(one.wanted), _note(one, text), used


def _note(one: Prompt, text: str) -> str:
    if one.has_values:
        return "values are put in where braces are: spoken by the computer"
    if one.kind == "text":
        return "spoken by the computer until a flow plays the recording"
    state = "not recorded yet" if one.missing else "recorded"
    return state if text else f"{state}; write the text here"
