"""Calls acted in virtual time and recorded as the program records them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from gateway.call import Target
from ivr.flow.loader import load_text
from ivr.flow.model import Flow
from ivr.hearing import Hypothesis
from ivr.records.events import RecordEvent
from ivr.records.recorded import RecordedCall, RecordedStep
from ivr.run.actions import StepRecord
from ivr.run.conversation import CallFacts
from ivr.run.environment import Environment
from ivr.run.script import Outside, Script, nobody_outside

ARRIVED = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
GROUPS = {"front_desk": (Target("sip", "2001"), Target("sip", "2002"))}


def flow(text: str) -> Flow:
    flows = load_text(text)
    assert flows.ok, [f"{problem.code} {problem.place}: {problem.message}" for problem in flows.problems]
    return next(iter(flows.flows.values()))


def environment(of: Flow) -> Environment:
    return Environment({of.name: of}, GROUPS)


def acted(
    of: Flow,
    story: Callable[[Script], None],
    outside: Outside = nobody_outside,
    flows: Mapping[str, Flow] | None = None,
) -> RecordedCall:
    """The recording of a call that goes as the story says."""
    facts = CallFacts("c1", "4930123", "", None, "1000", ARRIVED)
    script = Script(of, facts, groups=GROUPS, flows=flows, outside=outside)
    story(script)
    script.until_over()
    steps = tuple(
        RecordedStep(
            record.flow,
            record.block,
            record.step,
            record.verb,
            round(record.began * 1000),
            round(record.ended * 1000),
            record.try_no,
            None if record.input_mode == "speech" else record.input,
            _said(record),
            record.input_mode is not None and record.input is None and _said(record) is None,
            bool(record.barged_in),
            record.exit,
            record.next_block,
            record.error,
            record.detail or {},
        )
        for record in script.records
    )
    arrived_ms = round(ARRIVED.timestamp() * 1000)
    return RecordedCall("c1", of.name, "4930123", "", "1000", arrived_ms, str(script.ended_by), steps)


def _said(record: StepRecord) -> tuple[Hypothesis, ...] | None:
    """None too if it is secret."""
    alternatives = (record.detail or {}).get("alternatives")
    assert alternatives is None or isinstance(alternatives, list)
    return None if alternatives is None else tuple(Hypothesis(**one) for one in alternatives)


def events(call: RecordedCall) -> list[RecordEvent]:
    """The same as events for the database."""
    start = call.arrived_ms

    def event(ms: int, kind: str, data: Mapping[str, object]) -> RecordEvent:
        return RecordEvent(start + ms, kind, call.call_id, None, data)  # type: ignore[arg-type]

    found = [
        event(0, "call.arrived", {"mode": "ivr", "flow": call.flow, "caller": call.caller, "did": call.did}),
    ]
    for number, step in enumerate(call.steps, 1):
        found.append(
            event(
                step.until_ms,
                "flow.step",
                {
                    "seq": number,
                    "flow": step.flow,
                    "block": step.block,
                    "step": step.number,
                    "verb": step.verb,
                    "from_at": start + step.from_ms,
                    "until_at": start + step.until_ms,
                    "try_no": step.try_no,
                    "input": step.keys if not step.said else step.said[0].text,
                    "input_mode": "speech" if step.said is not None else "keys" if step.keys or step.secret else None,
                    "barged_in": step.barged_in,
                    "exit": step.exit,
                    "next_block": step.next_block,
                    "error": step.error,
                    "detail": dict(step.detail),
                },
            )
        )
    last = call.steps[-1].until_ms if call.steps else 0
    found.append(event(last, "call.ended", {"ended_by": call.ended_by, "last_block": call.path[-1]}))
    return found
