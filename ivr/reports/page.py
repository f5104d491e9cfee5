"""Reports on one page of HTML: pictures, the tables behind them, what they mean. Nothing is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from typing import Final

from ivr.reports.answer import Answer
from ivr.reports.charts import drawable, inline
from ivr.reports.day import headlines
from ivr.reports.writing import heat_rows, table_rows

_STYLE: Final = files("ivr.reports").joinpath("page.css").read_text(encoding="utf-8")


def page(answers: Sequence[Answer], title: str, now: int) -> str:
    """The whole page. ``now``: when it was made, UTC epoch ms."""
    return "\n".join(_page(answers, title, now)) + "\n"


def _page(answers: Sequence[Answer], title: str, now: int) -> Iterator[str]:
    span = answers[0].span
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield f"<title>{escape(title)}</title>"
    yield f"<style>\n{_STYLE}</style></head><body>"
    yield f"<header><h1>{escape(title)}</h1>"
    so_far = "" if now >= span.ends else f" The time is not over: numbers until {span.local(now):%H:%M}."
    yield (
        f"<p>Times of {escape(span.zone.key)}. Made on {span.local(now):%Y-%m-%d at %H:%M}."
        f"<strong>{escape(so_far)}</strong></p></header>"
    )
    yield "<main>"
    if len(answers) > 1:
        yield from _head(answers)
    for one in answers:
        yield from _section(one)
    yield "</main></body></html>"


def _head(answers: Sequence[Answer]) -> Iterator[str]:
    yield '<ul class="headlines" aria-label="The day in a few numbers">'
    for one in headlines(answers):
        yield (
            f'<li><a href="#{one.report}"><span class="what">{escape(one.title)}</span>'
            f'<span class="number">{escape(one.number)}</span><span class="remark">{escape(one.remark)}</span></a></li>'
        )
    yield "</ul>"
    links = (f'<a href="#{one.report.name}">{escape(one.report.title)}</a>' for one in answers)
    yield f'<nav aria-label="Reports">{" ".join(links)}</nav>'


def _section(answer: Answer) -> Iterator[str]:
    report = answer.report
    brief = report.said(answer.settings)
    yield f'<section id="{report.name}" aria-labelledby="{report.name}-title">'
    yield f'<h2 id="{report.name}-title">{escape(report.title)}</h2>'
    yield f'<p class="brief">{escape(brief[:1].upper() + brief[1:])}.</p>'
    if not answer.rows:
        yield '<p class="nothing">Nothing to count in this time.</p>'
    else:
        if drawable(answer):
            words = f"Picture of the table below: {report.title}, {answer.span}"
            yield f'<figure role="img" aria-label="{escape(words)}">{inline(answer, report.name)}</figure>'
        yield f"<details{'' if drawable(answer) else ' open'}><summary>The numbers</summary>"
        yield from _table(answer)
        if answer.left_off:
            yield f"<p>… and {answer.left_off} more rows: <code>ivr report {report.name} --limit 0</code></p>"
        yield "</details>"
    yield '<details class="meaning"><summary>What is counted</summary>'
    yield "".join(f"<p>{escape(sentence)}</p>" for sentence in report.told(answer.settings))
    command = f"ivr report {report.name} --from '{answer.span.local(answer.span.begins):%Y-%m-%d %H:%M}' --calls"
    yield f"<p>The calls behind a number: <code>{escape(command)} --of COLUMN --where KEY=VALUE</code></p>"
    yield "</details></section>"


def _table(answer: Answer) -> Iterator[str]:
    heat = answer.report.picture.kind == "heat"
    head, *rows = heat_rows(answer) if heat else table_rows(answer)
    keys = 1 if heat else max(len(answer.keys), 1)
    total = heat or (answer.total is not None and bool(answer.keys))
    yield f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(answer.report.title)}">'
    yield "<table><thead><tr>"
    for place, name in enumerate(head):
        yield f'<th scope="col"{"" if place >= keys else " class=key"}>{escape(name)}</th>'
    yield "</tr></thead><tbody>"
    for number, row in enumerate(rows):
        last = total and number == len(rows) - 1
        yield f"<tr{' class=total' if last else ''}>"
        for place, cell in enumerate(row):
            if place < keys:
                yield f'<th scope="row" class="key">{escape(cell)}</th>'
            else:
                yield f"<td>{escape(cell)}</td>"
        yield "</tr>"
    yield "</tbody></table></div>"
