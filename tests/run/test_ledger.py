"""Rows wait for what was heard, and keep their order."""

from __future__ import annotations

from ivr.run.actions import StepDone, StepRecord
from ivr.run.ledger import Ledger


def row(ledger: Ledger, heard_ms: int | None = None) -> StepRecord:
    return StepRecord(ledger.next_seq(), "main", "welcome", 1, "play", 3, 0.0, 1.0, heard_ms=heard_ms)


def heard(done: list[StepDone]) -> list[tuple[int, int | None]]:
    return [(one.record.seq, one.record.heard_ms) for one in done]


def test_a_row_without_a_play_is_complete() -> None:
    ledger = Ledger()
    assert heard(ledger.add(row(ledger), None)) == [(1, None)]


def test_a_row_whose_play_is_over_is_complete() -> None:
    ledger = Ledger()
    ledger.heard(1, 700)
    assert heard(ledger.add(row(ledger), 1)) == [(1, 700)]


def test_rows_wait_for_the_row_before_them() -> None:
    ledger = Ledger()
    assert ledger.add(row(ledger, 650), 1) == []
    assert ledger.add(row(ledger), None) == []
    assert heard(ledger.heard(1, 700)) == [(1, 700), (2, None)]


def test_a_play_nothing_is_told_of_is_given_up_with_the_next() -> None:
    ledger = Ledger()
    ledger.add(row(ledger, 650), 1)
    ledger.add(row(ledger, 10), 2)
    assert heard(ledger.heard(2, 90)) == [(1, 650), (2, 90)]


def test_at_the_end_everything_is_given_out() -> None:
    ledger = Ledger()
    ledger.add(row(ledger, 650), 1)
    assert heard(ledger.close()) == [(1, 650)]
    assert ledger.close() == []
