"""``ivr top``: what a running server does, in the terminal, until Ctrl-C."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path, PurePath
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from ivr.cli.loading import errors
from ivr.live.control import NoServer, ask
from ivr.live.publisher import Refused
from ivr.masking import masked, masked_in

_STATES = {
    "ringing": ("ringing", "yellow"),
    "in_flow": ("in the menu", "cyan"),
    "offering": ("being put through", "yellow"),
    "talking": ("talking", "green"),
    "on_hold": ("on hold", "magenta"),
}
_LOSS_BAD = 0.02
_JITTER_BAD_MS = 30.0


def top(
    site: Annotated[Path, typer.Option("--site", help="The site file.")] = Path("site.yaml"),
    every: Annotated[float, typer.Option("--every", min=0.2, help="Seconds from one look to the next.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, print it, and leave.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One look as one JSON object; times are epoch ms.")] = False,
    full_numbers: Annotated[bool, typer.Option("--show-numbers", help="Whole numbers of callers.")] = False,
) -> None:
    """Watch a running server: calls and where they are in their flows, their sound, seats, clients, alarms.

    Numbers of callers are masked but for their last three digits, unless --show-numbers is given.
    """
    if as_json:
        typer.echo(json.dumps(_masked(_look(site), full_numbers), ensure_ascii=False))
        return
    console = Console(highlight=False)
    if once or not console.is_terminal:
        console.print(_page(_masked(_look(site), full_numbers), None))
        return
    with Live(console=console, screen=True, auto_refresh=False) as live:
        try:
            while True:
                live.update(_page(_masked(_look(site), full_numbers), console.height), refresh=True)
                time.sleep(every)
        except KeyboardInterrupt:
            return


def _look(site: Path) -> dict[str, Any]:
    try:
        return ask(site, "top")
    except (NoServer, Refused) as error:
        errors.print(f"{error}. Start one with ivr run --site {site}", style="bold red")
        raise typer.Exit(1) from None


def _masked(now: dict[str, Any], full: bool) -> dict[str, Any]:
    if not full:
        for call in now["calls"]:
            for leg in call["legs"]:
                leg["remote"] = masked_in(leg["remote"], call["caller"])
            call["caller"] = masked(call["caller"])
    return now


def _page(now: dict[str, Any], height: int | None) -> RenderableType:
    parts: list[RenderableType] = [_head(now), *(_alarm(alarm) for alarm in now["alarms"])]
    parts += [Text(), _calls(now, height), Text(), _parties(now)]
    return Group(*parts)


def _head(now: dict[str, Any]) -> Text:
    calls, media, records = now["calls"], now["media"], now["records"]
    text = Text(f"{now['node_id']}  ", style="bold")
    text.append("takes calls" if now["ready"] else "TAKES NO CALLS", style="green" if now["ready"] else "bold red")
    since = datetime.fromtimestamp(now["since"] / 1000).strftime("%Y-%m-%d %H:%M")
    legs = "1 leg" if media["legs"] == 1 else f"{media['legs']} legs"
    text.append(f" since {since}   {len(calls)} of {now['most_calls']} calls, {legs}", style="default")
    text.append(f"   sound: {media['late_slots']} slots late, {media['missed_slots']} missed", style="default")
    text.append(f"   records: {records['written']} events written, {records['queued']} waiting", style="default")
    return text


def _alarm(alarm: dict[str, Any]) -> Text:
    critical = alarm["severity"] == "critical"
    return Text(("ALARM  " if critical else "note   ") + alarm["text"], style="bold red" if critical else "yellow")


def _calls(now: dict[str, Any], height: int | None) -> RenderableType:
    calls = sorted(now["calls"], key=lambda call: call["arrived_at"])
    if not calls:
        return Text("No calls now.", style="dim")
    # Two lines a call: who and where, and below the sound of its legs.
    room = len(calls) if height is None else max(2, (height - 8 - len(now["alarms"])) // 2)
    rows = [("for", "caller", "number", "is")]
    rows += [
        (_age(now["at"] - call["arrived_at"]), call["caller"] or "withheld", call["did"], _STATES[call["state"]][0])
        for call in calls[:room]
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row, call in zip(rows, [None, *calls[:room]], strict=True):
        age, *cells = row
        text = Text(f"{age.rjust(widths[0])}  ", style="bold" if call is None else "")
        for cell, width, name in zip(cells, widths[1:], ("caller", "did", "state"), strict=True):
            style = _STATES[call["state"]][1] if call is not None and name == "state" else ""
            text.append(f"{cell.ljust(width)}  ", style=style)
        text.append("where" if call is None else _where(call, now["at"]))
        lines.append(text)
        if call is not None:
            indented = Text(" " * (widths[0] + 2))
            lines.append(indented.append_text(Text("   ").join([_leg(leg) for leg in call["legs"]])))
    more = len(calls) - room
    if more > 0:
        lines.append(Text(f"and {more} more", style="dim"))
    return Group(*lines)


def _where(call: dict[str, Any], at: int) -> str:
    file, _, rest = str(call["place"]).rpartition("/")[2].partition(":")
    step = f" {call['verb']}" if call["verb"] else ""
    line = rest.partition(":")[0]
    return f"{call['flow']} › {call['block']}{step} ({PurePath(file).name}:{line}) {_age(at - call['step_since'])}"


def _leg(leg: dict[str, Any]) -> Text:
    who = "caller" if leg["name"] == "caller" else leg["account"] or leg["remote"]
    text = Text(f"{who}: ")
    if leg["state"] == "ringing":
        return text.append("rings", style="yellow")
    expected = leg["packets_received"] + leg["packets_lost"]
    loss = leg["packets_lost"] / expected if expected else 0.0
    text.append(f"{leg['codec'] or '-'} ")
    if not leg["packets_received"]:
        return text.append("no sound comes", style="bold red")
    text.append(f"loss {loss:.1%} ", style="bold red" if loss > _LOSS_BAD else "")
    text.append(f"jitter {leg['jitter_ms']:.0f} ms", style="bold red" if leg["jitter_ms"] > _JITTER_BAD_MS else "")
    if leg["state"] == "held":
        text.append(" holds", style="magenta")
    return text


def _parties(now: dict[str, Any]) -> RenderableType:
    """Seats, trunks and clients: a line each kind, those who are there first."""
    text = Text()
    for title, people in (
        ("Seats  ", [(seat["name"], "", bool(seat["telephones"])) for seat in now["seats"]]),
        ("Trunks ", [(one["name"], one["registration"], one["registration"] != "failed") for one in now["trunks"]]),
        ("Clients", [(one["user"], one["presence"], one["presence"] in ("online", "busy")) for one in now["clients"]]),
    ):
        if people:
            text.append(f"{title}  ", style="bold")
            for name, word, there in sorted(people, key=lambda one: not one[2]):
                told = "" if word in ("", "none", "online") else f" ({word})"
                text.append(f"{'●' if there else '○'} {name}{told}  ", style="green" if there else "dim")
            text.append("\n")
    return text


def _age(ms: float) -> str:
    seconds = max(0, round(ms / 1000))
    if seconds >= 3600:
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{seconds // 60}:{seconds % 60:02}"
