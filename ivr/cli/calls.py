"""``ivr calls``: the calls that are over, as a table or as JSON Lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ivr.cli.loading import errors, site_or_exit
from ivr.records.database import RecordsError, open_database
from ivr.records.query import CallSummary, finished_calls


def calls(
    site: Annotated[Path, typer.Option("--site", help="The site file.")] = Path("site.yaml"),
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line; times are UTC epoch milliseconds.")
    ] = False,
    last: Annotated[
        int | None, typer.Option("--last", "-n", min=1, help="Only so many, the latest. Table: 50 unless given.")
    ] = None,
) -> None:
    """List finished calls, the newest last, with their way through the flow."""
    try:
        engine = open_database(site_or_exit(site).records, writing=False)
        summaries = finished_calls(engine, limit=last if as_json or last else 50)
        if as_json:
            for summary in summaries:
                typer.echo(json.dumps(summary.as_json(), ensure_ascii=False))
        else:
            _show(list(summaries))
    except RecordsError as error:
        errors.print(f"[bold red]{error}[/]")
        raise typer.Exit(1) from None


def _show(summaries: list[CallSummary]) -> None:
    console = Console(highlight=False)
    if not summaries:
        console.print("No call has ended yet.")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("arrived", "caller", "number"):
        table.add_column(name, no_wrap=True)
    table.add_column("lasted", justify="right", no_wrap=True)
    table.add_column("talked with", no_wrap=True)
    table.add_column("ended by", no_wrap=True)
    table.add_column("path", overflow="fold")
    for call in summaries:
        agents = [leg.account or "" for leg in call.legs if leg.role == "agent" and leg.answered_at is not None]
        table.add_row(
            _local(call.arrived_at),
            call.caller or "-",
            call.did or "-",
            _lasted(call),
            ", ".join(agents) or "-",
            f"{call.ended_by or '-'} ({call.end_cause})" if call.end_cause else call.ended_by or "-",
            " > ".join(call.path),
        )
    console.print(table)


def _local(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _lasted(call: CallSummary) -> str:
    seconds = round((call.ended_at - call.arrived_at) / 1000)
    return f"{seconds // 60}:{seconds % 60:02d}"
