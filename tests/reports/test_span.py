"""Days and hours of the clock on the wall, on days when it is set."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ivr.reports.span import SLOT_MS, SpanError, buckets, machine_zone, span_of

BERLIN = ZoneInfo("Europe/Berlin")
NOW = round(datetime(2026, 11, 27, 17, 55, tzinfo=UTC).timestamp() * 1000)


def utc(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M}"


def hours(day: str, zone: str) -> list[tuple[str, int]]:
    """Each hour of the day, and how many quarters it has."""
    found = buckets(span_of(day, day, ZoneInfo(zone), NOW), "hour")
    return list(Counter(bucket.label[11:] for bucket in found.values()).items())


def test_a_day_has_24_hours_and_23_and_25_when_the_clock_is_set() -> None:
    assert [len(hours(day, "Europe/Berlin")) for day in ("2026-10-24", "2026-03-29", "2026-10-25")] == [24, 23, 25]
    assert ("02:00", 4) not in hours("2026-03-29", "Europe/Berlin")
    twice = [hour for hour in hours("2026-10-25", "Europe/Berlin") if hour[0].startswith("02:00")]
    assert twice == [("02:00+02:00", 4), ("02:00+01:00", 4)]


def test_zones_that_are_not_whole_hours_away_or_set_the_clock_by_half_an_hour() -> None:
    assert hours("2026-06-01", "Asia/Kathmandu")[0] == ("00:00", 4)
    assert utc(span_of("2026-06-01", None, ZoneInfo("Asia/Kathmandu"), NOW).begins) == "2026-05-31 18:15"
    # Lord Howe goes back from 02:00 to 01:30.
    assert hours("2026-04-05", "Australia/Lord_Howe")[1:4] == [("01:00+11:00", 4), ("01:00+10:30", 2), ("02:00", 4)]


def test_days_and_weeks() -> None:
    span = span_of("2026-12-30", "2027-01-04", BERLIN, NOW)
    assert list(dict.fromkeys(bucket.label for bucket in buckets(span, "week").values())) == ["2026-W53", "2027-W01"]
    days = buckets(span, "day")
    assert list(dict.fromkeys(bucket.label for bucket in days.values())) == [
        *("2026-12-30", "2026-12-31", "2027-01-01"),
        *("2027-01-02", "2027-01-03", "2027-01-04"),
    ]
    assert utc(days[span.begins + 96 * SLOT_MS].begins) == "2026-12-30 23:00"


@pytest.mark.parametrize(
    ("begins", "ends", "expected"),
    [
        (None, None, "2026-11-26 23:00 2026-11-27 23:00"),
        ("yesterday", "yesterday", "2026-11-25 23:00 2026-11-26 23:00"),
        ("2026-11-01", "2026-11-30", "2026-10-31 23:00 2026-11-30 23:00"),
        ("2026-11-01", None, "2026-10-31 23:00 2026-11-27 23:00"),
        (None, "2026-11-03", "2026-11-02 23:00 2026-11-03 23:00"),
        ("2026-11-27 09:00", "2026-11-27T12:30", "2026-11-27 08:00 2026-11-27 11:30"),
        # The first of the two, unless it says which.
        ("2026-10-25 02:30", "2026-10-25 02:30+01:00", "2026-10-25 00:30 2026-10-25 01:30"),
        ("2026-10-25T00:30Z", "2026-10-25", "2026-10-25 00:30 2026-10-25 23:00"),
    ],
)
def test_as_people_write_it(begins: str | None, ends: str | None, expected: str) -> None:
    span = span_of(begins, ends, BERLIN, NOW)
    assert f"{utc(span.begins)} {utc(span.ends)}" == expected


@pytest.mark.parametrize(
    ("begins", "ends", "words"),
    [
        ("last week", None, "is no time: write 2026-11-27"),
        ("2026-13-01", None, "is no time"),
        ("2026-11-27 25:00", None, "is no time"),
        ("2026-11-27", "2026-11-26", "ends before it begins"),
        ("2026-11-27 09:07", None, "not on a quarter of an hour"),
        ("2026-03-29 02:30", None, "did not happen"),
        ("1990-01-01", None, "longer than ten years"),
    ],
)
def test_what_is_no_span_is_said(begins: str, ends: str | None, words: str) -> None:
    with pytest.raises(SpanError, match=words):
        span_of(begins, ends, BERLIN, NOW)


def test_a_span_says_what_it_is() -> None:
    assert str(span_of("2026-10-25", "2026-10-25", BERLIN, NOW)) == "2026-10-25"
    assert str(span_of("2026-11-01", "2026-11-30", BERLIN, NOW)) == "2026-11-01 to 2026-11-30"
    assert str(span_of("2026-11-27 09:00", "2026-11-27 10:00", BERLIN, NOW)) == "2026-11-27 09:00 to 2026-11-27 10:00"


def test_a_day_that_runs_ends_with_the_quarter_that_runs() -> None:
    assert utc(span_of(None, None, BERLIN, NOW).until(NOW).ends) == "2026-11-27 18:00"


def test_the_machine_has_a_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    assert machine_zone().key == "Asia/Shanghai"
    monkeypatch.setenv("TZ", "../nonsense")
    assert machine_zone().key
