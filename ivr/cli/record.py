"""From a recorded call to a test: the call is played again by what was written down, and the playing is the test.

What a record does not have is put in as well as can be, and said in a comment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ivr.flow.model import Flow
from ivr.flow.nodes import questions
from ivr.records.recorded import RecordedCall, RecordedStep
from ivr.run.conversation import CallFacts
from ivr.run.environment import Environment
from ivr.run.simulation import NotUnderstood, Simulation

_KEPT = 4
"""Characters of a caller's number that are kept: the country, and a little more."""
_PATIENCE = 200
"""Events waited through until a step that was recorded is done."""
_DEEDS = {"busy": "b", "refused": "r", "offline": "o", "no_answer": "n"}


def masked(number: str) -> str:
    """The number with its end as zeros, as long as it was."""
    return number[:_KEPT] + re.sub(r"\d", "0", number[_KEPT:])


@dataclass
class _Playing:
    call: RecordedCall
    flow: Flow
    played: Simulation
    agents: list[str]
    remarks: list[str] = field(default_factory=list)

    def remark(self, text: str) -> None:
        if text not in self.remarks:
            self.remarks.append(text)

    def do(self, line: str) -> None:
        if not self.played.over or line.startswith("/http"):
            try:
                self.played.do(line)
            except NotUnderstood as error:
                self.remark(f"could not be done again: {line or 'waiting'} ({error})")

    def step(self, step: RecordedStep, later: Sequence[RecordedStep]) -> None:
        self._service([step, *later])
        if step.try_no is not None:
            self._asked(step, later)
        elif step.verb in ("transfer", "ring"):
            self._rung(step, last=not later)
        if step.verb in ("lookup", "plugin") and step.exit != "hit":
            self.remark(f"{step.verb} in block {step.block}: look at its mock, or at the table of the site")

    def _service(self, steps: Sequence[RecordedStep]) -> None:
        """Have services answer what they answered in the next request."""
        coming = next((step for step in steps if step.verb == "http"), None)
        if coming is None:
            return
        status, result = coming.detail.get("status"), coming.detail.get("result")
        if status is None:
            self.do("/http timeout")
        elif result is None:
            if coming.exit == "ok":
                self.remark(f"http in block {coming.block}: what it answered was not written down")
            self.do(f"/http {status}")
        else:
            self.do(f"/http {status} {json.dumps(result, ensure_ascii=False)}")
            self.remark("answers of services stand here as they were: make up names and numbers in them")

    def _asked(self, step: RecordedStep, later: Sequence[RecordedStep]) -> None:
        if step.exit is None and not later:
            # The caller left while he was asked.
            return
        before = self._tries(step)
        keys = step.input
        settings = self._settings(step)
        if keys is None and step.exit not in ("no_input", "failed"):
            keys = "1" * (settings.digits.least if isinstance(settings, questions.Collect) else 1)
            self.remark(f"what was entered in block {step.block} is secret: the keys here are made up")
        if keys is not None:
            if isinstance(settings, questions.Collect) and len(keys) < settings.digits.most:
                keys += settings.input.finish_key or ""
            self.do(keys)
        for _ in range(_PATIENCE):
            if self.played.over or self._tries(step) > before:
                return
            self.do("")

    def _rung(self, step: RecordedStep, *, last: bool) -> None:
        script = self.played.script
        for _ in range(_PATIENCE):
            if script.ringing or self.played.over:
                break
            self.do("")
        answered = step.exit == "answered" or (step.exit is None and bool(self.agents))
        if answered and script.ringing:
            name = self.agents.pop(0) if self.agents else script.ringing[0]
            self.do(f"{name if name in script.ringing else script.ringing[0]} a")
            self.do("/wait 10s")
            if step.exit == "answered":
                self.do("h")
            return
        letter = _DEEDS.get(step.exit or "")
        while letter is not None and script.ringing and not self.played.over:
            self.do(letter)
        if letter is None and not last:
            self.remark(f"{step.verb} in block {step.block} ended by '{step.exit}', which cannot be played again")

    def _tries(self, step: RecordedStep) -> int:
        records = self.played.script.records
        return sum(one.block == step.block and one.step == step.step and one.try_no is not None for one in records)

    def _settings(self, step: RecordedStep) -> object:
        block = self.flow.blocks.get(step.block)
        return block.steps[step.step - 1].settings if block and 0 < step.step <= len(block.steps) else None


def as_test(
    call: RecordedCall, flow: Flow, environment: Environment, *, signed_in: Sequence[str], path: Sequence[str]
) -> str:
    """A file of tests with this call. ``path`` are the blocks that the call went through.

    The caller's number is masked. The test passes against the flow it is made with.
    """
    at = datetime.fromtimestamp(call.arrived_at / 1000, UTC).replace(microsecond=0)
    facts = CallFacts("recorded", masked(call.caller), "", None, call.did, at)
    one = _Playing(call, flow, Simulation(flow, facts, environment, signed_in=signed_in), list(call.agents))
    for number, step in enumerate(call.steps):
        one.step(step, call.steps[number + 1 :])
    if call.ended_by in ("caller", "network"):
        one.do("/hangup")
    if one.played.script.path != tuple(path):
        one.remark(f"the call went another way: {' > '.join(path)}")
    if not one.played.over:
        one.remark(f"the call was ended by {call.ended_by}; here it goes on")
    name = f"as on {at:%Y-%m-%d at %H.%M}"
    return "".join(_comments(one.remarks)) + one.played.as_test(name)


def _comments(remarks: Sequence[str]) -> Iterator[str]:
    yield "# From a recorded call. Prompts last 2 s here, the caller's number is masked, talks last 10 s.\n"
    for remark in remarks:
        yield f"# {remark[:300]}\n"
