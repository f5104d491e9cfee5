"""Checks of flows against what surrounds them: recordings, seats, groups, trunks. Those are handed in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ivr.flow.listening import wanted_of
from ivr.flow.loader import FlowSet, WrittenStep
from ivr.flow.model import Place, Recording
from ivr.flow.nodes.dialling import Ring, Transfer
from ivr.flow.nodes.questions import Ask
from ivr.flow.problem import Problem, did_you_mean
from ivr.hearing import Wanted

RecordingLookup = Callable[[str, str], Path | None]
"""From language and name of a recording to its file, None if there is none."""


def check_prompts(
    flow_set: FlowSet,
    lookup: RecordingLookup,
    folder: str = "prompts",
    fault: Callable[[Path], str | None] = lambda _: None,
    doubt: Callable[[Path], tuple[str, str] | None] = lambda _: None,
) -> tuple[Problem, ...]:
    """A problem for every recording that a language of its flow lacks, or in which ``fault`` finds one; a warning for
    one of which ``doubt`` says what callers may not like, and the remedy.

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
                    elif (doubtful := doubt(file)) is not None:
                        problems.append(Problem("W353", recording.place, *doubtful, len(name)))
                else:
                    message = f"prompt '{name}' has no recording for {language}"
                    help = f"looked for {folder}/{language}/{name}.wav and {folder}/{name}.wav"
                    problems.append(Problem("E150", recording.place, message, help, len(name)))
    return flow_set.with_lines(problems)


def check_hearing(
    flow_set: FlowSet, complaints: Callable[[Wanted], Sequence[str] | None], remedy: Callable[[str], str]
) -> tuple[Problem, ...]:
    """A problem for every language in which flows listen and nobody can, and for what recognisers cannot hear.

    ``complaints`` are those of the language's recogniser, as sentences, None if there is none; ``remedy`` says how to
    get one for a language.
    """
    problems = []
    for step in flow_set.written:
        for language in step.heard_in:
            wanted = wanted_of(step.settings, language)
            if wanted is None:
                continue
            found = complaints(wanted)
            if found is None:
                alone = isinstance(step.settings, Ask)
                besides = "" if alone else ": callers can answer by keys only"
                message = f"this {step.verb} listens in {language}, but the site has no recogniser for it{besides}"
                code = "E151" if alone else "W355"
                problems.append(Problem(code, step.place, message, remedy(language), len(step.verb)))
            else:
                help = "choose other words, or another recogniser under recognition: of the site file"
                problems += [Problem("W354", step.place, one, help, len(step.verb)) for one in found]
    return flow_set.with_lines(problems)


@dataclass(frozen=True, slots=True)
class _Reachable:
    """Whom flows can ring."""

    seats: Collection[str]
    trunks: Collection[str]
    clients: Collection[str] | None
    strangers: bool


def check_targets(
    flow_set: FlowSet,
    seats: Collection[str],
    groups: Collection[str],
    trunks: Collection[str],
    clients: Collection[str] | None = None,
    *,
    strangers: bool = False,
) -> tuple[Problem, ...]:
    """A problem for every seat, client, group or trunk that flows name and the site does not have.

    ``clients``: None if the site has no RTC clients at all; ``strangers``: others than these may log in.
    """
    reachable = _Reachable(seats, trunks, clients, strangers)
    problems: list[Problem] = []
    for step in flow_set.written:
        if isinstance(step.settings, Transfer):
            problems.extend(_target(step, step.settings, reachable))
        elif isinstance(step.settings, Ring) and step.settings.group not in groups:
            message = f"the site has no group '{step.settings.group}'"
            help = did_you_mean(step.settings.group, groups, "groups") or "add it to the site file under groups:"
            problems.append(_problem(step, message, help))
    return flow_set.with_lines(problems)


def _target(step: WrittenStep, transfer: Transfer, site: _Reachable) -> Iterator[Problem]:
    scheme = transfer.to.text.partition(":")[0]
    fixed = transfer.to.fixed
    name = None if fixed is None else fixed.partition(":")[2].strip()
    if scheme == "sip" and name is not None and name not in site.seats:
        help = did_you_mean(name, site.seats, "seats") or "add it to the site file under seats:"
        yield _problem(step, f"the site has no seat '{name}'", help)
    elif scheme == "tel" and not site.trunks:
        yield _problem(step, "the site has no trunk to call out through", "add one to the site file under trunks:")
    elif scheme == "rtc" and site.clients is None:
        yield _problem(step, "the site has no RTC clients", "add rtc: and clients: to the site file")
    elif scheme == "rtc" and site.clients is not None and name is not None and name not in site.clients:
        help = did_you_mean(name, site.clients, "clients") or "add it to the site file under clients:"
        yield _problem(step, f"the site has no client '{name}'", help, "W352" if site.strangers else "E140")
    if transfer.trunk is not None and transfer.trunk not in site.trunks:
        help = did_you_mean(transfer.trunk, site.trunks, "trunks") or "add it to the site file under trunks:"
        yield _problem(step, f"the site has no trunk '{transfer.trunk}'", help)


def _problem(step: WrittenStep, message: str, help: str, code: str = "E140") -> Problem:
    place: Place = step.place
    return Problem(code, place, message, help, len(step.verb))
