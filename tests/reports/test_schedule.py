"""When reports are due, and what becomes of those that fail."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from ivr.reports.schedule import CATCH_UP_S, RETRY_S, TRIES, ReportJob, Schedule, parse_when

BERLIN = ZoneInfo("Europe/Berlin")


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def seconds(text: str) -> float:
    return local(text).timestamp()


def job(when: str = "07:00", **more: object) -> ReportJob:
    return ReportJob("daily", "day", parse_when(when), ("out.html",), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("when", "latest", "following"),
    [
        ("07:00", "2026-11-27T07:00", "2026-11-28T07:00"),
        ("23:15", "2026-11-26T23:15", "2026-11-27T23:15"),
        ("Mon 7:00", "2026-11-23T07:00", "2026-11-30T07:00"),
        ("Mon-Fri 18:00", "2026-11-26T18:00", "2026-11-27T18:00"),
        ("Sat-Mon 06:00", "2026-11-23T06:00", "2026-11-28T06:00"),
        ("1 08:00", "2026-11-01T08:00", "2026-12-01T08:00"),
    ],
)
def test_when_it_was_due_and_will_be(when: str, latest: str, following: str) -> None:
    now = local("2026-11-27T12:00")
    assert parse_when(when).latest(now) == local(latest)
    assert parse_when(when).next(now) == local(following)


@pytest.mark.parametrize("when", ["", "7", "25:00", "Foo 07:00", "31 07:00", "Mon,Tue 07:00", "07:00 Mon"])
def test_what_is_no_time(when: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_when(when)


def test_a_time_that_comes_twice_is_due_once_and_one_that_is_left_out_is_due_too() -> None:
    when = parse_when("02:30")
    for now in (local("2026-10-25T02:45"), local("2026-10-25T02:45").replace(fold=1), local("2026-10-25T12:00")):
        assert when.latest(now).astimezone(UTC) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert when.latest(local("2026-03-29T12:00")).date() == date(2026, 3, 29)


@pytest.mark.parametrize(
    ("span", "first", "last"),
    [
        ("yesterday", "2026-02-28", "2026-02-28"),
        ("today", "2026-03-01", "2026-03-01"),
        ("last week", "2026-02-16", "2026-02-22"),
        ("last month", "2026-02-01", "2026-02-28"),
    ],
)
def test_the_days_it_is_about(span: str, first: str, last: str) -> None:
    assert tuple(map(str, job(span=span).days(local("2026-03-01T07:00")))) == (first, last)


def test_files_and_addresses() -> None:
    both = ReportJob("a", "day", parse_when("07:00"), ("out/{date}.csv", "chief@example.com"))
    assert both.addresses == ("chief@example.com",)
    assert both.files(date(2026, 11, 26)) == ("out/2026-11-26.csv",)
    assert (both.format_of("out/x.csv"), both.format_of(None)) == ("csv", "html")


def test_it_is_made_once() -> None:
    schedule = Schedule({"daily": seconds("2026-11-26T07:00")})
    jobs = {"daily": job()}
    assert schedule.due(jobs, BERLIN, seconds("2026-11-27T06:59")) == []
    ((due, at),) = schedule.due(jobs, BERLIN, seconds("2026-11-27T07:00"))
    schedule.made(due, at)
    assert schedule.due(jobs, BERLIN, seconds("2026-11-27T07:01")) == []
    assert schedule.done == {"daily": seconds("2026-11-27T07:00")}


def test_a_new_one_waits_for_its_time_and_one_that_is_gone_is_forgotten() -> None:
    schedule = Schedule({"old": 5.0})
    assert schedule.due({"daily": job()}, BERLIN, seconds("2026-11-27T12:00")) == []
    assert schedule.done == {"daily": seconds("2026-11-27T07:00")}
    assert len(schedule.due({"daily": job()}, BERLIN, seconds("2026-11-28T07:00"))) == 1


def test_one_that_was_missed_is_made_later_but_not_days_later() -> None:
    late = seconds("2026-11-27T07:00") + CATCH_UP_S
    assert len(Schedule({"daily": 5.0}).due({"daily": job()}, BERLIN, late)) == 1
    assert Schedule({"daily": 5.0}).due({"daily": job()}, BERLIN, late + 1) == []


def test_one_that_fails_is_tried_again_for_an_hour() -> None:
    schedule = Schedule({"daily": seconds("2026-11-26T07:00")})
    now = seconds("2026-11-27T07:00")
    for tries in range(1, TRIES + 1):
        ((due, at),) = schedule.due({"daily": job()}, BERLIN, now)
        assert schedule.failed(due, at, now) == (tries < TRIES)
        assert schedule.due({"daily": job()}, BERLIN, now + RETRY_S - 1) == []
        now += RETRY_S
    assert schedule.due({"daily": job()}, BERLIN, now) == []
