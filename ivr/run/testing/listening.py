"""What keys a step waits for."""

from __future__ import annotations

from ivr.flow.model import Step
from ivr.flow.nodes import questions


def key_patterns(step: Step | None) -> frozenset[str]:
    """Patterns of keys that answer it."""
    match step.settings if step is not None else None:
        case questions.Menu(keys=keys):
            return frozenset(keys.patterns)
        case questions.Confirm(yes_key=yes, no_key=no):
            return frozenset({yes, no})
        case questions.Collect(digits=digits, input=input):
            finish = input.finish_key or ""
            return frozenset(
                "X" * length + (finish if length < digits.most else "")
                for length in {digits.least, digits.most, (digits.least + digits.most) // 2}
            )
        case _:
            return frozenset()


def listened_for(step: Step | None) -> tuple[str, ...]:
    """The same as one would say it."""
    match step.settings if step is not None else None:
        case questions.Collect(digits=digits):
            return (f"{digits.least}..{digits.most} digits",)
        case questions.Menu(keys=keys):
            return keys.patterns
        case _:
            return tuple(sorted(key_patterns(step)))
