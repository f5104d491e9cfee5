"""Numbers that were worked out by hand, on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import Engine

from ivr.records.query import finished_calls
from ivr.reports.answer import ReportError
from ivr.reports.catalogue import REPORTS
from ivr.reports.definition import By, Settings
from ivr.reports.facts import FACTS
from tests.records.calls import T0, Script
from tests.records.eight_calls import DAY, eight_calls, ivr
from tests.records.test_recovery import write
from tests.reports.asking import ask, behind, numbers, span, total
from tests.reports.busy_day import busy_day

EIGHT = span("2025-06-15", "2025-06-16")
"""The days of the eight calls: all but the last one are of the first."""


@pytest.fixture
def eight(engine: Engine) -> Engine:
    write(engine, *(call.events for call in eight_calls()))
    return engine


def test_the_eight_calls(eight: Engine) -> None:
    def said(name: str) -> dict[str, tuple[object, ...]]:
        return {**numbers(ask(eight, name, EIGHT))}

    assert total(ask(eight, "volumes", EIGHT)) == {
        "calls": 8,
        "taken": 8,
        "not_taken": 0,
        "open": 0,
        "length_s": (3 + 5 + 7 + 9 + 30 + 50 + 60 + 24) / 8,
    }
    arrivals = ask(eight, "heat-map", EIGHT)
    assert {row.keys: row.values for row in arrivals.rows if row.values[0]} == {
        ("Sunday", "15"): (6,),
        ("Sunday", "16"): (1,),
        ("Monday", "15"): (1,),
    }
    outcomes = {"answered": 3, "abandoned": 0, "unanswered": 1, "contained": 1, "dropped": 3, "ended": 0, "failed": 0}
    assert total(ask(eight, "outcomes", EIGHT)) == outcomes
    assert said("containment") == {"main": (8, 1, 3, 0, 4, 12.5, 37.5, 50.0)}
    assert said("repeats") == {
        "dropped": (3, 1, 33.3),
        "answered": (3, 0, 0.0),
        "contained": (1, 0, 0.0),
        "unanswered": (1, 0, 0.0),
    }
    assert said("handling-time") == {
        "seat1": (3, round((20 + 25 + 10) / 3, 1), 5.0, round((55 + 15) / 3, 1)),
        "seat2": (1, 36.0, 0.0, 36.0),
    }
    assert said("funnel") == {
        "main menu": (8, 3, 37.5, 3, 37.5, 2.8),
        "main sales": (4, 1, 25.0, 0, 0.0, 37.8),
        "main hours": (1, 0, 0.0, 0, 0.0, 6.0),
    }
    assert list(said("paths").items()) == [("menu > sales", (4,)), ("menu", (3,)), ("menu > hours", (1,))]
    assert said("offers") == {
        "seat1 sip": (3, 3, 0, 0, 0, 0, 0, 0, 0.0, 4.0),
        "seat2 sip": (1, 1, 0, 0, 0, 0, 0, 0, 0.0, 4.0),
    }
    assert said("transfers") == {"seat1 seat2 passed on": (1,)}
    # All but one began in the same second; the caller of an hour later was alone.
    lines = ask(eight, "lines", EIGHT, by="day")
    assert [(row.keys, row.values[:2]) for row in lines.rows] == [
        (("2025-06-15", "all calls"), (6, T0)),
        (("2025-06-16", "all calls"), (1, T0 + DAY + 1)),
    ]
    busy_s = 3 + 7 + 9 + 30 + 50 + 60 + 5
    assert lines.rows[0].values[2] == pytest.approx(busy_s / 86_400)


def test_every_number_leads_to_its_calls(eight: Engine) -> None:
    assert behind(eight, "outcomes", EIGHT, "answered") == ["c5", "c6", "c7"]
    assert behind(eight, "outcomes", EIGHT, "dropped", hour="2025-06-15 16:00") == ["c2"]
    assert behind(eight, "outcomes", EIGHT, "dropped", day="2025-06-16") == []
    assert behind(eight, "containment", EIGHT, "contained", flow="main") == ["c4"]
    assert behind(eight, "repeats", EIGHT, "repeated", outcome="dropped") == ["c1"]
    assert behind(eight, "funnel", EIGHT, "lost", block="menu") == ["c1", "c3", "c2"]
    assert behind(eight, "paths", EIGHT, path="menu > hours") == ["c4"]
    assert behind(eight, "transfers", EIGHT, to="seat2") == ["c7"]
    assert behind(eight, "handling-time", EIGHT, agent="seat2") == ["c7"]
    assert behind(eight, "heat-map", EIGHT, weekday="Monday", hour_of_day="15") == ["c8"]
    assert behind(eight, "lines", EIGHT, line="all calls") == ["c1", "c3", "c4", "c5", "c6", "c7"]


def test_what_cannot_be_asked_is_said(eight: Engine) -> None:
    with pytest.raises(ReportError, match="no column 'nonsense': it has calls, taken"):
        behind(eight, "volumes", EIGHT, "nonsense")
    with pytest.raises(ReportError, match="there is no 'agent' to look for: there are hour, day"):
        behind(eight, "volumes", EIGHT, agent="seat1")
    with pytest.raises(ReportError, match="'median_s' of 'answer-speed' does not count calls"):
        behind(eight, "answer-speed", EIGHT, "median_s")
    with pytest.raises(ReportError, match="say which line"):
        behind(eight, "lines", EIGHT)
    with pytest.raises(ReportError, match="'volumes' cannot be cut by agent"):
        ask(eight, "volumes", EIGHT, by="agent")


# Waiting. -------------------------------------------------------------------------------------------------


def offered(call_id: str, wait: float, *, talk_s: float = 0, hold_s: float = 0, left: bool = False) -> Script:
    """A call to a seat after 2 s in the menu: taken and talked to, left by the caller, or not taken in time."""
    call = ivr(call_id, call_id)
    if talk_s:
        call.at(2, "offer.start").at(2, "leg.created", "s", role="agent", kind="sip", account="seat1")
        call.at(2 + wait, "offer.end", outcome="answered").at(2 + wait, "leg.answered", "s")
        call.at(2 + wait, "bridge.join", leg="s")
        if hold_s:
            call.at(2 + wait + 1, "leg.held", "s").at(2 + wait + 1 + hold_s, "leg.retrieved", "s")
        return call.at(2 + wait + talk_s + hold_s, "call.ended", ended_by="caller")
    call.at(2, "offer.start").at(2, "leg.created", "s", role="agent", kind="sip", account="seat1")
    if left:
        return call.at(2 + wait, "call.ended", ended_by="caller")
    call.at(2 + wait, "leg.ended", "s", outcome="no_answer").at(2 + wait, "offer.end", outcome="no_answer")
    return call.at(5 + wait, "call.ended", ended_by="caller")


def test_service_level_has_four_values_on_one_day(engine: Engine) -> None:
    calls = [
        offered("a1", 10, talk_s=100, hold_s=20),
        offered("a2", 40, talk_s=150),
        offered("a3", 5, talk_s=120),
        offered("b1", 3, left=True),
        offered("b2", 70, left=True),
        offered("u1", 60),
    ]
    write(engine, *(call.events for call in calls))
    found = total(ask(engine, "service-level", EIGHT))
    assert found == {
        "offered": 6,
        "answered": 3,
        "in_time": 2,
        "abandoned": 2,
        "of_answered": 66.7,
        "incl_abandons": 60.0,
        "of_offered": 33.3,
        "less_short": 40.0,
    }
    assert total(ask(engine, "answer-speed", EIGHT)) == {
        "answered": 3,
        "asa_s": round((10 + 40 + 5) / 3, 1),
        "median_s": 10,
        "p90_s": 40,
        "longest_s": 40,
    }
    assert total(ask(engine, "abandons", EIGHT)) == {
        "offered": 6,
        "abandoned": 2,
        "short": 1,
        "unanswered": 1,
        "rate": 33.3,
        "rate_less_short": 20.0,
        "median_s": 3,
    }
    assert total(ask(engine, "handling-time", EIGHT))["aht_s"] == 130.0
    assert behind(engine, "service-level", EIGHT, "in_time") == ["a1", "a3"]
    assert behind(engine, "service-level", EIGHT, "of_offered", settings=Settings(threshold_s=5)) == ["a3"]
    assert behind(engine, "abandons", EIGHT, "short") == ["b1"]
    assert behind(engine, "abandons", EIGHT, "rate_less_short") == ["b2"]
    longer = total(ask(engine, "service-level", EIGHT, settings=Settings(threshold_s=40, short_s=2)))
    assert (longer["of_answered"], longer["less_short"]) == (100.0, 50.0)


def test_rings_one_after_the_other_are_one_wait_and_the_menu_between_is_not_in_it(engine: Engine) -> None:
    call = ivr("c1", "1").at(2, "offer.start").at(12, "offer.end").at(12, "offer.start").at(22, "offer.end")
    call.at(42, "offer.start").at(45, "offer.end").at(45, "bridge.join", leg="s").at(60, "bridge.leave")
    # To another one later: no wait of the first answer.
    call.at(60, "offer.start").at(90, "offer.end").at(91, "call.ended", ended_by="caller")
    write(engine, call.events)
    assert total(ask(engine, "answer-speed", EIGHT))["asa_s"] == 23.0


def test_who_leaves_after_the_ringing_did_not_abandon(engine: Engine) -> None:
    write(engine, offered("u1", 30).events, ivr("n1", "1").at(4, "call.ended", ended_by="network").events)
    assert total(ask(engine, "abandons", EIGHT))["unanswered"] == 1
    outcomes = total(ask(engine, "outcomes", EIGHT))
    assert (outcomes["unanswered"], outcomes["dropped"]) == (1, 1)


def test_calls_that_are_up_count_as_arrived_only(engine: Engine) -> None:
    write(engine, ivr("c1", "1").at(2, "offer.start").events)
    volumes = total(ask(engine, "volumes", EIGHT))
    assert (volumes["calls"], volumes["open"], volumes["not_taken"], volumes["length_s"]) == (1, 1, 0, None)
    assert total(ask(engine, "service-level", EIGHT))["offered"] == 0
    assert sum(int(value or 0) for value in total(ask(engine, "outcomes", EIGHT)).values()) == 0


# The rest. ------------------------------------------------------------------------------------------------


def test_menus_by_keys_and_by_speech(engine: Engine) -> None:
    call = ivr("c1", "1")
    call.step(1, "menu", 1, 6, verb="menu", try_no=1, exit="no_input", heard_ms=4000, barged_in=False)
    call.step(2, "menu", 6, 8, verb="menu", try_no=2, input_mode="keys", exit="no_match", heard_ms=500, barged_in=True)
    call.step(3, "menu", 8, 12, verb="menu", try_no=3, input_mode="speech", exit="sales", heard_ms=1500, barged_in=True)
    call.step(4, "sales", 12, 13, verb="say", exit="end").at(13, "call.ended", ended_by="flow")
    left = ivr("c2", "2").step(1, "menu", 1, 3, verb="menu", try_no=1, barged_in=False)
    left.at(3, "call.ended", ended_by="caller")
    write(engine, call.events, left.events)
    (row,) = ask(engine, "menu-quality", EIGHT).rows
    found = dict(zip([column.name for column in REPORTS["menu-quality"].columns], row.values, strict=True))
    assert row.keys == ("main", "menu")
    assert found == {
        "tries": 4,
        "matched": 1,
        "keys": 1,
        "speech": 1,
        "no_input": 1,
        "no_match": 1,
        "failed": 0,
        "hung_up": 1,
        "barged_in": 2,
        "no_input_pct": 25.0,
        "no_match_pct": 25.0,
        "barged_in_pct": 50.0,
        "heard_s": 1.5,
    }
    assert behind(engine, "menu-quality", EIGHT, "hung_up") == ["c2"]


def test_offers_tell_missed_ones_from_cancelled_ones(engine: Engine) -> None:
    call = ivr("c1", "1")
    ends = [{"outcome": "no_answer"}, {"outcome": "busy"}, {"outcome": "refused"}, {"hangup_by": "local"}]
    for number in range(4):
        call.at(2, "leg.created", f"l{number}", role="agent", kind="rtc", account="s1" if number < 2 else "s2")
    for number, end in enumerate(ends):
        call.at(12, "leg.ended", f"l{number}", **end)
    write(engine, call.at(20, "call.ended", ended_by="caller").events)
    assert numbers(ask(engine, "offers", EIGHT)) == {
        "s1 rtc": (2, 0, 1, 0, 1, 0, 0, 0, 50.0, 10.0),
        "s2 rtc": (2, 0, 0, 1, 0, 0, 0, 1, 100.0, 10.0),
    }


def test_sound_and_parties_that_were_not_heard(engine: Engine) -> None:
    call = ivr("c1", "1").at(0, "leg.created", "a", role="caller", kind="pstn", account="carrier")
    call.at(1, "leg.answered", "a")
    call.at(2, "leg.created", "b", role="agent", kind="rtc", account="alice").at(3, "leg.answered", "b")
    call.at(9, "leg.ended", "a", rx_pkts=960, lost_pkts=40, jitter_ms=2.0, mos=3.5, audio_rx_ms=8000)
    call.at(9, "leg.ended", "b", rx_pkts=0, lost_pkts=0, jitter_ms=0.5, audio_rx_ms=0)
    write(engine, call.at(9, "call.ended", ended_by="caller").events)
    assert numbers(ask(engine, "voice-quality", EIGHT)) == {
        "agent rtc": (1, 1, None, 0, 0.5, None, 0),
        "caller pstn": (1, 0, 4.0, 1, 2.0, 3.5, 1),
    }
    assert numbers(ask(engine, "voice-quality", EIGHT, by="agent"))["agent rtc alice"][1] == 1
    assert behind(engine, "voice-quality", EIGHT, "silent") == ["c1"]


def test_handing_over_is_a_transfer(engine: Engine) -> None:
    call = ivr("c1", "1").at(2, "leg.created", "b", role="agent", kind="pstn", account="carrier", transfer_kind="blind")
    write(engine, call.at(3, "call.ended", ended_by="flow").events)
    assert numbers(ask(engine, "transfers", EIGHT)) == {"the menu carrier blind": (1,)}


def test_trunks_are_counted_from_when_they_are_busy(engine: Engine) -> None:
    calls = []
    for number, (begins, ends) in enumerate([(0, 100), (50, 200), (100, 300), (400, 500)]):
        call = Script(f"c{number}", T0 + begins * 1000).at(0, "call.arrived")
        call.at(0, "leg.created", "a", role="caller", kind="pstn", account="carrier" if number else "other")
        calls.append(call.at(ends - begins, "call.ended", ended_by="caller"))
    write(engine, *(call.events for call in calls))
    found = ask(engine, "lines", span("2025-06-15"), by="day")
    assert {row.keys[1]: row.values[:2] for row in found.rows} == {
        "all calls": (2, T0 + 50_000),
        "all trunks": (2, T0 + 50_000),
        "carrier": (2, T0 + 100_000),
        "other": (1, T0),
    }
    assert behind(engine, "lines", EIGHT, line="carrier") == ["c1", "c2"]


def test_numbers_that_are_not_shown_do_not_call_again(engine: Engine) -> None:
    calls = [ivr(f"c{number}", caller).at(2, "call.ended") for number, caller in enumerate(["anonymous"] * 2 + ["7"])]
    write(engine, *(call.events for call in calls))
    assert total(ask(engine, "repeats", EIGHT))["calls"] == 1


def test_both_hours_when_the_clock_is_set_back(engine: Engine) -> None:
    calls = []
    for hour, count in ((0, 1), (1, 2), (2, 3)):
        begins = round(datetime(2026, 10, 25, hour, 30, tzinfo=UTC).timestamp() * 1000)
        calls += [ivr(f"{hour}-{n}", f"{hour}{n}", begins).at(9, "call.ended", ended_by="caller") for n in range(count)]
    write(engine, *(call.events for call in calls))
    day = span("2026-10-25", zone="Europe/Berlin")
    found = numbers(ask(engine, "volumes", day))
    assert len(found) == 25
    assert {hour: values[0] for hour, values in found.items() if values[0]} == {
        "2026-10-25 02:00+02:00": 1,
        "2026-10-25 02:00+01:00": 2,
        "2026-10-25 03:00": 3,
    }
    assert behind(engine, "volumes", day, hour="2026-10-25 02:00+01:00") == ["1-0", "1-1"]
    assert numbers(ask(engine, "heat-map", day))["Sunday 02"] == (3,)
    for name in ("repeats", "lines"):
        hours = [row.keys[0][11:] for row in ask(engine, name, day, by="hour").rows if row.values[0]]
        assert hours == ["02:00+02:00", "02:00+01:00", "03:00"], name


# A day of a company. --------------------------------------------------------------------------------------


@pytest.fixture
def company(engine: Engine) -> Engine:
    write(engine, *busy_day(date(2026, 11, 26)))
    return engine


def test_sums_that_are_kept_say_the_same(company: Engine) -> None:
    days = span("2026-11-25", "2026-11-27", "Europe/Berlin")
    cuts: list[tuple[str, By | None]] = [*((name, None) for name in REPORTS), ("voice-quality", "agent")]
    for name, by in [*cuts, ("service-level", "number"), ("handling-time", "hour")]:
        fresh = ask(company, name, days, by=by)
        assert ask(company, name, days, by=by, keep=True) == fresh, (name, by)
        assert ask(company, name, days, by=by, keep=True) == fresh, (name, by, "kept")


def test_every_count_is_that_of_its_calls(company: Engine) -> None:
    day = span("2026-11-26", zone="Europe/Berlin")
    settings = Settings(threshold_s=8, short_s=3)
    for name in ("volumes", "outcomes", "containment", "service-level", "abandons", "repeats"):
        report = REPORTS[name]
        found = ask(company, name, day, settings=settings)
        assert found.total is not None
        for column, value in zip(report.columns, found.total.values, strict=True):
            if column.unit == "count":
                assert len(behind(company, name, day, column.name, settings=settings)) == value, (name, column.name)
        row = next(row for row in found.rows if row.values[0])
        where = {key.replace(" ", "_"): value for key, value in zip(found.keys, row.keys, strict=True)}
        assert len(behind(company, name, day, settings=settings, **where)) == row.values[0]


def test_paths_are_those_that_calls_are_listed_with(company: Engine) -> None:
    listed: dict[str, int] = {}
    for call in finished_calls(company):
        path = " > ".join(call.path)
        listed[path] = listed.get(path, 0) + 1
    found = ask(company, "paths", span("2026-11-26", zone="Europe/Berlin"))
    assert {row.keys[0]: row.values[0] for row in found.rows} == listed


def test_the_entries_of_the_catalogue_fit_together() -> None:
    for name, report in REPORTS.items():
        columns = {column.name for column in report.columns}
        assert report.name == name
        assert len(columns) == len(report.columns)
        assert {*report.picture.columns, *filter(None, [report.sorted_by])} <= columns
        assert report.facts is None or report.facts is FACTS[report.facts.name]
        for cut in report.cuts:
            assert cut in ("hour", "day", "week") or (report.facts and cut in report.facts.dimensions), (name, cut)
        assert all(sentence.endswith((".", ")")) for sentence in report.told(Settings()))
