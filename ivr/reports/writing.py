"""Reports as tables for terminals, as CSV for spreadsheets and as JSON for programs."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Final

from ivr.masking import masked
from ivr.reports.answer import WEEKDAYS, Answer, CallLine
from ivr.reports.definition import Report, Settings
from ivr.reports.span import Span
from ivr.reports.words import exact, iso, keys_of, moment, shown

BOM: Final = "\ufeff"
"""Without it spreadsheets take UTF-8 for something else."""
_WIDTH: Final = 100


def definition_lines(report: Report, settings: Settings, width: int = _WIDTH, indent: str = "  ") -> list[str]:
    """What it counts, wrapped."""
    return [
        line
        for sentence in report.told(settings)
        for line in textwrap.wrap(sentence, width, initial_indent=indent, subsequent_indent=indent)
    ]


# Tables. --------------------------------------------------------------------------------------------------


def as_table(answer: Answer) -> str:
    """The numbers, then what they mean."""
    report = answer.report
    lines = [f"{report.title}   {answer.span}   ({answer.span.zone.key})", ""]
    if report.picture.kind == "heat":
        lines += _aligned(heat_rows(answer), keys=1)
    elif not answer.rows:
        lines.append("Nothing to count in that time.")
    else:
        lines += _aligned(table_rows(answer), keys=len(answer.keys))
    if answer.left_off:
        lines.append(f"… and {answer.left_off} more rows: --limit 0 shows all")
    return "\n".join([*lines, "", *definition_lines(report, answer.settings)]) + "\n"


def table_rows(answer: Answer) -> list[tuple[str, ...]]:
    """Headings, rows, total; all in words."""
    columns, width = answer.report.columns, max(len(answer.keys), 1)
    rows = [(*(answer.keys or ("",)), *(column.title for column in columns))]
    for row in (*answer.rows, *([answer.total] if answer.total is not None and answer.keys else [])):
        keys = (*keys_of(row), *[""] * width)[:width]
        cells = (shown(value, column, answer.span) for value, column in zip(row.values, columns, strict=True))
        rows.append((*keys, *cells))
    return rows


def heat_rows(answer: Answer) -> list[tuple[str, ...]]:
    """A row for each weekday, a column for each hour that is in the span, their sums."""
    counts = heat(answer)
    hours = sorted({hour for _, hour in counts})
    rows = [("", *hours, "all")]
    for day in WEEKDAYS:
        of_day = {hour: counts[day, hour] for hour in hours if (day, hour) in counts}
        if of_day:
            cells = [str(of_day[hour]) if hour in of_day else "" for hour in hours]
            rows.append((day, *cells, str(sum(of_day.values()))))
    sums = [sum(count for (_, at), count in counts.items() if at == hour) for hour in hours]
    rows.append(("all", *map(str, sums), str(sum(sums))))
    return rows


def heat(answer: Answer) -> dict[tuple[str, str], int]:
    """From weekday and hour to calls."""
    return {(row.keys[0], row.keys[1]): int(row.values[0] or 0) for row in answer.rows}


def _aligned(rows: Sequence[tuple[str, ...]], keys: int) -> Iterator[str]:
    """Keys to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if place < keys else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


# For programs. --------------------------------------------------------------------------------------------


def as_csv(answer: Answer) -> str:
    """A row for each row, with the names of columns first; the total is left to the spreadsheet."""
    columns = answer.report.columns
    rows: list[list[object]] = [[*answer.keys, *(column.name for column in columns)]]
    for row in answer.rows:
        cells = [exact(value, column, answer.span) for value, column in zip(row.values, columns, strict=True)]
        rows.append([*row.keys, *cells])
    return _csv(rows)


def as_json(answer: Answer) -> dict[str, Any]:
    """Everything: definition, settings, rows, total."""
    report = answer.report

    def numbers(values: Sequence[Any]) -> dict[str, Any]:
        return {
            column.name: exact(value, column, answer.span) for value, column in zip(values, report.columns, strict=True)
        }

    return {
        "report": report.name,
        "title": report.title,
        "definition": list(report.told(answer.settings)),
        "from": iso(answer.span.begins, answer.span),
        "until": iso(answer.span.ends, answer.span),
        "zone": answer.span.zone.key,
        "threshold_s": answer.settings.threshold_s,
        "short_s": answer.settings.short_s,
        "where": dict(answer.where),
        "columns": {one.name: {"title": one.title, "unit": one.unit} for one in report.columns},
        "rows": [{**dict(zip(answer.keys, row.keys, strict=True)), **numbers(row.values)} for row in answer.rows],
        "left_off": answer.left_off,
        "total": None if answer.total is None else numbers(answer.total.values),
    }


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows([[_harmless(cell) for cell in row] for row in rows])
    return BOM + text.getvalue()


def _harmless(cell: object) -> object:
    """A text that a spreadsheet would work out as a formula gets an apostrophe in front."""
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{cell}"
    return "" if cell is None else cell


# Calls. ---------------------------------------------------------------------------------------------------

_CALL_COLUMNS: Final = ("arrived", "call", "caller", "number", "lasted", "flow", "last block", "goal", "ended by")


def calls_as_table(calls: Sequence[CallLine], span: Span, *, show_numbers: bool) -> str:
    if not calls:
        return "No calls.\n"
    rows = [
        tuple("-" if cell is None else str(cell) for cell in cells)
        for cells in _call_rows(calls, span, show_numbers=show_numbers)
    ]
    return "\n".join(_aligned([_CALL_COLUMNS, *rows], keys=len(_CALL_COLUMNS))) + "\n"


def calls_as_csv(calls: Sequence[CallLine], span: Span, *, show_numbers: bool) -> str:
    return _csv([_CALL_COLUMNS, *_call_rows(calls, span, show_numbers=show_numbers)])


def calls_as_json(calls: Sequence[CallLine], span: Span, *, show_numbers: bool) -> list[dict[str, object]]:
    return [
        {
            "call_id": call.call_id,
            "arrived": iso(call.arrived_at, span),
            "ended": iso(call.ended_at, span),
            "caller": _caller(call, show_numbers),
            "number": call.number,
            "flow": call.flow,
            "last_block": call.last_block,
            "goal": call.goal,
            "ended_by": call.ended_by,
        }
        for call in calls
    ]


def _call_rows(calls: Sequence[CallLine], span: Span, *, show_numbers: bool) -> Iterator[tuple[object, ...]]:
    for call in calls:
        seconds = None if call.ended_at is None else round((call.ended_at - call.arrived_at) / 1000)
        yield (
            moment(call.arrived_at, span),
            call.call_id,
            _caller(call, show_numbers),
            call.number,
            None if seconds is None else f"{seconds // 60}:{seconds % 60:02d}",
            call.flow,
            call.last_block,
            call.goal,
            call.ended_by,
        )


def _caller(call: CallLine, show_numbers: bool) -> str | None:
    return call.caller if show_numbers or call.caller is None else masked(call.caller)


def json_text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
