"""The estimate of how a leg sounded, against values that the E-model is known by."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.run.quality import mean_opinion_score
from tests.observe.looks import REPORT

GOOD = replace(REPORT, packets_received=1000, packets_lost=0, jitter_ms=0.0, round_trip_ms=0.0)


@pytest.mark.parametrize(
    ("lost", "round_trip_ms", "least", "most"),
    [
        (0, 0.0, 4.35, 4.41),  # G.711 on a good line: R about 92
        (10, 0.0, 4.2, 4.35),
        (50, 0.0, 3.6, 4.0),
        (200, 0.0, 1.9, 2.6),
        (0, 600.0, 2.9, 3.7),
        (900, 600.0, 1.0, 1.0),
    ],
)
def test_known_values(lost: int, round_trip_ms: float, least: float, most: float) -> None:
    report = replace(GOOD, packets_received=1000 - lost, packets_lost=lost, round_trip_ms=round_trip_ms)
    score = mean_opinion_score(report)
    assert score is not None
    assert least <= score <= most


def test_of_nothing_nothing_is_said() -> None:
    assert mean_opinion_score(replace(GOOD, packets_received=0)) is None
    assert mean_opinion_score(replace(GOOD, packets_received=49)) is None


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.floats(0, 10_000), st.none() | st.floats(0, 10_000))
def test_it_is_always_a_score_and_loss_never_helps(got: int, lost: int, jitter: float, delay: float | None) -> None:
    report = replace(GOOD, packets_received=got, packets_lost=lost, jitter_ms=jitter, round_trip_ms=delay)
    score = mean_opinion_score(report)
    worse = mean_opinion_score(replace(report, packets_lost=lost + 100))
    if score is not None and worse is not None:
        assert 1.0 <= worse <= score <= 4.5
