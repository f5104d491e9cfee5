"""Lines that are busy at once, against looking at every single moment."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ivr.reports.occupancy import busy
from ivr.reports.span import SLOT_MS

# A clock with few ticks, so that much happens at the same moment.
TICK = SLOT_MS // 5
times = st.integers(-4, 24).map(lambda tick: tick * TICK)
intervals = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), times, times).filter(lambda one: one[1] < one[2]), max_size=12
)


@given(intervals)
def test_as_if_looked_at_every_moment(given: list[tuple[str, int, int]]) -> None:
    ends = 4 * SLOT_MS
    found = {(slot, line): one for slot, line, one in busy(given, 0, ends)}
    for line in ("a", "b"):
        for slot in range(0, ends, SLOT_MS):
            moments = range(slot, slot + SLOT_MS, TICK)
            levels = [sum(who == line and since <= at < until for who, since, until in given) for at in moments]
            if not max(levels):
                assert (slot, line) not in found
                continue
            one = found[slot, line]
            assert one.peak == max(levels)
            assert one.peak_at == moments[levels.index(max(levels))]
            assert one.busy_ms == sum(levels) * TICK


def test_a_peak_between_two_looks() -> None:
    calls = [("a", 100, 900), ("a", 300, 301), ("a", 301, 302)]
    ((_, _, one),) = busy(calls, 0, SLOT_MS)
    assert (one.peak, one.peak_at, one.busy_ms) == (2, 300, 802)
