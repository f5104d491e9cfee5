"""The interpreter: walks a call through a flow, from events to actions, without a clock, a socket or a thread.

One step at a time. A step that takes time is an :class:`~ivr.run.activity.Activity`; the others are done at once, so
that one event can carry a call through many steps.

**Going on.** A step leaves by an exit. A wired exit leads to its block; one that may continue leads to the next step;
any other is an error. A flow that runs past the last step of a block ends.

**Before the answer.** A step that lets the caller hear something or asks him something takes the call first if no
``answer`` has, and begins once the caller's leg is up; steps within ``early`` are heard without that. ``transfer`` and
``ring`` do not: the caller hears it ring and the call is taken when a seat answers.

**Errors.** What goes wrong while a step is done leads to its exit ``failed`` if that is wired, else to the flow's
``on_error``. An error on the way from there, before the caller has answered anything again, ends the call, by
``system``. So does an error if there is no ``on_error``. Limits are errors whatever is wired: too many steps in a
call, too many passes of one block since the caller last pressed a key that was asked for, a call that takes too long.
After a limit ``on_error`` gets a few more steps, or a minute more, and no second chance.

**The caller leaves.** Whatever goes on is cancelled, ``on_hangup`` runs (only steps that need no caller), and the
call has ended by ``caller`` or ``network``. A call that the flow ends does not run ``on_hangup``.

**Who ended it.** ``agent`` if the party the caller talked to hung up and he has neither heard nor been asked nor been
connected to anything since (``network`` if that party was lost); ``flow`` if the flow ended it otherwise.

**Called flows.** A step can go through another flow, a block or a list of steps before it is left; who entered is kept
in a stack. An error in a called flow goes to that flow's own ``on_error``; without one, or if it goes wrong there, it
is the exit ``failed`` of the step that called. A limit goes to the nearest ``on_error`` whatever is wired. If the
caller leaves, ``on_hangup`` of the innermost flow runs first, then those of its callers, each with its own variables.
Blocks of other flows than the first are ``flow.block`` in the path.

**The same key twice.** A key that arrives by two ways (RFC 4733 and INFO, say) within 150 ms is one key.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from gateway.call import Answered, CallEnded, CallerLeft, KeyPressed, PlayEnded
from ivr.flow.expression import EvaluationError
from ivr.flow.model import Flow, Place, Step
from ivr.flow.nodes import VERBS
from ivr.flow.nodes.verb import CONTINUE
from ivr.flow.values import as_type
from ivr.run.actions import Action, Ended, EndedBy, Hangup, Log
from ivr.run.activity import Activity, Enter, Exit, Finish, Outcome, Return
from ivr.run.conversation import CallFacts, Conversation, Here, Row, StepError
from ivr.run.environment import Environment
from ivr.run.events import Event, PlayFailed
from ivr.run.verbs import BEHAVIOURS

log = logging.getLogger("ivr.run")

SAME_KEY = 0.15
"""Seconds within which the same key from another source is the same press."""

PLAY_CUT = 1.0
"""Seconds after a play that stopped without being asked to. It is what a caller who is about to be reported as gone
leaves behind, and nobody should be rung for him; if he is not gone, the flow goes on."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What ends a flow that would not end by itself."""

    steps: int = 1_000
    """Of a whole call; and again of ``on_hangup``."""
    passes: int = 20
    """Of one block, since the caller last answered something."""
    call_seconds: float = 4 * 3600.0
    last_steps: int = 50
    """Further steps for ``on_error`` after a limit."""
    last_seconds: float = 60.0
    """Further time for ``on_error`` after the call took too long."""


DEPTH = 16
"""Flows within flows."""


@dataclass(frozen=True, slots=True)
class _Entered:
    """Where something that was entered leads back to."""

    kind: Literal["flow", "block", "steps"]
    flow: Flow
    block: str
    steps: tuple[Step, ...]
    index: int
    here: Here | None
    variables: dict[str, object]
    secret: set[str]
    in_error: bool


def leads_by(step: Step, exit: str) -> tuple[str, bool]:
    """The exit really taken for one that a step leaves by, and whether the next step may follow it."""
    verb = VERBS.get(step.verb)
    declared = verb.exit(exit) if verb else None
    if exit in step.exits or declared is None:
        return exit, step.exits.get(exit) == CONTINUE
    if declared.unwired in ("failed", "closed", "answered"):
        return leads_by(step, declared.unwired)
    return exit, declared.unwired == "next"


