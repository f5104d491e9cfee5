"""A call that was played, as a test that plays it again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

from ivr.flow.kinds import seconds_as_text
from ivr.flow.model import Flow
from ivr.run.conversation import CallFacts
from ivr.run.simulation.transcript import Told
from ivr.run.testing.mocks import Mock, as_yaml, distinct, word_of
from ivr.run.testing.wandering import HangingUp, Move, Waiting, as_step

TimedMove = tuple[float, float, Move]
"""What somebody did, from when until when."""


def as_test(
    name: str, flow: Flow, facts: CallFacts, script: Told, mocks: Sequence[Mock], moves: Sequence[TimedMove]
) -> str:
    """The call so far, as a file of tests."""
    zone = str(facts.at.tzinfo)
    when = f"{facts.at:%Y-%m-%d %H:%M:%S} {zone}" if "/" in zone else f"{_utc(facts.at)} UTC"
    lines = [f"flow: {flow.name}"]
    if script.lengths:
        prompts = ", ".join(f"{json.dumps(one)}: {seconds_as_text(s)}" for one, s in script.lengths.items())
        lines.append(f"defaults: {{prompts: {{{prompts}}}}}")
    lines += [
        "tests:",
        f"  - name: {name}",
        f"    call: {{from: '{facts.caller}', to: '{facts.did}', at: '{when}'}}",
    ]
    mocks = distinct(mocks)
    for word in dict.fromkeys(word_of(mock) for mock in mocks):
        lines.append(f"    {word}:")
        lines += [f"      - {as_yaml(mock)}" for mock in mocks if word_of(mock) == word]
    if moves:
        lines += ["    steps:", *(f"      - {as_step(move)}" for move in _timed(moves, script.now))]
    path = ", ".join(script.path)
    end = f"ended_by: {script.ended_by}" if script.run.finished else f"at_block: {script.run.last_block}"
    lines.append(f"    expect: {{path: [{path}], {end}}}")
    return "\n".join(lines) + "\n"


def _timed(moves: Sequence[tuple[float, float, Move]], until: float) -> list[Move]:
    """The moves with the waits between them."""
    found: list[Move] = []
    for (_, ended, _), (began, _, move) in pairwise([(0.0, 0.0, HangingUp()), *moves, (until, until, HangingUp())]):
        if began - ended >= 0.02:
            found.append(Waiting(round(began - ended, 3)))
        found.append(move)
    return found[:-1]


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
