"""What holds for every call, looked up in one that has been acted: the same for random callers and for a test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from ivr.flow.kinds import seconds_as_text
from ivr.run.actions import Ended, Play
from ivr.run.script import Script
from ivr.run.testing.model import Always, Never, Property


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold."""

    title: str
    property: Property
    """It alone."""
    broken_by: Callable[[Script], str | None]
    """How a call that is over breaks it, in words; None if it does not."""


def checks(one: Property) -> Iterator[Check]:
    """A property can say several things."""
    match one:
        case Never(silence_longer_than=limit, speak_after=speak):
            if limit is not None:
                title = f"never silence longer than {seconds_as_text(limit)}"
                yield Check(title, replace(one, speak_after=None), partial(_too_silent, limit))
            if speak is not None:
                yield Check("never speak after hangup", replace(one, silence_longer_than=None), _speaks_to_nobody)
        case Always(end_within=limit, every_call_has=ended_by):
            if limit is not None:
                title = f"always end within {seconds_as_text(limit)}"
                yield Check(title, replace(one, every_call_has=None), partial(_too_long, limit))
            if ended_by is not None:
                yield Check("every call has ended_by", replace(one, end_within=None), _ended_by_nobody)


def broken(properties: Iterable[Property], script: Script) -> str | None:
    """The first that does not hold, in words."""
    found = (check.broken_by(script) for one in properties for check in checks(one))
    return next((message for message in found if message is not None), None)


def _too_silent(limit: float, script: Script) -> str | None:
    begins, seconds = script.longest_silence()
    if seconds <= limit + 1e-6:
        return None
    return f"the caller heard nothing for {seconds:.1f} s from {begins:.1f} s on"


def _speaks_to_nobody(script: Script) -> str | None:
    actions = script.actions
    ended = next((at for at, action in enumerate(actions) if isinstance(action, Ended)), len(actions))
    after = ended if script.left_at is None else min(ended, script.left_at)
    if any(isinstance(action, Play) for action in actions[after:]):
        return "something is played although the caller has gone"
    return None


def _too_long(limit: float, script: Script) -> str | None:
    lasted = script.now if script.ended_at is None else script.ended_at
    return f"the call lasted {lasted:.0f} s" if lasted > limit else None


def _ended_by_nobody(script: Script) -> str | None:
    return None if script.ended_by is not None else "nobody ended the call"
