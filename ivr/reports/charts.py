"""Pictures of reports by Matplotlib, for print, screens, and eyes that tell few colours apart.

What belongs together is told by luminance, pattern and a label at the place, never by hue alone. In pages colours are
names (``var(--ink)``) so that the page says what is dark and what is light.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ivr.reports.answer import WEEKDAYS, Answer, ReportRow
from ivr.reports.definition import TIMES, Column
from ivr.reports.words import shown
from ivr.reports.writing import heat

INK: Final = "#1a1a1a"
FAINT: Final = "#8a8f98"
PAPER: Final = "#fefefe"
SERIES: Final = ("#1f5a94", "#9ec3e6", "#e0a030", "#5b3a70", "#c98bb0", "#6b6b6b", "#b8402a")
"""From dark to light and back: neighbours differ in luminance."""
HATCHES: Final = ("", "///", "", "\\\\\\", "...", "xxx", "")
_DASHES: Final = ("-", "--", ":", "-.")
_MARKS: Final = ("o", "s", "^", "D")
_RANKS: Final = 12
"""Rows of a picture of ranks; the table has the rest."""
_LINES: Final = 5

_STYLE: Final[Mapping[Any, Any]] = MappingProxyType(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "ivr",
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans", "Helvetica", "Arial"],
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": FAINT,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "hatch.linewidth": 0.7,
    }
)


def drawable(answer: Answer) -> bool:
    """Whether there is anything to be drawn."""
    return answer.report.picture.kind != "none" and bool(answer.rows)


def draw(answer: Answer, format: Literal["svg", "png"]) -> bytes:
    """A picture for a file, with its title and span."""
    return _drawn(answer, format, title=f"{answer.report.title}   {answer.span}")


def inline(answer: Answer, name: str) -> str:
    """A picture for a page: SVG without a head, colours by name, ids that begin with ``name``."""
    svg = _drawn(answer, "svg", title=None).decode()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    for colour, variable in (
        (INK, "--ink"),
        (FAINT, "--faint"),
        (PAPER, "--paper"),
        *((one, f"--series-{n}") for n, one in enumerate(SERIES)),
    ):
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', svg, count=1)
    return svg.strip()


def _drawn(answer: Answer, format: Literal["svg", "png"], title: str | None) -> bytes:
    with mpl.rc_context(dict(_STYLE)):
        figure = Figure(figsize=(9.0, 3.4), layout="constrained")
        axes = figure.add_subplot()
        columns = [answer.report.column(name) for name in answer.report.picture.columns]
        if not drawable(answer):
            axes.text(0.5, 0.5, "nothing to count in that time", ha="center", va="center")
            axes.set_axis_off()
        elif answer.report.picture.kind == "heat":
            _heat(axes, answer)
        elif answer.keys[:1] and answer.keys[0] in TIMES:
            _over_time(axes, answer, columns)
        else:
            _ranks(figure, axes, answer, columns)
        if title is not None:
            figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=10)
        made = io.BytesIO()
        if format == "svg":
            figure.savefig(made, format="svg", transparent=title is None, metadata={"Date": None, "Creator": None})
        else:
            figure.savefig(made, format="png", dpi=150)
        return made.getvalue()


# Over time. -----------------------------------------------------------------------------------------------


def _over_time(axes: Axes, answer: Answer, columns: Sequence[Column]) -> None:
    moments = list(dict.fromkeys(row.keys[0] for row in answer.rows))
    kind = answer.report.picture.kind
    if len(answer.keys) > 1:
        _lines(axes, answer, moments, _series(answer, columns[0], moments), columns[0])
    elif kind in ("line", "ranks"):
        values = {one.title: [_value(answer, row, one) for row in answer.rows] for one in columns}
        _lines(axes, answer, moments, values, columns[0])
    else:
        _bars(axes, answer, moments, columns)
    _ticks(axes, moments, answer.keys[0])
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color=FAINT, alpha=0.3, linewidth=0.6)
    axes.set_axisbelow(True)


def _series(answer: Answer, column: Column, moments: Sequence[str]) -> Mapping[str, list[float | None]]:
    """By what stands behind the time, the largest first."""
    found: dict[str, list[float | None]] = {}
    for row in answer.rows:
        line = found.setdefault(" ".join(row.keys[1:]), [None] * len(moments))
        line[moments.index(row.keys[0])] = _value(answer, row, column)
    largest = sorted(found, key=lambda name: -max((value or 0 for value in found[name]), default=0))
    return {name: [0 if value is None else value for value in found[name]] for name in largest[:_LINES]}


def _lines(
    axes: Axes, answer: Answer, moments: Sequence[str], series: Mapping[str, Sequence[float | None]], column: Column
) -> None:
    """Each with its name at its end; names are kept apart."""
    ends: list[tuple[float, int, str, str]] = []
    single = len(moments) == 1
    for number, (name, values) in enumerate(series.items()):
        colour = SERIES[(0, 2, 3, 6, 5)[number % 5]]
        plotted = [float("nan") if value is None else value for value in values]
        axes.plot(
            range(len(moments)),
            plotted,
            color=colour,
            linestyle=_DASHES[number % 4],
            marker=_MARKS[number % 4] if single or len(moments) <= 60 else None,
            markersize=3.5,
            linewidth=1.8,
        )
        known = [place for place, value in enumerate(values) if value is not None]
        if known:
            ends.append((values[known[-1]] or 0, known[-1], name, colour))
    axes.set_ylim(bottom=0)
    step, above = axes.get_ylim()[1] * 0.085, float("inf")
    for value, last, name, colour in sorted(ends, key=lambda end: -end[0]):
        above = min(value, above - step)
        axes.annotate(name, (last, above), xytext=(8, 0), textcoords="offset points", va="center", color=colour)
    axes.set_xlim(-0.5, len(moments) - 0.5)
    axes.set_ylabel(_axis(answer, column, named=len(series) == 1))


def _bars(axes: Axes, answer: Answer, moments: Sequence[str], columns: Sequence[Column]) -> None:
    """Bars, on top of each other if there are several columns, the list of names in the same order."""
    below = [0.0] * len(moments)
    for number, column in enumerate(columns):
        heights = [_value(answer, row, column) or 0 for row in answer.rows]
        axes.bar(
            range(len(moments)),
            heights,
            0.8,
            bottom=below,
            color=SERIES[number],
            hatch=HATCHES[number],
            edgecolor=PAPER,
            linewidth=0.4,
            label=column.title,
        )
        below = [under + height for under, height in zip(below, heights, strict=True)]
    if len(columns) > 1:
        handles, names = axes.get_legend_handles_labels()
        axes.legend(handles[::-1], names[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    elif len(moments) <= 31:
        for place, row in enumerate(answer.rows):
            value = _value(answer, row, columns[0])
            if value:
                axes.annotate(
                    _brief(value, columns[0]),
                    (place, value),
                    xytext=(0, 2),
                    textcoords="offset points",
                    ha="center",
                    fontsize=7.5,
                )
    axes.set_xlim(-0.6, len(moments) - 0.4)
    axes.set_ylabel(_axis(answer, columns[0], named=len(columns) == 1))


def _ticks(axes: Axes, moments: Sequence[str], by: str) -> None:
    """As many as can be read; of hours the hour, and the day where it changes."""
    step = max(1, -(-len(moments) // 26))
    places = range(0, len(moments), step)
    names = []
    day = ""
    for place in places:
        label = moments[place]
        if by == "hour":
            new = label[:10]
            several = moments[0][:10] != moments[-1][:10]
            names.append(label[11:13] + label[16:] + (f"\n{new[5:]}" if several and new != day else ""))
            day = new
        else:
            names.append(label[5:])
    axes.set_xticks(list(places), names)
    axes.tick_params(axis="x", length=2)


def _axis(answer: Answer, column: Column, *, named: bool) -> str:
    unit = {"percent": "%", "seconds": "seconds", "count": "calls", "number": "", "time": ""}
    return (
        f"{column.title}, {unit[column.unit]}".rstrip(", ") if named and column.unit != "count" else unit[column.unit]
    )


# Ranks and heat. ------------------------------------------------------------------------------------------


def _ranks(figure: Figure, axes: Axes, answer: Answer, columns: Sequence[Column]) -> None:
    """Bars to the right, each with its number behind it."""
    rows = answer.rows[:_RANKS]
    figure.set_figheight(max(1.6, 0.55 + 0.3 * len(rows) * (1 if len(columns) == 1 else 0.62 * len(columns))))
    thick = 0.78 / len(columns)
    for number, column in enumerate(columns):
        values = [_value(answer, row, column) or 0 for row in rows]
        places = [place + (number - (len(columns) - 1) / 2) * thick for place in range(len(rows))]
        axes.barh(
            places,
            values,
            thick * 0.92,
            color=SERIES[(0, 2, 1)[number % 3]],
            hatch=("", "", "///")[number % 3],
            edgecolor=PAPER,
            linewidth=0.4,
            label=column.title,
        )
        for place, row in zip(places, rows, strict=True):
            value = _value(answer, row, column)
            name = f"  {column.title.removesuffix(' %')}" if len(columns) > 1 and row is rows[0] else ""
            text = f"{shown(value, column, answer.span)}{name}"
            axes.annotate(text, (value or 0, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
    if len(columns) == 1:
        axes.set_title(columns[0].title, loc="left", fontsize=9)
    axes.set_yticks(range(len(rows)), [_short(" · ".join(row.keys)) for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, max(axes.get_xlim()[1], 1e-9) * 1.12)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _short(text: str) -> str:
    return text if len(text) <= 48 else f"{text[:47]}…"


def _heat(axes: Axes, answer: Answer) -> None:
    """Squares from light to dark, each with its number."""
    counts = heat(answer)
    hours = sorted({hour for _, hour in counts})
    days = [day for day in WEEKDAYS if any(at == day for at, _ in counts)]
    most = max(counts.values(), default=0) or 1
    for y, day in enumerate(days):
        for x, hour in enumerate(hours):
            count = counts.get((day, hour))
            if count is None:
                continue
            part = count / most
            axes.add_patch(_square(x, y, part))
            if count:
                axes.text(x, y, f"{count}", ha="center", va="center", fontsize=7, color=PAPER if part > 0.6 else INK)
    axes.set_xlim(-0.5, len(hours) - 0.5)
    axes.set_ylim(len(days) - 0.5, -0.5)
    axes.set_xticks(range(len(hours)), hours)
    axes.set_yticks(range(len(days)), days)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _square(x: int, y: int, part: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(
        (x - 0.48, y - 0.46), 0.96, 0.92, facecolor=SERIES[0], alpha=0.06 + 0.94 * part if part else 0.03, linewidth=0
    )


def _value(answer: Answer, row: ReportRow, column: Column) -> float | None:
    return answer.value(row, column.name)


def _brief(value: float, column: Column) -> str:
    return f"{value:.0f}" if column.unit in ("count", "percent") else f"{value:.1f}"
