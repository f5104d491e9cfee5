"""A flow as a chart: boxes and arrows, before anything is drawn. Made of drafts, so that broken flows can be seen."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ivr.flow.draft import Draft, DraftBlock, DraftStep
from ivr.flow.expression import Expression
from ivr.flow.keys import KeyPatterns
from ivr.flow.kinds import NAME
from ivr.flow.listening import choices_of
from ivr.flow.model import Place, Recording, Speech, SpokenChoice
from ivr.flow.settings import settings_of
from ivr.flow.template import Template

BRIEF = 34
"""Characters of what stands beside a verb."""


@dataclass(frozen=True, slots=True)
class Arrow:
    """Where some exits of a block lead."""

    to: str
    """A block of the same flow."""
    exits: tuple[str, ...]
    unknown: bool = False
    """There is no such block."""


@dataclass(frozen=True, slots=True)
class Box:
    """A block."""

    name: str
    title: str
    steps: tuple[str, ...]
    """A line for each step."""
    arrows: tuple[Arrow, ...]
    place: Place
    starts: bool = False
    """The call begins here."""
    handles: tuple[str, ...] = ()
    """``on_error``, ``on_hangup``, if it is the block that the flow names for them."""
    ends: bool = False
    """The call can end here as the flow wants it."""
    dead_end: bool = False
    """The call stops here without the flow saying so."""
    unreached: bool = False
    """Nothing leads here."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A flow."""

    flow: str
    title: str
    boxes: Mapping[str, Box]
    """In the order of the file."""
    place: Place

    def part(self, start: str, depth: int | None = None) -> Chart:
        """What can be reached from one block, in at most ``depth`` arrows. Raises KeyError if there is none such."""
        here, seen, steps = [self.boxes[start]], {start}, 0
        while here and (depth is None or steps < depth):
            following = {arrow.to for box in here for arrow in box.arrows if arrow.to in self.boxes}
            here = [self.boxes[name] for name in following - seen]
            seen |= following
            steps += 1
        return replace(self, boxes={name: box for name, box in self.boxes.items() if name in seen})


def chart_of(draft: Draft) -> Chart:
    """The chart of one flow, as far as its file could be read."""
    handlers = [("on_error", draft.on_error), ("on_hangup", draft.on_hangup)]
    heads = [node.text for node in (draft.start, draft.on_error, draft.on_hangup) if node is not None]
    reached = _reached(draft, heads)
    boxes = {}
    for name, block in draft.blocks.items():
        boxes[name] = Box(
            name,
            block.title,
            tuple(_line(step) for step in block.steps if step.verb.name != "goto"),
            tuple(_arrows(block, draft)),
            block.name.place,
            starts=draft.start is not None and draft.start.text == name,
            handles=tuple(word for word, node in handlers if node is not None and node.text == name),
            ends=any(step.verb.ends for step in block.steps),
            dead_end=block.whole and bool(block.steps) and block.steps[-1].continues,
            unreached=name not in reached,
        )
    return Chart(draft.name.text, draft.title, boxes, draft.name.place)


def _reached(draft: Draft, starts: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    waiting = [name for name in starts if name in draft.blocks]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            for step in draft.blocks[name].steps:
                waiting += [node.text for node in step.wires.values() if node.text in draft.blocks]
    return seen


def _arrows(block: DraftBlock, draft: Draft) -> Iterator[Arrow]:
    exits: defaultdict[str, list[str]] = defaultdict(list)
    for step in block.steps:
        words = {choice.name: _said_for(choice) for choice in choices_of(step.settings)}
        for exit, node in sorted(step.wires.items(), key=lambda wire: wire[1].place):
            if node.text:
                # A goto is the arrow itself.
                name = "" if step.verb.name == "goto" else exit.removeprefix("case ")
                exits[node.text].append(f"{name} {words.get(exit, '')}".rstrip())
    for to, names in exits.items():
        yield Arrow(to, tuple(dict.fromkeys(name for name in names if name)), to not in draft.blocks)


def _said_for(choice: SpokenChoice) -> str:
    """What can be said for a key, the first word of it; the name of an intent says enough."""
    first = next((forms[0] for forms in choice.forms.values() if forms), "")
    return f"“{first}”" if first and not NAME.fullmatch(choice.name) else ""


def _line(step: DraftStep) -> str:
    if step.settings is None:
        return f"{step.verb.name} (cannot be read)"
    brief = next(_briefs(step.settings), "")
    return f"{step.verb.name} {brief}".rstrip()


def _briefs(settings: Any) -> Iterator[str]:
    """What is worth saying of a step, best first."""
    for field, one in settings_of(type(settings)):
        value = getattr(settings, field.name)
        if value is not None and (one.required or value != field.default):
            text = " ".join(_words(value).split())
            if text:
                yield text if len(text) <= BRIEF else f"{text[: BRIEF - 1]}…"


def _words(value: Any) -> str:
    match value:
        case Recording(name=name):
            return f"♪ {name}"
        case Speech(text=text):
            return f"“{text.text}”"
        case Template(text=text) | Expression(text=text):
            return text
        case KeyPatterns():
            return " ".join(value.patterns)
        case bool():
            return ""
        case str() | int():
            return str(value)
        case float():
            return f"{value:g} s"
        case Mapping():
            return ", ".join(map(str, value))
        case Sequence():
            return _words(value[0]) if value else ""
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            named = getattr(value, "name", None)
            return named if isinstance(named, str) else ""
        case _:
            return ""
