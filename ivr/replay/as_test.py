"""From a recorded call to a test: the call is played again by what was written down, and the playing is the test.

Every row of the recording has its row in the playing. What a record does not have is put in as well as can be, and
said in a comment.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from ivr.flow.model import Flow, Step
from ivr.flow.nodes import choosing, questions
from ivr.hearing import Hypothesis
from ivr.records.recorded import RecordedCall, RecordedStep
from ivr.replay.world import ASKS, RINGS, AsItWas, is_complete, reply_of, was_handed_over
from ivr.run.conversation import CallFacts
from ivr.run.environment import Environment
from ivr.run.requests import Asked, HttpRequest, NoReply, Notification, PluginCall, Reply, TableLookup
from ivr.run.script import Deed, DidNotHappen, Script
from ivr.run.testing.mocks import Mock
from ivr.run.testing.model import Caller
from ivr.run.testing.moves import (
    HangingUp,
    HearingFails,
    Made,
    Move,
    Mumbling,
    Pressing,
    Saying,
    SeatDoing,
    make,
)
from ivr.run.testing.retelling import mock_of
from ivr.run.testing.speech import MOST_ALTERNATIVES, Alternative, Said
from ivr.run.testing.writing import as_file, remedy

_KEPT = 4
"""Characters of a caller's number that are kept: the country, and a little more."""
_TALK = 10.0
"""Seconds that talks last."""
_DEEDS: Final[Mapping[str, Deed]] = {"busy": "busy", "refused": "refuse", "offline": "offline", "failed": "fail"}


def as_test(call: RecordedCall, flow: Flow, environment: Environment, *, signed_in: Collection[str]) -> str:
    """A file of tests with this call. The caller's number is masked. It passes with the flow it is made with."""
    at = datetime.fromtimestamp(call.arrived_ms / 1000, UTC).replace(microsecond=0)
    caller = Caller(masked(call.caller), call.did, at, _chance(call, environment.flows))
    closings = AsItWas(call)
    environment = replace(environment, closings=closings)
    again = _Again(call, flow, caller, environment, signed_in)
    again.plays()
    remarks = [
        "From a recorded call. Prompts last 2 s here, the caller's number is masked, talks last 10 s.",
        *dict.fromkeys(again.remarks),
    ]
    name = f"as on {at:%Y-%m-%d at %H.%M}"
    test = as_file(flow.name, name, again.script, caller, again.mocks, again.made, closings.closed)
    return "".join(f"# {remark[:300]}\n" for remark in remarks) + test


def masked(number: str) -> str:
    """The number with its end as zeros, as long as it was."""
    return number[:_KEPT] + re.sub(r"\d", "0", number[_KEPT:])


