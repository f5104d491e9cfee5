"""What reports will ask of these tables, on eight calls whose answers were worked out by hand."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from tests.records.eight_calls import eight_calls as calls
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


@pytest.fixture
def eight_calls(engine: Engine) -> Engine:
    write(engine, *(call.events for call in calls()))
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
