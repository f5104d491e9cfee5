"""A chart drawn by Graphviz: SVG or PNG, with the place in the file on every box."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Literal

import pygraphviz

from ivr.picture.chart import Box, Chart
from ivr.picture.heat import DARK_FROM, SHADES, shade, words
from ivr.records.traffic import Traffic

Format = Literal["svg", "png", "dot"]

_TROUBLE = "#c00000"
_FONT = "DejaVu Sans, Helvetica, Arial, sans-serif"


def draw(charts: Sequence[Chart], heats: Sequence[Traffic | None], format: Format) -> bytes:
    """The picture, all flows in one; each has a frame if there are several."""
    source = as_dot(charts, heats)
    if format == "dot":
        return source.encode()
    graph = pygraphviz.AGraph(string=source)
    try:
        with _quiet():
            drawn: bytes = graph.draw(format=format, prog="dot")
    finally:
        graph.close()
    return drawn


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what Graphviz's libraries print about the system's fonts off the terminal; faults are raised."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def as_dot(charts: Sequence[Chart], heats: Sequence[Traffic | None]) -> str:
    """The picture as Graphviz source."""
    return "\n".join(_graph(charts, heats)) + "\n"


def _graph(charts: Sequence[Chart], heats: Sequence[Traffic | None]) -> Iterator[str]:
    title = ", ".join(chart.title or chart.flow for chart in charts)
    yield "digraph flow {"
    yield f"  graph [rankdir=TB, nodesep=0.35, ranksep=0.5, fontname={_text(_FONT)}, tooltip={_text(title)}];"
    yield f"  node [shape=plain, fontname={_text(_FONT)}, fontsize=11];"
    yield f'  edge [fontname={_text(_FONT)}, fontsize=10, color="#555555", arrowsize=0.7];'
    for number, (chart, heat) in enumerate(zip(charts, heats, strict=True)):
        inside = _flow(chart, f"f{number}_", heat)
        if len(charts) > 1:
            yield f"  subgraph cluster_{number} {{"
            yield f'    label={_text(f"{chart.flow}  {chart.title}".rstrip())}; style=rounded; color="#999999";'
            yield from (f"  {line}" for line in inside)
            yield "  }"
        else:
            yield from inside
    yield "}"


def _flow(chart: Chart, prefix: str, heat: Traffic | None) -> Iterator[str]:
    for box in chart.boxes.values():
        yield f"  {_text(prefix + box.name)} [label=<{_table(box, heat)}>, tooltip={_text(str(box.place))}];"
    for box in chart.boxes.values():
        for arrow in box.arrows:
            to, look = prefix + arrow.to, ""
            if arrow.unknown:
                to = f"{prefix}?{arrow.to}"
                look = f', color="{_TROUBLE}", style=dashed'
                missing = _text(f"{arrow.to}: there is no such block")
                yield f'  {_text(to)} [shape=box, style=dashed, color="{_TROUBLE}", label={missing}];'
            elif arrow.to not in chart.boxes:
                continue
            label = ", ".join(arrow.exits)
            if heat is not None:
                times = heat.arrows.get((box.name, arrow.to), 0)
                label = f"{label} ({times})".strip()
                most = max(heat.arrows.values(), default=1)
                look += f", penwidth={1 + 4 * times / most:.1f}" if times else ", style=dotted"
            told = f"{box.name} to {arrow.to}" + (f": {label}" if label else "")
            ends = f"{_text(prefix + box.name)} -> {_text(to)}"
            yield f"  {ends} [label={_text(label)}, edgetooltip={_text(told)}{look}];"


def _table(box: Box, heat: Traffic | None) -> str:
    """An HTML-like label: the name, then a row for each step."""
    trouble = box.dead_end or box.unreached
    darkness = shade(heat, box.name) if heat is not None else None
    fill = "#ffffff" if darkness is None else SHADES[darkness]
    ink = "#ffffff" if darkness is not None and darkness >= DARK_FROM else "#000000"
    border = 3 if box.starts or trouble else 1
    look = f'COLOR="{_TROUBLE if trouble else "#333333"}" BGCOLOR="{fill}" STYLE="ROUNDED"'
    head = escape(box.title or box.name)
    rows = [f'<TR><TD ALIGN="LEFT"><B>{"▶ " if box.starts else ""}{head}</B></TD></TR>']
    small = [*([box.name] if box.title else []), *(f"({word})" for word in box.handles)]
    rows += [_row(word, ink, small=True) for word in small]
    rows += [_row(step, ink) for step in box.steps]
    if box.ends:
        rows.append(_row("■ the call ends", ink, small=True))
    if box.dead_end:
        rows.append(_row("dead end: nothing says how it goes on", ink if ink != "#000000" else _TROUBLE))
    if box.unreached:
        rows.append(_row("nothing leads here", ink if ink != "#000000" else _TROUBLE))
    if heat is not None:
        rows.append(_row(words(heat, box.name), ink, bold=True))
    table = f'<TABLE BORDER="{border}" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3" {look}>{"".join(rows)}</TABLE>'
    return f'<FONT COLOR="{ink}">{table}</FONT>'


def _row(text: str, ink: str, *, small: bool = False, bold: bool = False) -> str:
    inside = f"<B>{escape(text)}</B>" if bold else escape(text)
    size = ' POINT-SIZE="9"' if small else ""
    return f'<TR><TD ALIGN="LEFT"><FONT COLOR="{ink}"{size}>{inside}</FONT></TD></TR>'


def _text(text: str) -> str:
    """A quoted string of the DOT language."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'