class _Again:
    """The call, played once more."""

    def __init__(
        self, call: RecordedCall, flow: Flow, caller: Caller, environment: Environment, signed_in: Collection[str]
    ) -> None:
        self._call = call
        self._flows = environment.flows
        self._unasked = [step for step in call.steps if step.verb in ("http", "lookup", "notify", "plugin")]
        self._answered = list(call.answered)
        self.made: list[Made] = []
        self.mocks: list[Mock] = []
        self.remarks: list[str] = []
        # Tables are asked outside: what they hold may have changed, and the number that is looked up is masked.
        environment = replace(environment, tables={}, random=lambda: caller.chance / 100)
        facts = CallFacts("recorded", caller.number, "", None, caller.did, caller.at)
        self.script = Script(flow, facts, environment=environment, outside=self._outside, signed_in=signed_in)

    def plays(self) -> None:
        """From the first row to the last, or as far as it goes the same way."""
        script, call = self.script, self._call
        for number, row in enumerate(call.steps):
            try:
                if self._left_at(row) and not self._done(number):
                    self._leaves(number, row)
                    break
                self._does(number, row)
            except DidNotHappen as error:
                self.remarks.append(
                    f"block {row.block}, {row.verb}: {str(error).partition(chr(10))[0]}, which is not so"
                )
                break
            if not self._same(number, row):
                break
        if call.ended_by in ("caller", "network") and not script.run.finished:
            self._make(HangingUp())
        if script.path != call.path:
            self.remarks.append(f"the call went another way: {' > '.join(call.path)}")
        if not script.run.finished:
            self.remarks.append(f"the call was ended by {call.ended_by}; here it goes on")

    # One row after the other. ---------------------------------------------------------------------------

    def _does(self, number: int, row: RecordedStep) -> None:
        if not self._done(number) and row.verb in ASKS:
            self._is_asked(number, row)
        elif not self._done(number) and row.verb in RINGS:
            self._rings(number, row)
        self.script.until(lambda: self._done(number), "it is over")
        if self.script.voice.fails:
            self._make(HearingFails(fails=False))

    def _is_asked(self, number: int, row: RecordedStep) -> None:
        self._until_in(number, row)
        if "not_heard" in row.detail:
            self._make(HearingFails(fails=True))
        spoken = self._spoken(row)
        keys = self._keys(row) if spoken is None else ""
        if spoken is not None:
            self._make(spoken)
        elif keys:
            self._make(Pressing(keys))

    def _rings(self, number: int, row: RecordedStep) -> None:
        script = self.script
        while not self._done(number):
            script.until(lambda: bool(script.ringing) or self._done(number), "it rings")
            if was_handed_over(row) and script.ringing:
                self._make(SeatDoing(script.ringing[0], "answer"))
            elif row.exit == "answered" and script.ringing:
                self._make(SeatDoing(self._talks(), "hangup"))
            elif script.ringing and (deed := _DEEDS.get(row.exit or "")) is not None:
                self._make(SeatDoing(script.ringing[0], deed))
            else:
                script.until(lambda: self._done(number), "nobody answers")

    def _talks(self) -> str:
        """Who answers, after he has talked."""
        ringing = self.script.ringing
        name = self._answered.pop(0) if self._answered else ringing[0]
        name = name if name in ringing else ringing[0]
        self._make(SeatDoing(name, "answer"))
        self._make(SeatDoing(name, "accept"))
        self.script.waits(_TALK)
        return name

    def _left_at(self, row: RecordedStep) -> bool:
        """Whether the caller left while this was done."""
        cut = row.exit is None and row.next_block is None and row.verb != "return"
        return cut and not was_handed_over(row) and self._call.ended_by in ("caller", "network")

    def _leaves(self, number: int, row: RecordedStep) -> None:
        self._until_in(number, row)
        if row.verb in RINGS and self._answered and self.script.ringing:
            self._talks()
        elif row.keys:
            self._make(Pressing(row.keys))
        if not self.script.run.finished:
            self._make(HangingUp())

    def _until_in(self, number: int, row: RecordedStep) -> None:
        run = self.script.run
        self.script.until(
            lambda: self._done(number) or (run.step is not None and run.step.verb == row.verb), "it begins"
        )

    def _done(self, number: int) -> bool:
        return len(self.script.records) > number or self.script.run.finished

    def _same(self, number: int, row: RecordedStep) -> bool:
        if number >= len(self.script.records):
            return False
        found = self.script.records[number]
        return (found.flow, found.block, found.verb, found.exit) == (row.flow, row.block, row.verb, row.exit)

    def _make(self, move: Move) -> None:
        began = self.script.now
        made = make(self.script, move)
        if made is not None:
            self.made.append(Made(began, self.script.now, made))

    def _spoken(self, row: RecordedStep) -> Move | None:
        """What was said, as it was heard; None if nothing was."""
        said = row.said
        if row.verb == "ask" and row.secret:
            self.remarks.append(f"what was said in block {row.block} is secret: the words here are made up")
            said = () if row.exit == "no_match" else (Hypothesis("something", 1.0),)
        if said is None:
            return None
        if not said:
            return Mumbling(1.0, talks_over=row.barged_in)
        best, *others = said
        alternatives = tuple(Alternative(one.text, one.confidence) for one in others[:MOST_ALTERNATIVES])
        return Saying(Said(best.text, best.confidence, alternatives), talks_over=row.barged_in)

    def _keys(self, row: RecordedStep) -> str:
        step = _step(self._flows, row)
        collect = step.settings if step is not None and isinstance(step.settings, questions.Collect) else None
        keys = row.keys or ""
        if row.secret:
            least = 1 if collect is None else collect.digits.least
            keys = "1" * (least - 1 if row.exit == "no_match" else least)
            self.remarks.append(f"what was entered in block {row.block} is secret: the keys here are made up")
        if keys and collect is not None and len(keys) < collect.digits.most:
            keys += collect.input.finish_key or ""
        return keys

    # The world. -----------------------------------------------------------------------------------------

    def _outside(self, asked: Asked) -> tuple[float, Reply]:
        row = next((row for row in self._unasked if _asks(row, asked)), None)
        if row is None:
            self.remarks.append(f"{remedy(asked)[0]}: this was not asked then")
            return self._answers(asked, NoReply("not recorded"), 0.0)
        self._unasked.remove(row)
        if row.exit is None and row.verb != "notify":
            return self._answers(asked, NoReply("it did not answer within the time that the caller had"), 0.0)
        step = _step(self._flows, row)
        if step is not None and getattr(step.settings, "into", None) is not None:
            if is_complete(row):
                self.remarks.append("answers stand here as they were: make up names and numbers in them")
            else:
                self.remarks.append(f"{row.verb} in block {row.block}: what it answered was not written down")
        seconds = row.detail.get("seconds")
        return self._answers(asked, reply_of(row), float(seconds) if isinstance(seconds, int | float) else 0.0)

    def _answers(self, asked: Asked, reply: Reply, seconds: float) -> tuple[float, Reply]:
        mock = mock_of(asked, reply, seconds)
        self.mocks.append(mock)
        found = mock.answer(asked)
        assert found is not None, "a mock made for what was asked fits it"
        return found


