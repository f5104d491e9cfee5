"""``ivr trace``: one call as a story, and what was said to telephones as a ladder."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text
from sqlalchemy import Engine

from ivr.cli.loading import errors, site_or_exit
from ivr.picture.ladder import as_svg, as_text
from ivr.records.database import RecordsError, open_database
from ivr.records.query import LegSummary
from ivr.records.trace import NoSuchCall, SeveralCalls, TracedCall, TraceLine, traced

_COLOURS: Final = {"error": "bold red", "talk": "green", "hold": "magenta", "offer": "yellow", "ring": "yellow"}
_LOOK_EVERY: Final = 0.3


def trace(
    call: Annotated[str, typer.Argument(help="The call's id, or enough of its beginning or end; last: the latest.")],
    site: Annotated[Path, typer.Option("--site", help="The site file.")] = Path("site.yaml"),
    sip: Annotated[bool, typer.Option("--sip", help="Also what was said to telephones, message by message.")] = False,
    svg: Annotated[Path | None, typer.Option("--svg", help="Write that ladder as a picture to this file.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the call is over.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object; times are ms.")] = False,
    full_numbers: Annotated[bool, typer.Option("--show-numbers", help="The caller's whole number.")] = False,
) -> None:
    """Tell what happened to a call: its way through the flow with lines of the files, keys and words, what was heard.

    Seconds count from its arrival. ivr calls --json lists ids.
    """
    try:
        engine = open_database(site_or_exit(site).records, writing=False)
        found = _traced(engine, call, full_numbers)
        if svg is not None:
            svg.write_text(as_svg(found.ladders, f"Call {found.call_id}"), encoding="utf-8")
            errors.print(f"written: {svg}")
        if as_json:
            typer.echo(json.dumps(asdict(found), ensure_ascii=False))
            return
        console = Console(highlight=False, soft_wrap=True, markup=False)
        _show_head(console, found)
        found = _show_lines(console, engine, found, full_numbers, follow)
        _show_end(console, found)
        if sip:
            console.print()
            console.print(as_text(found.ladders) if found.ladders else _no_ladder(found))
    except RecordsError as error:
        errors.print(str(error), style="bold red")
        raise typer.Exit(1) from None
    except OSError as error:
        errors.print(f"{svg} cannot be written: {error.strerror or error}", style="bold red")
        raise typer.Exit(1) from None


def _traced(engine: Engine, wanted: str, full_numbers: bool) -> TracedCall:
    try:
        return traced(engine, wanted, numbers=full_numbers)
    except NoSuchCall:
        errors.print(f"No call has the id {wanted!r}. ivr calls --json lists them.", style="bold red")
    except SeveralCalls as several:
        errors.print(f"Several calls have an id like {wanted!r}:", style="bold red")
        for call_id in several.args:
            errors.print(f"  {call_id}")
    raise typer.Exit(1)


def _show_head(console: Console, call: TracedCall) -> None:
    arrived = datetime.fromtimestamp(call.arrived_at / 1000, UTC).astimezone()
    flow = f"{call.flow}@{call.flow_version.partition('-')[0]}" if call.flow else ""
    parts = [call.call_id, f"{call.did} ← {call.caller or 'withheld'}", flow, f"{arrived:%Y-%m-%d %H:%M:%S %Z}"]
    console.print(Text("   ".join(filter(None, parts)), style="bold"))


def _show_lines(console: Console, engine: Engine, call: TracedCall, full_numbers: bool, follow: bool) -> TracedCall:
    shown: set[TraceLine] = set()
    while True:
        fresh = [line for line in call.lines if line not in shown]
        _show_some(console, fresh, call)
        shown.update(fresh)
        if not follow or call.ended_at is not None:
            return call
        time.sleep(_LOOK_EVERY)
        call = _traced(engine, call.call_id, full_numbers)


def _show_some(console: Console, lines: list[TraceLine], call: TracedCall) -> None:
    # The widths of all, so that lines that come later stand below those before.
    blocks = max([8, *(len(line.block) for line in call.lines)])
    places = max([10, *(len(line.place) for line in call.lines)])
    for line in lines:
        text = Text(f"{line.at_ms / 1000:7.1f}  ")
        text.append(line.kind.ljust(6), style=_COLOURS.get(line.kind, "cyan"))
        text.append(f"{line.block.ljust(blocks)}  {line.place.ljust(places)}  ", style="dim")
        text.append(line.what, style=_COLOURS["error"] if line.kind == "error" else "")
        console.print(text)


def _show_end(console: Console, call: TracedCall) -> None:
    if call.ended_at is None:
        console.print("The call is under way: --follow goes on with it.", style="yellow")
    else:
        seconds = (call.ended_at - call.arrived_at) / 1000
        lasted = f"{seconds // 60:.0f} min {seconds % 60:.1f} s" if seconds >= 60 else f"{seconds:.1f} s"
        console.print(Text(f"{lasted}, ended by {call.ended_by} ({call.end_cause})", style="bold"))
    if call.facts:
        console.print(Text("   ".join(f"{name}: {value}" for name, value in call.facts.items())))
    for leg in call.legs:
        console.print(Text(f"  {_leg(leg)}"))


def _leg(leg: LegSummary) -> str:
    """``agent sip 2001: 12.4 s PCMU, 620 packets, 0.2 % lost, jitter 3 ms``"""
    who = " ".join(filter(None, (leg.role, leg.kind, leg.account)))
    if leg.answered_at is None:
        return f"{who}: {(leg.outcome or 'not answered').replace('_', ' ')}"
    talked = "" if leg.ended_at is None else f"{(leg.ended_at - leg.answered_at) / 1000:.1f} s "
    if leg.packets is None:
        return f"{who}: {talked}".rstrip()
    expected = leg.packets + (leg.lost or 0)
    lost = 100 * (leg.lost or 0) / expected if expected else 0.0
    sound = f"{leg.packets} packets, {lost:.1f} % lost, jitter {leg.jitter_ms or 0:.0f} ms"
    return f"{who}: {talked}{leg.codec or ''}, {sound if leg.packets else 'NO SOUND CAME'}"


def _no_ladder(call: TracedCall) -> Text:
    why = "it comes when a leg is over" if call.ended_at is None else "no SIP was spoken, or the records do not have it"
    return Text(f"Nothing said to telephones is in the records: {why}.", style="dim")
