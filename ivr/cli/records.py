"""``ivr records``: rows derived again, checked, deleted when they are old, and a caller taken out of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ivr.cli.loading import errors, site_or_exit
from ivr.cli.spans import seconds_of
from ivr.masking import masked
from ivr.records.audit import NODE_SILENT_MS, Finding, audit
from ivr.records.database import RecordsError, open_database
from ivr.records.erasure import Erased, erase
from ivr.records.keeping import Retention
from ivr.records.progress import nodes_seen_since
from ivr.records.recovery import rebuild, rebuildable
from ivr.records.retention import retain
from ivr.records.room import room, vacuum

app = typer.Typer(
    help="Look after the records: check them, derive them again, delete what is old, take a caller out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
)

_SITE = Annotated[Path, typer.Option("--site", help="The site file.")]
_DRY_RUN = Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would be done.")]
_NUMBERS = Annotated[bool, typer.Option("--show-numbers", help="Whole numbers of callers.")]
_JSON = Annotated[bool, typer.Option("--json", help="As JSON; times are UTC epoch milliseconds.")]
_DEFAULT = Path("site.yaml")
_SETTLED_MS = 60_000


@app.command("rebuild")
def rebuild_command(site: _SITE = _DEFAULT) -> None:
    """Derive the rows of all calls again from their events. They come out the same unless something was wrong.

    May be done while a server runs, which keeps to itself the calls that are under way or ended a minute ago.
    """
    with _records(site, writing=True) as engine, _bar("calls") as bar:
        now = _now()
        with engine.connect() as connection:
            running = nodes_seen_since(connection, now - NODE_SILENT_MS)
        task = bar.add_task("derived", total=rebuildable(engine))
        total = rebuild(
            engine,
            ended_before=now - _SETTLED_MS if running else None,
            rebuilt=lambda calls: bar.advance(task, calls),
        )
    typer.echo(f"{total} calls were derived again from their events.")


@app.command("audit")
def audit_command(
    site: _SITE = _DEFAULT,
    last: Annotated[str | None, typer.Option("--last", metavar="SPAN", help="Only calls of the last 24h, 7d.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line for each mistake.")] = False,
    full_numbers: _NUMBERS = False,
) -> None:
    """Check every call: its segments add up to it, its legs are within it, it has ended or its server runs.

    Names each mistake with its call. Exit code 1 if there are any.
    """
    console = Console(highlight=False, soft_wrap=True, markup=False)
    found = calls = 0
    with _records(site) as engine, _bar("calls") as bar:
        now = _now()
        since = 0 if last is None else now - round(seconds_of(last) * 1000)
        task = bar.add_task("checked", total=None)

        def looked(more: int) -> None:
            nonlocal calls
            calls += more
            bar.advance(task, more)

        for finding in audit(engine, now, since=since, looked=looked):
            found += 1
            _show(finding, console, as_json, full_numbers)
    if not as_json:
        console.print(
            f"{calls} calls, {found or 'no'} mistake{'' if found == 1 else 's'}", style="red" if found else ""
        )
    if found:
        raise typer.Exit(1)


def _show(finding: Finding, console: Console, as_json: bool, full_numbers: bool) -> None:
    caller = finding.caller if full_numbers or finding.caller is None else masked(finding.caller)
    if as_json:
        typer.echo(json.dumps({**asdict(finding), "caller": caller}, ensure_ascii=False))
        return
    when = "" if finding.arrived_at is None else f" ({_local(finding.arrived_at)}, {caller or 'withheld'})"
    console.print(f"{finding.call_id}{when}: {finding.what}")


@app.command("retain")
def retain_command(site: _SITE = _DEFAULT, dry_run: _DRY_RUN = False) -> None:
    """Delete what is older than the site file allows (retention), as the server does every night."""
    loaded = site_or_exit(site)
    if not loaded.retention:
        errors.print("The site file has no retention: everything is kept. Write retention: {events: 30d, calls: 2y}")
        raise typer.Exit(1)
    with _records(site, writing=not dry_run) as engine, _bar("rows") as bar:
        task = bar.add_task("deleted", total=None)
        deleted = retain(
            engine,
            loaded.retention,
            _now(),
            dry_run=dry_run,
            told=lambda table, rows: bar.advance(task, rows),
        )
    for one in fields(Retention):
        age = getattr(loaded.retention, one.name)
        if age is not None:
            typer.echo(f"{one.name} of calls that ended more than {age / 86_400:g} days ago")
    for table, rows in deleted.items():
        typer.echo(f"{rows:>10} rows of {table} {'would be' if dry_run else 'were'} deleted")


@app.command("erase")
def erase_command(
    number: Annotated[
        str, typer.Argument(help="The caller's number, as ivr calls shows it; the plus may be left out.")
    ],
    site: _SITE = _DEFAULT,
    dry_run: _DRY_RUN = False,
    as_json: _JSON = False,
    full_numbers: _NUMBERS = False,
) -> None:
    """Take a caller out of the records: number, name, answers, words and signalling go; calls are still counted.

    Calls that went to the number lose it too. Sound is not in the records, nor is what the log says or a service got.
    """
    with _records(site, writing=not dry_run) as engine, _bar("calls") as bar:
        task = bar.add_task("cleared", total=None)
        try:
            erased = erase(engine, number, _now(), dry_run=dry_run, cleared=lambda calls: bar.advance(task, calls))
        except ValueError as error:
            errors.print(f"{error}: write the number of a caller", style="bold red")
            raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(asdict(erased)))
    else:
        _tell_erased(erased, number if full_numbers else masked(number), dry_run)
    if erased.under_way:
        raise typer.Exit(2)


def _tell_erased(erased: Erased, number: str, dry_run: bool) -> None:
    done = "would be" if dry_run else "were"
    typer.echo(f"{len(erased.calls)} calls of {number} {done} cleared:")
    typer.echo(f"{erased.events:>10} events, {erased.steps} answers, {erased.tags} tags, {erased.legs} legs")
    typer.echo(f"{len(erased.mentions)} calls of others to that number {done} cleared of it")
    if erased.under_way:
        ids = ", ".join(erased.under_way[:10])
        errors.print(
            f"{len(erased.under_way)} calls are under way or ended a moment ago and were left alone: {ids}."
            " Do it again in some minutes.",
            style="bold yellow",
        )


@app.command("size")
def size_command(site: _SITE = _DEFAULT, as_json: _JSON = False) -> None:
    """Show how much room each table takes, and its rows."""
    with _records(site) as engine:
        tables = room(engine)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in tables]))
        return
    shown = Table("table", box=None, pad_edge=False)
    for column in ("rows", "MB", "oldest"):
        shown.add_column(column, justify="right")
    for one in tables:
        size = "" if one.size is None else f"{one.size / 1e6:,.1f}"
        shown.add_row(one.table, f"{one.rows:,}", size, "" if one.oldest is None else _local(one.oldest))
    Console(highlight=False).print(shown)


@app.command("vacuum")
def vacuum_command(site: _SITE = _DEFAULT) -> None:
    """Give the room of deleted rows back to the disk. SQLite writes the whole file anew: events wait in the spool."""
    with _records(site, writing=True) as engine:
        before, after = vacuum(engine)
    typer.echo(f"{before / 1e6:,.1f} MB before, {after / 1e6:,.1f} MB now")


@contextmanager
def _records(site: Path, *, writing: bool = False) -> Iterator[Engine]:
    """The database; what goes wrong with it ends the program with words."""
    try:
        engine = open_database(site_or_exit(site).records, writing=writing)
    except RecordsError as error:
        errors.print(str(error), style="bold red")
        raise typer.Exit(1) from None
    try:
        yield engine
    except SQLAlchemyError as error:
        words = " ".join(str(getattr(error, "orig", None) or error).split())
        errors.print(f"The database has stopped this: {words}. What was done by then stands; try again.", style="red")
        raise typer.Exit(1) from None
    finally:
        engine.dispose()


@contextmanager
def _bar(what: str) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(what),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        yield bar


def _now() -> int:
    return round(time.time() * 1000)


def _local(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
