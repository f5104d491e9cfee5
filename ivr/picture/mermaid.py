"""A chart as a Mermaid flowchart, for wikis and README files that draw it themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ivr.picture.chart import Box, Chart
from ivr.picture.heat import DARK_FROM, SHADES, shade, words
from ivr.records.traffic import Traffic

_ESCAPES = str.maketrans({"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;"})


def as_mermaid(charts: Sequence[Chart], heats: Sequence[Traffic | None]) -> str:
    """All charts in one picture, a subgraph for each if there are several."""
    return "\n".join(_lines(charts, heats)) + "\n"


def _lines(charts: Sequence[Chart], heats: Sequence[Traffic | None]) -> Iterator[str]:
    yield "flowchart TD"
    for number, (chart, heat) in enumerate(zip(charts, heats, strict=True)):
        inside = list(_flow(chart, f"f{number}_", heat))
        if len(charts) > 1:
            yield f'  subgraph f{number}["{_safe(chart.title or chart.flow)}"]'
            yield from (f"  {line}" for line in inside)
            yield "  end"
        else:
            yield from inside
    yield "  classDef trouble stroke:#c00000,stroke-width:3px,stroke-dasharray:6 3"
    yield "  classDef start stroke-width:3px"
    if any(heat is not None for heat in heats):
        for number, colour in enumerate(SHADES):
            yield f"  classDef heat{number} fill:{colour},color:{'#ffffff' if number >= DARK_FROM else '#000000'}"


def _flow(chart: Chart, prefix: str, heat: Traffic | None) -> Iterator[str]:
    for box in chart.boxes.values():
        left, right = ("([", "])") if box.ends else ("[", "]")
        yield f'  {prefix}{box.name}{left}"{_label(box, heat)}"{right}'
        classes = ["start"] if box.starts else []
        if box.dead_end or box.unreached:
            classes.append("trouble")
        if heat is not None:
            classes.append(f"heat{shade(heat, box.name)}")
        yield from (f"  class {prefix}{box.name} {name}" for name in classes)
    missing = {arrow.to for box in chart.boxes.values() for arrow in box.arrows if arrow.unknown}
    for name in sorted(missing):
        yield f'  {prefix}missing_{_identifier(name)}["{_safe(name)}<br/>there is no such block"]'
        yield f"  class {prefix}missing_{_identifier(name)} trouble"
    for box in chart.boxes.values():
        for arrow in box.arrows:
            if arrow.unknown:
                to = f"missing_{_identifier(arrow.to)}"
            elif arrow.to in chart.boxes:
                to = arrow.to
            else:
                continue
            label = f'|"{_safe(", ".join(arrow.exits))}"|' if arrow.exits else ""
            yield f"  {prefix}{box.name} -->{label} {prefix}{to}"


def _label(box: Box, heat: Traffic | None) -> str:
    lines = [f"<b>{_safe(box.title or box.name)}</b>", *map(_safe, box.handles), *map(_safe, box.steps)]
    if box.dead_end:
        lines.append("dead end")
    if box.unreached:
        lines.append("nothing leads here")
    if heat is not None:
        lines.append(_safe(words(heat, box.name)))
    return "<br/>".join(lines)


def _identifier(text: str) -> str:
    return "".join(character if character.isascii() and character.isalnum() else "_" for character in text)


def _safe(text: str) -> str:
    return text.translate(_ESCAPES)
