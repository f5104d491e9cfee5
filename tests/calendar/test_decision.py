"""Open or closed, by which rule, and until when: on ordinary days and on those when clocks are changed."""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.calendar import Calendar, Closing, DatedRule, Period, Span, decide, next_change
from ivr.calendar.public_holidays import Region
from ivr.calendar.writing import parse_dates, parse_period, parse_spans
from ivr.flow.model import Place

BERLIN = ZoneInfo("Europe/Berlin")
HERE = Place("site.yaml", 5)


def period(text: str) -> Period:
    days, spans = parse_period(text)
    return Period(days, spans, text, HERE)


def dated(dates: str, times: str) -> DatedRule:
    first, last = parse_dates(dates)
    return DatedRule(first, last, () if times == "closed" else parse_spans(times), times, HERE)


OFFICE = Calendar(
    "office",
    BERLIN,
    (period("Mon-Fri 09:00-18:00"), period("Sat 10:00-14:00")),
    {"lunch": (period("Mon-Fri 12:00-13:00"),)},
    (dated("2026-12-24", "09:00-12:00"), dated("2026-12-20..2026-12-31", "closed")),
    Region("DE", "BY"),
    "DE-BY",
)
NIGHT = Calendar("night", BERLIN, (period("daily 22:00-06:00"),))


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("moment", "state", "rule"),
    [
        ("2026-03-02 09:00", "open", "Mon-Fri 09:00-18:00"),
        ("2026-03-02 08:59", "closed", "no period fits"),
        ("2026-03-02 18:00", "closed", "no period fits"),
        ("2026-03-02 12:30", "lunch", "lunch Mon-Fri 12:00-13:00"),
        ("2026-03-07 13:59", "open", "Sat 10:00-14:00"),
        ("2026-01-06 10:00", "holiday", "Epiphany (DE-BY)"),
        ("2026-12-24 10:00", "open", "2026-12-24 09:00-12:00"),
        ("2026-12-24 12:30", "closed", "2026-12-24 09:00-12:00"),
        ("2026-12-23 10:00", "closed", "2026-12-20..2026-12-31 closed"),
        ("2026-12-25 10:00", "closed", "2026-12-20..2026-12-31 closed"),
    ],
)
def test_the_rule_that_decides(moment: str, state: str, rule: str) -> None:
    decision = decide(OFFICE, at(moment))
    assert (decision.state, decision.rule) == (state, rule)


def test_lunch_is_within_the_open_hours() -> None:
    assert decide(OFFICE, at("2026-03-02 12:30")).otherwise == "open"


def test_a_caller_from_another_zone_meets_the_hours_of_the_office() -> None:
    assert decide(OFFICE, datetime(2026, 3, 2, 8, 0, tzinfo=UTC)).state == "open"
    assert decide(OFFICE, datetime(2026, 3, 2, 7, 59, tzinfo=UTC)).state == "closed"


@pytest.mark.parametrize(("moment", "state"), [("05:59", "open"), ("06:00", "closed"), ("22:00", "open")])
def test_over_midnight(moment: str, state: str) -> None:
    assert decide(NIGHT, at(f"2026-03-03 {moment}")).state == state


def test_a_night_ends_on_the_holiday_and_none_begins_on_it() -> None:
    calendar = Calendar("n", BERLIN, (period("daily 22:00-06:00"),), {}, (), lambda year: {date(2026, 5, 1): "May Day"})
    assert decide(calendar, at("2026-05-01 05:00")).state == "open"
    assert decide(calendar, at("2026-05-01 23:00")).state == "holiday"
    assert decide(calendar, at("2026-05-02 05:00")).state == "closed"


def test_closed_by_hand_until_a_time() -> None:
    closing = Closing(at("2026-03-02 10:00"), "fire drill", at("2026-03-02 11:00"))
    found = decide(OFFICE, at("2026-03-02 10:30"), closing)
    assert (found.state, found.rule) == ("emergency", "closed by hand since 2026-03-02 10:00: fire drill")
    assert next_change(OFFICE, at("2026-03-02 10:30"), closing) == at("2026-03-02 11:00")
    assert decide(OFFICE, at("2026-03-02 11:00"), closing).state == "open"


