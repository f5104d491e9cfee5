"""Sums that are kept: which days, and that nothing old or half is told."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, event

from ivr.records.database import open_database
from ivr.reports import cells
from ivr.reports.cells import Records
from ivr.reports.shelf import SETTLES_AFTER_MS
from ivr.reports.span import DAY_MS, Span
from tests.records.calls import T0, Script
from tests.records.eight_calls import ivr
from tests.records.tables import scalar
from tests.records.test_recovery import write
from tests.reports.asking import ask, span, total

DAY = T0 - T0 % DAY_MS
SPAN = span("2025-06-15")
SETTLED = DAY + DAY_MS + SETTLES_AFTER_MS


def over(call_id: str, start: int = T0) -> Script:
    return ivr(call_id, call_id, start).at(9, "call.ended", ended_by="caller")


def calls(engine: Engine, now: int) -> object:
    return total(ask(engine, "volumes", SPAN, now=now, keep=True))["calls"]


def kept(engine: Engine) -> object:
    return scalar(engine, "SELECT count(*) FROM report_days")


def test_a_day_that_runs_is_counted_each_time(engine: Engine) -> None:
    write(engine, over("c1").events)
    assert calls(engine, T0 + 60_000) == 1
    write(engine, over("c2").events)
    assert calls(engine, T0 + 60_000) == 2
    # Tomorrow it may still learn of callers who call again.
    assert calls(engine, SETTLED - 1) == 2
    assert kept(engine) == 0
    assert calls(engine, SETTLED) == 2
    assert kept(engine) == 1


def test_a_day_with_a_call_that_is_up_waits_for_it(engine: Engine) -> None:
    long = ivr("c1", "1")
    write(engine, long.events)
    assert calls(engine, SETTLED) == 1
    assert kept(engine) == 0
    write(engine, [*long.events, *over("c1").events[-1:]])
    assert calls(engine, SETTLED) == 1
    assert kept(engine) == 1


def test_what_is_kept_is_used_and_can_be_thrown_away(engine: Engine) -> None:
    write(engine, over("c1").events)
    assert calls(engine, SETTLED) == 1
    write(engine, over("late").events)
    assert calls(engine, SETTLED) == 1
    Records(engine, SETTLED).shelf.clear()
    assert calls(engine, SETTLED) == 2


def test_another_question_is_asked_anew(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    write(engine, over("c1").events)
    assert calls(engine, SETTLED) == 1
    write(engine, over("late").events)
    monkeypatch.setattr(cells, "shape_of", lambda question, engine: "another")
    assert calls(engine, SETTLED) == 2
    assert kept(engine) == 1


def test_every_night_all_days_are_summed_up_once(engine: Engine) -> None:
    write(engine, over("c1").events, over("c2", T0 + DAY_MS).events)
    records = Records(engine, SETTLED + DAY_MS)
    first = records.summarise(DAY)
    assert first > 0
    assert records.summarise(DAY) == 0
    asked = []

    def note(*arguments: Any) -> None:
        asked.append(arguments[2])

    event.listen(engine, "before_cursor_execute", note)
    both = Span(DAY, DAY + 2 * DAY_MS, SPAN.zone)
    assert total(ask(engine, "volumes", both, now=SETTLED + DAY_MS, keep=True))["calls"] == 2
    event.remove(engine, "before_cursor_execute", note)
    assert not any("segments" in sql for sql in asked)


def test_who_may_only_read_gets_the_numbers_too(tmp_path: Any) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/records.db")
    write(engine, over("c1").events)
    reading = open_database(f"sqlite:///file:{tmp_path}/records.db?mode=ro&uri=true", writing=False)
    assert calls(reading, SETTLED) == 1
    assert kept(engine) == 0
    reading.dispose()
    engine.dispose()
