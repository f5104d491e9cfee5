"""Colours and words for what callers did. Shades go from light to dark, so that print and the colour-blind lose
nothing; the number stands beside every colour."""

from __future__ import annotations

from typing import Final

from ivr.records.traffic import Traffic

SHADES: Final = ("#fffbe6", "#fee8a8", "#fdc676", "#f99a55", "#d9542f", "#a83226")
"""From few calls to many."""
DARK_FROM: Final = 4
"""The first shade on which text must be white."""


def shade(traffic: Traffic, block: str) -> int:
    """The number of the block's shade: its share of the flow's calls."""
    if not traffic.calls:
        return 0
    share = traffic.blocks.get(block, 0) / traffic.calls
    return min(int(share * len(SHADES)), len(SHADES) - 1)


def words(traffic: Traffic, block: str) -> str:
    """``123 calls, 12 hung up (10 %)``"""
    calls, dropped = traffic.blocks.get(block, 0), traffic.dropped.get(block, 0)
    text = f"{calls} call{'' if calls == 1 else 's'}"
    return f"{text}, {dropped} hung up ({100 * dropped / calls:.0f} %)" if dropped and calls else text
