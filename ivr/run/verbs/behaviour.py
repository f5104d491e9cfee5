"""What a verb does when a call comes to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ivr.flow.model import Step
from ivr.run.activity import Activity, Outcome
from ivr.run.conversation import Conversation


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One entry of the registry."""

    begin: Callable[[Conversation, Step], Outcome | Activity]
    """Does the step at once, or makes what is to be started. May raise StepError or EvaluationError."""
    needs_answer: bool = False
    """The call is taken before the step begins."""
