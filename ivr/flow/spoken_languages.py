"""Which languages a call can have at each step: that of its beginning, and those of the ``language`` steps before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ivr.flow.draft import Draft, DraftBlock, DraftStep
from ivr.flow.nodes.calling import Call, Return
from ivr.flow.nodes.speaking import Language
from ivr.flow.nodes.steps import own_steps

Languages = frozenset[str]
_NONE: Final[Languages] = frozenset()


def languages_of_steps(draft: Draft) -> Mapping[int, tuple[str, ...]]:
    """The languages by the ``id`` of a step of a block, in the order of the flow. A step that is never reached has all
    of them."""
    everything = frozenset(draft.languages)
    start = everything if _is_called(draft) else frozenset(draft.languages[:1])
    ever = start | frozenset(_switched_to(draft))
    after_call = everything if any(isinstance(step.settings, Call) for _, step in draft.steps()) else ever
    arrivals: dict[str, Languages] = {}
    waiting = []
    for node, languages in ((draft.start, start), (draft.on_error, after_call), (draft.on_hangup, after_call)):
        if node is not None and node.text in draft.blocks:
            arrivals[node.text] = arrivals.get(node.text, _NONE) | languages
            waiting.append(node.text)
    while waiting:
        name = waiting.pop()
        for target, languages in _departures(draft.blocks[name], arrivals[name], after_call):
            if target in draft.blocks and not languages <= arrivals.get(target, _NONE):
                arrivals[target] = arrivals.get(target, _NONE) | languages
                waiting.append(target)
    found = {}
    for name, block in draft.blocks.items():
        for step, languages in _within(block, arrivals.get(name, everything), after_call):
            found[id(step)] = tuple(one for one in draft.languages if one in languages)
    return found


def _is_called(draft: Draft) -> bool:
    """Whether another flow can lead here, whose call may have any language."""
    returns = any(isinstance(step.settings, Return) for _, step in draft.steps())
    return returns or any(variable.param for variable in draft.variables.values())


def _switched_to(draft: Draft) -> Iterator[str]:
    return (step.settings.code for _, step in draft.steps() if isinstance(step.settings, Language))


def _within(block: DraftBlock, languages: Languages, after_call: Languages) -> Iterator[tuple[DraftStep, Languages]]:
    """The steps, and what the call can have when each begins."""
    for step in block.steps:
        yield step, languages
        if isinstance(step.settings, Call):
            languages = after_call
        for one in (step.settings, *(inner.settings for inner in own_steps(step.settings))):
            if isinstance(one, Language):
                languages = frozenset({one.code})


def _departures(block: DraftBlock, languages: Languages, after_call: Languages) -> Iterator[tuple[str, Languages]]:
    for step, here in _within(block, languages, after_call):
        if isinstance(step.settings, Call):
            if step.settings.block is not None:
                yield step.settings.block, here
            here = after_call
        done = {key.key: key.steps for key in getattr(step.settings, "done", ())}
        for exit, node in step.wires.items():
            codes = [one.settings.code for one in done.get(exit, ()) if isinstance(one.settings, Language)]
            yield node.text, frozenset(codes[-1:]) or here
