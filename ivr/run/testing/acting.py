"""Acts the call of a test in virtual time, and says at which step it went another way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from ivr.calendar.model import Closing
from ivr.flow.model import Flow, Place
from ivr.flow.values import as_text
from ivr.hearing import Hypothesis
from ivr.run.actions import StepRecord
from ivr.run.conversation import CallFacts
from ivr.run.environment import Environment
from ivr.run.requests import Asked, NoReply, Reply, TableLookup, TableRow
from ivr.run.script import DidNotHappen, Heard, Script
from ivr.run.testing.hearing import Sound, folded
from ivr.run.testing.kinds import Party, Surroundings
from ivr.run.testing.mocks import Answers, Mock, tables_of
from ivr.run.testing.model import (
    AtBlock,
    Bridged,
    Case,
    Expect,
    HangUp,
    Hearing,
    Hears,
    HearsText,
    MaxSilence,
    Mumbles,
    Press,
    PromptCut,
    Rings,
    Says,
    SeatDoes,
    Step,
    Wait,
    Whispered,
)
from ivr.run.testing.moves import KEY_GAP, takes_breath
from ivr.run.testing.properties import broken
from ivr.run.testing.writing import remedy

NO_MOCK = "the test has no mock for it"


@dataclass(frozen=True, slots=True)
class Failure:
    """Where a call and its test part ways."""

    place: Place
    """The step of the test, or what it expects."""
    flow_place: Place
    """Where in the flow the call was when it should have happened."""
    message: str
    before: tuple[str, ...]
    """What had happened when the step began: lines of the transcript."""
    instead: tuple[str, ...]
    """What happened from then on."""


@dataclass(frozen=True, slots=True)
class Result:
    case: Case
    failure: Failure | None
    records: tuple[StepRecord, ...] = field(default=(), repr=False)
    """What the call went through."""
    path: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.failure is None


class _Differs(Exception):
    """Something is not as it should be; the text says what."""


def act(case: Case, around: Surroundings) -> Result:
    """Act one test."""
    return _Acting(case, around).result()


class _Closed:
    """What a test says is closed by hand, since its call came."""

    def __init__(self, case: Case) -> None:
        self._names, self._since = case.closed, case.caller.at

    def closing(self, calendar: str) -> Closing | None:
        return Closing(self._since, "as the test says") if calendar in self._names else None


class _Acting:
    """One call of one test."""

    def __init__(self, case: Case, around: Surroundings) -> None:
        self._case = case
        caller = case.caller
        facts = CallFacts("test", caller.number, "", None, caller.did, caller.at)
        self._answers = Answers(case.mocks)
        self._unanswered: list[Asked] = []
        self._quiet_since, self._quiet_for = 0.0, float("inf")
        self._around = around
        self._script = Script(
            case.flow,
            facts,
            environment=replace(environment_of(case.flow, around, case.mocks, caller.chance), closings=_Closed(case)),
            outside=self._outside,
            lengths=case.lengths,
            signed_in=around.seats if around.known else None,
        )
        self._under_answer: Heard | None = None
        """What played when a key was last pressed, or something said."""
        self._answer = "key"

    def result(self) -> Result:
        case, script = self._case, self._script
        for step in case.steps:
            place, seen = script.run.place, len(script.transcript)
            try:
                self._step(step)
                self._never_silent()
            except (DidNotHappen, _Differs) as difference:
                return self._failed(step.place, place, str(difference).partition("\n")[0], seen)
            if self._unanswered:
                return self._failed(step.place, place, "", seen)
        seen = len(script.transcript)
        if not case.steps or case.properties or (case.expect and (case.expect.ended_by or case.expect.last_block)):
            script.until_over()
        if self._unanswered:
            return self._failed(case.place, script.run.place, "", seen)
        for message in _differences(case.expect, script) if case.expect is not None else ():
            assert case.expect is not None
            return self._failed(case.expect.place, script.run.place, message, seen)
        try:
            self._never_silent()
        except _Differs as difference:
            return self._failed(case.place, script.run.place, str(difference), seen)
        if (broke := broken(case.properties, script)) is not None:
            return self._failed(case.place, script.run.place, broke, seen)
        return Result(case, None, tuple(script.records), script.path)

    def _failed(self, place: Place, flow_place: Place, message: str, seen: int) -> Result:
        script = self._script
        if self._unanswered:
            # Whatever else went another way came of this.
            what, mock = remedy(self._unanswered[0])
            message = f"the flow asks {what}, and no mock answers: write {mock}"
            script.waits(0.0)
            flow_place = _asked_at(self._case.flow, script.records) or flow_place
        failure = Failure(place, flow_place, message, tuple(script.transcript[:seen]), tuple(script.transcript[seen:]))
        return Result(self._case, failure, tuple(script.records), script.path)

    def _outside(self, asked: Asked) -> tuple[float, Reply]:
        found = self._answers.to(asked)
        if found is None and isinstance(asked, TableLookup) and asked.table in self._around.tables:
            return 0.0, TableRow(self._around.tables[asked.table].row(asked.key))
        if found is None:
            self._unanswered.append(asked)
            return 0.0, NoReply(NO_MOCK)
        return found

    def _never_silent(self) -> None:
        begins, seconds = self._script.longest_silence(self._quiet_since)
        if seconds > self._quiet_for + 1e-6:
            raise _Differs(
                f"the caller heard nothing for {seconds:.1f} s from {begins:.1f} s on; at most {self._quiet_for:g} s"
            )

    def _step(self, step: Step) -> None:
        script = self._script
        match step:
            case Hears(sound=sound):
                self._hears(sound)
            case HearsText(words=words):
                wanted = words.casefold()
                script.hears_where(
                    lambda heard: heard.spoken and wanted in folded(heard.name).casefold(), f"a text with '{words}'"
                )
            case Press(keys=keys, after=after):
                self._press(keys, after)
            case Says(said=said, after=after, talks_over=over):
                self._speak(said.hypotheses, None, after, talks_over=over)
            case Mumbles(seconds=seconds, after=after, talks_over=over):
                self._speak((), seconds, after, talks_over=over)
            case Hearing(state=state):
                script.cannot_be_heard(fails=state == "fails")
            case PromptCut(cut=cut):
                self._prompt_cut(cut)
            case Wait(seconds=seconds):
                script.waits(seconds)
            case AtBlock(block=block):
                script.until(lambda: script.run.last_block == block, f"the call is at block {block}")
            case Rings(party=party):
                self._until_any(party, "rings")
            case SeatDoes():
                self._seat_does(step)
            case Whispered(sound=sound, seat=party):
                self._whispered(sound, party)
            case Bridged(seat=party):
                seat = script.seat(party.name)
                script.until(lambda: seat.talking, f"{party} and the caller talk")
            case MaxSilence(seconds=seconds):
                self._quiet_since, self._quiet_for = script.now, seconds
            case HangUp():
                self._still_up("the caller cannot hang up")
                script.hangs_up()
            case _:
                assert_never(step)

    def _hears(self, sound: Sound) -> None:
        self._script.hears_where(
            lambda heard: heard.spoken == sound.spoken and folded(heard.name) == sound.name, f"{sound} is heard"
        )

    def _press(self, keys: str, after: Sound | str | None) -> None:
        script = self._script
        self._reaches(after)
        for key in keys:
            script.waits(KEY_GAP)
            self._still_up(f"key {key} cannot be pressed")
            self._answer, self._under_answer = "key", script.heard[-1] if script.playing else None
            script.presses(key, gap=0.0)

    def _speak(
        self, hypotheses: Sequence[Hypothesis], seconds: float | None, cue: Sound | str | None, *, talks_over: bool
    ) -> None:
        script = self._script
        self._reaches(cue)
        if not takes_breath(script, talks_over=talks_over):
            raise _Differs("nothing can be said: the call is over")
        self._answer, self._under_answer = "speech", script.heard[-1] if script.playing else None
        script.speaks(hypotheses, seconds)

    def _reaches(self, cue: Sound | str | None) -> None:
        """Wait for a block, or for something to be heard."""
        script = self._script
        if isinstance(cue, Sound):
            self._hears(cue)
        elif cue is not None:
            script.until(lambda: script.run.last_block == cue, f"the call is at block {cue}")

    def _prompt_cut(self, cut: bool) -> None:
        heard, answer = self._under_answer, self._answer
        if heard is None and cut:
            raise _Differs(
                f"nothing was playing when {'the last key was pressed' if answer == 'key' else 'it was said'}"
            )
        if heard is not None and heard.cut != cut:
            raise _Differs(f"the {answer} {'did not cut' if cut else 'cut'} '{heard.name}'")

    def _whispered(self, sound: Sound, party: Party) -> None:
        heard = self._script.seat(party.name).whispered
        self._script.until(lambda: sound.name in map(folded, heard), f"{party} hears {sound} alone")

    def _until_any(self, party: Party, what: str) -> None:
        seats = [self._script.seat(name) for name in party.seats]
        self._script.until(lambda: any(seat.ringing for seat in seats), f"{party} {what}")

    def _seat_does(self, step: SeatDoes) -> None:
        name, seat = step.seat.name, self._script.seat(step.seat.name)
        if step.deed == "hangup":
            self._script.until(lambda: seat.talking or seat.asked, f"{name} has answered")
            seat.hangs_up()
            return
        if step.deed == "accept":
            self._script.until(lambda: seat.asked, f"{name} is asked for a key")
            if self._script.accept_key is None:
                raise _Differs(f"{name} hears a whisper, but no key is asked for")
            seat.takes_call()
            return
        if seat.asked and step.deed in ("refuse", "no_answer"):
            if step.deed == "refuse":
                seat.passes_up()
            else:
                self._script.until(lambda: not seat.asked, f"{name} is asked no more")
            return
        self._until_any(step.seat, "rings")
        if step.deed == "no_answer":
            self._script.until(lambda: not seat.ringing, f"{name} rings no more")
        else:
            seat.does(step.deed)

    def _still_up(self, otherwise: str) -> None:
        if self._script.run.finished:
            raise _Differs(f"{otherwise}: the call is over")


def _differences(expect: Expect, script: Script) -> Iterator[str]:
    """What is not as expected, in words."""
    path = script.path
    if expect.ended_by is not None and script.ended_by != expect.ended_by:
        ended = f"was ended by {script.ended_by}" if script.ended_by else "does not end"
        yield f"expected to be ended by {expect.ended_by}, but the call {ended}"
    if expect.path is not None and path != expect.path:
        yield f"expected the path {_path(expect.path)}, but it was {_path(path)}"
    if expect.path_starts is not None and path[: len(expect.path_starts)] != expect.path_starts:
        yield f"expected a path that starts {_path(expect.path_starts)}, but it was {_path(path)}"
    if expect.last_block is not None and script.run.last_block != expect.last_block:
        yield f"expected the call to end in block {expect.last_block}, but it was in {script.run.last_block}"
    if expect.at_block is not None and (script.run.last_block != expect.at_block or script.run.finished):
        where = "it is over" if script.run.finished else f"it is in {script.run.last_block}"
        yield f"expected the call at block {expect.at_block}, but {where}"
    if expect.tries is not None:
        yield from _tries(expect.tries, script)
    for name, word in (("goal", expect.goal), ("disposition", expect.disposition)):
        if word is not None and script.marks.get(name) != word:
            yield f"expected {name} {word}, but {_is(script.marks.get(name))}"
    for name, value in (expect.tags or {}).items():
        if script.tags.get(name) != value:
            yield f"expected tag {name} to be '{value}', but {_is(script.tags.get(name))}"
    for words in expect.logs or ():
        if not any(words.casefold() in folded(line).casefold() for line in script.logs):
            yield f"expected '{words}' to be logged, but it was not"
    variables = script.run.variables
    for name, value in (expect.variables or {}).items():
        found = variables.get(name)
        text = None if found is None else as_text(found)
        if text != value:
            yield f"expected variable {name} to be '{value}', but {_is(text)}"


def _is(text: str | None) -> str:
    return "it is not set" if text is None else f"it is '{text[:200]}'"


def environment_of(flow: Flow, around: Surroundings, mocks: Sequence[Mock], chance: float = 0.0) -> Environment:
    """What the flow can refer to. Tables that a mock stands in for are asked for outside; ``chance`` is in per cent.

    Where chance decides who rings, it is the group's order.
    """
    mocked = tables_of(mocks)
    return Environment(
        {**around.flows, flow.name: flow},
        around.groups,
        {name: table for name, table in around.tables.items() if name not in mocked},
        around.calendars,
        country=around.country,
        random=lambda: chance / 100,
        shuffled=lambda targets: targets,
    )


def _asked_at(flow: Flow, records: Sequence[StepRecord]) -> Place | None:
    """Where in the flow that was asked for which there is no mock."""
    for record in records:
        told = record.verb == "notify" and record.exit == "next"
        if record.flow == flow.name and (told or NO_MOCK in (record.error or "")):
            return flow.blocks[record.block].steps[record.step - 1].place
    return None


def _tries(expected: Mapping[str, int], script: Script) -> Iterator[str]:
    tries = Counter(record.block for record in script.records if record.try_no is not None)
    for block, number in expected.items():
        if tries[block] != number:
            yield f"expected {number} tries in block {block}, but there were {tries[block]}"


def _path(blocks: Iterable[str]) -> str:
    return " > ".join(blocks)
