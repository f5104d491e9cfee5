"""``ivr graph``: flows as pictures, and as text."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from ivr.cli.loading import errors, flows_of, show_problems, site_or_exit
from ivr.cli.spans import seconds_of
from ivr.flow.loader import FlowSet, load_flows
from ivr.flow.problem import did_you_mean
from ivr.picture.chart import Chart, chart_of
from ivr.picture.mermaid import as_mermaid
from ivr.picture.terminal import as_text
from ivr.records.database import RecordsError, open_database
from ivr.records.traffic import Traffic, traffic
from ivr.site import Site

Format = Literal["text", "mermaid", "svg", "png", "dot"]
_ENDINGS: dict[str, Format] = {
    ".svg": "svg",
    ".png": "png",
    ".dot": "dot",
    ".gv": "dot",
    ".mmd": "mermaid",
    ".md": "mermaid",
    ".txt": "text",
}
_SITE = Path("site.yaml")


def graph(
    flows: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FLOW|FILE]...", help="Names of flows of the site, or flow files. Unless given: all."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it there; the ending says how: .svg, .png, .mmd, …")
    ] = None,
    format: Annotated[
        Format | None, typer.Option("--format", "-f", help="How it is drawn. Unless given: by the ending, else text.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="Only what can be reached from this block.")] = None,
    depth: Annotated[int | None, typer.Option("--depth", min=1, help="With --from: so many steps away.")] = None,
    heat: Annotated[
        str | None,
        typer.Option("--heat", metavar="PERIOD", help="Colour it by what callers did in that time: 24h, 7d."),
    ] = None,
    site: Annotated[Path, typer.Option("--site", help="The site file.")] = _SITE,
) -> None:
    """Draw flows: blocks, where their exits lead, what is broken, and where callers hang up.

    Blocks that nothing leads to, dead ends and exits to blocks that do not exist are marked. Flows with mistakes are
    drawn as far as they can be read.

    Examples:  ivr graph main     ivr graph main -o main.svg     ivr graph --heat 7d -o week.png
    """
    loaded, flow_set = _load(flows or [], site)
    charts = [_part(chart, start, depth) for chart in _charted(flow_set, flows or [])]
    heats: list[Traffic | None] = [None] * len(charts)
    if heat is not None:
        heats = list(_heats(loaded or site_or_exit(site), charts, seconds_of(heat)))
    as_format = format or (_ENDINGS.get(output.suffix.lower()) if output is not None else "text")
    if as_format is None:
        errors.print(f"'{output}' has no known ending: {', '.join(_ENDINGS)}; or say --format")
        raise typer.Exit(1)
    _write(_drawn(charts, heats, as_format), output)


def _load(wanted: Sequence[str], site: Path) -> tuple[Site | None, FlowSet]:
    """Flows named by their files, else those of the site. What is wrong with them is for ``ivr check``."""
    files = [Path(name) for name in wanted if Path(name).exists()]
    if files and len(files) == len(wanted):
        return None, load_flows(files)
    loaded = site_or_exit(site)
    return loaded, flows_of(loaded)


def _charted(flow_set: FlowSet, wanted: Sequence[str]) -> list[Chart]:
    names = [name for name in wanted if not Path(name).exists()]
    unknown = [name for name in names if name not in flow_set.drafts]
    for name in unknown:
        errors.print(f"There is no flow '{name}'; {did_you_mean(name, flow_set.drafts, 'flows')}", style="bold red")
    if unknown:
        raise typer.Exit(1)
    drafts = [flow_set.drafts[name] for name in names or sorted(flow_set.drafts) if name]
    charts = [chart_of(draft) for draft in drafts if draft.blocks]
    if not charts:
        show_problems(flow_set.problems)
        errors.print("There is no flow that could be drawn.", style="bold red")
        raise typer.Exit(1)
    return charts


def _part(chart: Chart, start: str | None, depth: int | None) -> Chart:
    if start is None:
        return chart
    if start not in chart.boxes:
        help = did_you_mean(start, chart.boxes, "blocks")
        errors.print(f"Flow '{chart.flow}' has no block '{start}'; {help}", style="bold red")
        raise typer.Exit(1)
    return chart.part(start, depth)


def _heats(site: Site, charts: Sequence[Chart], seconds: float) -> list[Traffic]:
    since = round((time.time() - seconds) * 1000)
    try:
        engine = open_database(site.records, writing=False)
        return [traffic(engine, chart.flow, since) for chart in charts]
    except RecordsError as error:
        errors.print(str(error), style="bold red")
        raise typer.Exit(1) from None


def _drawn(charts: Sequence[Chart], heats: Sequence[Traffic | None], format: Format) -> bytes:
    match format:
        case "text":
            return "\n".join(as_text(chart, heat) for chart, heat in zip(charts, heats, strict=True)).encode()
        case "mermaid":
            return as_mermaid(charts, heats).encode()
        case _:
            # Here and not above: Graphviz takes a moment to load, and no other command needs it.
            from ivr.picture.drawing import draw

            return draw(charts, heats, format)


def _write(picture: bytes, output: Path | None) -> None:
    if output is None:
        sys.stdout.buffer.write(picture)
        sys.stdout.flush()
        return
    try:
        output.write_bytes(picture)
    except OSError as error:
        errors.print(f"{output} cannot be written: {error.strerror or error}", style="bold red")
        raise typer.Exit(1) from None
