"""Callers are split by shares and counted by keys."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.flow.loader import load_text
from ivr.run.counting import RecentTimes
from ivr.run.environment import Environment
from ivr.run.script import A_CALLER, Script
from tests.run.flows import HEAD, flow

BLOCKS = "  a: [hangup]\n  b: [hangup]\n  c: [hangup]\n"


def split(settings: str) -> str:
    return f"blocks:\n  welcome:\n    - split: {{{settings}, a: a, b: b, c: c}}\n{BLOCKS}"


@pytest.mark.parametrize(
    ("share", "variant"), [(0.0, "a"), (0.49, "a"), (0.5, "b"), (0.79, "b"), (0.8, "c"), (0.9999999, "c")]
)
def test_a_share_decides(share: float, variant: str) -> None:
    sample = flow(split("weights: {a: 50, b: 30, c: 20}"))
    call = Script(sample, environment=Environment(random=lambda: share))
    assert call.path == ("welcome", variant)
    assert call.marks == {"variant": variant}
    assert call.records[0].exit == variant


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9999999999999999])
def test_a_weight_of_0_is_nobodys(share: float) -> None:
    sample = flow(split("weights: {a: 0, b: 1, c: 0}"))
    assert Script(sample, environment=Environment(random=lambda: share)).path == ("welcome", "b")


def test_a_sticky_caller_always_gets_the_same_and_many_are_spread() -> None:
    sample = flow(split("weights: {a: 50, b: 30, c: 20}, sticky: caller"))
    seen: Counter[str] = Counter()
    for number in range(1000):
        facts = replace(A_CALLER, caller=f"+86138{number:08}")
        paths = {Script(sample, facts, environment=Environment(random=lambda: 0.0)).path for _ in range(2)}
        assert len(paths) == 1
        seen[paths.pop()[1]] += 1
    assert 440 < seen["a"] < 560
    assert 240 < seen["b"] < 360
    assert 140 < seen["c"] < 260


def test_a_caller_without_a_number_is_not_sticky() -> None:
    sample = flow(split("weights: {a: 1, b: 1, c: 0}, sticky: caller"))
    nobody = replace(A_CALLER, caller="")
    assert Script(sample, nobody, environment=Environment(random=lambda: 0.9)).path == ("welcome", "b")
    assert Script(sample, nobody, environment=Environment(random=lambda: 0.1)).path == ("welcome", "a")


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ("weights: {a: 1, b: 1}", "E011"),
        ("weights: {a: 1, b: 1, c: 1, d: 1}", "E110"),
        ("weights: {a: 0, b: 0, c: 0}", "E022"),
        ("weights: 5", "E020"),
    ],
)
def test_what_is_wrong_with_weights(settings: str, code: str) -> None:
    assert [problem.code for problem in load_text(HEAD + split(settings)).problems] == [code]


LIMIT = f"""\
blocks:
  welcome:
    - limit: {{key: '{{caller.number}}', count: 3, per: 1h, over: b}}
    - goto: a
{BLOCKS}"""


def test_a_caller_is_within_until_he_has_called_too_often() -> None:
    sample, around = flow(LIMIT.replace("  c: [hangup]\n", "")), Environment()
    ways = [Script(sample, environment=around).path[-1] for _ in range(5)]
    assert ways == ["a", "a", "a", "b", "b"]
    assert Script(sample, replace(A_CALLER, caller="+1"), environment=around).path[-1] == "a"


def test_the_window_slides_and_what_is_over_does_not_count() -> None:
    counts = RecentTimes()
    assert [counts.take("k", 2, 10.0, at) for at in (0.0, 6.0, 9.0, 9.9, 10.0, 15.0, 16.0)] == [
        True, True, False, False, True, False, True,
    ]  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 5)), max_size=200), st.integers(1, 4))
def test_never_more_than_the_count_within_the_window(visits: list[tuple[str, float]], count: int) -> None:
    counts, now = RecentTimes(), 0.0
    passed: dict[str, list[float]] = {}
    for key, pause in visits:
        now += pause
        recent = [at for at in passed.get(key, []) if at > now - 10.0]
        within = counts.take(key, count, 10.0, now)
        assert within == (len(recent) < count)
        if within:
            passed.setdefault(key, []).append(now)


def test_keys_and_times_are_bounded_and_the_oldest_are_forgotten() -> None:
    counts = RecentTimes(keys=3, times=10)
    for key in "abcd":
        assert counts.take(key, 1, 100.0, 0.0)
    assert len(counts) == 3
    assert counts.take("a", 1, 100.0, 1.0), "forgotten"
    assert not counts.take("d", 1, 100.0, 1.0)
    for at in range(20):
        counts.take("e", 50, 100.0, float(at))
    assert len(counts) == 1
