"""What differs between two versions of a flow, as a caller could notice it: blocks, steps, exits, prompts, settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher

from ivr.flow.digest import normal_text
from ivr.flow.model import Block, Flow, Recording, SpokenChoice, Step
from ivr.flow.template import Template


def changes(old: Flow | None, new: Flow | None) -> tuple[str, ...]:
    """One line for each difference, beginning with ``+``, ``-`` or ``~``; empty if there is none."""
    if old is None or new is None:
        flow = new or old
        return () if flow is None else (f"{'+' if old is None else '-'} flow {flow.name}",)
    return tuple(_changes(old, new))


def _changes(old: Flow, new: Flow) -> Iterator[str]:
    for name in ("languages", "start", "on_hangup", "on_error", "input"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield from _setting(name, before, after)
    for name in sorted(old.variables.keys() | new.variables.keys()):
        before, after = old.variables.get(name), new.variables.get(name)
        if before != after:
            yield f"{_sign(before, after)} variable {name}"
    for name in dict.fromkeys([*old.blocks, *new.blocks]):
        left, right = old.blocks.get(name), new.blocks.get(name)
        if left is None or right is None:
            yield f"{_sign(left, right)} block {name}"
        elif normal_text(left) != normal_text(right):
            yield from _block(left, right)


def _block(old: Block, new: Block) -> Iterator[str]:
    before, after = [normal_text(step) for step in old.steps], [normal_text(step) for step in new.steps]
    for kind, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        left, right = old.steps[i1:i2], new.steps[j1:j2]
        if len(left) == len(right) and all(a.verb == b.verb for a, b in zip(left, right, strict=True)):
            for a, b in zip(left, right, strict=True):
                yield from _step(new.name, a, b)
        else:
            yield from (f"- block {new.name}: {step.verb}" for step in left)
            yield from (f"+ block {new.name}: {step.verb}" for step in right)


def _step(block: str, old: Step, new: Step) -> Iterator[str]:
    where = f"block {block}: {new.verb}: "
    for exit in sorted(old.exits.keys() | new.exits.keys()):
        before, after = old.exits.get(exit), new.exits.get(exit)
        if before != after:
            yield f"{_sign(before, after)} {where}exit {exit} {_arrow(before, after)}"
    if not dataclasses.is_dataclass(old.settings) or not dataclasses.is_dataclass(new.settings):
        return
    for one in dataclasses.fields(new.settings):
        before, after = getattr(old.settings, one.name, None), getattr(new.settings, one.name)
        if normal_text(before) != normal_text(after):
            yield from _setting(where + one.name, before, after)


def _setting(name: str, before: object, after: object) -> Iterator[str]:
    if dataclasses.is_dataclass(before) and type(before) is type(after) and not _is_leaf(before):
        for one in dataclasses.fields(before):
            left, right = getattr(before, one.name), getattr(after, one.name)
            if normal_text(left) != normal_text(right):
                yield from _setting(f"{name} {one.name}", left, right)
    else:
        yield f"~ {name}: {_arrow(_shown(before), _shown(after))}"


def _is_leaf(value: object) -> bool:
    return isinstance(value, Template | Recording)


def _shown(value: object) -> str:
    match value:
        case None:
            return "(none)"
        case Recording():
            return value.name
        case SpokenChoice():
            said = (f"{language} {', '.join(forms)}".lstrip() for language, forms in value.forms.items())
            return f"{value.name}: {'; '.join(said)}"
        case Template():
            return repr(value.text)
        case tuple():
            return "[" + ", ".join(_shown(item) for item in value) + "]"
        case Mapping():
            return "{" + ", ".join(f"{key}: {_shown(item)}" for key, item in value.items()) + "}"
    text = getattr(value, "text", None)
    if isinstance(text, Template | str):
        return _shown(text) if isinstance(text, Template) else repr(text)
    return str(value)


def _sign(before: object, after: object) -> str:
    return "+" if before is None else "-" if after is None else "~"


def _arrow(before: object, after: object) -> str:
    return f"{'(none)' if before is None else before} → {'(none)' if after is None else after}"
