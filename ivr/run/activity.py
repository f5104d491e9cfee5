"""What a step is while it is done, and how it can end. Verbs are written against these."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ivr.flow.model import Flow, Step
from ivr.run.conversation import Conversation, Row
from ivr.run.events import Event


@dataclass(frozen=True, slots=True)
class Exit:
    """The step is done and leaves by this exit."""

    name: str = "next"
    error: str | None = None
    """What went wrong, for the operator."""
    row: Row = field(default_factory=Row)
    heard_from: bool = False
    """The caller gave an answer: he is there, and the flow is not going round in circles without him."""
    first: tuple[Step, ...] = ()
    """Steps that take no time, done before the flow goes on. Their rows come before the step's own."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The flow ends here."""

    cause: str = "normal"
    rejected: bool = False
    """The call was refused: there is nothing to hang up."""
    row: Row = field(default_factory=Row)


@dataclass(frozen=True, slots=True)
class Enter:
    """Something is gone through within the step, and then the step is left by ``next``."""

    kind: Literal["flow", "block", "steps"]
    """``block`` and ``steps`` belong to the flow of the step, and to its handlers."""
    flow: Flow
    block: str
    variables: dict[str, object]
    secret: set[str]
    """Names of variables."""
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Return:
    """Back to the step that entered."""

    value: object = None
    secret: bool = False


Outcome = Exit | Finish | Enter | Return


class Activity:
    """A step that takes time. The methods return how it ended, None while it goes on.

    ``now`` and timers are seconds. What was begun is undone by :meth:`cancel`, the only way in which a step ends that
    is not its own. Keys pressed meanwhile are typed ahead unless the step has use for them. Methods may raise
    StepError or EvaluationError: the step has failed and is cancelled.
    """

    def __init__(self, talk: Conversation, step: Step) -> None:
        self.talk = talk
        self.step = step

    def start(self, now: float) -> Outcome | None:
        return None

    def handle(self, event: Event, now: float) -> Outcome | None:
        """An event that is neither a key nor about a play."""
        return None

    def key(self, key: str, now: float) -> Outcome | None:
        self.talk.typed_ahead.push(key)
        return None

    def play_ended(self, now: float) -> Outcome | None:
        """What this step played last has been played to its end."""
        return None

    def next_timer(self) -> float | None:
        return None

    def handle_timer(self, now: float) -> Outcome | None:
        return None

    def cancel(self) -> None:
        """Undo what was begun; the caller may have gone."""
        self.talk.stop_playing()

    def row(self) -> Row:
        """What is known so far, for the record of a step that was cut short."""
        return Row()
