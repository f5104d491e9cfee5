"""Steps within the settings of a step: what a key does before it leads on, what is heard before the call is taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from ivr.flow.model import Step
from ivr.flow.settings import Kind, Reader, Schema
from ivr.flow.source import MappingNode, Node, SequenceNode

_MOST = 50


@dataclass(frozen=True)
class Steps:
    """A list of steps, done in order; none of them leads anywhere. ``where`` says which verbs can stand in it."""

    dsl: ClassVar[str] = "steps"

    where: Literal["do", "early"] = "do"

    def read(self, node: Node, reader: Reader) -> tuple[Step, ...] | None:
        items = node.items if isinstance(node, SequenceNode) else (node,)
        if not 1 <= len(items) <= _MOST:
            reader.problem("E025", node, f"{len(items)} steps stand here", f"write 1 to {_MOST} steps")
            return None
        around = reader.wires, reader.keys
        steps = [self._step(item, reader) for item in items]
        reader.wires, reader.keys = around
        good = tuple(step for step in steps if step is not None)
        return good if len(good) == len(steps) else None

    def _step(self, node: Node, reader: Reader) -> Step | None:
        read = None if reader.step is None else reader.step(node, reader)
        if read is None:
            return None
        verb = read.verb
        if not (verb.at_once or (self.where == "early" and verb.early)):
            kind = "is heard, or takes no time," if self.where == "early" else "takes no time"
            message = f"'{verb.name}' cannot stand here: only what {kind} can"
            reader.problem("E108", node, message, "put it into a block")
            return None
        if read.wires:
            exit = next(iter(read.wires))
            message = f"'{exit}' of {verb.name} cannot lead to a block from here"
            reader.problem("E108", read.wires[exit], message, "leave it out, or put the step into a block")
            return None
        return None if read.settings is None else Step(verb.name, read.settings, MappingProxyType({}), read.place)

    def schema(self) -> Schema:
        step = {"$ref": "#/$defs/step"}
        return {"anyOf": [{"type": "array", "minItems": 1, "items": step}, step]}

    def describe(self) -> str:
        return "a list of steps"


@dataclass(frozen=True, slots=True)
class KeySteps:
    """What is done when a key or an intent was chosen, before the call goes where it leads."""

    key: str
    """The pattern of the key, or the name of the intent."""
    steps: tuple[Step, ...]


class DoneFirst:
    """Reads ``do`` of the keys of a menu, or of intents; no setting of its own."""

    names: Mapping[str, tuple[Kind[Any], str]] = MappingProxyType({})

    def __init__(self, choices: str) -> None:
        """``choices``: the setting that has them."""
        self._choices = choices

    def read_from(self, node: MappingNode, reader: Reader) -> tuple[KeySteps, ...] | None:
        read = [(key, Steps().read(value, reader)) for key, value in self._with_steps(node.get(self._choices))]
        good = tuple(KeySteps(key, steps) for key, steps in read if steps is not None)
        return good if len(good) == len(read) else None

    def _with_steps(self, keys: Node | None) -> Iterator[tuple[str, Node]]:
        for key, value in keys.entries if isinstance(keys, MappingNode) else ():
            if isinstance(value, MappingNode) and (steps := value.get("do")) is not None:
                yield key.text, steps


def nested(settings: object) -> tuple[Step, ...]:
    """The steps within the settings of a step."""
    keys: tuple[KeySteps, ...] = getattr(settings, "done", ())
    own = own_steps(settings)
    return (*own, *(step for key in keys for step in key.steps)) if keys else own


def own_steps(settings: object) -> tuple[Step, ...]:
    """Those of them that are done in any case."""
    steps = getattr(settings, "steps", ())
    return tuple(step for step in steps if isinstance(step, Step)) if steps else ()
