"""A flow as far as it could be read: what the checks look at, with the place of every word.

A draft exists for broken flows too, so that one run can tell everything that is wrong. A whole one becomes a
:class:`ivr.flow.model.Flow`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from ivr.flow.expression import Expression
from ivr.flow.model import Block, Flow, InputSettings, Place, Recording, Step, Variable
from ivr.flow.nodes import VERBS, Verb
from ivr.flow.nodes.steps import nested
from ivr.flow.nodes.verb import CONTINUE
from ivr.flow.problem import Problem
from ivr.flow.source import ScalarNode
from ivr.flow.template import Hole, Template


@dataclass(frozen=True, slots=True)
class DraftStep:
    verb: Verb
    settings: Any
    """None if they could not be read."""
    wires: Mapping[str, ScalarNode]
    """Exits and the node that names where each leads."""
    keys: Mapping[str, ScalarNode]
    """Key patterns and where they stand."""
    place: Place
    contents: tuple[Expression | Template | Recording, ...] = ()
    """Every expression, text and recording in the settings."""

    @property
    def continues(self) -> bool:
        """Whether the step after it can be reached."""
        if any(
            name not in self.wires and self.verb.by_name[name].possible(self.settings) for name in self.verb.going_on
        ):
            return True
        return any(node.text == CONTINUE for node in self.wires.values())


def inner(step: Step) -> DraftStep:
    """A step that stands in the settings of another, as the checks look at steps."""
    return DraftStep(VERBS[step.verb], step.settings, {}, {}, step.place, tuple(contents(step.settings)))


@dataclass(frozen=True, slots=True)
class DraftBlock:
    name: ScalarNode
    title: str
    steps: tuple[DraftStep, ...]
    whole: bool
    """Whether every step could be read."""
    renamed_from: ScalarNode | None = None


@dataclass(slots=True)
class Draft:
    """One flow file."""

    name: ScalarNode
    title: str = ""
    languages: tuple[str, ...] = ("en",)
    says_languages: bool = False
    """Whether the file says so."""
    start: ScalarNode | None = None
    on_hangup: ScalarNode | None = None
    on_error: ScalarNode | None = None
    variables: dict[str, Variable] = field(default_factory=dict)
    input: InputSettings = field(default_factory=InputSettings)
    blocks: dict[str, DraftBlock] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _steps: list[tuple[DraftBlock, DraftStep]] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def whole(self) -> bool:
        return all(block.whole for block in self.blocks.values())

    def problem(self, code: str, node: ScalarNode | DraftStep, message: str, help: str = "") -> None:
        length = node.length if isinstance(node, ScalarNode) else len(node.verb.name)
        self.problems.append(Problem(code, node.place, message, help, length))

    def steps(self) -> Sequence[tuple[DraftBlock, DraftStep]]:
        """Every step, those within the settings of others included. Asked for when all blocks have been read."""
        if self._steps is None:
            self._steps = []
            for block in self.blocks.values():
                for step in block.steps:
                    self._steps.append((block, step))
                    self._steps += [(block, inner(one)) for one in nested(step.settings)]
        return self._steps


def make_flow(draft: Draft) -> Flow:
    """The flow of a draft in which the checks found no error."""
    blocks = {name: _block(block) for name, block in draft.blocks.items()}
    return Flow(
        name=draft.name.text,
        title=draft.title,
        languages=draft.languages,
        start=draft.start.text if draft.start is not None else "",
        on_hangup=draft.on_hangup.text if draft.on_hangup is not None else None,
        on_error=draft.on_error.text if draft.on_error is not None else None,
        variables=MappingProxyType(dict(draft.variables)),
        input=draft.input,
        blocks=MappingProxyType(blocks),
        place=draft.name.place,
    )


def _block(block: DraftBlock) -> Block:
    steps = tuple(
        Step(
            step.verb.name,
            step.settings,
            MappingProxyType({exit: node.text for exit, node in step.wires.items()}),
            step.place,
        )
        for step in block.steps
    )
    before = block.renamed_from.text if block.renamed_from is not None else None
    return Block(block.name.text, block.title, steps, block.name.place, before)


_EMPTY = frozenset({"str", "int", "bool", "float", "None", "Place", "InputSettings", "KeyPatterns",
                    "SpokenChoice", "SpokenType", "tuple"})  # fmt: skip
"""Types that have no texts, expressions and recordings in them."""


@lru_cache(maxsize=500)
def parts_of(kind: Any) -> tuple[str, ...]:
    """The fields of a dataclass that can hold texts, expressions, recordings and steps; none for what is none."""
    fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    return tuple(one.name for one in fields if not _EMPTY.issuperset(re.findall(r"\w+", str(one.type))))


def contents(settings: object) -> list[Expression | Template | Recording]:
    """Every expression, text and recording in the settings of a step, those in holes of texts included.

    Steps within the settings are steps of their own.
    """
    found: list[Expression | Template | Recording] = []
    _add_contents(settings, found)
    return found


def _add_contents(one: object, found: list[Expression | Template | Recording]) -> None:
    if isinstance(one, tuple):
        for item in one:
            _add_contents(item, found)
    elif isinstance(one, Template):
        found.append(one)
        found += [part.expression for part in one.parts if isinstance(part, Hole)]
    elif isinstance(one, Expression | Recording):
        found.append(one)
    elif not isinstance(one, Step):
        kind: Any = type(one)
        for name in parts_of(kind):
            _add_contents(getattr(one, name), found)
