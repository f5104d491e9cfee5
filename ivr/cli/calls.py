"""``ivr calls``: the calls that are over, as a table or as JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from ivr.cli.loading import errors, site_or_exit
from ivr.records.database import RecordsError, open_database
from ivr.records.query import CallSummary, LegSummary, finished_calls
from ivr.records.steps import StepSummary, steps_of


def calls(
    site: Annotated[Path, typer.Option("--site", help="The site file.")] = Path("site.yaml"),
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line; times are UTC epoch milliseconds.")
    ] = False,
    last: Annotated[
        int | None, typer.Option("--last", "-n", min=1, help="Only so many, the latest. Table: 50 unless given.")
    ] = None,
    steps: Annotated[
        bool,
        typer.Option(
            "--steps", help="Under each call what it went through, with lines of the flow's file; its parties."
        ),
    ] = False,
) -> None:
    """List finished calls, the newest last, with their way through the flow."""
    try:
        engine = open_database(site_or_exit(site).records, writing=False)
    except RecordsError as error:
        errors.print(str(error), style="bold red")
        raise typer.Exit(1) from None
    try:
        summaries = finished_calls(engine, limit=last if as_json or last else 50)
        if as_json:
            for summary in summaries:
                told = summary.as_json()
                if steps:
                    one = steps_of(engine, [summary.call_id])
                    told["steps"] = [step.as_json() for step in one.get(summary.call_id, ())]
                typer.echo(json.dumps(told, ensure_ascii=False))
        else:
            listed = list(summaries)
            _show(listed, steps_of(engine, [call.call_id for call in listed]) if steps else {})
    finally:
        engine.dispose()


def _show(summaries: list[CallSummary], steps: Mapping[str, list[StepSummary]]) -> None:
    """A line for each call; its path stands behind it where there is room for all of them, else below it."""
    console = Console(highlight=False, soft_wrap=True, markup=False)
    if not summaries:
        console.print("No call has ended yet.")
        return
    rows = [("arrived", "caller", "number", "lasted", "talked with", "ended by"), *map(_row, summaries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    paths = ["path", *(" > ".join(call.path) for call in summaries)]
    beside = len(lines[0]) + 2 + max(map(len, paths)) <= console.width
    for number, (line, path) in enumerate(zip(lines, paths, strict=True)):
        below = "" if number == 0 or not path else f"\n    {path}"
        text = f"{line}  {path}".rstrip() if beside else f"{line.rstrip()}{below}"
        console.print(Text(text, style="" if number else "bold"))
        if number:
            call = summaries[number - 1]
            for told in _told(call, steps.get(call.call_id, [])):
                console.print(Text(told))
            if call.call_id in steps:
                for leg in call.legs:
                    console.print(Text(f"    {_leg(leg)}"))


def _told(call: CallSummary, steps: list[StepSummary]) -> list[str]:
    """What a call went through, a line a step: seconds since it arrived, block, place, verb, what came of it."""
    rows = [
        (
            f"{(step.from_at - call.arrived_at) / 1000:.1f}",
            step.block or "-",
            f"{PurePath(step.file).name if step.file else step.flow or '-'}:{step.line or '-'}",
            step.verb or "-",
            _outcome(step),
        )
        for step in steps
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        f"    {time.rjust(widths[0])}  {block.ljust(widths[1])}  {place.ljust(widths[2])}  "
        f"{verb.ljust(widths[3])}  {outcome}".rstrip()
        for time, block, place, verb, outcome in rows
    ]


def _leg(leg: LegSummary) -> str:
    """``agent rtc alice: busy, 486, invitation refused: busy``"""
    who = " ".join(word for word in (leg.role, leg.kind, leg.account) if word)
    became = "answered" if leg.answered_at is not None else leg.outcome or "not answered"
    facts = [became, *(str(fact) for fact in (leg.sip_status, leg.codec) if fact is not None)]
    if leg.invitation_end is not None:
        facts.append(f"invitation {leg.invitation_end}")
    return f"{who}: {', '.join(facts)}"


def _outcome(step: StepSummary) -> str:
    answer = f'"{step.input}"' if step.input else ""
    if step.input_mode == "speech":
        answer = f"said {answer or 'something'}" + ("" if step.confidence is None else f" {step.confidence:.2f}")
    exit = "" if step.exit in (None, "next", step.input) else step.exit
    to = f"→ {step.next_block}" if step.next_block else ""
    return "  ".join(filter(None, (answer, exit, to, step.error and f"({step.error})")))


def _row(call: CallSummary) -> tuple[str, ...]:
    agents = [leg.account or "" for leg in call.legs if leg.role == "agent" and leg.answered_at is not None]
    return (
        _local(call.arrived_at),
        call.caller or "-",
        call.did or "-",
        _lasted(call),
        ", ".join(agents) or "-",
        f"{call.ended_by or '-'} ({call.end_cause})" if call.end_cause else call.ended_by or "-",
    )


def _local(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _lasted(call: CallSummary) -> str:
    seconds = round((call.ended_at - call.arrived_at) / 1000)
    return f"{seconds // 60}:{seconds % 60:02d}"
