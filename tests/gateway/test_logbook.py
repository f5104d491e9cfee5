"""What a flood leaves in the log."""

from __future__ import annotations

import logging

from gateway.logbook import FewOfAKind


def record(name: str = "gateway.server", words: str = "call %d refused", number: int = 0) -> logging.LogRecord:
    return logging.LogRecord(name, logging.INFO, "server.py", 0, words, (number,), None)


def test_a_flood_is_counted_and_told_later() -> None:
    now = [0.0]
    few = FewOfAKind(allowed=3, period=60, clock=lambda: now[0])
    flood = [record(number=number) for number in range(1000)]
    written = [each.getMessage() for each in flood if few.filter(each)]
    assert written == [
        "call 0 refused",
        "call 1 refused",
        "call 2 refused (more like this within 60 s are only counted)",
    ]
    now[0] = 61.0
    later = record(number=1001)
    assert few.filter(later)
    assert later.getMessage() == "call 1001 refused (and 997 more like this, not shown)"


def test_kinds_do_not_count_for_each_other() -> None:
    few = FewOfAKind(allowed=1)
    assert few.filter(record(words="one %d"))
    assert few.filter(record(words="other %d"))
    assert not few.filter(record(words="one %d"))


def test_what_is_about_calls_passes() -> None:
    few = FewOfAKind(allowed=1)
    assert all(few.filter(record("ivr.call")) for _ in range(10))
