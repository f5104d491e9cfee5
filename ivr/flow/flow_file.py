"""One file of flows, read and checked on its own: all that can be told of it without the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ivr.flow.checks import check_flow
from ivr.flow.draft import Draft, make_flow
from ivr.flow.dsl.remedies import in_dsl
from ivr.flow.expression import Expression
from ivr.flow.leaks import blotted, leaks
from ivr.flow.listening import listens
from ivr.flow.model import Flow, Place, Recording
from ivr.flow.problem import Problem, has_errors, with_lines
from ivr.flow.reading import read_flow
from ivr.flow.source import ScalarNode, Source
from ivr.flow.spoken_languages import languages_of_steps
from ivr.flow.template import Template


class WrittenStep(NamedTuple):
    """A step as it stands in a file."""

    verb: str
    settings: Any
    place: Place
    languages: tuple[str, ...]
    """Those of its flow."""
    exits: Mapping[str, ScalarNode]
    """Those that are written, and the words that name the block of each."""
    contents: tuple[Expression | Template | Recording, ...]
    """Every expression, text and recording in the settings."""
    heard_in: tuple[str, ...] = ()
    """Languages that a call can have at this step, if the step listens."""


@dataclass(frozen=True, slots=True)
class FlowFile:
    """What became of one file. Nothing in it is changed later: flow sets share it."""

    name: str
    """As problems name it."""
    lines: tuple[str, ...]
    """With passwords blotted out."""
    problems: tuple[Problem, ...]
    draft: Draft | None = None
    flow: Flow | None = None
    """None if there are errors."""
    written: tuple[WrittenStep, ...] = ()
    mark: bytes = b""
    """SHA-256 of its bytes; empty where they are not known."""


def check_file(source: Source, mark: bytes = b"") -> FlowFile:
    """Everything that is wrong with a file, and its flow if nothing is."""
    found, hidden = leaks(source.root, source.lines) if source.root is not None else ([], [])
    lines = blotted(source.lines, hidden)
    problems = [*(replace(problem, line="") for problem in source.problems), *found]
    draft, flow = read_flow(source), None
    written: tuple[WrittenStep, ...] = ()
    if draft is not None:
        written = _checked(draft, source)
        problems += draft.problems
        flow = None if has_errors(problems) else make_flow(draft)
    shown = with_lines(problems, {source.file: lines})
    return FlowFile(source.file, lines, tuple(shown), draft, flow, written, mark)


def _checked(draft: Draft, source: Source) -> tuple[WrittenStep, ...]:
    """Look at the draft; what could be read of its steps."""
    written: tuple[WrittenStep, ...] = ()
    broken = has_errors(source.problems)
    if source.complete:
        written = written_in(draft)
        check_flow(draft, complete=not broken)
    else:
        draft.problems = source.trusted(draft.problems)
    if source.file.endswith(".flow"):
        # What stood in a line that could not be read is not missing.
        absent = ("E012", "E013", "E102") if broken else ()
        draft.problems = [in_dsl(one) for one in draft.problems if one.code not in absent]
    return written


def written_in(draft: Draft) -> tuple[WrittenStep, ...]:
    """The steps that could be read."""
    readable = [step for _, step in draft.steps() if step.settings is not None]
    listening = {id(step) for step in readable if listens(step.settings)}
    languages = languages_of_steps(draft) if listening else {}
    steps = [
        WrittenStep(
            step.verb.name,
            step.settings,
            step.place,
            draft.languages,
            step.wires,
            step.contents,
            languages[id(step)] if id(step) in listening else (),
        )
        for step in readable
    ]
    return tuple(steps)
