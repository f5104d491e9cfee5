"""Checks of flows against what surrounds them: recordings, seats, groups, trunks. Those are handed in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from ivr.flow.loader import FlowSet, WrittenStep
from ivr.flow.model import Place, Recording
from ivr.flow.nodes.dialling import Ring, Transfer
from ivr.flow.problem import Problem, did_you_mean

RecordingLookup = Callable[[str, str], Path | None]
"""From language and name of a recording to its file, None if there is none."""


def check_prompts(
    flow_set: FlowSet,
    lookup: RecordingLookup,
    folder: str = "prompts",
    fault: Callable[[Path], str | None] = lambda _: None,
) -> tuple[Problem, ...]:
    """A problem for every recording that a language of its flow lacks, or in which ``fault`` finds one.

    ``folder`` is named in the messages.
    """
    problems = []
    for step in flow_set.written:
        for recording in step.contents:
            if not isinstance(recording, Recording):
                continue
            name = recording.name
            for language in step.languages:
                file = lookup(language, name)
                if file is not None:
                    wrong = fault(file)
                    if wrong is not None:
                        help = "record it again, or save it as WAV"
                        problems.append(Problem("E150", recording.place, wrong, help, len(name)))
                else:
                    message = f"prompt '{name}' has no recording for {language}"
                    help = f"looked for {folder}/{language}/{name}.wav and {folder}/{name}.wav"
                    problems.append(Problem("E150", recording.place, message, help, len(name)))
    return flow_set.with_lines(problems)


def check_targets(
    flow_set: FlowSet, seats: Collection[str], groups: Collection[str], trunks: Collection[str]
) -> tuple[Problem, ...]:
    """A problem for every seat, group or trunk that flows name and the site does not have."""
    problems: list[Problem] = []
    for step in flow_set.written:
        if isinstance(step.settings, Transfer):
            problems.extend(_target(step, step.settings, seats, trunks))
        elif isinstance(step.settings, Ring) and step.settings.group not in groups:
            message = f"the site has no group '{step.settings.group}'"
            help = did_you_mean(step.settings.group, groups, "groups") or "add it to the site file under groups:"
            problems.append(_problem(step, message, help))
    return flow_set.with_lines(problems)


def _target(
    step: WrittenStep, transfer: Transfer, seats: Collection[str], trunks: Collection[str]
) -> Iterator[Problem]:
    scheme = transfer.to.text.partition(":")[0]
    fixed = transfer.to.fixed
    if scheme == "sip" and fixed is not None:
        seat = fixed.partition(":")[2]
        if seat not in seats:
            help = did_you_mean(seat, seats, "seats") or "add it to the site file under seats:"
            yield _problem(step, f"the site has no seat '{seat}'", help)
    elif scheme == "tel" and not trunks:
        yield _problem(step, "the site has no trunk to call out through", "add one to the site file under trunks:")


def _problem(step: WrittenStep, message: str, help: str) -> Problem:
    place: Place = step.place
    return Problem("E140", place, message, help, len(step.verb))
