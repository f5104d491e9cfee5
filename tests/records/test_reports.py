"""What reports will ask of these tables, on eight calls whose answers were worked out by hand."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from tests.records.calls import T0, Script, arrived
from tests.records.test_recovery import write

OUTCOME = """
SELECT CASE WHEN EXISTS(SELECT 1 FROM segments s WHERE s.call_id = c.call_id AND s.kind IN ('queue', 'offer', 'talk'))
         THEN 'to people' WHEN c.goal IS NOT NULL THEN 'contained' ELSE 'dropped' END AS result,
  COUNT(*) AS calls, ROUND(100.0 * COUNT(*) / SUM(COUNT(*)) OVER (), 1) AS pct
FROM calls c WHERE mode = 'ivr' GROUP BY 1 ORDER BY 1
"""
FUNNEL = """
SELECT flow, block, COUNT(DISTINCT call_id) AS callers, SUM(CASE WHEN exit = 'hangup' THEN 1 ELSE 0 END) AS hung_up,
  ROUND(100.0 * SUM(CASE WHEN exit = 'hangup' THEN 1 ELSE 0 END) / COUNT(DISTINCT call_id), 1) AS drop_pct,
  ROUND(AVG(until_at - from_at) / 1000.0, 1) AS avg_s
FROM flow_steps GROUP BY flow, block ORDER BY callers DESC, block
"""
PATHS = """
SELECT path, COUNT(*) AS n FROM (SELECT call_id, {join} AS path
  FROM (SELECT call_id, block, seq FROM flow_steps ORDER BY call_id, seq) steps GROUP BY call_id) paths
GROUP BY path ORDER BY n DESC, path LIMIT 10
"""
REPEATED = """
SELECT COUNT(DISTINCT a.caller) FROM calls a JOIN calls b ON b.caller = a.caller AND b.call_id <> a.call_id
  AND b.arrived_at BETWEEN a.arrived_at AND a.arrived_at + 86400000
"""
HANDLING = """
SELECT agent, COUNT(DISTINCT call_id), SUM(CASE WHEN kind = 'talk' THEN until_at - from_at ELSE 0 END) / 1000,
  SUM(CASE WHEN kind = 'hold' THEN until_at - from_at ELSE 0 END) / 1000
FROM segments WHERE kind IN ('talk', 'hold') GROUP BY agent ORDER BY agent
"""
DAY = 86_400_000


def ivr(call_id: str, caller: str, start: int = T0) -> Script:
    return Script(call_id, start).at(0, "call.arrived", **arrived(caller=caller)).at(1, "call.answered")


def talk(call: Script, seat: str, begin: float, end: float, hold: float = 0) -> Script:
    call.at(begin - 4, "offer.start").at(begin - 4, "leg.created", seat, role="agent", kind="sip", account=seat)
    call.at(begin, "leg.answered", seat).at(begin, "bridge.join", leg=seat)
    if hold:
        call.at(begin + 1, "leg.held", seat).at(begin + 1 + hold, "leg.retrieved", seat)
    return call.at(end, "leg.ended", seat)


@pytest.fixture
def eight_calls(engine: Engine) -> Engine:
    calls = [
        # Three hang up in the menu after 2, 4 and 6 s there; two of them are one caller, an hour apart.
        ivr("c1", "1").step(1, "menu", 1, 3, exit="hangup").at(3, "call.ended", ended_by="caller"),
        ivr("c2", "1", T0 + DAY // 24).step(1, "menu", 1, 5, exit="hangup").at(5, "call.ended", ended_by="caller"),
        ivr("c3", "2").step(1, "menu", 1, 7, exit="hangup").at(7, "call.ended", ended_by="caller"),
        # One hears the hours and is done.
        ivr("c4", "3").step(1, "menu", 1, 3, exit="2", next_block="hours").step(2, "hours", 3, 9, exit="end"),
        # Three talk to seats; the last one to both.
        ivr("c5", "4").step(1, "menu", 1, 3, exit="1", next_block="sales"),
        ivr("c6", "5").step(1, "menu", 1, 3, exit="1", next_block="sales"),
        ivr("c7", "6").step(1, "menu", 1, 3, exit="1", next_block="sales"),
        # The second caller again, more than a day later: nobody is there.
        ivr("c8", "2", T0 + DAY + 1).step(1, "menu", 1, 3, exit="1", next_block="sales"),
    ]
    calls[3].at(9, "call.ended", ended_by="flow", goal="hours")
    talk(calls[4], "seat1", 10, 30).step(2, "sales", 3, 30, exit="hangup").at(30, "call.ended", ended_by="agent")
    talk(calls[5], "seat1", 10, 50, hold=15).step(2, "sales", 3, 50, exit="end").at(50, "call.ended", ended_by="flow")
    talk(talk(calls[6], "seat1", 10, 20), "seat2", 24, 60).step(2, "sales", 3, 60, exit="end")
    calls[6].at(60, "call.ended", ended_by="caller")
    calls[7].at(3, "offer.start").at(23, "offer.end", outcome="no_answer").step(2, "sales", 3, 23, exit="no_answer")
    calls[7].at(24, "call.ended", ended_by="flow")
    write(engine, *(call.events for call in calls))
    return engine


def ask(engine: Engine, sql: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [
            tuple(float(value) if type(value).__name__ == "Decimal" else value for value in row)
            for row in connection.exec_driver_sql(sql)
        ]


def test_outcome_of_the_ivr(eight_calls: Engine) -> None:
    assert ask(eight_calls, OUTCOME) == [("contained", 1, 12.5), ("dropped", 3, 37.5), ("to people", 4, 50.0)]


def test_where_callers_are_lost(eight_calls: Engine) -> None:
    assert ask(eight_calls, FUNNEL) == [
        ("main", "menu", 8, 3, 37.5, 2.8),
        ("main", "sales", 4, 1, 25.0, 37.8),
        ("main", "hours", 1, 0, 0.0, 6.0),
    ]


def test_commonest_paths(eight_calls: Engine) -> None:
    join = {
        "sqlite": "GROUP_CONCAT(block, ' > ')",
        "postgresql": "STRING_AGG(block, ' > ' ORDER BY seq)",
    }[eight_calls.dialect.name]
    assert ask(eight_calls, PATHS.format(join=join)) == [("menu > sales", 4), ("menu", 3), ("menu > hours", 1)]


def test_repeated_callers(eight_calls: Engine) -> None:
    assert ask(eight_calls, REPEATED) == [(1,)]


def test_handling_by_agent(eight_calls: Engine) -> None:
    assert ask(eight_calls, HANDLING) == [("seat1", 3, 20 + 25 + 10, 15), ("seat2", 1, 36, 0)]


def test_every_call_is_accounted_for(eight_calls: Engine) -> None:
    lengths = "SELECT SUM(ended_at - arrived_at) FROM calls"
    assert ask(eight_calls, lengths) == ask(eight_calls, "SELECT SUM(until_at - from_at) FROM segments")
