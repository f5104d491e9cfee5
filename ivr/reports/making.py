"""From the name of a report to what is written, in any format."""

from __future__ import annotations

from collections.abc import Mapping

from ivr.reports.answer import Answer, ReportError, answer, usual_cut
from ivr.reports.catalogue import REPORTS
from ivr.reports.cells import Records
from ivr.reports.day import day_answers, headlines
from ivr.reports.definition import TIMES, By, Report, Settings
from ivr.reports.schedule import DAY_FORMATS, Format
from ivr.reports.span import Span
from ivr.reports.writing import as_csv, as_json, as_table, json_text

DAY = "day"
"""Not one report but all of them on one page."""
TABLE_ROWS = 50
"""Of a table that is not cut by time, unless asked for more."""


def make(
    name: str,
    records: Records,
    span: Span,
    format: Format,
    *,
    by: By | None = None,
    where: Mapping[str, str] | None = None,
    settings: Settings | None = None,
    most: int | None = None,
) -> bytes:
    """The report, or the page of a day. ``most``: rows at most; None as many as are of use, 0 all.

    Raises ReportError.
    """
    if name == DAY:
        return _day(records, span, settings or Settings(), format)
    return written(
        asked(REPORTS[name], records, span, format, by=by, where=where, settings=settings, most=most),
        format,
        records.now,
    )


def asked(
    report: Report,
    records: Records,
    span: Span,
    format: Format,
    *,
    by: By | None = None,
    where: Mapping[str, str] | None = None,
    settings: Settings | None = None,
    most: int | None = None,
) -> Answer:
    """One report's numbers, as many rows as the format has room for.

    Raises ReportError.
    """
    if most is None and format == "table" and not _in_time(report, span, by):
        most = TABLE_ROWS
    return answer(report, records, span, by=by, where=where, settings=settings, most=most or None)


def written(found: Answer, format: Format, now: int) -> bytes:
    """One report as a file has it. ``now``: when it was asked for, UTC epoch ms."""
    match format:
        case "table":
            return as_table(found).encode()
        case "csv":
            return as_csv(found).encode()
        case "json":
            return json_text(as_json(found)).encode()
        case "html":
            from ivr.reports.page import page

            return page([found], f"{found.report.title}, {found.span}", now).encode()
        case "png" | "svg":
            # Here and not above: Matplotlib takes a second to load, and nothing else needs it.
            from ivr.reports.charts import draw

            return draw(found, format)


def _day(records: Records, span: Span, settings: Settings, format: Format) -> bytes:
    if format not in DAY_FORMATS:
        raise ReportError(f"the page of a day is not written as {format}: it can be html, table or json")
    answers = day_answers(records, span, settings)
    if format == "table":
        return "\n\n".join(as_table(one) for one in answers).encode()
    if format == "json":
        return json_text([as_json(one) for one in answers]).encode()
    from ivr.reports.page import page

    return page(answers, f"Calls, {span}", records.now).encode()


def in_words(name: str, records: Records, span: Span, *, by: By | None = None, settings: Settings | None = None) -> str:
    """What stands in a mail: the table, or the day in a few numbers.

    Raises ReportError.
    """
    if name != DAY:
        return make(name, records, span, "table", by=by, settings=settings).decode()
    found = headlines(day_answers(records, span, settings or Settings()))
    width = max((len(one.title) for one in found), default=0)
    lines = [f"{one.title.ljust(width)}  {one.number}  ({one.remark})".replace("  ()", "") for one in found]
    return "\n".join([f"Calls, {span}   ({span.zone.key})", "", *lines]) + "\n"


def _in_time(report: Report, span: Span, by: By | None) -> bool:
    return (by or usual_cut(report, span)) in TIMES or report.picture.kind == "heat"