def test_when_it_changes_next() -> None:
    assert next_change(OFFICE, at("2026-03-06 19:00")) == at("2026-03-07 10:00")
    assert next_change(OFFICE, at("2026-12-24 13:00")) == at("2027-01-01 00:00")
    assert next_change(Calendar("never", BERLIN, ()), at("2026-03-06 19:00")) is None


def test_the_hour_that_is_skipped_and_the_hour_that_comes_twice() -> None:
    calendar = Calendar("c", BERLIN, (period("Sun 02:30-03:30"),))
    # 2026-03-29 02:00 becomes 03:00: the half hour from 03:00 is left.
    assert next_change(calendar, at("2026-03-29 01:59")) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert next_change(calendar, at("2026-03-29 03:00")) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    # 2026-10-25 03:00 becomes 02:00: 02:30 comes twice, and the second time lasts.
    changes = [datetime(2026, 10, 24, 23, 0, tzinfo=UTC)]
    while len(changes) < 5 and (found := next_change(calendar, changes[-1])) is not None:
        changes.append(found)
    assert [f"{one.astimezone(UTC):%H:%M}" for one in changes[1:]] == ["00:30", "01:00", "01:30", "02:30"]


spans = st.builds(
    lambda begins, length: Span(begins * 30, begins * 30 + length * 30), st.integers(0, 47), st.integers(1, 48)
)
periods = st.builds(
    lambda days, found: Period(frozenset(days), tuple(found), "p", HERE),
    st.sets(st.integers(0, 6), min_size=1),
    st.lists(spans, min_size=1, max_size=2),
)
calendars = st.builds(
    lambda zone, open_, lunch, rules, free: Calendar(
        "c", ZoneInfo(zone), tuple(open_), {"lunch": tuple(lunch)}, tuple(rules), lambda year: free
    ),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai"]),
    st.lists(periods, max_size=2),
    st.lists(periods, max_size=1),
    st.lists(
        st.builds(
            lambda day, length, found: DatedRule(day, day + timedelta(days=length), tuple(found), "d", HERE),
            st.dates(date(2026, 3, 27), date(2026, 4, 6)),
            st.integers(0, 2),
            st.lists(spans, max_size=1),
        ),
        max_size=2,
    ),
    st.dictionaries(st.dates(date(2026, 3, 27), date(2026, 4, 6)), st.just("free"), max_size=2),
)


@given(calendars, st.datetimes(datetime(2026, 3, 27), datetime(2026, 4, 5)))
@settings(max_examples=60, deadline=None)
def test_nothing_changes_before_the_next_change(calendar: Calendar, naive: datetime) -> None:
    begin = naive.replace(tzinfo=UTC, second=0, microsecond=0)
    change = next_change(calendar, begin)
    state = decide(calendar, begin).state
    end = begin + timedelta(days=3) if change is None else min(change, begin + timedelta(days=3))
    moment = begin
    while moment < end:
        assert decide(calendar, moment).state == state
        moment += timedelta(minutes=15)
    if change is not None:
        assert decide(calendar, change).state != state
        # In UTC: a second before the jump, the clock on the wall would show a time that it skips.
        assert decide(calendar, change.astimezone(UTC) - timedelta(seconds=1)).state == state


@given(calendars, st.datetimes(datetime(2026, 3, 27), datetime(2026, 4, 5)))
@settings(max_examples=60, deadline=None)
def test_only_the_clock_on_the_wall_counts(calendar: Calendar, naive: datetime) -> None:
    first, second = (naive.replace(tzinfo=calendar.zone, fold=fold) for fold in (0, 1))
    if second.astimezone(UTC).astimezone(calendar.zone).replace(tzinfo=None) == naive:
        assert decide(calendar, first).state == decide(calendar, second).state


@pytest.mark.parametrize(
    "text", ["", "Mon", "09:00-18:00", "Mon 9-18", "Mon 09:00-09:00", "Mun 09:00-10:00", "Mon 24:00-25:00"]
)
def test_not_a_period(text: str) -> None:
    with pytest.raises(ValueError, match=r"'"):
        parse_period(text)


@given(st.text(max_size=40))
def test_any_text_is_a_period_or_a_value_error(text: str) -> None:
    for parse in (parse_period, parse_spans, parse_dates):
        with contextlib.suppress(ValueError):
            parse(text)
