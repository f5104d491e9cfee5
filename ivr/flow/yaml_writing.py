"""From nodes to YAML: what the DSL said, in the other spelling."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ivr.flow.nodes import VERBS, Verb
from ivr.flow.source import MappingNode, Node, ScalarNode, SequenceNode
from ivr.flow.spelt import Written, lines_in

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]*")
_WIDTH = 110
_STEP = "    - "


def write_yaml(root: MappingNode) -> list[Written]:
    """The lines of a flow that was read without errors."""
    return list(_lines(root))


def _lines(root: MappingNode) -> Iterator[Written]:
    for key, node in root.entries:
        if key.text in ("vars", "input") and isinstance(node, MappingNode):
            yield Written(f"{key.text}:")
            for name, one in node.entries:
                yield Written(f"  {value(name)}: {value(one)}", lines_in(name, one))
        elif key.text != "blocks":
            yield Written(f"{key.text}: {value(node)}", lines_in(key, node))
    blocks = root.get("blocks")
    yield Written("")
    yield Written("blocks:")
    for number, (name, node) in enumerate(blocks.entries if isinstance(blocks, MappingNode) else ()):
        if number:
            yield Written("")
        yield Written(f"  {value(name)}:", lines_in(name))
        steps: Node | None = node
        indent = _STEP
        if isinstance(node, MappingNode):
            title, steps = node.get("title"), node.get("steps")
            if title is not None:
                yield Written(f"    title: {value(title)}", lines_in(title))
            yield Written("    steps:")
            indent = f"  {_STEP}"
        for step in steps.items if isinstance(steps, SequenceNode) else ():
            yield from _step(step, indent)


def _step(node: Node, indent: str) -> Iterator[Written]:
    if not isinstance(node, MappingNode):
        yield Written(indent + value(node), lines_in(node))
        return
    word, given = node.entries[0]
    verb = VERBS.get(word.text)
    if isinstance(given, MappingNode) and verb is not None:
        given = _shortest(given, verb)
    line = f"{indent}{value(word)}: {value(given)}"
    if len(line) <= _WIDTH or not isinstance(given, MappingNode):
        yield Written(line, lines_in(word, given))
        return
    yield Written(f"{indent}{value(word)}:", lines_in(word))
    inner = " " * (len(indent) + 2)
    for key, one in given.entries:
        if isinstance(one, MappingNode) and one.entries:
            yield Written(f"{inner}{value(key)}:", lines_in(key))
            for name, part in one.entries:
                yield Written(f"{inner}  {_key(name)}: {value(part)}", lines_in(name, part))
        else:
            yield Written(f"{inner}{value(key)}: {value(one)}", lines_in(key, one))


def _shortest(given: MappingNode, verb: Verb) -> Node:
    if verb.whole or len(given.entries) != 1 or given.entries[0][0].text != verb.short:
        return given
    one = given.entries[0][1]
    return given if isinstance(one, MappingNode) and verb.short != "prompt" else one


def _key(node: ScalarNode) -> str:
    return f"'{node.text}'" if node.text.isdecimal() else value(node)


def value(node: Node) -> str:
    """One value on one line."""
    if isinstance(node, SequenceNode):
        return f"[{', '.join(map(value, node.items))}]"
    if isinstance(node, MappingNode):
        return "{" + ", ".join(f"{_key(key)}: {value(one)}" for key, one in node.entries) + "}"
    text = node.text
    if _PLAIN.fullmatch(text):
        return text
    if text.isprintable():
        doubled = text.replace("'", "''")
        return f"'{doubled}'"
    signs = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
    return '"' + "".join(signs.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in text) + '"'
