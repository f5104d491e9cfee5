"""Checks of the holes in texts: every language of the flow has the format, and the value can be said in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ivr.flow.draft import Draft, DraftStep
from ivr.flow.problem import Problem
from ivr.flow.saying import FORMATS, fault
from ivr.flow.template import Hole, Template
from ivr.flow.types import Type
from ivr.flow.values import TYPE_WORDS


def check_languages(draft: Draft) -> None:
    """A problem for every format that a language of the flow lacks."""
    for _, step in draft.steps():
        for hole in _holes(step):
            for language in draft.languages if hole.format != "text" else ():
                wrong = fault(hole.format, hole.argument, language)
                if wrong is not None:
                    draft.problems.append(Problem("E137", hole.place, *wrong))


def check_values(step: DraftStep, types: Mapping[int, Type | None]) -> Iterator[Problem]:
    """A problem for every hole whose value has a type that its format cannot say. ``types`` of expressions, by id."""
    for hole in _holes(step):
        found = types[id(hole.expression)]
        if found is not None and found not in FORMATS[hole.format].takes:
            words = f"{TYPE_WORDS[found]} cannot be said as {hole.format}"
            fits = [name for name, kind in FORMATS.items() if found in kind.takes]
            help = f"formats that fit: {', '.join(fits)}" if fits else "only one value can be said"
            yield Problem("E134", hole.expression.locate(0), words, help, len(hole.expression.text))


def _holes(step: DraftStep) -> Iterator[Hole]:
    for found in step.contents:
        if isinstance(found, Template):
            yield from (hole for hole in found.holes if hole.format in FORMATS)