def unwired(step: Step, exit: str) -> str:
    """The error of an exit that leads nowhere."""
    verb = VERBS.get(step.verb)
    declared = verb.exit(exit) if verb else None
    return f"{step.verb}: {declared.meaning}" if declared else f"{step.verb} does not say what happens on '{exit}'"


class FlowRun:
    """One call going through one flow. Given events and the time, it returns actions, to be done in order.

    ``now`` is seconds of a monotonic clock. Events after :class:`~ivr.run.actions.Ended` are passed over.
    """

    def __init__(
        self,
        flow: Flow,
        facts: CallFacts,
        *,
        environment: Environment | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._flow = flow
        self._limits = limits or Limits()
        self._talk = Conversation(flow, facts, environment or Environment())
        self._path: list[str] = []
        self._block = flow.start
        self._steps: tuple[Step, ...] = ()
        self._index = 0
        self._activity: Activity | None = None
        self._awaiting_answer = False
        self._steps_left = self._limits.steps
        self._passes: Counter[tuple[str, str]] = Counter()
        self._call_until = 0.0
        self._play_cut_until: float | None = None
        self._first_flow = flow
        self._entered: list[_Entered] = []
        self._tidying = False
        self._in_error = False
        self._last_chance = False
        self._caller_left: CallerLeft | None = None
        self._ended: Ended | None = None
        self._last_key: KeyPressed | None = None
        self._last_key_at = 0.0
        self._now = 0.0

    # What the owner of the call uses. ------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        return self._ended is not None

    @property
    def ended_by(self) -> EndedBy | None:
        return self._ended.by if self._ended else None

    @property
    def path(self) -> tuple[str, ...]:
        """The blocks gone through, in order, as often as they were entered; without those of ``on_hangup``."""
        return tuple(self._path)

    @property
    def last_block(self) -> str:
        """The block the call is in, or was in when the caller left."""
        return self._path[-1] if self._path else self._flow.start

    @property
    def block(self) -> str:
        """The block of the step being done, as the path has it: after a called flow it is the caller's again."""
        return self._named(self._block)

    @property
    def place(self) -> Place:
        """Where the step being done, or done last, stands in the flow's file."""
        block = self._flow.blocks.get(self._block)
        if not self._steps or block is None:
            return block.place if block else self._flow.place
        return self._steps[min(self._index, len(self._steps) - 1)].place

    @property
    def step(self) -> Step | None:
        """The step that takes time now; None if none does."""
        return self._steps[self._index] if self._activity is not None else None

    @property
    def step_began(self) -> float:
        """When the step being done, or done last, began; at first, when the call did."""
        return self._talk.started if self._talk.here is None else self._talk.here.began

    @property
    def language(self) -> str:
        """What the call is spoken to in."""
        return self._talk.language

    @property
    def answered(self) -> bool:
        """Whether the call has been taken."""
        return self._talk.answered

    @property
    def variables(self) -> Mapping[str, object]:
        """As they are now, secret ones masked."""
        scope = self._talk.public_scope()
        return {name: scope[name] for name in self._talk.variables}

    @property
    def secret_input(self) -> bool:
        """The keys pressed now are secret and must not be written down."""
        return self._talk.secret_input

    def start(self, now: float) -> list[Action]:
        """Begin with the flow's first block."""
        self._now = self._talk.started = self._talk.now = now
        self._call_until = now + self._limits.call_seconds
        self._walk(self._enter(self._flow.start))
        return self._talk.taken()

    def handle(self, event: Event, now: float) -> list[Action]:
        """Take the next event of the call."""
        self._tick(now)
        if self._ended is None:
            self._take(event)
        return self._talk.taken()

    def jump(self, block: str, now: float) -> list[Action]:
        """Leave whatever is being done and go to a block: for whoever tries a flow out."""
        self._tick(now)
        if self._ended is None:
            self._cancel()
            self._walk(self._enter(block))
        return self._talk.taken()

    def set_variable(self, name: str, text: str) -> None:
        """Give a variable a value from its text. Raises KeyError if there is none, EvaluationError for a bad value."""
        self._talk.variables[name] = as_type(text, self._talk.flow.variables[name].type)

    def next_timer(self) -> float | None:
        """When :meth:`handle_timer` is due; None once the call has ended."""
        if self._ended is not None:
            return None
        step = self._activity.next_timer() if self._activity is not None else None
        return min(timer for timer in (self._call_until, self._play_cut_until, step) if timer is not None)

    def handle_timer(self, now: float) -> list[Action]:
        """Do what is due by now; nothing if it is too early."""
        self._tick(now)
        if self._ended is None:
            self._take_timer()
        return self._talk.taken()

    # Events. -------------------------------------------------------------------------------------------

    def _tick(self, now: float) -> None:
        # A clock that was set back must not bring a deadline back.
        self._now = self._talk.now = max(now, self._now)

    def _take(self, event: Event) -> None:
        match event:
            case Answered():
                self._talk.answered = self._talk.answer_asked = True
                if self._awaiting_answer:
                    self._awaiting_answer = False
                    self._walk(self._attempt(self._begin_step))
                else:
                    self._advance(lambda activity: activity.handle(event, self._now))
            case KeyPressed(leg_id=None):
                self._take_key(event)
            case PlayEnded(leg_id=None):
                self._take_play_ended(event)
            case PlayFailed(play_id=play_id, reason=reason, leg_id=None, heard_ms=heard_ms):
                ours = play_id == self._talk.playing
                self._talk.play_over(play_id, heard_ms)
                if ours:
                    self._walk(self._failed(reason, "missing"))
            case CallerLeft():
                self._take_caller_left(event)
            case CallEnded():
                self._take_caller_left(CallerLeft("network", "ended"))
            case _:
                self._advance(lambda activity: activity.handle(event, self._now))

    def _take_key(self, event: KeyPressed) -> None:
        last, last_at = self._last_key, self._last_key_at
        self._last_key, self._last_key_at = event, self._now
        if (
            last is not None
            and last.key == event.key
            and last.source != event.source
            and self._now - last_at <= SAME_KEY
        ):
            # What comes next is compared with the first of the two: a double press stays a double press.
            self._last_key = last
            return
        if self._talk.typed_ahead.forgives(event.key, self._now):
            return
        if self._activity is None:
            self._talk.typed_ahead.push(event.key)
        else:
            self._advance(lambda activity: activity.key(event.key, self._now))

    def _take_play_ended(self, event: PlayEnded) -> None:
        ours = event.play_id == self._talk.playing
        self._talk.play_over(event.play_id, event.heard_ms)
        if ours and event.completed:
            self._advance(lambda activity: activity.play_ended(self._now))
        elif ours:
            self._play_cut_until = self._now + PLAY_CUT

    def _take_timer(self) -> None:
        if self._now >= self._call_until:
            self._call_until = self._now + self._limits.last_seconds
            text = f"the call takes more than {self._limits.call_seconds:.0f} s"
            row = self._cancel()
            self._walk(self._limit("time", text, row))
        elif self._play_cut_until is not None and self._now >= self._play_cut_until:
            self._play_cut_until = None
            if self._talk.playing is None:
                self._advance(lambda activity: activity.play_ended(self._now))
        elif self._activity is not None:
            due = self._activity.next_timer()
            if due is not None and due <= self._now:
                self._advance(lambda activity: activity.handle_timer(self._now))

    def _take_caller_left(self, event: CallerLeft) -> None:
        in_step = self._activity is not None or self._awaiting_answer
        row = self._cancel()
        self._caller_left = event
        self._talk.over = True
        if in_step:
            self._record(None, None, row)
        self._tidy_up()
        self._end(event.by, event.cause)

    def _tidy_up(self) -> None:
        """Run ``on_hangup`` of every flow the call is in, from the inside out."""
        self._tidying = True
        while True:
            entered, self._entered = self._entered, []
            handler = self._flow.on_hangup
            if handler is not None and (not entered or entered[-1].kind == "flow"):
                self._steps_left = self._limits.steps
                self._passes.clear()
                self._walk(self._enter(handler))
            self._entered = entered
            if not entered:
                break
            self._go_back()
            self._record(None, None, Row())
        self._tidying = False

    # Steps. --------------------------------------------------------------------------------------------

    def _advance(self, do: Callable[[Activity], Outcome | None]) -> None:
        """Let the step that is being done act, and go on if that was its end."""
        activity = self._activity
        if activity is not None:
            self._walk(self._attempt(lambda: do(activity)))

    def _attempt(self, do: Callable[[], Outcome | None]) -> Outcome | None:
        try:
            return do()
        except (StepError, EvaluationError) as error:
            return self._failed(str(error))
        except Exception as error:
            # A fault of ours must cost the caller no more than a fault of the flow would.
            log.exception("call %s: block %s", self._talk.facts.call_id, self._block)
            return self._failed(f"{type(error).__name__}: {error}")

    def _failed(self, text: str, exit: str = "failed") -> Exit:
        verb = VERBS.get(self._steps[self._index].verb)
        exit = exit if verb is not None and verb.exit(exit) else "failed"
        return Exit(exit, error=text, row=self._cancel())

    def _cancel(self) -> Row:
        """Undo what the present step began. Returns what is known of it."""
        activity, self._activity = self._activity, None
        self._awaiting_answer = False
        self._play_cut_until = None
        if activity is None:
            return Row()
        row = activity.row()
        activity.cancel()
        self._talk.secret_input = False
        return row

    def _walk(self, outcome: Outcome | None) -> None:
        """From the end of a step, or of several, to one that takes time or to the end of the flow."""
        while outcome is not None and self._ended is None:
            self._activity = None
            self._play_cut_until = None
            self._talk.secret_input = False
            outcome = self._follow(outcome)

    def _follow(self, outcome: Outcome) -> Outcome | None:
        if isinstance(outcome, Finish):
            self._record(None, None, outcome.row)
            self._end(self._talk.seat_left or "flow", outcome.cause, hang_up=not outcome.rejected)
            return None
        if isinstance(outcome, Enter):
            return self._go_into(outcome)
        if isinstance(outcome, Return):
            self._record(None, None, Row())
            return self._returned(outcome)
        if outcome.heard_from:
            self._passes.clear()
            self._in_error = self._last_chance
            self._entered = [replace(one, in_error=self._last_chance) for one in self._entered]
        if outcome.first:
            wrong = self._done_first(outcome.first)
            outcome = replace(outcome, name=wrong.name, error=wrong.error) if wrong is not None else outcome
        step = self._steps[self._index]
        name, goes_on = leads_by(step, outcome.name)
        block = step.exits.get(name)
        error = None if outcome.error is None else self._talk.masked(outcome.error)
        if goes_on and (block == CONTINUE or error is None):
            self._record(name, None, outcome.row, error)
            if error is not None:
                self._log_error(error, "the next step")
            self._index += 1
            return self._next_step()
        if block is None:
            return self._go_wrong(error or unwired(step, name), "error", name, outcome.row)
        self._record(name, block, outcome.row, error)
        if error is not None:
            self._log_error(error, block)
        return self._enter(block)

    def _done_first(self, steps: Sequence[Step]) -> Exit | None:
        """Do what stands within the present step, before its own row. Returns what went wrong; the rest is not done."""
        around, wrong = self._talk.here, None
        number = around.step if around is not None else self._index + 1
        for step in steps:
            self._steps_left -= 1
            self._talk.here = Here(self._block, number, step.verb, step.place.line, self._now)
            done = self._attempt(partial(self._done, step))
            if isinstance(done, Exit) and done.error is not None:
                wrong = done
                self._record("failed", None, Row(), self._talk.masked(done.error))
                break
            self._record("next", None, done.row if isinstance(done, Exit) else Row())
        self._talk.here = around
        return wrong

    def _done(self, step: Step) -> Outcome | None:
        begun = BEHAVIOURS[step.verb].begin(self._talk, step)
        return None if isinstance(begun, Activity) else begun

    def _go_into(self, enter: Enter) -> Outcome | None:
        if len(self._entered) >= DEPTH:
            return Exit("failed", error=f"flows call each other more than {DEPTH} deep")
        talk = self._talk
        self._entered.append(
            _Entered(
                enter.kind,
                self._flow,
                self._block,
                self._steps,
                self._index,
                talk.here,
                talk.variables,
                talk.secret_variables,
                self._in_error,
            )
        )
        self._flow = talk.flow = enter.flow
        talk.variables, talk.secret_variables = enter.variables, enter.secret
        if enter.kind == "flow":
            self._in_error = self._last_chance and self._in_error
        if enter.kind != "steps":
            return self._enter(enter.block)
        self._steps, self._index = enter.steps, 0
        return self._next_step()

    def _go_back(self) -> None:
        """To the step that entered what the call is in."""
        one, talk = self._entered.pop(), self._talk
        self._flow = talk.flow = one.flow
        self._block, self._steps, self._index = one.block, one.steps, one.index
        talk.variables, talk.secret_variables, talk.here = one.variables, one.secret, one.here
        self._in_error = one.in_error

    def _returned(self, outcome: Return) -> Outcome | None:
        if not self._entered:
            self._end(self._talk.seat_left or "flow", "end")
            return None
        called = self._flow.name
        self._go_back()
        into: str | None = getattr(self._steps[self._index].settings, "into", None)
        if into is not None:
            if outcome.value is None:
                return Exit("failed", error=f"'{called}' has returned nothing")
            self._talk.variables[into] = outcome.value
            if outcome.secret:
                self._talk.secret_variables.add(into)
        return Exit()

    def _enter(self, name: str) -> Outcome | None:
        block = self._flow.blocks.get(name)
        if block is None:
            self._talk.do(Log(f"there is no block '{name}'", str(self._flow.place), error=True))
            self._end("system", "error")
            return None
        self._talk.previous_block = self.last_block
        if self._caller_left is None:
            self._path.append(self._named(name))
        self._block, self._index = name, 0
        self._steps = block.steps
        self._passes[self._flow.name, name] += 1
        return self._next_step()

    def _named(self, block: str) -> str:
        return block if self._flow is self._first_flow else f"{self._flow.name}.{block}"

    def _next_step(self) -> Outcome | None:
        if self._index >= len(self._steps):
            if self._entered:
                return self._returned(Return())
            self._end(self._talk.seat_left or "flow", "end")
            return None
        step = self._steps[self._index]
        early = bool(self._entered) and self._entered[-1].kind == "steps"
        number = (self._entered[-1].index if early else self._index) + 1
        self._talk.here = Here(self._block, number, step.verb, step.place.line, self._now)
        if self._passes[self._flow.name, self._block] > self._limits.passes:
            text = f"block '{self._block}' came round {self._limits.passes} times without an answer from the caller"
            return self._limit("passes", text)
        if self._steps_left <= 0:
            return self._limit("steps", f"the call took more than {self._limits.steps} steps")
        self._steps_left -= 1
        verb, behaviour = VERBS.get(step.verb), BEHAVIOURS.get(step.verb)
        if verb is None or behaviour is None:
            return Exit("failed", error=f"'{step.verb}' is not in this version")
        if self._caller_left is not None and (verb.speaks or verb.waits or behaviour.needs_answer):
            return self._go_wrong(f"{step.verb} needs the caller, who has gone", "error", "failed")
        if early:
            self._talk.early()
        elif behaviour.needs_answer and not self._talk.answered:
            self._talk.answer()
            self._awaiting_answer = True
            return None
        return self._attempt(self._begin_step)

    def _begin_step(self) -> Outcome | None:
        step = self._steps[self._index]
        begun = BEHAVIOURS[step.verb].begin(self._talk, step)
        if not isinstance(begun, Activity):
            return begun
        self._activity = begun
        return begun.start(self._now)

    # When things go wrong, and the end. -----------------------------------------------------------------

    def _limit(self, cause: str, text: str, row: Row | None = None) -> Outcome | None:
        if self._last_chance:
            self._in_error = True
            self._entered = [replace(one, in_error=True) for one in self._entered]
        self._last_chance = True
        self._steps_left = self._limits.last_steps
        return self._go_wrong(text, cause, "failed", row)

    def _go_wrong(self, text: str, cause: str, exit: str, row: Row | None = None) -> Outcome | None:
        """To ``on_error``, or to the end."""
        text = self._talk.masked(text)
        own = not self._entered or self._entered[-1].kind == "flow"
        handler = None if self._in_error or self._caller_left or not own else self._flow.on_error
        self._record(exit, handler, row or Row(), text)
        self._log_error(text, handler)
        if handler is None and self._entered:
            called = f"{self._flow.name} {self._block}"
            self._go_back()
            return Exit("failed", error=f"{called}: {text}") if cause == "error" else self._go_wrong(text, cause, exit)
        if handler is None:
            self._end("system", cause)
            return None
        self._in_error = True
        return self._enter(handler)

    def _log_error(self, text: str, next_block: str | None) -> None:
        place = self._steps[self._index].place
        where = f"{self._flow.name} {self._block} step {self._index + 1} ({place.file}:{place.line})"
        to = next_block or "the end"
        self._talk.do(Log(f"{where}: {text} → {to}   call {self._talk.facts.call_id}", str(place), error=True))

    def _record(self, exit: str | None, next_block: str | None, row: Row, error: str | None = None) -> None:
        self._talk.record(row, exit, next_block, error)
        self._talk.here = None

    def _end(self, by: EndedBy, cause: str, *, hang_up: bool = True) -> None:
        if self._ended is not None or self._tidying:
            return
        while self._entered:
            self._go_back()
            self._record(None, None, Row())
        if self._caller_left is not None:
            by, cause = self._caller_left.by, self._caller_left.cause
        elif hang_up:
            self._talk.do(Hangup(cause))
        self._ended = Ended(by, cause, self.last_block)
        self._talk.close()
        self._talk.do(self._ended)
