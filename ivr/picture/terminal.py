"""A chart as text: a line for each step, and below it where each exit leads. Reads well in a terminal and a diff."""

from __future__ import annotations

from collections.abc import Iterator

from ivr.picture.chart import Box, Chart
from ivr.picture.heat import words
from ivr.records.traffic import Traffic


def as_text(chart: Chart, heat: Traffic | None = None) -> str:
    """The whole flow, block by block in the order of its file."""
    return "\n".join(_lines(chart, heat)) + "\n"


def _lines(chart: Chart, heat: Traffic | None) -> Iterator[str]:
    calls = f"   {heat.calls} calls" if heat is not None else ""
    yield f"{chart.flow}  {chart.title}".rstrip() + f"  ({chart.place.file}){calls}"
    for box in chart.boxes.values():
        yield ""
        counted = f"   {words(heat, box.name)}" if heat is not None else ""
        yield f"{'▶' if box.starts else '■' if box.ends else '□'} {box.name}{_marks(box)}{counted}"
        for step in box.steps:
            yield f"    {step}"
        for arrow in box.arrows:
            exits = f"{', '.join(arrow.exits)} " if arrow.exits else ""
            unknown = "   !! there is no such block" if arrow.unknown else ""
            times = heat.arrows.get((box.name, arrow.to), 0) if heat is not None else None
            yield f"      {exits}→ {arrow.to}{unknown}{'' if times is None else f'   {times}'}"


def _marks(box: Box) -> str:
    marks = [box.title, *box.handles]
    if box.dead_end:
        marks.append("!! dead end: nothing says how it goes on")
    if box.unreached:
        marks.append("!! nothing leads here")
    return "".join(f"  {mark}" for mark in marks if mark)