def _asks(row: RecordedStep, asked: Asked) -> bool:
    """Whether the row may be what came of this."""
    match asked:
        case HttpRequest(method=method, url=url):
            parts = re.split(r"\{[^{}]*\}", str(row.detail.get("url")))
            written = ".*".join(map(re.escape, parts))
            return row.verb == "http" and row.detail.get("method") == method and bool(re.fullmatch(written, url))
        case TableLookup(table=table):
            return row.verb == "lookup" and row.detail.get("table") == table
        case PluginCall(plugin=plugin):
            return row.verb == "plugin" and row.detail.get("plugin") == plugin
        case Notification(webhook=webhook):
            return row.verb == "notify" and row.detail.get("webhook") == webhook


def _step(flows: Mapping[str, Flow], row: RecordedStep) -> Step | None:
    """The step that the row is of, if the flow still has it."""
    block = flows[row.flow].blocks.get(row.block) if row.flow in flows else None
    step = block.steps[row.number - 1] if block is not None and 0 < row.number <= len(block.steps) else None
    return step if step is not None and step.verb == row.verb else None


def _chance(call: RecordedCall, flows: Mapping[str, Flow]) -> float:
    """Where chance put the call in its splits, per cent."""
    low, high = 0.0, 100.0
    for row in call.steps:
        step = _step(flows, row)
        if step is None or not isinstance(step.settings, choosing.Split):
            continue
        weights = step.settings.weights
        whole, passed = sum(one.weight for one in weights), 0
        for one in weights:
            if one.variant == row.exit:
                low = max(low, 100 * passed / whole)
                high = min(high, 100 * (passed + one.weight) / whole)
            passed += one.weight
    return 0.0 if (low, high) == (0.0, 100.0) else round((low + high) / 2, 2)
