"""``ivr report``: what the records add up to, and the calls behind every number."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from ivr.cli.loading import errors, program, site_or_exit
from ivr.cli.report_jobs import do_job, mail, sum_up
from ivr.flow.problem import did_you_mean
from ivr.records.database import RecordsError, open_database
from ivr.reports.answer import Answer, ReportError, calls_behind
from ivr.reports.catalogue import REPORTS
from ivr.reports.cells import Records
from ivr.reports.definition import By, Report, Settings
from ivr.reports.mail import MailError
from ivr.reports.making import DAY, TABLE_ROWS, make, written
from ivr.reports.making import asked as numbers
from ivr.reports.schedule import ENDINGS, Format
from ivr.reports.span import Span, SpanError, machine_zone, span_of
from ivr.reports.writing import (
    calls_as_csv,
    calls_as_json,
    calls_as_table,
    definition_lines,
    json_text,
)

_SITE = Path("site.yaml")


def report(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Which report; unless given, they are listed. 'day': all of them."),
    ] = None,
    begins: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="2026-11-27, '2026-11-27 09:00', today, yesterday.")
    ] = None,
    ends: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="The same; a day is included. Neither: today.")
    ] = None,
    by: Annotated[By | None, typer.Option("--by", help="What the rows are cut by.")] = None,
    format: Annotated[
        Format | None, typer.Option("--format", "-f", help="How it is written; unless given, by the ending of -o.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it there.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="KEY=VALUE", help="Only such rows: 'hour=2026-11-27 09:00', agent=2001."),
    ] = None,
    calls: Annotated[bool, typer.Option("--calls", help="List the calls behind the number, in place of it.")] = False,
    of: Annotated[
        str | None,
        typer.Option("--of", metavar="COLUMN", help="With --calls: behind which column. Unless given, the first."),
    ] = None,
    threshold: Annotated[
        int, typer.Option("--threshold", min=1, help="Seconds within which an answer is in time.")
    ] = 20,
    short: Annotated[
        int, typer.Option("--short", min=0, help="Seconds within which giving up is a short abandon.")
    ] = 5,
    limit: Annotated[
        int | None, typer.Option("--limit", min=0, help=f"So many rows or calls; 0: all. A table has {TABLE_ROWS}.")
    ] = None,
    to: Annotated[
        list[str] | None, typer.Option("--mail", metavar="ADDRESS", help="Send it there by the site's smtp.")
    ] = None,
    job: Annotated[
        str | None, typer.Option("--job", metavar="NAME", help="Make a report of the site's `reports` now.")
    ] = None,
    due: Annotated[str | None, typer.Option("--due", hidden=True)] = None,
    summarise: Annotated[bool, typer.Option("--summarise", hidden=True)] = False,
    show_numbers: Annotated[bool, typer.Option("--show-numbers", help="Callers' numbers in full.")] = False,
    site: Annotated[Path, typer.Option("--site", help="The site file.")] = _SITE,
    records: Annotated[
        str | None, typer.Option("--records", metavar="URL", help="The database, in place of the site's.")
    ] = None,
) -> None:
    """Count calls: volumes, service level, menus, people, sound. Every report says what it counts.

    Rows and numbers lead to calls: --calls lists them, of the rows that --where names and the column that --of names.

    Examples:

      ivr report volumes
      ivr report service-level --from 2026-11-01 --until 2026-11-30 --by day
      ivr report abandons --where 'hour=2026-11-27 09:00' --calls --of abandoned
      ivr report day --from yesterday --until yesterday -o day.html
    """
    if job is not None or summarise:
        _beside_calls(site, job, due)
        return
    if name is None:
        _list()
        return
    if name != DAY and name not in REPORTS:
        _leave(f"There is no report '{name}'; {did_you_mean(name, [*REPORTS, DAY], 'reports')}")
    as_format = format or _format_of(output) or ("html" if name == DAY else "table")
    loaded = None if records is not None and not site.exists() else site_or_exit(site)
    settings = Settings(threshold, short)
    now = round(time.time() * 1000)
    try:
        if name == DAY and (by is not None or where or calls):
            raise ReportError("the page of a day has no --by, --where or --calls: ask one of its reports")
        span = span_of(begins, ends, (loaded.zone if loaded is not None else None) or machine_zone(), now)
        url = records if records is not None else loaded.records if loaded is not None else ""
        asked = Records(open_database(url, writing=False), now, progress=_said)
        if to:
            if loaded is None:
                raise ReportError("mail goes through the mail server of a site: name it with --site")
            attached: Format = format or "html"
            content = make(name, asked, span, attached, by=by, where=_where(where), settings=settings)
            mail(loaded, name, asked, span, to, attached, content, by=by)
            errors.print(f"Sent to {', '.join(to)}.")
            return
        if name == DAY:
            made = make(DAY, asked, span, as_format, settings=settings)
        elif calls:
            made = _calls(REPORTS[name], asked, span, settings, _where(where), of, as_format, limit, show_numbers)
        else:
            found = numbers(
                REPORTS[name], asked, span, as_format, by=by, where=_where(where), settings=settings, most=limit
            )
            made = written(found, as_format, now)
            if as_format == "table":
                again = {"--from": begins, "--until": ends, "--records": records}
                again["--site"] = None if site == _SITE else str(site)
                made += f"\n{_way_to_calls(found, again)}\n".encode()
            elif as_format == "csv" and sys.stderr.isatty():
                # Nothing but rows and columns may be in the file; whoever looks on is told here.
                errors.print("\n".join(definition_lines(found.report, settings)))
    except (SpanError, ReportError, RecordsError, MailError) as error:
        _leave(str(error))
    _write(made, output)


def _beside_calls(site: Path, job: str | None, due: str | None) -> None:
    """What the server has done by a process of its own."""
    loaded = site_or_exit(site)
    try:
        if job is not None:
            errors.print(f"Report '{job}' went to {', '.join(do_job(loaded, job, due))}.")
        else:
            errors.print(f"{sum_up(loaded)} sums of days were made.")
    except (SpanError, ReportError, RecordsError, MailError) as error:
        _leave(str(error))


def _calls(
    report: Report,
    records: Records,
    span: Span,
    settings: Settings,
    where: dict[str, str],
    of: str | None,
    format: Format,
    limit: int | None,
    show_numbers: bool,
) -> bytes:
    most = (TABLE_ROWS if format == "table" else None) if limit is None else limit or None
    found = calls_behind(
        report, records, span, column=of, where=where, settings=settings, most=None if most is None else most + 1
    )
    more = most is not None and len(found) > most
    found = found[:most]
    match format:
        case "table":
            text = calls_as_table(found, span, show_numbers=show_numbers)
            return (text + ("… and more: --limit 0 shows all\n" if more else "")).encode()
        case "csv":
            return calls_as_csv(found, span, show_numbers=show_numbers).encode()
        case "json":
            return json_text(calls_as_json(found, span, show_numbers=show_numbers)).encode()
        case _:
            raise ReportError(f"a list of calls is not written as {format}: it can be table, csv or json")


def _list() -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False)
    width = max(map(len, REPORTS))
    for one in REPORTS.values():
        console.print(Text.assemble((one.name.ljust(width), "bold"), f"  {one.said(Settings())}"))
        for line in definition_lines(one, Settings(), 96, " " * (width + 4)):
            console.print(Text(line, style="dim"))
    console.print(Text.assemble((DAY.ljust(width), "bold"), "  all of these for a day, on one page with pictures"))
    console.print(f"\n{program} report NAME --help says what can be asked.")


def _format_of(output: Path | None) -> Format | None:
    if output is None:
        return None
    found = ENDINGS.get(output.suffix.lower())
    if found is None:
        _leave(f"'{output}' has no known ending: {', '.join(ENDINGS)}; or say --format")
    return found


def _where(written: Sequence[str] | None) -> dict[str, str]:
    found = {}
    for one in written or ():
        key, equals, value = one.partition("=")
        if not equals:
            raise ReportError(f"--where '{one}' has no '=': write 'hour=2026-11-27 09:00' or agent=2001")
        found[key.strip()] = value.strip()
    return found


def _way_to_calls(found: Answer, options: Mapping[str, str | None]) -> str:
    """The command that lists the calls behind the first number that is not zero."""
    words = [program, "report", found.report.name]
    for option, value in options.items():
        words += [option, value] if value is not None else []
    column = next((one for one in found.report.columns if one.behind is not None), None)
    words += ["--of", column.name] if column is not None else []
    for row in found.rows:
        if column is None or found.value(row, column.name):
            where = {**found.where, **dict(zip(found.keys, row.keys, strict=True))}
            words += [word for key, value in where.items() for word in ("--where", f"{key}={value}")]
            break
    return f"The calls behind a number:  {shlex.join([*words, '--calls'])}"


def _said(words: str) -> None:
    if sys.stderr.isatty():
        errors.print(f"Summing up {words} …", style="dim")


def _write(made: bytes, output: Path | None) -> None:
    if output is None:
        sys.stdout.buffer.write(made)
        sys.stdout.flush()
        return
    try:
        output.write_bytes(made)
    except OSError as error:
        _leave(f"{output} cannot be written: {error.strerror or error}")


def _leave(words: str) -> NoReturn:
    errors.print(words[:1].upper() + words[1:], style="bold red")
    raise typer.Exit(1) from None
