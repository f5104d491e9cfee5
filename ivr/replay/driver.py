"""Does a recorded call again with another flow, in virtual time: caller, parties rung and world do what they did.

What is asked in a block gets the keys that were pressed there, and the words that were said; what is rung ends as it
ended, what is asked outside is answered as it was. Where the recording has no answer, nothing is made up: the replay
stops and says why.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Final, Literal

from gateway.call import (
    Answered,
    CallerLeft,
    KeyPressed,
    LegAnswered,
    LegEnded,
    LegFailed,
    LegOutcome,
    PlayEnded,
    Target,
)
from ivr.flow.model import Flow, Step
from ivr.hearing import Hypothesis, Recognition
from ivr.records.recorded import RecordedCall, RecordedStep
from ivr.records.way import way
from ivr.replay.world import ASKS, RINGS, AsItWas, Chances, is_complete, reply_of, same_question, was_handed_over
from ivr.run.actions import (
    Action,
    Answer,
    Dial,
    Listen,
    Play,
    Refer,
    Request,
    StepDone,
    StepRecord,
    StopListening,
    StopPlaying,
    Whisper,
)
from ivr.run.conversation import CallFacts
from ivr.run.environment import Environment
from ivr.run.events import Event, HearingFailed, RequestDone, SpeechHeard, SpeechStarted
from ivr.run.flow_run import FlowRun
from ivr.run.hunt import members_of
from ivr.run.requests import Delivered, NoReply, Notification, Reply
from ivr.understanding.phrases import matches

_TALKED: Final = ("answered", "max_reached")
_OUTCOMES: Final[dict[str, LegOutcome]] = {
    "busy": "busy",
    "refused": "refused",
    "no_answer": "no_answer",
    "offline": "offline",
    "failed": "failed",
}
_TURNS: Final = 5_000
"""Events of one replay; a flow that would need more goes round in circles."""

Stop = Literal["asked_again", "unknown"]


@dataclass(frozen=True, slots=True)
class Replayed:
    """How far the call went, and on which way."""

    way: tuple[tuple[str, StepRecord | None], ...]
    """Each block that was entered, with the step that led there."""
    stop: Stop | None = None
    """Why it stopped before the call was over."""
    reason: str = ""
    """The same in words."""

    @property
    def path(self) -> tuple[str, ...]:
        return tuple(block for block, _ in self.way)


class _Stopped(Exception):
    def __init__(self, stop: Stop, reason: str) -> None:
        super().__init__(reason)
        self.stop: Stop = stop


def replay(call: RecordedCall, flow: Flow, environment: Environment) -> Replayed:
    """Do the call again with this flow."""
    return _Driver(call, flow, environment).result()


class _Driver:
    def __init__(self, call: RecordedCall, flow: Flow, environment: Environment) -> None:
        self._call = call
        arrived = datetime.fromtimestamp(call.arrived_ms / 1000, UTC).astimezone()
        facts = CallFacts(call.call_id, call.caller, call.caller_name, None, call.did, arrived)
        self._chances = Chances(call)
        environment = replace(
            environment,
            closings=AsItWas(call),
            counts=self._chances,
            random=self._chances.random,
            # Whoever is rung first does what was done then: the order decides nothing.
            shuffled=lambda targets: targets,
        )
        self._groups = environment.groups
        self._run = FlowRun(flow, facts, environment=environment)
        self._now = 0.0
        self._flow = flow
        self._coming = _visits(call, former_names(flow))
        self._visits: dict[str, deque[RecordedStep]] = {}
        """By block: what is left of the last visit."""
        self._matched = False
        """The last try that was taken from this visit ended the question then."""
        self._entered = 0
        self._events: deque[Event] = deque()
        self._dialled: list[tuple[str, Target]] = []
        self._playing: Play | None = None
        self._listening: Listen | None = None
        self._rows: list[StepRecord] = []

    def result(self) -> Replayed:
        try:
            self._do(self._run.start(self._now))
            for _ in range(_TURNS):
                if self._run.finished:
                    return Replayed(self._way())
                self._turn()
                if self._chances.unknown:
                    raise _Stopped("unknown", f"block {self._run.last_block} leads on by chance, or by others' calls")
        except _Stopped as stopped:
            return Replayed(self._way(), stopped.stop, str(stopped))
        return Replayed(self._way(), "unknown", "it goes round in circles")

    def _way(self) -> tuple[tuple[str, StepRecord | None], ...]:
        led = [visit.led for visit in way(self._rows, self._flow.name)]
        return tuple(zip_longest(self._run.path, led[: len(self._run.path)]))

    # One thing after the other. -------------------------------------------------------------------------

    def _turn(self) -> None:
        if self._events:
            self._handle(self._events.popleft())
            return
        step = self._run.step
        if step is None:
            raise _Stopped("unknown", f"nothing goes on in block {self._run.last_block}")
        if step.verb in ASKS:
            self._ask()
        elif step.verb in RINGS:
            self._ring(step)
        elif self._playing is not None and self._playing.loop and self._run.next_timer() is None:
            raise _Stopped("unknown", f"block {self._run.last_block} plays until a key is pressed")
        else:
            self._timer()

    def _handle(self, event: Event) -> None:
        self._do(self._run.handle(event, self._now))

    def _timer(self) -> None:
        due = self._run.next_timer()
        if due is None:
            raise _Stopped("unknown", f"nothing goes on in block {self._run.last_block}")
        self._now = max(self._now, due)
        self._do(self._run.handle_timer(self._now))

    def _do(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Answer():
                    self._events.append(Answered())
                case Play():
                    self._play(action)
                case StopPlaying():
                    self._stop_playing()
                case Listen():
                    self._listening = action
                case StopListening():
                    self._listening = None
                case Dial(leg_id, target) | Refer(leg_id, target):
                    self._dialled.append((leg_id, target))
                case Whisper(leg_id, play_id):
                    self._events.append(PlayEnded(play_id, 0, True, leg_id))
                case Request(request_id, asked):
                    if isinstance(asked, Notification):
                        self._events.append(RequestDone(request_id, Delivered()))
                    else:
                        self._events.append(RequestDone(request_id, self._reply()))
                case StepDone(record):
                    self._rows.append(record)
                case _:
                    pass
        for block in self._run.path[self._entered :]:
            visits = self._coming[block]
            self._visits[block] = visits.popleft() if visits else deque()
            self._matched = False
            self._entered += 1

    @property
    def _visit(self) -> deque[RecordedStep]:
        return self._visits.setdefault(self._run.block, deque())

    def _taken(self, verbs: frozenset[str]) -> RecordedStep | None:
        """The next recorded step of this visit that is one of these verbs; those before it were passed."""
        while self._visit:
            step = self._visit.popleft()
            if step.verb in verbs:
                return step
        return None

    def _at(self, ms: int) -> None:
        self._now = max(self._now, ms / 1000)

    def _leave(self) -> None:
        by: Literal["caller", "network"] = "network" if self._call.ended_by == "network" else "caller"
        self._events.append(CallerLeft(by, "bye"))

    # The telephone. -------------------------------------------------------------------------------------

    def _play(self, play: Play) -> None:
        self._playing = play
        step = self._run.step
        if step is not None and step.verb in ASKS:
            return
        if step is not None and any(one.verb == step.verb for one in self._visit):
            recorded = self._taken(frozenset([step.verb]))
            assert recorded is not None
            self._at(recorded.until_ms)
            if recorded.exit is None:
                self._leave()
                return
        if not play.loop:
            self._playing = None
            self._events.append(PlayEnded(play.play_id, 0, True))

    def _stop_playing(self) -> None:
        if self._playing is not None:
            self._events.append(PlayEnded(self._playing.play_id, 0, False))
            self._playing = None

    def _ask(self) -> None:
        block = self._run.last_block
        recorded = self._taken(ASKS)
        if recorded is None and self._matched:
            raise _Stopped("asked_again", f"block {block} does not take what was answered there")
        if recorded is None:
            raise _Stopped("unknown", f"block {block} asks what this caller was not asked there")
        if recorded.secret:
            raise _Stopped("unknown", f"what was answered in block {block} is secret")
        self._at(recorded.until_ms if recorded.keys or recorded.said is not None else recorded.from_ms)
        if recorded.exit is None:
            self._leave()
            return
        self._matched = recorded.exit not in ("no_input", "no_match")
        if self._playing is not None:
            play, self._playing = self._playing, None
            self._handle(PlayEnded(play.play_id, 0, True))
        rows = len(self._rows)
        if "not_heard" in recorded.detail:
            self._is_heard(lambda listen: [HearingFailed(listen.listen_id, str(recorded.detail["not_heard"]))])
        if recorded.said is not None:
            said = recorded.said
            self._is_heard(lambda listen: self._spoken(block, listen, said))
        for number, key in enumerate(recorded.keys or ""):
            if len(self._rows) > rows:
                raise _Stopped("unknown", f"block {block} takes the first {number} of the keys that were pressed")
            self._now += 0.2
            self._handle(KeyPressed(key, "rfc4733"))
        while len(self._rows) == rows and not self._events and not self._run.finished:
            self._timer()

    def _is_heard(self, happens: Callable[[Listen], Sequence[Event]]) -> None:
        """What comes of listening, where the step listens: elsewhere the caller was silent."""
        listen = self._listening
        for event in happens(listen) if listen is not None else ():
            if not isinstance(event, SpeechStarted):
                self._listening = None
            self._handle(event)

    def _spoken(self, block: str, listen: Listen, said: Sequence[Hypothesis]) -> Sequence[Event]:
        """What was said then, as whoever listens now has to understand it: by its words."""
        wanted = listen.wanted
        best = said[0] if said else None
        if best is not None and best.name is not None and wanted.type is None:
            # One who chooses among words hears nothing but those: what he would make of others is not known.
            known = matches(best.text, wanted.phrases, wanted.language)
            if not known or known[0].share < 1:
                reason = f"block {block} listens for other words than it did when '{best.text}' was heard there"
                raise _Stopped("unknown", reason)
        recognition = Recognition(tuple(replace(one, name=None) for one in said), 0, 0, 0)
        return [SpeechStarted(listen.listen_id), SpeechHeard(listen.listen_id, recognition)]

    def _ring(self, step: Step) -> None:
        block = self._run.last_block
        rung, self._dialled = self._dialled, []
        if not rung:
            self._timer()
            return
        recorded = self._visit[0] if self._visit and self._visit[0].verb in RINGS else self._taken(RINGS)
        if recorded is None:
            raise _Stopped("unknown", f"block {block} rings {rung[0][1]}, who was not rung then")
        took = recorded.exit in (*_TALKED, None)
        if took:
            self._same_party(block, step, recorded, rung)
        if took and ("talk_ms" in recorded.detail or recorded.exit is not None or was_handed_over(recorded)):
            self._talk(block, step, recorded, rung[0][0])
            return
        self._at(recorded.until_ms)
        if recorded.exit is None:
            self._leave()
        else:
            # Those who are rung one after the other fail one after the other: the row is theirs until all have.
            self._visit.appendleft(recorded)
            outcome = _OUTCOMES.get(recorded.exit, "failed")
            self._events.extend(LegFailed(leg, outcome) for leg, _ in rung)

    def _talk(self, block: str, step: Step, recorded: RecordedStep, leg: str) -> None:
        """The party takes the call, as it did then; then one of the two leaves, or the time is over."""
        handed_over = was_handed_over(recorded)
        if handed_over and getattr(step.settings, "mode", "bridge") == "bridge":
            raise _Stopped("unknown", f"block {block} connects whom the caller's own telephone called then")
        talk_ms = int(recorded.detail.get("talk_ms") or 0)
        longest = step.settings.longest
        rows = len(self._rows)
        self._at(recorded.until_ms - talk_ms)
        self._handle(LegAnswered(leg))
        self._catch_up()
        key = step.settings.acceptance.key
        if key is not None and len(self._rows) == rows:
            self._handle(KeyPressed(key, leg_id=leg))
            self._catch_up()
        parted = longest is not None and (recorded.exit == "max_reached" or talk_ms >= longest * 1000)
        while parted and len(self._rows) == rows and not self._run.finished:
            self._timer()
        if len(self._rows) > rows or self._run.finished:
            return
        self._at(recorded.until_ms)
        if recorded.exit is None:
            self._leave()
        else:
            self._events.append(LegEnded(leg, "agent"))

    def _catch_up(self) -> None:
        while self._events:
            self._handle(self._events.popleft())

    def _same_party(self, block: str, step: Step, recorded: RecordedStep, rung: Sequence[tuple[str, Target]]) -> None:
        then = {name for at, name in self._call.rung if recorded.from_ms - 50 <= at <= recorded.until_ms + 50}
        now = {str(target) for _, target in rung}
        if getattr(step.settings, "strategy", "") == "random":
            now = {str(target) for target in members_of(self._groups[step.settings.group])}
        if then and not then & now:
            raise _Stopped("unknown", f"block {block} rings {rung[0][1]} instead of {min(then)}")

    # The world. -----------------------------------------------------------------------------------------

    def _reply(self) -> Reply:
        step = self._run.step
        assert step is not None
        recorded = self._taken(frozenset([step.verb]))
        what = f"block {self._run.last_block}: what {step.verb} was answered"
        if recorded is None or not same_question(step, recorded):
            raise _Stopped("unknown", f"{what} is not recorded")
        self._at(recorded.until_ms)
        if recorded.exit is None:
            self._leave()
            return NoReply("the caller has left")
        reply = reply_of(recorded)
        if getattr(step.settings, "into", None) is not None and not is_complete(recorded):
            raise _Stopped("unknown", f"{what} is secret or too long to be recorded")
        return reply


def former_names(flow: Flow) -> dict[str, str]:
    """What blocks of the flow were called before, and what they are called now."""
    return {block.renamed_from: name for name, block in flow.blocks.items() if block.renamed_from is not None}


def _visits(call: RecordedCall, renamed: Mapping[str, str]) -> defaultdict[str, deque[deque[RecordedStep]]]:
    """The recorded steps, visit by visit, for each block by its present name."""
    visits: defaultdict[str, deque[deque[RecordedStep]]] = defaultdict(deque)
    for visit in call.way:
        visits[renamed.get(visit.block, visit.block)].append(deque(visit.steps))
    return visits
