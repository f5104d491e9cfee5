"""Reports as tests ask them: by name, with times as people write them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from ivr.reports.answer import Answer, answer, calls_behind
from ivr.reports.catalogue import REPORTS
from ivr.reports.cells import Records
from ivr.reports.definition import By, Number, Settings
from ivr.reports.span import Span, span_of

LATER = 4_000_000_000_000
"""By then every day is settled."""


def span(begins: str, ends: str | None = None, zone: str = "UTC") -> Span:
    return span_of(begins, ends or begins, ZoneInfo(zone), LATER)


def ask(
    engine: Engine,
    name: str,
    within: Span,
    *,
    by: By | None = None,
    now: int = LATER,
    keep: bool = False,
    settings: Settings | None = None,
    **where: str,
) -> Answer:
    """With underscores for spaces in the keys of ``where``."""
    records = Records(engine, now, keep)
    return answer(REPORTS[name], records, within, by=by, where=_keys(where), settings=settings)


def behind(
    engine: Engine,
    name: str,
    within: Span,
    column: str | None = None,
    *,
    settings: Settings | None = None,
    **where: str,
) -> list[str]:
    records = Records(engine, LATER, keep=False)
    found = calls_behind(REPORTS[name], records, within, column=column, where=_keys(where), settings=settings)
    return [call.call_id for call in found]


def numbers(found: Answer) -> dict[str, tuple[Number, ...]]:
    """From the keys of each row to its numbers, rounded to a tenth."""
    return {" ".join(row.keys): rounded(row.values) for row in found.rows}


def total(found: Answer) -> dict[str, Number]:
    assert found.total is not None
    names = [column.name for column in found.report.columns]
    return dict(zip(names, rounded(found.total.values), strict=True))


def rounded(values: tuple[Number, ...]) -> tuple[Number, ...]:
    return tuple(round(value, 1) if isinstance(value, float) else value for value in values)


def _keys(where: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", " "): value for name, value in where.items()}
