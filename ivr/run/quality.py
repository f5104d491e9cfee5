"""How good a leg sounded, as one number: an estimate from what was measured, not an opinion of listeners."""

from __future__ import annotations

from typing import Final

from gateway.call import LegReport

__all__ = ["mean_opinion_score"]

_BEST: Final = 93.2
"""The rating of a line on which nothing is wrong (ITU-T G.107, default values)."""
_ROBUSTNESS: Final = 25.1
"""Bpl of G.711 with concealment of lost packets (ITU-T G.113, appendix I). G.722 and opus have none on this scale;
with concealment they are at least as good."""
_ALWAYS_MS: Final = 40.0
"""One packet, and the jitter buffer at its least."""
_FEWEST: Final = 50
"""Packets, a second: of less nothing can be said."""


def mean_opinion_score(report: LegReport) -> float | None:
    """1 (bad) to 4.41 (nothing wrong) for what we heard of the leg, by the E-model of ITU-T G.107 with loss, jitter,
    delay; None if too little came. Losses count as random, half the round trip as the way here."""
    expected = report.packets_received + report.packets_lost
    if expected < _FEWEST:
        return None
    loss = 100 * report.packets_lost / expected
    delay = (report.round_trip_ms or 0) / 2 + 2 * report.jitter_ms + _ALWAYS_MS
    # What delay takes away where there is no echo, in the straight lines that are commonly laid through G.107's curve.
    impaired = 0.024 * delay + (0.11 * (delay - 177.3) if delay > 177.3 else 0.0)
    rating = _BEST - impaired - 95 * loss / (loss + _ROBUSTNESS)
    if rating <= 0:
        return 1.0
    score = 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6
    return round(min(max(score, 1.0), 4.5), 2)
