"""Which languages a call can have at each step: that of its beginning, and those of the ``language`` steps before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ivr.flow.draft import Draft
from ivr.flow.listening import wanted_of
from ivr.flow.model import Flow, Variable
from ivr.flow.nodes.calling import Call, Return
from ivr.flow.nodes.speaking import Language
from ivr.flow.nodes.steps import nested, own_steps
from ivr.hearing import Wanted

Languages = frozenset[str]
_NONE: Final[Languages] = frozenset()


class _Line(NamedTuple):
    """A step of a block."""

    settings: Any
    targets: Mapping[str, str]
    """The block that each exit leads to."""


Blocks = Mapping[str, Sequence[_Line]]


def languages_of_steps(draft: Draft) -> Mapping[int, tuple[str, ...]]:
    """The languages by the ``id`` of a step of a block, in the order of the flow. A step that is never reached has all
    of them."""
    blocks = {
        name: [_Line(step.settings, {exit: node.text for exit, node in step.wires.items()}) for step in block.steps]
        for name, block in draft.blocks.items()
    }
    heads = (None if node is None else node.text for node in (draft.start, draft.on_error, draft.on_hangup))
    found = _Walk(blocks, draft.languages, draft.variables).languages(*heads)
    return {
        id(step): languages
        for name, block in draft.blocks.items()
        for step, languages in zip(block.steps, found[name], strict=True)
    }


def heard_by(flow: Flow) -> tuple[Wanted, ...]:
    """What the steps of a flow listen for, in each language that a call can have there."""
    blocks = {name: [_Line(step.settings, step.exits) for step in block.steps] for name, block in flow.blocks.items()}
    found = _Walk(blocks, flow.languages, flow.variables).languages(flow.start, flow.on_error, flow.on_hangup)
    wanted = (
        wanted_of(line.settings, language)
        for name, lines in blocks.items()
        for line, languages in zip(lines, found[name], strict=True)
        for language in languages
    )
    return tuple(dict.fromkeys(one for one in wanted if one is not None))


class _Walk:
    """All ways through a flow at once."""

    def __init__(self, blocks: Blocks, languages: tuple[str, ...], variables: Mapping[str, Variable]) -> None:
        self._blocks = blocks
        self._order = languages or ("en",)
        lines = [line.settings for block in blocks.values() for line in block]
        lines += [step.settings for one in lines for step in nested(one)]
        everything = frozenset(self._order)
        is_called = any(variable.param for variable in variables.values())
        is_called = is_called or any(isinstance(one, Return) for one in lines)
        # Whoever calls this flow, or is called by it, may speak any language.
        self._start = everything if is_called else frozenset(self._order[:1])
        spoken = self._start | {one.code for one in lines if isinstance(one, Language)}
        self._after_call = everything if any(isinstance(one, Call) for one in lines) else spoken

    def languages(
        self, start: str | None, on_error: str | None, on_hangup: str | None
    ) -> Mapping[str, Sequence[tuple[str, ...]]]:
        """By block, for each of its steps."""
        arrivals: dict[str, Languages] = {}
        heads = ((start, self._start), (on_error, self._after_call), (on_hangup, self._after_call))
        waiting = [(name, languages) for name, languages in heads if name is not None]
        while waiting:
            name, languages = waiting.pop()
            if name in self._blocks and not languages <= arrivals.get(name, _NONE):
                arrivals[name] = arrivals.get(name, _NONE) | languages
                waiting += self._departures(name, arrivals[name])
        return {
            name: [
                tuple(one for one in self._order if one in here)
                for _, here in self._within(name, arrivals.get(name, frozenset(self._order)))
            ]
            for name in self._blocks
        }

    def _within(self, block: str, languages: Languages) -> Iterator[tuple[_Line, Languages]]:
        """The steps, and what the call can have when each begins."""
        for line in self._blocks[block]:
            yield line, languages
            if isinstance(line.settings, Call):
                languages = self._after_call
            for one in (line.settings, *(step.settings for step in own_steps(line.settings))):
                if isinstance(one, Language):
                    languages = frozenset({one.code})

    def _departures(self, block: str, languages: Languages) -> Iterator[tuple[str, Languages]]:
        for line, here in self._within(block, languages):
            if isinstance(line.settings, Call):
                if line.settings.block is not None:
                    yield line.settings.block, here
                here = self._after_call
            done = {key.key: key.steps for key in getattr(line.settings, "done", ())}
            for exit, target in line.targets.items():
                codes = [one.settings.code for one in done.get(exit, ()) if isinstance(one.settings, Language)]
                yield target, frozenset(codes[-1:]) or here
